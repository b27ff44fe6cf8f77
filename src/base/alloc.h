/*
 * alloc.h: pages for arenas. Only alloc.c talks to the system about memory.
 */
#ifndef UL_ALLOC_H
#define UL_ALLOC_H

#include "base/base.h"

/* Zeroed pages; from 2 MB on aligned to 2 MB and advised to be huge. `bytes` is a multiple of 4096. */
void *ul_pages_new(size_t bytes);
void ul_pages_free(void *p, size_t bytes);

/* Most memory of this process at a time, mapped files included, since the start or the last reset; 0 where the system does not tell. */
double ul_peak_bytes(void);
void ul_peak_reset(void); /* where the system allows it; otherwise the peak remains that since the start */

#endif
