/*
 * sample.c: the order in which rows are seen. (seed, purpose, epoch) decides it, so that a checkpoint keeps two numbers and a
 * resumed run sees what an uninterrupted one would have seen.
 */
#include "data/data.h"

static void shuffle(ul_sampler *s)
{
	ul_rng rng = ul_rng_at(s->seed, s->purpose, (uint64_t)s->epoch);
	for (int i = 0; i < s->d->n; i++)
		s->order[i] = i;
	ul_rng_shuffle(&rng, s->order, s->d->n);
}

void ul_sampler_init(ul_sampler *s, const ul_dataset *d, uint64_t seed, const char *purpose, int batch_rows, int batch_tokens)
{
	*s = (ul_sampler){.d = d, .seed = seed, .purpose = purpose, .batch_rows = batch_rows, .batch_tokens = batch_tokens};
	s->order = ul_malloc((size_t)d->n * sizeof *s->order + 1);
	if (s->order)
		shuffle(s);
}

/* Rows of the batch that starts at `at`: at least one, never across the end of the epoch. */
static int batch_at(const ul_sampler *s, int at)
{
	int left = s->d->n - at, n = 0;
	if (s->batch_tokens <= 0)
		return s->batch_rows < 1 ? (left > 0) : left < s->batch_rows ? left
		                                                             : s->batch_rows;
	for (int64_t tokens = 0; n < left; n++) {
		tokens += s->d->row[s->order[at + n]].n;
		if (n && tokens > s->batch_tokens)
			break;
	}
	return n;
}

/* 0 only when there are no rows, or no memory for their order. A batch larger than `max` is cut to it. */
int ul_sampler_next(ul_sampler *s, int *item, int max)
{
	if (!s->order || s->d->n == 0)
		return 0;
	if (s->at >= s->d->n)
		ul_sampler_seek(s, s->epoch + 1, 0);
	int n = batch_at(s, s->at);
	n = n < max ? n : max;
	for (int i = 0; i < n; i++)
		item[i] = s->order[s->at + i];
	s->at += n;
	return n;
}

/* With a token budget the number depends on the order: it is that of the current epoch. */
int ul_sampler_batches(const ul_sampler *s)
{
	int batches = 0;
	for (int at = 0; s->order && at < s->d->n; batches++)
		at += batch_at(s, at);
	return batches;
}

void ul_sampler_seek(ul_sampler *s, int64_t epoch, int at)
{
	bool other = epoch != s->epoch;
	s->epoch = epoch;
	s->at = at;
	if (other && s->order)
		shuffle(s);
}

void ul_sampler_release(ul_sampler *s)
{
	ul_free(s->order);
	s->order = NULL;
}
