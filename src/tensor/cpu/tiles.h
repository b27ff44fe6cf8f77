/*
 * tiles.h: the thin layer between products of bfloat16 and the instructions that make them. A word is two bfloat16 numbers, the
 * first in its low half; a tile is 16 rows of 16 words. tile_dot: c[i][j] += Σ over words l of both halves of a[i][l] · b[l][j].
 *
 * Intel SDM vol. 2, TDPBF16PS and VDPBF16PS: products exact, sums rounded to nearest in float, denormals taken and given as zero. In
 * a tile the first halves and the second halves are summed apart and then added to c. AMX is written in assembly: gcc 12's own
 * _tile_loadconfig loses stores in front of it. With UL_EMULATED both are plain C.
 */
enum { TILE = 16, /* rows and words */
	TILE_WORDS = TILE * TILE,
	TILE_DEPTH = 2 * TILE, /* numbers of a row */
	SIDE = 2 * TILE }; /* of the square of C that four tiles hold at once */

typedef uint32_t vu __attribute__((vector_size(64)));

/* ---- vectors: c[lane] += both halves of a · b[lane] ---- */

#ifdef UL_EMULATED
static inline vf vf_no_denormal(vf x)
{
	vu magnitude = (vu)x & 0x7fffffff;
	return vf_where((vi)(magnitude < 0x00800000), (vf)((vu)x & 0x80000000), x);
}

static inline vf vf_first(vu words)
{
	return vf_no_denormal((vf)(words << 16));
}

static inline vf vf_second(vu words)
{
	return vf_no_denormal((vf)(words & 0xffff0000));
}
#endif

static inline vf vf_dot_words(vf c, vu a, vu b)
{
#ifdef UL_EMULATED
	c = vf_no_denormal(c + vf_second(a) * vf_second(b));
	return vf_no_denormal(c + vf_first(a) * vf_first(b));
#else
	__asm__("vdpbf16ps %2, %1, %0"
	        : "+v"(c)
	        : "v"(a), "v"(b));
	return c;
#endif
}

/* ---- tiles: 0 to 3 hold C, 4 and 5 A, 6 and 7 B ---- */

#ifdef UL_EMULATED
typedef struct tiles {
	vu row[8][TILE];
} tiles;

static void tiles_begin(void)
{
}

static void tiles_end(void)
{
}

static inline void tiles_zero(tiles *t)
{
	memset(t->row, 0, 4 * sizeof t->row[0]);
}

static inline void tiles_load(tiles *t, int first, const float *p) /* two tiles, one behind the other */
{
	memcpy(t->row[first], p, 2 * sizeof t->row[0]);
}

static void tile_dot(tiles *t, int c, int a, int b)
{
	vf first_b[TILE], second_b[TILE];

	for (int l = 0; l < TILE; l++) {
		first_b[l] = vf_first(t->row[b][l]);
		second_b[l] = vf_second(t->row[b][l]);
	}
	for (int i = 0; i < TILE; i++) {
		vf first_a = vf_first(t->row[a][i]), second_a = vf_second(t->row[a][i]), first = {0}, second = {0}, old = (vf)t->row[c][i];
		for (int l = 0; l < TILE; l++) {
			first = vf_no_denormal(first + vf_set(first_a[l]) * first_b[l]);
			second = vf_no_denormal(second + vf_set(second_a[l]) * second_b[l]);
		}
		t->row[c][i] = (vu)vf_no_denormal(old + vf_no_denormal(first + second));
	}
}

static inline void tiles_dot(tiles *t)
{
	for (int c = 0; c < 4; c++)
		tile_dot(t, c, 4 + c / 2, 6 + c % 2);
}

static inline void tiles_store(const tiles *t, float *to)
{
	for (int c = 0; c < 4; c++)
		for (int i = 0; i < TILE; i++)
			memcpy(to + (c / 2 * TILE + i) * SIDE + c % 2 * TILE, &t->row[c][i], sizeof t->row[c][i]);
}
#define tiles_load_a(t, p) tiles_load(t, 4, p)
#define tiles_load_b(t, p) tiles_load(t, 6, p)

#else
typedef struct tiles {
	char none; /* they are the processor's */
} tiles;

/* Of the calling thread, until tiles_end. */
static void tiles_begin(void)
{
	struct {
		uint8_t palette, start_row, reserved[14];
		uint16_t row_bytes[16];
		uint8_t rows[16];
	} config = {.palette = 1};

	for (int i = 0; i < 8; i++) {
		config.row_bytes[i] = TILE * sizeof(float);
		config.rows[i] = TILE;
	}
	__asm__ volatile("ldtilecfg %0" ::"m"(config));
}

static void tiles_end(void)
{
	__asm__ volatile("tilerelease" ::);
}

#define TILE_LOAD(how, n, p) __asm__ volatile(how " (%0,%1,1), %%tmm" n ::"r"(p), "r"(TILE * sizeof(float)) \
	                                      : "memory")
#define TILE_STORE(n, p) __asm__ volatile("tilestored %%tmm" n ", (%0,%1,1)" ::"r"(p), "r"(SIDE * sizeof(float)) \
	                                  : "memory")
#define TILE_DOT(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" b ", %%tmm" a ", %%tmm" c ::)

static inline void tiles_zero(tiles *t)
{
	__asm__ volatile("tilezero %%tmm0\n\ttilezero %%tmm1\n\ttilezero %%tmm2\n\ttilezero %%tmm3" ::);
}

INLINE void tiles_load_a(tiles *t, const float *p) /* two tiles, one behind the other; not kept in the caches, where B stays */
{
	TILE_LOAD("tileloaddt1", "4", p);
	TILE_LOAD("tileloaddt1", "5", p + TILE_WORDS);
}

INLINE void tiles_load_b(tiles *t, const float *p)
{
	TILE_LOAD("tileloadd", "6", p);
	TILE_LOAD("tileloadd", "7", p + TILE_WORDS);
}

INLINE void tiles_dot(tiles *t)
{
	TILE_DOT("0", "4", "6");
	TILE_DOT("1", "4", "7");
	TILE_DOT("2", "5", "6");
	TILE_DOT("3", "5", "7");
}

INLINE void tiles_store(const tiles *t, float *to)
{
	TILE_STORE("0", to);
	TILE_STORE("1", to + TILE);
	TILE_STORE("2", to + TILE * SIDE);
	TILE_STORE("3", to + TILE * SIDE + TILE);
}
#endif
