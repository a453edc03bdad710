/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /files/upload: pairs of parts, `metadata` (JSON that says where to) and `file`, which goes
 * into the sandbox as it arrives; the n-th file belongs to the n-th metadata, which comes before
 * it. When all of them are there, owners and permissions are set, and then comes the answer: that
 * of the first that failed, if one did.
 */
#include "action/file_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "face/intake.h"
#include "face/opensandbox/files.h"
#include "face/opensandbox/handlers.h"

enum { METADATA_MAX = 16 * 1024 };

struct upload {
	struct intake intake;
	struct http_request *r;
	struct osb *osb;
	char id[ID_SIZE];
	bool is_metadata;              /* what is being read */
	struct buf metadata;           /* of that part */
	struct osb_permission *wanted; /* of each metadata, in their order */
	size_t n_wanted, n_files;
};

static void upload_free(struct upload *u)
{
	intake_fini(&u->intake);
	buf_fini(&u->metadata);
	free(u);
}

/* ---- the form ---- */

static int begin_file(struct upload *u, struct error *err)
{
	auto_buf struct buf params = BUF_INIT(64 * 1024);
	struct jsonw w = JSONW(&params);
	struct sandbox *s = osb_find(u->osb, str_from(u->id));
	if (!s)
		return error_set(err, ERROR_GONE, "the sandbox is gone");
	if (u->n_files == u->n_wanted)
		return error_set(err, ERROR_INVALID, "a file without metadata before it");
	struct str path = u->wanted[u->n_files++].path;
	jsonw_open(&w);
	jsonw_key_str(&w, "path", path);
	jsonw_close(&w);
	intake_file(&u->intake, s, &upload_action, &params, path);
	return 0;
}

static int on_part(void *arg, const struct multipart_part *part, struct error *err)
{
	struct upload *u = arg;
	buf_reset(&u->metadata);
	u->is_metadata = str_is(part->name, "metadata");
	return str_is(part->name, "file") ? begin_file(u, err) : 0;
}

static int on_part_data(void *arg, struct str bytes, struct error *err)
{
	struct upload *u = arg;
	if (u->is_metadata && buf_put(&u->metadata, bytes) < 0)
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
	return u->is_metadata ? take_metadata(u, err) : 0;
}

/* ---- what comes of it ---- */

static void on_done(void *arg)
{
	struct upload *u = arg;
	struct http_request *r = u->r;
	struct error err;
	if (!u->intake.has_failed && (!u->n_files || u->n_files != u->n_wanted)) {
		error_set(&err, ERROR_INVALID, "metadata and file count mismatch: %zu vs %zu",
			u->n_wanted, u->n_files);
		intake_fail(&u->intake, &err);
	}
	if (u->intake.has_failed) {
		osb_execd_error(r, &u->intake.failure);
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
	static const struct intake_ops ops = {
		.part = on_part,
		.part_data = on_part_data,
		.part_end = on_part_end,
		.done = on_done,
		.closed = on_closed,
	};
	const struct sandbox *s = osb_execd_sandbox(r);
	struct error err;
	if (!s)
		return;
	struct upload *u = mem_new(struct upload);
	if (intake_form(&u->intake, r, &ops, u, &err) < 0) {
		free(u);
		osb_execd_error(r, &err);
		return;
	}
	u->r = r;
	u->osb = osb_of(r);
	snprintf(u->id, sizeof(u->id), "%s", s->id);
	u->wanted = arena_new_n(&r->arena, struct osb_permission, OSB_PATHS_MAX);
	buf_init(&u->metadata, METADATA_MAX);
	intake_listen(&u->intake);
}
