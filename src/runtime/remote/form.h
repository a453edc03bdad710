/* SPDX-License-Identifier: Apache-2.0 */
/*
 * form: a multipart form on its way to another server, whose bytes come from the caller as they
 * come. What it sends is queued up to FORM_HIGH, then it waits (channel_pause). Private to
 * runtime/remote.
 */
#pragma once

#include "base/id.h"
#include "runtime/remote/site.h"

struct form {
	struct far *far;
	char boundary[ID_SIZE];
	struct buf queue;
	size_t at; /* of the queue: sent */
	bool has_all;
};

enum { FORM_HIGH = 1024 * 1024 };

void form_init(struct form *form, struct far *far);
void form_fini(struct form *form);
/* Sends it to the server; `then` gets the answer. */
void form_begin(struct form *form, const char *path, far_fn *then);
void form_feed(struct form *form, struct str bytes);
void form_end(struct form *form); /* closes the part and the form */
