// What a transport step does beside the transforms: products on the grid and the Chebyshev recurrence on coefficients,
// each in one pass over memory. One thread, fixed order of summation: the same bits on every machine.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <complex>
#include <cstddef>
#include <stdexcept>

#include "clones.hpp"

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

namespace {

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
}
