// SIMD versions of a function, chosen when the module is loaded. They need ifuncs (glibc) and GCC, which inlines
// templates into each clone; other compilers get the baseline.
#pragma once

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#if __GNUC__ >= 12
#define FPSOLVE_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FPSOLVE_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
#else
#define FPSOLVE_CLONES
#endif

#define FPSOLVE_INLINE [[gnu::always_inline]] inline
