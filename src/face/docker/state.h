/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state: what the files of this face share.
 *
 *	docker.c  the face              routes.c   the table      reply.c    answers, dates, flags
 *	record.c  containers in memory and in the sandbox's note  pump.h     client ↔ process
 *	config.c  a create body → a spec and a record             exec.c     exec instances
 *	life.c    start … remove        inspect.c  what containers tell
 *	logs.c    attach and logs       archive.c  docker cp      port.c     published ports
 *	image.c   images                engine.c   version, info, events …
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "face/docker/docker.h"
#include "http/hijack.h"
#include "runtime/runtime.h"

enum {
	DOCKER_BODY_MAX = 2 * 1024 * 1024, /* of a JSON body */
	DOCKER_EXECS_MAX = 256,            /* exec instances remembered for one container */
	DOCKER_EVENTS_KEPT = 256,
	DOCKER_LOG_BYTES = 4 * 1024 * 1024, /* of a main process's output */
	DOCKER_NAME_SIZE = 64,
	DOCKER_PROCESS_SIZE = 32,
};

#define DOCKER_API     "1.43"
#define DOCKER_API_MIN "1.24"

struct docker {
	struct runtime *rt;
	struct loop *loop;
	struct http_face face;
	struct list containers;           /* container::link, oldest first */
	struct map execs;                 /* by id: struct exec */
	struct list followers;            /* of events: follower::link */
	char *events[DOCKER_EVENTS_KEPT]; /* a ring of JSON */
	int64_t events_ms[DOCKER_EVENTS_KEPT];
	size_t n_events; /* ever */
	int64_t started_ms;
};

struct pump;
struct image;

enum container_state { CONTAINER_CREATED, CONTAINER_RUNNING, CONTAINER_EXITED };

struct container {
	struct docker *docker;
	struct list link; /* docker::containers */
	char id[ID_SIZE]; /* of its sandbox too */
	char name[DOCKER_NAME_SIZE];
	char *image_id, *image;
	struct json *config, *host; /* Config and HostConfig, as inspect shows them */
	enum container_state state;
	bool is_starting, is_removing, is_doomed; /* doomed: removed once nobody reads from it */
	bool is_stopping; /* asked to, so that an end by signal is no surprise */
	bool was_killed;  /* for want of memory */
	int n_starts;
	int exit_code;
	int pid;
	char error[240]; /* why it did not start */
	int64_t created_ms, started_ms, finished_ms;
	/* the main process by its name in the executor; "" before the first start */
	char process[DOCKER_PROCESS_SIZE];
	struct runtime_call *watch;   /* waits for its end */
	bool is_unwatched;            /* it runs, and that could not be begun yet */
	struct runtime_call *starter; /* starts it, or, at its end, kills what else runs */
	struct list pumps;            /* pump::link: clients attached */
	struct list waits;            /* waiter::link */
	struct list execs;            /* exec::link, oldest first */
	int n_execs;
	struct list ports;  /* port::link: listeners while it runs */
	struct timer *doom; /* removes it although somebody still reads */
	int n_readings;     /* requests for its log that are being answered */
	bool is_leaving;    /* removed as soon as those are through */
};

/* Somebody who waits for a container. */
enum wait_for { WAIT_STARTED, WAIT_NOT_RUNNING, WAIT_NEXT_EXIT, WAIT_REMOVED };
struct waiter {
	struct list link; /* container::waits */
	enum wait_for what;
	void (*fn)(struct waiter *w, struct container *c, const struct error *err);
	struct container *container;
	struct http_request *request; /* NULL: answered, as its client is gone */
	struct timer *timer;          /* of a stop: when patience ends */
	bool is_streamed;             /* the head of the answer is out */
	bool is_kept;                 /* goes on without its client */
	bool restarts;
};

struct exec {
	struct list link; /* container::execs */
	struct container *container;
	char id[ID_SIZE];
	char process[DOCKER_PROCESS_SIZE];
	struct json *body; /* as it was asked for */
	bool is_started, is_running, has_exited, is_tty;
	int exit_code;
	int pid;
	int64_t cols, rows;         /* 0: not said */
	struct runtime_call *watch; /* its end, if nobody is attached; a resize before the start */
};

/* reply.c */
static inline struct docker *docker_of(const struct http_request *r)
{
	return r->face->arg;
}
void docker_fail(struct http_request *r, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void docker_fail_error(struct http_request *r, const struct error *err);
/* {"message":…} */
void docker_put_message(struct buf *b, const char *text);
/* "1", "true", "True"; `standard` if it is not said. */
bool docker_flag(struct http_request *r, const char *name, bool standard);
void docker_key_time(struct jsonw *w, const char *key, int64_t wall_ms); /* 0: Docker's year one */
void docker_key_json(struct jsonw *w, const char *key, const struct json *value);
/* The body as an object in *ret (freed by the caller); -1: answered. An empty body is NULL. */
int docker_body(struct http_request *r, struct json **ret);
/* True if ?filters= says nothing of `key`, or one of its values fits. */
bool docker_filter(const struct json *filters, const char *key, struct str value);
/* ?filters= parsed; NULL if there are none. */
struct json *docker_filters(struct http_request *r);

/* record.c */
/* Once, at the start: finds out what became of those there were. */
void containers_adopt(struct docker *d);
struct container *container_new(struct docker *d, const char *id, const char *note);
void container_free(struct container *c);
/* Writes it into its sandbox's note; err, which may be NULL, as of runtime_set_note. */
int container_save(struct container *c, struct error *err);
void container_put_note(const struct container *c, struct buf *b);
/* By id, unique prefix of one, or name. NULL: answered with 404. */
struct container *container_of_request(struct http_request *r);
struct container *container_find(struct docker *d, struct str key);
struct sandbox *container_sandbox(const struct container *c); /* NULL: it is gone */
const char *container_status(const struct container *c);      /* "running" */
bool container_is_tty(const struct container *c);

/* config.c */
/* Fills `create` (from `arena`) and the note of the container; warnings: a JSON array. */
int config_from_body(struct docker *d, const struct json *body, struct str name,
	struct arena *arena, struct create *create, struct buf *note, struct buf *warnings,
	struct error *err);
/* ["K=V"] as an object; the last of a name counts. */
void config_put_env(const struct json *list, struct jsonw *w);

/* life.c */
/* Performs an action of which nobody hears; or answers the request with 204 when it is done. */
void container_act(struct container *c, const struct action *action, const char *params);
void container_act_for(struct http_request *r, struct container *c, const struct action *action,
	struct str params);
void container_begin(struct container *c); /* starts its main process; see WAIT_STARTED */
void container_watch(struct container *c);
void container_ended(struct container *c, int exit_code);
void container_check_doom(struct container *c);
/* Its sandbox is gone: told to all, freed. */
void container_forget(struct container *c);
void container_remove(struct container *c);               /* see WAIT_REMOVED */
void container_reading(struct container *c, bool begins); /* its log: see container_remove */
/* exit_code, or 128 + signal, of a process as the executor tells it. */
int process_exit_code(const struct json *process);
/* Its number where the server is; that inside is its "pid". */
int process_host_pid(const struct json *process);

/* wait.c */
struct waiter *waiter_new(struct container *c, enum wait_for what, struct http_request *r,
	void (*fn)(struct waiter *w, struct container *c, const struct error *err));
void waiter_free(struct waiter *w); /* a request of it that is not answered is cut */
void container_tell(struct container *c, enum wait_for what, const struct error *err);

/* exec.c */
void exec_free(struct exec *x);

/* engine.c */
void docker_event(struct docker *d, const char *type, const char *action, const char *id,
	const char *attribute, const char *value);
void docker_event_of(struct container *c, const char *action);
void engine_free(struct docker *d);

/* logs.c */
/* The main process runs: those who came before see it. */
void logs_attach_waiting(struct container *c);

/* port.c */
int ports_open(struct container *c, struct error *err);
void ports_close(struct container *c);
void ports_put(const struct container *c, struct jsonw *w); /* NetworkSettings.Ports */
void ports_put_list(const struct container *c, struct jsonw *w);

/* image.c */
int64_t images_count(struct docker *d);
/* Arrays, as the lists have them. */
int64_t images_put_all(struct docker *d, struct jsonw *w); /* how many bytes they are together */
void containers_put_all(struct docker *d, struct jsonw *w);
int image_find(struct docker *d, struct str ref, const struct image **ret, struct error *err);
