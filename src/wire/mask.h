/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mask: secrets taken out of what is shown: each place where one stands becomes <secret_hidden>.
 *
 *	struct mask m = { 0 };
 *	mask_add(&m, STR("s3cret"));
 *	mask_put(&m, text, MASK_PLAIN, &out);
 *
 * In JSON a value is looked for as it stands in a string, escaped. A value shorter than MASK_MIN
 * bytes is not masked: it would hide half of every text. Nor is one that was encoded, in base64 for
 * one: this keeps secrets out of logs by accident, not from who is determined to print one.
 */
#pragma once

#include "base/buf.h"

enum { MASK_MIN = 4, MASK_VALUES_MAX = 256, MASK_VALUE_MAX = 64 * 1024 };
#define MASK_TEXT "<secret_hidden>"

enum mask_form { MASK_PLAIN, MASK_JSON, MASK_FORMS };

struct mask {
	char **values[MASK_FORMS]; /* the longest first */
	size_t n;
};

void mask_fini(struct mask *m);
void mask_add(struct mask *m, struct str value); /* one too many or too long is left out */
/* Whether any stands in it. */
bool mask_finds(const struct mask *m, struct str text, enum mask_form form);
/* Appends the text, masked. */
void mask_put(const struct mask *m, struct str text, enum mask_form form, struct buf *out);
/*
 * Of what mask_put gave: how many bytes at the end may be the beginning of one that goes on in what
 * comes next.
 */
size_t mask_tail(const struct mask *m, struct str text);
