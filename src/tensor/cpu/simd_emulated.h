/*
 * simd_emulated.h: the 512-bit instructions of simd.h in plain C, lane by lane and with the same roundings, so that what is built on
 * them (tiles, masks, packing, edges) is tested on machines without AVX-512. Nothing here is fast.
 */
enum { VW = 16 };
typedef float vf __attribute__((vector_size(64)));
typedef int vi __attribute__((vector_size(64)));

#define EACH_LANE(i) for (int i = 0; i < VW; i++)

/* Rounded once. A call, since 16 lanes in every line of an unrolled kernel take minutes to compile. */
static __attribute__((noinline)) vf vf_fma(vf a, vf b, vf c)
{
	vf y = c;
	EACH_LANE(i)
	y[i] = __builtin_fmaf(a[i], b[i], c[i]);
	return y;
}

static inline vf vf_max(vf a, vf b) /* b where either is NaN */
{
	vf y = b;
	EACH_LANE(i)
	y[i] = a[i] > b[i] ? a[i] : b[i];
	return y;
}

static inline vf vf_min(vf a, vf b)
{
	vf y = b;
	EACH_LANE(i)
	y[i] = a[i] < b[i] ? a[i] : b[i];
	return y;
}

static inline vf vf_sqrt(vf x)
{
	vf y = x;
	EACH_LANE(i)
	y[i] = __builtin_sqrtf(x[i]);
	return y;
}

/* The first n < VW elements, as a mask leaves them: memory past them is not touched. */
static inline vf vf_load_part(const float *p, size_t n)
{
	vf y = {0};
	for (size_t i = 0; i < n; i++)
		y[i] = p[i];
	return y;
}

static inline void vf_store_part(float *p, vf v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = v[i];
}

static inline float vf_sum(vf v) /* halves onto halves */
{
	for (int half = VW / 2; half > 0; half /= 2)
		for (int i = 0; i < half; i++)
			v[i] += v[i + half];
	return v[0];
}

static inline vf vf_half(const uint8_t *p) /* VW binary16 numbers */
{
	vf y;
	ul_dequantize(UL_F16, p, (float *)&y, VW);
	return y;
}

static inline vf vf_brain(const uint8_t *p) /* VW bfloat16 numbers */
{
	vf y;
	ul_dequantize(UL_BF16, p, (float *)&y, VW);
	return y;
}

static inline vf vf_halves(const uint8_t *p) /* one binary16 number in every lane */
{
	float h;
	ul_dequantize(UL_F16, p, &h, 1);
	return h - (vf){0};
}

static inline vf vf_bytes(const uint8_t *p) /* VW signed bytes as floats */
{
	vf y = {0};
	EACH_LANE(i)
	y[i] = (float)(int8_t)p[i];
	return y;
}

INLINE void vf_look_up(const uint8_t *p, vf table, vf v[2]) /* table[the low nibble of each of 16 bytes], then of the high ones */
{
	EACH_LANE(i)
	{
		v[0][i] = table[p[i] & 15];
		v[1][i] = table[p[i] >> 4];
	}
}

INLINE void vf_transpose_8(float *to, size_t ldto, const float *from, size_t ldfrom)
{
	for (size_t p = 0; p < 8; p++)
		for (size_t j = 0; j < 8; j++)
			to[p * ldto + j] = from[j * ldfrom + p];
}
