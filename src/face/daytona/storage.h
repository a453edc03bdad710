/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage: the object store that Daytona's clients send the files of an image to: one bucket, by as
 * much of the S3 protocol as their S3 libraries speak (put, head, list, upload in parts). An object
 * is an archive, found again by the hash in its key, "ORGANIZATION/HASH/context.tar".
 *
 * Objects lie in files without a name, so nothing of them is left when the server ends; clients ask
 * whether one is there before they send it. At most STORAGE_OBJECTS_MAX and STORAGE_BYTES_MAX are
 * kept, the oldest go first.
 */
#pragma once

#include "face/daytona/state.h"

enum { STORAGE_OBJECTS_MAX = 64, STORAGE_PARTS_MAX = 10000 };
#define STORAGE_BYTES_MAX ((int64_t)4 << 30)
#define STORAGE_ROOT      "/daytona/storage/"
#define STORAGE_BUCKET    "contexts"

struct stored;

/* NULL: it was not sent, or not to its end. Held until storage_release. */
struct stored *storage_hold(struct daytona *d, struct str hash);
void storage_release(struct stored *o); /* NULL is fine */
/* What of it is at *position, at most `max` bytes; moves it. 0: its end; -1: err. */
int storage_read(const struct stored *o, int64_t *position, char *bytes, size_t max,
	struct error *err);
void storage_free_all(struct daytona *d);

void storage_access(struct http_request *r); /* GET /object-storage/push-access */
bool storage_may(const struct http_request *r);
void storage_head(struct http_request *r);
void storage_list(struct http_request *r);
void storage_put(struct http_request *r);
void storage_post(struct http_request *r);
void storage_abort(struct http_request *r);
