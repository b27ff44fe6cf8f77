/*
 * probe.c: the limits of this machine, measured: multiply-adds per second from registers and bytes per second from memory, on the
 * threads and with the instruction set in use. What a product or a pass reaches of them is its share of the peak. And what a product
 * loses to rounding.
 */
#include "tensor/cpu/cpu.h"

#include <math.h>
#include <omp.h>
#include <time.h>

enum { BURSTS = 8, /* the best counts: a burst may be interrupted */
	ROUNDS = 200000,
	READ = 32 << 20 }; /* floats: more than any last-level cache */

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double fma_seconds(int threads)
{
	double begun = seconds();

#pragma omp parallel num_threads(threads) if (threads > 1)
	{
		volatile double sink = ul_cpu()->probe_fma(ROUNDS);
		(void)sink;
	}
	return seconds() - begun;
}

static double read_seconds(int threads, const float *p)
{
	double begun = seconds();
	size_t each = (size_t)READ / (size_t)threads / 1024 * 1024;

#pragma omp parallel num_threads(threads) if (threads > 1)
	{
		volatile double sink = ul_cpu()->probe_read(p + (size_t)omp_get_thread_num() * each, each);
		(void)sink;
	}
	return (seconds() - begun) * (double)READ / (double)(each * (size_t)threads);
}

static double best(double a, double b)
{
	return a < b ? a : b;
}

/* x Wᵀ of numbers in ±1, against sums in double. */
double ul_product_error(void)
{
	enum { M = 2 * UL_FEW_ROWS,
		N = 96,
		K = 512 };
	ul_arena arena = {0};
	float *x = ul_alloc(&arena, (size_t)(M + N) * K * sizeof *x), *w = x ? x + (size_t)M * K : NULL, *y = ul_alloc(&arena, (size_t)M * N * sizeof *y);
	ul_rng r = ul_rng_at(1, "product error", 0);
	double off = 0, all = 0;

	for (int i = 0; x && i < (M + N) * K; i++)
		x[i] = (float)(2 * ul_rng_uniform(&r) - 1);
	if (x && y)
		ul_backend_cpu.gemm(&(ul_gemm){.tb = true, .m = M, .n = N, .k = K, .lda = K, .ldb = K, .ldc = N, .alpha = 1, .a = x, .b = w, .c = y, .work = &arena});
	for (int i = 0; x && y && i < M * N; i++) {
		double sum = 0;
		for (int p = 0; p < K; p++)
			sum += (double)x[i / N * K + p] * (double)w[i % N * K + p];
		off += (sum - (double)y[i]) * (sum - (double)y[i]);
		all += sum * sum;
	}
	ul_arena_release(&arena);
	return all > 0 ? sqrt(off / all) : NAN;
}

bool ul_probe_machine(ul_probe *out, ul_err *err)
{
	int threads = ul_threads();
	double fma = 1e9, read = 1e9;
	float *p = ul_calloc(READ, sizeof *p);

	if (!p)
		return ul_nomem(err, (size_t)READ * sizeof *p);
	for (size_t i = 0; i < READ; i += 1024)
		p[i] = 1; /* pages of its own */
	for (int i = 0; i < BURSTS; i++) {
		fma = best(fma, fma_seconds(threads));
		read = best(read, read_seconds(threads, p));
	}
	ul_free(p);
	*out = (ul_probe){
	        .kernels = ul_cpu()->name,
	        .products = ul_cpu_products_name(),
	        .proven = ul_cpu_proven(),
	        .error = ul_product_error(),
	        .threads = threads,
	        .flops = (double)ROUNDS * (double)ul_cpu()->probe_flops * threads / fma,
	        .bytes = (double)READ * sizeof *p / read,
	};
	return true;
}
