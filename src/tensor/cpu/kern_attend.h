/*
 * kern_attend.h: causal attention of one head over blocks of UL_QUERIES rows and UL_KEYS keys with an online softmax (Milakov &
 * Gimelshein 2018; Dao et al. 2022), forward and backward; a template over the vector width. Scores of one block are all that exists.
 */

/* Small product on memory as it lies: c [m, n] = alpha a b + beta c. Rows of b must be readable up to a multiple of VW. With ta
 * the element (i, p) of a is a[p · lda + i]. */
struct small {
	bool ta;
	int m, n, k;
	const float *a, *b;
	float *c;
	size_t lda, ldb, ldc;
	float alpha, beta;
};

static void small(const struct small *s)
{
	int vectors = (s->n + VW - 1) / VW, groups = (vectors + NV - 1) / NV, each = (vectors + groups - 1) / groups;

	for (int i = 0; i < s->m; i += MR) {
		const float *row[MR];
		for (int r = 0; r < MR; r++)
			row[r] = s->ta ? s->a + i : s->a + (size_t)(i + r < s->m ? i + r : i) * s->lda;
		for (int v = 0; v < vectors; v += each) {
			int nv = vectors - v < each ? vectors - v : each;
			struct tile t = {s->c + (size_t)i * s->ldc + v * VW, s->ldc, s->m - i < MR ? s->m - i : MR, s->n - v * VW, s->alpha, s->beta};
			micro_of(s->ta, nv)(row, s->lda, s->b + v * VW, s->ldb, s->k, &t);
		}
	}
}

static int padded(int head_dim)
{
	return (head_dim + VW - 1) / VW * VW;
}

/* Keys lie [n, head_dim] with `step` between them; to: [block][head_dim][UL_KEYS], zeros behind the last. */
static void transpose_keys(float *to, const float *from, size_t step, int n, int head_dim)
{
	for (int j = 0; j < n; j += UL_KEYS, to += head_dim * UL_KEYS)
		pack_b(to, from + (size_t)j * step, step, true, head_dim, n - j < UL_KEYS ? n - j : UL_KEYS, UL_KEYS);
}

/* Rows that can be read in whole vectors: where they lie, or copied and padded. */
struct matrix {
	const float *p;
	size_t step;
};

static struct matrix readable(const float *p, size_t step, int n, int head_dim, float **work)
{
	int wide = padded(head_dim);

	if (wide == head_dim)
		return (struct matrix){p, step};
	float *to = *work;
	pack_b(to, p, step, false, n, head_dim, wide);
	*work += (size_t)n * (size_t)wide;
	return (struct matrix){to, (size_t)wide};
}

static size_t attend_work(int n, int head_dim, int heads)
{
	return 3 * (size_t)n * (size_t)padded(head_dim) + (size_t)UL_QUERIES * (size_t)padded(head_dim) + 2 * UL_QUERIES * UL_KEYS + (size_t)(n + VW) * (size_t)(heads + 1);
}

/* Which keys of the block at j0 the query at position pos may see: columns *lo … *hi - 1. */
static void visible(const ul_attend_head *h, int pos, int j0, int *lo, int *hi)
{
	int first = h->window && pos - h->window + 1 > j0 ? pos - h->window + 1 - j0 : 0, end = pos + 1 - j0;

	*hi = end < 0 ? 0 : end > UL_KEYS ? UL_KEYS
	                                  : end;
	*lo = first > *hi ? *hi : first;
}

static int first_key(const ul_attend_head *h, int pos) /* of the block that holds the first key pos may see */
{
	int j = h->window && pos - h->window + 1 > 0 ? pos - h->window + 1 : 0;

	return j / UL_KEYS * UL_KEYS;
}

/* s <- e^(s - m) over the visible columns, 0 elsewhere; returns the sum. */
static float exponentials(float *s, int lo, int hi, float m)
{
	vf sum = {0}, most = vf_set(m);

	if (lo == 0 && hi == UL_KEYS) {
		for (int j = 0; j < UL_KEYS; j += VW) {
			vf e = vf_exp(vf_load(s + j) - most);
			vf_store(s + j, e);
			sum += e;
		}
		return vf_sum(sum);
	}
	for (int j = 0; j < UL_KEYS; j++)
		if (j < lo || j >= hi)
			s[j] = -INFINITY;
	for (int j = 0; j < UL_KEYS; j += VW) {
		vf e = vf_exp(vf_load(s + j) - most);
		vf_store(s + j, e);
		sum += e;
	}
	return vf_sum(sum);
}

static float most_visible(const float *s, int lo, int hi)
{
	float most = -INFINITY;

	if (lo == 0 && hi == UL_KEYS) {
		vf m = vf_load(s);
		for (int j = VW; j < UL_KEYS; j += VW)
			m = vf_max(m, vf_load(s + j));
		return vf_most(m);
	}
	for (int j = lo; j < hi; j++)
		most = s[j] > most ? s[j] : most;
	return most;
}

/* One row of scores joins its running maximum m and sum l; what has been gathered so far in y shrinks by e^(old m - new m). */
static void join(float *s, float *y, int wide, float *m, float *l, const int seen[2])
{
	float top = most_visible(s, seen[0], seen[1]);

	if (top > *m) {
		float shrink = *l > 0 ? expf(*m - top) : 0;
		*m = top;
		*l *= shrink;
		for (int c = 0; c < wide; c += VW)
			vf_store(y + c, vf_load(y + c) * vf_set(shrink));
	}
	*l += exponentials(s, seen[0], seen[1], *m);
}

static void attend(const ul_attend_head *h, int first, int rows)
{
	int d = h->head_dim, wide = padded(d), last = h->past + first + rows - 1, total = h->past + h->n;
	float m[UL_QUERIES], l[UL_QUERIES], *s = h->work, *y = s + UL_QUERIES * UL_KEYS, *rest = y + UL_QUERIES * wide;
	const float *q = h->q + (size_t)first * h->q_step;
	int j0 = first_key(h, h->past + first);
	struct matrix v = readable(h->v + (size_t)j0 * h->kv_step, h->kv_step, last + 1 - j0, d, &rest);

	memset(y, 0, (size_t)(rows * wide) * sizeof *y);
	for (int r = 0; r < rows; r++) {
		m[r] = -INFINITY;
		l[r] = 0;
	}
	for (int j = j0; j <= last; j += UL_KEYS) {
		int keys = total - j < UL_KEYS ? total - j : UL_KEYS;
		small(&(struct small){.m = rows, .n = UL_KEYS, .k = d, .a = q, .lda = h->q_step, .b = h->kt + (size_t)j * (size_t)d, .ldb = UL_KEYS, .c = s, .ldc = UL_KEYS, .alpha = h->scale});
		for (int r = 0; r < rows; r++) {
			int seen[2];
			visible(h, h->past + first + r, j, &seen[0], &seen[1]);
			if (seen[0] < seen[1])
				join(s + r * UL_KEYS, y + r * wide, wide, &m[r], &l[r], seen);
			else
				memset(s + r * UL_KEYS, 0, UL_KEYS * sizeof *s);
		}
		if (keys > last + 1 - j)
			keys = last + 1 - j;
		small(&(struct small){.m = rows, .n = d, .k = keys, .a = s, .lda = UL_KEYS, .b = v.p + (size_t)(j - j0) * v.step, .ldb = v.step, .c = y, .ldc = (size_t)wide, .alpha = 1, .beta = 1});
	}
	for (int r = 0; r < rows; r++) {
		float *out = h->y + (size_t)(first + r) * h->q_step;
		for (int c = 0; c < d; c++)
			out[c] = y[r * wide + c] / l[r];
		h->lse[(size_t)(first + r) * h->lse_step] = m[r] + logf(l[r]);
	}
}

/* Decoding: too few rows to pay for transposed keys. The heads that share keys read each key once. */
static void attend_few(const ul_attend_head *h, int heads)
{
	size_t d = (size_t)h->head_dim;

	for (int r = 0; r < h->n; r++) {
		int pos = h->past + r, lo = h->window && pos - h->window + 1 > 0 ? pos - h->window + 1 : 0;
		size_t keys = (size_t)(pos + 1 - lo), wide = (keys + VW - 1) / VW * VW;
		for (int g = 0; g < heads; g++)
			for (size_t j = keys; j < wide; j++)
				h->work[(size_t)g * wide + j] = -INFINITY;
		for (size_t j = 0; j < keys; j++) {
			const float *k = h->k + ((size_t)lo + j) * h->kv_step;
			for (int g = 0; g < heads; g++) {
				const float *q = h->q + (size_t)r * h->q_step + (size_t)g * d;
				vf sum = {0};
				EACH (0, d)
					sum = vf_fma(take(q + i, n), take(k + i, n), sum);
				h->work[(size_t)g * wide + j] = vf_sum(sum) * h->scale;
			}
		}
		for (int g = 0; g < heads; g++) {
			float *s = h->work + (size_t)g * wide, *y = h->y + (size_t)r * h->q_step + (size_t)g * d;
			float most = most_of(s, keys);
			vf sum = {0};
			for (size_t j = 0; j < wide; j += VW) {
				vf e = vf_exp(vf_load(s + j) - vf_set(most));
				vf_store(s + j, e);
				sum += e;
			}
			float total = vf_sum(sum);
			h->lse[(size_t)r * h->lse_step + (size_t)g] = most + logf(total);
			memset(y, 0, d * sizeof *y);
			for (size_t j = 0; j < keys; j++) {
				const float *v = h->v + ((size_t)lo + j) * h->kv_step;
				vf p = vf_set(s[j] / total);
				EACH (0, d)
					give(y + i, vf_fma(p, take(v + i, n), take(y + i, n)), n);
			}
		}
	}
}

/* ---- backward ----
 * With p = e^(score - lse), D = dy·y and ds = p (dy·v - D) scale: dv += pᵀ dy, dk += dsᵀ q, dq += ds k. */

struct tables { /* of one head: rows that can be read in whole vectors, D of each row, one block of p and of ds */
	struct matrix q, k, dy;
	float *mean, *p, *ds;
};

/* p and ds of `rows` query rows from `first` against the keys of block j. */
static void block_grad(const ul_attend_head *h, const struct tables *t, int first, int rows, int j)
{
	int d = h->head_dim;

	small(&(struct small){.m = rows, .n = UL_KEYS, .k = d, .a = h->q + (size_t)first * h->q_step, .lda = h->q_step, .b = h->kt + (size_t)j * (size_t)d, .ldb = UL_KEYS, .c = t->p, .ldc = UL_KEYS, .alpha = h->scale});
	small(&(struct small){.m = rows, .n = UL_KEYS, .k = d, .a = h->dy + (size_t)first * h->q_step, .lda = h->q_step, .b = h->vt + (size_t)j * (size_t)d, .ldb = UL_KEYS, .c = t->ds, .ldc = UL_KEYS, .alpha = 1});
	for (int r = 0; r < rows; r++) {
		float *p = t->p + r * UL_KEYS, *ds = t->ds + r * UL_KEYS;
		int lo, hi;
		visible(h, first + r, j, &lo, &hi);
		exponentials(p, lo, hi, h->lse_in[(size_t)(first + r) * h->lse_step]);
		vf mean = vf_set(t->mean[first + r]), scale = vf_set(h->scale);
		for (int c = 0; c < UL_KEYS; c += VW)
			vf_store(ds + c, vf_load(p + c) * (vf_load(ds + c) - mean) * scale);
	}
}

static void attend_grad(const ul_attend_head *h)
{
	int d = h->head_dim;
	float *work = h->work;
	struct tables t = {.p = work, .ds = work + UL_QUERIES * UL_KEYS, .mean = work + 2 * UL_QUERIES * UL_KEYS};

	work = t.mean + (h->n + VW - 1) / VW * VW;
	t.q = readable(h->q, h->q_step, h->n, d, &work);
	t.k = readable(h->k, h->kv_step, h->n, d, &work);
	t.dy = readable(h->dy, h->q_step, h->n, d, &work);
	for (int r = 0; r < h->n; r++)
		t.mean[r] = (float)dot(h->dy + (size_t)r * h->q_step, h->y_in + (size_t)r * h->q_step, (size_t)d);
	memset(h->dk, 0, (size_t)h->n * (size_t)d * sizeof *h->dk);
	memset(h->dv, 0, (size_t)h->n * (size_t)d * sizeof *h->dv);
	for (int j = 0; j < h->n; j += UL_KEYS) {
		int keys = h->n - j < UL_KEYS ? h->n - j : UL_KEYS, end = h->window && j + keys - 1 + h->window < h->n ? j + keys - 1 + h->window : h->n;
		for (int i = j; i < end; i += UL_QUERIES) {
			int rows = end - i < UL_QUERIES ? end - i : UL_QUERIES;
			block_grad(h, &t, i, rows, j);
			small(&(struct small){.ta = true, .m = keys, .n = d, .k = rows, .a = t.p, .lda = UL_KEYS, .b = t.dy.p + (size_t)i * t.dy.step, .ldb = t.dy.step, .c = h->dv + (size_t)j * (size_t)d, .ldc = (size_t)d, .alpha = 1, .beta = 1});
			small(&(struct small){.ta = true, .m = keys, .n = d, .k = rows, .a = t.ds, .lda = UL_KEYS, .b = t.q.p + (size_t)i * t.q.step, .ldb = t.q.step, .c = h->dk + (size_t)j * (size_t)d, .ldc = (size_t)d, .alpha = 1, .beta = 1});
			if (h->dq)
				small(&(struct small){.m = rows, .n = d, .k = keys, .a = t.ds, .lda = UL_KEYS, .b = t.k.p + (size_t)j * t.k.step, .ldb = t.k.step, .c = h->dq + (size_t)i * h->q_step, .ldc = h->q_step, .alpha = 1, .beta = 1});
		}
	}
}
