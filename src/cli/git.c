/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cay git: repositories of a sandbox. A token is read from a variable, so that it is in no command
 * line.
 */
#include "cli/client.h"

#include "base/auto.h"
#include "cli/options.h"
#include "wire/url.h"

enum { BODY_MAX = 256 * 1024, PATH_BYTES_MAX = 16384 };

static const char *token_of(const struct git_options *o)
{
	const char *token = getenv(o->token_env);
	return token && token[0] ? token : NULL;
}

static void put(struct jsonw *w, const char *name, const char *value)
{
	if (value)
		jsonw_key_str(w, name, str_from(value));
}

/* How a verb's argument is called, and which options it knows. */
enum {
	TAKES_BRANCH = 1,
	TAKES_TOKEN = 2,
	TAKES_HOST = 4,
	TAKES_FORCE = 8,
	TAKES_CREATE = 16,
	TAKES_DEPTH = 32
};

static const struct verb {
	const char *name, *argument;
	int takes;
	const char *shows; /* the field of the answer that is printed; NULL: the changes */
	bool is_get;
} verbs[] = {
	{ "branch", "branch", TAKES_CREATE, "branch" },
	{ "changes", NULL, 0, NULL, true },
	{ "clone", "url", TAKES_BRANCH | TAKES_TOKEN | TAKES_DEPTH, "directory" },
	{ "init", NULL, 0, "directory" },
	{ "pull", "remote", TAKES_BRANCH | TAKES_TOKEN | TAKES_HOST, "output" },
	{ "push", "remote", TAKES_BRANCH | TAKES_TOKEN | TAKES_HOST | TAKES_FORCE, "output" },
};

static const struct verb *find_verb(const char *name, struct error *err)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	error_set(err, ERROR_INVALID,
		"'%.40s' is none of branch, changes, clone, init, pull and push", name);
	return NULL;
}

static int check_options(const struct verb *v, const struct git_options *o, struct error *err)
{
	const char *wrong = o->branch && !(v->takes & TAKES_BRANCH) ? "branch"
		: o->host && !(v->takes & TAKES_HOST)               ? "host"
		: o->force && !(v->takes & TAKES_FORCE)             ? "force"
		: o->create && !(v->takes & TAKES_CREATE)           ? "create"
		: o->depth && !(v->takes & TAKES_DEPTH)             ? "depth"
								    : NULL;
	if (wrong)
		return error_set(err, ERROR_INVALID, "--%s does not go with %s", wrong, v->name);
	return 0;
}

static void put_body(struct jsonw *w, const struct verb *v, const struct git_options *o,
	const char *argument)
{
	const char *token = v->takes & TAKES_TOKEN ? token_of(o) : NULL;
	jsonw_open(w);
	put(w, "directory", o->directory);
	if (v->argument)
		put(w, v->argument, argument);
	put(w, "branch", o->branch);
	put(w, "host", o->host);
	/* A pull or push without a host has nobody that a token could be meant for. */
	if (!(v->takes & TAKES_HOST) || o->host)
		put(w, "token", token);
	if (o->force)
		jsonw_key_bool(w, "force", true);
	if (o->create)
		jsonw_key_bool(w, "create", true);
	if (o->depth)
		jsonw_key_int(w, "depth", o->depth);
	jsonw_close(w);
}

static int ask(struct remote *s, const struct verb *v, const struct git_options *o,
	struct invocation *in, struct buf *reply, struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_BYTES_MAX), body = BUF_INIT(BODY_MAX);
	struct jsonw w = JSONW(&body);
	remote_put_path(&path, in->args[0], "/git/");
	buf_puts(&path, v->name);
	if (v->is_get) {
		if (o->directory) {
			buf_puts(&path, "?directory=");
			url_encode(str_from(o->directory), &path);
		}
		return remote_get(s, path.ptr, reply, err);
	}
	put_body(&w, v, o, in->n_args > 2 ? in->args[2] : NULL);
	return remote_post(s, path.ptr, buf_str(&body), reply, err);
}

static int show_changes(const struct json *list, struct error *err)
{
	for (size_t i = 0; i < json_len(list); i++) {
		auto_buf struct buf line = BUF_INIT(65536);
		const struct json *change = json_at(list, i);
		buf_put(&line, json_str(json_find(change, "status")));
		buf_putc(&line, ' ');
		clean_put(&line, json_str(json_find(change, "path")), false, true);
		if (out_line(buf_str(&line), err) < 0)
			return -1;
	}
	return 0;
}

static int show(const struct verb *v, const struct json *answer, struct error *err)
{
	struct out out;
	if (!v->shows)
		return show_changes(answer, err);
	struct str text = json_str(json_find(answer, v->shows));
	out_init(&out, STDOUT_FILENO, false);
	if (!text.len)
		return 0;
	if (out_write(&out, text, err) < 0 ||
		(!str_ends(text, STR("\n")) && out_write(&out, STR("\n"), err) < 0))
		return -1;
	return out_end(&out, err);
}

int git_main(struct invocation *in, struct error *err)
{
	const struct git_options *o = in->values;
	auto_remote struct remote s = REMOTE_INIT;
	auto_buf struct buf reply = BUF_INIT(REMOTE_REPLY_MAX);
	auto_json struct json *answer = NULL;
	const struct verb *v = find_verb(in->args[1], err);
	if (!v || check_options(v, o, err) < 0)
		return -1;
	if (in->n_args > (v->argument ? 3 : 2))
		return error_set(err, ERROR_INVALID, "%s: one argument too many", v->name);
	if (remote_open(in, &s, err) < 0 || ask(&s, v, o, in, &reply, err) < 0)
		return -1;
	if (o->common.json)
		return out_line(buf_str(&reply), err);
	if (json_parse(buf_str(&reply), &answer, err) < 0)
		return -1;
	return show(v, answer, err);
}
