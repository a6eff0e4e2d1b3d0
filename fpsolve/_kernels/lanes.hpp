// Eight numbers side by side in one register, and how they are loaded, stored and added up.
#pragma once

#include <cstddef>
#include <cstring>

#include "clones.hpp"

namespace {

constexpr std::size_t LANES = 8;  // one AVX-512 register
using Lanes [[gnu::vector_size(LANES * sizeof(double))]] = double;

// By memcpy, which asks for no alignment.
FPSOLVE_INLINE void load(Lanes& to, const double* from) { std::memcpy(&to, from, sizeof to); }
FPSOLVE_INLINE void store(double* to, const Lanes& from) { std::memcpy(to, &from, sizeof from); }

FPSOLVE_INLINE double total(const double* part) {
    return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
}

}  // namespace
