/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/remote.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/home.h"
#include "cli/options.h"
#include "wire/url.h"

#include <fcntl.h>

enum { PATH_BYTES_MAX = 8192, TOKEN_MAX = 4096 };

static bool is_this_machine(struct str url)
{
	static const char *const hosts[] = { "http://127.0.0.1", "http://localhost",
		"http://[::1]" };
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		struct str rest = str_skip(url, strlen(hosts[i]));
		bool is_whole = rest.len == 0 || rest.ptr[0] == ':' || rest.ptr[0] == '/';
		if (str_starts(url, str_from(hosts[i])) && is_whole && str_find_char(rest, '@') < 0)
			return true;
	}
	return str_starts(url, STR("unix:"));
}

/* The state directory's token, if this user may read one. */
static void put_kept_token(const char *file, struct buf *token)
{
	auto_buf struct buf path = BUF_INIT(PATH_BYTES_MAX), text = BUF_INIT(TOKEN_MAX);
	if (home_put_state(&path, NULL) < 0)
		return;
	buf_printf(&path, "/%s", file);
	if (file_read(AT_FDCWD, path.ptr, &text, NULL) == 0)
		buf_put(token, str_trim(buf_str(&text)));
}

static const char *given_url(const struct invocation *in)
{
	const struct common_options *options = in->values;
	return options->url ?: getenv("CAY_URL");
}

static int open_as(const struct invocation *in, const char *file, const char *variable,
	struct remote *ret, struct error *err)
{
	auto_buf struct buf url = BUF_INIT(PATH_BYTES_MAX), token = BUF_INIT(TOKEN_MAX);
	const char *given = given_url(in);
	if (given && given[0]) {
		buf_puts(&url, given);
	} else {
		buf_puts(&url, "unix:");
		if (home_put_socket(&url, err) < 0)
			return -1;
	}
	const char *secret = getenv(variable);
	if (secret && secret[0])
		buf_puts(&token, secret);
	else if (is_this_machine(buf_str(&url)))
		put_kept_token(file, &token);

	*ret = (struct remote)REMOTE_INIT;
	const char *reach = url.ptr;
	if (embedded_is_for(buf_str(&url))) {
		if (embedded_start(url.ptr, &ret->embedded, err) < 0)
			return -1;
		reach = ret->embedded.url;
		buf_reset(&token);
		buf_puts(&token, ret->embedded.token);
	}
	if (http_client_new(reach, token.len ? token.ptr : NULL, &ret->http, err) < 0)
		return -1;
	ret->url = buf_take(&url);
	return 0;
}

int remote_open(const struct invocation *in, struct remote *ret, struct error *err)
{
	return open_as(in, "token", "CAY_TOKEN", ret, err);
}

static int check_lasting(const struct invocation *in, const char *what, struct error *err)
{
	if (embedded_is_for(str_from(given_url(in))))
		return error_set(err, ERROR_UNSUPPORTED, "an OpenHands deployment has no %s", what);
	return 0;
}

int remote_open_lasting(const struct invocation *in, const char *what, struct remote *ret,
	struct error *err)
{
	return check_lasting(in, what, err) < 0 ? -1 : remote_open(in, ret, err);
}

int remote_open_approver(const struct invocation *in, struct remote *ret, struct error *err)
{
	if (check_lasting(in, "actions that wait to be confirmed", err) < 0)
		return -1;
	int r = open_as(in, "approver-token", "CAY_APPROVER_TOKEN", ret, err);
	ret->is_approver = true;
	return r;
}

void remote_close(struct remote *s)
{
	http_client_free(s->http);
	free(s->url);
	embedded_stop(&s->embedded);
	*s = (struct remote)REMOTE_INIT;
}

/* What a person can do about it, where that is known. */
static int explain(const struct remote *s, bool was_answered, int status, struct error *err)
{
	if (status >= 0 || !err)
		return status;
	if (err->code == ERROR_UNAVAILABLE && !was_answered && s->embedded.url) {
		embedded_explain(&s->embedded, err);
		return -1;
	}
	if (err->code == ERROR_UNAVAILABLE && !was_answered)
		return error_set(err, ERROR_UNAVAILABLE,
			"no server at %s: start one with `cay serve`, or name one with --url or CAY_URL",
			s->url);
	if (err->code == ERROR_UNAUTHORIZED)
		return error_set(err, ERROR_UNAUTHORIZED,
			"the server at %s wants %s token: set %s to what the file `%s` in its state "
			"directory holds",
			s->url, s->is_approver ? "the approver's" : "its",
			s->is_approver ? "CAY_APPROVER_TOKEN" : "CAY_TOKEN",
			s->is_approver ? "approver-token" : "token");
	return -1;
}

int remote_call(struct remote *s, struct http_call *call, struct error *err)
{
	int status = http_client_call(s->http, call, err);
	return explain(s, call->ret_status != 0, status, err);
}

int remote_ws(struct remote *s, const char *path, const struct http_ws_ops *ops, void *arg,
	struct http_ws **ret, struct error *err)
{
	return explain(s, false, http_ws_open(s->http, path, NULL, ops, arg, ret, err), err);
}

int remote_get(struct remote *s, const char *path, struct buf *reply, struct error *err)
{
	struct http_call call = { .method = "GET", .path = path, .reply = reply };
	return remote_call(s, &call, err);
}

int remote_post(struct remote *s, const char *path, struct str json, struct buf *reply,
	struct error *err)
{
	struct http_call call = { .method = "POST",
		.path = path,
		.content_type = "application/json",
		.body = json,
		.reply = reply };
	return remote_call(s, &call, err);
}

int remote_delete(struct remote *s, const char *path, struct error *err)
{
	auto_buf struct buf reply = BUF_INIT(REMOTE_REPLY_MAX);
	struct http_call call = { .method = "DELETE", .path = path, .reply = &reply };
	return remote_call(s, &call, err);
}

int remote_get_json(struct remote *s, const char *path, struct json **ret, struct error *err)
{
	auto_buf struct buf reply = BUF_INIT(REMOTE_REPLY_MAX);
	if (remote_get(s, path, &reply, err) < 0)
		return -1;
	return json_parse(buf_str(&reply), ret, err);
}

int remote_post_json(struct remote *s, const char *path, struct str json, struct json **ret,
	struct error *err)
{
	auto_buf struct buf reply = BUF_INIT(REMOTE_REPLY_MAX);
	if (remote_post(s, path, json, &reply, err) < 0)
		return -1;
	return json_parse(buf_str(&reply), ret, err);
}

void remote_put_path(struct buf *b, const char *key, const char *rest)
{
	buf_puts(b, "/v1/sandboxes/");
	url_encode(str_from(key), b);
	buf_puts(b, rest);
}

int remote_act(struct remote *s, const char *key, const char *action, struct str params,
	struct json **ret, struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_BYTES_MAX);
	remote_put_path(&path, key, "/actions/");
	buf_puts(&path, action);
	return remote_post_json(s, path.ptr, params, ret, err);
}
