/*
 * simd.h: vectors of floats in the width of the instruction set a file is compiled for. UL_ISA is 512 (AVX-512), 256 (AVX2 with
 * FMA) or 128 (whatever the compiler may assume anyway). Included after the target pragma of kern_*.c. Every instruction that the
 * 512-bit kernels name is here, so that simd_emulated.h can stand in for them where UL_EMULATED is defined.
 */
#define INLINE static inline __attribute__((always_inline))

#ifdef UL_EMULATED
#include "tensor/cpu/simd_emulated.h"
#else
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

static inline vf vf_where(vi mask, vf a, vf b) /* mask ? a : b */
{
	return (vf)((mask & (vi)a) | (~mask & (vi)b));
}

#ifndef UL_EMULATED
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

#if UL_ISA >= 256
/* ---- reading what is not floats ---- */

static inline vf vf_half(const uint8_t *p) /* VW binary16 numbers */
{
#if UL_ISA == 512
	return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i_u *)p));
#else
	return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i_u *)p));
#endif
}

static inline vf vf_brain(const uint8_t *p) /* VW bfloat16 numbers */
{
#if UL_ISA == 512
	return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i_u *)p)), 16));
#else
	return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i_u *)p)), 16));
#endif
}

static inline vf vf_halves(const uint8_t *p) /* one binary16 number in every lane */
{
	uint16_t h;

	memcpy(&h, p, sizeof h);
#if UL_ISA == 512
	return _mm512_cvtph_ps(_mm256_set1_epi16((short)h));
#else
	return _mm256_cvtph_ps(_mm_set1_epi16((short)h));
#endif
}

static inline vf vf_bytes(const uint8_t *p) /* VW signed bytes as floats */
{
#if UL_ISA == 512
	return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i_u *)p)));
#else
	return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i_u *)p)));
#endif
}

#if UL_ISA == 512
/* table[the low nibble of each of 16 bytes], then the same of the high ones; only the low four bits of an index count. */
INLINE void vf_look_up(const uint8_t *p, vf table, vf v[2])
{
	__m512i q = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i_u *)p));

	v[0] = _mm512_permutexvar_ps(q, table);
	v[1] = _mm512_permutexvar_ps(_mm512_srli_epi32(q, 4), table);
}
#else
static inline vf vf_low_bytes(__m128i q)
{
	return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q));
}

/* Nibbles of 16 bytes, the low ones first, less `less` */
INLINE void vf_nibbles(const uint8_t *p, char less, vf v[4])
{
	__m128i q = _mm_loadu_si128((const __m128i_u *)p), fifteen = _mm_set1_epi8(15), off = _mm_set1_epi8(less);
	__m128i low = _mm_sub_epi8(_mm_and_si128(q, fifteen), off), high = _mm_sub_epi8(_mm_and_si128(_mm_srli_epi16(q, 4), fifteen), off);

	v[0] = vf_low_bytes(low);
	v[1] = vf_low_bytes(_mm_srli_si128(low, 8));
	v[2] = vf_low_bytes(high);
	v[3] = vf_low_bytes(_mm_srli_si128(high, 8));
}
#endif

/* to[p · ldto + j] = from[j · ldfrom + p] for 8 rows and 8 columns */
INLINE void vf_transpose_8(float *to, size_t ldto, const float *from, size_t ldfrom)
{
	__m256 r[8], s[8];

	for (int j = 0; j < 8; j++)
		r[j] = _mm256_loadu_ps(from + (size_t)j * ldfrom);
	for (int j = 0; j < 8; j += 2) { /* pairs of rows: 0 1 2 3 | 4 5 6 7 becomes 00 11 and 22 33 */
		s[j] = _mm256_unpacklo_ps(r[j], r[j + 1]);
		s[j + 1] = _mm256_unpackhi_ps(r[j], r[j + 1]);
	}
	for (int j = 0; j < 8; j += 4) {
		r[j] = _mm256_shuffle_ps(s[j], s[j + 2], 0x44);
		r[j + 1] = _mm256_shuffle_ps(s[j], s[j + 2], 0xee);
		r[j + 2] = _mm256_shuffle_ps(s[j + 1], s[j + 3], 0x44);
		r[j + 3] = _mm256_shuffle_ps(s[j + 1], s[j + 3], 0xee);
	}
	for (int j = 0; j < 4; j++) {
		_mm256_storeu_ps(to + (size_t)j * ldto, _mm256_permute2f128_ps(r[j], r[j + 4], 0x20));
		_mm256_storeu_ps(to + (size_t)(j + 4) * ldto, _mm256_permute2f128_ps(r[j], r[j + 4], 0x31));
	}
}
#endif
#endif

static inline float vf_most(vf v)
{
	float t[VW], most;

	vf_store(t, v);
	most = t[0];
	for (int i = 1; i < VW; i++)
		most = t[i] > most ? t[i] : most;
	return most;
}
