// The sums of rings.cpp by waves along the rings: a ring of sources is sum_m W_m e^{-i m phi} with W_m = sum_k w_k
// e^{-i m phi_k}, m modulo K, and
//
//     e^{z cos phi} = sum_m I_m(z) e^{i m phi},  z = r sin theta_i sin theta_j,
//
// so that a ring of targets has c_m = sum_j e^{r (cos(theta_i - theta_j) - 1)} [e^{-z} I_m(z)] W_jm, the same Bessel
// functions for its mirror image. They come by the downward recurrence, divided by I_0 + 2 sum I_m = e^z. That costs a
// hundredth of the convolutions, but the sum over m cancels where M is small against its largest value on the ring.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "clones.hpp"
#include "exponential.hpp"
#include "lanes.hpp"

namespace waves {

constexpr double SMALL = 40.0;       // -log of what is left of e^{-z} I_m(z) from `longest` on, of its value at m = 0
constexpr double BEGIN = 1e-200;     // of the recurrence, which grows by less than 1e250 to m = 0
constexpr double ROUND_OFF = 4e-15;  // of M, against sum |c_m|: measured 1e-15

// The least m with sqrt(m^2 + z^2) - m asinh(m / z) - z < -SMALL, the exponent of I_m / I_0, for every z = 2^{k/4}.
struct Lengths {
    static constexpr int FIRST = -200, LAST = 48;
    std::vector<std::size_t> least;

    Lengths() {
        for (int k = FIRST; k <= LAST; ++k) {
            const double z = std::exp2(0.25 * k);
            double m = 1;
            while (std::hypot(m, z) - m * std::asinh(m / z) - z > -SMALL) m += 1;
            least.push_back(static_cast<std::size_t>(m));
        }
    }
    std::size_t operator()(double z) const {
        if (!(z > 1e-30)) return 0;
        const int k = static_cast<int>(std::ceil(4 * std::log2(z)));
        return least[static_cast<std::size_t>(std::clamp(k, FIRST, LAST) - FIRST)];
    }
};

// m modulo n, which few m need to be divided for.
FPSOLVE_INLINE std::size_t modulo(std::size_t m, std::size_t n) { return m < n ? m : m % n; }

// Rings j < (J+1)/2 in groups of LANES, padded without mass: cos, sin, and for m <= K/2 the real and imaginary parts of
// W_jm of the ring and of its mirror image, side by side.
struct Sources {
    std::size_t K, groups;
    const double *cosine, *sine;  // (groups, LANES)
    const double* parts;          // (groups, K/2 + 1, 4, LANES)

    // Of group g at m: four rows, and the sign of the imaginary parts.
    const double* at(std::size_t g, std::size_t m, double& sign) const {
        const std::size_t place = modulo(m, K), mirrored = std::min(place, K - place);
        sign = place == mirrored ? 1.0 : -1.0;
        return parts + (g * (K / 2 + 1) + mirrored) * 4 * LANES;
    }
};

// Room for one ring of targets and its mirror image.
struct Room {
    std::size_t most;                           // waves
    std::vector<double> bessel, near, far;      // (groups, most + 1, LANES), (groups, LANES)
    std::vector<std::size_t> lengths;           // of every group
    std::vector<double> north, south;           // folded: real and imaginary parts at m = 0..Q/2

    Room(const Sources& src, std::size_t Q, std::size_t waves)
        : most(waves), bessel(src.groups * (most + 1) * LANES), near(src.groups * LANES), far(near),
          lengths(src.groups), north(2 * (Q / 2 + 1)), south(north) {}
};

// e^{-z} I_m(z), m = 0..length, of one group, and both heights divided by what normalises them.
FPSOLVE_INLINE void bessel(const double* z, std::size_t length, double* __restrict out, double* __restrict near,
                           double* __restrict far) {
    double inverse[LANES], above[LANES] = {}, now[LANES], whole[LANES] = {};
    for (std::size_t l = 0; l < LANES; ++l) {
        inverse[l] = length ? 2.0 / z[l] : 0.0;
        now[l] = length ? BEGIN : 1.0;
    }
    for (std::size_t m = length; m > 0; --m)
        for (std::size_t l = 0; l < LANES; ++l) {
            out[m * LANES + l] = now[l];
            whole[l] += now[l];
            const double below = above[l] + static_cast<double>(m) * inverse[l] * now[l];
            above[l] = now[l];
            now[l] = below;
        }
    for (std::size_t l = 0; l < LANES; ++l) {
        out[l] = now[l];
        const double scale = 1.0 / (now[l] + 2.0 * whole[l]);
        near[l] *= scale;
        far[l] *= scale;
    }
}

// c_m of a ring of targets at cos, sin and of its mirror image, each folded to m = 0..Q/2 with m and -m together; the
// sums of their |c_m|.
FPSOLVE_INLINE void gather(const Sources& src, double r, double cosine, double sine, std::size_t Q, Room& room,
                           double (&size)[2]) {
    std::size_t longest = 0;
    for (std::size_t g = 0; g < src.groups; ++g) {
        double z[LANES];
        double *near = &room.near[g * LANES], *far = &room.far[g * LANES];
        for (std::size_t l = 0; l < LANES; ++l) {
            const double across = sine * src.sine[g * LANES + l] - 1.0, along = cosine * src.cosine[g * LANES + l];
            z[l] = r * sine * src.sine[g * LANES + l];
            near[l] = exp_nonpositive(r * std::min(across + along, 0.0));
            far[l] = exp_nonpositive(r * std::min(across - along, 0.0));
        }
        const std::size_t length = room.lengths[g];
        bessel(z, length, &room.bessel[g * (room.most + 1) * LANES], near, far);
        longest = std::max(longest, length);
    }
    std::fill(room.north.begin(), room.north.end(), 0.0);
    std::fill(room.south.begin(), room.south.end(), 0.0);
    size[0] = size[1] = 0.0;
    for (std::size_t m = 0; m <= longest; ++m) {
        Lanes part[4] = {};  // real and imaginary parts, north and south
        double sign = 1.0;
        for (std::size_t g = 0; g < src.groups; ++g) {
            if (room.lengths[g] < m) continue;
            const double* w = src.at(g, m, sign);
            Lanes value, near, far, w0, w1, w2, w3;
            load(value, &room.bessel[(g * (room.most + 1) + m) * LANES]);
            load(near, &room.near[g * LANES]);
            load(far, &room.far[g * LANES]);
            load(w0, w);
            load(w1, w + LANES);
            load(w2, w + 2 * LANES);
            load(w3, w + 3 * LANES);
            near = near * value;
            far = far * value;
            part[0] += near * w0 + far * w2;
            part[1] += near * w1 + far * w3;
            part[2] += far * w0 + near * w2;
            part[3] += far * w1 + near * w3;
        }
        double c[4];
        for (std::size_t k = 0; k < 4; ++k) {
            const Half four = part[k].low + part[k].high;
            c[k] = (m ? 2.0 : 1.0) * (k % 2 ? sign : 1.0) * ((four[0] + four[1]) + (four[2] + four[3]));
        }
        const std::size_t place = modulo(m, Q), to = std::min(place, Q - place);
        const double turn = place == to ? 1.0 : -1.0;
        room.north[2 * to] += c[0];
        room.north[2 * to + 1] += turn * c[1];
        room.south[2 * to] += c[2];
        room.south[2 * to + 1] += turn * c[3];
        size[0] += std::abs(c[0]) + std::abs(c[1]);
        size[1] += std::abs(c[2]) + std::abs(c[3]);
    }
}

// sum_p Re C_p e^{2 pi i p q / Q} at q = 0..Q-1; `table` (2, Q/2 + 1, width): cos and sin of 2 pi p q / Q, q <= Q/2.
FPSOLVE_INLINE void spread(std::size_t Q, std::size_t width, const double* __restrict table, const double* folded,
                           double* __restrict even, double* __restrict odd, double* __restrict out) {
    const std::size_t half = Q / 2 + 1;
    std::fill(even, even + width, 0.0);
    std::fill(odd, odd + width, 0.0);
    for (std::size_t p = 0; p < half; ++p) {
        const double *cosines = table + p * width, *sines = table + (half + p) * width;
        const double real = folded[2 * p], imaginary = folded[2 * p + 1];
        if (real == 0.0 && imaginary == 0.0) continue;
        for (std::size_t q = 0; q < width; ++q) {
            even[q] += real * cosines[q];
            odd[q] += imaginary * sines[q];
        }
    }
    for (std::size_t q = 0; q < half; ++q) out[q] = even[q] - odd[q];
    for (std::size_t q = half; q < Q; ++q) out[q] = even[Q - q] + odd[Q - q];
}

}  // namespace waves
