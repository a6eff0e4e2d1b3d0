// e^x for x <= 0 to about 1 ulp, branch-free so that it vectorises; below -708 it stays at 3e-308, which no sum that
// contains the maximum's own 1 can see.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "clones.hpp"

FPSOLVE_INLINE double exp_nonpositive(double x) {
    constexpr double SHIFT = 0x1.8p52;  // adding it rounds to an integer, kept in the low bits
    constexpr double LOG2_E = 0x1.71547652b82fep0, LN2_HIGH = 0x1.62e42fefa0000p-1, LN2_LOW = 0x1.cf79abc9e3b3ap-40;
    x = std::max(x, -708.0);
    const double shifted = x * LOG2_E + SHIFT;
    const double k = shifted - SHIFT;
    const double r = (x - k * LN2_HIGH) - k * LN2_LOW;  // |r| <= ln(2)/2
    double p = 1.0 / 6227020800.0;                      // Taylor: the remainder r^14/14! is below 5e-18
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    const auto exponent = std::bit_cast<std::int64_t>(shifted) << 52;  // the bits of SHIFT itself are shifted out
    return std::bit_cast<double>(std::bit_cast<std::int64_t>(p) + exponent);
}
