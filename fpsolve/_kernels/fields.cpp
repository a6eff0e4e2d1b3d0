// Attention on the grids of S^2 by moments, each in one call through SHTns: log M on many spheres as modes, the sum of
// their Gram matrices that a noise's spectrum is, and F = grad log M with (grad^2 log M) F on one sphere. One thread,
// fixed order of summation: the same bits on every machine.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/tuple.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <tuple>
#include <utility>
#include <vector>

#include "lanes.hpp"
#include "logarithm.hpp"
#include "sht.hpp"

namespace nb = nanobind;

namespace {

constexpr double SPHERE = 4 * 3.14159265358979323846;  // its area

}  // namespace

// The least; a NaN where there is one.
FPSOLVE_INLINE double lesser(double least, double value) { return least <= value || least != least ? least : value; }

FPSOLVE_CLONES double fpsolve_least(std::size_t n, const double* __restrict m) {
    double least[LANES];
    for (std::size_t l = 0; l < LANES; ++l) least[l] = m[0];
    std::size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (std::size_t l = 0; l < LANES; ++l) least[l] = lesser(least[l], m[i + l]);
    for (; i < n; ++i) least[0] = lesser(least[0], m[i]);
    for (const double one : least) least[0] = lesser(least[0], one);
    return least[0];
}

FPSOLVE_CLONES void fpsolve_logarithms(std::size_t n, double* __restrict m, double shift) {
    for (std::size_t i = 0; i < n; ++i) m[i] = logarithm(m[i]) + shift;
}

// sum_q weights[q] gram[q] for one row of a tensor.
FPSOLVE_CLONES double fpsolve_weighted(std::size_t n, const double* __restrict weights, const double* __restrict gram) {
    double part[LANES] = {};
    std::size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (std::size_t l = 0; l < LANES; ++l) part[l] += weights[i + l] * gram[i + l];
    for (std::size_t l = 0; i < n; ++i, ++l) part[l] += weights[i] * gram[i];
    return total(part);
}

// What a point of the sphere |g| = r knows of M: its value and derivatives along r, theta, phi.
struct Jet {
    const double *m, *radial, *theta, *phi;              // M, M_r, M_theta, M_phi / sin
    const double *radial_theta, *radial_phi;             // of M_r
    const double *theta_phi, *phi_phi, *laplacian;       // (M_phi)_theta, (M_phi)_phi / sin, on the unit sphere
    const double *cos_theta, *sin_theta;
};

// F in the frame (r, theta, phi), three rows of n.
FPSOLVE_CLONES void fpsolve_attention(std::size_t n, double r, const double* __restrict m,
                                      const double* __restrict radial, const double* __restrict theta,
                                      const double* __restrict phi, double* __restrict f) {
    const double inverse = 1 / r;
    for (std::size_t i = 0; i < n; ++i) {
        const double over = 1 / m[i];
        f[i] = radial[i] * over;
        f[n + i] = (theta[i] * inverse) * over;
        f[2 * n + i] = (phi[i] * inverse) * over;
    }
}

// (grad^2 log M) F = (grad^2 M) F / M - F |F|^2; trace grad^2 M = M, as the points are unit vectors.
FPSOLVE_CLONES void fpsolve_along_f(std::size_t n, double r, const Jet& jet, const double* __restrict f,
                                    double* __restrict out) {
    const double inverse = 1 / r, square = inverse * inverse;
    for (std::size_t i = 0; i < n; ++i) {
        const double over = 1 / jet.m[i], sine = 1 / jet.sin_theta[i], cotangent = jet.cos_theta[i] * sine;
        const double along = jet.phi_phi[i] * sine + cotangent * jet.theta[i];
        const double straight = jet.radial[i] * inverse;
        const double tt = (jet.laplacian[i] - along) * square + straight, pp = along * square + straight;
        const double tp = (jet.theta_phi[i] * sine - cotangent * jet.phi[i]) * square;
        const double rt = jet.radial_theta[i] * inverse - jet.theta[i] * square;
        const double rp = jet.radial_phi[i] * inverse - jet.phi[i] * square;
        const double rr = jet.m[i] - (tt + pp);
        const double a = f[i], b = f[n + i], c = f[2 * n + i], size = (a * a + b * b) + c * c;
        out[i] = ((rr * a + rt * b) + rp * c) * over - a * size;
        out[n + i] = ((rt * a + tt * b) + tp * c) * over - b * size;
        out[2 * n + i] = ((rp * a + tp * b) + pp * c) * over - c * size;
    }
}

// Rows of a frame field to vectors of R^3 in place of them, (n, 3).
FPSOLVE_CLONES void fpsolve_ambient(std::size_t n, const double* __restrict field, const double* __restrict x,
                                    const double* __restrict frame, double* __restrict out) {
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t a = 0; a < 3; ++a)
            out[3 * i + a] = (field[i] * x[3 * i + a] + field[n + i] * frame[3 * i + a]) +
                             field[2 * n + i] * frame[3 * (n + i) + a];
}

// The largest sum of three squares in the rows of (n, 3); a NaN where there is one.
FPSOLVE_CLONES double fpsolve_largest(std::size_t n, const double* __restrict v) {
    double top[LANES] = {};
    for (std::size_t i = 0; i < n; ++i) {
        const double size = (v[3 * i] * v[3 * i] + v[3 * i + 1] * v[3 * i + 1]) + v[3 * i + 2] * v[3 * i + 2];
        double& one = top[i % LANES];
        one = size <= one || one != one ? one : size;
    }
    for (const double one : top) top[0] = one <= top[0] || top[0] != top[0] ? top[0] : one;
    return top[0];
}

// out_a = sum_b matrix_ab v_b for every row.
FPSOLVE_CLONES void fpsolve_times(std::size_t n, const double* __restrict matrix, const double* __restrict v,
                                  double* __restrict out) {
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t a = 0; a < 3; ++a)
            out[3 * i + a] = (matrix[3 * a] * v[3 * i] + matrix[3 * a + 1] * v[3 * i + 1]) +
                             matrix[3 * a + 2] * v[3 * i + 2];
}

// The components of each row along the two vectors of its frame.
FPSOLVE_CLONES void fpsolve_tangential(std::size_t n, const double* __restrict v, const double* __restrict frame,
                                       double* __restrict out) {
    for (std::size_t i = 0; i < n; ++i) {
        out[i] = (frame[3 * i] * v[3 * i] + frame[3 * i + 1] * v[3 * i + 1]) + frame[3 * i + 2] * v[3 * i + 2];
    }
    frame += 3 * n;
    out += n;
    for (std::size_t i = 0; i < n; ++i) {
        out[i] = (frame[3 * i] * v[3 * i] + frame[3 * i + 1] * v[3 * i + 1]) + frame[3 * i + 2] * v[3 * i + 2];
    }
}

namespace {

using sht::Complex;

template <typename T, int D>
using Array = nb::ndarray<T, nb::numpy, nb::ndim<D>, nb::c_contig, nb::device::cpu>;

void same(std::size_t a, std::size_t b) {
    if (a != b) throw std::invalid_argument("the arrays do not fit each other");
}

std::size_t modes_of(std::size_t degree) { return (degree + 1) * (degree + 2) / 2; }

// out_lm = factor_l u_lm for l <= degree <= top, the degree of u; returns sum_l sqrt((2l+1) power_l).
double weighted(std::size_t degree, std::size_t top, const Complex* u, const double* factors, Complex* out) {
    const Complex* row = u;
    Complex* to = out;
    for (std::size_t m = 0; m <= degree; ++m) {
        for (std::size_t l = m; l <= degree; ++l) to[l - m] = factors[l] * row[l - m];
        row += top + 1 - m;
        to += degree + 1 - m;
    }
    double bound = 0;
    for (std::size_t l = 0; l <= degree; ++l) {
        double power = 0;
        const Complex* entry = out + l;
        for (std::size_t m = 0; m <= l; ++m) {
            power += (m == 0 ? 1.0 : 2.0) * (entry->real() * entry->real() + entry->imag() * entry->imag());
            entry += degree - m;  // from (l, m) to (l, m+1)
        }
        bound += std::sqrt((2.0 * static_cast<double>(l) + 1.0) * power);
    }
    return bound;
}

// Modes of log M on sphere after sphere, until one where the least M is not above `floor` times a bound on the largest;
// the number of spheres done; `whole`: from the last one down, all or none. `plans`: of synthesis and analysis on each sphere's grid; `degrees`: of M's modes, of
// `factors` per degree; `points` of each grid.
std::size_t log_m(Array<const std::uint64_t, 2> plans, Array<const std::int64_t, 1> degrees,
                  Array<const std::int64_t, 1> points, Array<const double, 2> factors, Array<const double, 1> radii,
                  Array<const Complex, 1> moments, std::size_t top, std::size_t degree, double floor,
                  bool whole, Array<Complex, 2> modes) {
    const std::size_t count = radii.size();
    for (const std::size_t size : {plans.shape(0), degrees.size(), points.size(), factors.shape(0), modes.shape(0)})
        same(size, count);
    same(plans.shape(1), 2);
    same(moments.size(), modes_of(top));
    same(modes.shape(1), modes_of(degree));
    std::size_t most = 0;
    for (std::size_t j = 0; j < count; ++j) {
        if (degrees(j) < 0 || static_cast<std::size_t>(degrees(j)) > top ||
            static_cast<std::size_t>(degrees(j)) >= factors.shape(1))
            throw std::invalid_argument("a degree above that of the moments");
        most = std::max<std::size_t>(most, static_cast<std::size_t>(points(j)));
    }
    nb::gil_scoped_release free;
    sht::Room<double> field(most);
    sht::Room<Complex> room(modes_of(top));
    for (std::size_t k = 0; k < count; ++k) {
        const std::size_t j = whole ? count - 1 - k : k;
        const double bound =
            weighted(static_cast<std::size_t>(degrees(j)), top, moments.data(), &factors(j, 0), room.get()) /
            std::sqrt(SPHERE);
        const std::size_t n = static_cast<std::size_t>(points(j));
        sht::transforms.SH_to_spat(sht::plan(plans(j, 0)), room.get(), field.get());
        if (!(fpsolve_least(n, field.get()) > floor * bound)) return whole ? 0 : j;
        fpsolve_logarithms(n, field.get(), radii(j));
        sht::transforms.spat_to_SH(sht::plan(plans(j, 1)), field.get(), &modes(j, 0));
    }
    return count;
}

// out_p = sum_{l, i <= j} tensor[p, l, ij] sum_m Re phi_lm(i) phi*_lm(j), all orders -l..l.
void contracted(Array<const Complex, 2> modes, std::size_t degree, Array<const double, 2> tensor, Array<double, 1> out) {
    const std::size_t count = modes.shape(0), pairs = count * (count + 1) / 2, all = modes.shape(1);
    same(all, modes_of(degree));
    same(tensor.shape(1), (degree + 1) * pairs);
    same(out.size(), tensor.shape(0));
    nb::gil_scoped_release free;
    sht::Room<double> room((degree + 1) * pairs), rows(2 * (degree + 1) * count);
    double *gram = room.get(), *row = rows.get();
    for (std::size_t l = 0; l <= degree; ++l) {
        const std::size_t width = 2 * l + 1;
        for (std::size_t j = 0; j < count; ++j) {
            const Complex* entry = modes.data() + j * all + l;
            double* to = row + j * width;
            *to++ = entry->real();
            for (std::size_t m = 1; m <= l; ++m) {
                entry += degree - (m - 1);
                *to++ = 1.41421356237309504880 * entry->real();
                *to++ = 1.41421356237309504880 * entry->imag();
            }
        }
        for (std::size_t i = 0; i < count; ++i)
            for (std::size_t j = i; j < count; ++j) *gram++ = fpsolve_weighted(width, row + i * width, row + j * width);
    }
    for (std::size_t p = 0; p < out.size(); ++p)
        out(p) = fpsolve_weighted(tensor.shape(1), &tensor(p, 0), room.get());
}

// What tells whether attention is good: the least e^-r M in parts of a bound on the largest, the largest |F|^2, and that
// of the product.
struct Quality {
    double least, f, product;
};

struct Sphere {
    void* plan;
    std::size_t degree, n;
    double r;
    const double *cos_theta, *sin_theta, *x, *frame;
};

// e^-r M, F and, where `product` is not null, (grad^2 log M) F at r times the points of a grid, vectors of R^3. `value`,
// `slope`: modes of e^-r M and of its derivative in r.
Quality attention(const Sphere& on, const Complex* value, const Complex* slope, double* m, double* f, double* product) {
    const std::size_t n = on.n, modes = modes_of(on.degree);
    sht::Room<Complex> copies(3 * modes);
    Complex *w = copies.get(), *s = w + modes, *turned = s + modes;
    const std::vector<double> ones(on.degree + 1, 1.0);
    const double bound = weighted(on.degree, on.degree, value, ones.data(), w) / std::sqrt(SPHERE);
    std::copy(slope, slope + modes, s);
    sht::Room<double> fields((product ? 11 : 6) * n);
    double* at = fields.get();
    const auto next = [&]() { return std::exchange(at, at + n); };
    double *radial = next(), *theta = next(), *phi = next(), *in_frame = at;
    at += 3 * n;
    sht::transforms.SH_to_spat(on.plan, w, m);
    sht::transforms.SH_to_spat(on.plan, s, radial);
    sht::transforms.SHsph_to_spat(on.plan, w, theta, phi);
    fpsolve_attention(n, on.r, m, radial, theta, phi, in_frame);
    fpsolve_ambient(n, in_frame, on.x, on.frame, f);
    const Quality first{fpsolve_least(n, m) / bound, fpsolve_largest(n, f), 0.0};
    if (!product) return first;
    double *radial_theta = next(), *radial_phi = next(), *theta_phi = next(), *phi_phi = next(), *laplacian = next();
    sht::transforms.SHsph_to_spat(on.plan, s, radial_theta, radial_phi);
    std::size_t k = 0;
    for (std::size_t order = 0; order <= on.degree; ++order)
        for (std::size_t l = order; l <= on.degree; ++l, ++k) {
            turned[k] = Complex(-static_cast<double>(order) * w[k].imag(), static_cast<double>(order) * w[k].real());
            w[k] *= -static_cast<double>(l * (l + 1));
        }
    sht::transforms.SHsph_to_spat(on.plan, turned, theta_phi, phi_phi);
    sht::transforms.SH_to_spat(on.plan, w, laplacian);
    const Jet jet{m,       radial,    theta,     phi,          radial_theta, radial_phi, theta_phi,
                  phi_phi, laplacian, on.cos_theta, on.sin_theta};
    sht::Room<double> along(3 * n);
    fpsolve_along_f(n, on.r, jet, in_frame, along.get());
    fpsolve_ambient(n, along.get(), on.x, on.frame, product);
    return {first.least, first.f, fpsolve_largest(n, product)};
}

std::tuple<double, double, double> attention_on(std::uintptr_t plan, std::size_t degree, double r,
                                                Array<const Complex, 1> value, Array<const Complex, 1> slope,
                                                Array<const double, 1> cos_theta, Array<const double, 1> sin_theta,
                                                Array<const double, 2> x, Array<const double, 3> frame,
                                                Array<double, 1> m, Array<double, 2> f, Array<double, 2> product) {
    const std::size_t n = m.size();
    for (const std::size_t size : {value.size(), slope.size()}) same(size, modes_of(degree));
    for (const std::size_t size : {cos_theta.size(), sin_theta.size(), x.shape(0), f.shape(0), frame.shape(1)})
        same(size, n);
    for (const std::size_t size : {x.shape(1), f.shape(1), frame.shape(2)}) same(size, 3);
    same(frame.shape(0), 2);
    const bool second = product.shape(0) != 0;
    if (second) same(product.size(), 3 * n);
    nb::gil_scoped_release free;
    const Sphere sphere{sht::plan(plan), degree, n, r, cos_theta.data(), sin_theta.data(), x.data(), frame.data()};
    const Quality found =
        attention(sphere, value.data(), slope.data(), m.data(), f.data(), second ? product.data() : nullptr);
    return {found.least, found.f, found.product};
}

void times(Array<const double, 2> matrix, Array<const double, 2> v, Array<double, 2> out) {
    for (const std::size_t size : {matrix.shape(0), matrix.shape(1), v.shape(1), out.shape(1)}) same(size, 3);
    same(v.shape(0), out.shape(0));
    fpsolve_times(v.shape(0), matrix.data(), v.data(), out.data());
}

void tangential(Array<const double, 2> v, Array<const double, 3> frame, Array<double, 2> out) {
    for (const std::size_t size : {v.shape(1), frame.shape(2)}) same(size, 3);
    for (const std::size_t size : {frame.shape(0), out.shape(0)}) same(size, 2);
    for (const std::size_t size : {frame.shape(1), out.shape(1)}) same(size, v.shape(0));
    fpsolve_tangential(v.shape(0), v.data(), frame.data(), out.data());
}

void logarithms(Array<double, 1> m, double shift) { fpsolve_logarithms(m.size(), m.data(), shift); }

// S, T and R of isotropic noise, as fpsolve.noise.spherical tells: `amplitudes` (5, L+2) by degree J of xi-, xi+ in S,
// xi0 in T, xi- and xi+ in R; `increments` (3 (L+2)^2,) of the channels, 3 (J^2 + J + m) + component.
void potentials(std::size_t degree, Array<const double, 2> amplitudes, Array<const double, 1> increments,
                Array<Complex, 2> out) {
    same(amplitudes.shape(0), 5);
    same(amplitudes.shape(1), degree + 1);
    same(increments.size(), 3 * (degree + 1) * (degree + 1));
    same(out.shape(0), 3);
    same(out.shape(1), modes_of(degree));
    const double half = std::sqrt(0.5);
    std::size_t k = 0;
    for (std::size_t m = 0; m <= degree; ++m)
        for (std::size_t J = m; J <= degree; ++J, ++k) {
            const double* plus = increments.data() + 3 * (J * J + J + m);
            const double* minus = increments.data() + 3 * (J * J + J - m);
            const double weight = m == 0 ? 1.0 : half, other = m == 0 ? 0.0 : half;
            Complex xi[3];
            for (std::size_t c = 0; c < 3; ++c) xi[c] = Complex(plus[c] * weight, minus[c] * other);
            out(0, k) = amplitudes(0, J) * xi[0] + amplitudes(1, J) * xi[2];
            out(1, k) = amplitudes(2, J) * xi[1];
            out(2, k) = amplitudes(3, J) * xi[0] + amplitudes(4, J) * xi[2];
        }
}

}  // namespace

NB_MODULE(_fields, module) {
    using namespace nb::literals;
    module.doc() = "Attention on the grids of the sphere by moments; the readable way: fpsolve.attention.";
    module.def("bind", &sht::bind, "SH_to_spat"_a, "SHsph_to_spat"_a, "SHsphtor_to_spat"_a, "spat_to_SH"_a,
               "spat_to_SHsphtor"_a);
    module.def("log_m", &log_m, "plans"_a.noconvert(), "degrees"_a.noconvert(), "points"_a.noconvert(),
               "factors"_a.noconvert(), "radii"_a.noconvert(), "moments"_a.noconvert(), "top"_a, "degree"_a, "floor"_a, "whole"_a,
               "modes"_a.noconvert());
    module.def("contracted", &contracted, "modes"_a.noconvert(), "degree"_a, "tensor"_a.noconvert(),
               "out"_a.noconvert());
    module.def("potentials", &potentials, "degree"_a, "amplitudes"_a.noconvert(), "increments"_a.noconvert(),
               "out"_a.noconvert());
    module.def("times", &times, "matrix"_a.noconvert(), "v"_a.noconvert(), "out"_a.noconvert());
    module.def("tangential", &tangential, "v"_a.noconvert(), "frame"_a.noconvert(), "out"_a.noconvert());
    module.def("logarithms", &logarithms, "m"_a.noconvert(), "shift"_a);
    module.def("attention", &attention_on, "plan"_a, "degree"_a, "r"_a, "value"_a.noconvert(), "slope"_a.noconvert(),
               "cos_theta"_a.noconvert(), "sin_theta"_a.noconvert(), "x"_a.noconvert(), "frame"_a.noconvert(),
               "m"_a.noconvert(), "f"_a.noconvert(), "product"_a.noconvert());
}
