/*
 * kern_few.h: x Wᵀ for a few rows of x, as in decoding: the weights are read once, where they lie. A template over the vector width.
 *
 * Up to UL_FEW_ALONE rows of x the columns of a row of W run in SUMS sums of vectors, which hide the latency of adding; floats are read
 * one row after the other, so that each thread follows a single stream, which the hardware fetches as fast as memory gives. With
 * more rows x is turned and its rows are the lanes of a vector: no sums across lanes, and a weight is broadcast from where it lies.
 */

enum { SUMS = 4,
	STEP = SUMS * VW, /* columns of one turn */
	AHEAD = 1024, /* bytes that fetching runs ahead within the stream: the hardware alone is a little slower */
	FOURS = UL_FEW_ALONE,
	COMPANY = VW == 16 ? 4 : 2, /* rows of packed W that one row of x meets at once, because unpacking them takes its time */
	ROWS_AHEAD = 12, /* rows that fetching runs ahead then: so many streams are too short for the hardware to follow */
	LANE_VECTORS = UL_FEW_LANES / VW,
	TALL = 8 / LANE_VECTORS }; /* rows of W at once with lanes: eight sums keep both multipliers busy */

/* ---- rows of x alone ---- */

/* Chains, then lanes, then columns past the last whole vector, which begin at p. */
INLINE float total(const vf acc[SUMS], const float *x, const float *w, int p, int k)
{
	float sum = vf_sum((acc[0] + acc[1]) + (acc[2] + acc[3]));

	for (; p < k; p++)
		sum += x[p] * w[p];
	return sum;
}

/* to[i · UL_FEW_WIDE] = x_i · w for m rows of x, m a constant */
INLINE void dots(const ul_gemm *g, int m, const float *w, float *to)
{
	const float *x = g->a;
	size_t ldx = (size_t)g->lda;
	vf acc[FOURS][SUMS];
	int p = 0;

	for (int i = 0; i < m; i++)
		for (int c = 0; c < SUMS; c++)
			acc[i][c] = (vf){0};
	for (; p + STEP <= g->k; p += STEP)
		_Pragma("GCC unroll 4") for (int c = 0; c < SUMS; c++)
		{
			vf b = vf_load(w + p + c * VW);
			__builtin_prefetch((const char *)(w + p + c * VW) + AHEAD);
			_Pragma("GCC unroll 4") for (int i = 0; i < m; i++)
			        acc[i][c] = vf_fma(vf_load(x + (size_t)i * ldx + p + c * VW), b, acc[i][c]);
		}
	_Pragma("GCC unroll 4") for (int c = 0; c < SUMS - 1; c++)
	{
		if (p + VW > g->k)
			break;
		for (int i = 0; i < m; i++)
			acc[i][c] = vf_fma(vf_load(x + (size_t)i * ldx + p), vf_load(w + p), acc[i][c]);
		p += VW;
	}
	for (int i = 0; i < m; i++)
		to[(size_t)i * UL_FEW_WIDE] = total(acc[i], x + (size_t)i * ldx, w, p, g->k);
}

INLINE const float *row_of_x(const ul_gemm *g, int i)
{
	return (const float *)g->a + (size_t)i * (size_t)g->lda;
}

/* m rows of x with `rows` rows of packed W, both constants, unpacked in registers; the sums run as above. k is a multiple of 32, of which a
 * turn takes as many as there are sums for. */
#define PACKED_DOTS(type, bytes, read)                                                                                                                         \
	case type:                                                                                                                                             \
		for (int p = 0; p < g->k; p += STEP, w += STEP / 32 * (bytes))                                                                                 \
			_Pragma("GCC unroll 2") for (int c = 0; c < SUMS; c += PER)                                                                            \
			        _Pragma("GCC unroll 4") for (int j = 0; j < rows; j++)                                                                         \
			{                                                                                                                                      \
				const uint8_t *from = w + (size_t)j * step + c / PER * (bytes);                                                                \
				vf v[PER];                                                                                                                     \
				if (c && p + c * VW >= g->k)                                                                                                   \
					break;                                                                                                                 \
				__builtin_prefetch(from + (rows > 1 ? ROWS_AHEAD * step : AHEAD));                                                             \
				read(from, v);                                                                                                                 \
				_Pragma("GCC unroll 4") for (int i = 0; i < m; i++)                                                                            \
				        _Pragma("GCC unroll 4") for (int u = 0; u < PER; u++)                                                                  \
				                acc[i * rows + j][c + u] = vf_fma(vf_load(row_of_x(g, i) + p + (c + u) * VW), v[u], acc[i * rows + j][c + u]); \
			}                                                                                                                                      \
		break;

INLINE bool packed_dots(const ul_gemm *g, int m, int rows, const uint8_t *w, size_t step, float *to)
{
	vf acc[FOURS][SUMS]; /* [m, rows] */

	for (int i = 0; i < m * rows; i++)
		for (int c = 0; c < SUMS; c++)
			acc[i][c] = (vf){0};
	switch (g->b_as) {
		PACKED_FORMATS(PACKED_DOTS)
	default:
		return false;
	}
	for (int i = 0; i < m; i++)
		for (int j = 0; j < rows; j++)
			to[(size_t)i * UL_FEW_WIDE + (size_t)j] = total(acc[i * rows + j], row_of_x(g, i), NULL, 0, 0);
	return true;
}

/* Row j of the weights as floats: where it lies, or unpacked into room [k]. */
static const float *row_of(const ul_gemm *g, size_t j, float *room)
{
	if (g->b_as == UL_F32)
		return (const float *)g->b + j * (size_t)g->ldb;
	unpack(g->b_as, (const uint8_t *)g->b + j * ul_dtype_bytes(g->b_as, (size_t)g->ldb), 0, (size_t)g->k, room);
	return room;
}

/* Columns j … j + n - 1 of x Wᵀ into `to`, whose rows are UL_FEW_WIDE long; m = g->m, a constant. */
INLINE void alone(const ul_gemm *g, int m, size_t j, size_t n, float *to)
{
	float room[UL_FEW_DEEP];
	size_t q = 0, bytes = ul_dtype_bytes(g->b_as, (size_t)g->ldb);
	const uint8_t *w = (const uint8_t *)g->b + j * bytes;
	bool packed = g->b_as != UL_F32 && g->k % 32 == 0;

	for (; packed && m == 1 && q + COMPANY <= n; q += packed ? COMPANY : 0)
		packed = packed_dots(g, m, m == 1 ? COMPANY : 1, w + q * bytes, bytes, to + q);
	for (; packed && q < n; q += packed)
		packed = packed_dots(g, m, 1, w + q * bytes, bytes, to + q);
	for (; q < n; q++)
		dots(g, m, row_of(g, j + q, room), to + q);
}

static void rows_alone(const ul_gemm *g, size_t j, size_t n, float *to)
{
	switch (g->m) {
	case 1:
		alone(g, 1, j, n, to);
		break;
	case 2:
		alone(g, 2, j, n, to);
		break;
	case 3:
		alone(g, 3, j, n, to);
		break;
	default:
		alone(g, FOURS, j, n, to);
		break;
	}
}

/* ---- rows of x as lanes: A lies [k, lda], zeros in the lanes past m ---- */

/* to[lane][q] for UL_FEW_LANES rows of x, from x on, and TALL rows of W. Meanwhile `bytes` are fetched from `next` on. */
static void lanes(const ul_gemm *g, const float *x, const float *const row[TALL], const char *next, size_t bytes, float *to)
{
	vf acc[TALL][LANE_VECTORS];
	float t[UL_FEW_LANES];

	_Pragma("GCC unroll 8") for (int q = 0; q < TALL; q++)
	        _Pragma("GCC unroll 4") for (int v = 0; v < LANE_VECTORS; v++) acc[q][v] = (vf){0};
	for (int p = 0; p < g->k; p++, x += g->lda) {
		vf a[LANE_VECTORS];
		if (p % 2 == 0 && (size_t)p * 32 < bytes)
			__builtin_prefetch(next + (size_t)p * 32);
		_Pragma("GCC unroll 4") for (int v = 0; v < LANE_VECTORS; v++) a[v] = vf_load(x + v * VW);
		_Pragma("GCC unroll 8") for (int q = 0; q < TALL; q++)
		{
			vf b = vf_set(row[q][p]);
			_Pragma("GCC unroll 4") for (int v = 0; v < LANE_VECTORS; v++) acc[q][v] = vf_fma(a[v], b, acc[q][v]);
		}
	}
	for (int q = 0; q < TALL; q++) {
		for (int v = 0; v < LANE_VECTORS; v++)
			vf_store(t + v * VW, acc[q][v]);
		for (int i = 0; i < UL_FEW_LANES; i++)
			to[(size_t)i * UL_FEW_WIDE + q] = t[i];
	}
}

static void rows_together(const ul_gemm *g, size_t j, size_t n, float *to)
{
	float room[TALL * UL_FEW_DEEP];
	const float *row[TALL];
	size_t bytes = ul_dtype_bytes(g->b_as, (size_t)g->ldb);

	for (size_t at = 0; at < n; at += TALL) {
		for (size_t q = 0; q < TALL; q++)
			row[q] = at + q < n ? row_of(g, j + at + q, room + q * (size_t)g->k) : row[0];
		for (int i = 0; i < g->m; i += UL_FEW_LANES)
			lanes(g, (const float *)g->a + i, row, (const char *)g->b + (j + at + TALL) * bytes, i ? 0 : TALL * bytes, to + (size_t)i * UL_FEW_WIDE + at);
	}
}

/* C is written a cache line at a time: its rows may lie a power of two apart, where lines displace one another. */
static void few_rows(const void *args, size_t lo, size_t hi)
{
	const ul_gemm *g = args;
	float alpha = (float)g->alpha, beta = (float)g->beta, tile[UL_FEW_ROWS * UL_FEW_WIDE];

	for (size_t j = lo; j < hi; j += UL_FEW_WIDE) {
		size_t n = hi - j < UL_FEW_WIDE ? hi - j : UL_FEW_WIDE;
		(g->ta ? rows_together : rows_alone)(g, j, n, tile);
		for (int r = 0; r < g->m; r++) {
			float *c = (float *)g->c + (size_t)r * (size_t)g->ldc + j;
			for (size_t q = 0; q < n; q++)
				c[q] = alpha * tile[(size_t)r * UL_FEW_WIDE + q] + (beta != 0 ? beta * c[q] : 0);
		}
	}
}
