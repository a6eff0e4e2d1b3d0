// Exponential sums between two Gauss grids of S^2, rings of longitudes 2 pi q / Q (targets) and 2 pi k / K (sources), K a
// multiple of Q, rings i and I-1-i of either being mirror images: at the target x_iq
//
//     log M(r x) = log sum_jk w_jk e^{r x.y_jk},  x.y = cos(theta_i - theta_j) + sin theta_i sin theta_j (cos phi - 1).
//
// Two ways. By waves along the rings (ring_waves.hpp), where these do not cancel on a ring of targets. And directly:
// between two rings phi takes K values only, so that K/2 + 1 exponentials serve all Q K pairs, and those of the mirrored
// rings, and the sum over k is a circular convolution, done term by term; weights and terms are positive, so nothing
// cancels. And the analysis of such fields in harmonics of low degree. One thread, fixed order.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <vector>

#include "exponential.hpp"
#include "lanes.hpp"
#include "logarithm.hpp"
#include "ring_waves.hpp"

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

// M e^{-r} on two mirrored rings of targets by waves; whether it is right to e^{-negligible} of itself on both.
FPSOLVE_CLONES bool fpsolve_ring_waves(const waves::Sources& src, waves::Room& room, double r, double cosine,
                                       double sine, std::size_t Q, std::size_t width, const double* table,
                                       double negligible, double* scratch, double* const (&sums)[2]) {
    double size[2];
    waves::gather(src, r, cosine, sine, Q, room, size);
    const std::vector<double>* const folded[2] = {&room.north, &room.south};
    for (std::size_t c = 0; c < 2; ++c) {
        waves::spread(Q, width, table, folded[c]->data(), scratch, scratch + width, sums[c]);
        double least = sums[c][0];
        for (std::size_t q = 1; q < Q; ++q) least = std::min(least, sums[c][q]);
        if (!(least > waves::ROUND_OFF * size[c] * std::exp(std::min(negligible, 700.0)))) return false;
    }
    return true;
}

FPSOLVE_CLONES void fpsolve_ring_logarithms(std::size_t n, const double* __restrict sums, double shift,
                                            double* __restrict out) {
    for (std::size_t i = 0; i < n; ++i) out[i] = logarithm(sums[i]) + shift;
}

// Waves of a field (I, Q) along its rings, m = 0..degree, of sum one over q: rows `real` and `imaginary` (I, degree+1).
FPSOLVE_CLONES void fpsolve_ring_analysis(std::size_t I, std::size_t Q, std::size_t width, std::size_t degree,
                                          const double* __restrict table, const double* __restrict field,
                                          double* __restrict even, double* __restrict odd, double* __restrict real,
                                          double* __restrict imaginary) {
    const std::size_t half = Q / 2 + 1, row = half * width;
    const double part = 1.0 / static_cast<double>(Q);
    for (std::size_t i = 0; i < I; ++i) {
        const double* at = field + i * Q;
        for (std::size_t q = 0; q < width; ++q) even[q] = odd[q] = 0.0;
        for (std::size_t q = 0; q < half; ++q) {
            const bool alone = q == 0 || 2 * q == Q;
            even[q] = alone ? at[q] : at[q] + at[Q - q];
            odd[q] = alone ? 0.0 : at[Q - q] - at[q];
        }
        for (std::size_t m = 0; m <= degree; ++m) {
            const double *cosines = table + m * width, *sines = table + row + m * width;
            double first[LANES] = {}, second[LANES] = {};
            for (std::size_t q = 0; q < width; q += LANES)
                for (std::size_t l = 0; l < LANES; ++l) {
                    first[l] += even[q + l] * cosines[q + l];
                    second[l] += odd[q + l] * sines[q + l];
                }
            real[i * (degree + 1) + m] = part * total(first);
            imaginary[i * (degree + 1) + m] = part * total(second);
        }
    }
}

// out_lm = sum_i P[m, i, l] wave_im, zero for l > degree, in the order of degree `to`; and sum_m |out_lm|^2, all orders.
FPSOLVE_CLONES void fpsolve_ring_harmonics(std::size_t I, std::size_t degree, std::size_t to,
                                           const double* __restrict projections, const double* __restrict real,
                                           const double* __restrict imaginary, double* __restrict sums,
                                           double* __restrict out, double* __restrict power) {
    const std::size_t count = degree + 1;
    std::fill(out, out + (to + 1) * (to + 2), 0.0);
    std::fill(power, power + count, 0.0);
    for (std::size_t m = 0; m <= degree; ++m) {
        double* row_out = out + m * (2 * to + 1 - m);  // of (0, m), were there one
        std::fill(sums, sums + 2 * count, 0.0);
        for (std::size_t i = 0; i < I; ++i) {
            const double* row = projections + (m * I + i) * count;
            const double first = real[i * count + m], second = imaginary[i * count + m];
            for (std::size_t l = 0; l < count; ++l) {
                sums[l] += first * row[l];
                sums[count + l] += second * row[l];
            }
        }
        for (std::size_t l = m; l <= degree; ++l) {
            row_out[2 * l] = sums[l];
            row_out[2 * l + 1] = sums[count + l];
            power[l] += (m ? 2.0 : 1.0) * (sums[l] * sums[l] + sums[count + l] * sums[count + l]);
        }
    }
}

namespace {

template <int NDIM>
using In = nb::ndarray<const double, nb::numpy, nb::ndim<NDIM>, nb::c_contig, nb::device::cpu>;
using Out = nb::ndarray<double, nb::numpy, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Row = nb::ndarray<double, nb::numpy, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Modes = nb::ndarray<std::complex<double>, nb::numpy, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

void same(std::size_t a, std::size_t b) {
    if (a != b) throw std::invalid_argument("the arrays do not fit each other");
}

// What the direct sums need, made where they are asked for.
struct Direct {
    Table table;
    Terms terms;
    std::vector<double> scratch;

    Direct(const Sources& src, std::size_t Q)
        : table(Q, src.K), terms(src, table), scratch(2 * padded(Q, LANES)) {}

    void operator()(const Sources& src, double radius, double cosine, double sine, double negligible,
                    double* const (&sums)[2]) {
        double* const parts[2] = {scratch.data(), scratch.data() + scratch.size() / 2};
        for (double* one : sums) std::fill(one, one + table.Q, 0.0);
        const Target both[2] = {{cosine, lower_bound(src, radius, cosine, sine) - negligible, sums[0]},
                                {-cosine, lower_bound(src, radius, -cosine, sine) - negligible, sums[1]}};
        fpsolve_mirrored_rings(src, terms, table, radius, sine, both, parts);
    }
};

// `targets` (2, I): cos and sin of the rings; `rings` (4, J) of the sources: cos, sin, log mass, horizontal length;
// `halves` (2, groups, LANES) and `waves` (groups, K/2 + 1, 4, LANES): those of ring_waves.hpp; `table` (2, Q/2 + 1,
// width): cos and sin of 2 pi p q / Q. Returns how many pairs of rings were summed directly.
std::size_t log_sums(double radius, In<2> targets, In<2> rings, In<2> weights, In<3> halves, In<4> waves, In<3> table,
                     double negligible, Out log_M) {
    const std::size_t J = weights.shape(0), K = weights.shape(1), I = log_M.shape(0), Q = log_M.shape(1);
    const std::size_t groups = halves.shape(1), width = table.shape(2);
    same(targets.shape(1), I);
    same(rings.shape(1), J);
    same(groups, padded((J + 1) / 2, LANES) / LANES);
    same(halves.shape(2), LANES);
    for (const std::size_t size : {halves.shape(0), table.shape(0)}) same(size, 2);
    same(waves.size(), groups * (K / 2 + 1) * 4 * LANES);
    same(table.shape(1), Q / 2 + 1);
    same(width, padded(Q / 2 + 1, LANES));
    nb::gil_scoped_release release;
    const double *ring = rings.data(), *target = targets.data();
    const Sources src{J, K, ring, ring + J, ring + 2 * J, ring + 3 * J, weights.data()};
    const ::waves::Sources along{K, groups, halves.data(), halves.data() + groups * LANES, waves.data()};
    static const ::waves::Lengths lengths;
    ::waves::Room room(along, Q, lengths(radius));
    std::unique_ptr<Direct> direct;
    std::vector<double> values(2 * Q), scratch(2 * width);
    double* const sums[2] = {values.data(), values.data() + Q};
    std::size_t others = 0;
    for (std::size_t i = 0; i < (I + 1) / 2; ++i) {
        const double cosine = target[i], sine = target[I + i];
        for (std::size_t g = 0; g < groups; ++g)
            room.lengths[g] = lengths(radius * sine * along.sine[(g + 1) * LANES - 1]);
        if (!fpsolve_ring_waves(along, room, radius, cosine, sine, Q, width, table.data(), negligible, scratch.data(),
                                sums)) {
            if (!direct) direct = std::make_unique<Direct>(src, Q);
            (*direct)(src, radius, cosine, sine, negligible, sums);
            ++others;
        }
        fpsolve_ring_logarithms(Q, sums[1], radius, log_M.data() + (I - 1 - i) * Q);
        fpsolve_ring_logarithms(Q, sums[0], radius, log_M.data() + i * Q);
    }
    return others;
}

// f_lm, l <= degree, of a field (I, Q) on rings in the order of degree `to`, and their power by degree: `projections`
// (degree+1, I, degree+1) by m, i, l.
void modes(Out field, In<3> projections, In<3> table, std::size_t to, Modes out, Row power) {
    const std::size_t I = field.shape(0), Q = field.shape(1), degree = projections.shape(0) - 1;
    const std::size_t width = table.shape(2);
    same(projections.shape(1), I);
    same(projections.shape(2), degree + 1);
    same(out.size(), (to + 1) * (to + 2) / 2);
    same(power.size(), degree + 1);
    if (to < degree) throw std::invalid_argument("an order of fewer degrees");
    same(table.shape(0), 2);
    same(table.shape(1), Q / 2 + 1);
    same(width, padded(Q / 2 + 1, LANES));
    if (degree > Q / 2) throw std::invalid_argument("too few longitudes");
    nb::gil_scoped_release release;
    std::vector<double> room(2 * width + 2 * I * (degree + 1) + 2 * (degree + 1));
    double *even = room.data(), *odd = even + width, *real = odd + width, *imaginary = real + I * (degree + 1);
    fpsolve_ring_analysis(I, Q, width, degree, table.data(), field.data(), even, odd, real, imaginary);
    fpsolve_ring_harmonics(I, degree, to, projections.data(), real, imaginary, imaginary + I * (degree + 1),
                           reinterpret_cast<double*>(out.data()), power.data());
}

}  // namespace

NB_MODULE(_rings, m) {
    m.doc() = "Exponential sums between grids of rings; use fpsolve._kernels.rings, which checks the arguments.";
    m.def("log_sums", &log_sums);
    m.def("modes", &modes);
}
