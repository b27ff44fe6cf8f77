/*
 * ref_rows.h: the judge's norms, rotation, attention and softmax, a template over `real`. Included by ref32.c and ref64.c.
 */

/* ---- norms ---- */

static double weight(const ul_norm_args *a, int c)
{
	return (double)((const real *)a->w)[c] + (a->plus_one ? 1 : 0);
}

static void rmsnorm(const ul_norm_args *a)
{
	const real *x = a->x;
	real *y = a->y;

	for (int g = 0; g < a->groups; g++, x += a->cols, y += a->cols) {
		double square = 0;
		for (int c = 0; c < a->cols; c++)
			square += (double)x[c] * (double)x[c];
		a->stat[g] = 1 / sqrt(square / a->cols + a->eps);
		for (int c = 0; c < a->cols; c++)
			y[c] = (real)((double)x[c] * a->stat[g] * weight(a, c));
	}
}

/* With r = 1/rms and g = dy w: dx = r (g - x r² mean(g x)), dw = Σ dy x r. */
static void rmsnorm_grad(const ul_norm_args *a)
{
	const real *x = a->x, *dy = a->dy;
	real *dx = a->dx, *dw = a->dw;

	for (int g = 0; g < a->groups; g++) {
		size_t at = (size_t)g * (size_t)a->cols;
		double r = a->stat[g], mean = 0;
		for (int c = 0; c < a->cols; c++)
			mean += (double)dy[at + c] * weight(a, c) * (double)x[at + c] / a->cols;
		for (int c = 0; dx && c < a->cols; c++)
			dx[at + c] += (real)(r * ((double)dy[at + c] * weight(a, c) - (double)x[at + c] * r * r * mean));
		for (int c = 0; dw && c < a->cols; c++)
			dw[c] += (real)((double)dy[at + c] * (double)x[at + c] * r);
	}
}

static void layernorm(const ul_norm_args *a)
{
	const real *x = a->x;
	real *y = a->y;

	for (int g = 0; g < a->groups; g++, x += a->cols, y += a->cols) {
		double mean = 0, var = 0;
		for (int c = 0; c < a->cols; c++)
			mean += (double)x[c] / a->cols;
		for (int c = 0; c < a->cols; c++)
			var += ((double)x[c] - mean) * ((double)x[c] - mean) / a->cols;
		a->stat[2 * g] = mean;
		a->stat[2 * g + 1] = 1 / sqrt(var + a->eps);
		for (int c = 0; c < a->cols; c++)
			y[c] = (real)(((double)x[c] - mean) * a->stat[2 * g + 1] * weight(a, c) + (a->b ? (double)((const real *)a->b)[c] : 0));
	}
}

/* With n = (x - mean) / sd and g = dy w: dx = (g - mean(g) - n mean(g n)) / sd, dw = Σ dy n, db = Σ dy. */
static void layernorm_grad(const ul_norm_args *a)
{
	const real *x = a->x, *dy = a->dy;
	real *dx = a->dx, *dw = a->dw, *db = a->db;

	for (int g = 0; g < a->groups; g++) {
		size_t at = (size_t)g * (size_t)a->cols;
		double mean = a->stat[2 * g], r = a->stat[2 * g + 1], mg = 0, mgn = 0;
		for (int c = 0; c < a->cols; c++) {
			double gw = (double)dy[at + c] * weight(a, c);
			mg += gw / a->cols;
			mgn += gw * ((double)x[at + c] - mean) * r / a->cols;
		}
		for (int c = 0; c < a->cols; c++) {
			double n = ((double)x[at + c] - mean) * r, d = dy[at + c];
			if (dx)
				dx[at + c] += (real)(r * (d * weight(a, c) - mg - n * mgn));
			if (dw)
				dw[c] += (real)(d * n);
			if (db)
				db[c] += (real)d;
		}
	}
}

/* ---- rotation: columns (i, i + rot/2) of each head turn by the row's angle i ---- */

static void put(real *y, double v, bool add)
{
	*y = (real)(add ? (double)*y + v : v);
}

static void rotate(void *yv, const void *xv, const ul_rotate_args *a)
{
	int half = a->rot / 2;

	for (int r = 0; r < a->rows; r++) {
		const real *cs = (const real *)a->cs + (size_t)r * (size_t)a->rot;
		for (int h = 0; h < a->cols; h += a->head_dim) {
			const real *x = (const real *)xv + (size_t)r * (size_t)a->cols + h;
			real *y = (real *)yv + (size_t)r * (size_t)a->cols + h;
			for (int i = 0; i < half; i++) {
				double c = cs[i], s = a->back ? -(double)cs[half + i] : (double)cs[half + i], p = x[i], q = x[half + i];
				put(&y[i], p * c - q * s, a->add);
				put(&y[half + i], q * c + p * s, a->add);
			}
			for (int i = a->rot; i < a->head_dim; i++)
				put(&y[i], x[i], a->add);
		}
	}
}

/* ---- attention, one row of one head at a time ---- */

struct seat { /* where row i of sequence s and head h sits, and what it may see */
	size_t q; /* its elements in q, y, dy, dq */
	size_t kv, step; /* the head's column in k and v, elements from key to key */
	int lo, hi; /* keys lo … hi - 1 */
	size_t lse;
};

static struct seat seat(const ul_attend_args *a, int s, int i, int h)
{
	int row = a->start[s] + i, pos = a->past[s] + i;

	return (struct seat){
	        .q = ((size_t)row * (size_t)a->q_heads + (size_t)h) * (size_t)a->head_dim,
	        .kv = (size_t)(h / (a->q_heads / a->kv_heads)) * (size_t)a->head_dim,
	        .step = (size_t)a->kv_heads * (size_t)a->head_dim,
	        .lo = a->window && pos - a->window + 1 > 0 ? pos - a->window + 1 : 0,
	        .hi = pos + 1,
	        .lse = (size_t)row * (size_t)a->q_heads + (size_t)h,
	};
}

static void attend_row(const ul_attend_args *a, int s, struct seat at)
{
	const real *q = (const real *)a->q + at.q, *k = (const real *)a->k[s] + at.kv, *v = (const real *)a->v[s] + at.kv;
	real *y = (real *)a->y + at.q;
	size_t d = (size_t)a->head_dim;
	double most = -INFINITY, total = 0;

	for (int j = at.lo; j < at.hi; j++) { /* log Σ exp of the scores, online */
		double score = a->scale * dot(q, k + (size_t)j * at.step, d);
		double top = score > most ? score : most;
		total = total * exp(most - top) + exp(score - top);
		most = top;
	}
	double lse = most + log(total);
	((real *)a->lse)[at.lse] = (real)lse;
	memset(y, 0, d * sizeof *y);
	for (int j = at.lo; j < at.hi; j++) {
		double p = exp(a->scale * dot(q, k + (size_t)j * at.step, d) - lse);
		for (size_t c = 0; c < d; c++)
			y[c] += (real)(p * (double)v[(size_t)j * at.step + c]);
	}
}

static void attend(const ul_attend_args *a)
{
	for (int s = 0; s < a->seqs; s++)
		for (int i = 0; i < a->start[s + 1] - a->start[s]; i++)
			for (int h = 0; h < a->q_heads; h++)
				attend_row(a, s, seat(a, s, i, h));
}

/* With p = exp(score - lse) and D = dy·y: dv += p dy, ds = p (dy·v - D) scale, dq += ds k, dk += ds q. */
static void attend_grad_row(const ul_attend_args *a, int s, struct seat at)
{
	const real *q = (const real *)a->q + at.q, *dy = (const real *)a->dy + at.q;
	size_t d = (size_t)a->head_dim;
	double lse = ((const real *)a->lse)[at.lse], mean = dot(dy, (const real *)a->y + at.q, d);

	for (int j = at.lo; j < at.hi; j++) {
		size_t key = at.kv + (size_t)j * at.step;
		const real *k = (const real *)a->k[s] + key, *v = (const real *)a->v[s] + key;
		double p = exp(a->scale * dot(q, k, d) - lse), ds = p * (dot(dy, v, d) - mean) * a->scale;
		for (size_t c = 0; c < d; c++) {
			if (a->dq)
				((real *)a->dq)[at.q + c] += (real)(ds * (double)k[c]);
			if (a->dk)
				((real *)a->dk[s])[key + c] += (real)(ds * (double)q[c]);
			if (a->dv)
				((real *)a->dv[s])[key + c] += (real)(p * (double)dy[c]);
		}
	}
}

static void attend_grad(const ul_attend_args *a)
{
	for (int s = 0; s < a->seqs; s++)
		for (int i = 0; i < a->start[s + 1] - a->start[s]; i++)
			for (int h = 0; h < a->q_heads; h++)
				attend_grad_row(a, s, seat(a, s, i, h));
}

/* ---- softmax over a vocabulary ---- */

/* log Σ exp(z); the place of the largest, the first of equals, in *top */
static double log_sum_exp(const real *z, int n, int *top)
{
	double total = 0;
	int best = 0;

	for (int i = 1; i < n; i++)
		if (z[i] > z[best])
			best = i;
	for (int i = 0; i < n; i++)
		total += exp((double)z[i] - (double)z[best]);
	if (top)
		*top = best;
	return (double)z[best] + log(total);
}

static void stats(const ul_head_stats *want, int r, const real *z, int n, double lse)
{
	double mean = 0, var = 0, mean_logit = 0;

	for (int i = 0; i < n; i++) {
		double l = (double)z[i] - lse;
		mean += exp(l) * l;
		mean_logit += (double)z[i] / n;
	}
	for (int i = 0; i < n && want->var; i++) {
		double l = (double)z[i] - lse;
		var += exp(l) * (l - mean) * (l - mean);
	}
	if (want->entropy)
		want->entropy[r] = -mean;
	if (want->mean)
		want->mean[r] = mean;
	if (want->var)
		want->var[r] = var;
	if (want->mean_logit)
		want->mean_logit[r] = mean_logit;
}

static void logp(const void *zv, const int *target, double *lse, double *out, const ul_head_stats *want, const int shape[2])
{
	const real *z = zv;

	for (int r = 0; r < shape[0]; r++, z += shape[1]) {
		int top;
		lse[r] = log_sum_exp(z, shape[1], &top);
		out[r] = (double)z[target[r]] - lse[r];
		if (!want)
			continue;
		if (want->argmax)
			want->argmax[r] = top;
		if (want->max_logit)
			want->max_logit[r] = z[top];
		if (want->entropy || want->mean || want->var || want->mean_logit)
			stats(want, r, z, shape[1], lse[r]);
	}
}

static void logp_grad(void *zv, const double *lse, const double *dlogp, const int *target, const int shape[2])
{
	real *z = zv;

	for (int r = 0; r < shape[0]; r++, z += shape[1])
		for (int i = 0; i < shape[1]; i++)
			z[i] = (real)(dlogp[r] * ((i == target[r]) - exp((double)z[i] - lse[r])));
}

static void soft_row(const ul_soft_args *a, int r)
{
	real *z = (real *)a->z + (size_t)r * (size_t)a->vocab, *zref = (real *)a->zref + (size_t)r * (size_t)a->vocab;

	if (a->drop != 0)
		zref[a->target[r]] -= (real)a->drop;
	double lse = log_sum_exp(z, a->vocab, NULL), lse_ref = log_sum_exp(zref, a->vocab, NULL), loss = 0;
	for (int i = 0; i < a->vocab; i++) {
		double lp = (double)z[i] - lse, lq = (double)zref[i] - lse_ref;
		loss += a->kind == UL_SOFT_CE ? -exp(lq) * lp : a->kind == UL_KL_REF ? exp(lq) * (lq - lp)
		                                                                     : exp(lp) * (lp - lq);
	}
	a->loss[r] = loss;
	for (int i = 0; a->dloss && i < a->vocab; i++) {
		double lp = (double)z[i] - lse, lq = (double)zref[i] - lse_ref;
		double d = a->kind == UL_KL_MODEL ? exp(lp) * (lp - lq - loss) : exp(lp) - exp(lq);
		z[i] = (real)(a->dloss[r] * d);
	}
}

static void soft(const ul_soft_args *a)
{
	for (int r = 0; r < a->rows; r++)
		soft_row(a, r);
}
