/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_actions: cells, pieces of code for an interpreter that stays alive, and the interpreters.
 *
 * A kernel is made by its first use; variables, imports and the directory survive from one cell to
 * the next. `cell` gives
 *
 *	{"status":"ok",           ok | error | interrupted | timed_out | ended
 *	 "limit":"memory",        as `run` has it; only of a cell that failed so
 *	 "execution_count":1,     or null
 *	 "error":{"name":"NameError","value":"…","traceback":["…"]},  or null; the lines have no colours
 *	 "text":"1\n",            everything below as text, in order, without colours
 *	 "outputs":[…],           only with `capture`; in order:
 *	     {"type":"stream","name":"stdout","text":"1\n"}              stdout | stderr
 *	     {"type":"execute_result","data":{"text/plain":"2"},"metadata":{},"execution_count":1}
 *	     {"type":"display_data","data":{"image/png":"iVBOR…","text/plain":"…"},"metadata":{}}
 *	     {"type":"update_display_data",…}
 *	     {"type":"error","name":"…","value":"…","traceback":["…"]}
 *	     {"type":"gap","bytes":123}                                  left out here: the middle
 *	 "truncated_bytes":0,     left out in all
 *	 "kernel":"default","spec":"python",
 *	 "python":"/usr/bin/python3",  the interpreter; "" if the kernel is none of Python or has ended
 *	 "is_new_kernel":true,    it was the first cell of its kernel
 *	 "duration_ms":3}
 *
 * Without `capture` what is printed comes as data, channel 1 and 2, and every other output as an
 * event.
 *
 * interrupted: kernel_interrupt, or the control {"signal":"INT"}. timed_out: timeout_ms passed and
 * the cell was interrupted; the kernel goes on with all its state, unless it does not react to that
 * within CELL_GRACE_MS: then it is ended. ended: the kernel is gone (os._exit, a crash, killed);
 * `error` says how, and the next cell starts a new one. Cells for one kernel run one after the
 * other, in the order of their coming; one that waits for a kernel that ends is ERROR_UNAVAILABLE.
 * A cell goes on when its caller is lost.
 *
 * A kernel in kernel_list, kernel_open, …:
 *	{"kernel":"default","spec":"python","pid":12,"status":"idle","n_cells":3,"n_waiting":0,
 *	 "created_ms":1764000000000}           status: idle | busy | ended
 */
#pragma once

#include "action/action.h"

enum {
	CELL_CODE_MAX = 8 * 1024 * 1024,
	CELL_OUTPUT_MAX = 8 * 1024 * 1024,   /* bytes of text one result can hold */
	CELL_OUTPUT_STANDARD = 1024 * 1024,  /* … and does, unless asked */
	CELL_DISPLAYS_MAX = 8 * 1024 * 1024, /* bytes of pictures and the like in one result */
	CELL_ANSWER_MS = 2000, /* after a timeout: how long the answer waits for the kernel */
	CELL_GRACE_MS = 10000, /* … and how long the kernel may take */
	KERNELS_MAX = 16,
	KERNEL_CELLS_MAX = 64, /* waiting for one kernel */
	KERNEL_NAME_MAX = 64,
	CELL_ENV_MAX = 256 * 1024, /* bytes of names and values for one cell */
};

struct cell_params {
	struct str code;
	struct str kernel;
	struct str spec;
	struct str cwd;
	struct field_map env;
	int64_t timeout_ms;
	bool history;
	bool capture;
	int64_t output_bytes;
};

struct kernel_open_params {
	struct str kernel;
	struct str spec;
	struct str cwd;
	bool skills;
	bool wait;
};

struct kernel_name_params { /* kernel_close, kernel_interrupt, kernel_restart */
	struct str kernel;
};

struct kernel_list_params {
	bool unused;
};

extern const struct action cell_action, kernel_close_action, kernel_interrupt_action,
	kernel_list_action, kernel_open_action, kernel_restart_action;
