/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/internal.h"

#include "base/auto.h"
#include "base/clock.h"

/* In thousandths of an event. It begins anew to tell when it may tell of some more in a row. */
enum { EVENT = 1000, AT_ONCE = 200 * EVENT, PER_MS = 20, ANEW = 20 * EVENT };

static void refill(struct audit_rate *r)
{
	int64_t now_ms = clock_mono_ms(), passed_ms = now_ms - r->at_ms;
	r->at_ms = now_ms;
	r->room = MIN(AT_ONCE, r->room + MIN(passed_ms, AT_ONCE / PER_MS) * PER_MS);
	if (r->room >= ANEW)
		r->is_cut = false;
}

void audit_network_lost(struct sandbox *s)
{
	auto_buf struct buf b = BUF_INIT(256);
	buf_puts(&b,
		"{\"decision\":\"unknown\",\"reason\":\"more was decided than could be told\"}");
	audit_add(s, "network", 0, &b);
}

void audit_network_closed(struct sandbox *s, const char *reason)
{
	auto_buf struct buf b = BUF_INIT(256);
	if (s->state == SANDBOX_STOPPING || s->state == SANDBOX_ENDING)
		return; /* as it should be */
	buf_printf(&b, "{\"decision\":\"closed\",\"reason\":\"%s\"}", reason);
	audit_add(s, "network", 0, &b);
}

void audit_network(struct sandbox *s, const struct buf *data)
{
	struct audit_rate *r = &s->audit_rate;
	refill(r);
	if (r->is_cut)
		return;
	if (r->room >= EVENT) {
		r->room -= EVENT;
		audit_add(s, "network", 0, data);
		return;
	}
	r->is_cut = true;
	audit_network_lost(s);
}
