/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process: a program started directly. Its output goes to a log, and to whoever watches; the one
 * who started it may hold it back (process_pause) and so gets every byte. It is retained after its
 * end, oldest forgotten first.
 *
 * The end is that of the program, with what its pipes held then: programs that it left behind and
 * that have its pipes delay nothing. What they write goes to the log as long as the process is
 * retained.
 */
#pragma once

#include "action/process_actions.h"
#include "executor/executor.h"
#include "executor/process_log.h"
#include "executor/spawn.h"

enum {
	PROCESS_ID_SIZE = 24,
	PROCESS_INPUT_MAX = 32 * 1024 * 1024, /* queued for one process */
	PROCESS_INPUT_HIGH = 256 * 1024,      /* … above which a stream of input waits */
};

struct process;

/*
 * Somebody who wants to know. Each function may be NULL; process_unwatch may be called within any.
 */
struct process_watch {
	struct list link; /* process::watches */
	void (*on_output)(struct process_watch *w, uint8_t channel,
		struct str bytes);                 /* it is in the log already */
	void (*on_input)(struct process_watch *w); /* more of the queued input was taken */
	void (*on_end)(struct process_watch *w);   /* the last call: it is unwatched already */
};

struct process_pipe {
	int fd; /* -1: closed */
	struct watch *watch;
	uint8_t channel;
	uint64_t bytes; /* read so far */
	int64_t rest_bytes; /* after the end of the program: what is still to come before that counts; else -1 */
	struct process *process;
};

struct process {
	struct executor *executor;
	struct list link; /* executor::processes */
	struct list watches;
	char id[PROCESS_ID_SIZE];
	char name[PROCESS_NAME_MAX + 1];
	char **argv;
	char *cwd;
	struct child child;
	struct watch *child_watch;
	struct process_pipe out[2]; /* stdout or the terminal, stderr */
	struct process_log log;
	int in_fd; /* -1: none or closed; the terminal's own descriptor is out[0].fd */
	struct watch *in_watch;
	struct buf in;
	uint64_t in_queued_bytes, in_written_bytes;
	bool is_tty, is_eof_wanted;
	bool is_paused;  /* held back by who started it */
	bool has_exited; /* the program; */
	bool has_ended;  /* … and what its pipes held was read */
	bool is_removed; /* in no list any more; freed when it has ended and nobody holds it */
	int n_holds;
	bool has_timed_out;
	const char *limit;                             /* that it ran into; NULL: none */
	int exit_code, signo;                          /* one of them counts: signo if not 0 */
	struct timer *timer;                           /* of its deadline */
	int64_t grace_ms;                              /* from TERM to KILL then; 0: KILL at once */
	int64_t started_wall_ms, started_us, ended_us; /* the last two: monotonic */
};

int process_start(struct executor *e, const struct exec_params *p, struct process **ret,
	struct error *err);
/*
 * By id or name. ERROR_GONE for an id that was forgotten, ERROR_NOT_FOUND for one that never was.
 */
int process_find(struct executor *e, struct str who, struct process **ret, struct error *err);
void process_watch_add(struct process *p, struct process_watch *w);
void process_unwatch(struct process_watch *w);
/* Keeps the struct, not the process: for who reads its log at a pace of his own. */
void process_hold(struct process *p);
void process_release(struct process *p);
void process_pause(struct process *p, bool is_paused);
/* Queues input; ERROR_CONFLICT if it takes none, ERROR_LIMIT if too much is queued. */
int process_write(struct process *p, struct str bytes, struct error *err);
void process_write_eof(struct process *p); /* after what is queued */
int process_signal(struct process *p, int signo, bool is_group, struct error *err);
int process_resize(struct process *p, int64_t cols, int64_t rows, struct error *err);
/* Kills it, if need be, and forgets it. */
void process_remove(struct process *p);
void processes_free_all(struct executor *e);
/* As in action/process_actions.h; without the closing brace if `is_open`. */
void process_put(const struct process *p, struct jsonw *w, bool is_open);
/* The same with no more of each argument than that. */
void process_put_cut(const struct process *p, struct jsonw *w, bool is_open, size_t argv_bytes);
