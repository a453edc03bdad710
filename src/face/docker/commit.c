/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /commit: a snapshot of the container's sandbox, with the container's configuration in place
 * of its image's, and what `changes` make of that.
 */
#include "face/docker/handlers.h"

#include "base/auto.h"
#include "runtime/snapshot.h"

enum { NAME_BYTES_MAX = 2048 };

/* In the request's arena. */
struct commit {
	struct http_request *r;
	struct snapshot *snapshot;
	char container[ID_SIZE];
};

static void on_taken(void *arg, const struct image *image, const struct error *err)
{
	struct commit *commit = arg;
	struct docker *d = docker_of(commit->r);
	struct container *c = container_find(d, str_from(commit->container));
	auto_buf struct buf b = BUF_INIT(4096);
	commit->snapshot = NULL;
	if (err) {
		docker_fail_error(commit->r, err);
		return;
	}
	if (c)
		docker_event_of(c, "commit");
	buf_printf(&b, "{\"Id\":\"sha256:%s\"}", image->id);
	http_reply_json(commit->r, 201, &b);
}

static void on_closed(void *arg)
{
	struct commit *commit = arg;
	snapshot_cancel(commit->snapshot);
	commit->snapshot = NULL;
	docker_fail(commit->r, 499, "the client went away");
}

/* What an image says; all else of a container's configuration is its own. */
static void put_config(const struct container *c, const struct json *body,
	const struct json *changes, struct jsonw *w)
{
	static const char *const keys[] = { "Cmd", "Entrypoint", "ExposedPorts", "Labels",
		"StopSignal", "User", "Volumes", "WorkingDir" };
	const struct json *env = json_find(body, "Env") ?: json_find(c->config, "Env"),
			  *more = json_find(changes, "Env");
	jsonw_open(w);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const struct json *value = json_find(changes, keys[i]) ?: json_find(body, keys[i]);
		if (json_kind(value) == JSON_KIND_NULL)
			value = json_find(c->config, keys[i]);
		if (json_kind(value) != JSON_KIND_NULL)
			docker_key_json(w, keys[i], value);
	}
	jsonw_key(w, "Env");
	jsonw_open_array(w);
	config_put_pairs(env, more, w);
	config_put_pairs(more, NULL, w);
	jsonw_close_array(w);
	jsonw_close(w);
}

static int make_config(struct http_request *r, const struct container *c, struct buf *config,
	struct error *err)
{
	auto_buf struct buf text = BUF_INIT(4 * HTTP_HEAD_MAX);
	auto_json struct json *changes = NULL, *body = NULL;
	struct jsonw w = JSONW(config);
	if (image_put_changes(r, &text, err) < 0 || json_parse(buf_str(&text), &changes, err) < 0 ||
		(r->body.len && json_parse(r->body, &body, err) < 0))
		return -1;
	put_config(c, body, changes, &w);
	return config->is_full ? error_set(err, ERROR_TOO_LARGE, "a configuration of over %d bytes",
					 IMAGE_JSON_MAX)
			       : 0;
}

void containers_commit(struct http_request *r)
{
	static const struct http_ops ops = { .on_closed = on_closed };
	struct str key = http_query(r, "container"), repo = http_query(r, "repo"),
		   tag = http_query(r, "tag");
	auto_buf struct buf config = BUF_INIT(IMAGE_JSON_MAX), name = BUF_INIT(NAME_BYTES_MAX);
	struct container *c = container_find(docker_of(r), key);
	struct sandbox *s = c ? container_sandbox(c) : NULL;
	struct error err;
	if (!s) {
		docker_fail(r, 404, "No such container: %.*s", STR_ARG(str_first(key, 200)));
		return;
	}
	if (make_config(r, c, &config, &err) < 0) {
		docker_fail_error(r, &err);
		return;
	}
	if (repo.len)
		buf_printf(&name, "%.*s%s%.*s", STR_ARG(repo), tag.len ? ":" : "", STR_ARG(tag));
	const struct snapshot_wish wish = { .name = buf_str(&name),
		.config_json = buf_str(&config),
		.is_live = !docker_flag(r, "pause", true) };
	struct commit *commit = arena_new(&r->arena, struct commit);
	commit->r = r;
	snprintf(commit->container, sizeof(commit->container), "%s", c->id);
	commit->snapshot = snapshot_new(s, &wish, on_taken, commit);
	http_listen(r, &ops, commit);
}
