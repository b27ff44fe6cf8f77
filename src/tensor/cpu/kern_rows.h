/*
 * kern_rows.h: norms, rotation, softmax and the moving of rows; a template over the vector width.
 */

/* ---- rows that move and add ---- */

static void rows_axpy(const void *args, size_t lo, size_t hi)
{
	const ul_row_args *a = args;

	for (size_t r = lo; r < hi; r++) {
		vf c = vf_set((float)a->c[r]);
		float *y = a->y + r * (size_t)a->cols;
		const float *x = a->x + r * (size_t)a->cols;
		EACH (0, (size_t)a->cols)
			give(y + i, vf_fma(c, take(x + i, n), take(y + i, n)), n);
	}
}

static void gather(const void *args, size_t lo, size_t hi)
{
	const ul_row_args *a = args;
	vf c = vf_set((float)a->scale);

	for (size_t r = lo; r < hi; r++) {
		float *y = a->y + r * (size_t)a->cols;
		const float *x = a->x + (size_t)a->index[r] * (size_t)a->cols;
		EACH (0, (size_t)a->cols)
			give(y + i, c * take(x + i, n), n);
	}
}

static void add_bias(const void *args, size_t lo, size_t hi)
{
	const ul_row_args *a = args;

	for (size_t r = lo; r < hi; r++) {
		float *y = a->y + r * (size_t)a->cols;
		EACH (0, (size_t)a->cols)
			give(y + i, take(y + i, n) + take(a->x + i, n), n);
	}
}

static void scatter_add(const void *args, size_t lo, size_t hi) /* columns lo … hi - 1 of all rows, in the order of the rows */
{
	const ul_row_args *a = args;
	vf c = vf_set((float)a->scale);

	for (int r = 0; r < a->rows; r++) {
		float *y = a->y + (size_t)a->index[r] * (size_t)a->cols;
		const float *x = a->x + (size_t)r * (size_t)a->cols;
		EACH (lo, hi)
			give(y + i, vf_fma(c, take(x + i, n), take(y + i, n)), n);
	}
}

static void sum_rows(const void *args, size_t lo, size_t hi) /* columns */
{
	const ul_row_args *a = args;

	EACH (lo, hi) {
		vf sum = {0};
		for (int r = 0; r < a->rows; r++)
			sum += take(a->x + (size_t)r * (size_t)a->cols + i, n);
		give(a->y + i, take(a->y + i, n) + sum, n);
	}
}

/* ---- norms ---- */

static vf weight(const ul_norm_args *a, size_t i, size_t n)
{
	vf w = take((const float *)a->w + i, n);

	return a->plus_one ? w + vf_set(1) : w;
}

static void rmsnorm(const void *args, size_t lo, size_t hi)
{
	const ul_norm_args *a = args;
	size_t cols = (size_t)a->cols;

	for (size_t g = lo; g < hi; g++) {
		const float *x = (const float *)a->x + g * cols;
		float *y = (float *)a->y + g * cols;
		vf square = {0};
		EACH (0, cols) {
			vf v = take(x + i, n);
			square = vf_fma(v, v, square);
		}
		a->stat[g] = 1 / sqrt((double)vf_sum(square) / a->cols + a->eps);
		vf r = vf_set((float)a->stat[g]);
		EACH (0, cols)
			give(y + i, take(x + i, n) * r * weight(a, i, n), n);
	}
}

static void rmsnorm_dx(const void *args, size_t lo, size_t hi) /* dx += r (g - x r² mean(g x)), g = dy w */
{
	const ul_norm_args *a = args;
	size_t cols = (size_t)a->cols;

	for (size_t g = lo; g < hi; g++) {
		const float *x = (const float *)a->x + g * cols, *dy = (const float *)a->dy + g * cols;
		float *dx = (float *)a->dx + g * cols;
		vf sum = {0}, r = vf_set((float)a->stat[g]);
		EACH (0, cols)
			sum = vf_fma(take(dy + i, n) * weight(a, i, n), take(x + i, n), sum);
		vf c = vf_set((float)((double)vf_sum(sum) / a->cols * a->stat[g] * a->stat[g]));
		EACH (0, cols) {
			vf d = take(dy + i, n) * weight(a, i, n) - take(x + i, n) * c;
			give(dx + i, vf_fma(r, d, take(dx + i, n)), n);
		}
	}
}

static void rmsnorm_dw(const void *args, size_t lo, size_t hi)
{
	const ul_norm_args *a = args;
	const float *x = a->x, *dy = a->dy;
	float *dw = a->dw;

	EACH (lo, hi) {
		vf sum = {0};
		for (int g = 0; g < a->groups; g++) {
			size_t at = (size_t)g * (size_t)a->cols + i;
			sum = vf_fma(take(dy + at, n) * vf_set((float)a->stat[g]), take(x + at, n), sum);
		}
		give(dw + i, take(dw + i, n) + sum, n);
	}
}

static void layernorm(const void *args, size_t lo, size_t hi)
{
	const ul_norm_args *a = args;
	size_t cols = (size_t)a->cols;

	for (size_t g = lo; g < hi; g++) {
		const float *x = (const float *)a->x + g * cols, *b = a->b;
		float *y = (float *)a->y + g * cols;
		vf sum = {0}, square = {0};
		EACH (0, cols)
			sum += take(x + i, n);
		a->stat[2 * g] = (double)vf_sum(sum) / a->cols;
		vf mean = vf_set((float)a->stat[2 * g]);
		EACH (0, cols) {
			vf d = take(x + i, n) - mean;
			if (n < VW)
				d = vf_load_part((float *)&d, n);
			square = vf_fma(d, d, square);
		}
		a->stat[2 * g + 1] = 1 / sqrt((double)vf_sum(square) / a->cols + a->eps);
		vf r = vf_set((float)a->stat[2 * g + 1]);
		EACH (0, cols) {
			vf v = (take(x + i, n) - mean) * r * weight(a, i, n);
			give(y + i, b ? v + take(b + i, n) : v, n);
		}
	}
}

static void layernorm_dx(const void *args, size_t lo, size_t hi) /* dx += r (g - mean(g) - v mean(g v)), v = (x - mean) r */
{
	const ul_norm_args *a = args;
	size_t cols = (size_t)a->cols;

	for (size_t g = lo; g < hi; g++) {
		const float *x = (const float *)a->x + g * cols, *dy = (const float *)a->dy + g * cols;
		float *dx = (float *)a->dx + g * cols;
		vf mean = vf_set((float)a->stat[2 * g]), r = vf_set((float)a->stat[2 * g + 1]), sg = {0}, sgv = {0};
		EACH (0, cols) {
			vf d = take(dy + i, n) * weight(a, i, n);
			sg += d;
			sgv = vf_fma(d, (take(x + i, n) - mean) * r, sgv);
		}
		vf mg = vf_set(vf_sum(sg) / (float)a->cols), mgv = vf_set(vf_sum(sgv) / (float)a->cols);
		EACH (0, cols) {
			vf v = (take(x + i, n) - mean) * r;
			vf d = take(dy + i, n) * weight(a, i, n) - mg - v * mgv;
			give(dx + i, vf_fma(r, d, take(dx + i, n)), n);
		}
	}
}

static void layernorm_dw(const void *args, size_t lo, size_t hi)
{
	const ul_norm_args *a = args;
	const float *x = a->x, *dy = a->dy;
	float *dw = a->dw, *db = a->db;

	EACH (lo, hi) {
		vf sw = {0}, sb = {0};
		for (int g = 0; g < a->groups; g++) {
			size_t at = (size_t)g * (size_t)a->cols + i;
			vf d = take(dy + at, n), v = (take(x + at, n) - vf_set((float)a->stat[2 * g])) * vf_set((float)a->stat[2 * g + 1]);
			sw = vf_fma(d, v, sw);
			sb += d;
		}
		if (dw)
			give(dw + i, take(dw + i, n) + sw, n);
		if (db)
			give(db + i, take(db + i, n) + sb, n);
	}
}

/* ---- rotation ---- */

static void rotate(const void *args, size_t lo, size_t hi)
{
	const ul_rotate_pair *p = args;
	const ul_rotate_args *a = p->a;
	size_t half = (size_t)a->rot / 2;
	vf sign = vf_set(a->back ? -1.0f : 1.0f);

	for (size_t r = lo; r < hi; r++)
		for (int h = 0; h < a->cols; h += a->head_dim) {
			const float *x = p->x + r * (size_t)a->cols + h, *c = (const float *)a->cs + r * (size_t)a->rot, *s = c + half;
			float *y = p->y + r * (size_t)a->cols + h;
			EACH (0, half) {
				vf u = take(x + i, n);
				vf v = take(x + half + i, n);
				vf co = take(c + i, n);
				vf si = take(s + i, n) * sign;
				vf yu = u * co - v * si;
				vf yv = vf_fma(v, co, u * si);
				give(y + i, a->add ? take(y + i, n) + yu : yu, n);
				give(y + half + i, a->add ? take(y + half + i, n) + yv : yv, n);
			}
			EACH ((size_t)a->rot, (size_t)a->head_dim) {
				vf v = take(x + i, n);
				give(y + i, a->add ? take(y + i, n) + v : v, n);
			}
		}
}

/* ---- softmax over a vocabulary. Sums run in float over 1,024 elements, in double beyond. ---- */

enum { STRETCH = 1024 };

static float most_of(const float *z, size_t vocab)
{
	vf most = vf_set(z[0]);

	EACH (0, vocab) {
		if (n == VW)
			most = vf_max(most, vf_load(z + i));
		else
			for (size_t j = 0; j < n; j++)
				most[0] = z[i + j] > most[0] ? z[i + j] : most[0];
	}

	return vf_most(most);
}

/* What is summed over a row of logits; k are constants of the row. */
enum { EXPONENTIALS,
	LOGITS,
	LOG_P,
	LOG_P_SPREAD,
	CROSS,
	KL_REF,
	KL_MODEL };

INLINE vf term(int what, vf z, vf ref, const float k[3])
{
	vf u = z - vf_set(k[0]), w = ref - vf_set(k[1]);

	switch (what) {
	case EXPONENTIALS: /* k: the largest */
		return vf_exp(u);
	case LOGITS:
		return z;
	case LOG_P: /* k: lse */
		return u * vf_exp(u);
	case LOG_P_SPREAD: /* k: lse, -, mean */
		return (u - vf_set(k[2])) * (u - vf_set(k[2])) * vf_exp(u);
	case CROSS: /* k: lse, lse of the reference, their distance */
		return -u * vf_exp(w);
	case KL_REF:
		return (ref - z - vf_set(k[2])) * vf_exp(w);
	default: /* KL_MODEL */
		return (z - ref + vf_set(k[2])) * vf_exp(u);
	}
}

INLINE double row_sum(int what, const float *z, const float *ref, size_t vocab, const float k[3])
{
	double total = 0;

	for (size_t from = 0; from < vocab; from += STRETCH) {
		size_t to = from + STRETCH < vocab ? from + STRETCH : vocab;
		vf part = {0};
		EACH (from, to) {
			vf e = term(what, take(z + i, n), ref ? take(ref + i, n) : (vf){0}, k);
			part += n == VW ? e : vf_load_part((float *)&e, n);
		}
		total += (double)vf_sum(part);
	}
	return total;
}

static double log_sum_exp(const float *z, size_t vocab, float most)
{
	return (double)most + log(row_sum(EXPONENTIALS, z, NULL, vocab, (float[3]){most}));
}

static void stats(const ul_head_stats *want, size_t r, const float *z, size_t vocab, double lse)
{
	double mean = row_sum(LOG_P, z, NULL, vocab, (float[3]){(float)lse});

	if (want->entropy)
		want->entropy[r] = -mean;
	if (want->mean)
		want->mean[r] = mean;
	if (want->var)
		want->var[r] = row_sum(LOG_P_SPREAD, z, NULL, vocab, (float[3]){(float)lse, 0, (float)mean});
	if (want->mean_logit)
		want->mean_logit[r] = row_sum(LOGITS, z, NULL, vocab, (float[3]){0}) / (double)vocab;
}

static void logp(const void *args, size_t lo, size_t hi)
{
	const ul_softmax_args *a = args;
	const ul_head_stats *want = a->want;
	size_t vocab = (size_t)a->vocab;

	for (size_t r = lo; r < hi; r++) {
		const float *z = a->z + r * vocab;
		float most = most_of(z, vocab);
		a->lse[r] = log_sum_exp(z, vocab, most);
		a->logp[r] = (double)z[a->target[r]] - a->lse[r];
		if (!want)
			continue;
		if (want->argmax) {
			int i = 0;
			while (i < a->vocab - 1 && z[i] != most)
				i++;
			want->argmax[r] = i;
		}
		if (want->max_logit)
			want->max_logit[r] = (double)most;
		if (want->entropy || want->mean || want->var || want->mean_logit)
			stats(want, r, z, vocab, a->lse[r]);
	}
}

static void logp_grad(const void *args, size_t lo, size_t hi) /* z <- dlogp (onehot - p) */
{
	const ul_softmax_args *a = args;
	size_t vocab = (size_t)a->vocab;

	for (size_t r = lo; r < hi; r++) {
		float *z = a->z + r * vocab, d = (float)a->dlogp[r], at = z[a->target[r]];
		vf lse = vf_set((float)a->lse[r]), minus = vf_set(-d);
		EACH (0, vocab)
			give(z + i, minus * vf_exp(take(z + i, n) - lse), n);
		z[a->target[r]] = (float)(a->dlogp[r] * -expm1((double)at - a->lse[r])); /* 1 - p without cancellation */
	}
}

static void soft(const void *args, size_t lo, size_t hi)
{
	const ul_soft_args *a = args;
	size_t vocab = (size_t)a->vocab;

	for (size_t r = lo; r < hi; r++) {
		float *z = (float *)a->z + r * vocab, *zref = (float *)a->zref + r * vocab;
		if (a->drop != 0)
			zref[a->target[r]] -= (float)a->drop;
		double own = log_sum_exp(z, vocab, most_of(z, vocab)), other = log_sum_exp(zref, vocab, most_of(zref, vocab));
		float k[3] = {(float)own, (float)other, (float)(other - own)}; /* log q - log p = zref - z - k[2] */
		a->loss[r] = a->kind == UL_SOFT_CE ? row_sum(CROSS, z, zref, vocab, k) : a->kind == UL_KL_REF ? row_sum(KL_REF, z, zref, vocab, k)
		                                                                                              : row_sum(KL_MODEL, z, zref, vocab, k);
		if (!a->dloss)
			continue;
		vf d = vf_set((float)a->dloss[r]), loss = vf_set((float)a->loss[r] - k[2]);
		EACH (0, vocab) {
			vf own_z = take(z + i, n), ref = take(zref + i, n), p = vf_exp(own_z - vf_set(k[0]));
			give(z + i, d * (a->kind == UL_KL_MODEL ? p * (own_z - ref - loss) : p - vf_exp(ref - vf_set(k[1]))), n);
		}
	}
}

/* ---- sums that cross everything, in double, eight at a time ---- */

static double dot(const float *x, const float *y, size_t n)
{
	double part[8] = {0};
	size_t i = 0;

	for (; i + 8 <= n; i += 8)
		for (int j = 0; j < 8; j++)
			part[j] += (double)x[i + (size_t)j] * (double)y[i + (size_t)j];
	for (; i < n; i++)
		part[0] += (double)x[i] * (double)y[i];
	return ((part[0] + part[4]) + (part[2] + part[6])) + ((part[1] + part[5]) + (part[3] + part[7]));
}

static double sqdist(const float *x, const float *y, size_t n)
{
	double part[8] = {0};
	size_t i = 0;

	for (; i + 8 <= n; i += 8)
		for (int j = 0; j < 8; j++) {
			double d = (double)x[i + (size_t)j] - (double)y[i + (size_t)j];
			part[j] += d * d;
		}
	for (; i < n; i++)
		part[0] += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
	return ((part[0] + part[4]) + (part[2] + part[6])) + ((part[1] + part[5]) + (part[3] + part[7]));
}
