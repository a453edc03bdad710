/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the toolbox tells of the sandbox itself: directories, variables, use of resources, listening
 * ports.
 */
#include "face/daytona/handlers.h"

#include "action/process_actions.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/num.h"

enum { PORTS_MAX = 65536, ENV_MAX = 256 };

static void reply_dir(struct http_request *r, struct str dir)
{
	auto_buf struct buf body = BUF_INIT(8192);
	struct jsonw w = JSONW(&body);
	jsonw_open(&w);
	jsonw_key_str(&w, "dir", dir);
	jsonw_close(&w);
	http_reply_json(r, 200, &body);
}

void home_dir(struct http_request *r)
{
	const struct box *b = box_of_toolbox(r, NULL);
	if (!b)
		return;
	if (str_is(str_from(b->user), "root"))
		reply_dir(r, STR("/root"));
	else
		reply_dir(r, b->is_own ? STR(DAYTONA_HOME) : STR("/home/agent"));
}

void work_dir(struct http_request *r)
{
	struct sandbox *s;
	auto_json struct json *spec = NULL;
	if (!box_of_toolbox(r, &s))
		return;
	json_parse(str_from(s->spec_json), &spec, NULL);
	struct str dir = json_str(json_find(spec, "workdir"));
	reply_dir(r, dir.len ? dir : STR(DAYTONA_HOME));
}

void version_get(struct http_request *r)
{
	if (box_of_toolbox(r, NULL))
		http_reply(r, 200, "application/json", STR("{\"version\":\"v0.190.0\"}"));
}

/* ---- use ---- */

static void on_usage(void *arg, const struct monitor_usage *usage, const struct error *err)
{
	struct http_request *r = arg;
	auto_buf struct buf body = BUF_INIT(8192);
	struct jsonw w = JSONW(&body);
	struct box *b = box_find(daytona_of(r), http_param(r, "id"));
	const struct sandbox *s = b ? box_sandbox(b) : NULL;
	if (err || !s) {
		daytona_fail(r, err ? daytona_status(err->code) : 404, NULL, "%s",
			err ? err->text : "the sandbox is gone");
		return;
	}
	const struct spec_limits *limits = &s->enforced.limits;
	jsonw_open(&w);
	jsonw_key_int(&w, "cpuCount", MAX(limits->cpu_milli / 1000, (int64_t)1));
	jsonw_key_int(&w, "memUsed", MAX(usage->memory_bytes, (int64_t)0));
	jsonw_key_int(&w, "memTotal", MAX(limits->memory_bytes, (int64_t)0));
	jsonw_key_int(&w, "diskUsed", MAX(usage->disk_bytes, (int64_t)0));
	jsonw_key_int(&w, "diskTotal", MAX(limits->disk_bytes, (int64_t)0));
	jsonw_key_int(&w, "diskFree",
		MAX(limits->disk_bytes - MAX(usage->disk_bytes, (int64_t)0), (int64_t)0));
	daytona_key_time(&w, "timestamp", clock_wall_ms());
	jsonw_key_int(&w, "timestampUnix", clock_wall_ms() / 1000);
	jsonw_close(&w);
	http_reply_json(r, 200, &body);
}

void metrics_get(struct http_request *r)
{
	struct sandbox *s;
	if (box_of_toolbox(r, &s))
		runtime_usage(s, on_usage, r);
}

/* ---- variables ---- */

static void on_env(void *arg, struct str result, const struct error *err)
{
	struct http_request *r = arg;
	if (err)
		daytona_fail_error(r, err);
	else
		daytona_empty(r, 204);
}

void env_post(struct http_request *r)
{
	struct sandbox *s;
	auto_json struct json *body = box_of_toolbox(r, &s) ? daytona_body(r) : NULL;
	struct field_map env = { 0 }, none = { 0 };
	struct str key;
	const struct json *value;
	void *it = NULL;
	if (!body)
		return;
	const struct json *set = json_find(body, "set"), *unset = json_find(body, "unset");
	if (json_len(set) + json_len(unset) > ENV_MAX) {
		daytona_fail(r, 400, NULL, "more than %d variables", ENV_MAX);
		return;
	}
	env.keys = arena_new_n(&r->arena, struct str, ENV_MAX + 1);
	env.values = arena_new_n(&r->arena, struct str, ENV_MAX + 1);
	for (size_t i = 0; i < json_len(unset); i++) {
		env.keys[env.n] = json_str(json_at(unset, i));
		env.values[env.n++] = STR("");
	}
	while (json_kind(set) == JSON_KIND_OBJECT && (value = json_next(set, &it, &key))) {
		env.keys[env.n] = key;
		env.values[env.n++] = json_str(value);
	}
	runtime_set_env(s, &env, &none, on_env, r);
}

/* ---- ports ---- */

/* Lines of /proc/net/tcp: "  0: 0100007F:1F90 00000000:0000 0A …", where 0A is LISTEN. */
static void take_ports(struct str out, uint8_t *ret_listening)
{
	struct str line;
	while (out.len && str_split(&out, '\n', &line)) {
		struct str rest = str_trim(line), word;
		struct str words[4];
		size_t n = 0;
		while (n < ARRAY_LEN(words) && rest.len && str_split(&rest, ' ', &word))
			if (word.len)
				words[n++] = word;
		ptrdiff_t colon = n == 4 ? str_find_char(words[1], ':') : -1;
		if (colon < 0 || !str_is(words[3], "0A"))
			continue;
		auto_free char *hex = str_dup(str_skip(words[1], (size_t)colon + 1));
		long port = strtol(hex, NULL, 16);
		if (port > 0 && port < PORTS_MAX)
			ret_listening[port] = 1;
	}
}

static void on_ports(struct chore *e, const struct json *result)
{
	auto_buf struct buf body = BUF_INIT(1024 * 1024);
	struct jsonw w = JSONW(&body);
	auto_free uint8_t *listening = calloc(PORTS_MAX, 1);
	int64_t wanted = -1;
	if (listening)
		take_ports(json_str(json_find(result, "stdout")), listening);
	num_parse_i64(http_param(e->r, "port"), 0, PORTS_MAX - 1, &wanted, NULL);
	jsonw_open(&w);
	if (wanted >= 0) {
		jsonw_key_bool(&w, "isInUse", listening && listening[wanted]);
	} else {
		jsonw_key(&w, "ports");
		jsonw_open_array(&w);
		for (int port = 0; listening && port < PORTS_MAX; port++)
			if (listening[port])
				jsonw_int(&w, port);
		jsonw_close_array(&w);
	}
	jsonw_close(&w);
	http_reply_json(e->r, 200, &body);
}

static void ask_ports(struct http_request *r)
{
	struct chore *e = daytona_chore(r);
	auto_buf struct buf params = BUF_INIT(512);
	if (!e)
		return;
	buf_puts(&params,
		"{\"argv\":[\"cat\",\"/proc/net/tcp\",\"/proc/net/tcp6\"],\"capture\":true,"
		"\"log_bytes\":8388608}");
	chore_perform(e, &exec_action, &params, on_ports);
}

void listeners_get(struct http_request *r)
{
	ask_ports(r);
}

void listeners_in_use(struct http_request *r)
{
	int64_t port;
	if (num_parse_i64(http_param(r, "port"), 1, PORTS_MAX - 1, &port, NULL) < 0)
		daytona_fail(r, 400, NULL, "invalid port");
	else
		ask_ports(r);
}
