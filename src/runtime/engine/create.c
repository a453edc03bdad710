/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The image is asked for, and fetched if the engine has none; the container is
 * made, connected to what networks are wanted beside its first one, and started; its executor
 * connects and says that it is ready. At whatever step that fails, the container is removed before
 * the failure is told.
 */
#include "runtime/engine/internal.h"

#include "base/auto.h"
#include "base/bug.h"
#include "runtime/sandbox.h"
#include "wire/url.h"

#include <sys/stat.h>

struct creating {
	struct member *member;
	const struct sandbox *sandbox; /* the runtime keeps both until it is answered */
	const struct spec *spec;
	char *image, *gpus, *network, *run_dir;
	struct json *asked;  /* the sandbox's spec */
	size_t next_network; /* of those that it is connected to beside its own */
	char *workdir;       /* the image's, if none was asked for */
	struct engine_wish wish;
	backend_fn *done;
	void *arg;
	bool was_pulled, was_made;
	bool is_starting, is_ready; /* the engine's answer and the executor come in any order */
	struct backend_reply reply;
};

void creating_free(struct creating *c)
{
	if (!c)
		return;
	free(c->image);
	free(c->gpus);
	free(c->network);
	free(c->run_dir);
	free(c->workdir);
	json_free(c->asked);
	free(c);
}

static void ask(struct creating *c, const char *method, const char *path, struct str body,
	answer_fn *done)
{
	const struct engine_request request = { .method = method, .path = path, .body = body };
	engine_ask(c->member->engine, &request, done, c);
}

/* ---- the end ---- */

static void answer(struct creating *c)
{
	struct backend_reply reply = c->reply;
	auto_free char *workdir = take_ptr(c->workdir);
	backend_fn *done = c->done;
	void *arg = c->arg;
	struct member *m = c->member;
	reply.workdir = workdir;
	creating_free(take_ptr(m->creating));
	timer_free(take_ptr(m->timer));
	if (reply.error.code != ERROR_OK)
		member_free(m);
	done(arg, &reply);
}

static void on_undone(void *arg, int status, const struct json *json, const struct error *err)
{
	answer(arg);
}

static void fail(struct creating *c, const struct error *err)
{
	c->reply.error = *err;
	if (!c->was_made) {
		answer(c);
		return;
	}
	auto_free char *path = member_path(c->member, "?force=1&v=1");
	timer_free(take_ptr(c->member->timer));
	line_free(take_ptr(c->member->line));
	ask(c, "DELETE", path, STR_NONE, on_undone);
}

/* While the engine is starting it, its answer comes first. */
void creating_failed(struct member *m, const struct error *err)
{
	struct creating *c = m->creating;
	if (c->is_starting)
		c->reply.error = *err;
	else
		fail(c, err);
}

void creating_ready(struct member *m, uint32_t uid, uint32_t gid)
{
	struct creating *c = m->creating;
	c->reply.enforced = m->enforced;
	c->reply.enforced.uid = uid;
	c->reply.enforced.gid = gid;
	m->enforced = c->reply.enforced;
	c->is_ready = true;
	if (!c->is_starting)
		answer(c);
}

/* ---- the container ---- */

/* What the executor says of its failure is the better reason. */
static void on_started(void *arg, int status, const struct json *json, const struct error *err)
{
	struct creating *c = arg;
	struct member *m = c->member;
	c->is_starting = false;
	if (err && c->reply.error.code == ERROR_OK)
		c->reply.error = *err;
	if (c->reply.error.code != ERROR_OK) {
		struct error first = c->reply.error;
		fail(c, &first);
	} else if (c->is_ready) {
		answer(c);
	} else {
		timer_set(m->timer, ENGINE_START_MS);
	}
}

static void start(struct creating *c)
{
	auto_free char *path = member_path(c->member, "/start");
	c->is_starting = true;
	ask(c, "POST", path, STR_NONE, on_started);
}

/* ---- its networks ---- */

static void connect_next(struct creating *c);

/* 403: it is in that network already, as one engine has it. */
static void on_connected(void *arg, int status, const struct json *json, const struct error *err)
{
	struct creating *c = arg;
	struct error own;
	if (!err || status == 403) {
		connect_next(c);
		return;
	}
	own = *err;
	error_wrap(&own, "network %.*s",
		STR_ARG(json_str(json_at(json_find(c->asked, "networks"), c->next_network - 1))));
	fail(c, &own);
}

static void connect_next(struct creating *c)
{
	const struct json *names = json_find(c->asked, "networks");
	auto_buf struct buf path = BUF_INIT(4096), body = BUF_INIT(1024);
	struct jsonw w = JSONW(&body);
	if (c->next_network >= json_len(names)) {
		start(c);
		return;
	}
	buf_puts(&path, "/networks/");
	url_encode(json_str(json_at(names, c->next_network++)), &path);
	buf_puts(&path, "/connect");
	jsonw_open(&w);
	jsonw_key(&w, "Container");
	auto_free char *name = mem_printf("cay-%s", c->member->id);
	jsonw_str(&w, str_from(name));
	jsonw_close(&w);
	const struct engine_request request = { .method = "POST",
		.path = path.ptr,
		.body = buf_str(&body),
		.is_mute = true };
	engine_ask(c->member->engine, &request, on_connected, c);
}

/* 409: an earlier try of ours did reach the engine; nobody else uses such a name. */
static void on_made(void *arg, int status, const struct json *json, const struct error *err)
{
	struct creating *c = arg;
	if (err && status != 409) {
		fail(c, err);
		return;
	}
	c->was_made = true;
	connect_next(c);
}

static void make(struct creating *c, const struct engine_image *image)
{
	struct member *m = c->member;
	auto_buf struct buf body = BUF_INIT(ENGINE_BODY_MAX);
	auto_free char *path = mem_printf("/containers/create?name=cay-%s", m->id);
	if (!c->spec->workdir[0])
		c->workdir = mem_strdup(engine_workdir(&c->wish, image));
	engine_put_body(&c->wish, image, &m->engine->facts, &m->enforced, &body);
	if (body.is_full) {
		struct error err;
		error_set(&err, ERROR_TOO_LARGE, "labels and mounts of more than %d bytes",
			ENGINE_BODY_MAX);
		fail(c, &err);
		return;
	}
	ask(c, "POST", path, buf_str(&body), on_made);
}

/* ---- the image ---- */

static void look(struct creating *c);

static void on_pulled(void *arg, int status, const struct json *json, const struct error *err)
{
	struct creating *c = arg;
	if (err) {
		struct error wrapped = *err;
		error_wrap(&wrapped, "fetch image %.100s", c->image);
		fail(c, &wrapped);
		return;
	}
	c->was_pulled = true;
	look(c);
}

static void pull(struct creating *c)
{
	struct engine *e = c->member->engine;
	auto_buf struct buf reference = BUF_INIT(1024), path = BUF_INIT(4096);
	engine_put_reference(str_from(c->image), &reference);
	buf_puts(&path, "/images/create?fromImage=");
	url_encode(buf_str(&reference), &path);
	const struct engine_request request = { .method = "POST",
		.path = path.ptr,
		.timeout_ms = -1,
		.is_progress = true };
	e->base.events->building(e->base.events_arg, c->member->id);
	engine_ask(e, &request, on_pulled, c);
}

static void on_looked(void *arg, int status, const struct json *json, const struct error *err)
{
	struct creating *c = arg;
	struct engine_image image;
	struct error own;
	if (err && status == 404 && !c->was_pulled) {
		pull(c);
	} else if (err) {
		fail(c, err);
	} else if (engine_take_image(json, &c->member->engine->facts, &image, &own) < 0) {
		error_wrap(&own, "image %.100s", c->image);
		fail(c, &own);
	} else {
		make(c, &image);
	}
}

static void look(struct creating *c)
{
	auto_buf struct buf path = BUF_INIT(4096);
	buf_puts(&path, "/images/");
	url_encode(str_from(c->image), &path);
	buf_puts(&path, "/json");
	ask(c, "GET", path.ptr, STR_NONE, on_looked);
}

/* ---- the wish ---- */

static char *wish_text(const struct json *spec, const char *key)
{
	struct str text = json_str(json_find(spec, key));
	return str_dup(text.ptr ? text : STR(""));
}

static void take_wish(struct creating *c)
{
	struct engine *e = c->member->engine;
	const struct sandbox *s = c->sandbox;
	struct str network = sandbox_label(s, STR("engine_network"));
	json_parse(str_from(s->spec_json), &c->asked, NULL);
	if (!network.len)
		network = json_str(json_at(json_find(c->asked, "networks"), c->next_network++));
	c->image = wish_text(c->asked, "image");
	c->gpus = wish_text(c->asked, "gpus");
	c->network = str_dup(network.ptr ? network : STR(""));
	c->run_dir = mem_printf("%s/%s/run", e->dir, c->member->id);
	c->wish = (struct engine_wish){
		.spec = c->spec,
		.image = c->image,
		.gpus = c->gpus,
		.network = c->network,
		.more = e->more,
		.server_id = e->id,
		.state_dir = e->state_dir,
		.program = e->program,
		.run_dir = c->run_dir,
		.label_keys = s->label_keys,
		.label_values = s->label_values,
		.n_labels = s->n_labels,
	};
}

/*
 * An engine may make what is not there, and bind that. What we may not look at is the engine's to
 * judge.
 */
static int check_sources(const struct spec *spec, struct error *err)
{
	struct stat st;
	for (uint32_t i = 0; i < spec->n_mounts; i++)
		if (stat(spec->mounts[i].source, &st) < 0 && errno != EACCES)
			return error_sys(err, errno, "mount %s", spec->mounts[i].source);
	return 0;
}

static int check_networks(const struct creating *c, struct error *err)
{
	const struct json *names = json_find(c->asked, "networks");
	for (size_t i = 0; i < json_len(names); i++)
		if (engine_check_network(json_str(json_at(names, i)), err) < 0)
			return -1;
	return 0;
}

static int begin(struct creating *c, struct error *err)
{
	struct member *m = c->member;
	take_wish(c);
	if (check_networks(c, err) < 0)
		return -1;
	if (m->engine->members.count > ENGINE_MEMBERS_MAX)
		return error_set(err, ERROR_LIMIT, "%d containers; that is the limit",
			ENGINE_MEMBERS_MAX);
	if (engine_check(&c->wish, err) < 0 || check_sources(c->spec, err) < 0)
		return -1;
	engine_promise(&c->wish, &m->engine->facts, &m->enforced);
	if (engine_check_promise(&c->wish, &m->enforced, err) < 0)
		return -1;
	return member_listen(m, true, err);
}

void engine_create(struct backend *b, const struct sandbox *s, const struct spec *spec,
	backend_fn *done, void *arg)
{
	struct engine *e = engine_from(b);
	struct member *m = member_new(e, spec->id);
	struct creating *c = mem_new(struct creating);
	struct error err;
	*c = (struct creating){ .member = m, .sandbox = s, .spec = spec, .done = done, .arg = arg };
	memcpy(c->reply.id, m->id, sizeof(c->reply.id));
	m->creating = c;
	if (begin(c, &err) == 0) {
		look(c);
		return;
	}
	member_free(m);
	engine_refuse(e, spec->id, done, arg, &err);
}
