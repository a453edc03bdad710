/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel: a named interpreter that runs cells one after the other and keeps its state between them.
 *
 * A Python kernel is a fork of a template, a guest that has imported what kernels need and waits.
 * The sandbox has one for each interpreter and user that is used, from the first use on. The struct
 * outlives its interpreter: a cell for a kernel that has ended starts a new one with the same
 * settings.
 *
 *	struct kernel *k;
 *	if (kernel_get(executor, STR("default"), STR_NONE, &k, err) < 0 || !(cell = cell_new(k, &plan, err)))
 *		return -1;
 *	cell->watch = &watch;        // on_end comes once, later; cell_unwatch before that, if need be
 */
#pragma once

#include "action/kernel_actions.h"
#include "executor/executor.h"
#include "executor/guest.h"
#include "executor/outputs.h"

enum { KERNEL_SPEC_MAX = 255, TEMPLATES_MAX = 4 };

struct cell;

struct cell_watch {
	void (*on_output)(struct cell_watch *w, uint8_t channel, struct str bytes);
	void (*on_display)(struct cell_watch *w, const struct json *output);
	/*
	 * The last call, with the result as action/kernel_actions.h has it, or, if it did not
	 * begin, an error.
	 */
	void (*on_end)(struct cell_watch *w, struct cell *cell, const struct error *err);
};

enum cell_status {
	CELL_OK,
	CELL_ERROR,
	CELL_INTERRUPTED,
	CELL_TIMED_OUT,
	CELL_ENDED,
};

struct cell {
	struct kernel *kernel;
	struct list link; /* kernel::cells */
	struct guest_request request;
	struct cell_watch *watch; /* NULL: nobody cares any more */
	struct buf body;          /* what the guest is asked */
	struct outputs outputs;
	struct timer *timer;
	int64_t timeout_ms, began_ms;
	bool keeps_outputs, is_probe, is_running, was_interrupted, has_timed_out, is_first;
	enum cell_status status;
	int64_t execution_count; /* -1: none */
	const char *limit;       /* of the sandbox, that it ran into; or NULL */
	char *error_json;        /* NULL: none */
	char *python;
};

struct kernel {
	struct executor *executor;
	struct list link; /* executor::kernels */
	char name[KERNEL_NAME_MAX + 1];
	char spec[KERNEL_SPEC_MAX + 1];
	char *cwd; /* NULL: the sandbox's workdir */
	bool has_skills;
	struct guest *guest;    /* NULL: ended, or not started yet */
	struct list cells;      /* the first is running, if the guest is there */
	size_t n_cells, n_done; /* n_done: of this guest */
	int64_t created_ms;     /* wall clock */
	struct cell *paused;    /* whose watch takes no more */
	bool is_second_try;     /* the one before did not come to be */
};

/*
 * Finds or makes; spec may be STR_NONE. ERROR_CONFLICT if it has another spec, ERROR_LIMIT beyond
 * KERNELS_MAX.
 */
int kernel_get(struct executor *e, struct str name, struct str spec, struct kernel **ret,
	struct error *err);
struct kernel *kernel_find(struct executor *e, struct str name);
/* Starts its interpreter, if it has none. */
int kernel_start(struct kernel *k, struct error *err);
/* Interrupts the cell that runs; false if none does. */
bool kernel_interrupt(struct kernel *k);
/*
 * Ends the interpreter: the cell that runs gets CELL_ENDED, those that wait fail. The struct stays.
 */
void kernel_stop(struct kernel *k, const char *why);
/* … and goes. */
void kernel_close(struct kernel *k);
void kernels_free_all(struct executor *e);
/* As in action/kernel_actions.h. */
void kernel_put(const struct kernel *k, struct jsonw *w);

struct cell_plan {
	struct str code, cwd;
	const struct field_map *env; /* NULL: none */
	int64_t timeout_ms;
	bool has_history;
	bool keeps_outputs; /* they are in the result, as well as the text */
	bool is_probe;      /* it is no cell of the caller's: not counted */
	size_t output_bytes;
};

/* Queues it; NULL with *err: too many wait, or the kernel cannot be started. */
struct cell *cell_new(struct kernel *k, const struct cell_plan *plan, struct error *err);
/* SIGINT, if it is the one that runs; one that waits ends at once, as interrupted. */
void cell_interrupt(struct cell *cell);
/* The error that ended it, which was no success. */
void cell_error(const struct cell *cell, struct error *ret);
/* Nobody waits for it: it is dropped if it has not begun, and else goes on. */
void cell_unwatch(struct cell *cell);
/* The watch takes no more, or takes more again. */
void cell_pause(struct cell *cell, bool is_paused);
/* The result: a whole object. */
void cell_put(const struct cell *cell, struct buf *out);
