/* SPDX-License-Identifier: Apache-2.0 */
#include "face/intake.h"

#include "base/auto.h"
#include "base/bug.h"

static void file_free(struct intake_file *f)
{
	if (f->intake->file == f)
		f->intake->file = NULL;
	if (f->call)
		runtime_call_cancel(f->call);
	list_remove(&f->link);
	free(f->path);
	free(f);
}

void intake_fini(struct intake *in)
{
	while (!list_is_empty(&in->files))
		file_free(list_get_first(&in->files, struct intake_file, link));
	if (in->is_form)
		multipart_fini(&in->form);
}

void intake_fail(struct intake *in, const struct error *err)
{
	if (!in->has_failed)
		in->failure = *err;
	in->has_failed = true;
}

static void tell_if_done(struct intake *in)
{
	if (in->has_ended && in->n_running == 0)
		in->ops->done(in->arg);
}

/* ---- a file ---- */

static void tell_failure(struct intake_file *f, const struct error *err)
{
	struct intake *in = f->intake;
	if (in->ops->failed)
		in->ops->failed(in->arg, f, err);
	else
		intake_fail(in, err);
}

static void file_end(struct intake_file *f)
{
	struct intake *in = f->intake;
	in->n_running--;
	if (!in->keeps_files)
		file_free(f);
}

static void on_stored(void *arg, struct str result)
{
	struct intake_file *f = arg;
	struct intake *in = f->intake;
	f->call = NULL;
	http_pause_body(in->r, false);
	if (in->ops->stored)
		in->ops->stored(in->arg, f, result);
	file_end(f);
	tell_if_done(in);
}

static void on_not_stored(void *arg, const struct error *err)
{
	struct intake_file *f = arg;
	struct intake *in = f->intake;
	f->call = NULL;
	http_pause_body(in->r, false);
	tell_failure(f, err);
	file_end(f);
	tell_if_done(in);
}

static void on_taken(void *arg)
{
	struct intake_file *f = arg;
	http_pause_body(f->intake->r, false);
}

void intake_file(struct intake *in, struct sandbox *s, const struct action *action,
	const struct buf *params, struct str path)
{
	static const struct call_sink sink = {
		.drain = on_taken,
		.result = on_stored,
		.error = on_not_stored,
	};
	struct intake_file *f = mem_new(struct intake_file);
	f->intake = in;
	f->path = str_dup(path);
	list_append(&in->files, &f->link);
	in->n_running++;
	in->file = f;
	in->is_file = true;
	f->call = runtime_perform(s, action, buf_str(params), &sink, f);
}

/* A file may have ended before its part has: the rest of that is nobody's. */
static void send_bytes(struct intake *in, struct str bytes)
{
	struct intake_file *f = in->file;
	if (!f || !f->call || runtime_call_is_over(f->call))
		return;
	runtime_call_send(f->call, 0, bytes);
	if (runtime_call_is_full(f->call))
		http_pause_body(in->r, true);
}

static void end_bytes(struct intake *in)
{
	struct intake_file *f = take_ptr(in->file);
	if (!f)
		return;
	f->is_whole = true;
	if (f->call && !runtime_call_is_over(f->call))
		runtime_call_eof(f->call, 0);
}

/* ---- the form ---- */

static int on_part(void *arg, const struct multipart_part *part, struct error *err)
{
	struct intake *in = arg;
	in->is_file = false;
	return in->ops->part(in->arg, part, err);
}

static int on_part_data(void *arg, struct str bytes, struct error *err)
{
	struct intake *in = arg;
	if (!in->is_file)
		return in->ops->part_data ? in->ops->part_data(in->arg, bytes, err) : 0;
	send_bytes(in, bytes);
	return 0;
}

static int on_part_end(void *arg, struct error *err)
{
	struct intake *in = arg;
	if (!in->is_file)
		return in->ops->part_end ? in->ops->part_end(in->arg, err) : 0;
	end_bytes(in);
	return 0;
}

/* ---- the request ---- */

/* What is under way has got less than it was to get. */
static void break_off(struct intake *in, const struct error *why)
{
	struct intake_file *f, *tmp;
	struct error err;
	in->is_broken = true;
	in->file = NULL;
	http_pause_body(in->r, false); /* who was to go on with it may be cancelled here */
	if (in->ops->broken)
		in->ops->broken(in->arg, why);
	else
		intake_fail(in, why);
	error_set(&err, ERROR_INVALID, "the form ended within the file");
	list_for_each_safe(f, tmp, &in->files, link) {
		if (f->is_whole || !f->call)
			continue;
		runtime_call_cancel(take_ptr(f->call));
		tell_failure(f, &err);
		file_end(f);
	}
}

static void on_body(void *arg, struct str bytes)
{
	struct intake *in = arg;
	struct error err;
	if (!in->is_form)
		send_bytes(in, bytes);
	else if (!in->is_broken && multipart_parse(&in->form, bytes, &err) < 0)
		break_off(in, &err);
}

static void on_body_end(void *arg)
{
	struct intake *in = arg;
	struct error err;
	if (!in->is_form)
		end_bytes(in);
	else if (!in->is_broken && multipart_end(&in->form, &err) < 0)
		break_off(in, &err);
	in->has_ended = true;
	tell_if_done(in);
}

static void on_closed(void *arg)
{
	struct intake *in = arg;
	in->ops->closed(in->arg);
}

static void init(struct intake *in, struct http_request *r, const struct intake_ops *ops, void *arg)
{
	*in = (struct intake){ .r = r, .ops = ops, .arg = arg };
	list_init(&in->files);
}

void intake_body(struct intake *in, struct http_request *r, const struct intake_ops *ops, void *arg)
{
	init(in, r, ops, arg);
}

int intake_form(struct intake *in, struct http_request *r, const struct intake_ops *ops, void *arg,
	struct error *err)
{
	static const struct multipart_ops parts = { on_part, on_part_data, on_part_end };
	init(in, r, ops, arg);
	if (multipart_init(&in->form, http_header(r, "Content-Type"), &parts, in, err) < 0)
		return -1;
	in->is_form = true;
	return 0;
}

void intake_listen(struct intake *in)
{
	static const struct http_ops ops = {
		.on_body = on_body,
		.on_body_end = on_body_end,
		.on_closed = on_closed,
	};
	http_listen(in->r, &ops, in);
}
