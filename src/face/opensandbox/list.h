/* SPDX-License-Identifier: Apache-2.0 */
/* list: pages, as OpenSandbox's lists have them. */
#pragma once

#include "face/opensandbox/state.h"

enum { OSB_STATES_MAX = 16 };

struct osb_pages {
	int64_t page, size;                /* from 1 */
	int64_t n;                         /* that were seen so far */
	struct str states[OSB_STATES_MAX]; /* one of them; none: any */
	size_t n_states;
};

/* Of ?page=, ?pageSize= and any number of ?state=. */
int osb_pages_read(struct http_request *r, struct osb_pages *p, struct error *err);
/* One more that fits what was asked for: whether it is on this page. */
bool osb_pages_has(struct osb_pages *p);
void osb_pages_put(const struct osb_pages *p, struct jsonw *w); /* "pagination":{…} */
bool osb_pages_want(const struct osb_pages *p, const char *state);
