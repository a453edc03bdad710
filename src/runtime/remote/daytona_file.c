/* SPDX-License-Identifier: Apache-2.0 */
/* read, write, upload, download of the Daytona backend. */
#include "runtime/remote/daytona_verbs.h"

#include "action/file_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "runtime/remote/form.h"
#include "runtime/remote/verbs.h"
#include "wire/base64.h"
#include "wire/frame.h"
#include "wire/url.h"
#include "wire/utf8.h"

enum { ARCHIVE_MS = 600000 };

/* ---- bytes from there ---- */

struct fetching {
	struct buf bytes; /* of a read: what is wanted, and one more */
	int64_t at;       /* in the file */
	int64_t sent;
	bool is_begun, is_paused;
	const char *file; /* of a download: what is fetched */
};

static void fetching_drop(struct far *far)
{
	struct fetching *f = far->state;
	if (f)
		buf_fini(&f->bytes);
}

static struct fetching *fetching_new(struct far *far, size_t limit)
{
	struct fetching *f = arena_new(&far->arena, struct fetching);
	buf_init(&f->bytes, limit);
	far->state = f;
	return f;
}

static void fetch_file(struct far *far, const char *path,
	int (*on_body)(void *arg, struct str piece, struct error *err), ask_fn *done)
{
	auto_buf struct buf url = BUF_INIT(DAYTONA_PATH_BYTES);
	struct ask_plan plan = { .method = "GET", .on_body = on_body, .done = done };
	buf_puts(&url, "/files/download?path=");
	url_encode(str_from(path), &url);
	far_stream(far, &plan, url.ptr, NULL);
}

static void fail_fetch(struct far *far, int status, const struct error *err)
{
	struct error e = *err;
	far->site->ops->explain(status, &e);
	far_fail(far, &e);
}

/* ---- read ---- */

/* The whole file comes by; what is before the offset and behind what is wanted is let go of. */
static int on_piece_of_read(void *arg, struct str piece, struct error *err)
{
	struct far *far = arg;
	const struct read_params *p = far->params;
	struct fetching *f = far->state;
	int64_t skip = MAX(p->offset - f->at, (int64_t)0);
	f->at += (int64_t)piece.len;
	piece = str_skip(piece, (size_t)MIN(skip, (int64_t)piece.len));
	buf_put(&f->bytes, str_first(piece, f->bytes.limit - f->bytes.len));
	return 0;
}

static void put_read(struct far *far, struct str part, bool is_truncated, struct buf *b)
{
	const struct read_params *p = far->params;
	const struct fetching *f = far->state;
	auto_buf struct buf encoded = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(b);
	bool is_base64 = str_is(p->encoding, "base64");
	if (is_base64)
		base64_encode(part, &encoded);
	jsonw_open(&w);
	daytona_key_path(far, &w);
	jsonw_key_str(&w, "content", is_base64 ? buf_str(&encoded) : part);
	jsonw_key_str(&w, "encoding", p->encoding);
	jsonw_key_int(&w, "size", f->at);
	jsonw_key_int(&w, "offset", p->offset);
	jsonw_key_int(&w, "bytes", (int64_t)part.len);
	jsonw_key(&w, "start_line");
	if (p->start_line)
		jsonw_int(&w, p->start_line);
	else
		jsonw_null(&w);
	jsonw_key_bool(&w, "truncated", is_truncated);
	jsonw_key_bool(&w, "is_valid_utf8", utf8_is_valid(part));
	jsonw_key_bool(&w, "is_binary", str_has_nul(part));
	jsonw_close(&w);
}

static void on_read(void *arg, int status, struct str body, const struct error *err)
{
	struct far *far = arg;
	const struct read_params *p = far->params;
	const struct fetching *f = far->state;
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	far->ask = NULL;
	if (err) {
		fail_fetch(far, status, err);
		return;
	}
	struct str part = buf_str(&f->bytes);
	if (p->start_line)
		part = far_cut_lines(part, p->start_line, p->end_line);
	bool is_truncated = part.len > (size_t)p->max_bytes ||
		(p->start_line && f->at > (int64_t)f->bytes.len);
	put_read(far, str_first(part, (size_t)p->max_bytes), is_truncated, &b);
	far_finish(far, &b);
}

static void read_start(struct far *far)
{
	const struct read_params *p = far->params;
	/* Lines are counted from the beginning, so all before them has to be there. */
	fetching_new(far, p->start_line ? FRAME_PAYLOAD_MAX / 2 : (size_t)p->max_bytes + 1);
	fetch_file(far, far_path(far, p->where.cwd, p->where.path), on_piece_of_read, on_read);
}

const struct far_verb daytona_read = { .action = &read_action,
	.start = read_start,
	.drop = fetching_drop };

/* ---- download ---- */

static void put_head(struct far *far)
{
	const struct download_params *p = far->params;
	struct fetching *f = far->state;
	const char *path = far_path(far, p->where.cwd, p->where.path);
	const char *slash = strrchr(path, '/');
	auto_buf struct buf b = BUF_INIT(DAYTONA_PATH_BYTES);
	struct jsonw w = JSONW(&b);
	if (f->is_begun)
		return;
	f->is_begun = true;
	jsonw_open(&w);
	jsonw_key_str(&w, "path", str_from(path));
	jsonw_key_str(&w, "format", p->format);
	jsonw_key_str(&w, "name", str_from(slash ? slash + 1 : path));
	jsonw_close(&w);
	channel_send(far->channel, FRAME_EVENT, 0, buf_str(&b));
}

static int on_piece_of_download(void *arg, struct str piece, struct error *err)
{
	struct far *far = arg;
	struct fetching *f = far->state;
	put_head(far);
	f->sent += (int64_t)piece.len;
	far_send(far, 0, piece);
	if (channel_is_full(far->channel) && !f->is_paused) {
		f->is_paused = true;
		ask_pause(far->ask, true);
	}
	return 0;
}

static void finish_download(struct far *far, const struct json *answer)
{
	const struct fetching *f = far->state;
	auto_buf struct buf b = BUF_INIT(DAYTONA_PATH_BYTES);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	daytona_key_path(far, &w);
	jsonw_key_int(&w, "bytes", f->sent);
	jsonw_key_int(&w, "entries", 1);
	jsonw_key_bool(&w, "truncated", false);
	jsonw_key_int(&w, "skipped", 0);
	jsonw_close(&w);
	far_finish(far, &b);
}

static void remove_archive(struct far *far, far_fn *then)
{
	const struct fetching *f = far->state;
	auto_buf struct buf path = BUF_INIT(DAYTONA_PATH_BYTES);
	buf_puts(&path, "/files?path=");
	url_encode(str_from(f->file), &path);
	far_tell(far, "DELETE", path.ptr, STR_NONE, DAYTONA_FILE_MS, then);
}

static void on_downloaded(void *arg, int status, struct str body, const struct error *err)
{
	struct far *far = arg;
	const struct download_params *p = far->params;
	far->ask = NULL;
	if (err) {
		fail_fetch(far, status, err);
		return;
	}
	put_head(far);
	if (str_is(p->format, "raw"))
		finish_download(far, NULL);
	else
		remove_archive(far, finish_download);
}

static void on_packed(struct far *far, const struct json *answer)
{
	const struct fetching *f = far->state;
	int64_t code = json_int(json_find(answer, "exitCode"));
	struct error err;
	if (code == 0) {
		fetch_file(far, f->file, on_piece_of_download, on_downloaded);
		return;
	}
	error_set(&err, code == 66 ? ERROR_NOT_FOUND : ERROR_INTERNAL, "%.*s",
		STR_ARG(code == 66 ? STR("no such file or directory")
				   : str_first(json_str(json_find(answer, "result")), 200)));
	far_fail(far, &err);
}

static void pack(struct far *far, const char *path)
{
	const struct download_params *p = far->params;
	struct fetching *f = far->state;
	auto_buf struct buf command = BUF_INIT(DAYTONA_PATH_BYTES);
	char random[ID_SIZE];
	id_make(random);
	f->file = arena_printf(&far->arena, "/tmp/cay-%s.tar", random);
	far_put_pack(&command, path, p->prefix, f->file);
	daytona_execute(far, buf_str(&command), STR_NONE, NULL, ARCHIVE_MS, on_packed);
}

static void download_start(struct far *far)
{
	const struct download_params *p = far->params;
	const char *path = far_path(far, p->where.cwd, p->where.path);
	if (str_is(p->format, "zip") || !far_can_be_prefix(p->prefix)) {
		far_refuse(far, "zip archive, or archive with such a prefix");
		return;
	}
	if (p->offset || p->length >= 0) {
		far_refuse(far, "download of a part of a file");
		return;
	}
	fetching_new(far, 0);
	if (str_is(p->format, "tar"))
		pack(far, path);
	else
		fetch_file(far, path, on_piece_of_download, on_downloaded);
}

static void download_drain(struct far *far)
{
	struct fetching *f = far->state;
	if (!f || !f->is_paused)
		return;
	f->is_paused = false;
	ask_pause(far->ask, false);
}

const struct far_verb daytona_download = {
	.action = &download_action,
	.start = download_start,
	.drain = download_drain,
	.drop = fetching_drop,
};

/* ---- bytes to there ---- */

struct storing {
	struct form form;
	const char *file; /* where they go at first */
	int64_t bytes;
	bool is_open;
};

static void storing_drop(struct far *far)
{
	struct storing *s = far->state;
	if (s)
		form_fini(&s->form);
}

static struct storing *storing_new(struct far *far, const char *file, far_fn *then)
{
	struct storing *s = arena_new(&far->arena, struct storing);
	auto_buf struct buf head = BUF_INIT(2 * DAYTONA_PATH_BYTES);
	s->file = file;
	s->is_open = true;
	far->state = s;
	form_init(&s->form, far);
	buf_printf(&head,
		"--%s\r\nContent-Disposition: form-data; name=\"files[0].path\"\r\n\r\n%s\r\n"
		"--%s\r\nContent-Disposition: form-data; name=\"files[0].file\"; filename=\"file\"\r\n"
		"Content-Type: application/octet-stream\r\n\r\n",
		s->form.boundary, file, s->form.boundary);
	form_feed(&s->form, buf_str(&head));
	form_begin(&s->form, "/files/bulk-upload", then);
	return s;
}

/* A path that would end its part of the form, or another line of it, is none that can be told. */
static bool is_tellable(struct far *far, const char *path)
{
	struct str text = str_from(path);
	struct error err;
	if (str_find_char(text, '\r') < 0 && str_find_char(text, '\n') < 0 &&
		str_eq(str_trim(text), text))
		return true;
	error_set(&err, ERROR_INVALID,
		"%s: a toolbox takes no name with a line break or with spaces at its ends",
		far->verb->action->name);
	far_fail(far, &err);
	return false;
}

/* ---- write ---- */

static void on_written(struct far *far, const struct json *answer)
{
	const struct storing *s = far->state;
	auto_buf struct buf b = BUF_INIT(DAYTONA_PATH_BYTES);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	daytona_key_path(far, &w);
	jsonw_key_int(&w, "bytes", s->bytes);
	jsonw_key(&w, "created");
	jsonw_null(&w); /* nobody tells */
	jsonw_close(&w);
	far_finish(far, &b);
}

static void write_start(struct far *far)
{
	const struct write_params *p = far->params;
	const char *path = far_path(far, p->where.cwd, p->where.path);
	auto_buf struct buf decoded = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct str bytes = p->content;
	struct error err;
	if (p->exclusive || p->mode.len || p->new_mode.len || !p->create_parents) {
		far_refuse(far, "exclusive write, mode or refusal to make directories");
		return;
	}
	if (!is_tellable(far, path))
		return;
	if (str_is(p->encoding, "base64")) {
		if (base64_decode(p->content, &decoded, &err) < 0) {
			far_fail(far, &err);
			return;
		}
		bytes = buf_str(&decoded);
	}
	struct storing *s = storing_new(far, path, on_written);
	s->bytes = (int64_t)bytes.len;
	s->is_open = false;
	form_feed(&s->form, bytes);
	form_end(&s->form);
}

const struct far_verb daytona_write = { .action = &write_action,
	.start = write_start,
	.drop = storing_drop };

/* ---- upload ---- */

static void finish_upload(struct far *far, const struct json *answer)
{
	const struct storing *s = far->state;
	const struct upload_params *p = far->params;
	auto_buf struct buf b = BUF_INIT(DAYTONA_PATH_BYTES);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	daytona_key_path(far, &w);
	jsonw_key_int(&w, "bytes", s->bytes);
	jsonw_key_int(&w, "entries", str_is(p->kind, "tar") ? 0 : 1);
	jsonw_key(&w, "created");
	jsonw_null(&w);
	jsonw_close(&w);
	far_finish(far, &b);
}

static void on_unpacked(struct far *far, const struct json *answer)
{
	struct error err;
	if (json_int(json_find(answer, "exitCode")) == 0) {
		finish_upload(far, NULL);
		return;
	}
	error_set(&err, ERROR_INVALID, "upload: %.*s",
		STR_ARG(str_first(str_trim(json_str(json_find(answer, "result"))), 200)));
	far_fail(far, &err);
}

static void on_stored(struct far *far, const struct json *answer)
{
	const struct storing *s = far->state;
	const struct upload_params *p = far->params;
	auto_buf struct buf command = BUF_INIT(DAYTONA_PATH_BYTES);
	if (!str_is(p->kind, "tar")) {
		finish_upload(far, NULL);
		return;
	}
	buf_printf(&command, "f=%s; d=", s->file);
	far_put_quoted(&command, str_from(far_path(far, p->where.cwd, p->where.path)));
	buf_puts(&command,
		"; mkdir -p -- \"$d\" && tar -xf \"$f\" -C \"$d\"; r=$?; rm -f \"$f\"; exit $r");
	daytona_execute(far, buf_str(&command), STR_NONE, NULL, ARCHIVE_MS, on_unpacked);
}

static void upload_start(struct far *far)
{
	const struct upload_params *p = far->params;
	const char *path = far_path(far, p->where.cwd, p->where.path);
	char random[ID_SIZE];
	if (p->mode.len || !p->create_parents || p->layer || str_is(p->kind, "zip")) {
		far_refuse(far,
			"upload with a mode, of a zip archive, or without making directories");
		return;
	}
	if (!is_tellable(far, path))
		return;
	id_make(random);
	if (str_is(p->kind, "tar"))
		path = arena_printf(&far->arena, "/tmp/cay-%s.tar", random);
	storing_new(far, path, on_stored);
}

static void upload_data(struct far *far, struct str bytes)
{
	struct storing *s = far->state;
	if (!s || !s->is_open)
		return;
	s->bytes += (int64_t)bytes.len;
	form_feed(&s->form, bytes);
}

static void upload_eof(struct far *far)
{
	struct storing *s = far->state;
	if (!s || !s->is_open)
		return;
	s->is_open = false;
	form_end(&s->form);
}

const struct far_verb daytona_upload = {
	.action = &upload_action,
	.start = upload_start,
	.data = upload_data,
	.eof = upload_eof,
	.drop = storing_drop,
};
