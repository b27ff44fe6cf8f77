/*
 * weights.c: from the tensors of a checkpoint to parameters in memory.
 *
 * A float32 tensor that needs no rearranging is used where the file is mapped, and so are 16-bit and quantised ones that products read
 * as they are (ul_packs); rows that move are copied as they are. Everything else is dequantised once, in chunks of rows, by all threads. Each value is looked at on the way: a checkpoint with NaN or infinities is refused by name.
 */
#include "model/gguf.h"
#include "model/slots.h"
#include "tensor/backend.h"

#include <stdatomic.h>
#include <string.h>

enum { CHUNK = 1 << 15 };

struct source { /* where the rows of one parameter come from */
	const ul_tensor *part[3]; /* one, or a GGUF's q, k and v in place of a fused tensor */
	int parts;
	int rows, cols; /* as the file has them; a vector counts as rows of one element when rows move */
	const char *gguf; /* general.architecture or NULL */
	const ul_slot *slot;
	const ul_config *cfg;
	double shift; /* added: -1 where GGUF stores 1 + w */
};

/* ---- finding ---- */

/* A tensor by its name, or as models saved without their head (no prefix) or inside a multimodal one call it. */
static ul_tensor *find_hf(const ul_model *m, const char *name)
{
	char other[256];
	const ul_tensors *ts = &m->files->tensors;
	ul_tensor *t = ul_tensors_find(ts, name);
	size_t n = strlen(m->arch->prefix);
	const char *bare = strncmp(name, m->arch->prefix, n) ? name : name + n;
	if (!t && bare != name)
		t = ul_tensors_find(ts, bare);
	if (!t) {
		snprintf(other, sizeof other, "language_model.%s", name);
		t = ul_tensors_find(ts, other);
	}
	if (!t) {
		snprintf(other, sizeof other, "model.language_model.%s", bare);
		t = ul_tensors_find(ts, other);
	}
	return t;
}

/* blk.3.attn_qkv.weight -> blk.3.attn_q.weight and so on. */
static int find_split(const ul_model *m, const char *fused, const ul_tensor *part[3])
{
	const char *at = strstr(fused, "attn_qkv");
	for (int i = 0; at && i < 3; i++) {
		char name[192];
		snprintf(name, sizeof name, "%.*sattn_%c%s", (int)(at - fused), fused, "qkv"[i], at + strlen("attn_qkv"));
		ul_tensor *t = ul_tensors_find(&m->files->tensors, name);
		if (!t)
			return 0;
		t->used = true;
		part[i] = t;
	}
	return at ? 3 : 0;
}

static bool find(const ul_model *m, const ul_place *p, struct source *s, ul_err *err)
{
	char name[192];
	ul_tensor *t;
	if (s->gguf) {
		ul_slot_name(name, sizeof name, p->slot->gguf, p->layer);
		t = ul_tensors_find(&m->files->tensors, name);
		if (!t && (p->slot->flags & UL_SLOT_QKV) && (s->parts = find_split(m, name, s->part)))
			return true;
	} else {
		snprintf(name, sizeof name, "%s", p->name);
		t = find_hf(m, name);
		if (!t && (p->slot->flags & UL_SLOT_HEAD)) /* transformers 5 calls NeoX's embed_out so in memory, and some files do too */
			t = find_hf(m, "lm_head.weight");
		if (!t && m->cfg.tied && p->at == &m->embed) /* a tied pair may have been stored under the head's name */
			for (const ul_slot *h = m->arch->slots; h->hf && !t; h++)
				if (h->flags & UL_SLOT_HEAD)
					t = find_hf(m, h->hf);
	}
	if (!t)
		return ul_fail(err, "%s has no tensor \"%s\", which the architecture %s needs", m->path, name, m->arch->name);
	t->used = true;
	s->part[0] = t;
	s->parts = 1;
	return true;
}

/* ---- checking ---- */

static bool check_shape(const struct source *s, const ul_place *p, ul_err *err)
{
	bool vector = p->slot->flags & UL_SLOT_VECTOR, turned = !s->gguf && (p->slot->flags & UL_SLOT_TRANSPOSED);
	int64_t rows = turned ? p->cols : p->rows, cols = turned ? p->rows : p->cols;
	int64_t split = s->parts == 3 ? 3 : 1;
	if (vector)
		cols /= split;
	else
		rows /= split;
	for (int i = 0; i < s->parts; i++) {
		const ul_tensor *t = s->part[i];
		char have[96];
		ul_tensor_shape(t, have);
		if (vector && (t->dims != 1 || t->shape[0] != cols))
			return ul_fail(err, "tensor \"%s\" has shape %s, the configuration calls for [%lld]", t->name, have, (long long)cols);
		if (!vector && (t->dims != 2 || t->shape[0] != rows || t->shape[1] != cols))
			return ul_fail(err, "tensor \"%s\" has shape %s, the configuration calls for [%lld, %lld]", t->name, have, (long long)rows, (long long)cols);
		if (t->dtype == UL_DTYPES)
			return ul_fail(err, "tensor \"%s\" is stored as %s, which is not read", t->name, t->dtype_name);
	}
	return true;
}

static bool finite_f32(const float *x, size_t n)
{
	uint32_t bad = 0;
	for (size_t i = 0; i < n; i++) {
		uint32_t u;
		memcpy(&u, &x[i], sizeof u);
		bad |= (u & 0x7f800000u) == 0x7f800000u; /* exponent all ones: NaN or infinity */
	}
	return !bad;
}

static bool finite_f64(const double *x, size_t n)
{
	uint64_t bad = 0;
	for (size_t i = 0; i < n; i++) {
		uint64_t u;
		memcpy(&u, &x[i], sizeof u);
		bad |= (u & 0x7ff0000000000000u) == 0x7ff0000000000000u;
	}
	return !bad;
}

/* ---- moving ---- */

struct job { /* one parameter's values to be made, or only looked at where they are mapped */
	struct source s;
	ul_param *w;
	int step, first_chunk; /* rows of a chunk; chunks of the jobs before */
	bool turned, in_place;
	char *packed; /* rows that move are copied here; NULL where they stay in the file, or are not packed */
	atomic_bool bad;
};

struct queue {
	struct job *job;
	int n, chunks;
	size_t scratch; /* elements of the largest chunk */
};

static bool finite_16(const unsigned char *p, size_t step, size_t n, unsigned exponent)
{
	unsigned bad = 0;
	for (size_t i = 0; i < n; i++)
		bad |= ((unsigned)(p[i * step] | p[i * step + 1] << 8) & exponent) == exponent;
	return !bad;
}

/* A quantised block is finite when its scale and its offset are. */
static bool finite_packed(enum ul_dtype t, const unsigned char *p, size_t n)
{
	size_t block = ul_dtype_block(t), bytes = ul_dtype_bytes(t, block);
	bool offset = t == UL_Q4_1 || t == UL_Q5_1;
	if (block == 1)
		return finite_16(p, 2, n, t == UL_BF16 ? 0x7f80 : 0x7c00);
	return finite_16(p, bytes, n / block, 0x7c00) && (!offset || finite_16(p + 2, bytes, n / block, 0x7c00));
}

/* `n` elements of a tensor from element `at` on; at is at the beginning of a row, so that quantised blocks are whole. */
static void unpack(const ul_tensor *t, size_t at, size_t n, float *out)
{
	ul_dequantize(t->dtype, t->data + ul_dtype_bytes(t->dtype, at), out, n);
}

/* Columns [first, first + rows) of a matrix stored [in, out] become rows. */
static void unpack_turned(const struct source *s, int first, int rows, float *out, float *column)
{
	for (int c = 0; c < s->cols; c++) {
		unpack(s->part[0], (size_t)c * (size_t)s->rows + (size_t)first, (size_t)rows, column);
		for (int r = 0; r < rows; r++)
			out[(size_t)r * (size_t)s->cols + (size_t)c] = column[r];
	}
}

static void unpack_rows(const struct source *s, int row, int rows, float *out)
{
	size_t cols = (size_t)s->cols;
	if (s->parts == 1 && !ul_slot_moves(s->slot, s->gguf)) {
		unpack(s->part[0], (size_t)row * cols, (size_t)rows * cols, out);
		return;
	}
	int each = s->rows / s->parts;
	for (int i = 0; i < rows; i++) {
		int from = ul_slot_row(s->cfg, s->slot, s->gguf, row + i);
		unpack(s->part[from / each], (size_t)(from % each) * cols, cols, out + (size_t)i * cols);
	}
}

static bool convert_f32(const struct job *j, int first, int rows, float *x, float *more)
{
	const struct source *s = &j->s;
	size_t n = (size_t)rows * (size_t)s->cols;
	if (j->turned)
		unpack_turned(s, first, rows, x, more);
	else
		unpack_rows(s, first, rows, x);
	if (!finite_f32(x, n))
		return false;
	for (size_t i = 0; s->shift != 0 && i < n; i++)
		x[i] = (float)((double)x[i] + s->shift);
	j->w->be->from_f32((char *)j->w->data + (size_t)first * (size_t)s->cols * j->w->be->elem, x, n);
	return true;
}

static bool convert_f64(const struct job *j, int first, int rows, double *x)
{
	const struct source *s = &j->s;
	size_t cols = (size_t)s->cols, n = (size_t)rows * cols;
	for (size_t i = 0; i < n; i++) {
		size_t r = (size_t)first + i / cols, at = j->turned ? i % cols * (size_t)s->rows + r : r * cols + i % cols;
		memcpy(&x[i], s->part[0]->data + at * sizeof *x, sizeof *x);
		x[i] += s->shift;
	}
	if (!finite_f64(x, n))
		return false;
	j->w->be->from_f64((char *)j->w->data + (size_t)first * cols * j->w->be->elem, x, n);
	return true;
}

/* Rows as they are: checked, and copied where they move. */
static bool pack(const struct job *j, int first, int rows)
{
	const struct source *s = &j->s;
	enum ul_dtype t = s->part[0]->dtype;
	size_t cols = (size_t)s->cols, bytes = ul_dtype_bytes(t, cols);
	int each = s->rows / s->parts;
	if (!j->packed)
		return finite_packed(t, s->part[0]->data + (size_t)first * bytes, (size_t)rows * cols);
	for (int i = 0; i < rows; i++) {
		int from = ul_slot_row(s->cfg, s->slot, s->gguf, first + i);
		const unsigned char *row = s->part[from / each]->data + (size_t)(from % each) * bytes;
		if (!finite_packed(t, row, cols))
			return false;
		memcpy(j->packed + (size_t)(first + i) * bytes, row, bytes);
	}
	return true;
}

static void run_chunk(struct job *j, int chunk, double *scratch, size_t most)
{
	const struct source *s = &j->s;
	int first = (chunk - j->first_chunk) * j->step, rows = s->rows - first < j->step ? s->rows - first : j->step;
	bool ok;
	if (j->w->packed)
		ok = pack(j, first, rows);
	else if (j->in_place)
		ok = finite_f32((const float *)j->w->data + (size_t)first * (size_t)s->cols, (size_t)rows * (size_t)s->cols);
	else if (s->part[0]->dtype == UL_F64)
		ok = convert_f64(j, first, rows, scratch);
	else
		ok = convert_f32(j, first, rows, (float *)scratch, (float *)scratch + most);
	if (!ok)
		atomic_store(&j->bad, true);
}

static struct job *job_of(const struct queue *q, int chunk)
{
	int lo = 0, hi = q->n - 1;
	while (lo < hi) {
		int mid = (lo + hi + 1) / 2;
		if (q->job[mid].first_chunk <= chunk)
			lo = mid;
		else
			hi = mid - 1;
	}
	return &q->job[lo];
}

/* Everything in one parallel region: what a thread does depends on no other. */
static bool run_queue(const struct queue *q, ul_err *err)
{
	atomic_bool nomem = false;
#pragma omp parallel num_threads(ul_threads()) if (q->chunks > 16)
	{
		double *scratch = ul_malloc(q->scratch * sizeof *scratch);
		if (!scratch)
			atomic_store(&nomem, true);
#pragma omp for schedule(dynamic, 8)
		for (int i = 0; i < q->chunks; i++)
			if (scratch)
				run_chunk(job_of(q, i), i, scratch, q->scratch);
		ul_free(scratch);
	}
	if (atomic_load(&nomem))
		return ul_nomem(err, q->scratch * sizeof(double));
	for (int i = 0; i < q->n; i++)
		if (atomic_load(&q->job[i].bad))
			return ul_fail(err, "tensor \"%s\" holds NaN or infinite values", q->job[i].s.part[0]->name);
	return true;
}

static void enqueue(struct queue *q, struct job j)
{
	j.step = CHUNK / j.s.cols > 0 ? CHUNK / j.s.cols : 1;
	j.first_chunk = q->chunks;
	q->chunks += (j.s.rows + j.step - 1) / j.step;
	if ((size_t)j.step * (size_t)j.s.cols > q->scratch)
		q->scratch = (size_t)j.step * (size_t)j.s.cols;
	q->job[q->n++] = j;
}

/* A parameter over the file's own pages, floats or packed. */
static ul_param *mapped(ul_model *m, const ul_place *p, const ul_tensor *t, ul_err *err)
{
	bool packs = t->dtype != UL_F32;
	ul_param *w = ul_alloc(&m->arena, sizeof *w);
	char *name = ul_arena_strdup(&m->arena, p->name);
	if (!w || !name) {
		ul_nomem(err, sizeof *w);
		return NULL;
	}
	*w = (ul_param){.name = name, .rows = p->rows, .cols = p->cols, .data = packs ? NULL : (void *)(uintptr_t)t->data, .packed = packs ? t->data : NULL, .borrowed = true, .be = m->be};
	return w;
}

/* The same over memory of its own, for rows that move. */
static ul_param *moved(ul_model *m, const ul_place *p, struct job *j, ul_err *err)
{
	const ul_tensor *t = j->s.part[0];
	ul_param *w = mapped(m, p, t, err);
	size_t bytes = ul_dtype_bytes(t->dtype, (size_t)p->rows * (size_t)p->cols);
	j->packed = w ? ul_malloc(bytes) : NULL;
	if (!j->packed) {
		ul_nomem(err, bytes);
		return NULL;
	}
	w->packed = j->packed;
	w->borrowed = false;
	return w;
}

static bool packs(const ul_model *m, const struct job *j, const ul_place *p)
{
	const struct source *s = &j->s;
	bool alike = true;
	for (int i = 1; i < s->parts; i++)
		alike &= s->part[i]->dtype == s->part[0]->dtype;
	return alike && !j->turned && s->shift == 0 && !(p->slot->flags & UL_SLOT_VECTOR) && p->at != &m->pos_embed && ul_packs(m->be, s->part[0]->dtype, p->cols);
}

static bool make(ul_model *m, const ul_place *p, void *ud, ul_err *err)
{
	struct job j = {.s = {.gguf = m->files->gguf ? m->files->gguf->arch : NULL, .slot = p->slot, .cfg = &m->cfg, .rows = p->rows, .cols = p->cols}};
	struct source *s = &j.s;
	if (!find(m, p, s, err) || !check_shape(s, p, err))
		return false;
	const ul_tensor *t = s->part[0];
	bool moves = s->parts > 1 || ul_slot_moves(p->slot, s->gguf);
	bool host_float = m->be == &ul_backend_cpu || m->be == &ul_backend_ref; /* others cannot use a file's pages */
	j.turned = !s->gguf && (p->slot->flags & UL_SLOT_TRANSPOSED);
	s->shift = s->gguf && (p->slot->flags & UL_SLOT_PLUS_ONE_GGUF) ? -1 : 0;
	if ((moves && p->rows == 1 && ul_dtype_block(t->dtype) > 1) || (moves && t->dtype == UL_F64))
		return ul_fail(err, "tensor \"%s\" is stored as %s; F32, F16 and BF16 are read here", t->name, t->dtype_name);
	j.in_place = t->dtype == UL_F32 && host_float && !j.turned && !moves && s->shift == 0 && (uintptr_t)t->data % sizeof(float) == 0;
	if (packs(m, &j, p))
		j.w = moves ? moved(m, p, &j, err) : mapped(m, p, t, err);
	else
		j.w = j.in_place ? mapped(m, p, t, err) : ul_param_new(&m->arena, m->be, p->name, p->rows, p->cols);
	if (!j.w)
		return ul_nomem(err, (size_t)p->rows * (size_t)p->cols * m->be->elem);
	j.w->dtype = t->dtype;
	*p->at = j.w;
	if (moves && p->rows == 1) { /* a vector whose elements move */
		s->rows = p->cols;
		s->cols = 1;
	}
	enqueue(ud, j);
	return true;
}

static bool count_one(ul_model *m, const ul_place *p, void *ud, ul_err *err)
{
	++*(int *)ud;
	return true;
}

/* ---- what is left over ---- */

/* Masks and frequencies that old programs saved, the image half of a multimodal model, a second copy of a tied head. */
static bool harmless(const ul_model *m, const ul_tensor *t)
{
	static const char *const ends[] = {"rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias", NULL};
	static const char *const starts[] = {"rope_freqs.", "vision_tower.", "multi_modal_projector.", "model.vision_tower.", "model.multi_modal_projector.", NULL};
	size_t n = strlen(t->name);
	for (int i = 0; ends[i]; i++)
		if (n >= strlen(ends[i]) && !strcmp(t->name + n - strlen(ends[i]), ends[i]))
			return true;
	for (int i = 0; starts[i]; i++)
		if (!strncmp(t->name, starts[i], strlen(starts[i])))
			return true;
	for (const ul_slot *s = m->arch->slots; m->cfg.tied && s->hf; s++)
		if ((s->flags & UL_SLOT_HEAD) && (find_hf(m, s->hf) == t || !strcmp(t->name, s->gguf)))
			return true;
	return false;
}

bool ul_weights_read(ul_model *m, ul_err *err)
{
	struct queue q = {0};
	int n = 0;
	ul_slots_walk(m, count_one, &n, err);
	q.job = ul_calloc((size_t)n, sizeof *q.job);
	if (!q.job)
		return ul_nomem(err, (size_t)n * sizeof *q.job);
	bool ok = ul_slots_fill(m, make, &q, err) && run_queue(&q, err);
	ul_free(q.job);
	if (!ok)
		return false;
	for (int i = 0; i < m->files->tensors.n; i++) {
		const ul_tensor *t = &m->files->tensors.t[i];
		if (!t->used && !harmless(m, t)) {
			ul_fail(err, "%s holds a tensor \"%s\" that a %s model of this configuration does not have", m->path, t->name, m->arch->name);
			return false;
		}
	}
	return true;
}
