/* SPDX-License-Identifier: Apache-2.0 */
#include "face/rest/handlers.h"

#include "base/clock.h"

void meta_health(struct http_request *r)
{
	http_reply(r, 200, "application/json", STR("{\"status\":\"ok\"}"));
}

void meta_version(struct http_request *r)
{
	auto_buf struct buf b = BUF_INIT(1024);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "name", STR("cay"));
	jsonw_key_str(&w, "version", str_from(rest_of(r)->version));
	jsonw_key_str(&w, "api", STR("v1"));
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}

void meta_openapi(struct http_request *r)
{
	auto_buf struct buf b = BUF_INIT(REST_JSON_MAX);
	rest_openapi(rest_of(r)->version, &b);
	http_reply_json(r, 200, &b);
}

static void put_controls(uint64_t there, struct jsonw *w)
{
	jsonw_open(w);
	for (int i = 0; i < CONTROL_MAX; i++) {
		jsonw_key(w, control_name((enum control)i));
		jsonw_open(w);
		jsonw_key_bool(w, "available", there & 1ull << i);
		jsonw_key_str(w, "meaning", str_from(control_text((enum control)i)));
		jsonw_close(w);
	}
	jsonw_close(w);
}

void meta_capabilities(struct http_request *r)
{
	const struct enforced *host = runtime_host(rest_of(r)->runtime);
	auto_buf struct buf b = BUF_INIT(64 * 1024);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key(&w, "controls");
	put_controls(host->controls, &w);
	jsonw_key(&w, "actions");
	jsonw_open_array(&w);
	for (const struct action *const *a = action_table; *a; a++)
		jsonw_str(&w, str_from((*a)->name));
	jsonw_close_array(&w);
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}

static void put_states(const struct runtime_stats *stats, struct jsonw *w)
{
	jsonw_open(w);
	for (int i = 0; i < SANDBOX_STATE_MAX; i++)
		if (stats->by_state[i])
			jsonw_key_int(w, sandbox_state_name((enum sandbox_state)i),
				stats->by_state[i]);
	jsonw_close(w);
}

void meta_stats(struct http_request *r)
{
	struct runtime_stats stats;
	runtime_stats(rest_of(r)->runtime, &stats);
	struct http_server_stats http = http_server_stats(r->server);
	auto_buf struct buf b = BUF_INIT(8192);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_int(&w, "uptime_ms", clock_mono_ms() - stats.started_ms);
	jsonw_key_int(&w, "sandboxes", stats.sandboxes);
	jsonw_key_int(&w, "sandboxes_max", stats.sandboxes_max);
	jsonw_key(&w, "by_state");
	put_states(&stats, &w);
	jsonw_key_int(&w, "created", stats.created);
	jsonw_key_int(&w, "failed", stats.failed);
	jsonw_key_int(&w, "calls", stats.calls);
	jsonw_key_int(&w, "calls_under_way", stats.calls_under_way);
	jsonw_key_int(&w, "events", stats.events);
	jsonw_key_int(&w, "store_bytes", stats.store_bytes);
	jsonw_key_int(&w, "connections", http.connections);
	jsonw_key_int(&w, "requests", http.requests_total);
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}
