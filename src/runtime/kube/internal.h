/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the backend share.
 *
 *	kube.c      the operations              access.c, cluster.c   whom we ask, and asking
 *	create.c    a pod's birth               podspec.c             what a pod is made with
 *	watch.c     what becomes of pods        podstate.c            what is said of one
 *	sweep.c     what is nobody's            knock.c, cord.c, pump.c   how its executor is reached,
 *	                                        forward.c             and by which way
 */
#pragma once

#include "base/map.h"
#include "runtime/answers.h"
#include "runtime/backend.h"
#include "runtime/library.h"
#include "runtime/kube/cluster.h"
#include "runtime/kube/cord.h"
#include "runtime/kube/forward.h"
#include "runtime/kube/podspec.h"
#include "runtime/kube/podstate.h"
#include "runtime/kube/pump.h"

enum {
	KUBE_MEMBERS_MAX = 4096,
	KUBE_CREATE_MS = 300000, /* until a pod runs: its image may be large */
	KUBE_READY_MS = 30000,   /* from there until its executor answers */
	KUBE_DESTROY_MS = 60000,
	KUBE_PATH_MAX = 4096,
};

struct kube_watch; /* watch.c */
struct making;     /* create.c */

struct kube {
	struct backend base;
	struct loop *loop;
	struct cluster cluster;
	struct kube_settings settings;
	char *dir;                 /* STATE/kubernetes */
	char id[ID_SIZE];          /* of the state directory */
	char key[SHA256_HEX_SIZE]; /* from which the secrets of sandboxes follow */
	char *pods, *secrets;      /* paths: "/api/v1/namespaces/NS/pods" */
	char *policies;
	struct map members; /* id → struct kpod */
	struct answers answers;
	struct pump_house pumps;
	struct forwards forwards;
	struct kube_watch *watch;
	bool has_started;
	backend_fn *started;
	void *started_arg;
	bool has_policy;      /* made, or there already; asked for when it is wanted first */
	struct list errands;  /* errand::link: questions to executors */
	struct list refusals; /* refusal::link: sweep.c */
};

struct kpod {
	struct kube *kube;
	char id[ID_SIZE];
	struct making *creating; /* NULL: it is there */
	struct cord *cord;       /* NULL: its address is not known yet */
	struct enforced enforced;
	struct timer *timer;
	bool is_made;     /* the cluster has its pod */
	bool is_expected; /* in the list under way: it was made before that began */
	bool is_ending;   /* it is being removed */
	bool is_unasked;  /* it ended by itself */
	bool is_deleted;  /* the cluster has taken that on */
	bool is_dead;     /* nothing of it runs any more */
	enum end_reason end;
	backend_fn *destroyed; /* who waits for its end; NULL: nobody */
	void *destroyed_arg;
};

struct kube *kube_from(struct backend *b);
struct kpod *kpod_new(struct kube *k, const char *id);
struct kpod *kpod_find(struct kube *k, const char *id);
void kpod_free(struct kpod *m); /* forgets it; nothing is asked of the cluster */
/* Deletes it, whatever its state; then who waits is told, or that it ended, and it is freed. */
void kpod_end(struct kpod *m);
/* The same for one that ended by itself. */
void kpod_ended(struct kpod *m, enum end_reason reason);
void kpod_reach(struct kpod *m, const char *address);
/* "POD" or "SECRET": the path of its object. */
char *kpod_path(const struct kpod *m, const char *collection);
void kpod_secret(const struct kpod *m, char ret[SHA256_HEX_SIZE]);
void kube_delete(struct kube *k, const char *path, answer_fn *done, void *arg);

/* create.c */
void kube_create(struct backend *b, const struct sandbox *s, const struct spec *spec,
	backend_fn *done, void *arg);
void making_free(struct making *c); /* NULL is fine */
void making_see(struct kpod *m, const struct pod_state *state);
void making_ready(struct kpod *m, const struct door_ready *who);
void making_refused(struct kpod *m, const struct error *err); /* the way to its executor is */
void making_gone(struct kpod *m);                             /* there is no such pod any more */

/* watch.c: lists the pods of this server, and is told of what becomes of them, for ever. */
struct kube_watch *kube_watch_new(struct kube *k);
void kube_watch_free(struct kube_watch *w); /* NULL is fine */
/*
 * kube.c, for it: a pod as it is now; one that is not there; all were listed; the first list
 * failed.
 */
void kube_see(struct kube *k, const struct pod_state *state);
void kube_miss(struct kube *k, const char *id);
void kube_list_begins(struct kube *k);
void kube_listed(struct kube *k, const struct map *seen);
void kube_list_failed(struct kube *k, const struct error *err);

/* sweep.c: secrets of pods that are not there; then the backend has started. */
void sweep_start(struct kube *k);
void refusals_free(struct kube *k);

extern const struct library kube_library;
