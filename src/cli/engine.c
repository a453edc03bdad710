/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. One connection for each request, closed by the engine; the caller waits, and
 * not for long.
 */
#include "cli/engine.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/id.h"
#include "runtime/engine/find.h"
#include "wire/http1.h"
#include "wire/json.h"
#include "wire/url.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

enum {
	ANSWER_MAX = 16 * 1024 * 1024,
	PATH_BYTES_MAX = 4096,
	WAIT_SECONDS = 20,
	MAKING_SECONDS = 3600
};

/* ---- asking ---- */

static int connect_to(const char *socket_path, struct error *err)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const struct timeval wait = { .tv_sec = WAIT_SECONDS };
	if (strlen(socket_path) >= sizeof(to.sun_path))
		return error_set(err, ERROR_INVALID, "%.60s…: too long for a socket", socket_path);
	memcpy(to.sun_path, socket_path, strlen(socket_path) + 1);
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
		return error_sys(err, errno, "engine %s", socket_path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	return take_fd(&fd);
}

static int read_all(int fd, struct buf *b, struct error *err)
{
	for (;;) {
		char *to = buf_room(b, 65536);
		if (!to)
			return error_set(err, ERROR_TOO_LARGE, "an answer of more than %d bytes",
				ANSWER_MAX);
		ssize_t n = read(fd, to, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, errno, "read the answer");
		if (n == 0)
			return 0;
		buf_grown(b, (size_t)n);
	}
}

static int dechunk(struct str in, struct buf *body, struct error *err)
{
	struct http1_chunks chunks = { 0 };
	while (chunks.state != CHUNK_DONE) {
		struct str piece;
		ssize_t n = http1_dechunk(&chunks, in, &piece, err);
		if (n < 0)
			return -1;
		if (n == 0)
			return error_set(err, ERROR_PROTOCOL, "the answer breaks off");
		buf_put(body, piece);
		in = str_skip(in, (size_t)n);
	}
	return 0;
}

static int take_answer(struct str answer, struct buf *body, int *ret_status, struct error *err)
{
	struct http1_head head;
	size_t scanned = 0;
	ssize_t n = http1_head_end(answer, &scanned, err);
	if (n < 0 || (n > 0 && http1_parse_reply(str_first(answer, (size_t)n), &head, err) < 0))
		return -1;
	if (n == 0)
		return error_set(err, ERROR_PROTOCOL, "the answer has no head");
	struct str rest = str_skip(answer, (size_t)n);
	*ret_status = head.status;
	if (head.is_chunked)
		return dechunk(rest, body, err);
	if (head.content_length >= 0 && (uint64_t)head.content_length > rest.len)
		return error_set(err, ERROR_PROTOCOL, "the answer breaks off");
	buf_put(body, rest);
	return 0;
}

/*
 * ret NULL: what it says is of no interest. A status of 400 and above is an error, 404
 * ERROR_NOT_FOUND.
 */
static int ask(const char *socket_path, const char *method, const char *path, struct json **ret,
	struct error *err)
{
	int status;
	auto_buf struct buf request = BUF_INIT(PATH_BYTES_MAX), answer = BUF_INIT(ANSWER_MAX),
			    body = BUF_INIT(ANSWER_MAX);
	auto_fd int fd = connect_to(socket_path, err);
	if (fd < 0)
		return -1;
	buf_printf(&request, "%s %s HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n", method,
		path);
	if (file_write_all(fd, buf_str(&request), err) < 0 || read_all(fd, &answer, err) < 0 ||
		take_answer(buf_str(&answer), &body, &status, err) < 0)
		return error_wrap(err, "engine %s", socket_path);
	if (status >= 400)
		return error_set(err, status == 404 ? ERROR_NOT_FOUND : ERROR_INTERNAL,
			"engine %s: it answered %d: %.*s", socket_path, status,
			STR_ARG(str_first(str_trim(buf_str(&body)), 100)));
	if (ret && json_parse(buf_str(&body), ret, err) < 0)
		return error_wrap(err, "engine %s", socket_path);
	return 0;
}

/* ---- what is left ---- */

static bool is_free(int dir_fd, const char *name)
{
	auto_fd int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT;
	return flock(fd, LOCK_EX | LOCK_NB) == 0; /* closing lets go of it */
}

/* Of this machine, that directory, and nobody has it open: neither a supervisor nor a library. */
static bool is_abandoned(struct str state_dir, struct str server_id)
{
	auto_free char *path = str_dup(state_dir);
	auto_buf struct buf id = BUF_INIT(ID_SIZE);
	auto_fd int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir_fd >= 0 && file_read(dir_fd, "engine/id", &id, NULL) == 0 &&
		str_eq(buf_str(&id), server_id) && is_free(dir_fd, ".") &&
		is_free(dir_fd, "state.lock");
}

static bool is_left(const struct json *container)
{
	static const char *const living[] = { "running", "paused", "restarting" };
	const struct json *labels = json_find(container, "Labels");
	struct str state = json_str(json_find(container, "State"));
	if (!id_is_valid(json_str(json_find(labels, ENGINE_LABEL_SANDBOX))))
		return false;
	if (is_abandoned(json_str(json_find(labels, ENGINE_LABEL_STATE)),
		    json_str(json_find(labels, ENGINE_LABEL_SERVER))))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(living); i++)
		if (str_is(state, living[i]))
			return false;
	/* What is being made right now has not run yet either. */
	int64_t made_s = json_int(json_find(container, "Created"));
	return !str_is(state, "created") || clock_wall_ms() / 1000 - made_s > MAKING_SECONDS;
}

static int remove_one(const char *socket_path, const struct json *container, struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_BYTES_MAX);
	buf_puts(&path, "/containers/");
	url_encode(json_str(json_find(container, "Id")), &path);
	buf_puts(&path, "?force=1&v=1");
	if (ask(socket_path, "DELETE", path.ptr, NULL, err) < 0)
		return err->code == ERROR_NOT_FOUND ? 0 : -1;
	return 0;
}

static int sweep(const char *socket_path, bool is_dry, void (*found)(void *ctx, const char *what),
	void *ctx, struct error *err)
{
	auto_json struct json *list = NULL;
	auto_buf struct buf path = BUF_INIT(PATH_BYTES_MAX);
	buf_puts(&path, "/containers/json?all=1&filters=");
	url_encode(STR("{\"label\":[\"" ENGINE_LABEL_SANDBOX "\"]}"), &path);
	if (ask(socket_path, "GET", path.ptr, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *c = json_at(list, i);
		struct str id = json_str(json_find(json_find(c, "Labels"), ENGINE_LABEL_SANDBOX));
		if (!is_left(c))
			continue;
		auto_free char *what = mem_printf("container cay-%.*s of %s", STR_ARG(id),
			socket_path);
		if (!is_dry && remove_one(socket_path, c, err) < 0)
			return error_wrap(err, "%s", what);
		found(ctx, what);
	}
	return 0;
}

int engine_sweep(const char *given, bool is_dry, void (*found)(void *ctx, const char *what),
	void *ctx, struct error *err)
{
	auto_buf struct buf socket_path = BUF_INIT(PATH_BYTES_MAX);
	if (given)
		return engine_find(given, &socket_path, err) < 0
			? -1
			: sweep(socket_path.ptr, is_dry, found, ctx, err);
	struct engine_report report;
	engine_look(&report);
	return report.is_there ? sweep(report.socket, is_dry, found, ctx, err) : 0;
}

void engine_look(struct engine_report *ret)
{
	auto_buf struct buf socket_path = BUF_INIT(sizeof(ret->socket) - 1);
	auto_json struct json *version = NULL;
	*ret = (struct engine_report){ 0 };
	if (engine_find(NULL, &socket_path, &ret->why) < 0)
		return;
	snprintf(ret->socket, sizeof(ret->socket), "%s", socket_path.ptr);
	if (ask(ret->socket, "GET", "/version", &version, &ret->why) < 0)
		return;
	ret->is_there = true;
	snprintf(ret->version, sizeof(ret->version), "%.*s, API %.*s",
		STR_ARG(str_first(json_str(json_find(version, "Version")), 30)),
		STR_ARG(str_first(json_str(json_find(version, "ApiVersion")), 10)));
}
