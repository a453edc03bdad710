/* SPDX-License-Identifier: Apache-2.0 */
/*
 * said: what an engine says of images, in our words. No socket, no clock. Private to
 * runtime/engine.
 *
 * Of its work it says JSON objects, one a line, in pieces that end anywhere:
 *
 *	{"stream":"Step 1/2 : FROM a\n"}             what is shown
 *	{"aux":{"ID":"sha256:…"}}                    what was made; also as the status of an import, or in words:
 *	{"stream":"Loaded image: a:b\n"}             "Loaded image: NAME", "Loaded image ID: sha256:…"
 *	{"errorDetail":{"message":…},"error":…}      why it failed, after a status of 200
 */
#pragma once

#include "base/buf.h"
#include "wire/json.h"

enum { SAID_LINE_MAX = 256 * 1024, SAID_MADE_MAX = 16, SAID_REF_SIZE = 256 };

struct said {
	struct buf line; /* not whole yet */
	bool skips;      /* the rest of a line that is too long */
	char made[SAID_MADE_MAX][SAID_REF_SIZE];
	size_t n_made;
	struct error error;                       /* the first; code ERROR_OK: none */
	void (*show)(void *arg, struct str text); /* may be NULL */
	void *arg;
};

void said_init(struct said *s, void (*show)(void *arg, struct str text), void *arg);
void said_fini(struct said *s);
void said_take(struct said *s, struct str piece);
void said_end(struct said *s); /* a last line without its end */
/* All of it at once: the error in it, or 0. */
int said_judge(struct str text, struct error *err);

/* GET /images/NAME/json, and an item of GET /images/json, as runtime/library.h has it. */
void said_put_image(const struct json *image, struct jsonw *w);
