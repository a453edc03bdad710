/* SPDX-License-Identifier: Apache-2.0 */
/*
 * url: percent-encoding and queries (RFC 3986, and '+' for a space in queries as browsers send it).
 *
 *	struct str name, value, rest = query;
 *	while (url_query_next(&rest, &name, &value))
 *		…                                         both still encoded
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

enum url_part { URL_PATH, URL_QUERY }; /* in a query '+' is a space */

/* Appends s decoded. ERROR_INVALID: "%" without two hex digits, or NUL in any form. */
int url_decode(struct str s, enum url_part part, struct buf *out, struct error *err);
/*
 * Appends s so that it can stand as one path segment or one query name or value. -1 if out is full.
 */
int url_encode(struct str s, struct buf *out);
/*
 * Cuts the next "name=value" off; false at the end. Empty pieces ("&&") are skipped; ret_value may
 * be "".
 */
bool url_query_next(struct str *rest, struct str *ret_name, struct str *ret_value);
/*
 * Appends the decoded value of the first such name. 1 if it is there, 0 if not, -1 if it cannot be
 * decoded.
 */
int url_query_find(struct str query, const char *name, struct buf *out, struct error *err);
