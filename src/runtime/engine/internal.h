/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the backend share.
 *
 *	engine.c    the operations, and asking     body.c   what a container is made with
 *	create.c    a container's birth            line.c   how its executor is reached
 *	adopt.c     after a restart                find.c   where the engine is
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "runtime/backend.h"
#include "runtime/library.h"
#include "runtime/engine/body.h"
#include "runtime/engine/line.h"
#include "runtime/remote/question.h"

enum {
	ENGINE_MS = 60000,
	ENGINE_START_MS = 30000,
	ENGINE_ADOPT_MS = 5000,
	ENGINE_AGAIN_MS = 1000,  /* after the engine failed to tell an executor */
	ENGINE_SILENT_MS = 5000, /* until one that is silent is told again */
	ENGINE_MEMBERS_MAX = 4096
};

struct engine {
	struct backend base;
	struct loop *loop;
	struct asker asker;
	char *socket;
	char *state_dir, *dir; /* dir: STATE/engine */
	char *program;         /* the executor's path */
	char *more;            /* struct engine_config, an object; NULL: nothing */
	char id[ID_SIZE];      /* of the state directory */
	char version[16];      /* of the API, as paths begin: "/v1.41"; "" while it is not known */
	struct engine_facts facts;
	struct map members; /* id → struct member */
	struct questions questions;
	struct start *start;  /* while starting */
	struct list errands;  /* errand::link */
	struct list refusals; /* refusal::link */
	struct list shelves;  /* shelf::link */
};

struct member {
	struct engine *engine;
	char id[ID_SIZE];
	struct line *line;
	struct timer *timer;       /* while its executor is waited for */
	struct creating *creating; /* create.c; NULL: it is there */
	struct adopting *adopting; /* adopt.c; the same */
	struct enforced enforced;
	bool is_silent;        /* it was adopted, and its executor is waited for still */
	bool is_ending;        /* it is being removed */
	bool is_unasked;       /* it ended by itself */
	backend_fn *destroyed; /* who waits for its end; NULL: nobody */
	void *destroyed_arg;
};

struct member *member_new(struct engine *e, const char *id);
struct member *member_find(struct engine *e, const char *id);
/* Forgets it, and removes its directory. */
void member_free(struct member *m);
/*
 * Removes the container, whatever its state; then: who waits is told, or that it ended, and it is
 * freed.
 */
void member_end(struct member *m);
void member_lost(struct member *m); /* the same: it ended by itself */
int member_listen(struct member *m, bool is_new, struct error *err);
/* The container's part of a URL: "/containers/cay-ID". */
char *member_path(const struct member *m, const char *tail);

/* create.c, adopt.c: what the member's line says while they wait for it. */
void creating_ready(struct member *m, uint32_t uid, uint32_t gid);
void creating_failed(struct member *m, const struct error *err);
void adopting_ready(struct member *m, uint32_t uid, uint32_t gid);
void adopting_failed(struct member *m, const struct error *err);
void silent_ready(struct member *m);
void silent_late(struct member *m);
void creating_free(struct creating *c); /* NULL is fine */
void adopting_free(struct adopting *a);
void start_free(struct start *s);

/* Asks the engine; the path is what comes behind the version. */
struct engine_request {
	const char *method, *path;
	struct str body;    /* JSON; STR_NONE: none */
	int64_t timeout_ms; /* 0: ENGINE_MS; -1: as long as it goes on */
	bool is_progress;   /* the answer is lines: runtime/engine/said.h */
	bool is_mute;       /* only its status means something: podman says OK, and no JSON */
};
void engine_ask(struct engine *e, const struct engine_request *request, answer_fn *done, void *arg);
void engine_create(struct backend *b, const struct sandbox *s, const struct spec *spec,
	backend_fn *done, void *arg);
void engine_start(struct backend *b, backend_fn *done, void *arg);
struct engine *engine_from(struct backend *b);
/* images.c */
extern const struct library engine_library;
void shelves_free(struct engine *e);
/* Answers with an error, in a turn of its own. */
void engine_refuse(struct engine *e, const char *id, backend_fn *done, void *arg,
	const struct error *err);
