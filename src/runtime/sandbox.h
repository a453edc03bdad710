/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox: one sandbox as the server knows it. The runtime owns it; faces read it and change
 * nothing in it. A pointer is good until control returns to the loop: keep the id and find it
 * again.
 */
#pragma once

#include "base/error.h"
#include "base/id.h"
#include "base/list.h"
#include "runtime/lifecycle.h"
#include "sandbox/monitor.h"
#include "wire/json.h"
#include "wire/mask.h"

struct decisions;
struct egress;
struct recipe_wait;
struct secrets;
struct runtime;
struct timer;

enum { SANDBOX_REASON_MAX = 240 };

struct sandbox {
	char id[ID_SIZE];
	char backend_id[ID_SIZE];  /* as the backend calls it: a ready one has a name of its own */
	char name[SPEC_NAME_SIZE]; /* "" if none */
	enum sandbox_state state;
	char reason[SANDBOX_REASON_MAX]; /* why it stopped, ended or failed; "" before */
	int64_t created_ms, ended_ms;    /* wall clock; 0: not yet */
	int64_t timeout_ms, idle_timeout_ms;
	int64_t deadline_ms; /* monotonic; 0: none */
	char *spec_json;     /* what was asked for: image, workdir, mounts, user, …, labels */
	char *guard_json;    /* what the gate is told with each question; NULL: it is not asked */
	char **label_keys, **label_values;
	size_t n_labels;
	char *note; /* of the face that made it; "" if none */
	struct enforced enforced;
	int init_pid;

	/* Private to the runtime. */
	struct runtime *runtime;
	struct list link;               /* runtime::living or runtime::buried */
	struct list calls;              /* runtime_call::link */
	struct recipe_wait *image_wait; /* NULL: its image is there */
	struct egress *egress;          /* NULL: its network is no proxy */
	struct decisions *decisions;    /* NULL: the kernel tells none of its network */
	struct secrets *secrets;        /* NULL: it has no placeholders */
	struct list spares;             /* spare::link: call sockets that have no call */
	int n_spares;
	struct list waiters; /* step::wait_link: who is told of its readiness or end */
	struct timer *deadline, *idle;
	int64_t last_active_ms; /* monotonic */
	int64_t next_index;     /* of its events */
	int64_t event_bytes;    /* of the log, as shed_cost counts, since the server started */
	struct audit_rate {
		int64_t at_ms, room;
		bool is_cut; /* it was said that there is more */
	} audit_rate;        /* audit_network.c */
	int n_calls;         /* under way */
	int n_busy;          /* calls under way that count as activity */
	size_t unfinished;   /* bytes for frames of its calls that are not whole yet */
	bool is_held;        /* a snapshot is being taken: what changes something waits */
	bool has_open_ports; /* whoever knows their names may talk to what listens in it */
	bool is_there;       /* the backend has it */
	bool may_rest;       /* a pause or resume failed, and nobody knows how it was left */
	bool is_going;       /* the backend has been asked to destroy it */
	bool is_buried;      /* on runtime::buried */
	bool is_unwanted;    /* forget it as soon as nothing of it is left */
	struct mask mask; /* what this server knows of its secrets: for what callers say of them */
	struct plugins *plugins; /* NULL: nobody asked for them yet */
	char *plugins_json;      /* what is to be loaded; freed once it is */
	char *configure_json;    /* for its executor; freed once sent */
	struct outside *outside; /* NULL: no tool of it was asked for yet, or there are none */
	char *outside_json;      /* its packs; NULL: none */
	struct error failure;    /* why it could not be made */
};

/*
 * Nothing is enforced: it may be the host itself (backends local and cli) or a machine of somebody
 * else's. Whoever prepares a sandbox by changing its accounts or its system must not do so here.
 */
static inline bool sandbox_is_bare(const struct sandbox *s)
{
	return s->enforced.controls == 0;
}

/* "sandbox ID is stopped", and why, if there is more to say; always -1. */
int sandbox_refuse(const struct sandbox *s, enum error_code code, struct error *err);

/* The value, or STR_NONE. */
struct str sandbox_label(const struct sandbox *s, struct str key);
/* {"id":…,"name":…,"state":…,"reason":…,"created_at":…,"spec":{…},"enforced":{…},…} */
void sandbox_write(const struct sandbox *s, struct jsonw *w);
