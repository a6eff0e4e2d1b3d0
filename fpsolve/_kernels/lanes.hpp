// Eight numbers side by side, how they are computed with, loaded, stored and added up.
#pragma once

#include <cstddef>
#include <cstring>

#include "clones.hpp"

namespace {

constexpr std::size_t LANES = 8;
using Half [[gnu::vector_size(LANES / 2 * sizeof(double))]] = double;  // one AVX register

// Two halves by hand: a vector that is wider than the registers GCC keeps in memory, operation by operation.
struct Lanes {
    Half low, high;
};

FPSOLVE_INLINE Lanes operator+(const Lanes& a, const Lanes& b) { return {a.low + b.low, a.high + b.high}; }
FPSOLVE_INLINE Lanes operator-(const Lanes& a, const Lanes& b) { return {a.low - b.low, a.high - b.high}; }
FPSOLVE_INLINE Lanes operator*(const Lanes& a, const Lanes& b) { return {a.low * b.low, a.high * b.high}; }
FPSOLVE_INLINE Lanes operator/(const Lanes& a, const Lanes& b) { return {a.low / b.low, a.high / b.high}; }
FPSOLVE_INLINE Lanes operator+(const Lanes& a, double b) { return {a.low + b, a.high + b}; }
FPSOLVE_INLINE Lanes operator+(double a, const Lanes& b) { return {a + b.low, a + b.high}; }
FPSOLVE_INLINE Lanes operator*(double a, const Lanes& b) { return {a * b.low, a * b.high}; }
FPSOLVE_INLINE Lanes operator*(const Lanes& a, double b) { return {a.low * b, a.high * b}; }
FPSOLVE_INLINE Lanes operator/(double a, const Lanes& b) { return {a / b.low, a / b.high}; }
FPSOLVE_INLINE Lanes& operator+=(Lanes& a, const Lanes& b) { return a = a + b; }
FPSOLVE_INLINE Lanes& operator-=(Lanes& a, const Lanes& b) { return a = a - b; }
FPSOLVE_INLINE Lanes& operator*=(Lanes& a, const Lanes& b) { return a = a * b; }
FPSOLVE_INLINE Lanes& operator/=(Lanes& a, const Lanes& b) { return a = a / b; }

// By memcpy, which asks for no alignment.
FPSOLVE_INLINE void load(Lanes& to, const double* from) { std::memcpy(&to, from, sizeof to); }
FPSOLVE_INLINE void store(double* to, const Lanes& from) { std::memcpy(to, &from, sizeof from); }

FPSOLVE_INLINE double total(const double* part) {
    return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
}

}  // namespace
