/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A lookup waits in its share, a share in `waiting` as long as it has such a
 * lookup and may have one more thread. Whenever a thread is free the first share begins its oldest
 * lookup and goes to the end.
 *
 * A thread cannot be called back. A lookup that is dropped while it runs stays until it is done,
 * and so do its share and the lookups of all, whoever freed them.
 */
#include "runtime/lookup.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/list.h"
#include "event/loop.h"
#include "wire/dns.h"

struct lookups {
	struct loop *loop;
	struct list waiting; /* lookup_share::link */
	int n_running;
	bool is_closing;
};

struct lookup_share {
	struct list link; /* lookups::waiting, while it waits for a turn */
	struct lookups *all;
	struct list lookups; /* lookup::link, that have not begun, oldest first */
	int n_running;
	bool is_closing;
};

struct lookup {
	struct list link; /* lookup_share::lookups, until it has begun */
	struct lookup_share *share;
	lookup_fn *done; /* NULL: it was dropped */
	void *arg;
	bool is_running;
	char name[DNS_NAME_SIZE];
	char port[8];
	struct addrinfo *found;
	int failure;
};

static void begin_some(struct lookups *all);

static void free_if_over(struct lookups *all)
{
	if (all->is_closing && all->n_running == 0)
		free(all);
}

static void free_share_if_over(struct lookup_share *share)
{
	if (share->is_closing && share->n_running == 0)
		free(share);
}

struct lookups *lookups_new(struct loop *loop)
{
	struct lookups *all = mem_new(struct lookups);
	all->loop = loop;
	list_init(&all->waiting);
	return all;
}

void lookups_free(struct lookups *all)
{
	if (!all)
		return;
	all->is_closing = true;
	free_if_over(all);
}

struct lookup_share *lookup_share_new(struct lookups *all)
{
	struct lookup_share *share = mem_new(struct lookup_share);
	share->all = all;
	list_init(&share->link);
	list_init(&share->lookups);
	return share;
}

void lookup_share_free(struct lookup_share *share)
{
	if (!share)
		return;
	BUG_IF(!list_is_empty(&share->lookups), "a share of lookups ends while some wait in it");
	share->is_closing = true;
	free_share_if_over(share);
}

/* In the order of turns, if it has something to begin and may. */
static void queue(struct lookup_share *share)
{
	list_remove(&share->link);
	if (!list_is_empty(&share->lookups) && share->n_running < LOOKUPS_OF_ONE)
		list_append(&share->all->waiting, &share->link);
}

static void look_up(void *arg)
{
	struct lookup *l = arg;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG };
	l->failure = getaddrinfo(l->name, l->port, &hints, &l->found);
}

static void on_looked_up(void *arg)
{
	struct lookup *l = arg;
	struct lookup_share *share = l->share;
	struct lookups *all = share->all;
	all->n_running--;
	share->n_running--;
	queue(share);
	free_share_if_over(share);
	begin_some(all);
	if (l->done)
		l->done(l->arg, take_ptr(l->found), l->failure);
	if (l->found)
		freeaddrinfo(l->found);
	free(l);
	free_if_over(all);
}

static void begin_one(struct lookups *all)
{
	struct lookup_share *share = list_get_first(&all->waiting, struct lookup_share, link);
	struct lookup *l = list_get_first(&share->lookups, struct lookup, link);
	list_remove(&l->link);
	l->is_running = true;
	share->n_running++;
	all->n_running++;
	queue(share);
	loop_work(all->loop, look_up, on_looked_up, l);
}

static void begin_some(struct lookups *all)
{
	while (!list_is_empty(&all->waiting) && all->n_running < LOOKUPS_AT_ONCE)
		begin_one(all);
}

struct lookup *lookup_begin(struct lookup_share *share, const char *name, int port, lookup_fn *done,
	void *arg)
{
	struct lookup *l = mem_new(struct lookup);
	*l = (struct lookup){ .share = share, .done = done, .arg = arg };
	snprintf(l->name, sizeof(l->name), "%s", name);
	snprintf(l->port, sizeof(l->port), "%d", port);
	list_append(&share->lookups, &l->link);
	if (list_is_empty(&share->link))
		queue(share);
	begin_some(share->all);
	return l;
}

void lookup_drop(struct lookup *l)
{
	if (!l)
		return;
	if (l->is_running) {
		l->done = NULL;
		return;
	}
	list_remove(&l->link);
	if (list_is_empty(&l->share->lookups))
		list_remove(&l->share->link);
	free(l);
}
