/* SPDX-License-Identifier: Apache-2.0 */
/* stats: sorted samples and the line that every measuring program here prints. */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline int64_t stats_now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Room for n samples; a program that measures and has no memory has nothing to say. */
static inline int64_t *stats_samples(size_t n)
{
	int64_t *ns = calloc(n, sizeof(*ns));
	if (!ns)
		abort();
	return ns;
}

static inline int stats_compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

/* {"name":…,"n":…,"p50_us":…,"p95_us":…,"p99_us":…,"min_us":…}; sorts the samples. */
static inline void stats_print(const char *name, int64_t *ns, size_t n)
{
	qsort(ns, n, sizeof(*ns), stats_compare);
	printf("{\"name\":\"%s\",\"n\":%zu,\"p50_us\":%.1f,\"p95_us\":%.1f,\"p99_us\":%.1f,\"min_us\":%.1f}\n",
		name, n, (double)ns[n / 2] / 1e3, (double)ns[n * 95 / 100] / 1e3,
		(double)ns[n * 99 / 100] / 1e3, (double)ns[0] / 1e3);
	fflush(stdout);
}
