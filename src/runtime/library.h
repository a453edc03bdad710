/* SPDX-License-Identifier: Apache-2.0 */
/*
 * library: the images of a backend that has its own (struct backend_ops), in place of those that
 * the server keeps (runtime/images.h). An image is told as there:
 * {"id","names","created_at","size_bytes","architecture","layers", "config"}, as far as the backend
 * knows.
 *
 * Each question is answered exactly once, never from inside library_ask. A work is a body that is
 * streamed to the backend: exactly one of done and failed is called, never from inside library_*,
 * after which it is gone.
 */
#pragma once

#include "runtime/build.h"

struct backend;

enum library_verb {
	LIBRARY_LIST,    /* {"images":[image,…]} */
	LIBRARY_INSPECT, /* image */
	LIBRARY_FETCH,   /* image; from a registry, if it is not there */
	LIBRARY_TAG,     /* `more`: one more name; image */
	LIBRARY_REMOVE,  /* {"removed":whether the image itself is gone} */
	LIBRARY_COLLECT, /* what has no name and is not used: {"images":N,"layers":0} */
};

struct library_question {
	enum library_verb what;
	struct str name, more;
	bool is_forced;
};

typedef void library_fn(void *arg, struct str json, const struct error *err);

struct library_wish {
	enum {
		LIBRARY_IMPORT_TREE,    /* a root file system, which becomes `name` */
		LIBRARY_IMPORT_ARCHIVE, /* docker save, or an OCI layout */
		LIBRARY_BUILD,          /* `build` */
	} what;
	struct str name;
	const struct build_wish *build;
};

struct library_ops {
	void (*drain)(void *arg);                 /* takes more again */
	void (*said)(void *arg, struct str text); /* of a build; may be NULL */
	void (*done)(void *arg, struct str json); /* the image, or {"images":[…]} of an import */
	void (*failed)(void *arg, const struct error *err);
};

struct library_work;

/* What a backend offers; its works begin with a struct library_work. */
struct library {
	void (*ask)(struct backend *b, const struct library_question *question, library_fn *done,
		void *arg);
	struct library_work *(*open)(struct backend *b, const struct library_wish *wish,
		const struct library_ops *ops, void *arg);
	void (*send)(struct library_work *w, struct str bytes);
	void (*eof)(struct library_work *w);
	bool (*is_full)(const struct library_work *w);
	void (*cancel)(struct library_work *w);
};

struct library_work {
	const struct library *library;
};

/* Only where runtime_has_other_images. Names are copied. */
void library_ask(struct runtime *rt, const struct library_question *question, library_fn *done,
	void *arg);
struct library_work *library_open(struct runtime *rt, const struct library_wish *wish,
	const struct library_ops *ops, void *arg);
void library_send(struct library_work *w, struct str bytes);
void library_eof(struct library_work *w);
bool library_is_full(const struct library_work *w);
void library_cancel(struct library_work *w); /* NULL is fine */
