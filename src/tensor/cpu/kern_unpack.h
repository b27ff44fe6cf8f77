/*
 * kern_unpack.h: weights as files store them, made floats on the way into a product. The same operations in the same order as
 * ul_dequantize, so that no bit depends on where a weight was unpacked. A template over the vector width.
 */

#if UL_ISA >= 256
enum { PER = 32 / VW }; /* vectors of a block */

INLINE void read_q8_0(const uint8_t *p, vf v[PER])
{
	vf d = vf_halves(p);

	for (int i = 0; i < PER; i++)
		v[i] = vf_bytes(p + 2 + i * VW) * d;
}

#if UL_ISA == 512
/* What each of the 16 nibbles stands for is computed once and looked up. */
INLINE void read_q4_0(const uint8_t *p, vf v[PER])
{
	const vf values = {-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7};

	vf_look_up(p + 2, values * vf_halves(p), v);
}

INLINE void read_q4_1(const uint8_t *p, vf v[PER])
{
	const vf values = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

	vf_look_up(p + 4, values * vf_halves(p) + vf_halves(p + 2), v);
}
#else
INLINE void read_q4_0(const uint8_t *p, vf v[PER])
{
	vf d = vf_halves(p);

	vf_nibbles(p + 2, 8, v);
	for (int i = 0; i < PER; i++)
		v[i] = v[i] * d;
}

INLINE void read_q4_1(const uint8_t *p, vf v[PER])
{
	vf d = vf_halves(p), m = vf_halves(p + 2);

	vf_nibbles(p + 4, 0, v);
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
