/* SPDX-License-Identifier: Apache-2.0 */
#include "event/patience.h"

#include "base/file.h"
#include "base/auto.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * What a wait teaches counts up or down: one short one in three is worth the time of the two
 * others. How many want to run is a mean over the last waits; at a single moment whoever is being
 * woken is among them, and who woke it still is.
 */
enum { PROMISE_MAX = 8, PROMISE_OF_SHORT = 2, ONE = 1024, MEMORY = 16 };

void patience_init(struct patience *p)
{
	cpu_set_t ours;
	*p = (struct patience){ .load_fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC) };
	if (sched_getaffinity(0, sizeof(ours), &ours) == 0)
		p->n_processors = CPU_COUNT(&ours); /* else 0: one who runs is too many */
}

void patience_fini(struct patience *p)
{
	p->load_fd = close_fd(p->load_fd);
}

/* How many want to run just now, we among them: the fourth word, "2/176". */
static int count_runnable(const struct patience *p)
{
	char text[64];
	ssize_t n = pread(p->load_fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	const char *word = text;
	for (int i = 0; i < 3 && word; i++)
		word = (word = strchr(word, ' ')) ? word + 1 : NULL;
	return word ? (int)strtol(word, NULL, 10) : -1;
}

bool patience_has(struct patience *p)
{
	if (p->promise < PROMISE_MAX / 2)
		return false;
	int n = count_runnable(p);
	if (n < 0)
		return false;
	p->runnable += (n * ONE - p->runnable) / MEMORY;
	return p->runnable <= (p->n_processors + 1) * ONE;
}

void patience_learn(struct patience *p, int64_t ns)
{
	p->promise = ns < PATIENCE_NS ? MIN(p->promise + PROMISE_OF_SHORT, PROMISE_MAX)
				      : MAX(p->promise - 1, 0);
}
