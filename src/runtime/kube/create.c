/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The policy, if its network is closed and nobody made it before; the Secret,
 * so that no container waits for it; the pod. Then the watch tells: when its executor runs, that is
 * connected to, and says that it is ready. What cannot become anything fails with the cluster's own
 * words, at once; what waits for room has KUBE_SETTINGS::schedule_ms. At whatever step it fails,
 * Secret and pod are deleted before the failure is told.
 */
#include "runtime/kube/internal.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/log.h"
#include "event/loop.h"
#include "runtime/sandbox.h"

struct making {
	struct kpod *member;
	const struct spec *spec; /* the runtime keeps it until it is answered */
	struct pod_wish wish;
	char *image, *workdir;
	backend_fn *done;
	void *arg;
	struct backend_reply reply;
	struct error waits; /* for what, as the cluster said last */
	bool is_stuck;      /* the timer is that of schedule_ms */
	bool runs;          /* the timer is that of its executor */
	bool is_failing;
	int n_undoing; /* requests under way that remove what there is */
	struct timer *total;
};

void making_free(struct making *c)
{
	if (!c)
		return;
	questions_forget(&c->member->kube->cluster.questions, c);
	timer_free(c->total);
	free(c->image);
	free(c->workdir);
	free(c);
}

static void post(struct making *c, const char *path, const struct buf *body, answer_fn *done)
{
	const struct cluster_request request = { .method = "POST",
		.path = path,
		.body = buf_str(body) };
	cluster_ask(&c->member->kube->cluster, &request, done, c);
}

/* ---- the end ---- */

static void answer(struct making *c)
{
	struct kpod *m = c->member;
	struct backend_reply reply = c->reply;
	auto_free char *workdir = take_ptr(c->workdir);
	backend_fn *done = c->done;
	void *arg = c->arg;
	reply.workdir = workdir;
	making_free(take_ptr(m->creating));
	timer_free(take_ptr(m->timer));
	if (reply.error.code != ERROR_OK)
		kpod_free(m);
	done(arg, &reply);
}

static void on_undone(void *arg, int status, const struct json *json, const struct error *err)
{
	struct making *c = arg;
	if (err && status != 404)
		log_warn("kube.undo", "id=%s %s", c->member->id, err->text);
	if (--c->n_undoing == 0)
		answer(c);
}

static void fail(struct making *c, const struct error *err)
{
	struct kpod *m = c->member;
	auto_free char *pod = kpod_path(m, m->kube->pods);
	auto_free char *secret = kpod_path(m, m->kube->secrets);
	if (c->is_failing)
		return;
	c->is_failing = true;
	c->reply.error = *err;
	timer_free(take_ptr(m->timer));
	timer_free(take_ptr(c->total));
	cord_free(take_ptr(m->cord));
	questions_forget(&m->kube->cluster.questions, c);
	c->n_undoing = 2;
	kube_delete(m->kube, pod, on_undone, c);
	kube_delete(m->kube, secret, on_undone, c);
}

static void on_secret_gone(void *arg, int status, const struct json *json, const struct error *err)
{
	if (err && status != 404)
		log_warn("kube.secret", "%s", err->text);
}

/* From here on its Secret is of no use to anybody. */
void making_ready(struct kpod *m, const struct door_ready *who)
{
	struct making *c = m->creating;
	auto_free char *secret = kpod_path(m, m->kube->secrets);
	if (c->is_failing)
		return;
	m->enforced.uid = who->uid;
	m->enforced.gid = who->gid;
	c->reply.enforced = m->enforced;
	if (!c->spec->workdir[0] && who->workdir.len < SPEC_PATH_SIZE)
		c->workdir = str_dup(who->workdir);
	kube_delete(m->kube, secret, on_secret_gone, NULL);
	answer(c);
}

/* ---- waiting for it ---- */

static void on_late(void *arg)
{
	struct making *c = arg;
	struct kpod *m = c->member;
	const struct error *trouble = m->cord ? cord_trouble(m->cord) : NULL;
	struct error err;
	if (c->is_stuck)
		err = c->waits;
	else if (c->runs && trouble) {
		err = *trouble;
		error_wrap(&err,
			m->kube->settings.forwards
				? "its pod runs, and cannot be reached from here"
				: "its pod runs, and cannot be reached from here (a server without a route to the pods' network: [kubernetes] port_forward = true)");
	} else
		error_set(&err, ERROR_TIMEOUT, "its executor did not answer in time");
	fail(c, &err);
}

static void on_too_late(void *arg)
{
	struct making *c = arg;
	struct error err;
	error_set(&err, ERROR_TIMEOUT, "its pod did not start within %d s", KUBE_CREATE_MS / 1000);
	fail(c, &err);
}

static void set_timer(struct making *c, int64_t ms)
{
	struct kpod *m = c->member;
	if (!m->timer)
		m->timer = timer_new(m->kube->loop, on_late, c);
	timer_set(m->timer, ms);
}

static void fail_for(struct making *c, const struct pod_state *state)
{
	struct error err = state->why;
	if (err.code == ERROR_OK)
		error_set(&err, ERROR_INTERNAL, "its pod ended before its executor was ready");
	if (state->end == END_OUT_OF_MEMORY && state->phase == POD_ENDED)
		error_wrap(&err, "its memory limit is too low");
	fail(c, &err);
}

static void see_running(struct making *c, const struct pod_state *state)
{
	struct kpod *m = c->member;
	struct kube *k = m->kube;
	if (!c->runs)
		k->base.events->started(k->base.events_arg, m->id);
	if (!c->runs || c->is_stuck)
		set_timer(c, KUBE_READY_MS);
	c->runs = true;
	c->is_stuck = false;
	kpod_reach(m, state->address);
}

void making_see(struct kpod *m, const struct pod_state *state)
{
	struct making *c = m->creating;
	struct error err;
	if (c->is_failing)
		return;
	switch (state->phase) {
	case POD_WAITS:
		c->is_stuck = false;
		if (m->timer && !c->runs)
			timer_clear(m->timer);
		break;
	case POD_STUCK:
		c->waits = state->why;
		if (!c->is_stuck)
			set_timer(c, m->kube->settings.schedule_ms);
		c->is_stuck = true;
		break;
	case POD_RUNS:
		see_running(c, state);
		break;
	case POD_LEAVES:
		error_set(&err, ERROR_CANCELLED, "somebody deletes its pod");
		fail(c, &err);
		break;
	case POD_FAILED:
	case POD_ENDED:
		fail_for(c, state);
	}
}

void making_refused(struct kpod *m, const struct error *err)
{
	fail(m->creating, err);
}

void making_gone(struct kpod *m)
{
	struct error err;
	error_set(&err, ERROR_CANCELLED, "somebody has deleted its pod");
	fail(m->creating, &err);
}

/* ---- the objects ---- */

/* A refusal for want of room is none of a right. */
static void say_refusal(struct error *err, int status)
{
	if (status == 403 && strstr(err->text, "exceeded quota"))
		err->code = ERROR_LIMIT;
	else if (status == 403)
		err->code = ERROR_FORBIDDEN;
}

/* 409: an earlier try of ours did reach the cluster; nobody else uses such a name. */
static bool was_refused(struct making *c, int status, const struct error *err, const char *what)
{
	struct error own;
	if (!err || status == 409)
		return false;
	own = *err;
	say_refusal(&own, status);
	error_wrap(&own, "%s", what);
	fail(c, &own);
	return true;
}

static void on_pod(void *arg, int status, const struct json *pod, const struct error *err)
{
	struct making *c = arg;
	struct kube *k = c->member->kube;
	if (was_refused(c, status, err, "make its pod"))
		return;
	c->member->is_made = true;
	k->base.events->building(k->base.events_arg, c->member->id);
}

static void make_pod(struct making *c)
{
	struct kpod *m = c->member;
	auto_buf struct buf body = BUF_INIT(KUBE_BODY_MAX);
	pod_put(&c->wish, &m->enforced, &body);
	post(c, m->kube->pods, &body, on_pod);
}

static void on_secret(void *arg, int status, const struct json *json, const struct error *err)
{
	if (!was_refused(arg, status, err, "make its Secret"))
		make_pod(arg);
}

static void make_secret(struct making *c)
{
	struct kpod *m = c->member;
	auto_buf struct buf body = BUF_INIT(KUBE_BODY_MAX);
	char secret[SHA256_HEX_SIZE];
	kpod_secret(m, secret);
	pod_put_secret(m->id, m->kube->id, str_from(secret), &body);
	explicit_bzero(secret, sizeof(secret));
	post(c, m->kube->secrets, &body, on_secret);
}

static void on_policy(void *arg, int status, const struct json *json, const struct error *err)
{
	struct making *c = arg;
	if (was_refused(c, status, err, "make the NetworkPolicy of its closed network"))
		return;
	c->member->kube->has_policy = true;
	make_secret(c);
}

static void make_policy(struct making *c)
{
	struct kube *k = c->member->kube;
	auto_buf struct buf body = BUF_INIT(KUBE_BODY_MAX);
	pod_put_policy(k->id, &body);
	post(c, k->policies, &body, on_policy);
}

/* ---- the wish ---- */

static void take_wish(struct making *c, const struct sandbox *s)
{
	struct kube *k = c->member->kube;
	auto_json struct json *asked = NULL;
	json_parse(str_from(s->spec_json), &asked, NULL);
	struct str image = json_str(json_find(asked, "image"));
	c->image = str_dup(image.ptr ? image : STR(""));
	c->wish = (struct pod_wish){
		.spec = c->spec,
		.image = c->image,
		.server_id = k->id,
		.settings = &k->settings,
	};
}

static int begin(struct making *c, const struct sandbox *s, struct error *err)
{
	struct kpod *m = c->member;
	take_wish(c, s);
	if (m->kube->members.count > KUBE_MEMBERS_MAX)
		return error_set(err, ERROR_LIMIT, "%d pods; that is the limit", KUBE_MEMBERS_MAX);
	if (pod_check(&c->wish, err) < 0)
		return -1;
	pod_promise(&c->wish, &m->enforced);
	return pod_check_promise(&c->wish, &m->enforced, err);
}

void kube_create(struct backend *b, const struct sandbox *s, const struct spec *spec,
	backend_fn *done, void *arg)
{
	struct kube *k = kube_from(b);
	struct kpod *m = kpod_new(k, spec->id);
	struct making *c = mem_new(struct making);
	struct error err;
	*c = (struct making){ .member = m, .spec = spec, .done = done, .arg = arg };
	c->reply.fd = -1;
	memcpy(c->reply.id, m->id, sizeof(c->reply.id));
	m->creating = c;
	if (begin(c, s, &err) < 0) {
		kpod_free(m);
		answers_add(&k->answers, spec->id, done, arg)->error = err;
		return;
	}
	c->total = timer_new(k->loop, on_too_late, c);
	timer_set(c->total, KUBE_CREATE_MS);
	if (spec->network == NETWORK_HOST || k->has_policy)
		make_secret(c);
	else
		make_policy(c);
}
