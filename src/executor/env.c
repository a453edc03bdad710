/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/env.h"

#include "base/bug.h"

#include <stdlib.h>

void env_fini(struct env *env)
{
	for (size_t i = 0; i < env->n; i++)
		free(env->vars[i]);
	free(env->vars);
	*env = (struct env){ 0 };
}

void env_copy(struct env *env, const struct env *from)
{
	env->n = from->n;
	env->bytes = from->bytes;
	env->vars = mem_new_n(char *, from->n + 1);
	for (size_t i = 0; i < from->n; i++)
		env->vars[i] = mem_strdup(from->vars[i]);
}

/* The index of the variable, or env->n. */
static size_t find(const struct env *env, struct str name)
{
	for (size_t i = 0; i < env->n; i++)
		if (strncmp(env->vars[i], name.ptr, name.len) == 0 && env->vars[i][name.len] == '=')
			return i;
	return env->n;
}

const char *env_get(const struct env *env, struct str name)
{
	size_t i = find(env, name);
	return i < env->n ? env->vars[i] + name.len + 1 : NULL;
}

static int check(struct str name, struct str value, struct error *err)
{
	if (name.len == 0 || str_find_char(name, '=') >= 0 || str_has_nul(name))
		return error_set(err, ERROR_INVALID, "'%.*s' is no name of a variable",
			STR_ARG(str_first(name, 60)));
	if (str_has_nul(value))
		return error_set(err, ERROR_INVALID, "the value of %.*s holds a NUL byte",
			STR_ARG(str_first(name, 60)));
	return 0;
}

int env_set(struct env *env, struct str name, struct str value, struct error *err)
{
	if (check(name, value, err) < 0)
		return -1;
	size_t i = find(env, name);
	size_t old = i < env->n ? strlen(env->vars[i]) + 1 : 0;
	size_t size = name.len + value.len + 2;
	if (env->bytes - old + size > ENV_BYTES_MAX || (!old && env->n == ENV_VARS_MAX))
		return error_set(err, ERROR_LIMIT,
			"the environment has over %d variables or %d bytes", ENV_VARS_MAX,
			ENV_BYTES_MAX);
	if (old) {
		free(env->vars[i]);
	} else {
		env->vars = mem_realloc(env->vars, (env->n + 2) * sizeof(char *));
		env->vars[++env->n] = NULL;
	}
	env->vars[i] = mem_printf("%.*s=%.*s", STR_ARG(name), STR_ARG(value));
	env->bytes += size - old;
	return 0;
}

void env_unset(struct env *env, struct str name)
{
	size_t i = find(env, name);
	if (i == env->n)
		return;
	env->bytes -= strlen(env->vars[i]) + 1;
	free(env->vars[i]);
	memmove(&env->vars[i], &env->vars[i + 1], (env->n - i) * sizeof(char *));
	env->n--;
}

int env_set_all(struct env *env, const struct field_map *map, struct error *err)
{
	for (size_t i = 0; i < map->n; i++)
		if (check(map->keys[i], map->values[i], err) < 0)
			return -1;
	for (size_t i = 0; i < map->n; i++)
		if (env_set(env, map->keys[i], map->values[i], err) < 0)
			return -1;
	return 0;
}

int env_add(struct env *env, const struct env *from, struct error *err)
{
	for (size_t i = 0; i < from->n; i++) {
		struct str value = str_from(from->vars[i]), name;
		str_split(&value, '=', &name);
		if (env_set(env, name, value, err) < 0)
			return -1;
	}
	return 0;
}

char *const *env_vector(const struct env *env)
{
	static char *const none[] = { NULL };
	return env->vars ? env->vars : none;
}

void env_names_fini(struct env_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->names[i]);
	free(names->names);
	*names = (struct env_names){ 0 };
}

static bool has_name(const struct env_names *names, struct str name)
{
	for (size_t i = 0; i < names->n; i++)
		if (str_is(name, names->names[i]))
			return true;
	return false;
}

void env_names_add(struct env_names *names, const struct field_strings *list)
{
	for (size_t i = 0; i < list->n && names->n < ENV_VARS_MAX; i++) {
		if (has_name(names, list->items[i]))
			continue;
		names->names = mem_realloc(names->names, (names->n + 1) * sizeof(char *));
		names->names[names->n++] = str_dup(list->items[i]);
	}
}
