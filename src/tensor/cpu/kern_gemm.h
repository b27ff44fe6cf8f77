/*
 * kern_gemm.h: matrix products of one thread, a template over the vector width.
 *
 * After Goto & van de Geijn 2008: a block of B, KC x NC, is packed into panels NR wide and stays in the L2 cache; slivers of A, MR
 * rows, pass over it and stay in L1; a tile of C, MR x NR, lives in registers. A is read where it lies when its rows run along k,
 * and packed sliver by sliver when it is transposed.
 */

#if UL_ISA == 512
enum { MR = 8,
	NV = 3 };
#elif UL_ISA == 256
enum { MR = 6,
	NV = 2 };
#else
enum { MR = 4,
	NV = 2 };
#endif
enum { NR = NV * VW,
	BLOCK_ELEMS = 32, /* of quantised weights that products read */
	NB = NR % BLOCK_ELEMS == 0 ? NR : NR * 2 % BLOCK_ELEMS == 0 ? NR * 2
	                                                            : NR * 4 };

/* C tile of `rows` x `cols`, at most MR x NR: C = alpha · acc + beta · C */
struct tile {
	float *c;
	size_t ldc;
	int rows, cols;
	float alpha, beta;
};

static inline void put_vector(float *c, vf v, const struct tile *t, int n)
{
	v *= vf_set(t->alpha);
	if (n >= VW)
		vf_store(c, t->beta == 0 ? v : t->beta == 1 ? v + vf_load(c)
		                                            : vf_fma(vf_set(t->beta), vf_load(c), v));
	else if (n > 0)
		vf_store_part(c, t->beta == 0 ? v : vf_fma(vf_set(t->beta), vf_load_part(c, (size_t)n), v), (size_t)n);
}

/* The heart: acc[i][v] += a_i · b_v over k; a_i runs along row[i], or lies lda apart from step to step. */
#define MICRO(name, nv, A_AT)                                                                                          \
	static void name(const float *const *row, size_t lda, const float *b, size_t ldb, int k, const struct tile *t) \
	{                                                                                                              \
		vf acc[MR][nv];                                                                                        \
		_Pragma("GCC unroll 8") for (int i = 0; i < MR; i++)                                                   \
		        _Pragma("GCC unroll 4") for (int v = 0; v < nv; v++)                                           \
		                acc[i][v] = (vf){0};                                                                   \
		for (int i = 0; i < t->rows; i++)                                                                      \
			for (int v = 0; v < nv; v++)                                                                   \
				__builtin_prefetch(t->c + (size_t)i * t->ldc + v * VW, 1);                             \
		for (int p = 0; p < k; p++, b += ldb) {                                                                \
			vf bv[nv];                                                                                     \
			_Pragma("GCC unroll 4") for (int v = 0; v < nv; v++)                                           \
			        bv[v] = vf_load(b + v * VW);                                                           \
			_Pragma("GCC unroll 8") for (int i = 0; i < MR; i++)                                           \
			{                                                                                              \
				vf a = vf_set(A_AT);                                                                   \
				_Pragma("GCC unroll 4") for (int v = 0; v < nv; v++)                                   \
				        acc[i][v] = vf_fma(a, bv[v], acc[i][v]);                                       \
			}                                                                                              \
		}                                                                                                      \
		_Pragma("GCC unroll 8") for (int i = 0; i < MR; i++) if (i < t->rows)                                  \
		        _Pragma("GCC unroll 4") for (int v = 0; v < nv; v++)                                           \
		                put_vector(t->c + (size_t)i * t->ldc + v * VW, acc[i][v], t, t->cols - v * VW);        \
	}

MICRO(rows_1, 1, row[i][p])
MICRO(rows_2, 2, row[i][p])
MICRO(packed_1, 1, row[0][(size_t)p * lda + i])
MICRO(packed_2, 2, row[0][(size_t)p * lda + i])
#if UL_ISA == 512
MICRO(rows_3, 3, row[i][p])
MICRO(packed_3, 3, row[0][(size_t)p * lda + i])
#endif

typedef void (*micro)(const float *const *row, size_t lda, const float *b, size_t ldb, int k, const struct tile *t);

static micro micro_of(bool packed, int vectors)
{
	switch (vectors) {
	case 1:
		return packed ? packed_1 : rows_1;
#if UL_ISA == 512
	case 3:
		return packed ? packed_3 : rows_3;
#endif
	default:
		return packed ? packed_2 : rows_2;
	}
}

#if UL_ISA >= 256
/* to[p · ldto + j] = from[j · ldfrom + p] for 8 rows j and k columns p, by 8 x 8 */
static void transpose_8(float *to, size_t ldto, const float *from, size_t ldfrom, int k)
{
	int p = 0;

	for (; p + 8 <= k; p += 8)
		vf_transpose_8(to + (size_t)p * ldto, ldto, from + p, ldfrom);
	for (; p < k; p++)
		for (int j = 0; j < 8; j++)
			to[(size_t)p * ldto + (size_t)j] = from[(size_t)j * ldfrom + (size_t)p];
}
#endif

/* to[p · nr + j] = from[j · ldfrom + p] for n rows j */
static void turn(float *to, int nr, const float *from, size_t ldfrom, int k, int n)
{
	int j = 0;

#if UL_ISA >= 256
	for (; j + 8 <= n; j += 8)
		transpose_8(to + j, (size_t)nr, from + (size_t)j * ldfrom, ldfrom, k);
#endif
	for (; j < n; j++)
		for (int p = 0; p < k; p++)
			to[(size_t)p * (size_t)nr + (size_t)j] = from[(size_t)j * ldfrom + (size_t)p];
}

/* The first n < = nr of a row, then zeros; short rows: calling memcpy costs more than copying */
static inline void pack_row(float *to, const float *from, int n, int nr)
{
	for (int j = 0; j < nr; j += VW)
		vf_store(to + j, j + VW <= n ? vf_load(from + j) : j < n ? vf_load_part(from + j, (size_t)(n - j))
		                                                         : (vf){0});
}

/* Panels of nr columns: to[p · nr + j] = B[p][j], columns past the edge 0. */
static void pack_b(float *to, const float *b, size_t ldb, bool tb, int k, int n, int nr)
{
	if (!tb) {
		for (int p = 0; p < k; p++, b += ldb, to += nr)
			pack_row(to, b, n, nr);
		return;
	}
	if (n < nr)
		memset(to, 0, (size_t)k * (size_t)nr * sizeof *to);
	turn(to, nr, b, ldb, k, n);
}

/* The same from rows p … p + k - 1, columns j … j + n - 1 of packed weights, or with tb the other way round. */
struct part {
	int p, k, j, n;
};

static void pack_packed(float *to, const ul_gemm *g, struct part at, int nr, float *rows)
{
	size_t bytes = ul_dtype_bytes(g->b_as, (size_t)g->ldb);
	const uint8_t *b = g->b;

	if (!g->tb) { /* no further than this part of the columns: a thread's last one may end with the weights */
		int block = (int)ul_dtype_block(g->b_as), end = (g->n + block - 1) / block * block;
		int lo = at.j / BLOCK_ELEMS * BLOCK_ELEMS, hi = (at.j + at.n + BLOCK_ELEMS - 1) / BLOCK_ELEMS * BLOCK_ELEMS;
		hi = hi < end ? hi : end;
		for (int p = 0; p < at.k; p++, to += nr) {
			unpack(g->b_as, b + (size_t)(at.p + p) * bytes, (size_t)lo, (size_t)(hi - lo), rows);
			pack_row(to, rows + at.j - lo, at.n, nr);
		}
		return;
	}
	if (at.n < nr)
		memset(to, 0, (size_t)at.k * (size_t)nr * sizeof *to);
	for (int j = 0; j < at.n; j += 8) {
		int n = at.n - j < 8 ? at.n - j : 8;
		for (int i = 0; i < n; i++)
			unpack(g->b_as, b + (size_t)(at.j + j + i) * bytes, (size_t)at.p, (size_t)at.k, rows + (size_t)i * (size_t)at.k);
		turn(to + j, nr, rows, (size_t)at.k, at.k, n);
	}
}

/* A sliver of a transposed A: to[p · MR + i] = A[p][i]. */
INLINE void pack_a(float *to, const float *a, size_t lda, int k, int m)
{
	for (int p = 0; p < k; p++, a += lda, to += MR) {
		for (int i = 0; i < MR; i++)
			to[i] = i < m ? a[i] : 0;
	}
}

static int evenly(int n, int most, int unit) /* a part of n not above `most`, the parts alike, a multiple of unit */
{
	int parts = (n + most - 1) / most;

	return parts <= 1 ? n : ((n + parts - 1) / parts + unit - 1) / unit * unit;
}

enum { KC = 384,
	BLOCK = 384 << 10 }; /* bytes of packed B: it stays in any L2 */

/* Slivers of a transposed A are packed a few at a time, so that whole cache lines of its rows are used. */
enum { SLIVERS = 4 };

static size_t gemm_work(void)
{
	return BLOCK + (size_t)KC * (NR + SLIVERS * MR + 8) * sizeof(float);
}

/* A packed block of B in front of A: rows p … p + k - 1 of B, columns j … j + n - 1. */
struct block {
	int p, k, j, n;
	const float *b;
	float *slivers;
	size_t lda; /* of a packed or transposed sliver */
};

/* One sliver of A, its rows at row[0 … MR - 1] or packed at row[0], over the block: rows i … i + m - 1 of C. */
static void over_block(const ul_gemm *g, const struct block *bl, const float *const *row, int i, int m)
{
	const float *panel = bl->b;

	for (int j = 0; j < bl->n; j += NR) {
		int cols = bl->n - j < NR ? bl->n - j : NR, vectors = (cols + VW - 1) / VW;
		struct tile t = {(float *)g->c + (size_t)i * (size_t)g->ldc + bl->j + j, (size_t)g->ldc, m, cols, (float)g->alpha, bl->p ? 1 : (float)g->beta};
		micro_of(g->ta, vectors)(row, bl->lda, panel, (size_t)(vectors * VW), bl->k, &t);
		panel += (size_t)bl->k * (size_t)(vectors * VW);
	}
}

static void all_rows(const ul_gemm *g, const struct block *bl)
{
	const float *a = g->a;

	for (int i = 0; i < g->m; i += MR) {
		int m = g->m - i < MR ? g->m - i : MR;
		const float *row[MR];
		for (int r = 0; r < MR; r++)
			row[r] = a + (size_t)(r < m ? i + r : i) * (size_t)g->lda + bl->p;
		over_block(g, bl, row, i, m);
	}
}

static void all_columns(const ul_gemm *g, const struct block *bl) /* A is transposed */
{
	const float *a = (const float *)g->a + (size_t)bl->p * (size_t)g->lda;

	for (int i = 0; i < g->m; i += SLIVERS * MR) {
		int end = g->m - i < SLIVERS * MR ? g->m : i + SLIVERS * MR;
		float *to = bl->slivers;
		if (bl->n <= NR && end - i == SLIVERS * MR) { /* used once: read where it lies */
			struct block unpacked = *bl;
			unpacked.lda = (size_t)g->lda;
			for (int r = i; r < end; r += MR) {
				const float *from = a + r;
				over_block(g, &unpacked, &from, r, MR);
			}
			continue;
		}
		for (int r = i; r < end; r += MR, to += bl->k * MR)
			if (end - r >= MR)
				pack_a(to, a + r, (size_t)g->lda, bl->k, MR); /* a constant: whole vectors */
			else
				pack_a(to, a + r, (size_t)g->lda, bl->k, end - r);
		const float *from = bl->slivers;
		for (int r = i; r < end; r += MR, from += bl->k * MR)
			over_block(g, bl, &from, r, end - r < MR ? end - r : MR);
	}
}

static void gemm_one(const ul_gemm *g, float *work)
{
	float *slivers = work + BLOCK / sizeof(float) + (size_t)KC * NR, *rows = slivers + (size_t)KC * SLIVERS * MR;
	/* whole blocks of quantised weights, and the same cuts without, so that both give the same bits */
	int kc = evenly(g->k, KC, BLOCK_ELEMS), nc = (int)(BLOCK / sizeof(float)) / (kc > 0 ? kc : 1) / NR * NR;
	const float *b = g->b;

	if (nc > g->n)
		nc = g->n;
	else
		nc = evenly(g->n, nc, NR);
	for (int j = 0; j < g->n; j += nc)
		for (int p = 0; p < g->k; p += kc) {
			int n = g->n - j < nc ? g->n - j : nc, k = g->k - p < kc ? g->k - p : kc;
			float *panel = work;
			for (int c = 0; c < n; c += NR) {
				int cols = n - c < NR ? n - c : NR, nr = (cols + VW - 1) / VW * VW;
				if (g->b_as != UL_F32)
					pack_packed(panel, g, (struct part){p, k, j + c, cols}, nr, rows);
				else
					pack_b(panel, g->tb ? b + (size_t)(j + c) * (size_t)g->ldb + p : b + (size_t)p * (size_t)g->ldb + j + c, (size_t)g->ldb, g->tb, k, cols, nr);
				panel += (size_t)k * (size_t)nr;
			}
			struct block bl = {p, k, j, n, work, slivers, MR};
			if (g->ta)
				all_columns(g, &bl);
			else
				all_rows(g, &bl);
		}
}
