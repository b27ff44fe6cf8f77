/*
 * backend.c: backends by name, and how many threads they may use.
 */
#include "tensor/cpu/cpu.h"

#include <omp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

const ul_backend *ul_backend_get(const char *name, ul_err *err)
{
	static const ul_backend *const known[] = {&ul_backend_cpu, &ul_backend_ref, &ul_backend_ref64};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (!strcmp(known[i]->name, name))
			return known[i] != &ul_backend_cpu || ul_cpu_runs(err) ? known[i] : NULL;
	ul_fail(err, "unknown backend '%s': cpu, ref and ref64 exist", name);
	return NULL;
}

bool ul_rows_alone(const ul_backend *be, int rows)
{
	return !strcmp(be->name, ul_backend_cpu.name) && (rows <= UL_FEW_ROWS || ul_cpu_products() == UL_PRODUCT_BLAS);
}

/* Processors that share a core share its arithmetic units, so the second one only gets in the way: count each core once, by its
 * lowest-numbered processor. Where the system does not say, every processor counts. */
static bool first_of_core(int cpu)
{
	char path[96];
	int first = cpu;

	snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
	FILE *f = fopen(path, "r");
	if (!f)
		return true;
	if (fscanf(f, "%d", &first) != 1)
		first = cpu;
	fclose(f);
	return first == cpu;
}

static int physical_cores(void)
{
	cpu_set_t set;
	int n = 0;

	if (getenv("OMP_NUM_THREADS"))
		return omp_get_max_threads();
	if (sched_getaffinity(0, sizeof set, &set))
		return omp_get_num_procs();
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		n += CPU_ISSET(cpu, &set) && first_of_core(cpu);
	return n > 0 ? n : omp_get_num_procs();
}

/* Of the process, as the cores are; set before the first operator, detected once otherwise. */
static int threads;

void ul_set_threads(int n)
{
	threads = n > 0 ? n : physical_cores();
}

int ul_threads(void)
{
	if (!threads)
		threads = physical_cores();
	return threads;
}
