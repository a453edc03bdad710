/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/process_budget.h"

#include "action/process_actions.h"
#include "executor/executor.h"
#include "executor/process.h"

enum { WORTH_IT = 64 * 1024 }; /* of a log, below which it is left alone */

static struct process *largest(struct executor *e)
{
	struct process *p, *best = NULL;
	list_for_each(p, &e->processes, link)
		if (!best || process_log_held(&p->log) > process_log_held(&best->log))
			best = p;
	return best;
}

/* False: what is there is small, or not in the list any more and only held. */
static bool shrink_one(struct executor *e)
{
	struct process *p = largest(e);
	size_t held = p ? process_log_held(&p->log) : 0;
	if (held < WORTH_IT)
		return false;
	process_log_trim(&p->log, held / 2);
	e->logs_bytes -= held - process_log_held(&p->log);
	return true;
}

void process_budget_add(struct process *p, uint8_t channel, struct str bytes)
{
	struct executor *e = p->executor;
	size_t held = process_log_held(&p->log);
	process_log_add(&p->log, channel, bytes);
	e->logs_bytes += process_log_held(&p->log) - held;
	while (e->logs_bytes > PROCESS_LOGS_MAX && shrink_one(e))
		continue;
}

void process_budget_leave(struct process *p)
{
	p->executor->logs_bytes -= process_log_held(&p->log);
	process_log_fini(&p->log);
}
