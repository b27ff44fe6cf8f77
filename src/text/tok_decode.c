/*
 * tok_decode.c: ids to bytes. Where the reference library must make a string at once and puts U+FFFD for the bytes of an unfinished
 * character, the bytes themselves are appended here: a caller that streams holds them back until the character is complete.
 */
#include "text/tok.h"

#include <string.h>

struct parts { /* the strings of a chain of decoders, end to end */
	ul_buf bytes;
	size_t *end;
	size_t n;
};

static void add_byte_level(ul_buf *out, const char *s, size_t n)
{
	size_t had = out->len;
	for (size_t i = 0; i < n;) {
		int bad, b = ul_utf8_valid((const unsigned char *)s + i, n - i, &bad) ? tok_char_byte(ul_utf8_next(s, &i)) : -1;
		if (b < 0) { /* not written in visible bytes: taken as it is */
			out->len = had;
			ul_buf_add(out, s, n);
			return;
		}
		char c = (char)b;
		ul_buf_add(out, &c, 1);
	}
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10
	                                : c >= 'a' && c <= 'f'       ? c - 'a' + 10
	                                                             : -1;
}

static bool is_fallback(const char *s, size_t n)
{
	return n == 6 && s && !memcmp(s, "<0x", 3) && s[5] == '>' && hex(s[3]) >= 0 && hex(s[4]) >= 0;
}

/* <0xNN> to bytes; those in a row become one string. */
static void fall_back(struct parts *p, ul_buf *out)
{
	const char *bytes = p->bytes.data ? p->bytes.data : "";
	size_t from = 0, n = 0;
	bool joined = false;
	for (size_t i = 0; i < p->n; i++) {
		const char *s = bytes + from;
		size_t len = p->end[i] - from;
		bool byte = is_fallback(s, len);
		char c = byte ? (char)(hex(s[3]) * 16 + hex(s[4])) : 0;
		ul_buf_add(out, byte ? &c : s, byte ? 1 : len);
		from = p->end[i];
		n -= byte && joined;
		p->end[n++] = out->len;
		joined = byte;
	}
	p->n = n;
}

static void add_replaced(ul_buf *out, const char *s, size_t n, const struct tok_step *step)
{
	struct tok_text in = {s, n, NULL, NULL, 0};
	struct tok_out mem = {0}, whole = {0};
	bool changed = false;
	if (step->re && !ul_utf8_ok(s, n)) {
		tok_repair(s, n, &whole);
		in = tok_out_text(&whole);
	}
	tok_replace(&in, step, &mem, &changed, NULL);
	tok_out_release(&whole);
	if (changed)
		ul_buf_add(out, mem.s, mem.n);
	else
		ul_buf_add(out, s, n);
	out->failed |= mem.failed;
	tok_out_release(&mem);
}

static void add_stripped(ul_buf *out, const char *s, size_t n, const struct tok_step *step)
{
	size_t i = 0, w = step->an;
	for (int k = 0; k < step->start && w && n - i >= w && !memcmp(s + i, step->a, w); k++)
		i += w;
	for (int k = 0; k < step->stop && w && n - i >= w && !memcmp(s + n - w, step->a, w); k++)
		n -= w;
	ul_buf_add(out, s + i, n - i);
}

static void add_metaspace(ul_buf *out, const char *s, size_t n, const struct tok_step *step, bool first)
{
	for (size_t i = 0; i < n;) {
		if (n - i < step->an || memcmp(s + i, step->a, step->an)) { /* NOLINT(clang-analyzer-core.*): never NULL here */
			ul_buf_add(out, s + i++, 1);
			continue;
		}
		if (!first || step->prepend == PREPEND_NEVER)
			ul_buf_str(out, " ");
		i += step->an;
	}
}

static void decode_one(const struct tok_step *step, const char *s, size_t n, bool first, ul_buf *out)
{
	switch (step->kind) {
	case D_BYTES:
		add_byte_level(out, s, n);
		break;
	case D_STRIP:
		add_stripped(out, s, n, step);
		break;
	case D_REPLACE:
		add_replaced(out, s, n, step);
		break;
	case D_METASPACE:
		add_metaspace(out, s, n, step, first);
		break;
	default:
		ul_buf_add(out, s, n);
	}
}

/* ByteLevel makes a string, as the reference library must; at the end of a chain its bytes are left alone. */
static void make_string(ul_buf *b)
{
	struct tok_out whole = {0};
	if (b->failed || ul_utf8_ok(b->data ? b->data : "", b->len))
		return;
	tok_repair(b->data, b->len, &whole);
	b->len = 0;
	ul_buf_add(b, whole.s, whole.n);
	b->failed |= whole.failed;
	tok_out_release(&whole);
}

/* ByteLevel and Fuse leave one string behind them. */
static void chain(const struct tok_step *step, bool last, struct parts *p)
{
	ul_buf out = {0};
	const char *bytes = p->bytes.data ? p->bytes.data : "";
	size_t from = 0;
	if (step->kind == D_BYTE_FALLBACK)
		fall_back(p, &out);
	for (size_t i = 0; i < p->n && step->kind != D_BYTE_FALLBACK; i++) {
		decode_one(step, bytes + from, p->end[i] - from, i == 0, &out);
		from = p->end[i];
		p->end[i] = out.len;
	}
	if (step->kind == D_BYTES && !last)
		make_string(&out);
	if ((step->kind == D_FUSE || step->kind == D_BYTES) && p->n) {
		p->end[0] = out.len;
		p->n = 1;
	}
	out.failed |= p->bytes.failed;
	ul_buf_release(&p->bytes);
	p->bytes = out;
}

void ul_tok_decode(const ul_tok *t, const int *ids, int n, bool skip_specials, ul_buf *out)
{
	struct parts p = {.end = ul_malloc(((size_t)n + 1) * sizeof *p.end)};
	if (!p.end) {
		out->failed = true;
		return;
	}
	for (int i = 0; i < n; i++) {
		const char *s = ul_tok_piece(t, ids[i]);
		if (!s || (skip_specials && t->special[ids[i]]))
			continue;
		if (!t->has_decoder && p.n)
			ul_buf_str(&p.bytes, " ");
		ul_buf_add(&p.bytes, s, t->piece_len[ids[i]]);
		p.end[p.n++] = p.bytes.len;
	}
	for (int i = 0; i < t->dec.n && p.n; i++)
		chain(&t->dec.step[i], i + 1 == t->dec.n, &p);
	if (p.n)
		ul_buf_add(out, p.bytes.data ? p.bytes.data : "", p.bytes.len);
	out->failed |= p.bytes.failed;
	ul_buf_release(&p.bytes);
	ul_free(p.end);
}

int ul_tok_size(const ul_tok *t)
{
	return t->size;
}

const char *ul_tok_piece(const ul_tok *t, int id)
{
	return id >= 0 && id < t->size ? t->piece[id] : NULL;
}

bool ul_tok_is_special(const ul_tok *t, int id)
{
	return id >= 0 && id < t->size && t->special[id];
}

int ul_tok_id(const ul_tok *t, const char *token)
{
	size_t n = strlen(token);
	for (int i = 0; i < t->n_added; i++)
		if (t->added[i].n == n && !memcmp(t->added[i].s, token, n))
			return t->added[i].id;
	return tok_map_get(&t->vocab, token, n);
}

int ul_tok_bos(const ul_tok *t)
{
	return t->bos;
}

int ul_tok_eos(const ul_tok *t)
{
	return t->eos;
}

const char *ul_tok_chat_template(const ul_tok *t)
{
	return t->chat_template;
}
