/* SPDX-License-Identifier: Apache-2.0 */
/*
 * toolbox: the tools of a sandbox, in the order in which they were added, and the packs they came
 * with (action/tool_actions.h). It lives as long as the executor.
 *
 * A kind of pack is one const row of functions. The toolbox knows names, schemas and order; a kind
 * knows how a tool is called:
 *
 *	python   tool_worker.c: an interpreter for each pack
 *	program  tool_program.c: a process for each call
 *	action   tool_inner.c: another verb in the place of this one
 */
#pragma once

#include "action/tool_actions.h"
#include "action/tool_bind.h"
#include "base/map.h"
#include "executor/call.h"
#include "executor/env.h"

struct executor;
struct tool_pack;

struct tool {
	struct list link; /* tool_pack::tools */
	struct tool_pack *pack;
	char *name;
	char *schema_json; /* {"type":"function","function":{…}} */
	struct json *schema;
};

/* A call as its caller wishes it, decoded. */
struct tool_wish {
	struct str text; /* {"args":[…],"kwargs":{…}} */
	int64_t timeout_ms;
};

/* A call under way: the first member of what a kind hangs on call->state. */
struct tool_use {
	struct list link; /* tool_pack::uses */
	struct tool_pack *pack;
	struct call *call; /* NULL: nobody waits for it any more */
	int64_t started_us;
};

struct tool_kind {
	const char *name;
	/* Loads what belongs to it, and at last calls toolbox_added or toolbox_refused. */
	void (*load)(struct tool_pack *pack);
	/* Ends the call, at once or later; if later, call->state is a struct tool_use by then. */
	void (*call)(struct tool *tool, struct call *call, const struct tool_wish *wish);
	void (*drop)(struct tool_use *use); /* its call goes away, also when it was ended */
	void (*reset)(struct tool_pack *pack, const struct error *why); /* NULL: nothing to do */
	void (*free)(struct tool_pack *pack); /* what hangs on pack->state; NULL: nothing does */
};

struct tool_pack {
	struct list link; /* toolbox::packs */
	struct toolbox *box;
	const struct tool_kind *kind;
	struct call *adder; /* waits while the pack is loaded; its state is the pack */
	char *name;
	struct list tools; /* tool::link */
	struct list uses;  /* tool_use::link */
	char **hidden;     /* names that another pack had before */
	size_t n_hidden;
	size_t n_calls;
	int64_t starts;
	int64_t timeout_ms;
	struct error error; /* why its interpreter ended last; ERROR_OK: it has not */
	bool is_stopped;
	struct env env;
	char *cwd;
	char **argv; /* program */
	char *python;
	char *arguments_json; /* of guest_plan */
	void *state;          /* of the kind */
};

struct toolbox {
	struct executor *executor;
	struct list packs; /* tool_pack::link, oldest first; also those that are being loaded */
	size_t n_packs;
	struct map tools; /* struct tool */
};

struct toolbox *toolbox_new(struct executor *e);
void toolbox_free(struct toolbox *box);

struct tool *toolbox_find(struct toolbox *box, struct str name);
struct tool_pack *toolbox_find_pack(struct toolbox *box, struct str name);
/* Without tools yet. ERROR_EXISTS if the name is taken, ERROR_LIMIT if there are too many. */
int toolbox_add_pack(struct toolbox *box, const struct tool_kind *kind, struct str name,
	struct tool_pack **ret, struct error *err);
/*
 * Adds a tool with its schema, a JSON object of OpenAI's form. One whose name is taken goes to
 * pack->hidden. -1 for a name or schema that is none, or one too many.
 */
int tool_pack_add(struct tool_pack *pack, const struct json *schema, struct error *err);
/* Ends pack->adder with the pack. */
void toolbox_added(struct tool_pack *pack);
/* Forgets the pack and fails its adder. */
void toolbox_refused(struct tool_pack *pack, const struct error *err);
/* With its tools; calls under way fail. */
void tool_pack_remove(struct tool_pack *pack, const struct error *why);
void tool_remove(struct tool *tool);

void tool_use_begin(struct tool_use *use, struct tool_pack *pack, struct call *call);
/* No longer under way; its caller, if there is one, has been answered or will be. */
void tool_use_end(struct tool_use *use);

struct tool_answer {
	struct str output; /* the text of a JSON value; ptr NULL: it raised */
	struct str error_type, error_message, error_traceback;
	struct str out, err; /* what it printed */
};
/* Ends the call with a result. */
void tool_finish(struct call *call, const struct tool_answer *answer, int64_t started_us);

void tool_pack_put(const struct tool_pack *pack, struct jsonw *w, bool has_schemas);

extern const struct tool_kind tool_python, tool_program, tool_inner;
/* The schema of a tool of these kinds, into b. */
int tool_inner_schema(const struct tool_add_params *p, struct buf *b, struct error *err);
int tool_program_schema(const struct tool_add_params *p, struct buf *b, struct error *err);

/* Ends the call with a result: what the tool raised. */
void tool_raise(struct call *call, const char *type, struct str message, int64_t started_us);
