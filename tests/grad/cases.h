/*
 * cases.h: the table of all operators, each built on small random parameters; the large ones are longer than any block of a kernel.
 */
#ifndef CASES_H
#define CASES_H

#include "grad.h"

/* ---- linear ---- */

static const int ids[] = {3, 0, 3, 6, 1};

static ul_val *embed(struct world *w)
{
	return ul_embed(&w->tape, weight(w, 7, 5), ids, 5, 1.5);
}

static ul_val *linear(struct world *w)
{
	ul_val *x = input(w, 5, 7);
	ul_param *a = weight(w, 3, 7), *b = weight(w, 1, 3);
	return ul_linear(x, a, b);
}

static ul_val *linear_frozen(struct world *w)
{
	ul_val *x = input(w, 5, 7);
	return ul_linear(x, frozen(w, 3, 7, 1, 0), frozen(w, 1, 3, 1, 0));
}

static ul_val *linear_of_constant(struct world *w)
{
	ul_val *x = constant(w, 5, 7);
	return ul_linear(x, weight(w, 3, 7), NULL);
}

static ul_val *lora(struct world *w, bool off)
{
	ul_val *x = input(w, 6, 9);
	ul_param *base = frozen(w, 8, 9, 1, 0), *b = weight(w, 1, 8);
	ul_param *a1 = weight(w, 2, 9), *b1 = weight(w, 8, 2), *a2 = weight(w, 3, 9), *b2 = frozen(w, 8, 3, 1, 0);
	ul_lora second = {a2, b2, 3, 0.5, NULL}, *l = ul_alloc(&w->tape.tables, 2 * sizeof *l);
	l[1] = second;
	l[0] = (ul_lora){a1, b1, 2, 2, &l[1]};
	base->lora = l;
	w->tape.adapters_off = off;
	ul_val *y = ul_linear(x, base, b);
	w->tape.adapters_off = false;
	return y;
}

static ul_val *lora_stacked(struct world *w)
{
	return lora(w, false);
}

static ul_val *lora_off(struct world *w)
{
	return lora(w, true);
}

static ul_val *rows(struct world *w)
{
	return ul_rows(input(w, 7, 4), ids, 5);
}

static ul_val *cols(struct world *w)
{
	return ul_cols(input(w, 4, 17), 2, 3, 5, 3);
}

static ul_val *tied(struct world *w)
{
	ul_param *table = weight(w, 7, 6), *a = weight(w, 6, 6);
	static const int target[] = {1, 1, 6, 0, 2};
	return ul_head_logp(ul_linear(ul_embed(&w->tape, table, ids, 5, 1), a, NULL), table, NULL, target, NULL);
}

/* ---- norms ---- */

static ul_val *rmsnorm(struct world *w)
{
	ul_val *x = input(w, 5, 12);
	return ul_rmsnorm(x, weight(w, 1, 12), 1e-5, false);
}

static ul_val *rmsnorm_groups(struct world *w)
{
	ul_val *x = input(w, 5, 12);
	return ul_rmsnorm(x, weight(w, 1, 4), 1e-6, true);
}

static ul_val *rmsnorm_frozen(struct world *w)
{
	ul_val *x = input(w, 5, 12);
	return ul_rmsnorm(x, frozen(w, 1, 12, 1, 0), 1e-5, false);
}

static ul_val *layernorm(struct world *w)
{
	ul_val *x = input(w, 5, 13);
	ul_param *a = weight(w, 1, 13);
	return ul_layernorm(x, a, weight(w, 1, 13), 1e-5);
}

static ul_val *layernorm_groups(struct world *w)
{
	ul_val *x = constant(w, 3, 12);
	return ul_layernorm(x, weight(w, 1, 6), NULL, 1e-5);
}

/* ---- rotation and attention ---- */

static ul_val *turn(struct world *w, int heads, int rot, double scale)
{
	static const double freq[] = {1, 0.31, 0.1, 0.03};
	static const int pos[] = {0, 1, 2, 7, 0};
	return ul_rotate(input(w, 5, heads * 8), &(ul_rope){8, rot, freq, scale}, pos);
}

static ul_val *rotate(struct world *w)
{
	return turn(w, 2, 8, 1);
}

static ul_val *rotate_partial(struct world *w)
{
	return turn(w, 3, 4, 1.25);
}

static ul_val *attend_to(struct world *w, int heads, int kv_heads, int head_dim, int window, ul_span span)
{
	int n = span.start[span.n];
	ul_val *q = input(w, n, heads * head_dim), *k = input(w, n, kv_heads * head_dim), *v = input(w, n, kv_heads * head_dim);
	return ul_attend(q, k, v, &(ul_attention){.head_dim = head_dim, .scale = 1.7 / sqrt(head_dim), .window = window, .span = span});
}

static const int ragged[] = {0, 5, 6, 9};

static ul_val *attend(struct world *w)
{
	return attend_to(w, 2, 2, 4, 0, (ul_span){3, ragged});
}

static ul_val *attend_grouped(struct world *w)
{
	return attend_to(w, 6, 2, 3, 0, (ul_span){3, ragged});
}

static ul_val *attend_window(struct world *w)
{
	return attend_to(w, 4, 2, 5, 3, (ul_span){3, ragged});
}

static ul_val *attend_one_frozen(struct world *w)
{
	ul_val *q = input(w, 9, 8), *k = constant(w, 9, 4), *v = input(w, 9, 4);
	return ul_attend(q, k, v, &(ul_attention){.head_dim = 4, .scale = 0.5, .span = {3, ragged}});
}

static const int long_spans[] = {0, 1, 70, 199, 200, 263, 460};

static ul_val *attend_large(struct world *w)
{
	return attend_to(w, 6, 2, 64, 0, (ul_span){6, long_spans});
}

static ul_val *attend_large_window(struct world *w)
{
	return attend_to(w, 4, 4, 40, 50, (ul_span){6, long_spans});
}

static ul_val *attend_one_long(struct world *w)
{
	static const int one[] = {0, 333};
	return attend_to(w, 3, 1, 80, 0, (ul_span){1, one});
}

static ul_val *attend_head_256(struct world *w)
{
	static const int two[] = {0, 129, 140};
	return attend_to(w, 2, 1, 256, 100, (ul_span){2, two});
}

/* ---- elements ---- */

#define ACT(name, f)                                                 \
	static ul_val *act_##name(struct world *w)                   \
	{                                                            \
		return ul_activate(ul_scale(input(w, 6, 11), 3), f); \
	}                                                            \
	static ul_val *gate_##name(struct world *w)                  \
	{                                                            \
		ul_val *g = ul_scale(input(w, 6, 11), 3);            \
		return ul_gate(g, input(w, 6, 11), f);               \
	}
ACT(silu, UL_SILU)
ACT(gelu, UL_GELU)
ACT(gelu_tanh, UL_GELU_TANH)
ACT(relu, UL_RELU)

static ul_val *gate_frozen_up(struct world *w)
{
	ul_val *g = input(w, 6, 11);
	return ul_gate(g, constant(w, 6, 11), UL_SILU);
}

static ul_val *arithmetic(struct world *w)
{
	ul_val *x = input(w, 4, 5), *y = input(w, 4, 5);
	return ul_sub(ul_mul(ul_add(x, y), ul_scale(x, -2)), ul_shift(ul_mul(y, y), 3));
}

static ul_val *map_exp(struct world *w)
{
	return ul_map_fn(input(w, 9, 1), UL_EXP);
}

static ul_val *map_log(struct world *w)
{
	return ul_map_fn(ul_leaf_param(&w->tape, around(w, 9, 1, 1, 1.5)), UL_LOG);
}

static ul_val *map_logsigmoid(struct world *w)
{
	return ul_logsigmoid(ul_scale(input(w, 9, 1), 4));
}

static ul_val *map_log1mexp(struct world *w)
{
	return ul_map_fn(ul_leaf_param(&w->tape, around(w, 20, 1, 1, -1.2)), UL_LOG1MEXP);
}

static ul_val *map_square(struct world *w)
{
	return ul_map_fn(input(w, 9, 1), UL_SQUARE);
}

static ul_val *map_abs(struct world *w)
{
	return ul_map_fn(input(w, 9, 1), UL_ABS);
}

static ul_val *map_relu(struct world *w)
{
	return ul_map_fn(input(w, 9, 1), UL_RELU_FN);
}

static ul_val *min(struct world *w)
{
	return ul_min(input(w, 20, 1), 0.3);
}

static const double column[] = {0.5, -1, 0, 2, 3, -0.25};

static ul_val *mul_rows(struct world *w)
{
	return ul_mul_rows(input(w, 6, 4), column);
}

static ul_val *project_out(struct world *w)
{
	static const double basis[] = {0.6, 0.8, 0, 0, 0, 0, 0, 1};
	return ul_project_out(input(w, 6, 4), basis, 2);
}

/* ---- reductions ---- */

static ul_val *sum_and_mean(struct world *w)
{
	ul_val *x = input(w, 6, 4);
	return ul_mul(ul_sum(x), ul_mean(ul_mul(x, x)));
}

static ul_val *wsum(struct world *w)
{
	return ul_wsum(input(w, 6, 1), column);
}

static ul_val *group_sum(struct world *w)
{
	static const int group[] = {0, 2, 2, 0, 3, 2};
	return ul_group_sum(input(w, 6, 1), group, 4);
}

static ul_val *row_sqdist(struct world *w)
{
	ul_val *x = input(w, 6, 7);
	return ul_row_sqdist(x, input(w, 6, 7));
}

static ul_val *row_dot(struct world *w)
{
	ul_val *x = input(w, 6, 7);
	return ul_row_dot(x, input(w, 6, 7));
}

/* ---- head ---- */

static const int target[] = {0, 10, 4, 4, 7, 2};

static ul_val *head_logp(struct world *w)
{
	ul_val *h = input(w, 6, 8);
	ul_param *a = weight(w, 11, 8);
	return ul_head_logp(h, a, weight(w, 1, 11), target, NULL);
}

static ul_val *head_logp_frozen(struct world *w)
{
	ul_val *h = input(w, 6, 8);
	return ul_head_logp(h, frozen(w, 11, 8, 1, 0), frozen(w, 1, 11, 1, 0), target, NULL);
}

static ul_val *head_logp_bias_only(struct world *w)
{
	ul_val *h = constant(w, 6, 8);
	ul_param *a = frozen(w, 11, 8, 1, 0);
	return ul_head_logp(h, a, weight(w, 1, 11), target, NULL);
}

static ul_val *head_soft(struct world *w, enum ul_soft kind, double drop, bool train)
{
	static double hidden[6 * 5];
	ul_val *h = input(w, 6, 8);
	ul_param *a = train ? weight(w, 11, 8) : frozen(w, 11, 8, 1, 0), *b = train ? weight(w, 1, 11) : NULL;
	ul_param *ra = frozen(w, 11, 5, 1, 0), *rb = frozen(w, 1, 11, 1, 0);
	for (int i = 0; i < 6 * 5; i++)
		hidden[i] = any("hidden", (uint64_t)i);
	return ul_head_soft(h, a, b, &(ul_soft_ref){.hidden64 = hidden, .w = ra, .b = rb, .drop = drop, .target = target}, kind);
}

static ul_val *soft_ce(struct world *w)
{
	return head_soft(w, UL_SOFT_CE, 0, true);
}

static ul_val *soft_ce_drop(struct world *w)
{
	return head_soft(w, UL_SOFT_CE, 3, false);
}

static ul_val *soft_kl_ref(struct world *w)
{
	return head_soft(w, UL_KL_REF, 0, false);
}

static ul_val *soft_kl_ref_trained(struct world *w)
{
	return head_soft(w, UL_KL_REF, 0.5, true);
}

static ul_val *soft_kl_model(struct world *w)
{
	return head_soft(w, UL_KL_MODEL, 0, false);
}

static ul_val *soft_kl_model_trained(struct world *w)
{
	return head_soft(w, UL_KL_MODEL, 1, true);
}

static ul_val *head_large(struct world *w)
{
	enum { N = 700,
		V = 517 };
	static int t[N];
	ul_val *h = input(w, N, 48);
	ul_param *a = weight(w, V, 48);
	for (int i = 0; i < N; i++)
		t[i] = i * 31 % V;
	return ul_head_logp(h, a, weight(w, 1, V), t, NULL);
}

/* ---- larger than any block size, no multiple of one ---- */

static ul_val *linear_large(struct world *w)
{
	ul_val *x = input(w, 131, 203);
	ul_param *a = around(w, 177, 203, 0.3, 0);
	return ul_linear(x, a, weight(w, 1, 177));
}

static ul_val *norm_large(struct world *w)
{
	ul_val *x = input(w, 301, 70);
	ul_param *a = weight(w, 1, 70), *b = weight(w, 1, 70), *c = weight(w, 1, 35);
	return ul_rmsnorm(ul_layernorm(x, a, b, 1e-5), c, 1e-5, true);
}

static ul_val *gate_large(struct world *w)
{
	ul_val *g = ul_scale(input(w, 97, 333), 6);
	return ul_gate(ul_activate(g, UL_GELU), input(w, 97, 333), UL_SILU);
}

static ul_val *gate_large_gelu(struct world *w)
{
	ul_val *g = ul_scale(input(w, 97, 333), 6);
	return ul_gate(ul_activate(g, UL_GELU_TANH), input(w, 97, 333), UL_GELU);
}

static const struct grad_case cases[] = {
        {"embed", embed, false},
        {"linear", linear, false},
        {"linear, frozen weight", linear_frozen, false},
        {"linear, constant input", linear_of_constant, false},
        {"two adapters", lora_stacked, false},
        {"adapters off", lora_off, false},
        {"rows", rows, false},
        {"cols", cols, false},
        {"tied embedding and head", tied, false},
        {"rmsnorm", rmsnorm, false},
        {"rmsnorm by groups, 1 + w", rmsnorm_groups, false},
        {"rmsnorm, frozen", rmsnorm_frozen, false},
        {"layernorm", layernorm, false},
        {"layernorm by groups, weight only", layernorm_groups, false},
        {"rotate", rotate, false},
        {"rotate partially, scaled", rotate_partial, false},
        {"attend", attend, false},
        {"attend, grouped", attend_grouped, false},
        {"attend, window", attend_window, false},
        {"attend, keys constant", attend_one_frozen, false},
        {"attend, long", attend_large, true},
        {"attend, long, window", attend_large_window, true},
        {"attend, one sequence", attend_one_long, true},
        {"attend, heads of 256", attend_head_256, true},
        {"silu", act_silu, false},
        {"gelu", act_gelu, false},
        {"gelu tanh", act_gelu_tanh, false},
        {"relu", act_relu, false},
        {"gate silu", gate_silu, false},
        {"gate gelu", gate_gelu, false},
        {"gate gelu tanh", gate_gelu_tanh, false},
        {"gate relu", gate_relu, false},
        {"gate, up constant", gate_frozen_up, false},
        {"add, sub, mul, scale, shift", arithmetic, false},
        {"exp", map_exp, false},
        {"log", map_log, false},
        {"logsigmoid", map_logsigmoid, false},
        {"log1mexp", map_log1mexp, false},
        {"square", map_square, false},
        {"abs", map_abs, false},
        {"relu fn", map_relu, false},
        {"min", min, false},
        {"mul_rows", mul_rows, false},
        {"project_out", project_out, false},
        {"sum, mean", sum_and_mean, false},
        {"wsum", wsum, false},
        {"group_sum", group_sum, false},
        {"row_sqdist", row_sqdist, false},
        {"row_dot", row_dot, false},
        {"head logp", head_logp, false},
        {"head logp, frozen", head_logp_frozen, false},
        {"head logp, bias only", head_logp_bias_only, false},
        {"soft cross-entropy", soft_ce, false},
        {"soft cross-entropy with drop, frozen", soft_ce_drop, false},
        {"KL(ref || model), frozen", soft_kl_ref, false},
        {"KL(ref || model) with drop", soft_kl_ref_trained, false},
        {"KL(model || ref), frozen", soft_kl_model, false},
        {"KL(model || ref) with drop", soft_kl_model_trained, false},
        {"head logp, large", head_large, true},
        {"linear, large", linear_large, true},
        {"norms, large", norm_large, true},
        {"gates, large", gate_large, true},
        {"gelu gates, large", gate_large_gelu, true},
};
enum { CASES = sizeof cases / sizeof *cases };

#endif
