/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/checkpoint.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/log.h"
#include "runtime/db.h"

/* It may outlive its owner: the worker has it. */
struct checkpoint {
	struct loop *loop;
	char *path;
	loop_fn *copied, *released;
	void *arg;
	int pages_seen; /* in the log, after the last commit */
	int pages_due;  /* when to start the next one */
	bool holds, is_running, is_last_try;
	bool is_freed;
	int pages_left; /* the worker's: negative: it failed */
	struct error error;
};

static void destroy(struct checkpoint *c)
{
	free(c->path);
	free(c);
}

static void work(void *arg)
{
	struct checkpoint *c = arg;
	c->pages_left = db_checkpoint(c->path, &c->error);
}

static void start(struct checkpoint *c);

static void done(void *arg)
{
	struct checkpoint *c = arg;
	c->is_running = false;
	if (c->is_freed) {
		destroy(c);
		return;
	}
	if (c->pages_left < 0)
		log_warn("store.checkpoint", "%s", c->error.text);
	c->copied(c->arg);
	if (!c->holds)
		return;
	if (c->pages_left > 0 && !c->is_last_try) {
		start(c); /* nobody writes now: this one gets to the end */
		c->is_last_try = true;
		return;
	}
	c->holds = c->is_last_try = false;
	c->released(c->arg);
}

static void start(struct checkpoint *c)
{
	if (c->is_running)
		return;
	c->is_running = true;
	c->pages_due = c->pages_seen + CHECKPOINT_PAGES_DUE;
	loop_work(c->loop, work, done, c);
}

void checkpoint_watch(struct checkpoint *c, int log_pages)
{
	if (log_pages == c->pages_seen)
		return; /* nothing was written */
	if (log_pages < c->pages_seen)
		c->pages_due = CHECKPOINT_PAGES_DUE; /* it was started over */
	c->pages_seen = log_pages;
	c->holds = log_pages >= CHECKPOINT_PAGES_HIGH;
	if (c->holds || log_pages >= c->pages_due)
		start(c);
}

bool checkpoint_holds(const struct checkpoint *c)
{
	return c->holds;
}

struct checkpoint *checkpoint_new(struct loop *loop, const char *path, loop_fn *copied,
	loop_fn *released, void *arg)
{
	struct checkpoint *c = mem_new(struct checkpoint);
	c->loop = loop;
	c->path = str_dup(str_from(path));
	c->copied = copied;
	c->released = released;
	c->arg = arg;
	c->pages_due = CHECKPOINT_PAGES_DUE;
	return c;
}

void checkpoint_free(struct checkpoint *c)
{
	if (!c)
		return;
	c->is_freed = true;
	if (!c->is_running)
		destroy(c);
}
