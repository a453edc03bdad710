/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_layer: one layer of an archive that has been unpacked: a file of the import's sandbox is
 * downloaded, hashed on its way through the server, and uploaded into a directory beside it. Two
 * calls, at the pace of the slower one.
 */
#pragma once

#include "base/str.h"
#include "runtime/runtime.h"

#include <stdint.h>

struct import_layer;

/* One of them is called, once, never from inside; the copy is gone then. */
struct import_layer_ops {
	void (*done)(void *arg, const char *digest, int64_t written_bytes);
	void (*failed)(void *arg, const struct error *err);
};

/* Paths of the sandbox. More than max_bytes in the directory are an error. */
struct import_layer *import_layer_new(struct sandbox *s, const char *from, const char *to,
	int64_t max_bytes, const struct import_layer_ops *ops, void *arg);
void import_layer_cancel(struct import_layer *l); /* NULL is fine */
