/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /files/upload: pairs of parts, `metadata` (JSON that says where to) and `file`, which goes
 * into the sandbox as it arrives; the n-th file belongs to the n-th metadata, which comes before
 * it. Each file is one call of the action upload. When the form and all of them have ended, owners
 * and permissions are set, and then comes the answer: that of the first that failed, if one did.
 */
#include "action/file_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "face/opensandbox/files.h"
#include "face/opensandbox/handlers.h"
#include "wire/multipart.h"

enum { METADATA_MAX = 16 * 1024 };

struct upload {
	struct http_request *r;
	struct osb *osb;
	char id[ID_SIZE];
	struct multipart form;
	bool has_ended, is_broken; /* the body has; nothing more is read of it */
	enum { PART_OTHER, PART_METADATA, PART_FILE } part;
	struct buf metadata;           /* of the part that is being read */
	struct osb_permission *wanted; /* of each metadata, in their order */
	size_t n_wanted, n_files, n_running;
	struct piece *piece; /* that is being read; NULL: none */
	struct list pieces;  /* piece::link */
	bool has_failed;
	struct error failure; /* the first */
};

struct piece {
	struct list link;
	struct upload *upload;
	struct runtime_call *call; /* NULL: it has ended */
	bool is_whole;             /* its part has ended */
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
		free(p);
	}
	multipart_fini(&u->form);
	buf_fini(&u->metadata);
	free(u);
}

static void answer_if_done(struct upload *u)
{
	struct http_request *r = u->r;
	struct error err;
	if (!u->has_ended || u->n_running)
		return;
	if (!u->has_failed && (!u->n_files || u->n_files != u->n_wanted)) {
		error_set(&err, ERROR_INVALID, "metadata and file count mismatch: %zu vs %zu",
			u->n_wanted, u->n_files);
		fail(u, &err);
	}
	if (u->has_failed) {
		osb_execd_error(r, &u->failure);
		upload_free(u);
		return;
	}
	/* The array is the request's, which lives on. */
	const struct osb_permission *wanted = u->wanted;
	size_t n = u->n_wanted;
	upload_free(u);
	struct chore *e = osb_chore(r);
	if (e)
		osb_permissions_set(e, wanted, n, false);
}

/* ---- one file ---- */

static void piece_end(struct piece *p)
{
	struct upload *u = p->upload;
	p->call = NULL;
	u->n_running--;
	http_pause_body(u->r, false);
	answer_if_done(u);
}

static void on_stored(void *arg, struct str text)
{
	piece_end(arg);
}

static void on_not_stored(void *arg, const struct error *err)
{
	struct piece *p = arg;
	fail(p->upload, err);
	piece_end(p);
}

static void on_taken(void *arg)
{
	struct piece *p = arg;
	http_pause_body(p->upload->r, false);
}

static int begin_file(struct upload *u, struct error *err)
{
	static const struct call_sink sink = {
		.drain = on_taken,
		.result = on_stored,
		.error = on_not_stored,
	};
	auto_buf struct buf params = BUF_INIT(64 * 1024);
	struct jsonw w = JSONW(&params);
	struct sandbox *s = osb_find(u->osb, str_from(u->id));
	if (!s)
		return error_set(err, ERROR_GONE, "the sandbox is gone");
	if (u->n_files == u->n_wanted)
		return error_set(err, ERROR_INVALID, "a file without metadata before it");
	jsonw_open(&w);
	jsonw_key_str(&w, "path", u->wanted[u->n_files++].path);
	jsonw_close(&w);
	struct piece *p = mem_new(struct piece);
	p->upload = u;
	list_append(&u->pieces, &p->link);
	u->n_running++;
	u->piece = p;
	p->call = runtime_perform(s, &upload_action, buf_str(&params), &sink, p);
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
	struct piece *p = take_ptr(u->piece);
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
	buf_reset(&u->metadata);
	u->part = str_is(part->name, "metadata") ? PART_METADATA
		: str_is(part->name, "file")     ? PART_FILE
						 : PART_OTHER;
	return u->part == PART_FILE ? begin_file(u, err) : 0;
}

static int on_part_data(void *arg, struct str bytes, struct error *err)
{
	struct upload *u = arg;
	if (u->part == PART_FILE)
		send_bytes(u, bytes);
	else if (u->part == PART_METADATA && buf_put(&u->metadata, bytes) < 0)
		return error_set(err, ERROR_TOO_LARGE, "metadata of over %d bytes", METADATA_MAX);
	return 0;
}

static int take_metadata(struct upload *u, struct error *err)
{
	auto_json struct json *metadata = NULL;
	if (u->n_wanted == OSB_PATHS_MAX || !arena_has_room(&u->r->arena, 8 * OSB_PATH_MAX))
		return error_set(err, ERROR_LIMIT, "over %d files, or paths too long together",
			OSB_PATHS_MAX);
	if (json_parse(buf_str(&u->metadata), &metadata, err) < 0)
		return error_wrap(err, "metadata");
	if (osb_permission_read(u->r, json_str(json_find(metadata, "path")), metadata,
		    &u->wanted[u->n_wanted], err) < 0)
		return error_wrap(err, "metadata");
	u->n_wanted++;
	return 0;
}

static int on_part_end(void *arg, struct error *err)
{
	struct upload *u = arg;
	if (u->part == PART_METADATA)
		return take_metadata(u, err);
	end_file(u);
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
	if (!u->is_broken && multipart_parse(&u->form, bytes, &err) < 0)
		break_off(u, &err);
}

static void on_body_end(void *arg)
{
	struct upload *u = arg;
	struct error err;
	if (!u->is_broken && multipart_end(&u->form, &err) < 0)
		break_off(u, &err);
	u->has_ended = true;
	answer_if_done(u);
}

static void on_closed(void *arg)
{
	struct upload *u = arg;
	struct http_request *r = u->r;
	struct error err;
	upload_free(u);
	error_set(&err, ERROR_CANCELLED, "the client went away");
	osb_execd_error(r, &err);
}

void osb_files_upload(struct http_request *r)
{
	static const struct http_ops ops = {
		.on_body = on_body,
		.on_body_end = on_body_end,
		.on_closed = on_closed,
	};
	static const struct multipart_ops parts = { on_part, on_part_data, on_part_end };
	const struct sandbox *s = osb_execd_sandbox(r);
	struct multipart form;
	struct error err;
	if (!s)
		return;
	struct upload *u = mem_new(struct upload);
	if (multipart_init(&form, http_header(r, "Content-Type"), &parts, u, &err) < 0) {
		free(u);
		osb_execd_error(r, &err);
		return;
	}
	u->form = form;
	u->r = r;
	u->osb = osb_of(r);
	snprintf(u->id, sizeof(u->id), "%s", s->id);
	u->wanted = arena_new_n(&r->arena, struct osb_permission, OSB_PATHS_MAX);
	buf_init(&u->metadata, METADATA_MAX);
	list_init(&u->pieces);
	http_listen(r, &ops, u);
}
