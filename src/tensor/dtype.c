/*
 * dtype.c: how numbers lie in files. Dequantisation of ggml's block formats as its reference code does it: the same float
 * operations in the same order, so that every bit agrees. Blocks are little-endian and unaligned.
 */
#include "tensor/tensor.h"

#include <math.h>
#include <string.h>

static const struct {
	const char *name;
	unsigned short block, bytes; /* elements and bytes of one block */
} dtypes[UL_DTYPES] = {
        [UL_F32] = {"F32", 1, 4},
        [UL_F16] = {"F16", 1, 2},
        [UL_BF16] = {"BF16", 1, 2},
        [UL_F64] = {"F64", 1, 8},
        [UL_Q8_0] = {"Q8_0", 32, 34},
        [UL_Q4_0] = {"Q4_0", 32, 18},
        [UL_Q4_1] = {"Q4_1", 32, 20},
        [UL_Q5_0] = {"Q5_0", 32, 22},
        [UL_Q5_1] = {"Q5_1", 32, 24},
        [UL_Q4_K] = {"Q4_K", 256, 144},
        [UL_Q5_K] = {"Q5_K", 256, 176},
        [UL_Q6_K] = {"Q6_K", 256, 210},
};

const char *ul_dtype_name(enum ul_dtype t)
{
	return dtypes[t].name;
}

size_t ul_dtype_block(enum ul_dtype t)
{
	return dtypes[t].block;
}

size_t ul_dtype_bytes(enum ul_dtype t, size_t n)
{
	return n / dtypes[t].block * dtypes[t].bytes;
}

/* ---- 16-bit floats ---- */

static float from_bits(uint32_t u)
{
	float f;
	memcpy(&f, &u, sizeof f);
	return f;
}

static uint32_t to_bits(float f)
{
	uint32_t u;
	memcpy(&u, &f, sizeof u);
	return u;
}

static uint16_t read16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static void write16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static float half_to_float(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 0x3ff;

	if (exponent == 31)
		return from_bits(sign | 0x7f800000 | mantissa << 13);
	if (exponent == 0) /* subnormal: mantissa · 2^-24, exact in float */
		return from_bits(sign | to_bits((float)mantissa * 0x1p-24f));
	return from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}

/* Round to nearest, ties to even. */
static uint16_t float_to_half(float f)
{
	uint32_t u = to_bits(f), mag = u & 0x7fffffff;
	uint16_t sign = (uint16_t)(u >> 16 & 0x8000);

	if (mag > 0x7f800000)
		return (uint16_t)(sign | 0x7e00 | (mag >> 13 & 0x1ff)); /* NaN stays NaN, quiet */
	if (mag >= 0x477ff000)
		return sign | 0x7c00; /* 65520 and above round to infinity */
	if (mag < 0x38800000) /* below 2^-14: adding 0.5 leaves mantissa · 2^-24 in the low bits, rounded by the hardware */
		return (uint16_t)(sign | (to_bits(from_bits(mag) + 0.5f) - 0x3f000000));
	mag += 0xfff + (mag >> 13 & 1);
	return (uint16_t)(sign | ((mag >> 13) - (112 << 10)));
}

static uint16_t float_to_bfloat(float f)
{
	uint32_t u = to_bits(f);

	if ((u & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(u >> 16 | 64);
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/* ---- blocks of 32: scale d, perhaps offset m, then packed integers; low nibbles are the first half ---- */

static void read_q8_0(const uint8_t *p, float *y)
{
	float d = half_to_float(read16(p));

	for (int i = 0; i < 32; i++)
		y[i] = (float)(int8_t)p[2 + i] * d;
}

static void read_q4_0(const uint8_t *p, float *y)
{
	float d = half_to_float(read16(p));

	for (int i = 0; i < 16; i++) {
		y[i] = (float)((p[2 + i] & 15) - 8) * d;
		y[i + 16] = (float)((p[2 + i] >> 4) - 8) * d;
	}
}

static void read_q4_1(const uint8_t *p, float *y)
{
	float d = half_to_float(read16(p)), m = half_to_float(read16(p + 2));

	for (int i = 0; i < 16; i++) {
		y[i] = (float)(p[4 + i] & 15) * d + m;
		y[i + 16] = (float)(p[4 + i] >> 4) * d + m;
	}
}

/* The fifth bits of all 32 integers lie together in four bytes. */
static int fifth(const uint8_t *high, int i)
{
	return (high[i >> 3] >> (i & 7) & 1) << 4;
}

static void read_q5_0(const uint8_t *p, float *y)
{
	float d = half_to_float(read16(p));

	for (int i = 0; i < 16; i++) {
		y[i] = (float)(((p[6 + i] & 15) | fifth(p + 2, i)) - 16) * d;
		y[i + 16] = (float)((p[6 + i] >> 4 | fifth(p + 2, i + 16)) - 16) * d;
	}
}

static void read_q5_1(const uint8_t *p, float *y)
{
	float d = half_to_float(read16(p)), m = half_to_float(read16(p + 2));

	for (int i = 0; i < 16; i++) {
		y[i] = (float)((p[8 + i] & 15) | fifth(p + 4, i)) * d + m;
		y[i + 16] = (float)(p[8 + i] >> 4 | fifth(p + 4, i + 16)) * d + m;
	}
}

/* ---- super-blocks of 256: eight groups of 32 whose own scales and offsets are 6-bit integers ---- */

static void group_scale(const uint8_t *q, int j, int *scale, int *offset)
{
	if (j < 4) {
		*scale = q[j] & 63;
		*offset = q[j + 4] & 63;
	} else {
		*scale = (q[j + 4] & 15) | q[j - 4] >> 6 << 4;
		*offset = q[j + 4] >> 4 | q[j] >> 6 << 4;
	}
}

/* high = NULL for Q4_K; for Q5_K bit j of its byte i is the fifth bit of element i of group j. */
static void read_q45_k(const uint8_t *p, const uint8_t *high, const uint8_t *q, float *y)
{
	float d = half_to_float(read16(p)), dmin = half_to_float(read16(p + 2));

	for (int j = 0; j < 8; j++) {
		int scale, offset, shift = (j & 1) * 4;
		group_scale(p + 4, j, &scale, &offset);
		float d1 = d * (float)scale, m1 = dmin * (float)offset;
		for (int i = 0; i < 32; i++) {
			int v = q[i + j / 2 * 32] >> shift & 15;
			if (high)
				v |= (high[i] >> j & 1) << 4;
			y[j * 32 + i] = d1 * (float)v - m1;
		}
	}
}

static void read_q4_k(const uint8_t *p, float *y)
{
	read_q45_k(p, NULL, p + 16, y);
}

static void read_q5_k(const uint8_t *p, float *y)
{
	read_q45_k(p, p + 16, p + 48, y);
}

static void read_q6_k(const uint8_t *p, float *y)
{
	const uint8_t *low = p, *high = p + 128;
	const int8_t *scale = (const int8_t *)p + 192;
	float d = half_to_float(read16(p + 208));

	for (int half = 0; half < 2; half++, low += 64, high += 32, scale += 8, y += 128)
		for (int g = 0; g < 4; g++) /* four groups of 32 share the bytes of one half */
			for (int i = 0; i < 32; i++) {
				int nibble = low[i + (g & 1) * 32] >> (g / 2 * 4) & 15, top = high[i] >> (2 * g) & 3;
				y[g * 32 + i] = d * (float)scale[i / 16 + 2 * g] * (float)((nibble | top << 4) - 32);
			}
}

/* ---- the two doors ---- */

void ul_dequantize(enum ul_dtype t, const void *src, float *dst, size_t n)
{
	static void (*const read_block[UL_DTYPES])(const uint8_t *, float *) = {
	        [UL_Q8_0] = read_q8_0,
	        [UL_Q4_0] = read_q4_0,
	        [UL_Q4_1] = read_q4_1,
	        [UL_Q5_0] = read_q5_0,
	        [UL_Q5_1] = read_q5_1,
	        [UL_Q4_K] = read_q4_k,
	        [UL_Q5_K] = read_q5_k,
	        [UL_Q6_K] = read_q6_k,
	};
	const uint8_t *p = src;

	if (t == UL_F32) {
		memcpy(dst, src, n * sizeof *dst);
	} else if (t == UL_F64) {
		for (size_t i = 0; i < n; i++) {
			double v;
			memcpy(&v, p + 8 * i, sizeof v);
			dst[i] = (float)v;
		}
	} else if (t == UL_F16) {
		for (size_t i = 0; i < n; i++)
			dst[i] = half_to_float(read16(p + 2 * i));
	} else if (t == UL_BF16) {
		for (size_t i = 0; i < n; i++)
			dst[i] = from_bits((uint32_t)read16(p + 2 * i) << 16);
	} else {
		size_t block = dtypes[t].block, bytes = dtypes[t].bytes;
		UL_ASSERT(n % block == 0, "%zu elements of %s", n, dtypes[t].name);
		for (size_t i = 0; i < n / block; i++)
			read_block[t](p + i * bytes, dst + i * block);
	}
}

static void write_q8_0(const float *x, uint8_t *p)
{
	float most = 0;

	for (int i = 0; i < 32; i++)
		most = fmaxf(most, fabsf(x[i]));
	float d = most / 127, inverse = d != 0 ? 1 / d : 0;
	write16(p, float_to_half(d));
	for (int i = 0; i < 32; i++)
		p[2 + i] = (uint8_t)(int8_t)roundf(x[i] * inverse);
}

void ul_quantize(enum ul_dtype t, const float *src, void *dst, size_t n)
{
	uint8_t *p = dst;

	switch (t) {
	case UL_F32:
		memcpy(dst, src, n * sizeof *src);
		break;
	case UL_F16:
		for (size_t i = 0; i < n; i++)
			write16(p + 2 * i, float_to_half(src[i]));
		break;
	case UL_BF16:
		for (size_t i = 0; i < n; i++)
			write16(p + 2 * i, float_to_bfloat(src[i]));
		break;
	case UL_Q8_0:
		UL_ASSERT(n % 32 == 0, "%zu elements of Q8_0", n);
		for (size_t i = 0; i < n / 32; i++)
			write_q8_0(src + i * 32, p + i * 34);
		break;
	default:
		UL_ASSERT(false, "writing %s is not supported", dtypes[t].name);
	}
}
