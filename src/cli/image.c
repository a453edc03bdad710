/* SPDX-License-Identifier: Apache-2.0 */
/* cay image: the images that the server keeps. */
#include "cli/client.h"
#include "cli/image.h"

#include "base/auto.h"
#include "base/bug.h"
#include "wire/url.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { PATH_BYTES_MAX = IMAGE_PATH_MAX, ID_SHOWN = 12, EXIT_NO = 1 };

static void put_image_path(struct buf *b, const char *ref)
{
	buf_puts(b, "/v1/images/");
	url_encode(str_from(ref), b);
}

/* ---- list ---- */

static struct str names_of(const struct json *image, struct buf *b)
{
	const struct json *names = json_find(image, "names");
	for (size_t i = 0; i < json_len(names); i++)
		buf_printf(b, "%s%.*s", i ? ", " : "", STR_ARG(json_str(json_at(names, i))));
	return buf_str(b);
}

static int print_images(const struct json *answer, const struct image_options *o, struct error *err)
{
	const struct json *images = json_find(answer, "images");
	struct out_table t = { .n_columns = 5,
		.headings = { "ID", "NAMES", "MIB", "LAYERS", "CREATED" } };
	if (o->common.json) {
		auto_buf struct buf text = BUF_INIT(REMOTE_REPLY_MAX);
		json_write(images, &text);
		return out_line(buf_str(&text), err);
	}
	for (size_t i = 0; i < json_len(images); i++) {
		const struct json *image = json_at(images, i);
		auto_buf struct buf names = BUF_INIT(65536), size = BUF_INIT(32), n = BUF_INIT(32);
		buf_printf(&size, "%lld",
			(long long)json_int(json_find(image, "size_bytes")) >> 20);
		buf_printf(&n, "%zu", json_len(json_find(image, "layers")));
		out_cell(&t, str_first(json_str(json_find(image, "id")), ID_SHOWN));
		out_cell(&t, names_of(image, &names));
		out_cell(&t, buf_str(&size));
		out_cell(&t, buf_str(&n));
		struct str date = str_first(json_str(json_find(image, "created_at")), 10);
		out_cell(&t,
			str_is(date, "1970-01-01") ? STR("-") : date); /* of host: never made */
	}
	return out_table_end(&t, err);
}

static int do_ls(struct image_call *c, struct error *err)
{
	auto_json struct json *answer = NULL;
	if (remote_get_json(&c->server, "/v1/images", &answer, err) < 0)
		return -1;
	return print_images(answer, c->options, err);
}

/* ---- import ---- */

int image_start_pack(int dir_fd, const struct tree_how *how, int *ret_fd, pid_t *ret_pid,
	struct error *err)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_sys(err, errno, "pipe");
	*ret_pid = fork();
	if (*ret_pid == 0) {
		struct tree_count count;
		struct error own;
		close(fds[0]);
		if (tree_pack(dir_fd, how, fds[1], &count, &own) == 0)
			_exit(0);
		out_note("image: %s", own.text);
		_exit(1);
	}
	close(fds[1]);
	*ret_fd = fds[0];
	return *ret_pid < 0 ? error_sys(err, errno, "fork") : 0;
}

static int send_archive(struct image_call *c, const char *path, int fd, int64_t size,
	struct error *err)
{
	auto_buf struct buf reply = BUF_INIT(REMOTE_REPLY_MAX);
	auto_json struct json *answer = NULL;
	struct http_call call = {
		.method = "POST",
		.path = path,
		.content_type = "application/x-tar",
		.body_fd = fd,
		.body_size = size,
		.reply = &reply,
	};
	if (remote_call(&c->server, &call, err) < 0 ||
		json_parse(buf_str(&reply), &answer, err) < 0)
		return -1;
	return print_images(answer, c->options, err);
}

static int send_tree(struct image_call *c, const char *path, int dir_fd, struct error *err)
{
	auto_fd int fd = -1;
	pid_t pid;
	int status = 0;
	if (image_start_pack(dir_fd, NULL, &fd, &pid, err) < 0)
		return -1;
	int r = send_archive(c, path, fd, 0, err);
	fd = close_fd(fd);
	waitpid(pid, &status, 0);
	if (r == 0 && status != 0)
		return error_set(err, ERROR_INTERNAL, "the directory could not be read whole");
	return r;
}

static int do_import(struct image_call *c, struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_BYTES_MAX);
	struct stat st;
	bool is_stdin = !strcmp(c->args[0], "-");
	auto_fd int fd = is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
				  : open(c->args[0], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, errno, "%s", c->args[0]);
	bool is_dir = S_ISDIR(st.st_mode);
	buf_printf(&path, "/v1/images?kind=%s", is_dir ? "tree" : "any");
	if (c->n_args > 1) {
		buf_puts(&path, "&name=");
		url_encode(str_from(c->args[1]), &path);
	}
	if (is_dir)
		return send_tree(c, path.ptr, fd, err);
	return send_archive(c, path.ptr, fd, S_ISREG(st.st_mode) ? st.st_size : 0, err);
}

/* ---- the others ---- */

static int do_rm(struct image_call *c, struct error *err)
{
	for (int i = 0; i < c->n_args; i++) {
		auto_buf struct buf path = BUF_INIT(PATH_BYTES_MAX);
		put_image_path(&path, c->args[i]);
		buf_puts(&path, c->options->force ? "?force=true" : "");
		if (remote_delete(&c->server, path.ptr, err) < 0)
			return -1;
	}
	return 0;
}

static int do_gc(struct image_call *c, struct error *err)
{
	return remote_delete(&c->server, "/v1/images", err);
}

static int do_exists(struct image_call *c, struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_BYTES_MAX);
	auto_json struct json *image = NULL;
	put_image_path(&path, c->args[0]);
	if (remote_get_json(&c->server, path.ptr, &image, err) == 0)
		return 0;
	return err->code == ERROR_NOT_FOUND ? EXIT_NO : -1;
}

static int do_inspect(struct image_call *c, struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_BYTES_MAX), reply = BUF_INIT(REMOTE_REPLY_MAX);
	put_image_path(&path, c->args[0]);
	if (remote_get(&c->server, path.ptr, &reply, err) < 0)
		return -1;
	return out_line(buf_str(&reply), err);
}

static int do_tag(struct image_call *c, struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_BYTES_MAX), body = BUF_INIT(PATH_BYTES_MAX),
			    reply = BUF_INIT(REMOTE_REPLY_MAX);
	struct jsonw w = JSONW(&body);
	put_image_path(&path, c->args[0]);
	jsonw_open(&w);
	jsonw_key_str(&w, "name", str_from(c->args[1]));
	jsonw_close(&w);
	return remote_post(&c->server, path.ptr, buf_str(&body), &reply, err);
}

static int do_pull(struct image_call *c, struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_BYTES_MAX), reply = BUF_INIT(REMOTE_REPLY_MAX);
	struct http_call call = { .method = "PUT", .path = path.ptr, .reply = &reply };
	put_image_path(&path, c->args[0]);
	call.path = path.ptr;
	if (remote_call(&c->server, &call, err) < 0)
		return -1;
	return c->options->common.json ? out_line(buf_str(&reply), err) : 0;
}

static const struct {
	const char *verb;
	int n_min, n_max;
	int (*run)(struct image_call *c, struct error *err);
} verbs[] = {
	{ "build", 1, 1, image_build },
	{ "cache-clear", 0, 0, image_clear_cache },
	{ "exists", 1, 1, do_exists },
	{ "extend", 1, 1, image_extend },
	{ "gc", 0, 0, do_gc },
	{ "import", 1, 2, do_import },
	{ "inspect", 1, 1, do_inspect },
	{ "ls", 0, 0, do_ls },
	{ "pull", 1, 1, do_pull },
	{ "rm", 1, 64, do_rm },
	{ "tag", 2, 2, do_tag },
};

int image_main(struct invocation *in, struct error *err)
{
	struct image_call c = { .server = REMOTE_INIT,
		.options = in->values,
		.args = in->args + 1 };
	c.n_args = in->n_args - 1;
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (strcmp(verbs[i].verb, in->args[0]) != 0)
			continue;
		if (c.n_args < verbs[i].n_min || c.n_args > verbs[i].n_max)
			return error_set(err, ERROR_INVALID,
				"image %s takes %d to %d arguments: see `cay image --help`",
				verbs[i].verb, verbs[i].n_min, verbs[i].n_max);
		int r = remote_open_lasting(in, "images of cay's", &c.server, err) < 0
			? -1
			: verbs[i].run(&c, err);
		remote_close(&c.server);
		return r;
	}
	return error_set(err, ERROR_INVALID,
		"'%.40s' is nothing to do with images: build, cache-clear, exists, extend, gc, import, inspect, ls, pull, rm, tag",
		in->args[0]);
}
