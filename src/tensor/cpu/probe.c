/*
 * probe.c: the limits of this machine, measured: multiply-adds per second from registers and bytes per second from memory, on the
 * threads and with the instruction set in use. What a product or a pass reaches of them is its share of the peak.
 */
#include "tensor/cpu/cpu.h"

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

bool ul_probe_machine(ul_probe *out, ul_err *err)
{
	static const char *const products[] = {[UL_PRODUCT_OWN] = "own", [UL_PRODUCT_BLAS] = "blas", [UL_PRODUCT_REF] = "ref"};
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
	        .products = products[ul_cpu_products()],
	        .threads = threads,
	        .flops = (double)ROUNDS * (double)ul_cpu()->probe_flops * threads / fma,
	        .bytes = (double)READ * sizeof *p / read,
	};
	return true;
}
