/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intake: files of a request go into a sandbox as they arrive: the parts of a multipart form, or
 * the body as it is. Each file is a call that is sent the bytes of its part. Calls end in their own
 * time, also while the next part is being read; a call that does not take what it is sent has the
 * client wait.
 *
 *	intake_form(&u->intake, r, &ops, u, &err)     or intake_body(…), and the one file at once
 *	on ops->part: intake_file(…)                  if it is one
 *	on ops->done: answer, intake_fini, free
 *
 * One of done and closed comes, last, from the loop or from within http_listen's callbacks.
 */
#pragma once

#include "action/action.h"
#include "base/buf.h"
#include "base/list.h"
#include "http/server.h"
#include "runtime/runtime.h"
#include "wire/multipart.h"

struct intake;

struct intake_file {
	struct list link; /* intake::files */
	struct intake *intake;
	struct runtime_call *call; /* NULL: it has ended */
	char *path;                /* the face's to change; on the heap */
	bool is_whole;             /* its part has ended */
};

/*
 * A negative number with *err filled breaks the form off. Those of parts may be NULL for a body,
 * those of a part's data and end also for a form. Without `stored` nothing more is to be known;
 * without `failed` and `broken` the first failure is kept (intake_fail).
 */
struct intake_ops {
	int (*part)(void *arg, const struct multipart_part *part, struct error *err);
	/* Of a part for which no file was begun. */
	int (*part_data)(void *arg, struct str bytes, struct error *err);
	int (*part_end)(void *arg, struct error *err);
	/* A file's call has ended; after this it is gone, unless they are kept. err: it failed. */
	void (*stored)(void *arg, struct intake_file *file, struct str result);
	void (*failed)(void *arg, struct intake_file *file, const struct error *err);
	/*
	 * Nothing more is read, as the form is none. What is under way fails next, file by file.
	 */
	void (*broken)(void *arg, const struct error *err);
	void (*done)(void *arg);   /* the request has ended, and all calls */
	void (*closed)(void *arg); /* the client has gone */
};

struct intake {
	struct http_request *r;
	const struct intake_ops *ops;
	void *arg;
	struct multipart form;
	bool keeps_files; /* the face's: until the end, and not each until its own */
	bool is_form, is_file, has_ended, is_broken;
	bool has_failed;
	struct error failure;     /* the first */
	struct intake_file *file; /* that is being read; NULL: none, or it has ended */
	struct list files;        /* in their order; intake_file::link */
	size_t n_running;
};

/* ERROR_INVALID: its Content-Type is that of no form; then there is nothing to fini. */
int intake_form(struct intake *in, struct http_request *r, const struct intake_ops *ops, void *arg,
	struct error *err);
void intake_body(struct intake *in, struct http_request *r, const struct intake_ops *ops,
	void *arg);
void intake_fail(struct intake *in, const struct error *err);
void intake_fini(struct intake *in); /* cancels what is under way */
/* Has the request's body come. */
void intake_listen(struct intake *in);
/* params: JSON; path: copied. What comes until the part's end goes to this call. */
void intake_file(struct intake *in, struct sandbox *s, const struct action *action,
	const struct buf *params, struct str path);
