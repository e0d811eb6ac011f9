#pragma once

/// Compiles a function for AVX-512, AVX2 and the baseline; the loader picks one. All give the same
/// bits: files named *_kernels.cpp are built without contracting products and sums. The resolvers
/// would run before a sanitizer is ready, so its builds take the baseline.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define QW_CLONES
#else
#define QW_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
/// For the small parts of such a function, lambdas too: compiled into each of its versions.
#define QW_INLINE __attribute__((always_inline))
