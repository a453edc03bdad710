/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verb lay, in a worker: a layer comes out of the pipe that the call brought, from another
 * executor's verb layer. Who wrote it is not believed: what files may be is decided in unpack.c.
 */
#include "action/image_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "executor/executor.h"
#include "executor/files.h"
#include "executor/image_verbs.h"
#include "executor/unpack.h"

static int lay_in_worker(void *arg, struct worker_io *io, struct buf *result, struct error *err)
{
	const struct lay_params *p = arg;
	const struct unpack_how how = { .max_bytes = p->max_bytes };
	auto_free char *path = str_dup(p->path);
	auto_fd int dir_fd = -1;
	struct unpack_counts counts;
	if (path_mkdirs(io->root, path, 0755, err) < 0 ||
		path_open_dir(io->root, path, &dir_fd, err) < 0)
		return -1;
	if (unpack(UNPACK_CRATE, &how, io->stream_fd, dir_fd, io->root, &counts, err) < 0)
		return error_wrap(err, "make a layer, after %lld entries",
			(long long)MAX(0, counts.items - 1));
	struct jsonw w = JSONW(result);
	jsonw_open(&w);
	jsonw_key_int(&w, "entries", counts.items);
	jsonw_key_int(&w, "written_bytes", counts.written);
	jsonw_close(&w);
	return 0;
}

static void start_lay(struct call *call, const void *params)
{
	struct error err;
	struct worker *w = NULL;
	if (call->stream_fd < 0)
		error_set(&err, ERROR_PROTOCOL, "lay: no pipe came with it");
	else
		w = worker_new(&call->executor->files->streams, call, lay_in_worker,
			(void *)(uintptr_t)params, &err);
	call->state = w;
	if (!w)
		call_fail(call, &err);
}

const struct verb lay_verb = {
	.action = &lay_action,
	.start = start_lay,
	.drain = worker_on_drain,
	.drop = worker_on_drop,
};
