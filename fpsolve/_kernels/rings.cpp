// Exponential sums between two Gauss grids of S^2, rings of longitudes 2 pi q / Q (targets) and 2 pi k / K (sources), K a
// multiple of Q, rings i and I-1-i of either being mirror images: at the target x_iq
//
//     log M(r x) = log sum_jk w_jk e^{r x.y_jk},  x.y = cos(theta_i - theta_j) + sin theta_i sin theta_j (cos phi - 1).
//
// Between two rings phi takes K values only: K/2 + 1 exponentials serve all Q K pairs, and those of the mirrored rings,
// and the sum over k is a circular convolution, done term by term. Weights and terms are positive, so nothing cancels.
// One thread, fixed order.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "exponential.hpp"
#include "lanes.hpp"

namespace nb = nanobind;

namespace {

FPSOLVE_INLINE constexpr std::size_t padded(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }

struct Target {
    double cosine, needed;
    double* sums;
};

// e^{depth (cos phi - 1)} between two rings, phi = 2 pi (step t - rest) / K, sources being k = step m + rest.
struct Table {
    std::size_t Q, K, step, row;
    std::vector<double> slope, wave, values;  // cos phi - 1 and e^{...} at phi_0..phi_K/2; rows `rest`, t = 0..2Q
    std::vector<std::int32_t> places;         // of rows `rest`, t = 0..Q, in `wave`

    Table(std::size_t targets, std::size_t sources)
        : Q(targets), K(sources), step(K / Q), row(2 * Q + LANES), slope(padded(K / 2 + 1, LANES)),
          wave(slope.size()), values(step * row), places(step * Q) {
        for (std::size_t k = 0; k <= K / 2; ++k) {
            const double half = std::sin(3.141592653589793 * static_cast<double>(k) / static_cast<double>(K));
            slope[k] = -2 * half * half;
        }
        for (std::size_t rest = 0; rest < step; ++rest)
            for (std::size_t t = 0; t < Q; ++t) {
                const std::size_t place = (step * t + K - rest) % K;
                places[rest * Q + t] = static_cast<std::int32_t>(std::min(place, K - place));
            }
    }
};

FPSOLVE_INLINE void fill(Table& table, double depth) {
    double* __restrict wave = table.wave.data();
    const double* __restrict slope = table.slope.data();
    for (std::size_t k = 0; k < table.wave.size(); ++k) wave[k] = exp_nonpositive(depth * slope[k]);
    for (std::size_t rest = 0; rest < table.step; ++rest) {
        double* __restrict out = table.values.data() + rest * table.row;
        const std::int32_t* __restrict place = table.places.data() + rest * table.Q;
        for (std::size_t t = 0; t < table.Q; ++t) out[t] = wave[place[t]];
        for (std::size_t t = 0; t < table.Q; ++t) out[table.Q + t] = out[t];
    }
}

// Two mirrored sources, at the offset of their phases in the table.
struct Term {
    std::size_t offset;
    double weight[2];
};

// `horizontal`: the length of a ring's mean horizontal vector, so that e^{g.mean} bounds its sum from below.
struct Sources {
    std::size_t count, K;
    const double *cosine, *sine, *log_mass, *horizontal, *weights;

    std::size_t other(std::size_t j) const { return count - 1 - j; }

    // Those of ring j and its mirror image.
    void list(const Table& table, std::size_t j, std::vector<Term>& terms) const {
        const double *first = weights + j * K, *second = weights + other(j) * K;
        for (std::size_t rest = 0; rest < table.step; ++rest)
            for (std::size_t m = 0; m < table.Q; ++m) {
                const std::size_t k = m * table.step + rest;
                if (first[k] > 0 || second[k] > 0)
                    terms.push_back({rest * table.row + table.Q - m, {first[k], second[k]}});
            }
    }
};

// The terms of every mirrored pair of rings: pair j has those from starts[j] on.
struct Terms {
    std::vector<Term> all;
    std::vector<std::size_t> starts;

    Terms(const Sources& src, const Table& table) : starts(1, 0) {
        all.reserve((src.count + 1) / 2 * src.K);
        for (std::size_t j = 0; j < (src.count + 1) / 2; ++j) {
            src.list(table, j, all);
            starts.push_back(all.size());
        }
    }
};

// WIDE * LANES targets from `target` on of the convolutions below.
template <std::size_t WIDE, std::size_t FIRST, std::size_t COUNT>
FPSOLVE_INLINE void convolve_part(const double* table, const Term* begin, const Term* end, std::size_t target,
                                  double* const (&sums)[2]) {
    Lanes part[COUNT][WIDE] = {};  // targets of a ring, summed side by side
    for (const Term* term = begin; term != end; ++term) {
        const double* at = table + term->offset + target;
        for (std::size_t l = 0; l < WIDE; ++l) {
            Lanes value;
            load(value, at + l * LANES);
            for (std::size_t c = 0; c < COUNT; ++c) part[c][l] += term->weight[FIRST + c] * value;
        }
    }
    for (std::size_t c = 0; c < COUNT; ++c) std::memcpy(sums[FIRST + c] + target, part[c], sizeof part[c]);
}

// sum_k w_k e^{depth (cos(phi_q - phi_k) - 1)} at every q, of COUNT of two mirrored rings of sources.
template <std::size_t FIRST, std::size_t COUNT>
FPSOLVE_INLINE void convolve(const Table& table, const Term* begin, const Term* end, double* const (&sums)[2]) {
    const double* values = table.values.data();
    std::size_t q = 0;
    for (; q + 4 * LANES <= table.Q; q += 4 * LANES) convolve_part<4, FIRST, COUNT>(values, begin, end, q, sums);
    for (; q + 2 * LANES <= table.Q; q += 2 * LANES) convolve_part<2, FIRST, COUNT>(values, begin, end, q, sums);
    for (; q < table.Q; q += LANES) convolve_part<1, FIRST, COUNT>(values, begin, end, q, sums);
}

// log of the least that M e^{-r} can be on a ring of targets, by Jensen's inequality for each ring of sources.
FPSOLVE_INLINE double lower_bound(const Sources& src, double r, double cosine, double sine) {
    double least = -1e300;
    for (std::size_t j = 0; j < src.count; ++j) {
        const double along = cosine * src.cosine[j] - sine * src.sine[j] * src.horizontal[j];
        least = std::max(least, src.log_mass[j] + r * (along - 1.0));
    }
    return least;
}

// The largest exponent less r between a ring of targets and one of sources.
FPSOLVE_INLINE double highest(const Sources& src, double r, double cosine, double sine, std::size_t j) {
    return r * std::min(cosine * src.cosine[j] + sine * src.sine[j] - 1.0, 0.0);
}

FPSOLVE_INLINE bool matters(const Sources& src, double r, double sine, std::size_t j, const Target& target) {
    return src.log_mass[j] + highest(src, r, target.cosine, sine, j) >= target.needed;
}

FPSOLVE_INLINE void add(double height, const double* __restrict sums, std::size_t Q, double* __restrict to) {
    for (std::size_t q = 0; q < Q; ++q) to[q] += height * sums[q];
}

}  // namespace

// M e^{-r} on two mirrored rings of targets; rings of sources that give less than e^{-negligible} of it are left out.
FPSOLVE_CLONES void fpsolve_mirrored_rings(const Sources& src, const Terms& terms, Table& table, double r, double sine,
                                           const Target (&targets)[2], double* const (&sums)[2]) {
    for (std::size_t j = 0; j < (src.count + 1) / 2; ++j) {
        const std::size_t rings[2] = {j, src.other(j)};
        bool any[2] = {false, false};
        for (std::size_t c = 0; c < (rings[0] == rings[1] ? 1u : 2u); ++c)
            for (const Target& target : targets) any[c] |= matters(src, r, sine, rings[c], target);
        if (!any[0] && !any[1]) continue;
        fill(table, r * sine * src.sine[j]);
        const Term *begin = terms.all.data() + terms.starts[j], *end = terms.all.data() + terms.starts[j + 1];
        if (any[0] && any[1])
            convolve<0, 2>(table, begin, end, sums);
        else if (any[0])
            convolve<0, 1>(table, begin, end, sums);
        else
            convolve<1, 1>(table, begin, end, sums);
        for (std::size_t c = 0; c < 2; ++c)
            for (const Target& target : targets)
                if (any[c])
                    add(exp_nonpositive(highest(src, r, target.cosine, sine, rings[c])), sums[c], table.Q, target.sums);
    }
}

namespace {

template <int NDIM>
using In = nb::ndarray<const double, nb::numpy, nb::ndim<NDIM>, nb::c_contig, nb::device::cpu>;
using Out = nb::ndarray<double, nb::numpy, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

// `targets` (2, I): cos and sin of the rings; `rings` (4, J) of the sources: cos, sin, log mass, horizontal length.
void log_sums(double radius, In<2> targets, In<2> rings, In<2> weights, double negligible, Out log_M) {
    nb::gil_scoped_release release;
    const std::size_t J = weights.shape(0), I = log_M.shape(0), Q = log_M.shape(1);
    const double *ring = rings.data(), *target = targets.data();
    const Sources src{J, weights.shape(1), ring, ring + J, ring + 2 * J, ring + 3 * J, weights.data()};
    Table table(Q, src.K);
    const Terms terms(src, table);
    const std::size_t width = padded(Q, LANES);
    std::vector<double> sums(Q), mirrored(Q), scratch(2 * width);
    double* const parts[2] = {scratch.data(), scratch.data() + width};
    for (std::size_t i = 0; i < (I + 1) / 2; ++i) {
        std::fill(sums.begin(), sums.end(), 0.0);
        std::fill(mirrored.begin(), mirrored.end(), 0.0);
        const double cosine = target[i], sine = target[I + i];
        const Target both[2] = {{cosine, lower_bound(src, radius, cosine, sine) - negligible, sums.data()},
                                {-cosine, lower_bound(src, radius, -cosine, sine) - negligible, mirrored.data()}};
        fpsolve_mirrored_rings(src, terms, table, radius, sine, both, parts);
        double *north = log_M.data() + i * Q, *south = log_M.data() + (I - 1 - i) * Q;
        for (std::size_t q = 0; q < Q; ++q) south[q] = std::log(mirrored[q]) + radius;
        for (std::size_t q = 0; q < Q; ++q) north[q] = std::log(sums[q]) + radius;
    }
}

}  // namespace

NB_MODULE(_rings, m) {
    m.doc() = "Exponential sums between grids of rings; use fpsolve._kernels.rings, which checks the arguments.";
    m.def("log_sums", &log_sums);
}
