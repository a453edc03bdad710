/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/backends.h"

#include "base/auto.h"
#include "runtime/local.h"

static int open_local(struct loop *loop, const struct backend_choice *choice, struct backend **ret,
	struct error *err)
{
	const struct local_config config = {
		.is_stateless = strcmp(choice->name, "cli") == 0,
		.warm = choice->warm,
	};
	*ret = local_backend_new(loop, &config);
	return 0;
}

/* The row whose word is the name, or whose word ends in ':' and begins it. */
static const struct {
	const char *word;
	int (*open)(struct loop *loop, const struct backend_choice *choice, struct backend **ret,
		struct error *err);
} rows[] = {
	{ "cli", open_local },
	{ "local", open_local },
};

int backend_open(struct loop *loop, const struct backend_choice *choice, struct backend **ret,
	struct error *err)
{
	struct str name = str_from(choice->name);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str word = str_from(rows[i].word);
		if (str_eq(name, word) || (str_ends(word, STR(":")) && str_starts(name, word)))
			return rows[i].open(loop, choice, ret, err);
	}
	return error_set(err, ERROR_INVALID, "no backend '%.60s'; see cay help serve",
		choice->name);
}
