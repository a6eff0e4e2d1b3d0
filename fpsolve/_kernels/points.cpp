// Sums of spherical harmonics at scattered points and the adjoint, term by term: cheaper than a non-uniform Fourier
// transform up to degrees of about fifty.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <stdexcept>
#include <vector>

#include "points.hpp"

namespace nb = nanobind;

namespace {

// What is made of the sums of one order: each has `SUMS` complex ones and `OUT` numbers a point.
template <std::size_t N>
struct Scalar {
    static constexpr std::size_t SUMS = 1, OUT = 1;
    Lanes f[N] = {};
    FPSOLVE_INLINE void add(double, std::size_t v, const Points<N>& at, const Lanes* sum) {
        f[v] += real(at.re[v], at.im[v], sum[0], sum[1]);
    }
    FPSOLVE_INLINE void finish(std::size_t v, const Points<N>&, Lanes* out) const { out[0] = f[v]; }
};

template <std::size_t N>
struct Slope {
    static constexpr std::size_t SUMS = 2, OUT = 3;
    Gradient<N> f = {};
    FPSOLVE_INLINE void add(double m, std::size_t v, const Points<N>& at, const Lanes* sum) {
        f.add(m, v, at, sum, sum + 2);
    }
    FPSOLVE_INLINE void finish(std::size_t v, const Points<N>& at, Lanes* out) const { f.tangential(v, at, out); }
};

template <std::size_t N>
struct Jet {
    static constexpr std::size_t SUMS = 3, OUT = 5;
    Scalar<N> f = {}, g = {};
    Gradient<N> slope = {};
    FPSOLVE_INLINE void add(double m, std::size_t v, const Points<N>& at, const Lanes* sum) {
        f.add(m, v, at, sum);
        slope.add(m, v, at, sum, sum + 2);
        g.add(m, v, at, sum + 4);
    }
    FPSOLVE_INLINE void finish(std::size_t v, const Points<N>& at, Lanes* out) const {
        slope.tangential(v, at, out);
        out[3] = f.f[v];
        out[4] = g.f[v];
    }
};

template <std::size_t N>
struct Tangent {
    static constexpr std::size_t SUMS = 4, OUT = 3;
    Gradient<N> s = {}, t = {};
    FPSOLVE_INLINE void add(double m, std::size_t v, const Points<N>& at, const Lanes* sum) {
        s.add(m, v, at, sum, sum + 2);
        t.add(m, v, at, sum + 4, sum + 6);
    }
    FPSOLVE_INLINE void finish(std::size_t v, const Points<N>& at, Lanes* out) const {
        s.tangential(v, at, out);
        t.turned(v, at, out);
    }
};

// rows: for each (l, m) c and the coefficients (re, im) of every sum. Writes OUT numbers for each of `n` points.
template <template <std::size_t> class Kind, std::size_t N>
FPSOLVE_INLINE void synthesise(std::size_t lmax, const double* rows, const double* x, std::size_t first, std::size_t n,
                               double* out) {
    constexpr std::size_t S = 2 * Kind<N>::SUMS, OUT = Kind<N>::OUT;
    Points<N> at;
    Kind<N> kind;
    at.begin(x, first, n);
    for (std::size_t m = 0; m <= lmax; ++m) {
        Lanes sum[N][S], last[N], now[N];
        for (std::size_t v = 0; v < N; ++v) {
            last[v] = Lanes{};
            now[v] = Lanes{} + 1.0;
            for (std::size_t k = 0; k < S; ++k) sum[v][k] = Lanes{} + rows[1 + k];
        }
        rows += 1 + S;
        for (std::size_t l = m + 1; l <= lmax; ++l, rows += 1 + S) {
            for (std::size_t v = 0; v < N; ++v) {
                const Lanes next = at.z[v] * now[v] - rows[0] * last[v];
                last[v] = now[v];
                now[v] = next;
                for (std::size_t k = 0; k < S; ++k) sum[v][k] += rows[1 + k] * next;
            }
        }
        for (std::size_t v = 0; v < N; ++v) kind.add(static_cast<double>(m), v, at, sum[v]);
        at.raise();
    }
    double part[LANES];
    for (std::size_t v = 0; v < N; ++v) {
        Lanes values[OUT];
        kind.finish(v, at, values);
        const std::size_t start = first + v * LANES, count = start < n ? std::min(LANES, n - start) : 0;
        for (std::size_t k = 0; k < OUT; ++k) {
            store(part, values[k]);
            for (std::size_t i = 0; i < count; ++i) out[OUT * (start + i) + k] = part[i];
        }
    }
}

constexpr std::size_t WIDE = 4, GROUPS = 16;  // registers of points in one sweep of the adjoint, sweeps of one order

// sums[2 (l - m)], sums[2 (l - m) + 1] += p_l (re, im), lane by lane, of points with z and weighted powers (re, im).
FPSOLVE_INLINE void gather(std::size_t count, const double* c, const Lanes* z, const Lanes* re, const Lanes* im,
                           double* sums) {
    Lanes last[WIDE], now[WIDE];
    for (std::size_t i = 0; i < count; ++i, sums += 2 * LANES) {
        Lanes sum[2];
        load(sum[0], sums);
        load(sum[1], sums + LANES);
        for (std::size_t v = 0; v < WIDE; ++v) {
            const Lanes next = i ? z[v] * now[v] - c[i] * last[v] : Lanes{} + 1.0;
            last[v] = i ? now[v] : Lanes{};
            now[v] = next;
            sum[0] += next * re[v];
            sum[1] += next * im[v];
        }
        store(sums, sum[0]);
        store(sums + LANES, sum[1]);
    }
}

// The sums over points first..n - 1, at most GROUPS sweeps of them; `sums` holds 2 LANES numbers for each (l, m).
FPSOLVE_INLINE void project(std::size_t lmax, const double* c, const double* x, const double* weights,
                            std::size_t first, std::size_t n, double* sums) {
    Points<WIDE> at[GROUPS];
    const std::size_t sweeps = std::min(GROUPS, (n - first + WIDE * LANES - 1) / (WIDE * LANES));
    for (std::size_t g = 0; g < sweeps; ++g) {
        const std::size_t start = first + g * WIDE * LANES, count = std::min(WIDE * LANES, n - start);
        double part[WIDE * LANES] = {};
        std::copy(weights + start, weights + start + count, part);
        at[g].begin(x, start, n);
        for (std::size_t v = 0; v < WIDE; ++v) load(at[g].re[v], part + v * LANES);
    }
    for (std::size_t m = 0; m <= lmax; ++m) {
        const std::size_t count = lmax + 1 - m;
        for (std::size_t g = 0; g < sweeps; ++g) {
            gather(count, c, at[g].z, at[g].re, at[g].im, sums);
            at[g].raise();
        }
        c += count;
        sums += 2 * LANES * count;
    }
}

template <template <std::size_t> class Kind, std::size_t N>
FPSOLVE_INLINE void all(std::size_t lmax, const double* rows, const double* x, std::size_t n, double* out) {
    for (std::size_t first = 0; first < n; first += N * LANES) synthesise<Kind, N>(lmax, rows, x, first, n, out);
}

}  // namespace

// Plain functions, because compilers clone those and not templates.
FPSOLVE_CLONES void fpsolve_points_scalar(std::size_t lmax, const double* rows, const double* x, std::size_t n,
                                          double* out) {
    all<Scalar, 4>(lmax, rows, x, n, out);
}

FPSOLVE_CLONES void fpsolve_points_gradient(std::size_t lmax, const double* rows, const double* x, std::size_t n,
                                            double* out) {
    all<Slope, 2>(lmax, rows, x, n, out);
}

FPSOLVE_CLONES void fpsolve_points_jet(std::size_t lmax, const double* rows, const double* x, std::size_t n,
                                       double* out) {
    all<Jet, 2>(lmax, rows, x, n, out);
}

FPSOLVE_CLONES void fpsolve_points_tangent(std::size_t lmax, const double* rows, const double* x, std::size_t n,
                                           double* out) {
    all<Tangent, 2>(lmax, rows, x, n, out);
}

FPSOLVE_CLONES void fpsolve_points_moments(std::size_t lmax, const double* c, const double* x, const double* weights,
                                           std::size_t n, double* sums, double* out) {
    const std::size_t modes = 2 * ((lmax + 1) * (lmax + 2) / 2);
    for (std::size_t first = 0; first < n; first += GROUPS * WIDE * LANES)
        project(lmax, c, x, weights, first, n, sums);
    for (std::size_t i = 0; i < modes; ++i) out[i] = total(sums + LANES * i);
}

namespace {

using Real = nb::ndarray<double, nb::numpy, nb::c_contig, nb::device::cpu>;
using ConstReal = nb::ndarray<const double, nb::numpy, nb::c_contig, nb::device::cpu>;
using Kernel = void (*)(std::size_t, const double*, const double*, std::size_t, double*);

void require(bool fits) {
    if (!fits) throw std::invalid_argument("the arrays do not fit each other");
}

std::size_t modes_of(std::size_t lmax) { return (lmax + 1) * (lmax + 2) / 2; }

template <Kernel kernel, std::size_t SUMS, std::size_t OUT>
void run(std::size_t lmax, ConstReal rows, ConstReal x, Real out) {
    const std::size_t n = x.size() / 3;
    require(rows.size() == (1 + 2 * SUMS) * modes_of(lmax) && x.size() == 3 * n && out.size() == OUT * n);
    const nb::gil_scoped_release released;
    kernel(lmax, rows.data(), x.data(), n, out.data());
}

void moments(std::size_t lmax, ConstReal c, ConstReal x, ConstReal weights, Real out) {
    const std::size_t n = weights.size(), modes = modes_of(lmax);
    require(c.size() == modes && x.size() == 3 * n && out.size() == 2 * modes);
    const nb::gil_scoped_release released;
    std::vector<double> sums(2 * LANES * modes);
    fpsolve_points_moments(lmax, c.data(), x.data(), weights.data(), n, sums.data(), out.data());
}

}  // namespace

NB_MODULE(_points, m) {
    using namespace nb::literals;
    m.doc() = "Harmonic sums at scattered points; their readable twins: fpsolve._kernels.points_numpy.";
    const auto add = [&](const char* name, auto function) {
        m.def(name, function, "lmax"_a, "rows"_a.noconvert(), "x"_a.noconvert(), "out"_a.noconvert());
    };
    add("scalar", &run<fpsolve_points_scalar, 1, 1>);
    add("gradient", &run<fpsolve_points_gradient, 2, 3>);
    add("jet", &run<fpsolve_points_jet, 3, 5>);
    add("tangent", &run<fpsolve_points_tangent, 4, 3>);
    m.def("moments", &moments, "lmax"_a, "c"_a.noconvert(), "x"_a.noconvert(), "weights"_a.noconvert(),
          "out"_a.noconvert());
}
