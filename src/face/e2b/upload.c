/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /files: the parts of a form, or the body as it is, go into the sandbox as they arrive.
 *
 * Each file is one call of the action upload; for another user than the sandbox's, root mostly, a
 * program writes it. The answer is that of the first that failed, if one did.
 */
#include "face/e2b/handlers.h"
#include "face/e2b/rpc.h"

#include "action/file_actions.h"
#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "face/intake.h"

enum { ANSWER_MAX = 8 * 1024 * 1024, METADATA_MAX = 64 };

#define HEADER "X-Metadata-"
#define XATTR  "user.e2b."

struct upload {
	struct intake intake;
	struct http_request *r;
	struct e2b *e2b;
	char id[ID_SIZE];
	struct str path, user;
	struct field_map metadata; /* of every file; names as they are kept */
	bool is_gzip;              /* what comes is unpacked in the sandbox */
	const char *home;
};

static void upload_free(struct upload *u)
{
	intake_fini(&u->intake);
	free(u);
}

static void put_metadata(struct jsonw *w, const char *key, const struct field_map *map, size_t skip)
{
	if (!map->n)
		return;
	jsonw_key(w, key);
	jsonw_open(w);
	for (size_t i = 0; i < map->n; i++) {
		jsonw_key_dyn(w, str_skip(map->keys[i], skip));
		jsonw_str(w, map->values[i]);
	}
	jsonw_close(w);
}

static void put_files(const struct upload *u, struct buf *body)
{
	struct jsonw w = JSONW(body);
	const struct intake_file *f;
	jsonw_open_array(&w);
	list_for_each(f, &u->intake.files, link) {
		const char *slash = strrchr(f->path, '/');
		jsonw_open(&w);
		jsonw_key_str(&w, "name", str_from(slash ? slash + 1 : f->path));
		jsonw_key_str(&w, "path", str_from(f->path));
		jsonw_key_str(&w, "type", STR("file"));
		put_metadata(&w, "metadata", &u->metadata, sizeof(XATTR) - 1);
		jsonw_close(&w);
	}
	jsonw_close_array(&w);
}

/* ---- one file ---- */

static void on_stored(void *arg, struct intake_file *f, struct str text)
{
	struct upload *u = arg;
	auto_json struct json *result = NULL;
	struct error err;
	json_parse(text, &result, NULL);
	struct str path = json_str(json_find(result, "path"));
	const struct json *code = json_find(result, "exit_code");
	if (path.len) {
		free(f->path);
		f->path = str_dup(path);
	} else if (json_kind(code) != JSON_KIND_INT || json_int(code)) {
		error_set(&err, ERROR_INVALID, "%.200s: %.*s", f->path,
			STR_ARG(str_first(str_trim(json_str(json_find(result, "stdout"))), 150)));
		intake_fail(&u->intake, &err);
	}
}

/* $1 the file, $2 what gives its bytes */
#define WRITE                                                                  \
	"mkdir -p -- \"$(dirname -- \"$1\")\" && t=$1.$$.part && umask 022 &&" \
	" if $2 >\"$t\" && mv -f -- \"$t\" \"$1\"; then exit 0; fi; rm -f -- \"$t\"; exit 1"

static void put_program(const struct upload *u, struct jsonw *w, struct str path)
{
	jsonw_key(w, "argv");
	jsonw_open_array(w);
	jsonw_str(w, STR("/bin/sh"));
	jsonw_str(w, STR("-c"));
	jsonw_str(w, STR(WRITE));
	jsonw_str(w, STR("sh"));
	jsonw_str(w, path);
	jsonw_str(w, u->is_gzip ? STR("gzip -dc") : STR("cat"));
	jsonw_close_array(w);
	if (u->user.len)
		jsonw_key_str(w, "user", u->user);
	jsonw_key_str(w, "cwd", STR("/"));
	jsonw_key_bool(w, "stdin", true);
	jsonw_key_bool(w, "capture", true);
	jsonw_key_bool(w, "merge", true);
}

static bool needs_program(const struct upload *u)
{
	return u->user.len || u->is_gzip;
}

static int begin_file(struct upload *u, struct str name, struct error *err)
{
	auto_buf struct buf params = BUF_INIT(16 * E2B_PATH_MAX);
	struct jsonw w = JSONW(&params);
	const struct e2b_box *b = e2b_box_find(u->e2b, str_from(u->id));
	const struct intake_file *other;
	if (!b)
		return error_set(err, ERROR_GONE, "the sandbox is gone");
	if (!name.len || name.len > E2B_PATH_MAX || str_has_nul(name))
		return error_set(err, ERROR_INVALID, "a file without a path, or with one too long");
	if (!arena_has_room(&u->r->arena, 2 * E2B_PATH_MAX))
		return error_set(err, ERROR_LIMIT, "the paths are too long together");
	struct str path = e2b_path(&u->r->arena, u->home, name);
	list_for_each(other, &u->intake.files, link)
		if (str_is(path, other->path))
			return error_set(err, ERROR_INVALID,
				"you cannot upload multiple files to the same path '%.200s'",
				path.ptr);
	jsonw_open(&w);
	if (needs_program(u)) {
		put_program(u, &w, path);
	} else {
		jsonw_key_str(&w, "path", path);
		put_metadata(&w, "xattrs", &u->metadata, 0);
	}
	jsonw_close(&w);
	intake_file(&u->intake, e2b_box_sandbox(b),
		needs_program(u) ? &exec_action : &upload_action, &params, path);
	return 0;
}

/* ---- the request ---- */

static int on_part(void *arg, const struct multipart_part *part, struct error *err)
{
	struct upload *u = arg;
	if (!str_is(part->name, "file"))
		return 0;
	return begin_file(u, u->path.len ? u->path : part->filename, err);
}

static void on_done(void *arg)
{
	struct upload *u = arg;
	auto_buf struct buf body = BUF_INIT(ANSWER_MAX);
	struct http_request *r = u->r;
	if (!e2b_box_find(u->e2b, str_from(u->id))) {
		e2b_gone(r, str_from(u->id));
	} else if (u->intake.has_failed) {
		e2b_fail_error(r, &u->intake.failure);
	} else {
		put_files(u, &body);
		http_reply_json(r, 200, &body);
	}
	upload_free(u);
}

static void on_closed(void *arg)
{
	struct upload *u = arg;
	struct http_request *r = u->r;
	upload_free(u);
	e2b_fail(r, 499, "the client went away");
}

static const struct intake_ops intake_ops = {
	.part = on_part,
	.stored = on_stored,
	.done = on_done,
	.closed = on_closed,
};

/* Names of headers have no case; they are kept in lower case. */
static int take_metadata(struct upload *u, struct error *err)
{
	struct arena *arena = &u->r->arena;
	struct str name, value;
	size_t i = 0;
	u->metadata = (struct field_map){ arena_new_n(arena, struct str, METADATA_MAX),
		arena_new_n(arena, struct str, METADATA_MAX), 0 };
	while (http_next_header(u->r, &i, &name, &value)) {
		struct str key = str_skip(name, sizeof(HEADER) - 1);
		if (!str_eq_nocase(str_first(name, sizeof(HEADER) - 1), STR(HEADER)) || !key.len)
			continue;
		if (u->metadata.n == METADATA_MAX)
			return error_set(err, ERROR_INVALID, "metadata: over %d keys",
				METADATA_MAX);
		char *kept = arena_printf(arena, XATTR "%.*s", STR_ARG(key));
		for (char *c = kept; *c; c++)
			*c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
		u->metadata.keys[u->metadata.n] = str_from(kept);
		u->metadata.values[u->metadata.n++] = value;
	}
	return 0;
}

static int begin(struct upload *u, struct error *err)
{
	struct http_request *r = u->r;
	struct str type = http_header(r, "Content-Type"),
		   encoding = http_header(r, "Content-Encoding");
	bool is_form = str_eq_nocase(str_first(type, 10), STR("multipart/"));
	u->path = http_query(r, "path");
	if (e2b_take_user(r, &u->user, &u->home, err) < 0)
		return -1;
	u->is_gzip = str_eq_nocase(encoding, STR("gzip"));
	if (encoding.len && !u->is_gzip && !str_eq_nocase(encoding, STR("identity")))
		return error_set(err, ERROR_UNSUPPORTED, "Content-Encoding '%.*s' is not offered",
			STR_ARG(str_first(encoding, 40)));
	if (take_metadata(u, err) < 0)
		return -1;
	if (is_form && u->is_gzip)
		return error_set(err, ERROR_UNSUPPORTED,
			"a form that is compressed is not offered");
	if (u->metadata.n && needs_program(u))
		return error_set(err, ERROR_UNSUPPORTED,
			"metadata of a file of another user's, or of a compressed one, is not offered");
	if (is_form)
		return intake_form(&u->intake, r, &intake_ops, u, err);
	return begin_file(u, u->path, err);
}

void e2b_files_post(struct http_request *r)
{
	const struct e2b_box *b = e2b_box_of_data(r);
	struct error err;
	if (!b)
		return;
	struct upload *u = mem_new(struct upload);
	u->r = r;
	u->e2b = b->e2b;
	snprintf(u->id, sizeof(u->id), "%s", b->id);
	intake_body(&u->intake, r, &intake_ops, u);
	if (begin(u, &err) < 0) {
		upload_free(u);
		e2b_fail_error(r, &err);
		return;
	}
	u->intake.keeps_files = true;
	intake_listen(&u->intake);
}
