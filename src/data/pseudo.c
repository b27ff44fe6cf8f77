/*
 * pseudo.c: from made texts to rows with marks.
 */
#include "data/pseudo.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_FINDINGS = 256 };

bool ul_pseudo_begin(ul_pseudo *s, const ul_pseudo_config *c, const ul_pool *pool, uint64_t seed, ul_dataset *out, ul_err *err)
{
	*s = (ul_pseudo){.c = c, .pool = pool, .annotator = s->annotator, .seed = seed, .out = out, .names = ul_gazetteer_new(), .by_type = json_object()};
	bool ok = (s->names && s->by_type) || ul_nomem(err, 64);
	ok = ok && ul_types_parse(c->types, &s->types, err) && (!c->names || ul_gazetteer_file(s->names, c->names, err));
	s->types = s->types ? s->types : (1u << UL_PII_TYPES) - 1;
	if (!c->mask_names && !(s->annotator && !c->types))
		s->types &= ~(1u << UL_PII_NAME);
	for (int i = 0; ok && c->mask_names && pool && i < pool->n[UL_PII_NAME]; i++)
		ok = ul_gazetteer_add(s->names, UL_PII_NAME, pool->value[UL_PII_NAME][i]) || ul_nomem(err, 64);
	return ok;
}

bool ul_pseudo_full(const ul_pseudo *s)
{
	return s->out->n >= s->c->n;
}

int ul_pseudo_find(const ul_pseudo *s, const char *text, size_t n, ul_finding *out, int max, ul_err *err)
{
	return ul_annotate(s->annotator, text, n, s->types, s->c->mask_names ? s->names : NULL, out, max, err);
}

static bool inside(size_t at, const char *text)
{
	return ((unsigned char)text[at] & 0xC0) == 0x80; /* of a character */
}

/* As many marks of the same length, where chance puts them; those that would meet others are tried again, then given up. */
static int scatter(const ul_pseudo *s, const char *text, size_t len, ul_finding *f, int n)
{
	ul_rng r = ul_rng_at(s->seed, "masks", (uint64_t)s->made);
	unsigned char *taken = ul_calloc(len + 1, 1);
	int kept = 0;
	for (int i = 0; taken && i < n; i++) {
		size_t size = f[i].end - f[i].start;
		for (int tries = 0; tries < 50; tries++) {
			size_t at = ul_rng_below(&r, (uint32_t)(len - size + 1));
			if (inside(at, text) || inside(at + size, text) || memchr(taken + at, 1, size))
				continue;
			memset(taken + at, 1, size);
			f[kept++] = (ul_finding){at, at + size, f[i].type};
			break;
		}
	}
	ul_free(taken);
	for (int i = 1; i < kept; i++) /* in order of place */
		for (int k = i; k > 0 && f[k].start < f[k - 1].start; k--) {
			ul_finding swap = f[k];
			f[k] = f[k - 1];
			f[k - 1] = swap;
		}
	return kept;
}

static void count(ul_pseudo *s, const char *text, const ul_finding *f, int n)
{
	ul_finding known[MAX_FINDINGS];
	int k = s->pool ? ul_pool_find(s->pool, text, strlen(text), known, MAX_FINDINGS) : 0;
	k = k < MAX_FINDINGS ? k : MAX_FINDINGS;
	for (int i = 0; i < n; i++) {
		const char *type = ul_pii_name(f[i].type);
		size_t size = f[i].end - f[i].start;
		json_object_set_new(s->by_type, type, json_integer(json_integer_value(json_object_get(s->by_type, type)) + 1));
		if (!ul_seen_add(&s->data, ul_digest(text + f[i].start, size) + (uint64_t)f[i].type))
			continue;
		s->entities++;
		bool borrowed = false;
		for (int p = 0; p < k; p++)
			borrowed |= known[p].start < f[i].end && f[i].start < known[p].end;
		s->from_pool += borrowed;
	}
}

bool ul_pseudo_add(ul_pseudo *s, const char *text, json_t *source, ul_err *err)
{
	ul_finding f[MAX_FINDINGS];
	size_t len = strlen(text);
	int n = source ? ul_pseudo_find(s, text, len, f, MAX_FINDINGS, err) : -1;
	int64_t *why = NULL;
	if (n < 0 || !source) {
		json_decref(source);
		return ul_nomem(err, len); /* the first message stays */
	}
	s->made++;
	if (n < s->c->min_pii || !len)
		why = &s->none;
	else if (ul_findings_share(len, f, n) > s->c->max_share)
		why = &s->covered;
	else if (!ul_seen_add(&s->texts, ul_digest(text, len)))
		why = &s->repeated;
	if (why || ul_pseudo_full(s)) {
		*(why ? why : &s->repeated) += why != NULL;
		json_decref(source);
		return true;
	}
	count(s, text, f, n);
	if (s->c->masks == UL_MASKS_RANDOM)
		n = scatter(s, text, len, f, n);
	json_object_set_new(source, "types", ul_types_json(f, n));
	json_t *record = json_pack("{s:s, s:o, s:o}", "text", text, "spans", ul_spans_json(text, f, n), "source", source);
	bool ok = record ? ul_dataset_add(s->out, record, err) : ul_nomem(err, len);
	json_decref(record);
	return ok;
}

void ul_pseudo_summary(const ul_pseudo *s, json_t *summary)
{
	json_t *dropped = json_pack("{s:I, s:I, s:I}", "without_personal_data", (json_int_t)s->none, "covered", (json_int_t)s->covered, "repeated", (json_int_t)s->repeated);
	json_object_set_new(summary, "made", json_integer(s->made));
	json_object_set_new(summary, "rows", json_integer(s->out->n));
	json_object_set_new(summary, "dropped", dropped);
	json_object_set(summary, "types", s->by_type);
	json_object_set_new(summary, "distinct", json_integer(s->entities));
	json_object_set_new(summary, "from_pool", json_integer(s->from_pool));
}

void ul_pseudo_release(ul_pseudo *s)
{
	ul_gazetteer_free(s->names);
	ul_seen_release(&s->texts);
	ul_seen_release(&s->data);
	json_decref(s->by_type);
	*s = (ul_pseudo){0};
}
