/*
 * kern_unpack.h: weights as files store them, made floats on the way into a product. The same operations in the same order as
 * ul_dequantize, so that no bit depends on where a weight was unpacked. A template over the vector width.
 */

#if UL_ISA >= 256
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

enum { PER = 32 / VW }; /* vectors of a block */

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

/* VW bytes, with a sign or without, as floats */
static inline vf vf_bytes(__m128i q)
{
#if UL_ISA == 512
	return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(q));
#else
	return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q));
#endif
}

INLINE void read_q8_0(const uint8_t *p, vf v[PER])
{
	vf d = vf_halves(p);

	for (int i = 0; i < PER; i++)
		v[i] = vf_bytes(VW == 16 ? _mm_loadu_si128((const __m128i_u *)(p + 2 + i * VW)) : _mm_loadl_epi64((const __m128i_u *)(p + 2 + i * VW))) * d;
}

#if UL_ISA == 512
/* What each of the 16 nibbles stands for is computed once and looked up; only the low four bits of an index count. */
INLINE void look_up_16(const uint8_t *p, vf table, vf v[PER])
{
	__m512i q = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i_u *)p));

	v[0] = _mm512_permutexvar_ps(q, table);
	v[1] = _mm512_permutexvar_ps(_mm512_srli_epi32(q, 4), table);
}

INLINE void read_q4_0(const uint8_t *p, vf v[PER])
{
	const vf values = {-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7};

	look_up_16(p + 2, values * vf_halves(p), v);
}

INLINE void read_q4_1(const uint8_t *p, vf v[PER])
{
	const vf values = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

	look_up_16(p + 4, values * vf_halves(p) + vf_halves(p + 2), v);
}
#else
INLINE void nibbles(const uint8_t *p, __m128i less, vf v[PER])
{
	__m128i q = _mm_loadu_si128((const __m128i_u *)p), fifteen = _mm_set1_epi8(15);
	__m128i low = _mm_sub_epi8(_mm_and_si128(q, fifteen), less), high = _mm_sub_epi8(_mm_and_si128(_mm_srli_epi16(q, 4), fifteen), less);

	v[0] = vf_bytes(low);
	v[1] = vf_bytes(_mm_srli_si128(low, 8));
	v[2] = vf_bytes(high);
	v[3] = vf_bytes(_mm_srli_si128(high, 8));
}

INLINE void read_q4_0(const uint8_t *p, vf v[PER])
{
	vf d = vf_halves(p);

	nibbles(p + 2, _mm_set1_epi8(8), v);
	for (int i = 0; i < PER; i++)
		v[i] = v[i] * d;
}

INLINE void read_q4_1(const uint8_t *p, vf v[PER])
{
	vf d = vf_halves(p), m = vf_halves(p + 2);

	nibbles(p + 4, _mm_setzero_si128(), v);
	for (int i = 0; i < PER; i++)
		v[i] = v[i] * d + m;
}
#endif

INLINE void read_f16(const uint8_t *p, vf v[PER])
{
	for (int i = 0; i < PER; i++)
		v[i] = vf_half(p + 2 * i * VW);
}

INLINE void read_bf16(const uint8_t *p, vf v[PER])
{
	for (int i = 0; i < PER; i++)
		v[i] = vf_brain(p + 2 * i * VW);
}

/* `run` for each format that is read 32 elements at a time: its dtype, bytes of 32 elements, how they are read */
#define PACKED_FORMATS(run)                                 \
	run(UL_BF16, 64, read_bf16)                         \
	        run(UL_F16, 64, read_f16)                   \
	                run(UL_Q8_0, 34, read_q8_0)         \
	                        run(UL_Q4_0, 18, read_q4_0) \
	                                run(UL_Q4_1, 20, read_q4_1)

#define UNPACK(type, bytes, read)                                    \
	case type:                                                   \
		for (; n >= 32; n -= 32, from += (bytes), y += 32) { \
			vf v[PER];                                   \
			read(from, v);                               \
			for (int i = 0; i < PER; i++)                \
				vf_store(y + i * VW, v[i]);          \
		}                                                    \
		break;
#else
#define PACKED_FORMATS(run)
#define UNPACK(type, bytes, read)
#endif

/* n elements from element `at` of the rows at p; both in whole blocks */
static void unpack(enum ul_dtype t, const void *p, size_t at, size_t n, float *y)
{
	const uint8_t *from = (const uint8_t *)p + ul_dtype_bytes(t, at);

	switch (t) {
		PACKED_FORMATS(UNPACK)
	default:
		break;
	}
	if (n > 0) /* a format that is not read here, or the rest of a row */
		ul_dequantize(t, from, y, n);
}
