/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cay image build and extend. The context goes out as it is packed, without what .dockerignore
 * leaves out; the Dockerfile goes with it, also one from elsewhere. What the build prints goes to
 * standard error, so that standard output has the image's id and nothing else.
 */
#include "cli/image.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "cli/client.h"
#include "cli/wish.h"
#include "wire/base64.h"
#include "wire/dockerfile.h"
#include "wire/ignore.h"
#include "wire/url.h"

#include <fcntl.h>
#include <sys/wait.h>

#define OWN_DOCKERFILE ".cay-dockerfile" /* the name of one that is not in the context */

enum { QUERY_MAX = 24 * 1024, IGNORE_MAX = 1024 * 1024 };

struct watching {
	const struct image_options *options;
	struct out out;
	struct json *image;
	struct error failure;
	bool has_failed;
};

/* ---- the query ---- */

static void add(struct buf *path, const char *name, struct str value)
{
	if (!value.len)
		return;
	buf_printf(path, "%c%s=", str_find_char(buf_str(path), '?') < 0 ? '?' : '&', name);
	url_encode(value, path);
}

static void add_number(struct buf *path, const char *name, int64_t value)
{
	char text[24];
	snprintf(text, sizeof(text), "%lld", (long long)value);
	if (value > 0)
		add(path, name, str_from(text));
}

static void add_list(struct buf *path, const char *name, const struct option_texts *list)
{
	auto_buf struct buf joined = BUF_INIT(QUERY_MAX);
	for (int i = 0; i < list->n; i++)
		buf_printf(&joined, "%s%s", i ? "," : "", list->items[i]);
	add(path, name, buf_str(&joined));
}

static int add_pairs(struct buf *path, const char *name, const struct option_texts *list,
	struct error *err)
{
	auto_buf struct buf json = BUF_INIT(QUERY_MAX);
	struct jsonw w = JSONW(&json);
	jsonw_open(&w);
	for (int i = 0; i < list->n; i++) {
		struct str key, value;
		if (wish_variable(list->items[i], &key, &value, err) < 0)
			return -1;
		if (!value.ptr)
			continue;
		jsonw_key_dyn(&w, key);
		jsonw_str(&w, value);
	}
	jsonw_close(&w);
	if (list->n)
		add(path, name, buf_str(&json));
	return 0;
}

static int put_query(const struct image_options *o, struct buf *path, struct error *err)
{
	buf_puts(path, "/v1/builds");
	add(path, "network", str_from(o->network));
	add_list(path, "allow", &o->allow);
	add(path, "no_cache", o->no_cache ? STR("true") : STR_NONE);
	add_number(path, "memory_bytes", o->memory_bytes);
	add_number(path, "disk_bytes", o->disk_bytes);
	add_number(path, "timeout_ms", o->timeout_ms);
	if (path->is_full)
		return error_set(err, ERROR_TOO_LARGE, "too many options");
	return 0;
}

static int put_build_query(const struct image_options *o, const char *dockerfile, struct buf *path,
	struct error *err)
{
	if (put_query(o, path, err) < 0)
		return -1;
	add(path, "dockerfile", str_from(dockerfile));
	add_list(path, "tags", &o->tags);
	add(path, "target", str_from(o->target));
	add(path, "platform", str_from(o->platform));
	if (add_pairs(path, "args", &o->args, err) < 0 ||
		add_pairs(path, "labels", &o->labels, err) < 0)
		return -1;
	return path->is_full ? error_set(err, ERROR_TOO_LARGE, "too many options") : 0;
}

/* ---- the answer ---- */

static int on_text(struct watching *w, const struct json *data, struct error *err)
{
	auto_buf struct buf bytes = BUF_INIT(REMOTE_REPLY_MAX);
	struct str text = json_str(json_find(data, "text"));
	if (w->options->quiet)
		return 0;
	if (text.ptr)
		return out_write(&w->out, text, err);
	return base64_decode(json_str(json_find(data, "base64")), &bytes, err) < 0
		? -1
		: out_write(&w->out, buf_str(&bytes), err);
}

static int on_event(void *arg, struct str event, struct str text, struct error *err)
{
	struct watching *w = arg;
	struct json *data;
	if (json_parse(text, &data, err) < 0)
		return -1;
	int r = 0;
	if (str_is(event, "data")) {
		r = on_text(w, data, err);
	} else if (str_is(event, "error")) {
		w->has_failed = true;
		json_to_error(data, &w->failure);
	} else if (str_is(event, "result")) {
		w->image = data;
		return 0;
	}
	json_free(data);
	return r;
}

static int print_image(const struct watching *w, struct error *err)
{
	auto_buf struct buf text = BUF_INIT(REMOTE_REPLY_MAX);
	if (!w->image)
		return error_set(err, ERROR_UNAVAILABLE, "the connection to the server broke");
	if (w->options->common.json) {
		json_write(w->image, &text);
		return out_line(buf_str(&text), err);
	}
	return out_line(json_str(json_find(w->image, "id")), err);
}

static int post(struct image_call *c, struct http_call *call, struct error *err)
{
	struct watching w = { .options = c->options };
	out_init(&w.out, STDERR_FILENO, false);
	call->method = "POST";
	call->accept = "text/event-stream";
	call->on_event = on_event;
	call->arg = &w; /* cppcheck-suppress autoVariables ; the call ends before this returns */
	int r = remote_call(&c->server, call, err);
	if (r == 0)
		r = out_end(&w.out, err);
	if (r == 0 && w.has_failed) {
		*err = w.failure;
		r = -1;
	}
	if (r == 0)
		r = print_image(&w, err);
	json_free(w.image);
	return r;
}

/* ---- build ---- */

static int read_whole(const char *path, struct buf *text, struct error *err)
{
	auto_fd int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC)
					   : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	ssize_t n = -1;
	if (fd < 0)
		return error_sys(err, errno, "open %s", path);
	for (char *to; (to = buf_room(text, 65536)) && (n = read(fd, to, 65536)) > 0;)
		buf_grown(text, (size_t)n);
	return n < 0 ? error_sys(err, errno, "read %s", path) : 0;
}

static int read_ignore(int dir_fd, struct buf *text, struct arena *arena, struct ignore *ret,
	struct error *err)
{
	*ret = (struct ignore){ 0 };
	if (faccessat(dir_fd, ".dockerignore", R_OK, 0) < 0)
		return 0;
	return file_read(dir_fd, ".dockerignore", text, err) < 0
		? -1
		: ignore_parse(buf_str(text), arena, ret, err);
}

static int send(struct image_call *c, int dir_fd, const char *path, const struct tree_how *how,
	struct error *err)
{
	auto_fd int fd = -1;
	pid_t pid;
	int status = 0;
	if (image_start_pack(dir_fd, how, &fd, &pid, err) < 0)
		return -1;
	struct http_call call = {
		.path = path,
		.content_type = "application/x-tar",
		.body_fd = fd,
	};
	int r = post(c, &call, err);
	fd = close_fd(fd);
	waitpid(pid, &status, 0);
	return r == 0 && status != 0
		? error_set(err, ERROR_INTERNAL, "the directory could not be read whole")
		: r;
}

int image_build(struct image_call *c, struct error *err)
{
	const struct image_options *o = c->options;
	auto_buf struct buf path = BUF_INIT(QUERY_MAX), text = BUF_INIT(DOCKERFILE_MAX),
			    ignored = BUF_INIT(IGNORE_MAX);
	auto_arena struct arena arena = ARENA_INIT(16 * 1024 * 1024);
	const char *kept[] = { ".dockerignore", o->file ? OWN_DOCKERFILE : "Dockerfile", NULL };
	struct ignore ignore;
	auto_fd int dir_fd = open(c->args[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return error_sys(err, errno, "open %s", c->args[0]);
	if (read_ignore(dir_fd, &ignored, &arena, &ignore, err) < 0 ||
		(o->file && read_whole(o->file, &text, err) < 0))
		return -1;
	const struct tree_how how = { .ignore = &ignore,
		.kept = ignore.n ? kept : NULL,
		.extra_name = o->file ? OWN_DOCKERFILE : NULL,
		.extra = buf_str(&text) };
	if (put_build_query(o, kept[1], &path, err) < 0)
		return -1;
	return send(c, dir_fd, path.ptr, &how, err);
}

/* ---- extend, cache-clear ---- */

int image_extend(struct image_call *c, struct error *err)
{
	const struct image_options *o = c->options;
	auto_buf struct buf path = BUF_INIT(QUERY_MAX), commands = BUF_INIT(QUERY_MAX);
	struct jsonw w = JSONW(&commands);
	if (put_query(o, &path, err) < 0)
		return -1;
	jsonw_open_array(&w);
	for (int i = 0; i < o->extras.n; i++)
		jsonw_str(&w, str_from(o->extras.items[i]));
	jsonw_close_array(&w);
	add(&path, "base", str_from(c->args[0]));
	add(&path, "extras", buf_str(&commands));
	if (path.is_full)
		return error_set(err, ERROR_TOO_LARGE, "the commands are too long");
	struct http_call call = { .path = path.ptr, .body = STR("") };
	return post(c, &call, err);
}

int image_clear_cache(struct image_call *c, struct error *err)
{
	return remote_delete(&c->server, "/v1/builds", err);
}
