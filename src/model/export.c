/*
 * export.c: writing GGUF version 3 for llama.cpp: the architecture's keys, the tokenizer, and every tensor under ggml's name and in
 * ggml's order of rows.
 */
#include "model/gguf.h"
#include "model/slots.h"
#include "tensor/backend.h"

#include <math.h>
#include <string.h>

enum { ALIGN = 32,
	ROWS = 64 };

/* ---- keys ---- */

static void put(ul_buf *b, uint64_t x, int bytes)
{
	unsigned char le[8];
	for (int i = 0; i < bytes; i++)
		le[i] = (unsigned char)(x >> (8 * i));
	ul_buf_add(b, le, (size_t)bytes);
}

static void put_text(ul_buf *b, const char *s, size_t n)
{
	put(b, n, 8);
	ul_buf_add(b, s, n);
}

static void put_f32(ul_buf *b, double x)
{
	float f = (float)x;
	uint32_t u;
	memcpy(&u, &f, sizeof u);
	put(b, u, 4);
}

static void put_key(ul_gguf_out *o, const char *key, enum ul_gguf_type type)
{
	char full[256];
	bool own = !strncmp(key, "%s", 2);
	snprintf(full, sizeof full, "%s%s", own ? o->arch : "", own ? key + 2 : key);
	put_text(&o->kv, full, strlen(full));
	put(&o->kv, type, 4);
	o->keys++;
}

static void put_array(ul_gguf_out *o, const char *key, enum ul_gguf_type elem, size_t n)
{
	put_key(o, key, UL_GGUF_ARRAY);
	put(&o->kv, elem, 4);
	put(&o->kv, n, 8);
}

void ul_gguf_out_arch(ul_gguf_out *o, const char *arch)
{
	snprintf(o->arch, sizeof o->arch, "%s", arch);
	ul_gguf_out_str(o, "general.architecture", arch);
}

void ul_gguf_out_str(ul_gguf_out *o, const char *key, const char *s)
{
	put_key(o, key, UL_GGUF_STRING);
	put_text(&o->kv, s, strlen(s));
}

void ul_gguf_out_u32(ul_gguf_out *o, const char *key, uint32_t x)
{
	put_key(o, key, UL_GGUF_U32);
	put(&o->kv, x, 4);
}

void ul_gguf_out_f32(ul_gguf_out *o, const char *key, double x)
{
	put_key(o, key, UL_GGUF_F32);
	put_f32(&o->kv, x);
}

void ul_gguf_out_bool(ul_gguf_out *o, const char *key, bool x)
{
	put_key(o, key, UL_GGUF_BOOL);
	put(&o->kv, x, 1);
}

void ul_gguf_out_sizes(ul_gguf_out *o, const ul_config *c)
{
	ul_gguf_out_u32(o, "%s.context_length", (uint32_t)c->context);
	ul_gguf_out_u32(o, "%s.embedding_length", (uint32_t)c->hidden);
	ul_gguf_out_u32(o, "%s.block_count", (uint32_t)c->layers);
	ul_gguf_out_u32(o, "%s.feed_forward_length", (uint32_t)c->ffn);
	ul_gguf_out_u32(o, "%s.attention.head_count", (uint32_t)c->heads);
	ul_gguf_out_u32(o, "%s.attention.head_count_kv", (uint32_t)c->kv_heads);
	ul_gguf_out_u32(o, "%s.attention.key_length", (uint32_t)c->head_dim);
	ul_gguf_out_u32(o, "%s.attention.value_length", (uint32_t)c->head_dim);
	ul_gguf_out_u32(o, "%s.vocab_size", (uint32_t)c->vocab);
}

bool ul_gguf_out_rope(ul_gguf_out *o, const ul_model *m, ul_err *err)
{
	const ul_config *c = &m->cfg;
	int n = c->rot / 2;
	bool scaled = false;
	if (c->rope_scale != 1)
		return ul_fail(err, "GGUF has no place for a factor of %g on the rotary embedding", c->rope_scale);
	o->factors = ul_alloc(&o->arena, (size_t)(n + 1) * sizeof *o->factors);
	if (!o->factors)
		return ul_nomem(err, (size_t)n * sizeof *o->factors);
	for (int i = 0; i < n; i++) {
		o->factors[i] = pow(c->rope_theta, -2.0 * i / c->rot) / c->inv_freq[i];
		scaled |= fabs(o->factors[i] - 1) > 1e-12;
	}
	o->factors_n = scaled ? n : 0;
	ul_gguf_out_u32(o, "%s.rope.dimension_count", (uint32_t)c->rot);
	ul_gguf_out_f32(o, "%s.rope.freq_base", c->rope_theta);
	return true;
}

/* ---- the tokenizer ---- */

static void put_id(ul_gguf_out *o, const char *key, int id)
{
	if (id >= 0)
		ul_gguf_out_u32(o, key, (uint32_t)id);
}

static void put_flag(ul_gguf_out *o, const char *key, int x)
{
	if (x >= 0)
		ul_gguf_out_bool(o, key, x != 0);
}

/* The vocabulary is filled up to the embedding's rows, as llama.cpp's own converter does, since it counts on one token a row. */
static bool put_tokenizer(ul_gguf_out *o, const ul_model *m, ul_err *err)
{
	ul_tok_gguf t = {0};
	if (!m->tok) {
		ul_gguf_out_str(o, "tokenizer.ggml.model", "no_vocab");
		return true;
	}
	if (!ul_tok_to_gguf(m->tok, &t, &o->arena, err))
		return false;
	int n = m->cfg.vocab > t.n ? m->cfg.vocab : t.n;
	ul_gguf_out_str(o, "tokenizer.ggml.model", t.model);
	if (t.pre)
		ul_gguf_out_str(o, "tokenizer.ggml.pre", t.pre);
	put_array(o, "tokenizer.ggml.tokens", UL_GGUF_STRING, (size_t)n);
	for (int i = 0; i < n; i++) {
		char pad[32];
		snprintf(pad, sizeof pad, "[PAD%d]", i);
		put_text(&o->kv, i < t.n ? t.token[i] : pad, i < t.n ? t.token_len[i] : strlen(pad));
	}
	if (t.score) {
		put_array(o, "tokenizer.ggml.scores", UL_GGUF_F32, (size_t)n);
		for (int i = 0; i < n; i++)
			put_f32(&o->kv, i < t.n ? (double)t.score[i] : -1000);
	}
	put_array(o, "tokenizer.ggml.token_type", UL_GGUF_I32, (size_t)n);
	for (int i = 0; i < n; i++)
		put(&o->kv, (uint64_t)(i >= t.n ? 5 : t.type ? t.type[i]
		                                             : 1),
		        4);
	if (t.merges) {
		put_array(o, "tokenizer.ggml.merges", UL_GGUF_STRING, (size_t)t.merges);
		for (int i = 0; i < t.merges; i++)
			put_text(&o->kv, t.merge[i], strlen(t.merge[i]));
	}
	put_id(o, "tokenizer.ggml.bos_token_id", t.bos);
	put_id(o, "tokenizer.ggml.eos_token_id", t.eos);
	put_id(o, "tokenizer.ggml.unknown_token_id", t.unk);
	put_id(o, "tokenizer.ggml.padding_token_id", t.pad);
	put_flag(o, "tokenizer.ggml.add_bos_token", t.add_bos);
	put_flag(o, "tokenizer.ggml.add_eos_token", t.add_eos);
	put_flag(o, "tokenizer.ggml.add_space_prefix", t.add_space_prefix);
	if (t.chat_template)
		ul_gguf_out_str(o, "tokenizer.chat_template", t.chat_template);
	return true;
}

/* ---- tensors ---- */

struct entry {
	char name[192];
	const ul_param *w;
	const ul_slot *slot;
	enum ul_dtype dtype;
	size_t bytes;
};

struct writing {
	ul_gguf_out *o;
	struct entry *e;
	int n;
	enum ul_dtype dtype;
	ul_buf table;
	uint64_t offset;
};

static const int ggml_number[UL_DTYPES] = {[UL_F32] = 0, [UL_F16] = 1, [UL_BF16] = 30, [UL_Q8_0] = 8};

static void put_info(struct writing *w, const char *name, int dims, const int64_t *fastest_first, enum ul_dtype t, size_t bytes)
{
	put_text(&w->table, name, strlen(name));
	put(&w->table, (uint64_t)dims, 4);
	for (int i = 0; i < dims; i++)
		put(&w->table, (uint64_t)fastest_first[i], 8);
	put(&w->table, (uint64_t)ggml_number[t], 4);
	put(&w->table, w->offset, 8);
	w->offset += (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

/* Vectors and positions stay F32, as llama.cpp wants them; rows that Q8_0 cannot divide become F16, as its quantiser does. */
static bool list(ul_model *m, const ul_place *p, void *ud, ul_err *err)
{
	struct writing *w = ud;
	struct entry *e = &w->e[w->n++];
	bool vector = p->slot->flags & UL_SLOT_VECTOR;
	ul_slot_name(e->name, sizeof e->name, p->slot->gguf, p->layer);
	e->w = *p->at;
	e->slot = p->slot;
	e->dtype = vector || p->at == &m->pos_embed ? UL_F32 : w->dtype;
	if ((size_t)p->cols % ul_dtype_block(e->dtype))
		e->dtype = UL_F16;
	e->bytes = ul_dtype_bytes(e->dtype, (size_t)p->rows * (size_t)p->cols);
	int64_t ne[2] = {p->cols, p->rows};
	put_info(w, e->name, vector ? 1 : 2, ne, e->dtype, e->bytes);
	return true;
}

/* File rows [at, at + n): the inverse of ul_slot_row, which says where a row of memory lies in the file. */
static void gather(const ul_config *c, const struct entry *e, const char *arch, const int *from, int at, int n, float *out)
{
	const ul_param *w = e->w;
	int cols = w->vector && from ? 1 : w->cols;
	for (int i = 0; i < n; i++) {
		int row = from ? from[at + i] : at + i;
		if (cols == w->cols)
			ul_param_rows_f32(w, row, 1, out + (size_t)i * (size_t)cols);
		else
			w->be->to_f32(&out[i], (const char *)w->data + (size_t)row * w->be->elem, 1);
	}
	for (size_t i = 0; (e->slot->flags & UL_SLOT_PLUS_ONE_GGUF) && i < (size_t)n * (size_t)cols; i++)
		out[i] += 1;
}

static bool write_tensor(ul_sink *s, const ul_model *m, const struct entry *e, const char *arch, ul_err *err)
{
	const ul_param *w = e->w;
	bool moves = ul_slot_moves(e->slot, arch);
	int rows = w->vector && moves ? w->cols : w->rows, cols = w->vector && moves ? 1 : w->cols;
	float *x = ul_malloc((size_t)ROWS * (size_t)cols * sizeof *x);
	void *packed = ul_malloc((size_t)ROWS * (size_t)cols * sizeof *x);
	int *from = moves ? ul_malloc((size_t)rows * sizeof *from) : NULL;
	bool ok = (x && packed && (from || !moves)) || ul_nomem(err, (size_t)ROWS * (size_t)cols * sizeof *x);
	for (int r = 0; ok && moves && r < rows; r++)
		from[ul_slot_row(&m->cfg, e->slot, arch, r)] = r;
	for (int at = 0; ok && at < rows; at += ROWS) {
		int n = rows - at < ROWS ? rows - at : ROWS;
		gather(&m->cfg, e, arch, from, at, n, x);
		ul_quantize(e->dtype, x, packed, (size_t)n * (size_t)cols);
		ok = ul_sink_write(s, packed, ul_dtype_bytes(e->dtype, (size_t)n * (size_t)cols), err);
	}
	static const char zeros[ALIGN];
	ok = ok && ul_sink_write(s, zeros, (ALIGN - e->bytes % ALIGN) % ALIGN, err);
	ul_free(x);
	ul_free(packed);
	ul_free(from);
	return ok;
}

static bool write_factors(ul_sink *s, const ul_gguf_out *o, ul_err *err)
{
	ul_buf b = {0};
	for (int i = 0; i < o->factors_n; i++)
		put_f32(&b, o->factors[i]);
	while (b.len % ALIGN)
		put(&b, 0, 1);
	bool ok = !b.failed && (!b.len || ul_sink_write(s, b.data, b.len, err));
	ul_buf_release(&b);
	return ok || ul_nomem(err, 64);
}

static bool write_file(const ul_model *m, struct writing *w, const char *path, ul_err *err)
{
	ul_buf head = {0};
	ul_buf_add(&head, "GGUF", 4);
	put(&head, 3, 4);
	put(&head, (uint64_t)w->n + (w->o->factors_n > 0), 8);
	put(&head, (uint64_t)w->o->keys, 8);
	ul_buf_add(&head, w->o->kv.data, w->o->kv.len);
	ul_buf_add(&head, w->table.data, w->table.len);
	while (!head.failed && head.len % ALIGN)
		put(&head, 0, 1);
	bool ok = !(head.failed || w->o->kv.failed || w->table.failed) || ul_nomem(err, head.len);
	ul_sink *s = ok ? ul_sink_open(path, err) : NULL;
	ok = s && ul_sink_write(s, head.data, head.len, err);
	for (int i = 0; ok && i < w->n; i++)
		ok = write_tensor(s, m, &w->e[i], w->o->arch, err);
	ok = ok && write_factors(s, w->o, err);
	if (s)
		ok = ul_sink_close(s, err) && ok;
	ul_buf_release(&head);
	return ok;
}

bool ul_gguf_write(ul_model *m, const char *path, int dtype, ul_err *err)
{
	static const int file_type[UL_DTYPES] = {[UL_F32] = 0, [UL_F16] = 1, [UL_Q8_0] = 7, [UL_BF16] = 32}; /* llama.cpp's LLAMA_FTYPE */
	if (dtype != UL_F32 && dtype != UL_F16 && dtype != UL_BF16 && dtype != UL_Q8_0)
		return ul_fail(err, "GGUF is written as F32, F16, BF16 or Q8_0, not %s", dtype >= 0 && dtype < UL_DTYPES ? ul_dtype_name((enum ul_dtype)dtype) : "?");
	if (m->adapter)
		return ul_fail(err, "the model carries an adapter: merge it first");
	ul_gguf_out o = {0};
	struct writing w = {.o = &o, .dtype = (enum ul_dtype)dtype, .e = ul_calloc((size_t)m->params, sizeof *w.e)};
	bool ok = w.e ? true : ul_nomem(err, (size_t)m->params * sizeof *w.e);
	ok = ok && m->arch->gguf_keys(m, &o, err);
	if (ok) {
		ul_gguf_out_str(&o, "general.type", "model");
		ul_gguf_out_u32(&o, "general.file_type", (uint32_t)file_type[dtype]);
		ul_gguf_out_u32(&o, "general.quantization_version", 2);
	}
	ok = ok && put_tokenizer(&o, m, err) && ul_slots_walk(m, list, &w, err);
	if (ok && o.factors_n) {
		int64_t ne = o.factors_n;
		put_info(&w, "rope_freqs.weight", 1, &ne, UL_F32, (size_t)o.factors_n * 4);
	}
	ok = ok && write_file(m, &w, path, err);
	ul_free(w.e);
	ul_buf_release(&o.kv);
	ul_buf_release(&w.table);
	ul_arena_release(&o.arena);
	return ok;
}
