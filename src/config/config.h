/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config: what a server is told by a file, cay.toml, and by the environment. The keys are rows of
 * key.def: OpenHands' own (section 6.10 of its documentation) as they are, and sections of ours.
 *
 *	auto_config struct config c = CONFIG_INIT;
 *	if (config_load(&c, NULL, err) < 0) …     "cay.toml: line 3: sandbox.volume: no such key; did you mean volumes?"
 *	config_text(&c, KEY_GIT_USER_NAME)
 *
 * What counts: command line (config_set), environment, file, standard, in this order. The file is
 * the one that is named, else ./cay.toml, else $XDG_CONFIG_HOME/cay/cay.toml or
 * ~/.config/cay/cay.toml; none is fine.
 *
 * Variables: KEY for core, SANDBOX_KEY, SECURITY_KEY, KUBERNETES_KEY, MCP_KEY as the original has
 * it, and CAY_SERVE_KEY, CAY_GUARD_KEY, CAY_LIMITS_KEY. As there, an empty one counts for nothing,
 * true and 1 are true, lists and maps are written as in Python, and one that cannot be read is left
 * aside, with a warning.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "wire/toml.h"

enum config_key {
#define KEY(id, section, name, type, standard, status, help) KEY_##id,
#include "config/key.def"
#undef KEY
	KEY_MAX,
};

enum config_type {
	CONFIG_TEXT,
	CONFIG_SECRET, /* a text that is not shown */
	CONFIG_INT,
	CONFIG_BOOL,
	CONFIG_SIZE, /* 512M, or bytes */
	CONFIG_LIST, /* of texts */
	CONFIG_MAP,  /* of texts, numbers, truth values */
	CONFIG_ANY,
};

enum config_status { CONFIG_DONE, CONFIG_REFUSED, CONFIG_THEIRS };
enum config_origin { ORIGIN_STANDARD, ORIGIN_FILE, ORIGIN_ENVIRONMENT, ORIGIN_COMMAND_LINE };

struct config_row {
	const char *section, *name;
	enum config_type type;
	const char *standard; /* as TOML; NULL: none */
	enum config_status status;
	const char *help;
};

extern const struct config_row config_rows[KEY_MAX];

enum { CONFIG_WARNINGS_MAX = 64 };

struct config {
	struct arena arena;
	struct {
		struct toml *value; /* NULL: none */
		enum config_origin origin;
	} values[KEY_MAX];
	const char *file;                          /* NULL: there is none */
	const char *warnings[CONFIG_WARNINGS_MAX]; /* sentences for who starts the server */
	int n_warnings;
};

#define CONFIG_INIT                           \
	{                                     \
		.arena = ARENA_INIT(64 << 20) \
	}
#define auto_config __attribute__((cleanup(config_fini)))

void config_fini(struct config *c);
/* file NULL: where it usually is. environment: "NAME=value", NULL-terminated. */
int config_load(struct config *c, const char *file, const char *const *environment,
	struct error *err);
/* A text by which the command line counts more. */
void config_set(struct config *c, enum config_key key, struct str text);
void config_set_list(struct config *c, enum config_key key, const char *const *items, int n);

bool config_is_set(const struct config *c, enum config_key key); /* by more than the standard */
/* It says what the standard says, whoever said it. */
bool config_is_standard(const struct config *c, enum config_key key);
struct str config_text(const struct config *c, enum config_key key); /* STR_NONE: none */
int64_t config_int(const struct config *c, enum config_key key);     /* also of a size */
bool config_bool(const struct config *c, enum config_key key);
const struct toml *config_value(const struct config *c, enum config_key key); /* NULL: none */

/* Appends the variable's name. */
void config_put_variable(struct buf *b, enum config_key key);
const char *config_origin_name(enum config_origin origin);
/* As it would stand in a file; a secret is a row of stars. */
void config_put_value(struct buf *b, const struct config *c, enum config_key key);
/* For tests: the value of one variable as the original writes it. */
int config_parse_python(struct str text, enum config_type type, struct arena *arena,
	struct toml **ret, struct error *err);
