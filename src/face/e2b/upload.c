/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /files: the parts of a form, or the body as it is, go into the sandbox as they arrive.
 *
 * Each file is one call of the action upload, which is sent the data of its part; for another
 * user than the sandbox's, root mostly, a program writes it. Calls end in their own time, also
 * while the next part is being read; the answer comes when the form and all of them have ended,
 * and is that of the first that failed, if one did.
 */
#include "face/e2b/handlers.h"
#include "face/e2b/rpc.h"

#include "action/file_actions.h"
#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "wire/multipart.h"

enum { ANSWER_MAX = 8 * 1024 * 1024, METADATA_MAX = 64 };

#define HEADER "X-Metadata-"
#define XATTR  "user.e2b."

struct upload {
	struct http_request *r;
	struct e2b *e2b;
	char id[ID_SIZE];
	struct multipart form;
	bool is_form;
	bool has_ended; /* the body has */
	bool is_broken; /* nothing more is read of it */
	struct str path, user;
	struct field_map metadata; /* of every file; names as they are kept */
	bool is_gzip;              /* what comes is unpacked in the sandbox */
	const char *home;
	struct piece *piece; /* that is being read; NULL: none */
	struct list pieces;  /* piece::link, in their order */
	size_t n_running;
	bool has_failed;
	struct error failure; /* the first */
};

struct piece {
	struct list link;
	struct upload *upload;
	struct runtime_call *call; /* NULL: it has ended */
	char *path;
	bool is_whole; /* its part has ended */
};

static void fail(struct upload *u, const struct error *err)
{
	if (!u->has_failed)
		u->failure = *err;
	u->has_failed = true;
}

static void upload_free(struct upload *u)
{
	while (!list_is_empty(&u->pieces)) {
		struct piece *p = list_get_first(&u->pieces, struct piece, link);
		if (p->call)
			runtime_call_cancel(p->call);
		list_remove(&p->link);
		free(p->path);
		free(p);
	}
	if (u->is_form)
		multipart_fini(&u->form);
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

static void put_pieces(const struct upload *u, struct buf *body)
{
	struct jsonw w = JSONW(body);
	const struct piece *p;
	jsonw_open_array(&w);
	list_for_each(p, &u->pieces, link) {
		const char *slash = strrchr(p->path, '/');
		jsonw_open(&w);
		jsonw_key_str(&w, "name", str_from(slash ? slash + 1 : p->path));
		jsonw_key_str(&w, "path", str_from(p->path));
		jsonw_key_str(&w, "type", STR("file"));
		put_metadata(&w, "metadata", &u->metadata, sizeof(XATTR) - 1);
		jsonw_close(&w);
	}
	jsonw_close_array(&w);
}

static void answer_if_done(struct upload *u)
{
	auto_buf struct buf body = BUF_INIT(ANSWER_MAX);
	struct http_request *r = u->r;
	if (!u->has_ended || u->n_running)
		return;
	if (!e2b_box_find(u->e2b, str_from(u->id))) {
		e2b_gone(r, str_from(u->id));
	} else if (u->has_failed) {
		e2b_fail_error(r, &u->failure);
	} else {
		put_pieces(u, &body);
		http_reply_json(r, 200, &body);
	}
	upload_free(u);
}

/* ---- one file ---- */

static void piece_end(struct piece *p)
{
	struct upload *u = p->upload;
	p->call = NULL;
	u->n_running--;
	answer_if_done(u);
}

static void on_stored(void *arg, struct str text)
{
	struct piece *p = arg;
	auto_json struct json *result = NULL;
	struct error err;
	json_parse(text, &result, NULL);
	struct str path = json_str(json_find(result, "path"));
	const struct json *code = json_find(result, "exit_code");
	if (path.len) {
		free(p->path);
		p->path = str_dup(path);
	} else if (json_kind(code) != JSON_KIND_INT || json_int(code)) {
		error_set(&err, ERROR_INVALID, "%.200s: %.*s", p->path,
			STR_ARG(str_first(str_trim(json_str(json_find(result, "stdout"))), 150)));
		fail(p->upload, &err);
	}
	piece_end(p);
}

static void on_not_stored(void *arg, const struct error *err)
{
	struct piece *p = arg;
	fail(p->upload, err);
	http_pause_body(p->upload->r, false);
	piece_end(p);
}

static void on_taken(void *arg)
{
	struct piece *p = arg;
	http_pause_body(p->upload->r, false);
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
	static const struct call_sink sink = {
		.drain = on_taken,
		.result = on_stored,
		.error = on_not_stored,
	};
	auto_buf struct buf params = BUF_INIT(16 * E2B_PATH_MAX);
	struct jsonw w = JSONW(&params);
	const struct e2b_box *b = e2b_box_find(u->e2b, str_from(u->id));
	const struct piece *other;
	if (!b)
		return error_set(err, ERROR_GONE, "the sandbox is gone");
	if (!name.len || name.len > E2B_PATH_MAX || str_has_nul(name))
		return error_set(err, ERROR_INVALID, "a file without a path, or with one too long");
	if (!arena_has_room(&u->r->arena, 2 * E2B_PATH_MAX))
		return error_set(err, ERROR_LIMIT, "the paths are too long together");
	struct str path = e2b_path(&u->r->arena, u->home, name);
	list_for_each(other, &u->pieces, link)
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
	struct piece *p = mem_new(struct piece);
	p->upload = u;
	p->path = str_dup(path);
	list_append(&u->pieces, &p->link);
	u->n_running++;
	u->piece = p;
	p->call = runtime_perform(e2b_box_sandbox(b),
		needs_program(u) ? &exec_action : &upload_action, buf_str(&params), &sink, p);
	return 0;
}

static void send_bytes(struct upload *u, struct str bytes)
{
	struct piece *p = u->piece;
	if (!p || !p->call || runtime_call_is_over(p->call))
		return;
	runtime_call_send(p->call, 0, bytes);
	if (runtime_call_is_full(p->call))
		http_pause_body(u->r, true);
}

static void end_file(struct upload *u)
{
	struct piece *p = u->piece;
	u->piece = NULL;
	if (!p)
		return;
	p->is_whole = true;
	if (p->call && !runtime_call_is_over(p->call))
		runtime_call_eof(p->call, 0);
}

/* ---- the form ---- */

static int on_part(void *arg, const struct multipart_part *part, struct error *err)
{
	struct upload *u = arg;
	u->piece = NULL;
	if (!str_is(part->name, "file"))
		return 0;
	return begin_file(u, u->path.len ? u->path : part->filename, err);
}

static int on_part_data(void *arg, struct str bytes, struct error *err)
{
	send_bytes(arg, bytes);
	return 0;
}

static int on_part_end(void *arg, struct error *err)
{
	end_file(arg);
	return 0;
}

/* ---- the request ---- */

/* What is under way has got less than it was to get. */
static void break_off(struct upload *u, const struct error *err)
{
	struct piece *p;
	u->is_broken = true;
	u->piece = NULL;
	http_pause_body(u->r, false); /* who was to go on with it may be cancelled here */
	fail(u, err);
	list_for_each(p, &u->pieces, link) {
		if (p->is_whole || !p->call)
			continue;
		runtime_call_cancel(take_ptr(p->call));
		u->n_running--;
	}
}

static void on_body(void *arg, struct str bytes)
{
	struct upload *u = arg;
	struct error err;
	if (u->is_broken)
		return;
	if (!u->is_form)
		send_bytes(u, bytes);
	else if (multipart_parse(&u->form, bytes, &err) < 0)
		break_off(u, &err);
}

static void on_body_end(void *arg)
{
	struct upload *u = arg;
	struct error err;
	if (!u->is_form)
		end_file(u);
	else if (!u->is_broken && multipart_end(&u->form, &err) < 0)
		break_off(u, &err);
	u->has_ended = true;
	answer_if_done(u);
}

static void on_closed(void *arg)
{
	struct upload *u = arg;
	struct http_request *r = u->r;
	upload_free(u);
	e2b_fail(r, 499, "the client went away");
}

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
	static const struct multipart_ops parts = { on_part, on_part_data, on_part_end };
	struct http_request *r = u->r;
	struct str type = http_header(r, "Content-Type"),
		   encoding = http_header(r, "Content-Encoding");
	u->path = http_query(r, "path");
	if (e2b_take_user(r, &u->user, &u->home, err) < 0)
		return -1;
	u->is_gzip = str_eq_nocase(encoding, STR("gzip"));
	if (encoding.len && !u->is_gzip && !str_eq_nocase(encoding, STR("identity")))
		return error_set(err, ERROR_UNSUPPORTED, "Content-Encoding '%.*s' is not offered",
			STR_ARG(str_first(encoding, 40)));
	u->is_form = str_eq_nocase(str_first(type, 10), STR("multipart/"));
	if (take_metadata(u, err) < 0)
		return -1;
	if (u->is_form && u->is_gzip)
		return error_set(err, ERROR_UNSUPPORTED,
			"a form that is compressed is not offered");
	if (u->metadata.n && needs_program(u))
		return error_set(err, ERROR_UNSUPPORTED,
			"metadata of a file of another user's, or of a compressed one, is not offered");
	if (u->is_form)
		return multipart_init(&u->form, type, &parts, u, err);
	return begin_file(u, u->path, err);
}

void e2b_files_post(struct http_request *r)
{
	static const struct http_ops ops = {
		.on_body = on_body,
		.on_body_end = on_body_end,
		.on_closed = on_closed,
	};
	const struct e2b_box *b = e2b_box_of_data(r);
	struct error err;
	if (!b)
		return;
	struct upload *u = mem_new(struct upload);
	u->r = r;
	u->e2b = b->e2b;
	snprintf(u->id, sizeof(u->id), "%s", b->id);
	list_init(&u->pieces);
	if (begin(u, &err) < 0) {
		u->is_form = false;
		upload_free(u);
		e2b_fail_error(r, &err);
		return;
	}
	http_listen(r, &ops, u);
}
