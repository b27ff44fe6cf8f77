/*
 * kern_elements.h: functions of single elements, vectorised; a template over the vector width.
 */

/* e^x. x = n ln 2 + r with |r| <= ln 2 / 2, e^r by a polynomial of degree 6 whose error is 3e-9 relative; in all below 2 ulp. Zero
 * below -87.3, and never above 2^127. NaN stays NaN. */
static inline vf vf_exp(vf x)
{
	vf magic = vf_set(0x1.8p23f), least = vf_set(-87.33f);
	vi tiny = (vi)(x < least);

	x = vf_min(vf_set(88.37f), vf_max(least, x));
	vf n = vf_fma(x, vf_set(1.44269504f), magic); /* the integer lies in the low bits */
	vi exponent = (vi)n << 23;
	n -= magic;
	vf r = vf_fma(n, vf_set(-0.693145752f), x);
	r = vf_fma(n, vf_set(-1.42860677e-6f), r);
	vf p = vf_fma(vf_set(0.00138145855f), r, vf_set(0.00836871268f));
	p = vf_fma(p, r, vf_set(0.0416683879f));
	p = vf_fma(p, r, vf_set(0.166665207f));
	p = vf_fma(p, r, vf_set(0.499999934f));
	p = vf_fma(p * r, r, r) + vf_set(1);
	p = (vf)((vi)p + exponent);
	return vf_where(tiny, (vf){0}, p);
}

static inline vf vf_sigmoid(vf x)
{
	return vf_set(1) / (vf_set(1) + vf_exp(-x));
}

/* erf(x) = 1 - e^(-x²) Q(1/(1 + |x|/2)) for x > 0, a fit of degree 7 in the manner of Hastings (1955): error 1e-8, 2e-7 in float.
 * `gauss` is e^(-x²). */
static inline vf vf_erf(vf x, vf gauss)
{
	vi sign = (vi)x & (vi)vf_set(-0.0f);
	vf t = vf_set(1) / vf_fma(vf_set(0.5f), (vf)((vi)x ^ sign), vf_set(1));
	vf q = vf_set(0.058797158f);
	q = vf_fma(q, t, vf_set(-0.218217401f));
	q = vf_fma(q, t, vf_set(0.122139579f));
	q = vf_fma(q, t, vf_set(0.307719091f));
	q = vf_fma(q, t, vf_set(0.130822393f));
	q = vf_fma(q, t, vf_set(0.321704895f));
	q = vf_fma(q, t, vf_set(0.277034296f)) * t;
	return (vf)((vi)(vf_set(1) - q * gauss) | sign);
}

/* f(x), and its derivative in *d. The callers' f is a constant, so that the switch is gone from their loops. */
static inline __attribute__((always_inline)) vf act_both(int f, vf x, vf *d)
{
	vf half = vf_set(0.5f), one = vf_set(1), s, u, t;

	switch (f) {
	case UL_SILU:
		s = vf_sigmoid(x);
		*d = s * vf_fma(x, one - s, one);
		return x * s;
	case UL_GELU:
		u = vf_exp(x * x * vf_set(-0.5f));
		s = half * (one + vf_erf(x * vf_set(0.707106781f), u));
		*d = vf_fma(x * u, vf_set(0.398942280f), s);
		return x * s;
	case UL_GELU_TANH:
		u = vf_set(0.797884561f) * x * vf_fma(x * x, vf_set(0.044715f), one);
		t = one - vf_set(2) / (vf_exp(u + u) + one); /* tanh u */
		s = half * (one + t);
		*d = vf_fma(half * x * (one - t * t), vf_set(0.797884561f) * vf_fma(x * x, vf_set(0.134145f), one), s);
		return x * s;
	default: /* UL_RELU */
		*d = (vf)((vi)(x > (vf){0}) & (vi)one);
		return vf_max((vf){0}, x);
	}
}

/* Over [lo, hi) in vectors: element i, and n of them count. */
static inline size_t left(size_t i, size_t hi)
{
	return hi - i < VW ? hi - i : VW;
}
#define EACH(lo, hi) for (size_t i = (lo), n = left(i, (hi)); i < (hi); i += VW, n = left(i, (hi)))

static inline __attribute__((always_inline)) vf take(const float *p, size_t n)
{
	return n == VW ? vf_load(p) : vf_load_part(p, n);
}
static inline __attribute__((always_inline)) void give(float *p, vf v, size_t n)
{
	if (n == VW)
		vf_store(p, v);
	else
		vf_store_part(p, v, n);
}

/* loop(F, a, lo, hi) with F a constant, so that the choice of function is made once and not per element. */
#define BY_ACT(f, loop)                        \
	switch (f) {                           \
	case UL_SILU:                          \
		loop(UL_SILU, a, lo, hi);      \
		break;                         \
	case UL_GELU:                          \
		loop(UL_GELU, a, lo, hi);      \
		break;                         \
	case UL_GELU_TANH:                     \
		loop(UL_GELU_TANH, a, lo, hi); \
		break;                         \
	default:                               \
		loop(UL_RELU, a, lo, hi);      \
	}

INLINE void act_loop(int f, const ul_span_args *a, size_t lo, size_t hi)
{
	EACH (lo, hi) {
		vf d;
		give(a->y + i, act_both(f, take(a->x + i, n), &d), n);
	}
}

static void act(const void *args, size_t lo, size_t hi)
{
	const ul_span_args *a = args;

	BY_ACT(a->f, act_loop)
}

INLINE void act_grad_loop(int f, const ul_span_args *a, size_t lo, size_t hi)
{
	EACH (lo, hi) {
		vf d;
		act_both(f, take(a->x + i, n), &d);
		give(a->y + i, vf_fma(d, take(a->z + i, n), take(a->y + i, n)), n);
	}
}

static void act_grad(const void *args, size_t lo, size_t hi) /* y += f'(x) z */
{
	const ul_span_args *a = args;

	BY_ACT(a->f, act_grad_loop)
}

INLINE void gate_loop(int f, const ul_gate_args *a, size_t lo, size_t hi)
{
	const float *g = a->g, *u = a->u;
	float *y = a->y;

	EACH (lo, hi) {
		vf d;
		give(y + i, act_both(f, take(g + i, n), &d) * take(u + i, n), n);
	}
}

static void gate(const void *args, size_t lo, size_t hi)
{
	const ul_gate_args *a = args;

	BY_ACT(a->f, gate_loop)
}

INLINE void gate_grad_loop(int f, const ul_gate_args *a, size_t lo, size_t hi)
{
	const float *g = a->g, *u = a->u, *dy = a->dy;
	float *dg = a->dg, *du = a->du;

	EACH (lo, hi) {
		vf d, v = act_both(f, take(g + i, n), &d), w = take(dy + i, n);
		if (dg)
			give(dg + i, vf_fma(d * w, take(u + i, n), take(dg + i, n)), n);
		if (du)
			give(du + i, vf_fma(v, w, take(du + i, n)), n);
	}
}

static void gate_grad(const void *args, size_t lo, size_t hi)
{
	const ul_gate_args *a = args;

	BY_ACT(a->f, gate_grad_loop)
}

static void axpby(const void *args, size_t lo, size_t hi)
{
	const ul_span_args *a = args;
	vf ca = vf_set((float)a->a), cb = vf_set((float)a->b);

	if (a->b == 0)
		EACH (lo, hi)
			give(a->y + i, ca * take(a->x + i, n), n);

	else
		EACH (lo, hi)
			give(a->y + i, vf_fma(ca, take(a->x + i, n), cb * take(a->y + i, n)), n);
}

static void add(const void *args, size_t lo, size_t hi)
{
	const ul_span_args *a = args;
	vf c = vf_set((float)a->a);

	EACH (lo, hi)
		give(a->y + i, vf_fma(c, take(a->z + i, n), take(a->x + i, n)), n);
}

static void mul(const void *args, size_t lo, size_t hi)
{
	const ul_span_args *a = args;
	vf c = vf_set((float)a->b);

	if (a->b == 0)
		EACH (lo, hi)
			give(a->y + i, take(a->x + i, n) * take(a->z + i, n), n);

	else
		EACH (lo, hi)
			give(a->y + i, vf_fma(take(a->x + i, n), take(a->z + i, n), c * take(a->y + i, n)), n);
}

static void adamw(const void *args, size_t lo, size_t hi) /* y = w, y2 = m, y3 = v, x = g */
{
	const ul_span_args *a = args;
	const ul_adamw *o = a->more;
	vf gs = vf_set((float)o->gscale), b1 = vf_set((float)o->beta1), n1 = vf_set((float)(1 - o->beta1));
	vf b2 = vf_set((float)o->beta2), n2 = vf_set((float)(1 - o->beta2)), shrink = vf_set((float)(1 - o->lr * o->decay));
	vf eps = vf_set((float)o->eps), step = vf_set((float)(-o->lr / o->c1)), root = vf_set((float)(1 / sqrt(o->c2)));

	EACH (lo, hi) {
		vf g = gs * take(a->x + i, n);
		vf m = vf_fma(n1, g, b1 * take(a->y2 + i, n));
		vf v = vf_fma(n2 * g, g, b2 * take(a->y3 + i, n));
		give(a->y2 + i, m, n);
		give(a->y3 + i, v, n);
		give(a->y + i, vf_fma(step, m / vf_fma(vf_sqrt(v), root, eps), shrink * take(a->y + i, n)), n);
	}
}

static void sgd(const void *args, size_t lo, size_t hi) /* y = w, y2 = m or NULL, x = g */
{
	const ul_span_args *a = args;
	const ul_sgd *o = a->more;
	vf gs = vf_set((float)o->gscale), decay = vf_set((float)o->decay), lr = vf_set((float)-o->lr), mu = vf_set((float)o->momentum);

	EACH (lo, hi) {
		vf w = take(a->y + i, n);
		vf s = vf_fma(gs, take(a->x + i, n), decay * w);
		if (a->y2) {
			s = vf_fma(mu, take(a->y2 + i, n), s);
			give(a->y2 + i, s, n);
		}
		give(a->y + i, vf_fma(lr, s, w), n);
	}
}
