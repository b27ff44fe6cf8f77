/*
 * paths.c: which kernels and which products run here, found once.
 */
#include "tensor/cpu/cpu.h"

#include <cblas.h>
#include <cpuid.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Old BLAS libraries pick kernels by processor names they do not know, and some of those then crash or are wrong: a small product
 * is compared first. */
static bool blas_is_right(void)
{
	enum { N = 37 };
	float a[N * N], b[N * N], c[N * N];
	bool right = true;

	for (int i = 0; i < N * N; i++) {
		a[i] = (float)(i * 37 % 101) / 50 - 1;
		b[i] = (float)(i * 53 % 103) / 51 - 1;
	}
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, N, N, N, 1, a, N, b, N, 0, c, N);
	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++) {
			double sum = 0;
			for (int p = 0; p < N; p++)
				sum += (double)a[i * N + p] * (double)b[j * N + p];
			right &= fabs(sum - (double)c[i * N + j]) < 1e-4;
		}
	return right;
}

/* ---- what a processor has ---- */

enum { AVX2 = 1,
	AVX512 = 2,
	AMX = 4, /* tiles and their products of bfloat16 */
	BF16 = 8 }; /* products of bfloat16 in vectors of 512 bits */

/* Tiles are 8 KB more for the system to save at every switch, so it wants to be asked, once per process. */
static bool tiles_granted(void)
{
	enum { REQUEST = 0x1023, /* ARCH_REQ_XCOMP_PERM, of asm/prctl.h since Linux 5.16 */
		TILE_DATA = 18 };

	return syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
}

static int features(void)
{
	unsigned a = 0, b = 0, c = 0, d = 0, more = 0;
	int has = 0;

	if (__get_cpuid_count(7, 0, &a, &b, &c, &d) && a >= 1)
		__get_cpuid_count(7, 1, &more, &b, &c, &a);
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) /* all of them have F16C too */
		has = AVX2;
	if (has && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
		has |= AVX512;
	if (has & AVX512 && more >> 5 & 1)
		has |= BF16;
	if (has & AVX512 && d >> 24 & 1 && d >> 22 & 1)
		has |= AMX;
	return has;
}

/* ---- paths ---- */

/* The paths UNLEARN_KERNELS may name. Products of bfloat16 have never passed their tests on a processor that has them: only
 * their name switches them on. Emulated ones are for tests. */
static const struct path {
	const char *name;
	const ul_kernels *kernels; /* NULL: the best there are */
	enum ul_product_path products;
	int needs;
	const ul_products *f32, *bf16; /* own products, where they are not those of floats; NULL: bfloat16 is not to be had */
} paths[] = {
        {"avx512", &ul_kernels_avx512, UL_PRODUCT_OWN, AVX512},
        {"avx2", &ul_kernels_avx2, UL_PRODUCT_OWN, AVX2},
        {"base", &ul_kernels_base, UL_PRODUCT_OWN},
        {"blas", NULL, UL_PRODUCT_BLAS},
        {"ref", &ul_kernels_base, UL_PRODUCT_REF},
        {"amx", &ul_kernels_avx512, UL_PRODUCT_OWN, AMX, &ul_kernels_avx512.tiles_three, &ul_kernels_avx512.tiles_one},
        {"avx512-bf16", &ul_kernels_avx512, UL_PRODUCT_OWN, BF16, NULL, &ul_kernels_avx512.words_one},
        {"avx512-emulated", &ul_kernels_avx512_emulated, UL_PRODUCT_OWN},
        {"amx-emulated", &ul_kernels_avx512_emulated, UL_PRODUCT_OWN, 0, &ul_kernels_avx512_emulated.tiles_three, &ul_kernels_avx512_emulated.tiles_one},
        {"avx512-bf16-emulated", &ul_kernels_avx512_emulated, UL_PRODUCT_OWN, 0, NULL, &ul_kernels_avx512_emulated.words_one},
};
enum { PATHS = sizeof paths / sizeof *paths,
	CHOSEN_FROM = 3 }; /* the first ones, best first */
static const char exist[] = "avx512, avx2, base, blas, ref, amx and avx512-bf16 exist, and avx512-emulated, amx-emulated and avx512-bf16-emulated for tests";

static struct {
	const struct path *path; /* NULL until it is looked for */
	const ul_kernels *kernels;
	enum ul_product_path products;
	enum ul_precision precision;
} machine;

static bool runs(const struct path *p)
{
	return (features() & p->needs) == p->needs && (!(p->needs & AMX) || tiles_granted());
}

static const struct path *forced(void)
{
	const char *name = getenv("UNLEARN_KERNELS");

	for (int i = 0; name && i < PATHS; i++)
		if (!strcmp(paths[i].name, name))
			return &paths[i];
	return NULL;
}

bool ul_cpu_runs(ul_err *err)
{
	const char *name = getenv("UNLEARN_KERNELS");
	const struct path *p = forced();

	if (!name || !*name || (p && runs(p)))
		return true;
	if (p)
		return ul_fail(err, "UNLEARN_KERNELS is %s, which this processor does not run", name);
	return ul_fail(err, "UNLEARN_KERNELS is \"%.32s\", which is no path: %s", name, exist);
}

static void find_out(void)
{
	const struct path *best = paths, *p = forced();

	while (best < paths + CHOSEN_FROM - 1 && !runs(best))
		best++;
	machine.products = p ? p->products : best->kernels == &ul_kernels_base ? UL_PRODUCT_BLAS
	                                                                       : UL_PRODUCT_OWN;
	if (machine.products == UL_PRODUCT_BLAS && !blas_is_right())
		machine.products = UL_PRODUCT_OWN;
	machine.path = p && p->kernels && runs(p) ? p : best;
	machine.kernels = machine.path->kernels;
}

static const struct path *path(void)
{
	if (!machine.path)
		find_out();
	return machine.path;
}

const ul_kernels *ul_cpu(void)
{
	path();
	return machine.kernels;
}

enum ul_product_path ul_cpu_products(void)
{
	path();
	return machine.products;
}

/* ---- precision ---- */

const ul_products *ul_cpu_own(void)
{
	const ul_products *own = machine.precision == UL_PRECISION_BF16 ? path()->bf16 : path()->f32;

	return own ? own : &ul_cpu()->floats;
}

bool ul_cpu_proven(void)
{
	return ul_cpu_products() != UL_PRODUCT_OWN || ul_cpu_own() == &ul_cpu()->floats;
}

const char *ul_cpu_products_name(void)
{
	static const char *const names[] = {[UL_PRODUCT_OWN] = "own", [UL_PRODUCT_BLAS] = "blas", [UL_PRODUCT_REF] = "ref"};

	return ul_cpu_proven() ? names[ul_cpu_products()] : path()->name;
}

bool ul_set_precision(enum ul_precision p, ul_err *err)
{
	if (!ul_cpu_runs(err))
		return false;
	if (p == UL_PRECISION_BF16 && (!path()->bf16 || ul_cpu_products() != UL_PRODUCT_OWN))
		return ul_fail(err, "--precision bf16 is not to be had: every matrix product here runs in f32");
	machine.precision = p;
	return true;
}

enum ul_precision ul_precision(void)
{
	return machine.precision;
}

const char *ul_path_off(int i)
{
	for (const struct path *p = paths; p < paths + PATHS; p++)
		if (p->bf16 && p->needs && i-- == 0)
			return p->name;
	return NULL;
}
