/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of a multipart form go into the sandbox as they arrive: /files/bulk-upload and
 * /files/upload. What goes wrong with one file is a line of the answer, and the others go on.
 */
#include "face/daytona/handlers.h"

#include "action/file_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/num.h"
#include "face/intake.h"

enum { PATH_BYTES = 4096, ERRORS_BYTES = 256 * 1024, FILES_BYTES = 4 * 1024 * 1024 };

struct upload {
	struct intake intake;
	struct http_request *r;
	struct daytona *daytona;
	char id[ID_SIZE];
	bool is_single;           /* the path is in the query */
	struct map paths;         /* by index of the form: char * */
	struct buf text;          /* a path that is being read */
	char index[24];           /* of the part that is being read */
	bool is_path;             /* … which is a path */
	struct buf errors, files; /* strings and objects of the answer */
	struct jsonw errors_w, files_w;
};

static void add_error(struct upload *u, const char *path, const char *text)
{
	auto_free char *line = path ? mem_printf("%s: %s", path, text) : mem_strdup(text);
	if (u->errors.len + strlen(line) < ERRORS_BYTES - 64)
		jsonw_str(&u->errors_w, str_from(line));
}

static void upload_free(struct upload *u)
{
	struct str key;
	size_t i = 0;
	void *value;
	intake_fini(&u->intake);
	while ((value = map_next(&u->paths, &i, &key)))
		free(value);
	map_fini(&u->paths);
	buf_fini(&u->text);
	buf_fini(&u->errors);
	buf_fini(&u->files);
	free(u);
}

/* The items as one array. */
static void key_items(struct jsonw *w, const char *key, const struct buf *items)
{
	auto_buf struct buf list = BUF_INIT(items->len + 2);
	buf_putc(&list, '[');
	buf_put(&list, buf_str(items));
	buf_putc(&list, ']');
	jsonw_key(w, key);
	jsonw_raw(w, buf_str(&list));
}

static void answer(void *arg)
{
	struct upload *u = arg;
	auto_buf struct buf body = BUF_INIT(ERRORS_BYTES + FILES_BYTES + 1024);
	struct jsonw w = JSONW(&body);
	bool has_errors = u->errors.len > 0;
	jsonw_open(&w);
	if (has_errors) {
		jsonw_key_str(&w, "message", STR("some files could not be uploaded"));
		jsonw_key_int(&w, "statusCode", 400);
		key_items(&w, "errors", &u->errors);
	}
	key_items(&w, "files", &u->files);
	jsonw_close(&w);
	http_reply_json(u->r, has_errors ? 400 : 200, &body);
	upload_free(u);
}

/* ---- one file ---- */

static void on_stored(void *arg, struct intake_file *f, struct str text)
{
	struct upload *u = arg;
	auto_json struct json *result = NULL;
	json_parse(text, &result, NULL);
	if (u->files.len < FILES_BYTES - 2 * PATH_BYTES) {
		jsonw_open(&u->files_w);
		jsonw_key_str(&u->files_w, "path", str_from(f->path));
		jsonw_key_int(&u->files_w, "bytes", json_int(json_find(result, "bytes")));
		jsonw_close(&u->files_w);
	}
}

static void on_not_stored(void *arg, struct intake_file *f, const struct error *err)
{
	add_error(arg, f->path, err->text);
}

static void begin_file(struct upload *u, struct str path)
{
	auto_buf struct buf params = BUF_INIT(8 * PATH_BYTES);
	struct jsonw w = JSONW(&params);
	struct error err;
	struct sandbox *s = runtime_find(u->daytona->rt, str_from(u->id), &err);
	if (!s) {
		add_error(u, NULL, err.text);
		return;
	}
	jsonw_open(&w);
	jsonw_key_str(&w, "path", path);
	jsonw_key_bool(&w, "create_parents", true);
	jsonw_close(&w);
	intake_file(&u->intake, s, &upload_action, &params, path);
}

/* ---- the form ---- */

/* "files[3].path" → "3" */
static bool split_name(struct str name, const char *tail, char *ret_index, size_t size)
{
	struct str end = str_from(tail);
	if (!str_starts(name, STR("files[")) || !str_ends(name, end))
		return false;
	name = str_skip(str_first(name, name.len - end.len), 6);
	if (!str_ends(name, STR("]")) || name.len > size)
		return false;
	snprintf(ret_index, size, "%.*s", STR_ARG(str_first(name, name.len - 1)));
	return true;
}

static int on_part(void *arg, const struct multipart_part *part, struct error *err)
{
	struct upload *u = arg;
	u->is_path = false;
	if (u->is_single) {
		if (str_is(part->name, "file"))
			begin_file(u, http_query(u->r, "path"));
	} else if (split_name(part->name, ".path", u->index, sizeof(u->index))) {
		u->is_path = true;
		buf_reset(&u->text);
	} else if (split_name(part->name, ".file", u->index, sizeof(u->index))) {
		const char *path = map_find(&u->paths, str_from(u->index));
		if (path) {
			begin_file(u, str_from(path));
			return 0;
		}
		auto_free char *text = mem_printf("file[%s]: missing .path metadata", u->index);
		add_error(u, NULL, text);
	}
	return 0;
}

static int on_part_data(void *arg, struct str bytes, struct error *err)
{
	struct upload *u = arg;
	if (u->is_path)
		buf_put(&u->text, bytes);
	return 0;
}

static int on_part_end(void *arg, struct error *err)
{
	struct upload *u = arg;
	struct str path = str_trim(buf_str(&u->text));
	if (!u->is_path)
		return 0;
	u->is_path = false;
	if (u->text.is_full || !path.len || str_has_nul(path)) {
		auto_free char *text = mem_printf("path[%s]: %s", u->index,
			u->text.is_full ? "too long" : "no path");
		add_error(u, NULL, text);
	} else {
		free(map_put(&u->paths, str_from(u->index), str_dup(path)));
	}
	return 0;
}

static void on_broken(void *arg, const struct error *err)
{
	add_error(arg, NULL, err->text);
}

static void on_closed(void *arg)
{
	struct upload *u = arg;
	struct error err;
	struct http_request *r = u->r;
	upload_free(u);
	error_set(&err, ERROR_CANCELLED, "the client went away");
	daytona_fail_error(r, &err);
}

static void begin(struct http_request *r, bool is_single)
{
	static const struct intake_ops ops = { on_part, on_part_data, on_part_end, on_stored,
		on_not_stored, on_broken, answer, on_closed };
	const struct box *b = box_of_toolbox(r, NULL);
	struct str path;
	struct error err;
	if (!b || (is_single && !daytona_need_query(r, "path", &path)))
		return;
	struct upload *u = mem_new(struct upload);
	u->r = r;
	u->daytona = b->daytona;
	u->is_single = is_single;
	snprintf(u->id, sizeof(u->id), "%s", b->id);
	buf_init(&u->text, PATH_BYTES);
	buf_init(&u->errors, ERRORS_BYTES);
	buf_init(&u->files, FILES_BYTES);
	u->errors_w = JSONW(&u->errors);
	u->files_w = JSONW(&u->files);
	if (intake_form(&u->intake, r, &ops, u, &err) < 0) {
		add_error(u, NULL, "invalid multipart form");
		answer(u);
		return;
	}
	intake_listen(&u->intake);
}

void upload_many(struct http_request *r)
{
	begin(r, false);
}

void upload_one(struct http_request *r)
{
	begin(r, true);
}
