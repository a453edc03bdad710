/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include "base/auto.h"
#include "base/bug.h"
#include "cli/options.h"
#include "cli/wish.h"
#include "config/swap.h"

enum { BODY_MAX = 16 * 1024 * 1024 };

static int put_mounts(struct jsonw *w, const struct spec_options *o, struct error *err)
{
	auto_free struct spec_mount *mounts = mem_new_n(struct spec_mount, SPEC_MOUNTS_MAX);
	int n = wish_mounts(o, mounts, err);
	if (n <= 0)
		return n;
	jsonw_key(w, "mounts");
	jsonw_open_array(w);
	for (int i = 0; i < n; i++) {
		jsonw_open(w);
		jsonw_key_str(w, "source", str_from(mounts[i].source));
		jsonw_key_str(w, "target", str_from(mounts[i].target));
		jsonw_key_str(w, "mode", str_from(wish_mode_word(mounts[i].mode)));
		jsonw_close(w);
	}
	jsonw_close_array(w);
	return 0;
}

static void put_limits(struct jsonw *w, const struct spec_options *o)
{
	jsonw_key(w, "limits");
	jsonw_open(w);
	jsonw_key_int(w, "memory_bytes", o->memory_bytes);
	jsonw_key_int(w, "pids", o->pids);
	jsonw_key_int(w, "cpu_milli", o->cpu_milli);
	jsonw_key_int(w, "disk_bytes", o->disk_bytes);
	jsonw_key_int(w, "disk_inodes", o->disk_inodes);
	jsonw_close(w);
}

static void put_required(struct jsonw *w, const struct option_texts *texts)
{
	jsonw_key(w, "require");
	jsonw_open_array(w);
	for (int i = 0; i < texts->n; i++) {
		struct str rest = str_from(texts->items[i]), word;
		while (str_split(&rest, ',', &word))
			jsonw_str(w, word);
	}
	jsonw_close_array(w);
}

static void put_texts(struct jsonw *w, const char *key, const struct option_texts *texts)
{
	jsonw_key(w, key);
	jsonw_open_array(w);
	for (int i = 0; i < texts->n; i++)
		jsonw_str(w, str_from(texts->items[i]));
	jsonw_close_array(w);
}

static int put_labels(struct jsonw *w, const struct option_texts *texts, struct error *err)
{
	jsonw_key(w, "labels");
	jsonw_open(w);
	for (int i = 0; i < texts->n; i++) {
		const char *text = texts->items[i], *eq = strchr(text, '=');
		if (!eq || eq == text)
			return error_set(err, ERROR_INVALID, "--label: '%.60s' is not KEY=VALUE",
				text);
		jsonw_key_dyn(w, str_from_len(text, (size_t)(eq - text)));
		jsonw_str(w, str_from(eq + 1));
	}
	jsonw_close(w);
	return 0;
}

/* Only what was said: the rest is the server's. */
static void put_guard(struct jsonw *w, const struct create_options *o)
{
	if (!o->guard && !o->guard_threshold && !o->confirm)
		return;
	jsonw_key(w, "guard");
	jsonw_open(w);
	if (o->guard)
		jsonw_key_str(w, "mode", str_from(o->guard));
	if (o->guard_threshold)
		jsonw_key_int(w, "threshold", o->guard_threshold[0] - '0');
	if (o->confirm)
		jsonw_key_bool(w, "confirm", true);
	jsonw_close(w);
}

/* The standard of a row is that literal itself: what was typed is another string, be it equal. */
static bool is_said(const char *value, const char *name)
{
	const struct command *create = command_find(STR("create"));
	const struct command_option *o;
	for (int i = 0; (o = command_option_at(create, i)); i++)
		if (!strcmp(o->name, name))
			return value != o->standard;
	return true;
}

/* What was not said is the server's to say. */
static void put_said(struct jsonw *w, const char *field, const char *option, const char *value)
{
	if (is_said(value, option))
		jsonw_key_str(w, field, str_from(value));
}

static int put_secrets(struct jsonw *w, const struct option_texts *texts,
	const struct option_texts *swaps, struct error *err)
{
	jsonw_key(w, "secrets");
	jsonw_open(w);
	for (int i = 0; i < texts->n; i++) {
		struct str name, value;
		if (wish_variable(texts->items[i], &name, &value, err) < 0)
			return error_wrap(err, "--secret");
		if (!value.ptr)
			return error_set(err, ERROR_INVALID, "--secret: %.*s is not set",
				STR_ARG(str_first(name, 60)));
		jsonw_key_dyn(w, name);
		jsonw_str(w, value);
	}
	for (int i = 0; i < swaps->n; i++)
		if (swap_put(str_from(swaps->items[i]), w, err) < 0)
			return error_wrap(err, "--swap");
	jsonw_close(w);
	return 0;
}

static int put_repo(struct jsonw *w, const struct create_options *o, struct error *err)
{
	const char *token = o->token_env ? getenv(o->token_env) : NULL;
	if (!o->repo)
		return o->branch ? error_set(err, ERROR_INVALID, "--branch goes with --repo") : 0;
	jsonw_key(w, "repo");
	jsonw_open(w);
	jsonw_key_str(w, "url", str_from(o->repo));
	if (o->branch)
		jsonw_key_str(w, "branch", str_from(o->branch));
	if (token && token[0])
		jsonw_key_str(w, "token", str_from(token));
	jsonw_key_bool(w, "setup", !o->no_setup);
	jsonw_close(w);
	return 0;
}

/* A path, or the name of an image that the server keeps. */
static int find_image(const char *text, char ret[SPEC_PATH_SIZE], struct error *err)
{
	bool is_path = text[0] == '/' || text[0] == '.' || access(text, F_OK) == 0;
	if (is_path || !strcmp(text, "host") || strlen(text) >= SPEC_PATH_SIZE)
		return wish_image(text, ret, err);
	snprintf(ret, SPEC_PATH_SIZE, "%s", text);
	return 0;
}

int create_put_body(struct jsonw *w, const struct create_options *o, struct error *err)
{
	char image[SPEC_PATH_SIZE];
	if (find_image(o->spec.image, image, err) < 0)
		return -1;
	jsonw_open(w);
	if (o->name)
		jsonw_key_str(w, "name", str_from(o->name));
	if (is_said(o->spec.image, "image"))
		jsonw_key_str(w, "image", str_from(image[0] ? image : "host"));
	put_said(w, "workdir", "workdir", o->spec.workdir);
	put_said(w, "user", "user", o->spec.user);
	put_said(w, "network", "network", o->spec.network);
	if (o->allow.n)
		put_texts(w, "allow", &o->allow);
	if (o->network_name)
		jsonw_key_str(w, "network_name", str_from(o->network_name));
	put_said(w, "hostname", "hostname", o->spec.hostname);
	if (o->gpus)
		jsonw_key_str(w, "gpus", str_from(o->gpus));
	if (o->spec.timeout_ms)
		jsonw_key_int(w, "timeout_ms", o->spec.timeout_ms);
	if (o->idle_timeout_ms)
		jsonw_key_int(w, "idle_timeout_ms", o->idle_timeout_ms);
	put_limits(w, &o->spec);
	put_required(w, &o->spec.require);
	put_guard(w, o);
	if (o->plugins.n && client_put_plugins(w, &o->plugins, err) < 0)
		return -1;
	if (put_mounts(w, &o->spec, err) < 0 || put_labels(w, &o->labels, err) < 0 ||
		client_put_env(w, &o->spec.env, err) < 0 ||
		put_secrets(w, &o->secrets, &o->swaps, err) < 0 || put_repo(w, o, err) < 0)
		return -1;
	jsonw_close(w);
	return w->b->is_full
		? error_set(err, ERROR_TOO_LARGE, "more than %d bytes of options", BODY_MAX)
		: 0;
}

int create_main(struct invocation *in, struct error *err)
{
	const struct create_options *o = in->values;
	auto_buf struct buf body = BUF_INIT(BODY_MAX), reply = BUF_INIT(REMOTE_REPLY_MAX);
	auto_remote struct remote s = REMOTE_INIT;
	auto_json struct json *sandbox = NULL;
	struct jsonw w = JSONW(&body);
	if (create_put_body(&w, o, err) < 0 || remote_open(in, &s, err) < 0 ||
		remote_post(&s, "/v1/sandboxes", buf_str(&body), &reply, err) < 0)
		return -1;
	if (o->spec.common.json)
		return out_line(buf_str(&reply), err);
	if (json_parse(buf_str(&reply), &sandbox, err) < 0)
		return -1;
	return out_line(json_str(json_find(sandbox, "id")), err);
}
