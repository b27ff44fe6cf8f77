/*
 * kern_probe.h: what a core could do at most: multiply-adds on registers alone, and memory read without using it. A template over the
 * vector width.
 */

enum { CHAINS = 12 }; /* more than latency times units anywhere, few enough for 16 registers */

/* 2 · CHAINS · VW operations a round */
static double probe_fma(size_t rounds)
{
	vf acc[CHAINS], x = vf_set(0.5f), y = vf_set(0.25f), all = {0};

	for (int i = 0; i < CHAINS; i++)
		acc[i] = vf_set((float)i);
	for (size_t r = 0; r < rounds; r++)
		_Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++)
		        acc[i] = vf_fma(acc[i], x, y);
	for (int i = 0; i < CHAINS; i++)
		all += acc[i];
	return (double)vf_sum(all);
}

static double probe_read(const float *p, size_t n) /* n a multiple of 8 VW */
{
	vf acc[8], all = {0};

	for (int i = 0; i < 8; i++)
		acc[i] = (vf){0};
	for (size_t at = 0; at < n; at += 8 * VW)
		_Pragma("GCC unroll 8") for (int i = 0; i < 8; i++)
		        acc[i] += vf_load(p + at + i * VW);
	for (int i = 0; i < 8; i++)
		all += acc[i];
	return (double)vf_sum(all);
}
