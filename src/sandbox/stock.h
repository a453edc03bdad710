/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stock: the supervisor's sandboxes: those that live, those that are being taken down, and a few
 * that are kept ready, so that a create with the default spec is handed one that was made before.
 *
 * A member is MAKING (queued, or in the hands of the crew), READY (in the pool, nobody's yet),
 * LIVING (somebody's), ENDING (killed, its processes not gone yet) or ENDED (nothing is left but
 * the news of it). stock_events tells of the last; the owner of
 * the stock drops such members with stock_drop. Whatever ends one, what belonged to it is gone
 * before.
 *
 * Ceilings: STOCK_MAX members of all kinds; who has found stock_is_busy asks for no more until it
 * is not. Single-threaded; nothing here blocks.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "base/poller.h"
#include "sandbox/boundary.h"
#include "sandbox/crew.h"
#include "sandbox/hostpath.h"
#include "sandbox/launch.h"
#include "sandbox/monitor.h"
#include "sandbox/uplink.h"

enum { STOCK_MAX = UID_SLOTS, STOCK_POOL_MAX = 1024, STOCK_QUEUE_MAX = 64 };

enum member_state { MEMBER_MAKING, MEMBER_READY, MEMBER_LIVING, MEMBER_ENDING, MEMBER_ENDED };

struct member {
	/* stock::queue, then stock::idle, and stock::members once it is somebody's */
	struct list link;
	struct stock *stock;
	struct source init_source, executor_source;
	int n_running; /* of pid 1 and the executor */
	enum member_state state;
	struct box box;
	int control_fd; /* the server's end of the executor's control socket: a duplicate is given out */
	struct boundary boundary; /* of its secrets, if it has any */
	uint32_t network;
	struct spec_net net; /* of one that has an uplink */
	struct uplink uplink;
	struct enforced enforced;
	char id[ID_SIZE];
	struct spec *spec; /* while it is queued */
	bool is_asked;     /* a request, with this serial, is answered when it is made */
	bool is_unwanted;  /* nobody waits for it any more: it ends when it is made */
	uint64_t create_serial;
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
	int ids_fd;           /* subids.h; -1: there are none */
	struct router router; /* made when the first one needs it */
	struct hostpaths paths;
	struct crew crew;
	struct list members; /* oldest first */
	struct list idle;    /* the pool, and what is being made */
	struct list queue;   /* what is to be made */
	struct map by_id;
	int count, ready, living;
	int queued, refilling; /* to be made, in all; made or to be made for the pool */
	int pool;              /* how many to keep ready */
	bool is_pool_held;     /* making one failed: no more until a create succeeds */
	/* What was asked for is LIVING, or (err) cannot be had and is forgotten after this. */
	void (*made)(struct stock *stock, struct member *m, const struct error *err);
	void (*ended)(struct stock *stock, struct member *m);
	void *owner;
};

/* One that never has a member: for a server that makes its own sandboxes. */
void stock_init_none(struct stock *s);
/* paths: what sandboxes may be given of the host; copied. */
int stock_init(struct stock *s, struct poller *poller, int pool, const struct hostpaths *paths,
	struct error *err);
#define STOCK_INIT                                                                        \
	{                                                                                 \
		.executor_fd = -1, .ids_fd = -1, .router = ROUTER_INIT, .crew = CREW_INIT \
	}
/* Every member must have been dropped. */
void stock_fini(struct stock *s);

/*
 * `made` follows, now or later. A ready one is fitted to the spec if that can be: its id may differ
 * then.
 */
int stock_create(struct stock *s, const struct spec *spec, uint64_t serial, struct error *err);
bool stock_is_busy(const struct stock *s); /* the queue is full */
/* Who asked is gone: nothing of what is being made will be told. */
void stock_forsake(struct stock *s);
struct member *stock_find(const struct stock *s, const char *id); /* LIVING or ENDING; NULL */
/* Kills it; `ended` follows. Only the first reason counts. */
void stock_end(struct member *m, enum end_reason reason);
void stock_end_all(struct stock *s);
void stock_drop(struct member *m); /* ENDED */

/*
 * Numbers the living from 0 on and returns how many there are; stock_numbered finds one, or NULL.
 */
uint32_t stock_number(struct stock *s);
struct member *stock_numbered(const struct stock *s, uint32_t index);

bool stock_wants_refill(const struct stock *s);
void stock_refill(struct stock *s); /* has one made */

/* What a sandbox with the default spec gets here. */
int stock_offer(const struct stock *s, struct enforced *ret, struct error *err);
