/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bash: commands of the agent server's workspace (/api/bash/…), each a shell of its own, and the
 * events that tell of them: BashCommand, and BashOutput with what it wrote.
 *
 * A command is a process of the executor's, whose name is the command's id (bash_id.h) and whose
 * log is its output; nothing is kept here, so all of it is as before after a restart of the server.
 *
 * Output comes as the original gives it: BASH_PIECE at a time while the command runs, orders 0, 1,
 * 2, …, and what is left, with the exit code, when it has ended. A piece is a range of the log, cut
 * back to whole characters; so it is the same whenever it is asked for.
 */
#pragma once

#include "face/openhands/errand.h"
#include "face/openhands/bash_id.h"

enum {
	BASH_PIECE = 1024 * 1024,       /* bytes of both channels */
	BASH_LOG_MAX = 16 * BASH_PIECE, /* kept of one command: its first and its last half */
};

/* What the executor tells of such a process. */
struct bash_process {
	struct bash_id id;
	struct str text, cwd; /* heap; of bash_process_fini */
	struct str limit;     /* heap, too */
	int64_t started_ms, ended_ms;
	int64_t total_bytes, dropped_bytes;
	int64_t exit_code; /* as the original counts: -N for signal N, -1 when the time was over */
	bool has_ended, has_timed_out;
};

/* False: it is no command of ours. */
bool bash_process_read(const struct json *process, struct bash_process *ret);
void bash_process_fini(struct bash_process *p);

/* bash_page.c: {"items":[…],"next_page_id":…} of these, or the one event. */
struct bash_wish {
	bool no_commands, no_outputs; /* kinds that are not asked for */
	bool is_one;                  /* the answer is the first event alone, else 404 */
	bool is_joined;               /* … with all the output in it */
	bool is_descending;
	int64_t order_gt;           /* -1: from the first one on */
	int64_t number;             /* the event of that number alone; -1: all */
	int64_t since_ms, until_ms; /* of timestamps: at or after, before; 0: any */
	int64_t limit;
	char page_id[BASH_ID_SIZE]; /* "": the first page */
};

/* The processes are the page's from here on. It answers the errand. */
void bash_page_reply(struct chore *a, const struct bash_wish *wish, struct bash_process *processes,
	size_t n);
void bash_put_command(struct jsonw *w, const char *id, int64_t started_ms, struct str text,
	struct str cwd, int64_t timeout_s);
/* Asks for the process of a command, after it has ended or wait_ms have passed; 0: it has ended. */
void bash_wait(struct chore *a, const char *command, int64_t wait_ms, chore_fn *then);
