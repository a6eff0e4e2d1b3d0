// Registers of scattered points for sums of spherical harmonics term by term. With w = x + iy a harmonic is
// norm p_lm(z) w^m, where p_lm is the monic polynomial of p_l = z p_{l-1} - c p_{l-2}; its derivative is
// (l - m) p_{l,m+1}. Nothing is singular at the poles. Every point has a lane of its own, so that its bits depend
// neither on its place nor on the others.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "lanes.hpp"

namespace {

// Coordinates of N registers of points, and the powers w^m and w^(m-1) of w = x + iy.
template <std::size_t N>
struct Points {
    Lanes x[N], y[N], z[N], re[N], im[N], last_re[N], last_im[N];

    // The directions of the points first, first + 1, …; past the end there is the pole.
    FPSOLVE_INLINE void begin(const double* from, std::size_t first, std::size_t n) {
        double part[3][N * LANES] = {};
        const std::size_t count = std::min(N * LANES, n - first);
        for (std::size_t i = 0; i < count; ++i)
            for (std::size_t a = 0; a < 3; ++a) part[a][i] = from[3 * (first + i) + a];
        for (std::size_t i = count; i < N * LANES; ++i) part[2][i] = 1.0;
        for (std::size_t v = 0; v < N; ++v) {
            load(x[v], part[0] + v * LANES);
            load(y[v], part[1] + v * LANES);
            load(z[v], part[2] + v * LANES);
            double length[LANES];
            store(length, x[v] * x[v] + y[v] * y[v] + z[v] * z[v]);
            for (std::size_t i = 0; i < LANES; ++i) length[i] = std::sqrt(length[i]);
            Lanes lengths;
            load(lengths, length);
            x[v] /= lengths;
            y[v] /= lengths;
            z[v] /= lengths;
            re[v] = Lanes{} + 1.0;
            im[v] = last_re[v] = last_im[v] = Lanes{};
        }
    }

    FPSOLVE_INLINE void raise() {
        for (std::size_t v = 0; v < N; ++v) {
            last_re[v] = re[v];
            last_im[v] = im[v];
            re[v] = x[v] * last_re[v] - y[v] * last_im[v];
            im[v] = x[v] * last_im[v] + y[v] * last_re[v];
        }
    }
};

// The real part of w^m (u + i v).
FPSOLVE_INLINE Lanes real(const Lanes& re, const Lanes& im, const Lanes& u, const Lanes& v) { return re * u - im * v; }

// The gradient in R^3 of Re sum_m w^m A_m(z), order by order, from A_m and A'_(m-1).
template <std::size_t N>
struct Gradient {
    Lanes g[3][N];

    FPSOLVE_INLINE void add(double m, std::size_t v, const Points<N>& at, const Lanes* a, const Lanes* slope) {
        g[0][v] += m * real(at.last_re[v], at.last_im[v], a[0], a[1]);
        g[1][v] -= m * (at.last_re[v] * a[1] + at.last_im[v] * a[0]);
        g[2][v] += real(at.last_re[v], at.last_im[v], slope[0], slope[1]);
    }

    // Its tangential part, g - (g.x) x.
    FPSOLVE_INLINE void tangential(std::size_t v, const Points<N>& at, Lanes* out) const {
        const Lanes radial = g[0][v] * at.x[v] + g[1][v] * at.y[v] + g[2][v] * at.z[v];
        out[0] = g[0][v] - radial * at.x[v];
        out[1] = g[1][v] - radial * at.y[v];
        out[2] = g[2][v] - radial * at.z[v];
    }

    // out += g x x.
    FPSOLVE_INLINE void turned(std::size_t v, const Points<N>& at, Lanes* out) const {
        out[0] += g[1][v] * at.z[v] - g[2][v] * at.y[v];
        out[1] += g[2][v] * at.x[v] - g[0][v] * at.z[v];
        out[2] += g[0][v] * at.y[v] - g[1][v] * at.x[v];
    }
};

}  // namespace
