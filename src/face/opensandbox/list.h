/* SPDX-License-Identifier: Apache-2.0 */
/* list: pages, as OpenSandbox's lists have them. */
#pragma once

#include "face/opensandbox/state.h"

struct osb_pages {
	int64_t page, size; /* from 1 */
	int64_t n;          /* that were seen so far */
};

/* Of ?page= and ?pageSize=. */
int osb_pages_read(struct http_request *r, struct osb_pages *p, struct error *err);
/* One more that fits what was asked for: whether it is on this page. */
bool osb_pages_has(struct osb_pages *p);
void osb_pages_put(const struct osb_pages *p, struct jsonw *w); /* "pagination":{…} */
/* True if one of several ?state= is this, or there is none. */
bool osb_state_is_wanted(struct http_request *r, const char *state);
