/* SPDX-License-Identifier: Apache-2.0 */
/*
 * marks: a shell's output taken apart. After each command the shell of a session writes "\036TAG
 * CODE\n" to both of its outputs; the tag is a random word that nobody else knows. Pieces may be
 * cut anywhere; what is no mark is data, also what only begins like one.
 */
#pragma once

#include "base/buf.h"
#include "base/id.h"

enum { MARKS_CODE_MAX = 8 };

struct marks {
	char mark[ID_SIZE + 2]; /* "\036TAG " */
	struct buf carry;       /* what may be the beginning of a mark */
};

struct marks_ops {
	void (*data)(void *arg, struct str bytes);
	void (*mark)(void *arg, int code);
};

void marks_init(struct marks *m, const char *tag);
void marks_fini(struct marks *m);
void marks_feed(struct marks *m, struct str bytes, const struct marks_ops *ops, void *arg);
/* No more comes: what was held back is data. */
void marks_end(struct marks *m, const struct marks_ops *ops, void *arg);
