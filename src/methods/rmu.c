/*
 * rmu.c: representation misdirection (Li et al. 2024, WMDP, arXiv 2403.03218). The residual stream after block l is driven to one
 * random direction on forget rows and held where it was on retain rows,
 *
 *     L = γ D(h_F, c·u/‖u‖) + α D(h_R, h_R at the start),   u ~ U[0,1)^d drawn once
 *     D = mean_rows mean_{labelled tokens of the row} mean_d (difference²)
 *
 * and full training touches the MLP's last matrix of blocks l-2 … l only. With --adaptive β the target of a token is β·‖h at the
 * start‖·u/‖u‖ (Huu-Tien et al. 2024, arXiv 2408.06223). The executed open-unlearning code divides a vector by a column and so
 * multiplies two means, mean_rows(sum) · mean_rows(1/count): --compat open-unlearning.
 */
#include "train/train.h"

#include <math.h>

struct config {
	int64_t layer;
	double coefficient, adaptive, forget, retain;
	int trains; /* 0 down, 1 all */
};

/* The label of a token marks its own position here, not the one before. */
static bool counts(const ul_row *row, int t)
{
	return row->flags[t] & UL_ROW_LABEL || (t == 0 && ul_row_whole(row));
}

/* Weights of rows that make a sum of squared distances D. */
static double *row_weights(ul_run *r, const ul_batch *b, enum ul_stream s)
{
	bool executed = r->train.compat == UL_TRAIN_OPEN_UNLEARNING;
	double *w = ul_alloc(&r->step_arena, ((size_t)b->rows + 1) * sizeof *w);
	double inverse = 0, seqs = (double)ul_batch_totals(r, b).seqs;
	for (int i = 0; w && i < b->seqs; i++) {
		const ul_row *row = &r->data[s]->row[b->item[i]];
		int n = 0;
		for (int t = 0; t < row->n; t++) {
			n += counts(row, t);
		}
		for (int t = 0; t < row->n; t++) {
			w[b->span.start[i] + t] = !counts(row, t) ? 0 : executed ? 1
			                                                         : 1 / (n * seqs);
		}
		inverse += 1.0 / (n > 0 ? n : 1);
	}
	for (int i = 0; w && executed && i < b->rows; i++) {
		w[i] *= inverse / ((double)b->seqs * b->seqs * r->micros);
	}
	return w;
}

static ul_val *distance(ul_run *r, const ul_batch *b, enum ul_stream s, ul_val *h, ul_val *target)
{
	double *w = row_weights(r, b, s);
	ul_val *d = ul_row_sqdist(h, target); /* [rows, 1] */
	if (!w) {
		r->tape.failed = true;
		return ul_mean(d);
	}
	return ul_wsum(d, w);
}

/* [rows, hidden]: the control vector at every row, or scaled to the norm the row had at the start. */
static ul_val *control(ul_run *r, const struct config *c)
{
	const double *u = r->state;
	const ul_batch *b = &r->forget;
	int width = r->model->cfg.hidden;
	double *x = ul_alloc(&r->step_arena, (size_t)b->rows * (size_t)width * sizeof *x);
	ul_val *start = c->adaptive > 0 ? ul_hidden(r, b, (int)c->layer, true) : NULL;
	if (!x || !ul_tape_ok(&r->tape, NULL)) {
		r->tape.failed = true;
		return ul_hidden(r, b, (int)c->layer, false);
	}
	if (start) {
		ul_read(start, x);
	}
	for (int i = 0; i < b->rows; i++) {
		double *row = x + (size_t)i * (size_t)width, norm2 = 0;
		for (int k = 0; k < width; k++) {
			norm2 += row[k] * row[k];
		}
		for (int k = 0; k < width; k++) {
			row[k] = start ? c->adaptive * sqrt(norm2) * u[k] / c->coefficient : u[k];
		}
	}
	return ul_const(&r->tape, b->rows, width, x);
}

static ul_val *loss(ul_run *r, const void *config)
{
	const struct config *c = config;
	int layer = (int)c->layer;
	ul_val *forget = distance(r, &r->forget, UL_FORGET, ul_hidden(r, &r->forget, layer, false), control(r, c));
	forget = ul_scale(ul_term(r, "forget", forget), c->forget);
	if (c->retain == 0 || !r->data[UL_RETAIN]) {
		return forget;
	}
	ul_val *retain = distance(r, &r->retain, UL_RETAIN, ul_hidden(r, &r->retain, layer, false), ul_hidden(r, &r->retain, layer, true));
	return ul_add(forget, ul_scale(ul_term(r, "retain", retain), c->retain));
}

/* Block 7 of 32 in the paper's model; the same depth elsewhere. */
static int64_t default_layer(int layers)
{
	int64_t l = (7 * (int64_t)layers + 16) / 32;
	return l >= 2 || l == layers - 1 ? l : layers > 2 ? 2
	                                                  : layers - 1;
}

static bool begin(ul_run *r, void *config, ul_err *err)
{
	struct config *c = config;
	int layers = r->model->cfg.layers, width = r->model->cfg.hidden;
	double norm2 = 0;
	if (c->layer < 0) {
		c->layer = default_layer(layers);
	}
	if (c->layer >= layers) {
		return ul_fail(err, "--layer %lld: the model has blocks 0 to %d", (long long)c->layer, layers - 1);
	}
	double *u = r->state = ul_alloc(&r->arena, (size_t)width * sizeof *u);
	if (!u) {
		return ul_nomem(err, (size_t)width * sizeof *u);
	}
	ul_rng rng = ul_rng_at((uint64_t)r->train.seed, "rmu", 0);
	for (int k = 0; k < width; k++) {
		u[k] = ul_rng_uniform(&rng);
		norm2 += u[k] * u[k];
	}
	for (int k = 0; k < width; k++) {
		u[k] *= c->coefficient / sqrt(norm2);
	}
	return true;
}

static bool trains(const ul_run *r, const void *config, const ul_param *p)
{
	const struct config *c = config;
	for (int64_t l = c->layer - 2; c->trains == 0 && l <= c->layer; l++) {
		if (l >= 0 && p == r->model->layer[l].down) {
			return true;
		}
	}
	return c->trains == 1;
}

static const ul_opt opts[] = {
        {"layer", UL_OPT_INT, offsetof(struct config, layer), "-1", -1, 1e6, NULL, "l, the block whose output is steered, from 0; -1 takes the depth of block 7 in 32", "N"},
        {"coefficient", UL_OPT_REAL, offsetof(struct config, coefficient), "2", 1e-6, 1e6, NULL, "c, length of the control vector", "X"},
        {"adaptive", UL_OPT_REAL, offsetof(struct config, adaptive), "0", 0, 1e6, NULL, "β of adaptive RMU, times the token's own norm; 0 uses the fixed length", "X"},
        {"forget-weight", UL_OPT_REAL, offsetof(struct config, forget), "1", 0, 1e6, NULL, "γ, weight of the misdirection", "X"},
        {"retain-weight", UL_OPT_REAL, offsetof(struct config, retain), "1", 0, 1e6, NULL, "α, weight of holding the retain rows", "X"},
        {"rmu-trains", UL_OPT_ENUM, offsetof(struct config, trains), "down", 0, 0, "down|all", "full training: the last MLP matrix of blocks l-2 to l, or everything", NULL},
        {0},
};

static const ul_setting defaults[] = {{"lr", "5e-5"}, {"schedule", "constant"}, {NULL, NULL}};

const ul_method ul_method_rmu = {
        .name = "rmu",
        .title = "Representation misdirection",
        .paper = "Li et al. 2024, The WMDP Benchmark, arXiv 2403.03218; adaptive: Huu-Tien et al. 2024, arXiv 2408.06223",
        .notes = "c and α are open-unlearning's (2, 1) and want tuning per model: the paper used 6.5 and 1200 on Zephyr-7B. Distances are taken at labelled tokens. With LoRA the adapter is trained instead of the chosen matrices.",
        .needs = UL_NEEDS_RETAIN | UL_NEEDS_REF_PASS | UL_FIXED_DIRECTION,
        .config = sizeof(struct config),
        .opts = opts,
        .defaults = defaults,
        .begin = begin,
        .trains = trains,
        .loss = loss,
};
