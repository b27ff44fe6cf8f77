/*
 * kern_tiles.h: matrix products of one thread from factors rounded to bfloat16 and summed in float; for vectors of 16 only.
 *
 * `one`: every factor is rounded to 8 bits, so that a product of two is off by at most 2^-7 + 2^-16 of itself. `three`: x = hi + lo
 * up to 2^-16 |x|, and hi·hi' + lo·hi' + hi·lo' leaves out lo·lo', so that it is off by at most 3 · 2^-16 (about 4e-6 of the length of
 * a row of C on average, since these errors have no sign in common). An infinite factor gives NaN in `three`.
 *
 * Blocks as in kern_gemm.h, with other sizes: panels of B, SIDE columns, take 32 KB and stay in L1; A is packed in chunks of
 * CHUNK rows that stay in L2. Edges are zeros. A word pairs numbers k and k + 16 of 32, which both factors may agree upon, since vectors
 * then become words without a shuffle. Bits do not depend on how C is cut: a number of C is summed in the order of k alone.
 */
enum { CHUNK = 256,
	PANEL_FLOATS = 32768 / 4, /* of B: words of one product, or of hi and lo over half the depth */
	TILES_FLOATS = (CHUNK / SIDE + 1) * PANEL_FLOATS + SIDE * SIDE + SIDE * TILE_DEPTH };

/* A factor as its panels see it: number p of line r is from[r · ld + p], or from[p · ld + r] where k runs down. */
struct factor {
	const float *from;
	size_t ld;
	bool down;
	int lines, depth;
};

/* Rounded to bfloat16, to nearest, in the high half of each lane; what would become infinite is cut instead, and NaN stays NaN. */
static inline vu brains(vf x)
{
	vu bits = (vu)x, magnitude = bits & 0x7fffffff;
	vu large = (vu)(magnitude >= 0x7f7f8000), nan = (vu)(magnitude > 0x7f800000);
	vu round = bits + 0x7fff + (bits >> 16 & 1), cut = bits | (nan & 0x00400000);

	return ((large & cut) | (~large & round)) & 0xffff0000;
}

static inline void put_words(float *to, vu first, vu second)
{
	vf_store(to, (vf)(first >> 16 | second));
}

/* Up to 16 numbers from number p of a line on: along it, or where k runs down the same number of the lines behind it. Zeros past edges. */
static inline vf numbers(const struct factor *f, int line, int p)
{
	int n = f->down ? f->lines - line : f->depth - p;
	const float *from = f->from;

	if (line >= f->lines || p >= f->depth)
		return (vf){0};
	from += f->down ? (size_t)p * f->ld + (size_t)line : (size_t)line * f->ld + (size_t)p;
	return n >= VW ? vf_load(from) : vf_load_part(from, (size_t)n);
}

/* The words of 16 lines from r on, 32 deep from p on: line by line, or word by word where k runs down. */
INLINE void words(float *hi, float *lo, const struct factor *f, int r, int p, bool three)
{
	for (int i = 0; i < TILE; i++, hi += TILE, lo += TILE) {
		vf x = f->down ? numbers(f, r, p + i) : numbers(f, r + i, p);
		vf z = f->down ? numbers(f, r, p + i + TILE) : numbers(f, r + i, p + TILE);
		vu first = brains(x), second = brains(z);
		put_words(hi, first, second);
		if (three)
			put_words(lo, brains(x - (vf)first), brains(z - (vf)second));
	}
}

/* One step of a panel, SIDE lines from r on and TILE_DEPTH deep from p on: two tiles of hi, and with three two of lo. Rows of tiles
 * are lines for A and words for B. */
INLINE void pack_step(float *to, const struct factor *f, int r, int p, bool is_b, bool three)
{
	float hi[TILE_WORDS], lo[TILE_WORDS];

	for (int t = 0; t < 2; t++, to += TILE_WORDS) {
		if (f->down == is_b) {
			words(to, to + 2 * TILE_WORDS, f, r + t * TILE, p, three);
			continue;
		}
		words(hi, lo, f, r + t * TILE, p, three);
		turn(to, TILE, hi, TILE, TILE, TILE);
		if (three)
			turn(to + 2 * TILE_WORDS, TILE, lo, TILE, TILE, TILE);
	}
}

/* Weights as a file stores them: the same step from columns r … and depth p …, unpacked into room [SIDE, TILE_DEPTH] first. */
INLINE void pack_packed_step(float *to, const ul_gemm *g, int r, int p, bool three, float *room)
{
	size_t bytes = ul_dtype_bytes(g->b_as, (size_t)g->ldb);
	int lines = g->n - r < SIDE ? g->n - r : SIDE, depth = g->k - p < TILE_DEPTH ? g->k - p : TILE_DEPTH;
	int rows = g->tb ? lines : depth, cols = g->tb ? depth : lines, row = g->tb ? r : p, col = g->tb ? p : r;
	struct factor f = {room, TILE_DEPTH, !g->tb, lines, depth};

	for (int i = 0; i < rows; i++)
		unpack(g->b_as, (const uint8_t *)g->b + (size_t)(row + i) * bytes, (size_t)col, (size_t)cols, room + (size_t)i * TILE_DEPTH);
	pack_step(to, &f, 0, 0, true, three);
}

/* c = the square of C that two panels make */
INLINE void by_tiles(const float *a, const float *b, int steps, bool three, float *c)
{
	tiles t;

	tiles_zero(&t);
	for (int s = 0; s < steps; s++, a += 2 * TILE_WORDS, b += 2 * TILE_WORDS) {
		if (three) { /* the small ones first */
			tiles_load_a(&t, a + 2 * TILE_WORDS);
			tiles_load_b(&t, b);
			tiles_dot(&t);
		}
		tiles_load_a(&t, a);
		if (!three)
			tiles_load_b(&t, b);
		tiles_dot(&t);
		if (three) {
			tiles_load_b(&t, b += 2 * TILE_WORDS);
			tiles_dot(&t);
			a += 2 * TILE_WORDS;
		}
	}
	tiles_store(&t, c);
}

/* The same with vectors: 8 rows of C at once. `three` is not for them: they would be slower than products of floats. */
static void by_vectors(const float *a, const float *b, int steps, float *c)
{
	for (int i = 0; i < SIDE; i += 8) {
		vf acc[8][2];
		const float *rows = a + (size_t)(i / TILE * TILE_WORDS + i % TILE * TILE), *col = b;
		_Pragma("GCC unroll 8") for (int q = 0; q < 8; q++) acc[q][0] = acc[q][1] = (vf){0};
		for (int s = 0; s < steps; s++, rows += 2 * TILE_WORDS, col += 2 * TILE_WORDS)
			for (int l = 0; l < TILE; l++) {
				vu b0 = (vu)vf_load(col + (size_t)l * TILE), b1 = (vu)vf_load(col + TILE_WORDS + (size_t)l * TILE);
				_Pragma("GCC unroll 8") for (int q = 0; q < 8; q++)
				{
					uint32_t word;
					memcpy(&word, rows + (size_t)q * TILE + l, sizeof word);
					acc[q][0] = vf_dot_words(acc[q][0], word - (vu){0}, b0);
					acc[q][1] = vf_dot_words(acc[q][1], word - (vu){0}, b1);
				}
			}
		_Pragma("GCC unroll 8") for (int q = 0; q < 8; q++)
		{
			vf_store(c + (i + q) * SIDE, acc[q][0]);
			vf_store(c + (i + q) * SIDE + TILE, acc[q][1]);
		}
	}
}

static void put_square(const ul_gemm *g, int i, int j, const float *c, double beta)
{
	int rows = g->m - i < SIDE ? g->m - i : SIDE, cols = g->n - j < SIDE ? g->n - j : SIDE;
	struct tile t = {(float *)g->c + (size_t)i * (size_t)g->ldc + j, (size_t)g->ldc, rows, cols, (float)g->alpha, (float)beta};

	for (int r = 0; r < rows; r++)
		for (int v = 0; v < SIDE; v += VW)
			put_vector(t.c + (size_t)r * t.ldc + v, vf_load(c + r * SIDE + v), &t, cols - v);
}

enum way { ONE,
	THREE,
	VECTORS };

/* A chunk of A against all of B over one block of the depth. */
INLINE void over_chunk(const ul_gemm *g, enum way way, int i, int p, int k, float *work)
{
	bool three = way == THREE;
	int steps = (k + TILE_DEPTH - 1) / TILE_DEPTH, step = (three ? 4 : 2) * TILE_WORDS, end = g->m - i < CHUNK ? g->m : i + CHUNK;
	float *chunk = work, *panel = work + (CHUNK / SIDE) * PANEL_FLOATS, *c = panel + PANEL_FLOATS, *room = c + SIDE * SIDE;
	struct factor a = {g->a, (size_t)g->lda, g->ta, g->m, p + k}, b = {g->b, (size_t)g->ldb, !g->tb, g->n, p + k};

	for (int r = i; r < end; r += SIDE)
		for (int s = 0; s < steps; s++)
			pack_step(chunk + ((size_t)(r - i) / SIDE * (size_t)steps + (size_t)s) * (size_t)step, &a, r, p + s * TILE_DEPTH, false, three);
	for (int j = 0; j < g->n; j += SIDE) {
		for (int s = 0; s < steps; s++)
			if (g->b_as == UL_F32)
				pack_step(panel + (size_t)s * (size_t)step, &b, j, p + s * TILE_DEPTH, true, three);
			else
				pack_packed_step(panel + (size_t)s * (size_t)step, g, j, p + s * TILE_DEPTH, three, room);
		for (int r = i; r < end; r += SIDE) {
			const float *rows = chunk + (size_t)(r - i) / SIDE * (size_t)steps * (size_t)step;
			if (way == VECTORS)
				by_vectors(rows, panel, steps, c);
			else
				by_tiles(rows, panel, steps, three, c);
			put_square(g, r, j, c, p ? 1 : g->beta);
		}
	}
}

INLINE void by_words(const ul_gemm *g, enum way way, float *work)
{
	int most = PANEL_FLOATS / (way == THREE ? 4 : 2) / TILE_WORDS * TILE_DEPTH, kc = evenly(g->k, most, TILE_DEPTH);

	if (way != VECTORS)
		tiles_begin();
	for (int i = 0; i < g->m; i += CHUNK)
		for (int p = 0; p < g->k; p += kc)
			over_chunk(g, way, i, p, g->k - p < kc ? g->k - p : kc, work);
	if (way != VECTORS)
		tiles_end();
}

static size_t tiles_work(void)
{
	return TILES_FLOATS * sizeof(float);
}

static void tiles_one(const ul_gemm *g, float *work)
{
	by_words(g, ONE, work);
}

static void tiles_three(const ul_gemm *g, float *work)
{
	by_words(g, THREE, work);
}

static void words_one(const ul_gemm *g, float *work)
{
	by_words(g, VECTORS, work);
}
