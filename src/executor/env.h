/* SPDX-License-Identifier: Apache-2.0 */
/*
 * env: the environment of a child: "NAME=value" strings in the order in which they were set first.
 * Bounded: ENV_VARS_MAX variables, ENV_BYTES_MAX bytes in all (what execve takes is more).
 */
#pragma once

#include "action/action.h"

enum { ENV_VARS_MAX = 4096, ENV_BYTES_MAX = 1024 * 1024 };

struct env {
	char **vars; /* NULL-terminated: ready for execve; NULL while empty */
	size_t n;
	size_t bytes;
};

struct env_names {
	char **names;
	size_t n;
};

void env_fini(struct env *env);
#define auto_env __attribute__((cleanup(env_fini)))
/* A copy with everything of `from`. */
void env_copy(struct env *env, const struct env *from);
/* The value, or NULL. */
const char *env_get(const struct env *env, struct str name);
/*
 * ERROR_INVALID for a name that is none, ERROR_LIMIT beyond the ceilings. An empty value is a
 * value.
 */
int env_set(struct env *env, struct str name, struct str value, struct error *err);
void env_unset(struct env *env, struct str name);
/* Sets every entry; the names are checked before the first is set. */
int env_set_all(struct env *env, const struct field_map *map, struct error *err);
/* The same from another environment. */
int env_add(struct env *env, const struct env *from, struct error *err);
/* Never NULL. */
char *const *env_vector(const struct env *env);

void env_names_fini(struct env_names *names);
void env_names_add(struct env_names *names, const struct field_strings *list);
