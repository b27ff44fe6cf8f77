/*
 * simd.h: vectors of floats in the width of the instruction set a file is compiled for. UL_ISA is 512 (AVX-512), 256 (AVX2 with
 * FMA) or 128 (whatever the compiler may assume anyway). Included after the target pragma of kern_*.c.
 */
#include <immintrin.h>

#if UL_ISA == 512
enum { VW = 16 };
typedef float vf __attribute__((vector_size(64)));
typedef int vi __attribute__((vector_size(64)));
static inline vf vf_fma(vf a, vf b, vf c)
{
	return _mm512_fmadd_ps(a, b, c);
}
static inline vf vf_max(vf a, vf b) /* b where either is NaN */
{
	return _mm512_max_ps(a, b);
}
static inline vf vf_min(vf a, vf b)
{
	return _mm512_min_ps(a, b);
}
static inline vf vf_sqrt(vf x)
{
	return _mm512_sqrt_ps(x);
}
#elif UL_ISA == 256
enum { VW = 8 };
typedef float vf __attribute__((vector_size(32)));
typedef int vi __attribute__((vector_size(32)));
static inline vf vf_fma(vf a, vf b, vf c)
{
	return _mm256_fmadd_ps(a, b, c);
}
static inline vf vf_max(vf a, vf b)
{
	return _mm256_max_ps(a, b);
}
static inline vf vf_min(vf a, vf b)
{
	return _mm256_min_ps(a, b);
}
static inline vf vf_sqrt(vf x)
{
	return _mm256_sqrt_ps(x);
}
#else
enum { VW = 4 };
typedef float vf __attribute__((vector_size(16)));
typedef int vi __attribute__((vector_size(16)));
static inline vf vf_fma(vf a, vf b, vf c)
{
	return a * b + c;
}
static inline vf vf_max(vf a, vf b)
{
	return _mm_max_ps(a, b);
}
static inline vf vf_min(vf a, vf b)
{
	return _mm_min_ps(a, b);
}
static inline vf vf_sqrt(vf x)
{
	return _mm_sqrt_ps(x);
}
#endif

typedef float vf_loose __attribute__((vector_size(VW * 4), aligned(4), may_alias));

static inline vf vf_load(const float *p)
{
	return *(const vf_loose *)p;
}

static inline void vf_store(float *p, vf v)
{
	*(vf_loose *)p = v;
}

static inline vf vf_set(float c)
{
	return c - (vf){0};
}

/* The first n < VW elements; the others read as 0 and are not written. */
static inline vf vf_load_part(const float *p, size_t n)
{
#if UL_ISA == 512
	return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#else
	float t[VW] = {0};
	for (size_t i = 0; i < n; i++)
		t[i] = p[i];
	return vf_load(t);
#endif
}

static inline void vf_store_part(float *p, vf v, size_t n)
{
#if UL_ISA == 512
	_mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), v);
#else
	float t[VW];
	vf_store(t, v);
	for (size_t i = 0; i < n; i++)
		p[i] = t[i];
#endif
}

static inline vf vf_where(vi mask, vf a, vf b) /* mask ? a : b */
{
	return (vf)((mask & (vi)a) | (~mask & (vi)b));
}

/* Always in the same order: halves onto halves. */
static inline float vf_sum(vf v)
{
#if UL_ISA == 512
	__m256 h = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
#elif UL_ISA == 256
	__m256 h = v;
#endif
#if UL_ISA >= 256
	__m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
#else
	__m128 q = v;
#endif
	q = _mm_add_ps(q, _mm_movehl_ps(q, q));
	return _mm_cvtss_f32(_mm_add_ss(q, _mm_shuffle_ps(q, q, 1)));
}

static inline float vf_most(vf v)
{
	float t[VW], most;

	vf_store(t, v);
	most = t[0];
	for (int i = 1; i < VW; i++)
		most = t[i] > most ? t[i] : most;
	return most;
}
