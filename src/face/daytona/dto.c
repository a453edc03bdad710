/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox as clients of Daytona see it. Their models are strict: a number is no string, and what
 * they require is there.
 */
#include "face/daytona/state.h"

#include "base/auto.h"

#define GIB ((int64_t)1 << 30)

/* Whole cores or GiB, at least one; what is not limited counts as one too. */
static int64_t whole(int64_t value, int64_t unit)
{
	return MAX((value + unit - 1) / unit, (int64_t)1);
}

static void put_limits(const struct spec_limits *limits, struct jsonw *w)
{
	jsonw_key_int(w, "cpu", whole(limits->cpu_milli, 1000));
	jsonw_key_int(w, "gpu", 0);
	jsonw_key_int(w, "memory", whole(limits->memory_bytes, GIB));
	jsonw_key_int(w, "disk", whole(limits->disk_bytes, GIB));
}

/*
 * A sandbox of its own loopback is blocked from everything; one behind the proxy from what is not
 * allowed.
 */
static void put_network(const struct sandbox *s, struct jsonw *w)
{
	auto_json struct json *spec = NULL;
	json_parse(str_from(s->spec_json), &spec, NULL);
	struct str network = json_str(json_find(spec, "network"));
	const struct json *allow = json_find(spec, "allow");
	bool is_open = str_is(network, "proxy") || str_is(network, "host");
	jsonw_key_bool(w, "networkBlockAll", !is_open);
	if (json_len(allow) == 0)
		return;
	auto_buf struct buf list = BUF_INIT(64 * 1024);
	for (size_t i = 0; i < json_len(allow); i++) {
		if (i)
			buf_putc(&list, ',');
		buf_put(&list, json_str(json_at(allow, i)));
	}
	jsonw_key_str(w, "domainAllowList", buf_str(&list));
}

static void put_intervals(const struct box *b, struct jsonw *w)
{
	jsonw_key_int(w, "autoStopInterval", b->auto_stop);
	jsonw_key_int(w, "autoArchiveInterval", b->auto_archive);
	jsonw_key_int(w, "autoDeleteInterval", b->auto_delete);
	if (b->destroy_ms)
		daytona_key_time(w, "autoDestroyAt", b->destroy_ms);
}

static void put_state(const struct box *b, const struct sandbox *s, struct jsonw *w)
{
	const char *state = box_state_name(b);
	jsonw_key_str(w, "state", str_from(state));
	jsonw_key_str(w, "desiredState", str_from(b->state == BOX_STARTED ? "started" : "stopped"));
	if (str_is(STR("error"), state))
		jsonw_key_str(w, "errorReason", str_from(s->reason));
	put_intervals(b, w);
	daytona_key_time(w, "createdAt", s->created_ms);
	daytona_key_time(w, "updatedAt", MAX(b->updated_ms, s->created_ms));
	daytona_key_time(w, "lastActivityAt", MAX(b->active_ms, s->created_ms));
}

static void put_name(const struct box *b, const char *id, struct str name, struct jsonw *w)
{
	jsonw_key_str(w, "id", str_from(id));
	jsonw_key_str(w, "organizationId", STR("cay"));
	jsonw_key_str(w, "name", name.len ? name : str_from(id));
	if (b->snapshot)
		jsonw_key_str(w, "snapshot", str_from(b->snapshot));
	jsonw_key_str(w, "user", str_from(b->user));
	daytona_key_json(w, "env", b->env);
	daytona_key_json(w, "labels", b->labels);
	jsonw_key_bool(w, "public", b->is_public);
}

static void put_fixed(const struct box *b, const struct http_request *r, struct jsonw *w)
{
	auto_buf struct buf url = BUF_INIT(4096);
	http_put_origin(r, &url);
	buf_puts(&url, "/daytona/toolbox");
	jsonw_key_bool(w, "kvm", false);
	jsonw_key_bool(w, "spot", false);
	jsonw_key_bool(w, "recoverable", false);
	jsonw_key_str(w, "target", str_from(b->target));
	jsonw_key_str(w, "runnerId", STR("cay"));
	jsonw_key_str(w, "sandboxClass", STR("container"));
	jsonw_key(w, "volumes");
	jsonw_raw(w, STR("[]"));
	jsonw_key_str(w, "toolboxProxyUrl", buf_str(&url));
}

void box_write(const struct box *b, const struct http_request *r, struct jsonw *w)
{
	const struct sandbox *s = box_sandbox(b);
	jsonw_open(w);
	put_name(b, b->id, str_from(s->name), w);
	put_network(s, w);
	put_limits(&s->enforced.limits, w);
	put_state(b, s, w);
	put_fixed(b, r, w);
	jsonw_close(w);
}

void box_reply(const struct box *b, struct http_request *r)
{
	auto_buf struct buf body = BUF_INIT(DAYTONA_BODY_MAX);
	struct jsonw w = JSONW(&body);
	box_write(b, r, &w);
	http_reply_json(r, 200, &body);
}

void box_reply_wish(const struct making *m, const struct pending *p, struct http_request *r)
{
	auto_buf struct buf body = BUF_INIT(DAYTONA_BODY_MAX);
	struct jsonw w = JSONW(&body);
	enum network_mode network = m->create->spec.network;
	jsonw_open(&w);
	put_name(m->box, p->id, m->create->name, &w);
	jsonw_key_bool(&w, "networkBlockAll",
		network == NETWORK_LOOPBACK || network == NETWORK_NONE);
	put_limits(&m->create->spec.limits, &w);
	jsonw_key_str(&w, "state", str_from(p->state));
	jsonw_key_str(&w, "desiredState", STR("started"));
	if (p->reason)
		jsonw_key_str(&w, "errorReason", str_from(p->reason));
	put_intervals(m->box, &w);
	daytona_key_time(&w, "createdAt", p->created_ms);
	daytona_key_time(&w, "updatedAt", p->created_ms);
	put_fixed(m->box, r, &w);
	jsonw_close(&w);
	http_reply_json(r, 200, &body);
}
