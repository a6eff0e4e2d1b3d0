// Exact pairwise softmax attention: for every target g_i over all sources y_j with log weights log w_j,
//
//     log M = log sum_j w_j e^{g.y_j},   F = sum_j w_j y_j e^{g.y_j} / M,   S = sum_j w_j y_j y_j^T e^{g.y_j} / M.
//
// One pass over the sources in blocks, with the running maximum taken out of the exponent (log-sum-exp), so that no
// N x N array exists and nothing overflows. Threads share out the targets only: the order of each target's sum is
// fixed by BLOCK and LANES, hence the bits do not depend on the number of threads.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

#include "exponential.hpp"

namespace nb = nanobind;

namespace {

constexpr std::size_t BLOCK = 128;  // sources whose exponents are held at once
constexpr std::size_t LANES = 8;    // partial sums side by side: one AVX-512 register
constexpr std::size_t GROUP = 16;   // targets that share a block while it is in the cache
constexpr double NOTHING = -1e300;  // log weight of padding

using Lanes = double[LANES];

FPSOLVE_INLINE double total(const Lanes& part) {
    return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
}

// Scalar product over one block: four rows of lanes hide the latency of the additions.
FPSOLVE_INLINE double dot_block(const double* __restrict u, const double* __restrict v) {
    Lanes part[4] = {};
    for (std::size_t k = 0; k < BLOCK; k += 4 * LANES)
        for (std::size_t r = 0; r < 4; ++r)
            for (std::size_t l = 0; l < LANES; ++l) part[r][l] += u[k + r * LANES + l] * v[k + r * LANES + l];
    return (total(part[0]) + total(part[1])) + (total(part[2]) + total(part[3]));
}

// Sums kept for a target: the mass, d first moments and, where asked, the upper triangle of the second.
FPSOLVE_INLINE std::size_t row_count(std::size_t d, bool second) { return 1 + d + (second ? d * (d + 1) / 2 : 0); }

// The sources block by block, in a block one contiguous row per component, padded with points of no weight.
struct Sources {
    std::size_t d, padded;
    std::vector<double> y, log_w;

    Sources(const double* points, const double* log_weights, std::size_t count, std::size_t dim)
        : d(dim), padded((count + BLOCK - 1) / BLOCK * BLOCK), y(dim * padded, 0.0), log_w(padded, NOTHING) {
        for (std::size_t j = 0; j < count; ++j)
            for (std::size_t a = 0; a < d; ++a) y[(j / BLOCK * d + a) * BLOCK + j % BLOCK] = points[j * d + a];
        std::copy_n(log_weights, count, log_w.begin());
    }
};

// Exponents of one block; returns their maximum.
template <std::size_t D>
FPSOLVE_INLINE double exponents(const Sources& src, const double* g, std::size_t start, double* __restrict s) {
    const std::size_t d = D ? D : src.d;
    const double* __restrict log_w = src.log_w.data() + start;
    const double* __restrict y = src.y.data() + start * src.d;
    double top = NOTHING;
    if constexpr (D > 0) {
        for (std::size_t k = 0; k < BLOCK; ++k) {
            double dot = log_w[k];
            for (std::size_t a = 0; a < D; ++a) dot += g[a] * y[a * BLOCK + k];
            s[k] = dot;
            top = std::max(top, dot);
        }
    } else {
        for (std::size_t k = 0; k < BLOCK; ++k) s[k] = log_w[k];
        for (std::size_t a = 0; a < d; ++a)
            for (std::size_t k = 0; k < BLOCK; ++k) s[k] += g[a] * y[a * BLOCK + k];
        for (std::size_t k = 0; k < BLOCK; ++k) top = std::max(top, s[k]);
    }
    return top;
}

// Adds a block's sums of e^{s - top} * (1, y, upper triangle of y y^T) to `sums`.
template <std::size_t D, bool SECOND>
FPSOLVE_INLINE void add_block(const Sources& src, std::size_t start, double top, double* __restrict s, double* sums) {
    const double* __restrict y = src.y.data() + start * src.d;
    if constexpr (D > 0) {
        constexpr std::size_t PAIRS = SECOND ? D * (D + 1) / 2 : 0;
        Lanes part[1 + D + PAIRS] = {};
        for (std::size_t k = 0; k < BLOCK; k += LANES)
            for (std::size_t l = 0; l < LANES; ++l) {
                const double e = exp_nonpositive(s[k + l] - top);
                part[0][l] += e;
#pragma GCC unroll 4
                for (std::size_t a = 0; a < D; ++a) {
                    const double first = e * y[a * BLOCK + k + l];
                    part[1 + a][l] += first;
#pragma GCC unroll 4
                    for (std::size_t b = a; SECOND && b < D; ++b)
                        part[1 + D + a * D - a * (a + 1) / 2 + b][l] += first * y[b * BLOCK + k + l];
                }
            }
        for (std::size_t row = 0; row < 1 + D + PAIRS; ++row) sums[row] += total(part[row]);
    } else {
        [[maybe_unused]] double first[BLOCK];
        const std::size_t d = src.d;
        for (std::size_t k = 0; k < BLOCK; ++k) s[k] = exp_nonpositive(s[k] - top);
        double ones[BLOCK];
        std::fill_n(ones, BLOCK, 1.0);
        sums[0] += dot_block(s, ones);
        std::size_t row = 1 + d;
        for (std::size_t a = 0; a < d; ++a) {
            sums[1 + a] += dot_block(s, y + a * BLOCK);
            if constexpr (SECOND) {
                for (std::size_t k = 0; k < BLOCK; ++k) first[k] = s[k] * y[a * BLOCK + k];
                for (std::size_t b = a; b < d; ++b) sums[row++] += dot_block(first, y + b * BLOCK);
            }
        }
    }
}

// Targets g[0..count): sums relative to the running maxima `tops`, which are returned beside them. The targets take
// turns at a block of sources while it is in the cache; none of them sees another's numbers.
template <std::size_t D, bool SECOND>
FPSOLVE_INLINE void reduce(const Sources& src, const double* g, std::size_t count, double* tops, double* sums) {
    alignas(64) double s[BLOCK];
    const std::size_t d = D ? D : src.d, rows = row_count(d, SECOND);
    std::fill_n(tops, count, NOTHING);
    std::fill_n(sums, count * rows, 0.0);
    for (std::size_t start = 0; start < src.padded; start += BLOCK)
        for (std::size_t i = 0; i < count; ++i) {
            double* sum = sums + i * rows;
            const double block_top = exponents<D>(src, g + i * d, start, s);
            if (block_top > tops[i]) {
                const double rescale = exp_nonpositive(tops[i] - block_top);
                for (std::size_t row = 0; row < rows; ++row) sum[row] *= rescale;
                tops[i] = block_top;
            }
            add_block<D, SECOND>(src, start, tops[i], s, sum);
        }
}

using Reduce = void (*)(const Sources&, const double*, std::size_t, double*, double*);

// Plain functions, because compilers clone those and not templates.
#define FPSOLVE_REDUCE(NAME, D, SECOND)                                                                            \
    FPSOLVE_CLONES void NAME(const Sources& src, const double* g, std::size_t n, double* tops, double* sums) {      \
        reduce<D, SECOND>(src, g, n, tops, sums);                                                                   \
    }
}  // namespace

FPSOLVE_REDUCE(fpsolve_first_any, 0, false)
FPSOLVE_REDUCE(fpsolve_first_2, 2, false)
FPSOLVE_REDUCE(fpsolve_first_3, 3, false)
FPSOLVE_REDUCE(fpsolve_first_4, 4, false)
FPSOLVE_REDUCE(fpsolve_second_any, 0, true)
FPSOLVE_REDUCE(fpsolve_second_2, 2, true)
FPSOLVE_REDUCE(fpsolve_second_3, 3, true)
FPSOLVE_REDUCE(fpsolve_second_4, 4, true)

namespace {

Reduce choose(std::size_t d, bool second) {
    switch (d) {
        case 2: return second ? fpsolve_second_2 : fpsolve_first_2;
        case 3: return second ? fpsolve_second_3 : fpsolve_first_3;
        case 4: return second ? fpsolve_second_4 : fpsolve_first_4;
        default: return second ? fpsolve_second_any : fpsolve_first_any;
    }
}

// Divides by the mass and unpacks the upper triangle into the full symmetric matrix.
void store(const double* sums, std::size_t d, double* F, double* second) {
    for (std::size_t a = 0; a < d; ++a) F[a] = sums[1 + a] / sums[0];
    if (!second) return;
    const double* row = sums + 1 + d;
    for (std::size_t a = 0; a < d; ++a)
        for (std::size_t b = a; b < d; ++b) second[a * d + b] = second[b * d + a] = *row++ / sums[0];
}

// OpenMP's threads do not come along into a forked process, which would wait for them: there every sum takes one.
std::atomic<bool> threads_ran{false}, forked{false};

void heed_forks() {
#if defined(__unix__) || defined(__APPLE__)
    pthread_atfork(nullptr, nullptr, [] { forked = threads_ran.load(); });
#endif
}

void attend(const Sources& src, const double* g, std::size_t n, double* log_M, double* F, double* second) {
    const std::size_t d = src.d, rows = row_count(d, second != nullptr), groups = (n + GROUP - 1) / GROUP;
    const Reduce reduce_group = choose(d, second != nullptr);
    // Below, starting threads costs more than it saves.
    [[maybe_unused]] const bool large = n * src.padded > 200000 && !forked;
    if (large) threads_ran = true;
#pragma omp parallel if (large)
    {
        std::vector<double> tops(GROUP), sums(GROUP * rows);
#pragma omp for schedule(static)
        for (std::ptrdiff_t group = 0; group < static_cast<std::ptrdiff_t>(groups); ++group) {
            const std::size_t begin = group * GROUP, count = std::min(GROUP, n - begin);
            reduce_group(src, g + begin * d, count, tops.data(), sums.data());
            for (std::size_t i = 0; i < count; ++i) {
                const double* sum = sums.data() + i * rows;
                log_M[begin + i] = tops[i] + std::log(sum[0]);
                store(sum, d, F + (begin + i) * d, second ? second + (begin + i) * d * d : nullptr);
            }
        }
    }
}

template <typename T, int NDIM>
using Array = nb::ndarray<T, nb::numpy, nb::ndim<NDIM>, nb::c_contig, nb::device::cpu>;

void first(Array<const double, 2> g, Array<const double, 2> y, Array<const double, 1> log_w, Array<double, 1> log_M,
           Array<double, 2> F) {
    nb::gil_scoped_release release;
    attend({y.data(), log_w.data(), y.shape(0), y.shape(1)}, g.data(), g.shape(0), log_M.data(), F.data(), nullptr);
}

void first_and_second(Array<const double, 2> g, Array<const double, 2> y, Array<const double, 1> log_w,
                      Array<double, 1> log_M, Array<double, 2> F, Array<double, 3> second) {
    nb::gil_scoped_release release;
    attend({y.data(), log_w.data(), y.shape(0), y.shape(1)}, g.data(), g.shape(0), log_M.data(), F.data(),
           second.data());
}

}  // namespace

NB_MODULE(_softmax, m) {
    m.doc() = "Pairwise softmax attention; use fpsolve._kernels.softmax, which checks the arguments.";
    heed_forks();
    m.def("first", &first);
    m.def("first_and_second", &first_and_second);
}
