/* SPDX-License-Identifier: Apache-2.0 */
/* The engine itself: ping, version, info, events, and what it has none of. */
#include "face/docker/handlers.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/num.h"
#include "version.h"

#include <sys/sysinfo.h>
#include <sys/utsname.h>

enum { REPLY_MAX = 16 * 1024 * 1024 };

/* ---- ping, version, info ---- */

void engine_ping(struct http_request *r)
{
	http_reply_header(r, "Api-Version", DOCKER_API);
	http_reply_header(r, "Docker-Experimental", "false");
	http_reply_header(r, "Builder-Version", "1"); /* the classic one: no BuildKit */
	http_reply_header(r, "Ostype", "linux");
	http_reply(r, 200, "text/plain; charset=utf-8", STR("OK"));
}

static const char *architecture(const struct utsname *uts)
{
	if (str_is(str_from(uts->machine), "x86_64"))
		return "amd64";
	return str_is(str_from(uts->machine), "aarch64") ? "arm64" : uts->machine;
}

void engine_version(struct http_request *r)
{
	auto_buf struct buf b = BUF_INIT(8192);
	struct jsonw w = JSONW(&b);
	struct utsname uts = { 0 };
	uname(&uts);
	jsonw_open(&w);
	jsonw_key(&w, "Platform");
	jsonw_open(&w);
	jsonw_key_str(&w, "Name", STR("cay"));
	jsonw_close(&w);
	jsonw_key(&w, "Components");
	jsonw_open_array(&w);
	jsonw_open(&w);
	jsonw_key_str(&w, "Name", STR("cay"));
	jsonw_key_str(&w, "Version", STR(CAY_VERSION));
	jsonw_close(&w);
	jsonw_close_array(&w);
	/* Clients compare this with versions of Docker's; what it serves is the API of 24.0. */
	jsonw_key_str(&w, "Version", STR("24.0.0-cay-" CAY_VERSION));
	jsonw_key_str(&w, "ApiVersion", STR(DOCKER_API));
	jsonw_key_str(&w, "MinAPIVersion", STR(DOCKER_API_MIN));
	jsonw_key_str(&w, "Os", STR("linux"));
	jsonw_key_str(&w, "Arch", str_from(architecture(&uts)));
	jsonw_key_str(&w, "KernelVersion", str_from(uts.release));
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}

static void put_counts(struct docker *d, struct jsonw *w)
{
	int64_t all = 0, running = 0, paused = 0;
	struct container *c;
	list_for_each(c, &d->containers, link) {
		bool is_paused = str_is(STR("paused"), container_status(c));
		all++;
		paused += is_paused;
		running += c->state == CONTAINER_RUNNING && !is_paused;
	}
	jsonw_key_int(w, "Containers", all);
	jsonw_key_int(w, "ContainersRunning", running);
	jsonw_key_int(w, "ContainersPaused", paused);
	jsonw_key_int(w, "ContainersStopped", all - running - paused);
}

/* What this host can set; who asks for another limit is refused. */
static void put_limits(const struct docker *d, struct jsonw *w)
{
	static const struct {
		const char *key;
		enum control control;
	} limits[] = {
		{ "MemoryLimit", CONTROL_MEMORY },
		{ "PidsLimit", CONTROL_PIDS },
		/*
		 * A sandbox has none by default, so the host tells nothing of it: it is given with
		 * the others.
		 */
		{ "CpuCfsPeriod", CONTROL_MEMORY },
		{ "CpuCfsQuota", CONTROL_MEMORY },
	};
	for (size_t i = 0; i < ARRAY_LEN(limits); i++)
		jsonw_key_bool(w, limits[i].key,
			runtime_host(d->rt)->controls >> limits[i].control & 1);
}

void engine_info(struct http_request *r)
{
	auto_buf struct buf b = BUF_INIT(16384);
	struct jsonw w = JSONW(&b);
	struct utsname uts = { 0 };
	struct sysinfo machine = { 0 };
	uname(&uts);
	sysinfo(&machine);
	jsonw_open(&w);
	jsonw_key_str(&w, "ID", STR("cay"));
	put_counts(docker_of(r), &w);
	jsonw_key_int(&w, "Images", images_count(docker_of(r)));
	jsonw_key_str(&w, "Driver", STR("overlay"));
	jsonw_key_str(&w, "ServerVersion", STR("24.0.0-cay-" CAY_VERSION));
	jsonw_key_str(&w, "OperatingSystem", STR("cay"));
	jsonw_key_str(&w, "OSType", STR("linux"));
	jsonw_key_str(&w, "Architecture", str_from(uts.machine));
	jsonw_key_str(&w, "KernelVersion", str_from(uts.release));
	jsonw_key_str(&w, "Name", str_from(uts.nodename));
	jsonw_key_int(&w, "NCPU", get_nprocs());
	jsonw_key_int(&w, "MemTotal", (int64_t)machine.totalram * machine.mem_unit);
	jsonw_key_str(&w, "CgroupDriver", STR("none"));
	jsonw_key_str(&w, "DefaultRuntime", STR("cay"));
	jsonw_key_str(&w, "DockerRootDir", STR(""));
	put_limits(docker_of(r), &w);
	jsonw_key(&w, "SecurityOptions");
	jsonw_open_array(&w);
	jsonw_str(&w, STR("name=seccomp,profile=cay"));
	jsonw_str(&w, STR("name=userns"));
	jsonw_close_array(&w);
	jsonw_key(&w, "Swarm");
	jsonw_open(&w);
	jsonw_key_str(&w, "LocalNodeState", STR("inactive"));
	jsonw_close(&w);
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}

/* ---- events ---- */

struct follower {
	struct list link; /* docker::followers */
	struct http_request *r;
	struct json *filters;
	struct timer *timer; /* ends it at `until` */
};

static bool event_fits(const struct json *event, const struct json *filters)
{
	const struct json *actor = json_find(event, "Actor");
	struct str id = json_str(json_find(actor, "ID"));
	struct str type = json_str(json_find(event, "Type"));
	return docker_filter(filters, "type", type) &&
		docker_filter(filters, "event", json_str(json_find(event, "Action"))) &&
		(docker_filter(filters, "container", id) ||
			docker_filter(filters, "container",
				json_str(json_find(json_find(actor, "Attributes"), "name"))));
}

static void follower_end(struct follower *f)
{
	struct http_request *r = f->r;
	list_remove(&f->link);
	timer_free(f->timer);
	json_free(f->filters);
	free(f);
	http_stream_end(r, true);
}

static void follower_tell(struct follower *f, const char *text)
{
	auto_json struct json *event = NULL;
	if (json_parse(str_from(text), &event, NULL) < 0 || !event_fits(event, f->filters))
		return;
	http_stream_write(f->r, str_from(text));
	http_stream_write(f->r, STR("\n"));
}

static char *make_event(const char *type, const char *action, const char *id, const char *attribute,
	const char *value, int64_t now)
{
	struct buf b = BUF_INIT(65536);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "Type", str_from(type));
	jsonw_key_str(&w, "Action", str_from(action));
	jsonw_key_str(&w, "status", str_from(action));
	jsonw_key_str(&w, "id", str_from(id));
	jsonw_key(&w, "Actor");
	jsonw_open(&w);
	jsonw_key_str(&w, "ID", str_from(id));
	jsonw_key(&w, "Attributes");
	jsonw_open(&w);
	if (attribute)
		jsonw_key_str(&w, attribute, str_from(value));
	jsonw_close(&w);
	jsonw_close(&w);
	jsonw_key_str(&w, "scope", STR("local"));
	jsonw_key_int(&w, "time", now / 1000);
	jsonw_key_int(&w, "timeNano", now * 1000000);
	jsonw_close(&w);
	return buf_take(&b);
}

void docker_event(struct docker *d, const char *type, const char *action, const char *id,
	const char *attribute, const char *value)
{
	size_t at = d->n_events++ % DOCKER_EVENTS_KEPT;
	int64_t now = clock_wall_ms();
	struct follower *f, *next;
	free(d->events[at]);
	d->events[at] = make_event(type, action, id, attribute, value, now);
	d->events_ms[at] = now;
	list_for_each_safe(f, next, &d->followers, link)
		follower_tell(f, d->events[at]);
}

void docker_event_of(struct container *c, const char *action)
{
	docker_event(c->docker, "container", action, c->id, "name", c->name);
}

static void on_until(void *arg)
{
	follower_end(arg);
}

/* Seconds since 1970, with or without a fraction; -1: not said. */
static int64_t moment(struct http_request *r, const char *name)
{
	struct str text = http_query(r, name);
	int64_t seconds;
	ptrdiff_t dot = str_find_char(text, '.');
	if (!text.len)
		return -1;
	text = dot < 0 ? text : str_first(text, (size_t)dot);
	return num_parse_i64(text, 0, INT32_MAX * (int64_t)1000, &seconds, NULL) < 0
		? -1
		: seconds * 1000;
}

static void tell_kept(struct follower *f, const struct docker *d, int64_t since, int64_t until)
{
	size_t first = d->n_events > DOCKER_EVENTS_KEPT ? d->n_events - DOCKER_EVENTS_KEPT : 0;
	for (size_t i = first; i < d->n_events; i++) {
		int64_t at_ms = d->events_ms[i % DOCKER_EVENTS_KEPT];
		if (at_ms >= since && (until < 0 || at_ms <= until + 999))
			follower_tell(f, d->events[i % DOCKER_EVENTS_KEPT]);
	}
}

void engine_events(struct http_request *r)
{
	static const struct http_ops ops = { .on_closed = on_until };
	struct docker *d = docker_of(r);
	int64_t since = moment(r, "since"), until = moment(r, "until"), now = clock_wall_ms();
	struct follower *f = mem_new(struct follower);
	f->r = r;
	f->filters = docker_filters(r);
	f->timer = timer_new(d->loop, on_until, f);
	list_append(&d->followers, &f->link);
	http_stream_begin(r, 200, "application/json", -1);
	http_listen(r, &ops, f);
	if (since >= 0)
		tell_kept(f, d, since, until);
	if (until >= 0)
		timer_set(f->timer, MAX(until - now, 0));
}

void engine_free(struct docker *d)
{
	while (!list_is_empty(&d->followers))
		follower_end(list_get_first(&d->followers, struct follower, link));
	for (size_t i = 0; i < DOCKER_EVENTS_KEPT; i++)
		free(d->events[i]);
}

/* ---- what there is little of ---- */

void engine_auth(struct http_request *r)
{
	docker_fail(r, 501, "there is no registry: images are loaded or imported");
}

static const char *const networks[] = { "bridge", "host", "none" };

static void put_network(struct jsonw *w, const char *name)
{
	const char *driver = str_is(STR("none"), name) ? "null" : name;
	jsonw_open(w);
	jsonw_key_str(w, "Name", str_from(name));
	jsonw_key_str(w, "Id", str_from(name));
	jsonw_key_str(w, "Scope", STR("local"));
	jsonw_key_str(w, "Driver", str_from(driver));
	jsonw_key_bool(w, "Internal", !str_is(STR("host"), name));
	jsonw_key(w, "Containers");
	jsonw_open(w);
	jsonw_close(w);
	jsonw_key(w, "Labels");
	jsonw_open(w);
	jsonw_close(w);
	jsonw_key(w, "Options");
	jsonw_open(w);
	jsonw_close(w);
	jsonw_close(w);
}

void networks_list(struct http_request *r)
{
	auto_json struct json *filters = docker_filters(r);
	auto_buf struct buf b = BUF_INIT(8192);
	struct jsonw w = JSONW(&b);
	jsonw_open_array(&w);
	for (size_t i = 0; i < ARRAY_LEN(networks); i++)
		if (docker_filter(filters, "name", str_from(networks[i])))
			put_network(&w, networks[i]);
	jsonw_close_array(&w);
	http_reply_json(r, 200, &b);
}

void networks_get(struct http_request *r)
{
	struct str id = http_param(r, "id");
	auto_buf struct buf b = BUF_INIT(8192);
	struct jsonw w = JSONW(&b);
	for (size_t i = 0; i < ARRAY_LEN(networks); i++)
		if (str_is(id, networks[i])) {
			put_network(&w, networks[i]);
			http_reply_json(r, 200, &b);
			return;
		}
	docker_fail(r, 404, "network %.*s not found", STR_ARG(str_first(id, 100)));
}

void volumes_list(struct http_request *r)
{
	http_reply(r, 200, "application/json", STR("{\"Volumes\":[],\"Warnings\":null}"));
}

void volumes_get(struct http_request *r)
{
	docker_fail(r, 404, "get %.*s: no such volume",
		STR_ARG(str_first(http_param(r, "name"), 100)));
}

void volumes_prune(struct http_request *r)
{
	http_reply(r, 200, "application/json", STR("{\"VolumesDeleted\":[],\"SpaceReclaimed\":0}"));
}

void networks_prune(struct http_request *r)
{
	http_reply(r, 200, "application/json", STR("{\"NetworksDeleted\":[]}"));
}

/* What a container takes is not looked up for this; docker stats tells it. */
void engine_usage(struct http_request *r)
{
	auto_buf struct buf b = BUF_INIT(REPLY_MAX);
	struct docker *d = docker_of(r);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key(&w, "Images");
	int64_t bytes = images_put_all(d, &w);
	jsonw_key_int(&w, "LayersSize", bytes);
	jsonw_key(&w, "Containers");
	containers_put_all(d, &w);
	jsonw_key(&w, "Volumes");
	jsonw_open_array(&w);
	jsonw_close_array(&w);
	jsonw_key(&w, "BuildCache");
	jsonw_open_array(&w);
	jsonw_close_array(&w);
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}

void not_offered(struct http_request *r)
{
	docker_fail(r, 501, "%.*s %.*s is not offered by cay", STR_ARG(r->method),
		STR_ARG(str_first(r->path, 200)));
}
