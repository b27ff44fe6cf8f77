/*
 * Laws of a forward pass, for every architecture: packed = each sequence alone, recomputed = kept, cached = whole, taps see the
 * residual stream, soft rows = looked-up rows.
 */
#include "oracle.h"

static const char *const families[] = {"neox_parallel", "neox_sequential", "llama", "llama_bias", "mistral", "qwen2_window", "qwen3", "gpt2", "gemma3", NULL};

static ul_model *family(const char *name, const char *backend, oracle *o)
{
	char base[128], json[200], tensors[200];
	snprintf(base, sizeof base, "tests/golden/families/%s", name);
	snprintf(json, sizeof json, "%s/golden.json", base);
	snprintf(tensors, sizeof tensors, "%s/golden.safetensors", base);
	oracle_open(o, json, tensors, NULL);
	return open_model(base, backend);
}

static void test_pass__packed(void)
{
	for (int f = 0; families[f]; f++) {
		oracle o;
		ul_model *m = family(families[f], "ref64", &o);
		double *all = run_packed(m, o.ids, o.pos, (ul_span){o.n, o.start});
		for (int i = 0; i < o.n; i++) {
			double *alone = run_alone(m, &o, i);
			size_t v = (size_t)m->cfg.vocab;
			CHECK_ARRAY(all + (size_t)o.start[i] * v, alone, (size_t)(o.start[i + 1] - o.start[i]) * v, 1e-12);
			ul_free(alone);
		}
		ul_free(all);
		ul_model_free(m);
		oracle_close(&o);
	}
}

static ul_val *stop_at(void *ud, enum ul_site site, int layer, ul_val *h)
{
	return layer == *(int *)ud ? NULL : h;
}

/* A pass that begins at a later block, on what a pass that stopped in front of it has left, ends as the whole pass does. */
static void test_pass__from_a_block_on(void)
{
	for (int f = 0; families[f]; f++) {
		oracle o;
		ul_model *m = family(families[f], "ref64", &o);
		int rows = o.start[o.n], width = m->cfg.hidden, stop = m->cfg.layers / 2 - 1;
		ul_tape t;
		ul_tape_init(&t, m->be);
		t.record = false;
		ul_pass p = {.tape = &t, .ids = o.ids, .pos = o.pos, .span = {o.n, o.start}}, below = p, above = p;
		below.tap = stop_at;
		below.tap_sites = 1u << UL_SITE_BLOCK;
		below.ud = &stop;
		above.soft = ul_forward(m, &below);
		above.first = stop + 1;
		double *whole = ul_malloc((size_t)(rows * width) * 2 * sizeof *whole), *parts = whole + rows * width;
		ul_read(ul_forward(m, &p), whole);
		ul_read(ul_forward(m, &above), parts);
		CHECK(below.stopped && above.first > 0);
		CHECK_MSG(!memcmp(whole, parts, (size_t)(rows * width) * sizeof *whole), "%s", families[f]);
		ul_free(whole);
		ul_tape_release(&t);
		ul_model_free(m);
		oracle_close(&o);
	}
}

/* The same bits, not only the same numbers. */
static void test_pass__recompute(void)
{
	for (int f = 0; families[f]; f++)
		for (int b = 0; b < 2; b++) {
			oracle o;
			ul_model *m = family(families[f], b ? "cpu" : "ref64", &o);
			train(m->param, m->params);
			double kept = run_loss(m, &o, false);
			double **grad = ul_malloc((size_t)m->params * sizeof *grad);
			for (int i = 0; i < m->params; i++) {
				grad[i] = file_grad(m->param[i]);
				m->be->fill(m->param[i]->grad, 0, (size_t)m->param[i]->rows * (size_t)m->param[i]->cols);
			}
			double again = run_loss(m, &o, true);
			CHECK(!memcmp(&kept, &again, sizeof kept));
			for (int i = 0; i < m->params; i++) {
				double *g = file_grad(m->param[i]);
				CHECK_MSG(!memcmp(g, grad[i], (size_t)m->param[i]->rows * (size_t)m->param[i]->cols * sizeof *g), "%s: the gradient of %s", families[f], m->param[i]->name);
				ul_free(g);
				ul_free(grad[i]);
			}
			ul_free(grad);
			ul_model_free(m);
			oracle_close(&o);
		}
}

/* Two sequences decoded together, one token at a time after a prompt of different length. */
static void test_pass__cache(void)
{
	for (int f = 0; families[f]; f++) {
		ul_err err = {0};
		oracle o;
		ul_model *m = family(families[f], "ref64", &o);
		ul_cache c;
		NEED_OK(ul_cache_init(&c, m, 3, 16, &err), err);
		int slot[] = {2, 0}, done[2] = {5, 2}, end[] = {o.start[1] - o.start[0], o.start[2] - o.start[1]};
		double *want[] = {run_alone(m, &o, 0), run_alone(m, &o, 1)};
		size_t v = (size_t)m->cfg.vocab;
		for (int step = 0; done[1] <= end[1] && done[0] <= end[0]; step++) {
			int ids[16], pos[16], start[3] = {0}, from[2];
			for (int s = 0; s < 2; s++) {
				from[s] = step ? done[s] - 1 : 0;
				start[s + 1] = start[s];
				for (int t = from[s]; t < done[s]; t++) {
					ids[start[s + 1]] = o.ids[o.start[s] + t];
					pos[start[s + 1]++] = t;
				}
			}
			ul_tape t;
			ul_tape_init(&t, m->be);
			ul_pass p = {.tape = &t, .ids = ids, .pos = pos, .span = {2, start}, .cache = &c, .slot = slot};
			ul_val *h = ul_forward(m, &p), *z = ul_head_logits(h, m->head, m->head_b);
			NEED_OK(ul_tape_ok(&t, &err), err);
			double *got = ul_malloc((size_t)z->rows * v * sizeof *got);
			ul_read(z, got);
			for (int s = 0; s < 2; s++)
				CHECK_ARRAY(got + (size_t)start[s] * v, want[s] + (size_t)from[s] * v, (size_t)(done[s] - from[s]) * v, 1e-10);
			ul_free(got);
			ul_tape_release(&t);
			done[0]++;
			done[1]++;
		}
		/* A copied slot goes on like the original. */
		ul_cache_copy_slot(&c, 2, 1);
		CHECK_EQ_INT(c.layer[0].len[1], c.layer[0].len[2]);
		size_t bytes = (size_t)c.layer[0].len[2] * (size_t)c.layer[0].width * m->be->elem, stride = (size_t)c.layer[0].capacity * (size_t)c.layer[0].width * m->be->elem;
		CHECK(!memcmp((char *)c.layer[1].k + stride, (char *)c.layer[1].k + 2 * stride, bytes));
		ul_cache_release(&c);
		ul_free(want[0]);
		ul_free(want[1]);
		ul_model_free(m);
		oracle_close(&o);
	}
}

/* ---- taps ---- */

struct seen {
	int calls[6];
	double *at[6][8]; /* [site][layer] */
	int stop_site, stop_layer;
};

static ul_val *look(void *ud, enum ul_site site, int layer, ul_val *h)
{
	struct seen *s = ud;
	s->calls[site]++;
	s->at[site][layer] = ul_malloc((size_t)h->rows * (size_t)h->cols * sizeof(double));
	ul_read(h, s->at[site][layer]);
	return s->stop_site == (int)site && s->stop_layer == layer ? NULL : h;
}

static void forget(struct seen *s)
{
	for (int i = 0; i < 6; i++)
		for (int k = 0; k < 8; k++)
			ul_free(s->at[i][k]);
}

static void test_pass__taps(void)
{
	for (int f = 0; families[f]; f++) {
		ul_err err = {0};
		oracle o;
		ul_model *m = family(families[f], "ref64", &o);
		struct seen s = {.stop_site = -1};
		ul_tape t;
		ul_tape_init(&t, m->be);
		ul_pass p = {.tape = &t, .ids = o.ids, .pos = o.pos, .span = {o.n, o.start}, .tap = look, .ud = &s, .tap_sites = ~0u};
		ul_val *h = ul_forward(m, &p);
		NEED_OK(ul_tape_ok(&t, &err), err);
		CHECK(!p.stopped);
		size_t n = (size_t)h->rows * (size_t)h->cols;
		int layers = m->cfg.layers;
		CHECK(s.calls[UL_SITE_EMBED] == 1 && s.calls[UL_SITE_FINAL] == 1 && s.calls[UL_SITE_BLOCK] == layers && s.calls[UL_SITE_ATTN_OUT] == layers &&
		        s.calls[UL_SITE_MLP_OUT] == layers && s.calls[UL_SITE_DOWN_IN] == layers);
		double *final = ul_malloc(n * sizeof *final);
		ul_read(h, final);
		CHECK(!memcmp(final, s.at[UL_SITE_FINAL][0], n * sizeof *final));
		/* What attention and MLP add is the difference of the residual stream before and after. */
		for (int l = 0; l < layers; l++) {
			const double *before = l ? s.at[UL_SITE_BLOCK][l - 1] : s.at[UL_SITE_EMBED][0];
			double *sum = ul_malloc(n * sizeof *sum);
			for (size_t i = 0; i < n; i++)
				sum[i] = before[i] + s.at[UL_SITE_ATTN_OUT][l][i] + s.at[UL_SITE_MLP_OUT][l][i];
			CHECK_ARRAY(sum, s.at[UL_SITE_BLOCK][l], n, 1e-13);
			ul_free(sum);
		}
		/* A pass that is stopped returns the value at which it was. */
		static const enum ul_site sites[] = {UL_SITE_EMBED, UL_SITE_ATTN_OUT, UL_SITE_MLP_OUT, UL_SITE_BLOCK, UL_SITE_FINAL};
		for (int i = 0; i < 5; i++) {
			struct seen part = {.stop_site = sites[i], .stop_layer = sites[i] == UL_SITE_EMBED || sites[i] == UL_SITE_FINAL ? 0 : 1};
			ul_pass q = {.tape = &t, .ids = o.ids, .pos = o.pos, .span = {o.n, o.start}, .tap = look, .ud = &part, .tap_sites = 1u << sites[i]};
			ul_val *x = ul_forward(m, &q);
			CHECK(q.stopped && (size_t)x->rows * (size_t)x->cols == n);
			double *got = ul_malloc(n * sizeof *got);
			ul_read(x, got);
			CHECK(!memcmp(got, s.at[sites[i]][part.stop_layer], n * sizeof *got));
			ul_free(got);
			forget(&part);
		}
		ul_free(final);
		forget(&s);
		ul_tape_release(&t);
		ul_model_free(m);
		oracle_close(&o);
	}
}

/* Intervening with twice the value changes what follows; intervening with the same value does not. */
static ul_val *twice(void *ud, enum ul_site site, int layer, ul_val *h)
{
	return layer == 1 ? ul_scale(h, *(double *)ud) : h;
}

static void test_pass__intervene(void)
{
	for (int f = 0; families[f]; f++) {
		oracle o;
		ul_model *m = family(families[f], "ref64", &o);
		double *plain = run_packed(m, o.ids, o.pos, (ul_span){o.n, o.start});
		for (int k = 0; k < 2; k++) {
			double factor = 1 + k;
			ul_tape t;
			ul_tape_init(&t, m->be);
			ul_pass p = {.tape = &t, .ids = o.ids, .pos = o.pos, .span = {o.n, o.start}, .tap = twice, .ud = &factor, .tap_sites = 1u << UL_SITE_MLP_OUT};
			ul_val *z = ul_head_logits(ul_forward(m, &p), m->head, m->head_b);
			size_t n = (size_t)z->rows * (size_t)z->cols;
			double *got = ul_malloc(n * sizeof *got);
			ul_read(z, got);
			CHECK(!memcmp(got, plain, n * sizeof *got) == !k);
			ul_free(got);
			ul_tape_release(&t);
		}
		ul_free(plain);
		ul_model_free(m);
		oracle_close(&o);
	}
}

/* Rows given instead of ids: the embedding's own rows give the same logits, and a gradient reaches them. */
static void test_pass__soft(void)
{
	for (int f = 0; families[f]; f++) {
		oracle o;
		ul_model *m = family(families[f], "ref64", &o);
		double *plain = run_packed(m, o.ids, o.pos, (ul_span){o.n, o.start});
		ul_tape t;
		ul_tape_init(&t, m->be);
		int rows = o.start[o.n];
		size_t n = (size_t)rows * (size_t)m->cfg.hidden;
		double *x = ul_malloc(n * sizeof *x);
		ul_read(ul_embed(&t, m->embed, o.ids, rows, m->cfg.embed_scale), x);
		t.record = true;
		ul_val *soft = ul_leaf(&t, rows, m->cfg.hidden, x);
		ul_pass p = {.tape = &t, .pos = o.pos, .span = {o.n, o.start}, .soft = soft};
		ul_val *h = ul_forward(m, &p), *z = ul_head_logits(h, m->head, m->head_b);
		double *got = ul_malloc((size_t)z->rows * (size_t)z->cols * sizeof *got), largest = 0;
		ul_read(z, got);
		CHECK(!memcmp(got, plain, (size_t)z->rows * (size_t)z->cols * sizeof *got));
		ul_backward(ul_mean(ul_head_logp(h, m->head, m->head_b, o.ids, NULL)), 1);
		ul_read_grad(soft, x);
		for (size_t i = 0; i < n; i++)
			largest = fmax(largest, fabs(x[i]));
		CHECK(largest > 1e-6);
		ul_free(x);
		ul_free(got);
		ul_free(plain);
		ul_tape_release(&t);
		ul_model_free(m);
		oracle_close(&o);
	}
}

/* ---- hidden states as transformers sees them ---- */

static void test_pass__shared_hidden(void)
{
	static const char *const names[] = {"gpt_neox_parallel", "gpt_neox_sequential", "llama_gqa_untied", "llama_tied_llama3rope", "qwen2", "gpt2", "gemma3_text"};
	for (int f = 0; f < 7; f++) {
		char folder[512], part[128], json[600], logits[600];
		oracle o;
		snprintf(part, sizeof part, "oracle-hf/tiny/%s", names[f]);
		shared_path(folder, part);
		snprintf(json, sizeof json, "%s/oracle.json", folder);
		snprintf(logits, sizeof logits, "%s/oracle_logits.safetensors", folder);
		oracle_open(&o, json, logits, NULL);
		ul_model *m = open_model(folder, "ref64");
		for (int i = 0; i < o.n; i++) {
			struct seen s = {.stop_site = -1};
			ul_tape t;
			ul_tape_init(&t, m->be);
			int n = o.start[i + 1] - o.start[i], start[] = {0, n};
			ul_pass p = {.tape = &t, .ids = o.ids + o.start[i], .pos = o.pos + o.start[i], .span = {1, start}, .tap = look, .ud = &s, .tap_sites = ~0u};
			ul_forward(m, &p);
			for (int k = 0; k <= m->cfg.layers; k++) {
				char name[64];
				snprintf(name, sizeof name, "hidden.%d.%d", i, k);
				const double *want = oracle_get(&o, name, (size_t)n * (size_t)m->cfg.hidden);
				const double *have = k == 0 ? s.at[UL_SITE_EMBED][0] : k < m->cfg.layers ? s.at[UL_SITE_BLOCK][k - 1]
				                                                                         : s.at[UL_SITE_FINAL][0];
				NEED(want);
				CHECK_ARRAY(have, want, (size_t)n * (size_t)m->cfg.hidden, 1e-8);
			}
			forget(&s);
			ul_tape_release(&t);
		}
		ul_model_free(m);
		oracle_close(&o);
	}
}
