/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /server_info. The figures are those of the server process, as with the original. Times are the
 * sandbox's: how long it is there and since when nobody has asked it to do something, which is what
 * fleets scale by.
 */
#include "face/openhands/handlers.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/usage.h"
#include "face/openhands/reply.h"
#include "face/openhands/state.h"
#include "wire/json.h"

enum { INFO_MAX = 4096 };

/* To one digit behind the point. */
static double percent(int64_t part, int64_t whole)
{
	double tenths = whole > 0 ? (double)part * 1000 / (double)whole : 0;
	return (double)(int64_t)tenths / 10;
}

/* Since it was last asked; the first time, since the face was made. */
static double cpu_percent(struct openhands *oh, int64_t cpu_us)
{
	int64_t now = clock_mono_us();
	double p = percent(cpu_us - oh->cpu_us, now - oh->cpu_seen_us);
	oh->cpu_us = cpu_us;
	oh->cpu_seen_us = now;
	return p;
}

static void put_real(struct jsonw *w, const char *key, double v)
{
	jsonw_key(w, key);
	jsonw_real(w, v);
}

static void put_resources(struct openhands *oh, struct jsonw *w, const struct usage *u)
{
	jsonw_key(w, "resources");
	jsonw_open(w);
	put_real(w, "cpu_percent", cpu_percent(oh, u->cpu_us));
	jsonw_key(w, "memory");
	jsonw_open(w);
	jsonw_key_int(w, "rss", u->rss_bytes);
	jsonw_key_int(w, "vms", u->vms_bytes);
	put_real(w, "percent", percent(u->rss_bytes, u->memory_bytes));
	jsonw_close(w);
	jsonw_key(w, "disk");
	jsonw_open(w);
	jsonw_key_int(w, "total", u->disk_bytes);
	jsonw_key_int(w, "used", u->disk_used);
	jsonw_key_int(w, "free", u->disk_free);
	put_real(w, "percent", percent(u->disk_used, u->disk_used + u->disk_free));
	jsonw_close(w);
	jsonw_key(w, "io");
	jsonw_open(w);
	jsonw_key_int(w, "read_bytes", u->read_bytes);
	jsonw_key_int(w, "write_bytes", u->written_bytes);
	jsonw_close(w);
	jsonw_close(w);
}

/*
 * Milliseconds since the sandbox was made and since its last action; of the face where it is not
 * there.
 */
static void find_times(const struct openhands *oh, const struct sandbox *s, int64_t *ret_up,
	int64_t *ret_idle)
{
	const struct cursor *c = s ? cursors_find(&oh->cursors, s->id) : NULL;
	int64_t now = clock_mono_ms();
	*ret_up = s ? MAX(0, clock_wall_ms() - s->created_ms) : now - oh->started_ms;
	*ret_idle = now - (c ? c->active_ms : s ? s->last_active_ms : oh->started_ms);
}

static void figures(struct http_request *r)
{
	struct openhands *oh = openhands_of(r);
	struct str name = http_param(r, "sandbox");
	struct usage u;
	struct error err;
	int64_t up_ms, idle_ms;
	const struct sandbox *s = name.ptr ? openhands_find_open(r, &err)
					   : runtime_find(oh->rt, STR(OPENHANDS_SANDBOX), NULL);
	if (!s && name.ptr) {
		reply_detail(r, 404, "%s", err.text);
		return;
	}
	if (usage_read(&u, &err) < 0) {
		reply_detail(r, 500, "%s", err.text);
		return;
	}
	find_times(oh, s, &up_ms, &idle_ms);
	auto_buf struct buf b = BUF_INIT(INFO_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	put_real(&w, "uptime", (double)up_ms / 1000);
	put_real(&w, "idle_time", (double)idle_ms / 1000);
	put_resources(oh, &w, &u);
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}

/* Who shows an agent server's key means that one. */
void server_info(struct http_request *r)
{
	if (openhands_has_server_key(r))
		server_api(r);
	else
		figures(r);
}
