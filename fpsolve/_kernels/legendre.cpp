// Sums over the degree of functions that obey a three-term recurrence in it (Legendre functions, those of spin one),
// and the adjoint sums over the colatitude. One thread, fixed order of operations, nothing depends on addresses: the
// same bits in every call and on every machine.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <complex>
#include <cstddef>
#include <stdexcept>
#include <vector>

#include "lanes.hpp"

namespace nb = nanobind;

namespace {

// p_l = (a x + b) p_{l-1} - c p_{l-2} in N registers, from (p_{m-1}, p_m) = (0, seeds).
template <std::size_t N>
struct Ladder {
    Lanes x[N], last[N], now[N];

    // Whether any value is not zero.
    FPSOLVE_INLINE bool begin(const double* angles, const double* seeds) {
        for (std::size_t v = 0; v < N; ++v) {
            load(x[v], angles + v * LANES);
            load(now[v], seeds + v * LANES);
            last[v] = Lanes{};
        }
        for (std::size_t i = 0; i < N * LANES; ++i)
            if (seeds[i] != 0.0) return true;
        return false;
    }

    FPSOLVE_INLINE void climb(const double* abc) {
        for (std::size_t v = 0; v < N; ++v) {
            const Lanes next = (abc[0] * x[v] + abc[1]) * now[v] - abc[2] * last[v];
            last[v] = now[v];
            now[v] = next;
        }
    }

    // add(i, part) for all degrees in turn: part 0 where l - m = i is even, 2 where it is odd.
    template <class Add>
    FPSOLVE_INLINE void each(std::size_t count, const double* abc, const Add& add) {
        add(0, 0);
        std::size_t i = 1;
        for (; i + 1 < count; i += 2) {
            climb(abc + 3 * i);
            add(i, 2);
            climb(abc + 3 * (i + 1));
            add(i + 1, 0);
        }
        if (i < count) {
            climb(abc + 3 * i);
            add(i, 2);
        }
    }
};

// sums = (even re, even im, odd re, odd im) of one block of colatitudes; `count` degrees from l = m.
template <std::size_t N>
FPSOLVE_INLINE void sum_block(std::size_t count, const double* f, const double* abc, const double* x,
                              const double* seeds, double* sums, std::size_t stride) {
    Lanes sum[4][N] = {};
    Ladder<N> p;
    if (p.begin(x, seeds)) {
        const auto add = [&](std::size_t i, std::size_t part) {
            for (std::size_t v = 0; v < N; ++v) {
                sum[part][v] += f[2 * i] * p.now[v];
                sum[part + 1][v] += f[2 * i + 1] * p.now[v];
            }
        };
        p.each(count, abc, add);
    }
    for (std::size_t part = 0; part < 4; ++part)
        for (std::size_t v = 0; v < N; ++v) store(sums + part * stride + v * LANES, sum[part][v]);
}

// moments[2 i], moments[2 i + 1] += p_l (re, im), lane by lane; `waves` as `sums` above.
template <std::size_t N>
FPSOLVE_INLINE void project_block(std::size_t count, const double* waves, std::size_t stride, const double* abc,
                                  const double* x, const double* seeds, double* moments) {
    Ladder<N> p;
    if (!p.begin(x, seeds)) return;
    Lanes wave[4][N];
    for (std::size_t part = 0; part < 4; ++part)
        for (std::size_t v = 0; v < N; ++v) load(wave[part][v], waves + part * stride + v * LANES);
    const auto add = [&](std::size_t i, std::size_t part) {
        Lanes re, im;
        load(re, moments + 2 * i * LANES);
        load(im, moments + (2 * i + 1) * LANES);
        for (std::size_t v = 0; v < N; ++v) {
            re += p.now[v] * wave[part][v];
            im += p.now[v] * wave[part + 1][v];
        }
        store(moments + 2 * i * LANES, re);
        store(moments + (2 * i + 1) * LANES, im);
    };
    p.each(count, abc, add);
}

}  // namespace

// Plain functions, because compilers clone those and not templates. Row m of `f` and `abc` holds the degrees m..lmax.
FPSOLVE_CLONES void fpsolve_legendre_sum(std::size_t lmax, std::size_t n, const double* f, const double* abc,
                                         const double* x, const double* seeds, double* sums) {
    for (std::size_t m = 0; m <= lmax; ++m) {
        const std::size_t count = lmax + 1 - m;
        std::size_t j = 0;
        for (; j + 2 * LANES <= n; j += 2 * LANES) sum_block<2>(count, f, abc, x + j, seeds + j, sums + j, n);
        if (j < n) sum_block<1>(count, f, abc, x + j, seeds + j, sums + j, n);
        f += 2 * count;
        abc += 3 * count;
        seeds += n;
        sums += 4 * n;
    }
}

FPSOLVE_CLONES void fpsolve_legendre_project(std::size_t lmax, std::size_t n, const double* waves, const double* abc,
                                             const double* x, const double* seeds, double* part, double* f) {
    for (std::size_t m = 0; m <= lmax; ++m) {
        const std::size_t count = lmax + 1 - m;
        for (std::size_t i = 0; i < 2 * count * LANES; ++i) part[i] = 0.0;
        std::size_t j = 0;
        for (; j + 2 * LANES <= n; j += 2 * LANES) project_block<2>(count, waves + j, n, abc, x + j, seeds + j, part);
        if (j < n) project_block<1>(count, waves + j, n, abc, x + j, seeds + j, part);
        for (std::size_t i = 0; i < 2 * count; ++i) f[i] = total(part + i * LANES);
        f += 2 * count;
        abc += 3 * count;
        seeds += n;
        waves += 4 * n;
    }
}

// The double Fourier sphere: (lmax + 1, size) numbers on the full circle from sums, j = 0..size/4, on either hemisphere.
// South of the equator odd ones change sign; past the pole all of order m do, by (-1)^(m + spin).
void fpsolve_legendre_unfold(std::size_t orders, std::size_t n, std::size_t size, const double* north,
                             const double* south, const double* factors, std::size_t spin, double* circle) {
    const std::size_t quarter = size / 4;
    for (std::size_t m = 0; m < orders; ++m, north += 4 * n, south += 4 * n, circle += 2 * size) {
        const double factor = factors[m], sign = (m + spin) % 2 ? -1.0 : 1.0;
        const auto put = [&](std::size_t j, double re, double im) {
            circle[2 * j] = re;
            circle[2 * j + 1] = im;
            if (j == 0 || 2 * j == size) return;
            circle[2 * (size - j)] = sign * re;
            circle[2 * (size - j) + 1] = sign * im;
        };
        for (std::size_t j = 0; j <= quarter; ++j)
            put(j, factor * (north[j] + north[2 * n + j]), factor * (north[n + j] + north[3 * n + j]));
        for (std::size_t j = 0; j < quarter; ++j)
            put(size / 2 - j, factor * (south[j] - south[2 * n + j]), factor * (south[n + j] - south[3 * n + j]));
    }
}

// Its adjoint for scalars: what to project, even and odd, from the full circle.
void fpsolve_legendre_fold(std::size_t orders, std::size_t n, std::size_t size, const double* circle, double* waves) {
    const std::size_t quarter = size / 4;
    for (std::size_t m = 0; m < orders; ++m, circle += 2 * size, waves += 4 * n) {
        const double sign = m % 2 ? -1.0 : 1.0;
        for (std::size_t part = 0; part < 2; ++part) {
            const auto at = [&](std::size_t j) {
                const double value = circle[2 * j + part];
                return j == 0 || 2 * j == size ? value : value + sign * circle[2 * (size - j) + part];
            };
            for (std::size_t j = 0; j < n; ++j) {
                const double north = j <= quarter ? at(j) : 0.0;
                const double south = j < quarter ? at(size / 2 - j) : 0.0;
                waves[part * n + j] = north + south;
                waves[(2 + part) * n + j] = north - south;
            }
        }
    }
}

namespace {

using Real = nb::ndarray<double, nb::numpy, nb::c_contig, nb::device::cpu>;
using ConstReal = nb::ndarray<const double, nb::numpy, nb::c_contig, nb::device::cpu>;
using Modes = nb::ndarray<std::complex<double>, nb::numpy, nb::c_contig, nb::device::cpu>;
using ConstModes = nb::ndarray<const std::complex<double>, nb::numpy, nb::c_contig, nb::device::cpu>;

// The degree; throws where the arrays do not fit each other.
std::size_t degree_of(std::size_t modes, const ConstReal& abc, const ConstReal& x, const ConstReal& seeds,
                      std::size_t waves) {
    const std::size_t n = x.size(), orders = n ? seeds.size() / n : 0;
    const bool fits = orders > 0 && n % LANES == 0 && seeds.size() == orders * n && waves == 4 * orders * n &&
                      modes == orders * (orders + 1) / 2 && abc.size() == 3 * modes;
    if (!fits) throw std::invalid_argument("the arrays do not fit each other");
    return orders - 1;
}

void sums(ConstModes f, ConstReal abc, ConstReal x, ConstReal seeds, Real out) {
    const std::size_t lmax = degree_of(f.size(), abc, x, seeds, out.size());
    fpsolve_legendre_sum(lmax, x.size(), reinterpret_cast<const double*>(f.data()), abc.data(), x.data(), seeds.data(),
                         out.data());
}

void project(ConstReal waves, ConstReal abc, ConstReal x, ConstReal seeds, Modes f) {
    const std::size_t lmax = degree_of(f.size(), abc, x, seeds, waves.size());
    std::vector<double> part(2 * (lmax + 1) * LANES);
    fpsolve_legendre_project(lmax, x.size(), waves.data(), abc.data(), x.data(), seeds.data(), part.data(),
                             reinterpret_cast<double*>(f.data()));
}

// Columns of the circle; throws where the arrays do not fit each other.
std::size_t circle_of(std::size_t orders, std::size_t n, std::size_t circle) {
    const std::size_t size = orders ? circle / orders : 0;
    if (size == 0 || size % 4 || size * orders != circle || n < size / 4 + 1)
        throw std::invalid_argument("the arrays do not fit each other");
    return size;
}

void unfold(ConstReal north, ConstReal south, ConstReal factors, std::size_t spin, Modes circle) {
    const std::size_t orders = factors.size(), n = orders ? north.size() / (4 * orders) : 0;
    const std::size_t size = circle_of(orders, n, circle.size());
    if (north.size() != 4 * orders * n || south.size() != north.size())
        throw std::invalid_argument("the arrays do not fit each other");
    fpsolve_legendre_unfold(orders, n, size, north.data(), south.data(), factors.data(), spin,
                            reinterpret_cast<double*>(circle.data()));
}

void fold(ConstModes circle, Real waves) {
    const std::size_t orders = waves.ndim() == 3 ? waves.shape(0) : 0, n = orders ? waves.size() / (4 * orders) : 0;
    const std::size_t size = circle_of(orders, n, circle.size());
    if (waves.size() != 4 * orders * n) throw std::invalid_argument("the arrays do not fit each other");
    fpsolve_legendre_fold(orders, n, size, reinterpret_cast<const double*>(circle.data()), waves.data());
}

}  // namespace

NB_MODULE(_legendre, m) {
    using namespace nb::literals;
    m.doc() = "Sums over degrees and over colatitudes; their readable twins: fpsolve._kernels.legendre_numpy.";
    m.def("sums", &sums, "f"_a.noconvert(), "abc"_a.noconvert(), "x"_a.noconvert(), "seeds"_a.noconvert(),
          "out"_a.noconvert());
    m.def("project", &project, "waves"_a.noconvert(), "abc"_a.noconvert(), "x"_a.noconvert(), "seeds"_a.noconvert(),
          "f"_a.noconvert());
    m.def("unfold", &unfold, "north"_a.noconvert(), "south"_a.noconvert(), "factors"_a.noconvert(), "spin"_a,
          "circle"_a.noconvert());
    m.def("fold", &fold, "circle"_a.noconvert(), "waves"_a.noconvert());
}
