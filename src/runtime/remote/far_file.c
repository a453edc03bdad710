/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read, write, edit, list.
 *
 * The server's own read gives text, whole or in lines with rules of its own: here the whole is
 * asked for and the range is cut out. Bytes come through base64(1) in a shell. Its write ends every
 * file with a newline, so a text that ends with one is sent without it; everything else is
 * uploaded.
 */
#include "runtime/remote/verbs.h"

#include "action/file_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "wire/base64.h"
#include "wire/frame.h"
#include "wire/utf8.h"

enum { READ_MS = 120000, LIST_MS = 10000, COMMAND_MAX = 64 * 1024 };

/* ---- read ---- */

static void put_read(struct far *far, struct str path, struct str whole, struct str part,
	int64_t start_line, bool is_truncated)
{
	const struct read_params *p = far->params;
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX), encoded = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	int64_t lines = 0;
	for (size_t i = 0; i < part.len; i++)
		lines += part.ptr[i] == '\n' || i + 1 == part.len;
	jsonw_open(&w);
	jsonw_key_str(&w, "path", path);
	if (str_is(p->encoding, "base64")) {
		base64_encode(part, &encoded);
		jsonw_key_str(&w, "content", buf_str(&encoded));
	} else {
		jsonw_key_str(&w, "content", part);
	}
	jsonw_key_str(&w, "encoding", p->encoding);
	jsonw_key_int(&w, "size", whole.ptr ? (int64_t)whole.len : p->offset + (int64_t)part.len);
	jsonw_key_int(&w, "offset", part.ptr && whole.ptr ? part.ptr - whole.ptr : p->offset);
	jsonw_key_int(&w, "bytes", (int64_t)part.len);
	jsonw_key_int(&w, "lines", lines);
	jsonw_key(&w, "start_line");
	if (start_line)
		jsonw_int(&w, start_line);
	else
		jsonw_null(&w);
	jsonw_key_bool(&w, "truncated", is_truncated);
	jsonw_key_bool(&w, "is_valid_utf8", utf8_is_valid(part));
	jsonw_key_bool(&w, "is_binary", str_has_nul(part));
	jsonw_close(&w);
	far_finish(far, &b);
}

/* Lines start_line to end_line, from 1. */
struct str far_cut_lines(struct str text, int64_t first, int64_t last)
{
	struct str rest = text;
	for (int64_t line = 1; line < first && rest.len; line++) {
		ptrdiff_t end = str_find_char(rest, '\n');
		rest = str_skip(rest, end < 0 ? rest.len : (size_t)end + 1);
	}
	const char *from = rest.ptr;
	for (int64_t line = first; (last < 0 || line <= last) && rest.len; line++) {
		ptrdiff_t end = str_find_char(rest, '\n');
		rest = str_skip(rest, end < 0 ? rest.len : (size_t)end + 1);
	}
	return str_from_len(from, (size_t)(rest.ptr - from));
}

static void on_text(struct far *far, const struct json *observation)
{
	const struct read_params *p = far->params;
	struct str whole = json_str(json_find(observation, "content"));
	struct str path = json_str(json_find(json_find(observation, "extras"), "path"));
	if (!str_is(json_str(json_find(observation, "observation")), "read")) {
		far_fail_observation(far, observation);
		return;
	}
	struct str part = p->start_line ? far_cut_lines(whole, p->start_line, p->end_line) : whole;
	bool is_truncated = part.len > (size_t)p->max_bytes;
	if (is_truncated)
		part = str_first(part, (size_t)p->max_bytes);
	put_read(far, path, whole, part, p->start_line ?: 1, is_truncated);
}

static int decode(struct str base64, struct buf *b, struct error *err)
{
	auto_buf struct buf compact = BUF_INIT(FRAME_PAYLOAD_MAX);
	for (size_t i = 0; i < base64.len; i++)
		if (base64.ptr[i] > ' ')
			buf_putc(&compact, base64.ptr[i]);
	return base64_decode(buf_str(&compact), b, err) < 0
		? error_wrap(err, "what the server sent of a file")
		: 0;
}

void far_put_piece(struct buf *b, const char *path, int64_t offset, int64_t size)
{
	buf_puts(b, "( f=");
	far_put_quoted(b, str_from(path));
	buf_printf(b,
		"; [ -e \"$f\" ] || exit 66; [ -f \"$f\" ] || exit 67; [ -r \"$f\" ] || exit 68; "
		"tail -c +%lld -- \"$f\" | head -c %lld | base64 -w0 )",
		(long long)offset + 1, (long long)size);
}

int far_take_piece(const struct far *far, const struct json *observation, const char *path,
	struct buf *b, struct error *err)
{
	static const char *const why[] = { "no such file", "not a regular file",
		"permission denied" };
	static const enum error_code codes[] = { ERROR_NOT_FOUND, ERROR_INVALID, ERROR_FORBIDDEN };
	int64_t code = far_exit_code(observation);
	if (code >= 66 && code <= 68)
		return error_set(err, codes[code - 66], "%s: %s", path, why[code - 66]);
	if (code != 0)
		return error_set(err, ERROR_INTERNAL, "%s: %.*s", path,
			STR_ARG(str_first(far_said(observation), 200)));
	return decode(far_said(observation), b, err);
}

static void on_bytes(struct far *far, const struct json *observation)
{
	const struct read_params *p = far->params;
	auto_buf struct buf bytes = BUF_INIT(FRAME_PAYLOAD_MAX);
	const char *path = far_path(far, p->where.cwd, p->where.path);
	struct error err;
	if (far_take_piece(far, observation, path, &bytes, &err) < 0) {
		far_fail(far, &err);
		return;
	}
	bool is_truncated = bytes.len > (size_t)p->max_bytes;
	struct str part = str_first(buf_str(&bytes), (size_t)p->max_bytes);
	put_read(far, str_from(path), p->offset || is_truncated ? STR_NONE : buf_str(&bytes), part,
		0, is_truncated);
}

static void read_bytes(struct far *far, const struct json *answer)
{
	const struct read_params *p = far->params;
	auto_buf struct buf command = BUF_INIT(COMMAND_MAX);
	/* One byte more than is wanted tells whether there is more. */
	far_put_piece(&command, far_path(far, p->where.cwd, p->where.path), p->offset,
		p->max_bytes + 1);
	far_shell_again(far, buf_str(&command), READ_MS, on_bytes);
}

static void read_text(struct far *far, const struct json *answer)
{
	const struct read_params *p = far->params;
	struct jsonw w = far_args(far, "read");
	jsonw_key_str(&w, "path", str_from(far_path(far, p->where.cwd, p->where.path)));
	far_act(far, &w, READ_MS, on_text);
}

static void read_start(struct far *far)
{
	const struct read_params *p = far->params;
	bool wants_bytes = str_is(p->encoding, "base64") || p->offset > 0;
	far_with_workdir(far, wants_bytes ? read_bytes : read_text);
}

const struct far_verb far_read = { .action = &read_action, .start = read_start };

/* ---- write ---- */

struct writing {
	struct str bytes; /* decoded, in `decoded` or the parameters */
	struct buf decoded;
};

static void on_written(struct far *far, const struct json *observation)
{
	const struct write_params *p = far->params;
	const struct writing *state = far->state;
	auto_buf struct buf b = BUF_INIT(64 * 1024);
	struct jsonw w = JSONW(&b);
	if (far_is_error(observation)) {
		far_fail_observation(far, observation);
		return;
	}
	struct str path = json_str(json_find(json_find(observation, "extras"), "path"));
	jsonw_open(&w);
	jsonw_key_str(&w, "path",
		path.len ? path : str_from(far_path(far, p->where.cwd, p->where.path)));
	jsonw_key_int(&w, "bytes", (int64_t)state->bytes.len);
	jsonw_key(&w, "created");
	jsonw_null(&w); /* the server does not say */
	jsonw_close(&w);
	far_finish(far, &b);
}

static void upload(struct far *far, const struct json *answer)
{
	const struct write_params *p = far->params;
	const struct writing *state = far->state;
	far_put_file(far, far_path(far, p->where.cwd, p->where.path), state->bytes, p->mode,
		on_written);
}

/* The final newline is the server's to add. */
static void write_text(struct far *far, const struct json *answer)
{
	const struct write_params *p = far->params;
	const struct writing *state = far->state;
	struct jsonw w = far_args(far, "write");
	jsonw_key_str(&w, "path", str_from(far_path(far, p->where.cwd, p->where.path)));
	jsonw_key_str(&w, "content", str_first(state->bytes, state->bytes.len - 1));
	far_act(far, &w, READ_MS, on_written);
}

static void write_start(struct far *far)
{
	const struct write_params *p = far->params;
	struct writing *state = arena_new(&far->arena, struct writing);
	struct error err;
	buf_init(&state->decoded, FRAME_PAYLOAD_MAX);
	far->state = state;
	state->bytes = p->content;
	if (p->exclusive || p->new_mode.len || !p->create_parents) {
		far_refuse(far,
			"exclusive write, mode of new files alone or refusal to make directories");
		return;
	}
	if (str_is(p->encoding, "base64")) {
		if (base64_decode(p->content, &state->decoded, &err) < 0) {
			far_fail(far, &err);
			return;
		}
		state->bytes = buf_str(&state->decoded);
	}
	struct str text = state->bytes;
	bool is_plain = !p->mode.len && str_ends(text, STR("\n")) && !str_has_nul(text) &&
		utf8_is_valid(text) && str_find_char(text, '\r') < 0;
	far_with_workdir(far, is_plain ? write_text : upload);
}

static void write_drop(struct far *far)
{
	struct writing *state = far->state;
	if (state)
		buf_fini(&state->decoded);
	far_drop_upload(far);
}

const struct far_verb far_write = { .action = &write_action,
	.start = write_start,
	.drop = write_drop };

/* ---- edit ---- */

static void on_edited(struct far *far, const struct json *observation)
{
	const struct edit_params *p = far->params;
	struct str kind = json_str(json_find(observation, "observation"));
	struct str text = json_str(json_find(observation, "content"));
	struct str diff = json_str(json_find(json_find(observation, "extras"), "diff"));
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	if (!str_is(kind, "edit") && !str_is(kind, "read")) {
		far_fail_observation(far, observation);
		return;
	}
	bool has_failed = str_starts(text, STR("ERROR:"));
	jsonw_open(&w);
	jsonw_key_str(&w, "path", p->where.path);
	jsonw_key_str(&w, "command", p->command);
	jsonw_key_bool(&w, "applied", !has_failed);
	jsonw_key(&w, "failure");
	if (has_failed)
		jsonw_str(&w, STR("tool"));
	else
		jsonw_null(&w);
	jsonw_key_str(&w, "text", has_failed ? str_trim(str_skip(text, 6)) : text);
	jsonw_key(&w, "prev_exist");
	jsonw_null(&w);
	jsonw_key_str(&w, "diff", diff.ptr ? diff : STR(""));
	jsonw_key(&w, "lines");
	jsonw_open_array(&w);
	jsonw_close_array(&w);
	jsonw_key(&w, "snippet");
	jsonw_null(&w);
	jsonw_key_str(&w, "encoding", STR("utf-8"));
	jsonw_close(&w);
	far_finish(far, &b);
}

static void put_optional(struct jsonw *w, const char *key, struct str value)
{
	jsonw_key(w, key);
	if (value.ptr)
		jsonw_str(w, value);
	else
		jsonw_null(w);
}

static void put_json(struct jsonw *w, const char *key, const struct json *value)
{
	auto_buf struct buf b = BUF_INIT(COMMAND_MAX);
	json_write(value, &b);
	jsonw_key(w, key);
	jsonw_raw(w, value ? buf_str(&b) : STR("null"));
}

static void edit_now(struct far *far, const struct json *answer)
{
	const struct edit_params *p = far->params;
	bool is_view = str_is(p->command, "view");
	struct jsonw w = far_args(far, is_view ? "read" : "edit");
	jsonw_key_str(&w, "path", str_from(far_path(far, p->where.cwd, p->where.path)));
	jsonw_key_str(&w, "impl_source", STR("oh_aci"));
	if (is_view) {
		put_json(&w, "view_range", p->view_range);
	} else {
		jsonw_key_str(&w, "command",
			str_is(p->command, "undo") ? STR("undo_edit") : p->command);
		put_optional(&w, "file_text", p->file_text);
		put_optional(&w, "old_str", p->old_str);
		put_optional(&w, "new_str", p->new_str);
		put_json(&w, "insert_line", p->insert_line);
	}
	far_act(far, &w, READ_MS, on_edited);
}

static void edit_start(struct far *far)
{
	const struct edit_params *p = far->params;
	if (p->absolute_only || str_starts(p->where.path, STR("/")))
		edit_now(far, NULL);
	else
		far_with_workdir(far, edit_now);
}

const struct far_verb far_edit = { .action = &edit_action, .start = edit_start };

/* ---- list ---- */

static int compare_names(const void *a, const void *b)
{
	const struct str *x = a, *y = b;
	int r = memcmp(x->ptr, y->ptr, MIN(x->len, y->len));
	return r ? r : (x->len > y->len) - (x->len < y->len);
}

static bool is_wanted(const struct list_params *p, struct str name)
{
	struct str bare = str_ends(name, STR("/")) ? str_first(name, name.len - 1) : name;
	if (!p->hidden && str_starts(bare, STR(".")))
		return false;
	return !p->after.len || compare_names(&bare, &p->after) > 0;
}

static void put_entry(struct jsonw *w, struct str name)
{
	bool is_dir = str_ends(name, STR("/"));
	jsonw_open(w);
	jsonw_key_str(w, "name", is_dir ? str_first(name, name.len - 1) : name);
	jsonw_key_str(w, "type", is_dir ? STR("directory") : STR("file"));
	jsonw_close(w);
}

static void on_list(struct far *far, const struct json *names)
{
	const struct list_params *p = far->params;
	struct error err;
	if (json_kind(names) != JSON_KIND_ARRAY) {
		error_set(&err, ERROR_PROTOCOL, "list: the server's answer is no list");
		far_fail(far, &err);
		return;
	}
	size_t n = 0, total = json_len(names);
	auto_free struct str *all = mem_new_n(struct str, total + 1);
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	for (size_t i = 0; i < total; i++) {
		struct str name = json_str(json_at(names, i));
		if (name.len && is_wanted(p, name))
			all[n++] = name;
	}
	if (n)
		qsort(all, n, sizeof(*all), compare_names);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", p->where.path);
	jsonw_key(&w, "entries");
	jsonw_open_array(&w);
	for (size_t i = 0; i < n && i < (size_t)p->limit; i++)
		put_entry(&w, all[i]);
	jsonw_close_array(&w);
	jsonw_key_int(&w, "total", (int64_t)total);
	jsonw_key(&w, "next");
	if (n > (size_t)p->limit)
		jsonw_str(&w, all[p->limit - 1]);
	else
		jsonw_null(&w);
	jsonw_close(&w);
	far_finish(far, &b);
}

static void list_start(struct far *far)
{
	const struct list_params *p = far->params;
	auto_buf struct buf b = BUF_INIT(COMMAND_MAX);
	struct jsonw w = JSONW(&b);
	if (p->depth > 1) {
		far_refuse(far, "list of more than one level");
		return;
	}
	jsonw_open(&w);
	if (!str_is(p->where.path, ".") || p->where.cwd.len)
		jsonw_key_str(&w, "path",
			p->where.cwd.len ? str_from(far_path(far, p->where.cwd, p->where.path))
					 : p->where.path);
	jsonw_close(&w);
	far_ask(far, "POST", "/list_files", buf_str(&b), LIST_MS, on_list);
}

const struct far_verb far_list = { .action = &list_action, .start = list_start };
