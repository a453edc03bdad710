/* SPDX-License-Identifier: Apache-2.0 */
/*
 * action: the verb model. One const row per action says its name, what it does and its parameters;
 * from the row come decoding, the JSON Schema, the OpenAPI document, the help of the command line
 * and a tool list. Who performs an action binds a function to the row in a table of its own
 * (executor/verbs.c).
 *
 *	struct run_params { struct str command; int64_t timeout_ms; };
 *	static const struct field run_fields[] = {
 *		{ "command", FIELD_STRING, FIELD_AT(struct run_params, command), FIELD_REQUIRED,
 *			.help = "what to run" },
 *		{ "timeout_ms", FIELD_INT, FIELD_AT(struct run_params, timeout_ms), .min = 1, .max = 86400000,
 *			.standard = "120000", .help = "deadline" },
 *		{ 0 },
 *	};
 *
 * Decoding: unknown fields, wrong types, values out of range, missing required fields and NUL in a
 * string (unless FIELD_BINARY) are ERROR_INVALID and name the field. A field that is absent or null
 * gets its standard value, else zero (STR_NONE, NULL).
 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "wire/json.h"

#include <stddef.h>

enum field_type {
	FIELD_STRING = 1, /* struct str */
	FIELD_INT,        /* int64_t */
	FIELD_BOOL,       /* bool */
	FIELD_STRINGS,    /* struct field_strings: ["a","b"] */
	FIELD_MAP,        /* struct field_map: {"KEY":"value"} */
	FIELD_JSON,       /* const struct json *: as it is, valid while the request's tree is */
};

enum {
	FIELD_REQUIRED = 1,
	FIELD_BINARY = 2, /* a string that may hold NUL */
	FIELD_PATH = 4,   /* a path: not empty, at most 4,095 bytes */
	FIELD_SECRET = 8, /* never logged, never in an event */
};

struct field {
	const char *name;
	enum field_type type;
	size_t offset;
	int flags;
	int64_t min, max;         /* FIELD_INT; both 0: any */
	const char *standard;     /* the default, as text; NULL: zero */
	const char *const *words; /* FIELD_STRING: the only values allowed, NULL-terminated */
	const char *help;
};

#define FIELD_AT(type, member) offsetof(type, member)

struct field_strings {
	struct str *items;
	size_t n;
};

struct field_map {
	struct str *keys, *values;
	size_t n;
};

enum {
	ACTION_STREAMS_IN = 1,  /* takes FRAME_DATA after the request */
	ACTION_STREAMS_OUT = 2, /* sends FRAME_DATA or FRAME_EVENT before its result */
	ACTION_READS = 4,       /* changes nothing in the sandbox: not an event of its own */
	ACTION_RAW = 8,         /* its data are bytes of a file or connection: not masked */
	ACTION_KEEPS = 16,      /* lives from what it leaves behind: a session, a kernel */
};

struct action {
	const char *name;    /* "run", "read", "process_list": snake_case */
	const char *group;   /* "session", "process", "file": headline in docs */
	const char *summary; /* imperative, no full stop */
	const char *result;  /* what the result holds, in words, for docs */
	const struct field *fields;
	size_t params_size;
	int flags;
};

/* Every action, sorted by name, NULL-terminated (action/table.c). */
extern const struct action *const action_table[];
const struct action *action_find(struct str name); /* NULL if there is none */

bool action_has_field(const struct action *a, const char *name);

/*
 * One JSON answer has no place for data. An action can be performed so if it sends none, or can put
 * it into its result: then it is told so by the field `capture`, unless the caller said what it
 * wants. Appends the parameters.
 */
bool action_can_be_whole(const struct action *a);
int action_put_whole(const struct action *a, struct str params_json, struct buf *ret,
	struct error *err);

/* Fills params (zeroed by the arena) from a JSON object; NULL or JSON null is an empty object. */
int action_decode(const struct action *a, const struct json *params, struct arena *arena,
	void **ret_params, struct error *err);
/*
 * The same for any row of fields: faces and the server decode their own bodies with it. `what`
 * names it.
 */
int fields_decode(const struct field *fields, size_t params_size, const char *what,
	const struct json *object, struct arena *arena, void **ret_params, struct error *err);
/* Writes {"type":"object","properties":{…},"required":[…],"additionalProperties":false}. */
void fields_schema(const struct field *fields, struct jsonw *w);
const struct field *fields_find(const struct field *fields, struct str name); /* NULL: none */
void field_schema(const struct field *f, struct jsonw *w); /* of one: {"type":…} */
