/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/remote/peer.h"

#include "base/auto.h"
#include "base/bug.h"
#include "runtime/create.h"
#include "runtime/remote/query.h"
#include "runtime/remote/relay.h"
#include "runtime/sandbox.h"

enum { PEER_MS = 60000, CREATE_MS = 300000, BODY_MAX = 4 * 1024 * 1024, PEER_TRIES_AT_START = 3 };

#define PEER_LABEL_ID "cay.id" /* of a sandbox there: its id here */

struct peer {
	struct backend base;
	struct loop *loop;
	struct asker asker;
	struct relays relays;
	char *url, *base_url, *unix_path, *token, *key;
	struct queries queries;
	struct list makings; /* making::link */
};

static const struct backend_ops peer_ops;

static struct peer *peer_from(struct backend *b)
{
	BUG_IF(b->ops != &peer_ops, "a backend that is not another server");
	return container_of(b, struct peer, base);
}

/* ---- what the server tells ---- */

static void take_enforced(const struct json *json, struct enforced *ret)
{
	const struct json *controls = json_find(json, "controls"),
			  *limits = json_find(json, "limits");
	for (size_t i = 0; i < json_len(controls); i++) {
		enum control control;
		auto_free char *word = str_dup(json_str(json_at(controls, i)));
		if (control_parse(word, &control, NULL) == 0)
			ret->controls |= UINT64_C(1) << control;
	}
	ret->limits = (struct spec_limits){
		.memory_bytes = json_int(json_find(limits, "memory_bytes")),
		.pids = json_int(json_find(limits, "pids")),
		.cpu_milli = json_int(json_find(limits, "cpu_milli")),
		.disk_bytes = json_int(json_find(limits, "disk_bytes")),
		.disk_inodes = json_int(json_find(limits, "disk_inodes")),
	};
	ret->uid = (uint32_t)json_int(json_find(json, "uid"));
	ret->gid = (uint32_t)json_int(json_find(json, "gid"));
}

static void take_sandbox(void *owner, const struct json *json, struct backend_reply *reply)
{
	struct str id = json_str(json_find(json, "id")), name = json_str(json_find(json, "name"));
	if (!id_is_valid(id)) {
		error_set(&reply->error, ERROR_PROTOCOL, "the server gave no id of a sandbox");
		return;
	}
	snprintf(reply->id, sizeof(reply->id), "%.*s", STR_ARG(id));
	snprintf(reply->name, sizeof(reply->name), "%.*s", STR_ARG(name));
	reply->is_paused = str_is(json_str(json_find(json, "state")), "paused");
	take_enforced(json_find(json, "enforced"), &reply->enforced);
}

static void take_usage(void *owner, const struct json *json, struct backend_reply *reply)
{
	reply->usage = (struct monitor_usage){
		.memory_bytes = query_number(json, "memory_bytes"),
		.memory_peak_bytes = query_number(json, "memory_peak_bytes"),
		.pids = query_number(json, "pids"),
		.cpu_us = query_number(json, "cpu_us"),
		.disk_bytes = query_number(json, "disk_bytes"),
		.disk_inodes = query_number(json, "disk_inodes"),
		.oom_kills = query_number(json, "oom_kills"),
	};
}

static void take_nothing(void *owner, const struct json *json, struct backend_reply *reply)
{
}

/* The id that the server which had it made knows it by. */
static void take_asked(const struct json *sandbox, char ret[ID_SIZE])
{
	struct str id = json_str(json_find(json_find(sandbox, "labels"), PEER_LABEL_ID));
	if (id_is_valid(id))
		snprintf(ret, ID_SIZE, "%.*s", STR_ARG(id));
}

static bool is_being_made(struct str state)
{
	return str_is(state, "creating") || str_is(state, "building") || str_is(state, "starting");
}

static void adopt_all(void *owner, const struct json *list, struct backend_reply *unused)
{
	struct peer *p = owner;
	const struct json *sandboxes = json_find(list, "sandboxes");
	for (size_t i = 0; i < json_len(sandboxes); i++) {
		const struct json *s = json_at(sandboxes, i);
		struct str state = json_str(json_find(s, "state"));
		struct backend_reply reply = { .fd = -1 };
		bool is_alive = str_is(state, "ready") || str_is(state, "running") ||
			str_is(state, "paused");
		take_sandbox(p, s, &reply);
		take_asked(s, reply.asked);
		reply.is_unfinished = is_being_made(state);
		if ((is_alive || reply.is_unfinished) && reply.error.code == ERROR_OK)
			p->base.events->adopt(p->base.events_arg, &reply);
	}
}

/* ---- asking ---- */

static void ask(struct peer *p, const char *method, const char *id, const char *tail,
	struct str json, int64_t timeout_ms, query_fn *take, backend_fn *done, void *arg)
{
	auto_free char *url = mem_printf("%s/v1/sandboxes%s%s%s", p->base_url, id[0] ? "/" : "", id,
		tail);
	const struct ask_plan plan = {
		.method = method,
		.url = url,
		.unix_path = p->unix_path,
		.json = json,
		.keys = { p->key },
		.timeout_ms = timeout_ms,
		.tries = take == adopt_all ? PEER_TRIES_AT_START : 0,
		.is_harmless = !json.ptr || id[0],
	};
	queries_ask(&p->queries, id, &plan, take, done, arg);
}

static void peer_start(struct backend *b, backend_fn *done, void *arg)
{
	ask(peer_from(b), "GET", "", "", STR_NONE, PEER_MS, adopt_all, done, arg);
}

/*
 * What makes the sandbox. Environment and secrets follow in an action; what watches over it,
 * watches here.
 */
static const char *const passed_on[] = { "image", "workdir", "mounts", "user", "limits", "network",
	"allow", "gpus", "hostname", "require" };

static void put_wish(struct buf *b, const struct sandbox *s)
{
	auto_json struct json *spec = NULL;
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	if (s->name[0])
		jsonw_key_str(&w, "name", str_from(s->name));
	if (s->timeout_ms)
		jsonw_key_int(&w, "timeout_ms", s->timeout_ms);
	if (s->idle_timeout_ms)
		jsonw_key_int(&w, "idle_timeout_ms", s->idle_timeout_ms);
	jsonw_key(&w, "labels");
	jsonw_open(&w);
	if (s->n_labels < CREATE_LABELS_MAX)
		jsonw_key_str(&w, PEER_LABEL_ID, str_from(s->id));
	for (size_t n = 0; n < s->n_labels; n++) {
		if (str_is(str_from(s->label_keys[n]), PEER_LABEL_ID))
			continue;
		jsonw_key_dyn(&w, str_from(s->label_keys[n]));
		jsonw_str(&w, str_from(s->label_values[n]));
	}
	jsonw_close(&w);
	json_parse(str_from(s->spec_json), &spec, NULL);
	for (size_t n = 0; n < ARRAY_LEN(passed_on); n++) {
		const struct json *value = json_find(spec, passed_on[n]);
		auto_buf struct buf text = BUF_INIT(BODY_MAX);
		bool is_empty = json_kind(value) == JSON_KIND_ARRAY && !json_len(value);
		if (json_kind(value) == JSON_KIND_NULL || is_empty)
			continue;
		json_write(value, &text);
		jsonw_key(&w, passed_on[n]);
		jsonw_raw(&w, buf_str(&text));
	}
	jsonw_close(&w);
}

/*
 * A create. When its answer is lost, what may have been made there is searched for by its label and
 * deleted; then the failure is told.
 */
struct making {
	struct list link; /* peer::makings */
	struct peer *peer;
	char id[ID_SIZE]; /* here */
	backend_fn *done;
	void *arg;
	struct backend_reply reply;
};

static void making_end(struct making *c)
{
	struct making copy = *c;
	list_remove(&c->link);
	free(c);
	copy.done(copy.arg, &copy.reply);
}

static void on_undone(void *arg, const struct backend_reply *reply)
{
	making_end(arg);
}

static void on_list(void *arg, int status, struct str body, const struct error *err)
{
	struct making *c = arg;
	auto_json struct json *list = NULL;
	if (!err)
		json_parse(body, &list, NULL);
	const struct json *sandboxes = json_find(list, "sandboxes");
	for (size_t i = 0; i < json_len(sandboxes); i++) {
		struct backend_reply found = { .fd = -1 };
		const struct json *s = json_at(sandboxes, i);
		take_sandbox(c->peer, s, &found);
		take_asked(s, found.asked);
		if (found.error.code != ERROR_OK || strcmp(found.asked, c->id) != 0)
			continue;
		ask(c->peer, "DELETE", found.id, "", STR_NONE, PEER_MS, take_nothing, on_undone, c);
		return;
	}
	making_end(c);
}

static void on_created(void *arg, const struct backend_reply *reply)
{
	struct making *c = arg;
	auto_free char *url = mem_printf("%s/v1/sandboxes", c->peer->base_url);
	c->reply = *reply;
	if (!error_is_doubtful(reply->error.code)) {
		making_end(c);
		return;
	}
	const struct ask_plan plan = {
		.method = "GET",
		.url = url,
		.unix_path = c->peer->unix_path,
		.keys = { c->peer->key },
		.timeout_ms = PEER_MS,
		.is_harmless = true,
		.done = on_list,
		.arg = c,
	};
	ask_new(&c->peer->asker, &plan);
}

static void peer_create(struct backend *b, const struct sandbox *s, const struct spec *spec,
	backend_fn *done, void *arg)
{
	struct peer *p = peer_from(b);
	struct making *c = mem_new(struct making);
	auto_buf struct buf body = BUF_INIT(BODY_MAX);
	*c = (struct making){ .peer = p, .done = done, .arg = arg };
	memcpy(c->id, s->id, sizeof(c->id));
	list_append(&p->makings, &c->link);
	put_wish(&body, s);
	ask(p, "POST", "", "", buf_str(&body), CREATE_MS, take_sandbox, on_created, c);
}

static void peer_destroy(struct backend *b, const char *id, backend_fn *done, void *arg)
{
	ask(peer_from(b), "DELETE", id, "", STR_NONE, PEER_MS, take_nothing, done, arg);
}

static void peer_freeze(struct backend *b, const char *id, bool is_frozen, backend_fn *done,
	void *arg)
{
	ask(peer_from(b), "POST", id, is_frozen ? "/pause" : "/resume", STR("{}"), PEER_MS,
		take_nothing, done, arg);
}

static void peer_usage(struct backend *b, const char *id, backend_fn *done, void *arg)
{
	ask(peer_from(b), "GET", id, "/stats", STR_NONE, PEER_MS, take_usage, done, arg);
}

static int peer_open_call(struct backend *b, const char *id, int *ret_fd, struct error *err)
{
	return relay_open_call(&peer_from(b)->relays, id, ret_fd, err);
}

static void peer_free(struct backend *b)
{
	struct peer *p = peer_from(b);
	relays_fini(&p->relays);
	asker_fini(&p->asker);
	queries_fini(&p->queries);
	while (!list_is_empty(&p->makings)) {
		struct making *c = list_get_first(&p->makings, struct making, link);
		list_remove(&c->link);
		free(c);
	}
	free(p->url);
	free(p->base_url);
	free(p->unix_path);
	free(p->token);
	free(p->key);
	free(p);
}

static const struct backend_ops peer_ops = {
	.name = "peer",
	.has_gpus = true,
	.is_shared = true,
	.start = peer_start,
	.create = peer_create,
	.destroy = peer_destroy,
	.freeze = peer_freeze,
	.usage = peer_usage,
	.open_call = peer_open_call,
	.free = peer_free,
};

int peer_backend_new(struct loop *loop, const struct peer_config *config, struct backend **ret,
	struct error *err)
{
	struct str url = str_from(config->url), token = str_from(config->token);
	bool is_unix = str_starts(url, STR("unix:"));
	while (!is_unix && str_ends(url, STR("/")))
		url.len--;
	if (is_unix ? !str_starts(url, STR("unix:/"))
		    : !str_starts(url, STR("http://")) && !str_starts(url, STR("https://")))
		return error_set(err, ERROR_INVALID, "'%.*s' is no http://, https:// or unix:/ URL",
			STR_ARG(str_first(url, 100)));
	if (str_find_char(token, '\n') >= 0 || str_find_char(token, '\r') >= 0)
		return error_set(err, ERROR_INVALID, "the token holds a line break");
	struct peer *p = mem_new(struct peer);
	p->base.ops = &peer_ops;
	list_init(&p->makings);
	p->loop = loop;
	p->url = str_dup(url);
	p->unix_path = is_unix ? str_dup(str_skip(url, 5)) : NULL;
	p->base_url = is_unix ? mem_strdup("http://localhost") : str_dup(url);
	p->token = token.len ? str_dup(token) : NULL;
	p->key = token.len ? mem_printf("Authorization: Bearer %.*s", STR_ARG(token)) : NULL;
	asker_init(&p->asker, loop);
	queries_init(&p->queries, &p->asker, p);
	relays_init(&p->relays, &p->asker);
	p->relays.url = p->url;
	p->relays.base = p->base_url;
	p->relays.unix_path = p->unix_path;
	p->relays.token = p->token;
	p->relays.key = p->key;
	*ret = &p->base;
	return 0;
}
