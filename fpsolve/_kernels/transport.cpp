// A transport step: products on the grid and the Chebyshev recurrence on coefficients, each in one pass over memory,
// and the whole polynomial of a frozen field in one call, without the interpreter. One thread, fixed order of
// summation: the same bits on every machine.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <stdexcept>

#include "clones.hpp"
#include "sht.hpp"

namespace nb = nanobind;

namespace {

constexpr std::size_t LANES = 8;  // partial sums side by side: one AVX-512 register

FPSOLVE_INLINE double total(const double (&part)[LANES]) {
    return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
}

// y += (factor * rate) * x [+ half * along]; result += weight * y; sums of y^2 into `part`. All as pairs of doubles.
template <bool ALONG>
FPSOLVE_INLINE void recur_row(std::size_t n, const double* __restrict x, const double* __restrict along,
                              const double* __restrict rates, double factor, double half, double* __restrict y,
                              double weight, double* __restrict result, double (&part)[LANES]) {
    const auto one = [&](std::size_t i, double& sum) {
        double change = (factor * rates[i]) * x[i];
        if constexpr (ALONG) change += half * along[i];
        const double value = y[i] + change;
        y[i] = value;
        result[i] += weight * value;
        sum += value * value;
    };
    std::size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (std::size_t l = 0; l < LANES; ++l) one(i + l, part[l]);
    for (std::size_t l = 0; i < n; ++i, ++l) one(i, part[l]);
}

// The rows m = 0..lmax hold the degrees m..lmax; `rates` lists each degree's factor twice, for both parts of a number.
template <bool ALONG>
FPSOLVE_INLINE double recur(std::size_t lmax, const double* x, const double* along, const double* rates,
                            double factor, double half, double* y, double weight, double* result) {
    double part[LANES] = {};
    for (std::size_t m = 0, start = 0; m <= lmax; ++m) {
        const std::size_t n = 2 * (lmax + 1 - m);
        recur_row<ALONG>(n, x + start, ALONG ? along + start : nullptr, rates + 2 * m, factor, half, y + start, weight,
                         result + start, part);
        start += n;
    }
    return total(part);
}

}  // namespace

// Plain functions, because compilers clone those and not templates.
FPSOLVE_CLONES void fpsolve_flux(std::size_t n, double* __restrict rho, const double* __restrict v0,
                                 const double* __restrict v1, double* __restrict first) {
    for (std::size_t i = 0; i < n; ++i) {
        const double value = rho[i];
        first[i] = value * v0[i];
        rho[i] = value * v1[i];
    }
}

FPSOLVE_CLONES void fpsolve_dot(std::size_t n, double* __restrict u0, const double* __restrict u1,
                                const double* __restrict v0, const double* __restrict v1) {
    for (std::size_t i = 0; i < n; ++i) u0[i] = u0[i] * v0[i] + u1[i] * v1[i];
}

// The larger of both; a NaN stays.
FPSOLVE_INLINE double larger(double top, double value) { return value <= top || top != top ? top : value; }

FPSOLVE_CLONES double fpsolve_largest_square(std::size_t n, const double* __restrict v0, const double* __restrict v1) {
    double top[LANES] = {};
    std::size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (std::size_t l = 0; l < LANES; ++l)
            top[l] = larger(top[l], v0[i + l] * v0[i + l] + v1[i + l] * v1[i + l]);
    for (; i < n; ++i) top[0] = larger(top[0], v0[i] * v0[i] + v1[i] * v1[i]);
    for (const double value : top) top[0] = larger(top[0], value);
    return top[0];
}

FPSOLVE_CLONES double fpsolve_recur(std::size_t lmax, const double* x, const double* rates, double factor, double* y,
                                    double weight, double* result) {
    return recur<false>(lmax, x, nullptr, rates, factor, 0.0, y, weight, result);
}

FPSOLVE_CLONES double fpsolve_recur_along(std::size_t lmax, const double* x, const double* along, const double* rates,
                                          double factor, double* y, double weight, double* result) {
    return recur<true>(lmax, x, along, rates, factor, -0.5 * factor, y, weight, result);
}

// y -= factor * (along + constant * divergence); result += weight * y; sums of y^2. Pairs of doubles, the last pair the
// constant itself, which stays.
FPSOLVE_CLONES double fpsolve_recur_log(std::size_t n, const double* __restrict along, double constant,
                                        const double* __restrict divergence, double factor, double* __restrict y,
                                        double weight, double* __restrict result) {
    double part[LANES] = {};
    const auto one = [&](std::size_t i, double& sum) {
        const double value = y[i] - factor * (along[i] + constant * divergence[i]);
        y[i] = value;
        result[i] += weight * value;
        sum += value * value;
    };
    std::size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (std::size_t l = 0; l < LANES; ++l) one(i + l, part[l]);
    for (std::size_t l = 0; i < n; ++i, ++l) one(i, part[l]);
    for (i = n; i < n + 2; ++i) {
        result[i] += weight * y[i];
        part[0] += y[i] * y[i];
    }
    return total(part);
}

FPSOLVE_CLONES double fpsolve_sum_of_squares(std::size_t n, const double* __restrict y) {
    double part[LANES] = {};
    std::size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (std::size_t l = 0; l < LANES; ++l) part[l] += y[i + l] * y[i + l];
    for (std::size_t l = 0; i < n; ++i, ++l) part[l] += y[i] * y[i];
    return total(part);
}

namespace {

// What the three generators share: a frozen field on a grid of n points, work arrays of their own.
struct Frozen {
    void* plan;
    std::size_t lmax, n;
    const double* v;
    sht::Room<double> field{2 * n};
    sht::Room<sht::Complex> potential{(lmax + 1) * (lmax + 2) / 2}, unused{(lmax + 1) * (lmax + 2) / 2};

    double* first() { return field.get(); }
    double* second() { return field.get() + n; }
    static double* parts(sht::Room<sht::Complex>& modes) { return reinterpret_cast<double*>(modes.get()); }
};

// L u = -div(u v).
struct Advection : Frozen {
    const double* rates;

    double recur(sht::Complex* u, double* out, double factor, double weight, double* result) {
        sht::transforms.SH_to_spat(plan, u, second());
        fpsolve_flux(n, second(), v, v + n, first());
        sht::transforms.spat_to_SHsphtor(plan, first(), second(), potential.get(), unused.get());
        return fpsolve_recur(lmax, parts(potential), rates, factor, out, weight, result);
    }
};

// L u = -[v.grad u + div(v u)]/2.
struct Skew : Frozen {
    const double* rates;
    sht::Room<sht::Complex> along{(lmax + 1) * (lmax + 2) / 2};

    double recur(sht::Complex* u, double* out, double factor, double weight, double* result) {
        sht::transforms.SHsph_to_spat(plan, u, first(), second());
        fpsolve_dot(n, first(), second(), v, v + n);
        sht::transforms.spat_to_SH(plan, first(), along.get());
        sht::transforms.SH_to_spat(plan, u, second());
        fpsolve_flux(n, second(), v, v + n, first());
        sht::transforms.spat_to_SHsphtor(plan, first(), second(), potential.get(), unused.get());
        return fpsolve_recur_along(lmax, parts(potential), parts(along), rates, factor, out, weight, result);
    }
};

// L (phi, a) = (-v.grad phi - a div v, 0).
struct Log : Frozen {
    const double* divergence;

    double recur(sht::Complex* u, double* out, double factor, double weight, double* result) {
        const std::size_t modes = (lmax + 1) * (lmax + 2) / 2;
        sht::transforms.SHsph_to_spat(plan, u, first(), second());
        fpsolve_dot(n, first(), second(), v, v + n);
        sht::transforms.spat_to_SH(plan, first(), potential.get());
        return fpsolve_recur_log(2 * modes, parts(potential), u[modes].real(), divergence, factor, out, weight, result);
    }
};

// result = w_0 u + sum_k w_k phi_k(L/R), as fpsolve.transport.exponential.polynomial; how often L was applied, less than
// zero where the polynomials outgrow the bound on the spectrum.
template <typename Generator>
long polynomial(Generator& generator, std::size_t count, const double* u, const double* weights, const double* rests,
                std::size_t terms, double scale, double rtol, double growth, double* result) {
    sht::Room<double> room(2 * count);
    double *before = room.get(), *now = before + count;
    std::copy(u, u + count, before);
    std::fill(now, now + count, 0.0);
    for (std::size_t i = 0; i < count; ++i) result[i] = weights[0] * u[i];
    const auto modes = [](double* y) { return reinterpret_cast<sht::Complex*>(y); };
    const double norm = std::sqrt(fpsolve_sum_of_squares(count, u));
    double last = norm;
    double size = std::sqrt(generator.recur(modes(before), now, scale, weights[1], result));
    long applied = 1;
    for (std::size_t k = 2; k < terms; ++k) {
        if (!(size <= growth * norm)) return -applied;
        if (rests[k] * std::max({norm, last, size}) <= 0.1 * rtol * norm) break;
        last = size;
        size = std::sqrt(generator.recur(modes(now), before, 2 * scale, weights[k], result));
        std::swap(before, now);
        ++applied;
    }
    return applied;
}

template <typename T>
using Array = nb::ndarray<T, nb::numpy, nb::c_contig, nb::device::cpu>;
using Rates = nb::ndarray<const double, nb::numpy, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Modes = nb::ndarray<std::complex<double>, nb::numpy, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using ConstModes = nb::ndarray<const std::complex<double>, nb::numpy, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

const double* parts(const ConstModes& modes) { return reinterpret_cast<const double*>(modes.data()); }
double* parts(const Modes& modes) { return reinterpret_cast<double*>(modes.data()); }

void same(std::size_t a, std::size_t b) {
    if (a != b) throw std::invalid_argument("the arrays do not fit each other");
}

std::size_t degree_of(const Rates& rates, const ConstModes& x, const Modes& y, const Modes& result) {
    const std::size_t degrees = rates.size() / 2, count = degrees * (degrees + 1) / 2;
    same(2 * degrees, rates.size());
    for (const std::size_t size : {x.size(), y.size(), result.size()}) same(size, count);
    return degrees - 1;
}

void flux(Array<double> rho, Array<const double> v, Array<double> first) {
    const std::size_t n = rho.size();
    same(v.size(), 2 * n);
    same(first.size(), n);
    fpsolve_flux(n, rho.data(), v.data(), v.data() + n, first.data());
}

void dot(Array<double> u, Array<const double> v) {
    const std::size_t n = u.size() / 2;
    same(v.size(), u.size());
    fpsolve_dot(n, u.data(), u.data() + n, v.data(), v.data() + n);
}

double largest_square(Array<const double> v) {
    const std::size_t n = v.size() / 2;
    return fpsolve_largest_square(n, v.data(), v.data() + n);
}

double recur_flux(ConstModes x, Rates rates, double factor, Modes y, double weight, Modes result) {
    const std::size_t lmax = degree_of(rates, x, y, result);
    return fpsolve_recur(lmax, parts(x), rates.data(), factor, parts(y), weight, parts(result));
}

double recur_skew(ConstModes x, ConstModes along, Rates rates, double factor, Modes y, double weight, Modes result) {
    const std::size_t lmax = degree_of(rates, x, y, result);
    same(along.size(), x.size());
    return fpsolve_recur_along(lmax, parts(x), parts(along), rates.data(), factor, parts(y), weight, parts(result));
}

template <typename Generator>
long polynomial(Generator& generator, const ConstModes& u, const Rates& weights, const Rates& rests, double scale,
                double rtol, double growth, const Modes& result) {
    same(weights.size(), rests.size());
    return polynomial(generator, 2 * u.size(), parts(u), weights.data(), rests.data(), weights.size(), scale, rtol,
                      growth, parts(result));
}

long polynomial_flux(std::uintptr_t plan, Array<const double> v, Rates rates, ConstModes u, Rates weights, Rates rests,
                     double scale, double rtol, double growth, Modes result) {
    const std::size_t lmax = degree_of(rates, u, result, result);
    nb::gil_scoped_release free;
    Advection generator{{sht::plan(plan), lmax, v.size() / 2, v.data()}, rates.data()};
    return polynomial(generator, u, weights, rests, scale, rtol, growth, result);
}

long polynomial_skew(std::uintptr_t plan, Array<const double> v, Rates rates, ConstModes u, Rates weights, Rates rests,
                     double scale, double rtol, double growth, Modes result) {
    const std::size_t lmax = degree_of(rates, u, result, result);
    nb::gil_scoped_release free;
    Skew generator{{sht::plan(plan), lmax, v.size() / 2, v.data()}, rates.data()};
    return polynomial(generator, u, weights, rests, scale, rtol, growth, result);
}

long polynomial_log(std::uintptr_t plan, std::size_t lmax, Array<const double> v, ConstModes divergence, ConstModes u,
                    Rates weights, Rates rests, double scale, double rtol, double growth, Modes result) {
    same(divergence.size(), (lmax + 1) * (lmax + 2) / 2);
    same(u.size(), divergence.size() + 1);
    same(result.size(), u.size());
    nb::gil_scoped_release free;
    Log generator{{sht::plan(plan), lmax, v.size() / 2, v.data()}, parts(divergence)};
    return polynomial(generator, u, weights, rests, scale, rtol, growth, result);
}

}  // namespace

NB_MODULE(_transport, m) {
    using namespace nb::literals;
    m.doc() = "Products and recurrences of a transport step; their readable twins: fpsolve._kernels.transport_numpy.";
    m.def("flux", &flux, "rho"_a.noconvert(), "v"_a.noconvert(), "first"_a.noconvert());
    m.def("dot", &dot, "u"_a.noconvert(), "v"_a.noconvert());
    m.def("largest_square", &largest_square, "v"_a.noconvert());
    m.def("recur_flux", &recur_flux, "x"_a.noconvert(), "rates"_a.noconvert(), "factor"_a, "y"_a.noconvert(),
          "weight"_a, "result"_a.noconvert());
    m.def("recur_skew", &recur_skew, "x"_a.noconvert(), "along"_a.noconvert(), "rates"_a.noconvert(), "factor"_a,
          "y"_a.noconvert(), "weight"_a, "result"_a.noconvert());
    m.def("bind", &sht::bind, "SH_to_spat"_a, "SHsph_to_spat"_a, "SHsphtor_to_spat"_a, "spat_to_SH"_a,
          "spat_to_SHsphtor"_a);
    m.def("polynomial_flux", &polynomial_flux, "plan"_a, "v"_a.noconvert(), "rates"_a.noconvert(), "u"_a.noconvert(),
          "weights"_a.noconvert(), "rests"_a.noconvert(), "scale"_a, "rtol"_a, "growth"_a, "result"_a.noconvert());
    m.def("polynomial_skew", &polynomial_skew, "plan"_a, "v"_a.noconvert(), "rates"_a.noconvert(), "u"_a.noconvert(),
          "weights"_a.noconvert(), "rests"_a.noconvert(), "scale"_a, "rtol"_a, "growth"_a, "result"_a.noconvert());
    m.def("polynomial_log", &polynomial_log, "plan"_a, "lmax"_a, "v"_a.noconvert(), "divergence"_a.noconvert(),
          "u"_a.noconvert(), "weights"_a.noconvert(), "rests"_a.noconvert(), "scale"_a, "rtol"_a, "growth"_a,
          "result"_a.noconvert());
}
