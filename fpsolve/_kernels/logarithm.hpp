// log x of a positive normal number, branch-free so that it vectorises.
#pragma once

#include <bit>
#include <cstdint>

#include "clones.hpp"

// x = 2^e m, m in [sqrt(1/2), sqrt(2)), log m = 2 artanh((m-1)/(m+1)); 2 ulp.
FPSOLVE_INLINE double logarithm(double x) {
    auto bits = std::bit_cast<std::uint64_t>(x);
    constexpr std::uint64_t ONE = 0x3ff0000000000000u, ROOT = 0x3fe6a09e00000000u;  // 1, and sqrt(1/2) to 21 digits
    bits += ONE - ROOT;
    // e + 1023 in the low bits of 2^52, which are read as a number: AVX2 converts no 64-bit integers.
    const double exponent = std::bit_cast<double>((bits >> 52) | 0x4330000000000000u) - (0x1p52 + 1023);
    const double m = std::bit_cast<double>((bits & 0x000fffffffffffffu) + ROOT);
    const double s = (m - 1.0) / (m + 1.0), z = s * s;
    double tail = 1.0 / 21;
    tail = tail * z + 1.0 / 19;
    tail = tail * z + 1.0 / 17;
    tail = tail * z + 1.0 / 15;
    tail = tail * z + 1.0 / 13;
    tail = tail * z + 1.0 / 11;
    tail = tail * z + 1.0 / 9;
    tail = tail * z + 1.0 / 7;
    tail = tail * z + 1.0 / 5;
    tail = tail * z + 1.0 / 3;
    const double high = exponent * 0x1.62e42fee00000p-1, low = exponent * 0x1.a39ef35793c76p-33;
    return high + (2 * s + (low + 2 * s * z * tail));
}
