/* SPDX-License-Identifier: Apache-2.0 */
/* reply: errors in the envelope of the original, {"detail":"…"}. */
#pragma once

#include "http/server.h"

void reply_detail(struct http_request *r, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* 422; the errors are one string. */
void reply_invalid(struct http_request *r, const char *errors);
/* Appends the body alone. */
void reply_put_detail(struct buf *b, struct str text);
