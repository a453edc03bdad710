/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upload, download.
 *
 * The server takes a file into a directory under a name, unpacks what is called *.zip, and does not
 * say what it does with a name that needs quoting. So whatever is no plain name is sent under one,
 * and moved. Archives other than zip are unpacked, and made, by tar(1) there.
 *
 * An upload is streamed (form.h). A file is fetched in pieces, each a command of its own; a zip
 * archive of a directory is the server's own stream.
 */
#include "runtime/remote/verbs.h"

#include "action/file_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/id.h"
#include "runtime/remote/form.h"
#include "wire/frame.h"
#include "wire/url.h"

enum {
	PIECE = 2 * 1024 * 1024, /* of a file that is fetched */
	SHELL_MS = 300000,
	COMMAND_MAX = 64 * 1024,
};

/* ---- a form being sent ---- */

struct uploading {
	struct far *far;
	struct form form;
	char *dir, *name; /* where it is to be; a plain name is sent as it is */
	char *mode;       /* of a file that gets another than the server gives; NULL: none */
	char sent_as[ID_SIZE + 16];
	bool is_zip, is_tar, is_moved;
	int64_t bytes;
	far_fn *then;
};

void far_drop_upload(struct far *far)
{
	struct uploading *u = take_ptr(far->uploading);
	if (!u)
		return;
	form_fini(&u->form);
	free(u->dir);
	free(u->name);
	free(u->mode);
	free(u);
}

static void on_settled(struct far *far, const struct json *observation)
{
	struct error err;
	if (far_exit_code(observation) == 0) {
		far->uploading->then(far, observation);
		return;
	}
	error_set(&err, ERROR_INTERNAL, "%s: %.*s", far->uploading->name,
		STR_ARG(str_first(far_said(observation), 300)));
	far_fail(far, &err);
}

/* It is there, under the name it was sent by. */
static void on_sent(struct far *far, const struct json *answer)
{
	struct uploading *u = far->uploading;
	auto_buf struct buf command = BUF_INIT(COMMAND_MAX);
	auto_free char *from = mem_printf("%s/%s", u->dir, u->sent_as);
	auto_free char *to = mem_printf("%s/%s", u->dir, u->name);
	if (!u->is_moved && !u->is_tar) {
		u->then(far, answer);
		return;
	}
	buf_puts(&command, "( f=");
	far_put_quoted(&command, str_from(from));
	if (u->is_tar) {
		buf_puts(&command, "; tar -xf \"$f\" -C ");
		far_put_quoted(&command, str_from(u->dir));
		buf_puts(&command, "; r=$?; rm -f \"$f\"; exit $r )");
	} else {
		if (u->mode) {
			buf_puts(&command, "; chmod ");
			far_put_quoted(&command, str_from(u->mode));
			buf_puts(&command, " -- \"$f\" || exit");
		}
		buf_puts(&command, "; mv -f -- \"$f\" ");
		far_put_quoted(&command, str_from(to));
		buf_puts(&command, " )");
	}
	far_shell(far, buf_str(&command), SHELL_MS, on_settled);
}

static bool is_plain_name(struct str name)
{
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = (unsigned char)name.ptr[i];
		bool is_letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
		if (!is_letter && !(c >= '0' && c <= '9') && !strchr("._-+", c))
			return false;
	}
	return name.len && name.ptr[0] != '.' && !str_ends(name, STR(".zip"));
}

/* path: a file to be, or, for an archive, the directory that it is unpacked into. */
static struct uploading *upload_new(struct far *far, const char *path, struct str kind,
	struct str mode, far_fn *then)
{
	struct uploading *u = mem_new(struct uploading);
	struct str whole = str_from(path);
	bool is_file = str_is(kind, "file");
	const char *slash = strrchr(path, '/');
	char random[ID_SIZE];
	BUG_IF(!slash, "a path that is not absolute is uploaded to");
	id_make(random);
	form_init(&u->form, far);
	u->far = far;
	u->then = then;
	u->is_zip = str_is(kind, "zip");
	u->is_tar = str_is(kind, "tar");
	u->dir = is_file
		? str_dup(slash == path ? STR("/") : str_first(whole, (size_t)(slash - path)))
		: mem_strdup(path);
	u->name = mem_strdup(is_file ? slash + 1 : path);
	u->mode = is_file && mode.len ? str_dup(mode) : NULL;
	u->is_moved = is_file &&
		(u->mode || !is_plain_name(str_from(u->name)) || strlen(u->name) > ID_LEN);
	if (u->is_moved || !is_file)
		snprintf(u->sent_as, sizeof(u->sent_as), "cay-%s%s", random,
			u->is_zip ? ".zip" : "");
	else
		snprintf(u->sent_as, sizeof(u->sent_as), "%s", u->name);
	far->uploading = u;
	return u;
}

static void upload_begin(struct far *far)
{
	struct uploading *u = far->uploading;
	auto_buf struct buf path = BUF_INIT(COMMAND_MAX), head = BUF_INIT(4096);
	buf_puts(&path, "/upload_file?destination=");
	url_encode(str_from(u->dir), &path);
	buf_printf(&path, "&recursive=%s", u->is_zip ? "true" : "false");
	buf_printf(&head,
		"--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"%s\"\r\n"
		"Content-Type: application/octet-stream\r\n\r\n",
		u->form.boundary, u->sent_as);
	form_feed(&u->form, buf_str(&head));
	form_begin(&u->form, path.ptr, on_sent);
}

void far_put_file(struct far *far, const char *path, struct str bytes, struct str mode,
	far_fn *then)
{
	upload_new(far, path, STR("file"), mode, then);
	upload_begin(far);
	form_feed(&far->uploading->form, bytes);
	form_end(&far->uploading->form);
}

/* ---- upload ---- */

static void on_uploaded(struct far *far, const struct json *answer)
{
	const struct uploading *u = far->uploading;
	const struct upload_params *p = far->params;
	auto_buf struct buf b = BUF_INIT(64 * 1024);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", p->where.path);
	jsonw_key_int(&w, "bytes", u->bytes);
	jsonw_key_int(&w, "entries", u->is_tar || u->is_zip ? 0 : 1);
	jsonw_key(&w, "created");
	jsonw_null(&w); /* the server does not say */
	jsonw_close(&w);
	far_finish(far, &b);
}

static void upload_ready(struct far *far, const struct json *answer)
{
	const struct upload_params *p = far->params;
	upload_new(far, far_path(far, p->where.cwd, p->where.path), p->kind, p->mode, on_uploaded);
	channel_pause(far->channel, false);
	upload_begin(far);
}

static void upload_start(struct far *far)
{
	const struct upload_params *p = far->params;
	if (!p->create_parents || p->layer || p->max_bytes) {
		far_refuse(far, "upload that makes no directories, or is a layer or limited");
		return;
	}
	channel_pause(far->channel, true); /* until there is something to put it into */
	far_with_workdir(far, upload_ready);
}

static void upload_data(struct far *far, struct str bytes)
{
	if (!far->uploading)
		return;
	far->uploading->bytes += (int64_t)bytes.len;
	form_feed(&far->uploading->form, bytes);
}

static void upload_eof(struct far *far)
{
	if (far->uploading && !far->uploading->form.has_all)
		form_end(&far->uploading->form);
}

const struct far_verb far_upload = {
	.action = &upload_action,
	.start = upload_start,
	.data = upload_data,
	.eof = upload_eof,
	.drop = far_drop_upload,
};

/* ---- download ---- */

struct download {
	const char *path; /* what was asked for */
	const char *file; /* what is fetched: that, or an archive made of it */
	int64_t sent;
	bool has_last;
	bool waits; /* for the caller to take more */
};

static void put_event(struct far *far, const struct download *d)
{
	const struct download_params *p = far->params;
	const char *slash = strrchr(d->path, '/');
	auto_buf struct buf b = BUF_INIT(COMMAND_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", str_from(d->path));
	jsonw_key_str(&w, "format", p->format);
	jsonw_key_str(&w, "name", str_from(slash ? slash + 1 : d->path));
	jsonw_close(&w);
	channel_send(far->channel, FRAME_EVENT, 0, buf_str(&b));
}

static void finish_download(struct far *far)
{
	const struct download *d = far->state;
	auto_buf struct buf b = BUF_INIT(COMMAND_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", str_from(d->path));
	jsonw_key_int(&w, "bytes", d->sent);
	jsonw_key_int(&w, "entries", 1);
	jsonw_key_bool(&w, "truncated", false);
	jsonw_key_int(&w, "skipped", 0);
	jsonw_close(&w);
	far_finish(far, &b);
}

static void on_removed(struct far *far, const struct json *observation)
{
	finish_download(far);
}

static void end_pieces(struct far *far)
{
	const struct download *d = far->state;
	auto_buf struct buf command = BUF_INIT(COMMAND_MAX);
	if (d->file == d->path) {
		finish_download(far);
		return;
	}
	buf_puts(&command, "rm -f -- ");
	far_put_quoted(&command, str_from(d->file));
	far_shell(far, buf_str(&command), SHELL_MS, on_removed);
}

static void on_piece(struct far *far, const struct json *observation);

static void next_piece(struct far *far)
{
	struct download *d = far->state;
	auto_buf struct buf command = BUF_INIT(COMMAND_MAX);
	d->waits = channel_is_full(far->channel);
	if (d->waits)
		return;
	if (d->has_last) {
		end_pieces(far);
		return;
	}
	far_put_piece(&command, d->file, d->sent, PIECE);
	far_shell_again(far, buf_str(&command), SHELL_MS, on_piece);
}

static void on_piece(struct far *far, const struct json *observation)
{
	struct download *d = far->state;
	auto_buf struct buf bytes = BUF_INIT(PIECE + 64);
	struct error err;
	if (far_take_piece(far, observation, d->path, &bytes, &err) < 0) {
		far_fail(far, &err);
		return;
	}
	if (d->sent == 0)
		put_event(far, d);
	far_send(far, 0, buf_str(&bytes));
	d->sent += (int64_t)bytes.len;
	d->has_last = bytes.len < PIECE;
	next_piece(far);
}

static void on_packed(struct far *far, const struct json *observation)
{
	const struct download *d = far->state;
	int64_t code = far_exit_code(observation);
	struct error err;
	if (code == 0) {
		next_piece(far);
		return;
	}
	if (code == 66)
		error_set(&err, ERROR_NOT_FOUND, "%s: no such file or directory", d->path);
	else
		error_set(&err, ERROR_INTERNAL, "%s: %.*s", d->path,
			STR_ARG(str_first(far_said(observation), 300)));
	far_fail(far, &err);
}

void far_put_pack(struct buf *b, const char *path, struct str prefix, const char *file)
{
	buf_puts(b, "p=");
	far_put_quoted(b, str_from(path));
	buf_printf(b, "; t=%s; n=", file);
	far_put_quoted(b, prefix.ptr ? prefix : STR(""));
	buf_puts(b,
		"; [ -e \"$p\" ] || exit 66; umask 077; if [ -d \"$p\" ]; then "
		"tar -C \"$p\" ${n:+--transform=\"s,^\\.,$n,\"} -cf \"$t\" .; else "
		"tar -C \"${p%/*}/\" ${n:+--transform=\"s,.*,$n,\"} -cf \"$t\" -- \"${p##*/}\"; fi");
}

bool far_can_be_prefix(struct str prefix)
{
	return str_find_char(prefix, ',') < 0 && str_find_char(prefix, '&') < 0 &&
		str_find_char(prefix, '\\') < 0;
}

static void pack_tar(struct far *far)
{
	const struct download_params *p = far->params;
	struct download *d = far->state;
	auto_buf struct buf command = BUF_INIT(COMMAND_MAX);
	char random[ID_SIZE];
	id_make(random);
	d->file = arena_printf(&far->arena, "/tmp/cay-%s.tar", random);
	buf_puts(&command, "( ");
	far_put_pack(&command, d->path, p->prefix, d->file);
	buf_puts(&command, " )");
	far_shell(far, buf_str(&command), SHELL_MS, on_packed);
}

static int on_zip(void *arg, struct str piece, struct error *err)
{
	struct far *far = arg;
	struct download *d = far->state;
	if (d->sent == 0)
		put_event(far, d);
	d->sent += (int64_t)piece.len;
	far_send(far, 0, piece);
	if (channel_is_full(far->channel) && !d->waits) {
		d->waits = true;
		ask_pause(far->ask, true);
	}
	return 0;
}

static void on_zipped(void *arg, int status, struct str body, const struct error *err)
{
	struct far *far = arg;
	struct error e;
	far->ask = NULL;
	if (!err) {
		finish_download(far);
		return;
	}
	e = *err;
	if (str_find(str_from(e.text), STR("404: File not found")) >= 0)
		e.code = ERROR_NOT_FOUND;
	far_fail(far, &e);
}

static void download_ready(struct far *far, const struct json *answer)
{
	const struct download_params *p = far->params;
	struct download *d = arena_new(&far->arena, struct download);
	auto_buf struct buf path = BUF_INIT(COMMAND_MAX);
	far->state = d;
	d->path = d->file = far_path(far, p->where.cwd, p->where.path);
	if (str_is(p->format, "raw")) {
		next_piece(far);
	} else if (str_is(p->format, "tar")) {
		pack_tar(far);
	} else {
		struct ask_plan plan = { .method = "GET", .on_body = on_zip, .done = on_zipped };
		buf_puts(&path, "/download_files?path=");
		url_encode(str_from(d->path), &path);
		far_stream(far, &plan, path.ptr, NULL);
	}
}

static void download_start(struct far *far)
{
	const struct download_params *p = far->params;
	if (!far_can_be_prefix(p->prefix) || (p->prefix.len && str_is(p->format, "zip")))
		far_refuse(far, "archive with such a prefix");
	else if (p->offset || p->length >= 0)
		far_refuse(far, "download of a part of a file");
	else
		far_with_workdir(far, download_ready);
}

static void download_drain(struct far *far)
{
	struct download *d = far->state;
	if (!d || !d->waits)
		return;
	d->waits = false;
	if (far->ask)
		ask_pause(far->ask, false);
	else
		next_piece(far);
}

const struct far_verb far_download = {
	.action = &download_action,
	.start = download_start,
	.drain = download_drain,
};
