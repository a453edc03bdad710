/* SPDX-License-Identifier: Apache-2.0 */
/*
 * multipart: a body of multipart/form-data (RFC 7578), read as it arrives. Pieces may be cut
 * anywhere.
 *
 *	struct multipart m;
 *	if (multipart_init(&m, content_type, &ops, arg, err) < 0) …
 *	while (…) if (multipart_parse(&m, piece, err) < 0) …
 *	if (multipart_end(&m, err) < 0) …                  the closing boundary was there
 *	multipart_fini(&m);
 *
 * For each part on_part, then on_data (any number of times), then on_part_end. A callback that
 * returns a negative number, with *err filled, ends the parsing. At most MULTIPART_PARTS_MAX parts,
 * with headers of at most MULTIPART_HEAD_MAX bytes each; how long their data may be is the
 * receiver's to say.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

enum { MULTIPART_PARTS_MAX = 1000, MULTIPART_HEAD_MAX = 8 * 1024, MULTIPART_BOUNDARY_MAX = 70 };

struct multipart_part {
	struct str name; /* of the form's field */
	/* as sent: a name, never to be trusted as a path; STR_NONE if it is no file */
	struct str filename;
	struct str type; /* Content-Type, STR_NONE if there is none */
};

struct multipart_ops {
	int (*on_part)(void *arg, const struct multipart_part *part, struct error *err);
	int (*on_data)(void *arg, struct str piece, struct error *err);
	int (*on_part_end)(void *arg, struct error *err);
};

struct multipart {
	const struct multipart_ops *ops;
	void *arg;
	enum { MULTIPART_START, MULTIPART_HEAD, MULTIPART_DATA, MULTIPART_EPILOGUE } state;
	struct buf in; /* what may be the start of a boundary, or a head that is not whole */
	char delimiter[4 + MULTIPART_BOUNDARY_MAX + 1]; /* "\r\n--boundary" */
	size_t delimiter_len;
	int n_parts;
};

/* content_type: of the request: multipart/form-data; boundary=… */
int multipart_init(struct multipart *m, struct str content_type, const struct multipart_ops *ops,
	void *arg, struct error *err);
void multipart_fini(struct multipart *m);
int multipart_parse(struct multipart *m, struct str piece, struct error *err);
int multipart_end(struct multipart *m, struct error *err);
