/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stock: the supervisor's sandboxes: those that live, those that are being taken down, and a few that are
 * kept ready, so that a create with the default spec is handed one that was made before.
 *
 * A member is READY (in the pool, nobody's yet), LIVING (somebody's), ENDING (killed, its processes not
 * gone yet) or ENDED (nothing is left but the news of it). stock_events tells of the last; the owner of
 * the stock drops such members with stock_drop. Whatever ends one, what belonged to it is gone before.
 *
 * Ceiling: STOCK_MAX members of all kinds. Single-threaded; stock_create and stock_refill block for the
 * milliseconds that making a sandbox takes.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "sandbox/launch.h"
#include "sandbox/monitor.h"
#include "sandbox/poller.h"

enum { STOCK_MAX = UID_SLOTS, STOCK_POOL_MAX = 1024 };

enum member_state { MEMBER_READY, MEMBER_LIVING, MEMBER_ENDING, MEMBER_ENDED };

struct member {
	struct list link; /* stock::members, or stock::idle until it is somebody's */
	struct stock *stock;
	struct source init_source, executor_source;
	int n_running; /* of pid 1 and the executor */
	enum member_state state;
	struct box box;
	int control_fd; /* the server's end of the executor's control socket: a duplicate is given out */
	struct enforced enforced;
	char id[ID_SIZE];
	bool was_ready; /* ended before it was anybody's */
	enum end_reason reason;
	bool is_awaited; /* a request, with this serial, is answered when it is gone */
	uint64_t destroy_serial;
	uint32_t adopt_index; /* given by stock_number */
};

struct stock {
	struct poller *poller;
	struct host host;
	int executor_fd;
	struct list members; /* oldest first */
	struct list idle;    /* the pool */
	struct map by_id;
	int count, ready, living;
	int pool;          /* how many to keep ready */
	bool is_pool_held; /* making one failed: no more until a create succeeds */
	void (*ended)(struct stock *stock, struct member *m);
	void *owner;
};

int stock_init(struct stock *s, struct poller *poller, int pool, struct error *err);
#define STOCK_INIT                \
	{                         \
		.executor_fd = -1 \
	}
/* Every member must have been dropped. */
void stock_fini(struct stock *s);

/* Fits a ready one to the spec, or makes one. Its id may differ from that of the spec. */
int stock_create(struct stock *s, const struct spec *spec, struct member **ret, struct error *err);
struct member *stock_find(const struct stock *s, const char *id); /* LIVING or ENDING; NULL */
/* Kills it; `ended` follows. Only the first reason counts. */
void stock_end(struct member *m, enum end_reason reason);
void stock_end_all(struct stock *s);
void stock_drop(struct member *m); /* ENDED */

/* Numbers the living from 0 on and returns how many there are; stock_numbered finds one, or NULL. */
uint32_t stock_number(struct stock *s);
struct member *stock_numbered(const struct stock *s, uint32_t index);

/* Is it a pid 1 or an executor that has not been waited for? */
bool stock_has_process(const struct stock *s, pid_t pid);

bool stock_wants_refill(const struct stock *s);
void stock_refill(struct stock *s); /* makes one */

/* What a sandbox with the default spec gets here. */
int stock_offer(const struct stock *s, struct enforced *ret, struct error *err);
