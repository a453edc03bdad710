/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/browser_driver.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/file.h"
#include "wire/frame.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

enum {
	START_PATIENCE_MS = 60000,
	NOTES_BYTES_MAX = 1024 * 1024,
	ARENA_MAX = 16 * 1024 * 1024,
	READ_STEP = 64 * 1024,
	CLOSE_PATIENCE_MS = 5000,
	RESERVE_MS = 10000, /* of a step's time, kept for the look */
};

int complain(struct driver *d, const char *kind, const char *fmt, ...)
{
	va_list ap;
	if (d->complaint.len)
		return -1;
	buf_printf(&d->complaint, "%s: ", kind);
	va_start(ap, fmt);
	buf_vprintf(&d->complaint, fmt, ap);
	va_end(ap);
	return -1;
}

int complain_error(struct driver *d, const char *what, const struct error *err)
{
	return complain(d, err->code == ERROR_TIMEOUT ? "TimeoutError" : "Error", "%s: %s", what,
		d->active && d->active->is_crashed ? "Page crashed" : err->text);
}

int64_t driver_deadline(const struct driver *d, int64_t ms)
{
	return MIN(clock_mono_ms() + ms, d->deadline_ms);
}

/* ---- a step ---- */

static void set_size(struct driver *d, const struct browse_params *p)
{
	struct tab *tab;
	if (d->width == p->width && d->height == p->height)
		return;
	d->width = (int)p->width;
	d->height = (int)p->height;
	auto_buf struct buf params = DRIVER_PARAMS;
	buf_printf(&params, "{\"width\":%d,\"height\":%d,\"deviceScaleFactor\":1,\"mobile\":false}",
		d->width, d->height);
	list_for_each(tab, &d->tabs, link)
		cdp_tell(d->cdp, tab->session, "Emulation.setDeviceMetricsOverride", &params);
}

static void set_download_dir(struct driver *d, const struct browse_params *p)
{
	auto_buf struct buf dir = BUF_INIT(4095), params = DRIVER_PARAMS;
	if (!str_starts(p->download_dir, STR("/")))
		buf_printf(&dir, "%s/", d->workdir);
	buf_put(&dir, p->download_dir);
	if (dir.is_full || (d->download_dir && str_is(buf_str(&dir), d->download_dir)))
		return;
	free(d->download_dir);
	d->download_dir = mem_strdup(dir.ptr);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "behavior", STR("allow"));
	jsonw_key_str(&w, "downloadPath", buf_str(&dir));
	jsonw_key_bool(&w, "eventsEnabled", true);
	jsonw_close(&w);
	cdp_tell(d->cdp, "", "Browser.setDownloadBehavior", &params);
}

static int perform_program(struct driver *d, struct str text, bool *is_interactive)
{
	auto_arena struct arena arena = ARENA_INIT(ARENA_MAX);
	struct py_call *calls;
	size_t n;
	struct error err;
	if (pycall_parse(text, &arena, &calls, &n, &err) < 0)
		return complain(d, "ValueError", "%s", err.text);
	if (calls_check(d, calls, n) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		bool is_last = i + 1 == n, reacts = false;
		if (calls_perform(d, &calls[i], &reacts) < 0)
			return -1;
		*is_interactive |= reacts;
		if (!is_last && reacts)
			tabs_settle(d, false);
	}
	return 0;
}

static int go_to(struct driver *d, struct str url)
{
	bool is_interactive;
	struct py_argument argument = { .value = { .kind = PY_STR, .text = url } };
	struct py_call call = { .name = STR("goto"), .arguments = &argument, .n = 1 };
	return calls_perform(d, &call, &is_interactive);
}

static void perform(struct driver *d, const struct browse_params *p)
{
	bool is_interactive = false;
	if (p->url.len && go_to(d, p->url) < 0)
		return;
	if (p->program.ptr)
		perform_program(d, p->program, &is_interactive);
	if (!cdp_is_gone(d->cdp))
		tabs_settle(d, is_interactive);
}

static void put_notes(struct jsonw *w, const char *key, const struct buf *notes)
{
	jsonw_key(w, key);
	jsonw_open_array(w);
	if (notes->len && !notes->is_full)
		jsonw_raw(w, buf_str(notes));
	jsonw_close_array(w);
}

static void forget_step(struct driver *d)
{
	buf_reset(&d->complaint);
	buf_reset(&d->dialogs);
	buf_reset(&d->messages);
	buf_reset(&d->downloads);
	d->n_dialogs = d->n_messages = d->n_downloads = 0;
	d->has_downloads = false;
}

static int step(struct driver *d, const struct browse_params *p, struct buf *result,
	struct error *err)
{
	int64_t since_ms = clock_mono_ms();
	struct jsonw w = JSONW(result);
	int64_t reserve_ms = MIN((int64_t)RESERVE_MS, p->timeout_ms / 3);
	d->deadline_ms = since_ms + p->timeout_ms - reserve_ms;
	set_size(d, p);
	set_download_dir(d, p);
	if (cdp_dispatch(d->cdp, err) < 0 || tabs_tidy(d, err) < 0)
		return -1;
	perform(d, p);
	if (d->has_downloads || d->n_pending_downloads)
		tabs_wait_downloads(d);
	d->deadline_ms += reserve_ms;
	jsonw_open(&w);
	if (observe(d, p, &w, err) < 0)
		return -1;
	jsonw_key_str(&w, "error", buf_str(&d->complaint));
	put_notes(&w, "downloads", &d->downloads);
	put_notes(&w, "dialogs", &d->dialogs);
	put_notes(&w, "messages", &d->messages);
	jsonw_key_int(&w, "duration_ms", clock_mono_ms() - since_ms);
	jsonw_close(&w);
	forget_step(d);
	cdp_tell(d->cdp, d->active->session, "Runtime.releaseObjectGroup",
		&(struct buf){ .ptr = (char[]){ "{\"objectGroup\":\"cay\"}" }, .len = 21 });
	if (result->is_full)
		return error_set(err, ERROR_TOO_LARGE, "what there is to see is over %d bytes",
			FRAME_PAYLOAD_MAX);
	return 0;
}

/* ---- requests ---- */

static int send_frame(int fd, enum frame_kind kind, struct str payload)
{
	auto_buf struct buf b = BUF_INIT(FRAME_HEAD + FRAME_PAYLOAD_MAX);
	if (frame_put(&b, kind, 0, payload) < 0)
		return -1;
	return file_write_all(fd, buf_str(&b), NULL);
}

static int fail(int fd, const struct error *err)
{
	auto_buf struct buf b = BUF_INIT(FRAME_DATA_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_error(&w, err);
	return send_frame(fd, FRAME_ERROR, buf_str(&b));
}

/* -1: nothing more can be done with this browser. */
static int serve(struct driver *d, int fd, struct str request)
{
	auto_json struct json *json = NULL;
	auto_arena struct arena arena = ARENA_INIT(ARENA_MAX);
	auto_buf struct buf result = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct error err;
	void *params;
	if (json_parse(request, &json, &err) < 0 ||
		action_decode(&browse_action, json, &arena, &params, &err) < 0) {
		fail(fd, &err);
		return 0;
	}
	if (step(d, params, &result, &err) == 0)
		return send_frame(fd, FRAME_RESULT, buf_str(&result));
	fail(fd, &err);
	return -1;
}

/*
 * One whole frame; between requests the browser's events are taken in. 0: the executor wants no
 * more.
 */
static int next_request(struct driver *d, int fd, struct buf *in, struct frame *ret,
	struct error *err)
{
	for (;;) {
		ssize_t n = frame_parse(buf_str(in), ret, err);
		if (n != 0)
			return n < 0 ? -1 : (int)n;
		struct pollfd fds[] = { { .fd = fd, .events = POLLIN },
			{ .fd = cdp_fd(d->cdp), .events = POLLIN } };
		if (poll(fds, ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
			return error_sys(err, errno, "wait");
		if (fds[1].revents && cdp_dispatch(d->cdp, err) < 0)
			return -1;
		if (!fds[0].revents)
			continue;
		char *to = buf_room(in, READ_STEP);
		n = to ? read(fd, to, READ_STEP) : -1;
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return 0;
		buf_grown(in, (size_t)n);
	}
}

static bool is_over(void *arg)
{
	return cdp_is_gone(arg);
}

static void remove_tree(const char *path)
{
	struct error err;
	if (path)
		file_remove_tree(AT_FDCWD, path, &err);
}

static void serve_all(struct driver *d, const struct driver_options *o)
{
	auto_buf struct buf in = BUF_INIT(FRAME_HEAD + FRAME_PAYLOAD_MAX + READ_STEP);
	struct frame frame;
	struct error err;
	int n;
	while ((n = next_request(d, o->socket_fd, &in, &frame, &err)) > 0) {
		if (frame.kind == FRAME_EOF)
			break;
		if (serve(d, o->socket_fd, frame.payload) < 0)
			return;
		buf_drop_front(&in, (size_t)n);
	}
	if (n < 0)
		return;
	cdp_tell(d->cdp, "", "Browser.close", NULL);
	cdp_wait_until(d->cdp, clock_mono_ms() + CLOSE_PATIENCE_MS, is_over, d->cdp, &err);
	remove_tree(o->profile_dir);
}

static struct driver *driver_new(const struct driver_options *o)
{
	struct driver *d = mem_new(struct driver);
	list_init(&d->tabs);
	list_init(&d->pending_downloads);
	d->workdir = o->workdir;
	d->width = 1280;
	d->height = 720;
	buf_init(&d->complaint, DRIVER_COMPLAINT_MAX);
	buf_init(&d->dialogs, NOTES_BYTES_MAX);
	buf_init(&d->messages, NOTES_BYTES_MAX);
	buf_init(&d->downloads, NOTES_BYTES_MAX);
	d->cdp = cdp_new(o->in_fd, o->out_fd, tabs_on_event, d);
	return d;
}

_Noreturn void driver_main(const struct driver_options *o)
{
	struct driver *d = driver_new(o);
	struct error err;
	umask(022);
	if (fd_set_nonblock(o->in_fd, &err) < 0 || fd_set_nonblock(o->out_fd, &err) < 0 ||
		cdp_call(d->cdp, "", "Browser.getVersion", NULL,
			clock_mono_ms() + START_PATIENCE_MS, NULL, &err) < 0 ||
		tabs_start(d, &err) < 0) {
		error_wrap(&err, "start the browser");
		fail(o->socket_fd, &err);
		_exit(1);
	}
	remove_tree(o->old_profile_dir);
	serve_all(d, o);
	_exit(0);
}
