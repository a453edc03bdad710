/* SPDX-License-Identifier: Apache-2.0 */
/* What containers tell: list, inspect, changes. */
#include "face/docker/handlers.h"

#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/num.h"

enum { REPLY_MAX = 16 * 1024 * 1024 };

/* ---- inspect ---- */

static void put_state(const struct container *c, struct jsonw *w)
{
	const char *status = container_status(c);
	bool is_paused = str_is(STR("paused"), status);
	jsonw_key(w, "State");
	jsonw_open(w);
	jsonw_key_str(w, "Status", str_from(status));
	jsonw_key_bool(w, "Running", c->state == CONTAINER_RUNNING);
	jsonw_key_bool(w, "Paused", is_paused);
	jsonw_key_bool(w, "Restarting", false);
	jsonw_key_bool(w, "OOMKilled", c->was_killed);
	jsonw_key_bool(w, "Dead", false);
	jsonw_key_int(w, "Pid", c->state == CONTAINER_RUNNING ? c->pid : 0);
	jsonw_key_int(w, "ExitCode", c->state == CONTAINER_RUNNING ? 0 : c->exit_code);
	jsonw_key_str(w, "Error", str_from(c->error));
	docker_key_time(w, "StartedAt", c->started_ms);
	docker_key_time(w, "FinishedAt", c->finished_ms);
	jsonw_close(w);
}

static const struct json *first_word(const struct container *c, bool *ret_is_entrypoint)
{
	const struct json *entrypoint = json_find(c->config, "Entrypoint");
	*ret_is_entrypoint = json_len(entrypoint) > 0;
	const struct json *from = *ret_is_entrypoint ? entrypoint : json_find(c->config, "Cmd");
	return json_kind(from) == JSON_KIND_STR ? from : json_at(from, 0);
}

static void put_args(const struct container *c, struct jsonw *w)
{
	bool is_entrypoint;
	const struct json *first = first_word(c, &is_entrypoint);
	const struct json *parts[] = { json_find(c->config, "Entrypoint"),
		json_find(c->config, "Cmd") };
	jsonw_key_str(w, "Path", json_str(first));
	jsonw_key(w, "Args");
	jsonw_open_array(w);
	for (size_t k = 0; k < ARRAY_LEN(parts); k++)
		for (size_t i = 0; json_kind(parts[k]) == JSON_KIND_ARRAY && i < json_len(parts[k]);
			i++)
			if (json_at(parts[k], i) != first)
				jsonw_str(w, json_str(json_at(parts[k], i)));
	jsonw_close_array(w);
}

static void put_mounts(const struct container *c, struct jsonw *w)
{
	const struct json *mounts = json_find(c->host, "Mounts"),
			  *binds = json_find(c->host, "Binds");
	jsonw_key(w, "Mounts");
	jsonw_open_array(w);
	for (size_t i = 0; i < json_len(mounts) + json_len(binds); i++) {
		const struct json *m = i < json_len(mounts) ? json_at(mounts, i) : NULL;
		struct str bind = m ? STR_NONE : json_str(json_at(binds, i - json_len(mounts)));
		struct str source = json_str(json_find(m, "Source")),
			   target = json_str(json_find(m, "Target"));
		bool is_writable = m ? !json_bool(json_find(m, "ReadOnly"))
				     : !str_ends(bind, STR(":ro"));
		if (!m) {
			str_split(&bind, ':', &source);
			str_split(&bind, ':', &target);
		}
		jsonw_open(w);
		jsonw_key_str(w, "Type", STR("bind"));
		jsonw_key_str(w, "Source", source);
		jsonw_key_str(w, "Destination", target);
		jsonw_key_str(w, "Mode", STR(""));
		jsonw_key_bool(w, "RW", is_writable);
		jsonw_key_str(w, "Propagation", STR("rprivate"));
		jsonw_close(w);
	}
	jsonw_close_array(w);
}

static struct str network_name(const struct container *c)
{
	struct str mode = json_str(json_find(c->host, "NetworkMode"));
	return str_is(mode, "host") || str_is(mode, "none") ? mode : STR("bridge");
}

static void put_networks(const struct container *c, struct jsonw *w)
{
	auto_free char *name = str_dup(network_name(c));
	jsonw_key(w, "Networks");
	jsonw_open(w);
	jsonw_key_dyn(w, str_from(name));
	jsonw_open(w);
	jsonw_key_str(w, "NetworkID", str_from(name));
	jsonw_key_str(w, "IPAddress", STR(""));
	jsonw_key_str(w, "Gateway", STR(""));
	jsonw_key_str(w, "MacAddress", STR(""));
	jsonw_close(w);
	jsonw_close(w);
}

static void put_network(const struct container *c, struct jsonw *w)
{
	jsonw_key(w, "NetworkSettings");
	jsonw_open(w);
	jsonw_key_str(w, "IPAddress", STR(""));
	jsonw_key(w, "Ports");
	ports_put(c, w);
	put_networks(c, w);
	jsonw_close(w);
}

static void put_container(const struct container *c, struct jsonw *w)
{
	jsonw_open(w);
	jsonw_key_str(w, "Id", str_from(c->id));
	docker_key_time(w, "Created", c->created_ms);
	put_args(c, w);
	put_state(c, w);
	jsonw_key_str(w, "Image", str_from(c->image_id));
	auto_free char *name = mem_printf("/%s", c->name);
	jsonw_key_str(w, "Name", str_from(name));
	jsonw_key_int(w, "RestartCount", 0);
	jsonw_key_str(w, "Driver", STR("overlay"));
	jsonw_key_str(w, "Platform", STR("linux"));
	jsonw_key_str(w, "LogPath", STR(""));
	docker_key_json(w, "HostConfig", c->host);
	put_mounts(c, w);
	docker_key_json(w, "Config", c->config);
	put_network(c, w);
	jsonw_close(w);
}

void containers_inspect(struct http_request *r)
{
	struct container *c = container_of_request(r);
	auto_buf struct buf b = BUF_INIT(REPLY_MAX);
	struct jsonw w = JSONW(&b);
	if (!c)
		return;
	put_container(c, &w);
	http_reply_json(r, 200, &b);
}

/* ---- list ---- */

static void put_ago(int64_t since_ms, struct buf *b)
{
	static const struct {
		int64_t seconds;
		const char *unit;
	} units[] = { { 86400, "days" }, { 3600, "hours" }, { 60, "minutes" }, { 1, "seconds" } };
	int64_t s = MAX((clock_wall_ms() - since_ms) / 1000, 0);
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (s >= 2 * units[i].seconds || units[i].seconds == 1) {
			buf_printf(b, "%lld %s", (long long)(s / units[i].seconds), units[i].unit);
			return;
		}
}

static void put_status(const struct container *c, struct buf *b)
{
	if (c->state == CONTAINER_CREATED) {
		buf_puts(b, "Created");
		return;
	}
	bool is_running = c->state == CONTAINER_RUNNING;
	if (is_running)
		buf_puts(b, "Up ");
	else
		buf_printf(b, "Exited (%d) ", c->exit_code);
	put_ago(is_running ? c->started_ms : c->finished_ms, b);
	if (!is_running)
		buf_puts(b, " ago");
	else if (str_is(STR("paused"), container_status(c)))
		buf_puts(b, " (Paused)");
}

static void put_command_line(const struct container *c, struct buf *b)
{
	const struct json *parts[] = { json_find(c->config, "Entrypoint"),
		json_find(c->config, "Cmd") };
	for (size_t k = 0; k < ARRAY_LEN(parts); k++)
		for (size_t i = 0; json_kind(parts[k]) == JSON_KIND_ARRAY && i < json_len(parts[k]);
			i++) {
			if (b->len)
				buf_putc(b, ' ');
			buf_put(b, json_str(json_at(parts[k], i)));
		}
}

static void put_item(const struct container *c, struct jsonw *w)
{
	auto_buf struct buf status = BUF_INIT(256), command = BUF_INIT(DOCKER_BODY_MAX);
	auto_free char *name = mem_printf("/%s", c->name);
	put_status(c, &status);
	put_command_line(c, &command);
	jsonw_open(w);
	jsonw_key_str(w, "Id", str_from(c->id));
	jsonw_key(w, "Names");
	jsonw_open_array(w);
	jsonw_str(w, str_from(name));
	jsonw_close_array(w);
	jsonw_key_str(w, "Image", str_from(c->image));
	jsonw_key_str(w, "ImageID", str_from(c->image_id));
	jsonw_key_str(w, "Command", buf_str(&command));
	jsonw_key_int(w, "Created", c->created_ms / 1000);
	jsonw_key(w, "Ports");
	ports_put_list(c, w);
	const struct json *labels = json_find(c->config, "Labels");
	if (json_kind(labels) == JSON_KIND_OBJECT)
		docker_key_json(w, "Labels", labels);
	else {
		jsonw_key(w, "Labels");
		jsonw_open(w);
		jsonw_close(w);
	}
	jsonw_key_str(w, "State", str_from(container_status(c)));
	jsonw_key_str(w, "Status", buf_str(&status));
	jsonw_key(w, "HostConfig");
	jsonw_open(w);
	jsonw_key_str(w, "NetworkMode", json_str(json_find(c->host, "NetworkMode")));
	jsonw_close(w);
	jsonw_key(w, "NetworkSettings");
	jsonw_open(w);
	put_networks(c, w);
	jsonw_close(w);
	put_mounts(c, w);
	jsonw_close(w);
}

/* "key" or "key=value". */
static bool has_label(const struct container *c, struct str wanted)
{
	ptrdiff_t at = str_find_char(wanted, '=');
	auto_free char *key = str_dup(at < 0 ? wanted : str_first(wanted, (size_t)at));
	const struct json *value = json_find(json_find(c->config, "Labels"), key);
	return value && (at < 0 || str_eq(json_str(value), str_skip(wanted, (size_t)at + 1)));
}

static bool each_label_fits(const struct container *c, const struct json *wanted)
{
	struct str key;
	void *it = NULL;
	for (size_t i = 0; json_kind(wanted) == JSON_KIND_ARRAY && i < json_len(wanted); i++)
		if (!has_label(c, json_str(json_at(wanted, i))))
			return false;
	while (json_kind(wanted) == JSON_KIND_OBJECT && json_next(wanted, &it, &key))
		if (!has_label(c, key))
			return false;
	return true;
}

/* A part of the name is enough, a first part of the id too. */
static bool one_fits(const struct json *wanted, struct str id, struct str name)
{
	struct str value;
	void *it = NULL;
	if (!wanted)
		return true;
	for (size_t i = 0; i < json_len(wanted); i++) {
		if (json_kind(wanted) == JSON_KIND_ARRAY)
			value = json_str(json_at(wanted, i));
		else if (!json_next(wanted, &it, &value))
			return false;
		if (str_starts(value, STR("^")))
			value = str_skip(value, 1);
		if (str_ends(value, STR("$")))
			value = str_first(value, value.len - 1);
		if (str_starts(value, STR("/")))
			value = str_skip(value, 1);
		if ((id.ptr && str_starts(id, value)) || (name.ptr && str_find(name, value) >= 0))
			return true;
	}
	return false;
}

static bool fits(const struct container *c, const struct json *filters)
{
	auto_free char *code = mem_printf("%d", c->exit_code);
	const struct json *ancestor = json_find(filters, "ancestor");
	return docker_filter(filters, "status", str_from(container_status(c))) &&
		docker_filter(filters, "exited", str_from(code)) &&
		one_fits(json_find(filters, "name"), STR_NONE, str_from(c->name)) &&
		one_fits(json_find(filters, "id"), str_from(c->id), STR_NONE) &&
		one_fits(ancestor, str_from(c->image), str_from(c->image_id)) &&
		each_label_fits(c, json_find(filters, "label"));
}

void containers_put_all(struct docker *d, struct jsonw *w)
{
	struct container *c;
	jsonw_open_array(w);
	list_for_each(c, &d->containers, link)
		if (container_sandbox(c))
			put_item(c, w);
	jsonw_close_array(w);
}

void containers_list(struct http_request *r)
{
	auto_json struct json *filters = docker_filters(r);
	auto_buf struct buf b = BUF_INIT(REPLY_MAX);
	struct docker *d = docker_of(r);
	bool is_all = docker_flag(r, "all", false) || json_find(filters, "status") ||
		json_find(filters, "exited");
	int64_t limit = INT64_MAX;
	struct jsonw w = JSONW(&b);
	if (num_parse_i64(http_query(r, "limit"), -1, INT32_MAX, &limit, NULL) < 0 || limit <= 0)
		limit = INT64_MAX;
	jsonw_open_array(&w);
	/* The youngest first. */
	for (struct list *at = d->containers.prev; at != &d->containers && limit > 0;
		at = at->prev) {
		struct container *c = list_entry(at, struct container, link);
		if (!container_sandbox(c) || !(is_all || c->state == CONTAINER_RUNNING) ||
			!fits(c, filters))
			continue;
		put_item(c, &w);
		limit--;
	}
	jsonw_close_array(&w);
	http_reply_json(r, 200, &b);
}

void containers_changes(struct http_request *r)
{
	struct container *c = container_of_request(r);
	if (c)
		docker_fail(r, 501, "what changed in a container is not told");
}
