/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What changes sandboxes: cay pause, resume, stop and rm. Each of several is tried; the first
 * failure is the command's.
 */
#include "cli/client.h"

#include "base/auto.h"
#include "cli/options.h"

enum { PATH_BYTES_MAX = 4096 };

typedef int change_fn(struct remote *s, const char *key, struct error *err);

static int post(struct remote *s, const char *key, const char *verb, struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_BYTES_MAX), reply = BUF_INIT(REMOTE_REPLY_MAX);
	remote_put_path(&path, key, verb);
	return remote_post(s, path.ptr, STR("{}"), &reply, err);
}

static int pause_one(struct remote *s, const char *key, struct error *err)
{
	return post(s, key, "/pause", err);
}

static int resume_one(struct remote *s, const char *key, struct error *err)
{
	return post(s, key, "/resume", err);
}

/* It would be there again with the next command. */
static int check_ends(const struct remote *s, struct error *err)
{
	if (str_starts(str_from(s->url), STR("action+")))
		return error_set(err, ERROR_UNSUPPORTED,
			"an action server ends with who has started it");
	return 0;
}

static int stop_one(struct remote *s, const char *key, struct error *err)
{
	return check_ends(s, err) < 0 ? -1 : post(s, key, "/stop", err);
}

static int remove_one(struct remote *s, const char *key, struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_BYTES_MAX);
	remote_put_path(&path, key, "");
	if (check_ends(s, err) < 0)
		return -1;
	return remote_delete(s, path.ptr, err);
}

/* Those after the first failure say their own line; the first is said by who called us. */
static int change_each(struct remote *s, const char *const *keys, int n, bool is_json,
	change_fn *change, struct error *err)
{
	bool has_failed = false;
	for (int i = 0; i < n; i++) {
		struct error own;
		auto_buf struct buf line = BUF_INIT(PATH_BYTES_MAX);
		struct jsonw w = JSONW(&line);
		if (change(s, keys[i], &own) == 0) {
			if (is_json)
				jsonw_str(&w, str_from(keys[i]));
			else
				clean_put(&line, str_from(keys[i]), false, true);
			if (out_line(buf_str(&line), err) < 0)
				return -1;
			continue;
		}
		if (has_failed)
			out_note("%s", own.text);
		else
			*err = own;
		has_failed = true;
	}
	return has_failed ? -1 : 0;
}

static int change_named(const struct invocation *in, change_fn *change, struct error *err)
{
	const struct common_options *o = in->values;
	auto_remote struct remote s = REMOTE_INIT;
	if (remote_open(in, &s, err) < 0)
		return -1;
	return change_each(&s, in->args, in->n_args, o->json, change, err);
}

int pause_main(struct invocation *in, struct error *err)
{
	return change_named(in, pause_one, err);
}

int resume_main(struct invocation *in, struct error *err)
{
	return change_named(in, resume_one, err);
}

int stop_main(struct invocation *in, struct error *err)
{
	return change_named(in, stop_one, err);
}

static int remove_all(struct remote *s, struct invocation *in, struct error *err)
{
	const struct rm_options *o = in->values;
	auto_json struct json *answer = NULL;
	if (remote_get_json(s, "/v1/sandboxes", &answer, err) < 0)
		return -1;
	const struct json *sandboxes = json_find(answer, "sandboxes");
	size_t n = json_len(sandboxes);
	const char **keys = arena_new_n(&in->arena, const char *, n + 1);
	for (size_t i = 0; i < n; i++)
		keys[i] = arena_str(&in->arena, json_str(json_find(json_at(sandboxes, i), "id")));
	return change_each(s, keys, (int)n, o->common.json, remove_one, err);
}

int rm_main(struct invocation *in, struct error *err)
{
	const struct rm_options *o = in->values;
	auto_remote struct remote s = REMOTE_INIT;
	if (o->all == (in->n_args > 0))
		return error_set(err, ERROR_INVALID,
			o->all ? "--all and names do not go together"
			       : "SANDBOX is missing, or --all");
	if (remote_open(in, &s, err) < 0)
		return -1;
	if (o->all)
		return remove_all(&s, in, err);
	return change_each(&s, in->args, in->n_args, o->common.json, remove_one, err);
}
