/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy_headers: which headers of a request and of an answer a proxy passes on, and how they
 * change.
 */
#pragma once

#include "http/proxy.h"
#include "wire/http1.h"

/*
 * Appends the request's head for upstream. `protocol` is STR_NONE unless an upgrade is asked for.
 */
void proxy_put_request(struct http_request *r, const struct proxy_target *target,
	struct str protocol, struct buf *b);
/*
 * Adds the headers of upstream's answer to the request's. -1: they are too many, and none is added.
 */
int proxy_take_reply(struct http_request *r, const struct proxy_target *target,
	const struct http1_head *head, struct error *err);
