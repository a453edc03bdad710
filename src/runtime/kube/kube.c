/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A member is a pod of ours: on its way (creating), living, or ending. What
 * the cluster says of it (watch.c) decides when it may be connected to and when it has ended; the
 * cord to its executor tells whether that is ready. When a cord breaks and the pod runs, the
 * network is in trouble, not the sandbox: it is tied again, and calls fail meanwhile, each by
 * itself.
 *
 * A sandbox has gone when the cluster has taken on to delete its pod and nothing of it runs: its
 * executor has hung up when it was told to end, or the cluster says so. What the cluster does with
 * the rest takes it seconds more, and is nobody's business.
 */
#include "runtime/kube/kube.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/log.h"
#include "event/loop.h"
#include "runtime/kube/internal.h"
#include "wire/url.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/random.h>

static const struct backend_ops kube_ops;

struct kube *kube_from(struct backend *b)
{
	BUG_IF(b->ops != &kube_ops, "a backend that is no cluster");
	return container_of(b, struct kube, base);
}

/* ---- members ---- */

char *kpod_path(const struct kpod *m, const char *collection)
{
	return mem_printf("%s/cay-%s", collection, m->id);
}

void kpod_secret(const struct kpod *m, char ret[SHA256_HEX_SIZE])
{
	auto_free char *text = mem_printf("sandbox %s", m->id);
	hmac_sha256(str_from(m->kube->key), str_from(text), ret);
}

struct kpod *kpod_new(struct kube *k, const char *id)
{
	struct kpod *m = mem_new(struct kpod);
	m->kube = k;
	snprintf(m->id, sizeof(m->id), "%s", id);
	BUG_IF(map_put(&k->members, str_from(m->id), m), "two members with one id");
	return m;
}

struct kpod *kpod_find(struct kube *k, const char *id)
{
	return map_find(&k->members, str_from(id));
}

static void kpod_drop(struct kpod *m)
{
	making_free(m->creating);
	timer_free(m->timer);
	cord_free(m->cord);
	free(m);
}

void kpod_free(struct kpod *m)
{
	struct kube *k = m->kube;
	map_remove(&k->members, str_from(m->id));
	questions_forget(&k->cluster.questions, m);
	kpod_drop(m);
}

/* ---- the end of one ---- */

void kube_delete(struct kube *k, const char *path, answer_fn *done, void *arg)
{
	const struct cluster_request request = { .method = "DELETE", .path = path };
	cluster_ask(&k->cluster, &request, done, arg);
}

static void on_ignored(void *arg, int status, const struct json *json, const struct error *err)
{
	if (err && status != 404)
		log_warn("kube.delete", "%s", err->text);
}

static void tell_end(struct kpod *m, const struct error *err)
{
	struct kube *k = m->kube;
	backend_fn *destroyed = m->destroyed;
	void *arg = m->destroyed_arg;
	bool is_unasked = m->is_unasked;
	enum end_reason end = m->end;
	struct backend_reply reply = { .fd = -1 };
	snprintf(reply.id, sizeof(reply.id), "%s", m->id);
	if (err)
		reply.error = *err;
	if (err && !is_unasked) { /* it may be tried again */
		m->is_ending = m->is_deleted = false;
		m->destroyed = NULL;
		timer_free(take_ptr(m->timer));
	} else {
		kpod_free(m);
	}
	if (destroyed)
		destroyed(arg, &reply);
	else if (is_unasked)
		k->base.events->ended(k->base.events_arg, reply.id, end);
}

static void end_if_gone(struct kpod *m)
{
	if (m->is_ending && m->is_deleted && m->is_dead)
		tell_end(m, NULL);
}

static void on_slow(void *arg)
{
	struct error err;
	error_set(&err, ERROR_TIMEOUT, "the cluster has not ended its pod yet");
	tell_end(arg, &err);
}

static void on_deleted(void *arg, int status, const struct json *json, const struct error *err)
{
	struct kpod *m = arg;
	if (err && status != 404) {
		if (m->is_unasked)
			log_warn("kube.delete", "id=%s %s", m->id, err->text);
		tell_end(m, err);
		return;
	}
	m->is_deleted = true;
	m->is_dead |= status == 404;
	if (!m->is_dead && !(m->cord && cord_quit(m->cord))) {
		m->timer = m->timer ?: timer_new(m->kube->loop, on_slow, m);
		timer_set(m->timer, KUBE_DESTROY_MS);
	}
	end_if_gone(m);
}

void kpod_end(struct kpod *m)
{
	auto_free char *path = kpod_path(m, m->kube->pods);
	m->is_ending = true;
	timer_free(take_ptr(m->timer));
	kube_delete(m->kube, path, on_deleted, m);
}

void kpod_ended(struct kpod *m, enum end_reason reason)
{
	m->is_unasked = m->is_dead = true;
	m->end = reason;
	kpod_end(m);
}

/* ---- its executor ---- */

static void on_ready(void *arg, const struct door_ready *who)
{
	struct kpod *m = arg;
	if (m->creating)
		making_ready(m, who);
}

static void on_lost(void *arg, const struct error *err)
{
	struct kpod *m = arg;
	log_warn("kube.lost", "id=%s %s", m->id, err->text);
	cord_free(take_ptr(m->cord));
	if (!m->is_ending && !m->creating)
		kpod_ended(m, END_EXITED);
}

static void on_refused(void *arg, const struct error *err)
{
	struct kpod *m = arg;
	if (m->creating)
		making_refused(m, err);
}

static void on_gone(void *arg)
{
	struct kpod *m = arg;
	cord_free(take_ptr(m->cord));
	m->is_dead = true;
	end_if_gone(m);
}

void kpod_reach(struct kpod *m, const char *address)
{
	static const struct cord_ops ops = { on_ready, on_lost, on_refused, on_gone };
	struct kube *k = m->kube;
	char secret[SHA256_HEX_SIZE];
	auto_free char *path = k->settings.forwards ? kpod_path(m, k->pods) : NULL;
	struct reach reach = { .forwards = path ? &k->forwards : NULL };
	snprintf(reach.where, sizeof(reach.where), "%s", path ?: address);
	if (m->cord && strcmp(cord_reach(m->cord)->where, reach.where) == 0)
		return;
	cord_free(m->cord);
	kpod_secret(m, secret);
	m->cord = cord_new(k->loop, &reach, secret, &ops, m);
	explicit_bzero(secret, sizeof(secret));
}

/* ---- what the cluster says ---- */

/* Of nobody's: what was on its way when a server was killed, or came after it was given up. */
static void remove_stray(struct kube *k, const struct pod_state *state)
{
	auto_free char *path = mem_printf("%s/cay-%s", k->pods, state->id);
	if (state->is_leaving)
		return;
	log_info("kube.stray", "id=%s is deleted", state->id);
	kube_delete(k, path, on_ignored, NULL);
}

static void adopt(struct kube *k, const struct pod_state *state)
{
	struct kpod *m = kpod_new(k, state->id);
	struct backend_reply reply = { .enforced = state->enforced, .fd = -1 };
	memcpy(reply.id, m->id, sizeof(reply.id));
	m->is_made = true;
	m->enforced = state->enforced;
	kpod_reach(m, state->address);
	k->base.events->adopt(k->base.events_arg, &reply);
}

static void end_by_itself(struct kpod *m, const struct pod_state *state)
{
	bool is_memory = state->end == END_OUT_OF_MEMORY;
	bool is_taken = state->phase == POD_LEAVES || state->is_leaving || !state->was_ours ||
		state->why.code == ERROR_UNAVAILABLE;
	log_info("kube.ended", "id=%s %s", m->id,
		state->why.code == ERROR_OK ? "its pod has gone" : state->why.text);
	kpod_ended(m, is_memory ? END_OUT_OF_MEMORY : is_taken ? END_TAKEN : END_EXITED);
}

void kube_see(struct kube *k, const struct pod_state *state)
{
	struct kpod *m = kpod_find(k, state->id);
	if (m)
		m->is_made = true; /* the answer to its POST may come later, or never */
	if (!m && !k->has_started && state->phase == POD_RUNS)
		adopt(k, state);
	else if (!m)
		remove_stray(k, state);
	else if (m->is_ending && state->phase == POD_ENDED) {
		m->is_dead = true;
		end_if_gone(m);
	} else if (m->is_ending)
		return;
	else if (m->creating)
		making_see(m, state);
	else if (state->phase == POD_RUNS)
		kpod_reach(m, state->address);
	else if (state->phase == POD_ENDED || state->phase == POD_LEAVES)
		end_by_itself(m, state);
}

void kube_miss(struct kube *k, const char *id)
{
	struct kpod *m = kpod_find(k, id);
	if (!m)
		return;
	m->is_dead = true;
	if (m->is_ending)
		end_if_gone(m);
	else if (m->creating)
		making_gone(m);
	else
		kpod_ended(m, END_TAKEN);
}

void kube_list_begins(struct kube *k)
{
	struct kpod *m;
	size_t i = 0;
	while ((m = map_next(&k->members, &i, NULL)))
		m->is_expected = m->is_made;
}

static struct kpod *find_missing(const struct kube *k, const struct map *seen)
{
	struct kpod *m;
	size_t i = 0;
	while ((m = map_next(&k->members, &i, NULL)))
		if (m->is_expected && !map_find(seen, str_from(m->id)))
			return m;
	return NULL;
}

void kube_listed(struct kube *k, const struct map *seen)
{
	struct kpod *m;
	while ((m = find_missing(k, seen))) {
		m->is_expected = false;
		kube_miss(k, m->id);
	}
	if (!k->has_started)
		sweep_start(k);
}

/* ---- the operations ---- */

static void kube_start(struct backend *b, backend_fn *done, void *arg)
{
	struct kube *k = kube_from(b);
	k->started = done;
	k->started_arg = arg;
	k->watch = kube_watch_new(k);
}

void kube_list_failed(struct kube *k, const struct error *err)
{
	answers_add(&k->answers, "", k->started, k->started_arg)->error = *err;
}

static void refuse_gone(struct kube *k, const char *id, enum error_code code, backend_fn *done,
	void *arg)
{
	error_set(&answers_add(&k->answers, id, done, arg)->error, code, "sandbox %s is gone", id);
}

static void kube_destroy(struct backend *b, const char *id, backend_fn *done, void *arg)
{
	struct kube *k = kube_from(b);
	struct kpod *m = kpod_find(k, id);
	if (!m || m->destroyed) {
		refuse_gone(k, id, ERROR_NOT_FOUND, done, arg);
		return;
	}
	m->destroyed = done;
	m->destroyed_arg = arg;
	if (!m->is_ending)
		kpod_end(m);
}

static void kube_freeze(struct backend *b, const char *id, bool is_frozen, backend_fn *done,
	void *arg)
{
	error_set(&answers_add(&kube_from(b)->answers, id, done, arg)->error, ERROR_UNSUPPORTED,
		"backend kubernetes: a cluster has no way to pause a pod");
}

struct errand {
	struct list link; /* kube::errands */
	struct kube *kube;
	char id[ID_SIZE];
	backend_fn *done;
	void *arg;
};

static void on_usage(void *arg, const struct door_usage *usage)
{
	struct errand *e = arg;
	struct errand copy = *e;
	struct backend_reply reply = { .fd = -1,
		.usage = { .memory_bytes = usage ? usage->memory_bytes : -1,
			.memory_peak_bytes = usage ? usage->memory_peak_bytes : -1,
			.pids = usage ? usage->pids : -1,
			.cpu_us = usage ? usage->cpu_us : -1,
			.disk_bytes = -1,
			.disk_inodes = -1,
			.oom_kills = -1 } };
	list_remove(&e->link);
	free(e);
	memcpy(reply.id, copy.id, sizeof(reply.id));
	copy.done(copy.arg, &reply);
}

static void kube_usage(struct backend *b, const char *id, backend_fn *done, void *arg)
{
	struct kube *k = kube_from(b);
	struct kpod *m = kpod_find(k, id);
	if (!m || !m->cord || m->is_ending) {
		refuse_gone(k, id, ERROR_GONE, done, arg);
		return;
	}
	struct errand *e = mem_new(struct errand);
	*e = (struct errand){ .kube = k, .done = done, .arg = arg };
	memcpy(e->id, m->id, sizeof(e->id));
	list_append(&k->errands, &e->link);
	cord_ask_usage(m->cord, on_usage, e);
}

static int kube_open_call(struct backend *b, const char *id, int *ret_fd, struct error *err)
{
	struct kube *k = kube_from(b);
	struct kpod *m = kpod_find(k, id);
	char secret[SHA256_HEX_SIZE];
	if (!m || !m->cord || m->is_ending)
		return error_set(err, ERROR_GONE, "sandbox %s has no executor any more", id);
	kpod_secret(m, secret);
	int r = pump_open(&k->pumps, cord_reach(m->cord), secret, ret_fd, err);
	explicit_bzero(secret, sizeof(secret));
	return r < 0 ? error_wrap(err, "start a call in sandbox %s", id) : 0;
}

static void kube_free(struct backend *b)
{
	struct kube *k = kube_from(b);
	struct kpod *m;
	size_t i = 0;
	kube_watch_free(k->watch);
	answers_fini(&k->answers);
	refusals_free(k);
	while ((m = map_next(&k->members, &i, NULL)))
		kpod_drop(m);
	map_fini(&k->members);
	cluster_fini(&k->cluster);
	pump_house_fini(&k->pumps);
	forwards_fini(&k->forwards);
	while (!list_is_empty(&k->errands)) {
		struct errand *e = list_get_first(&k->errands, struct errand, link);
		list_remove(&e->link);
		free(e);
	}
	kube_settings_fini(&k->settings);
	explicit_bzero(k->key, sizeof(k->key));
	free(k->pods);
	free(k->secrets);
	free(k->policies);
	free(k->dir);
	free(k);
}

static const struct backend_ops kube_ops = {
	.name = "kubernetes",
	.library = &kube_library,
	.start = kube_start,
	.create = kube_create,
	.destroy = kube_destroy,
	.freeze = kube_freeze,
	.usage = kube_usage,
	.open_call = kube_open_call,
	.free = kube_free,
};

/* ---- opening ---- */

/*
 * Numbers that go with the state directory: whose pods are ours, and what their secrets follow
 * from.
 */
static int load_identity(struct kube *k, struct error *err)
{
	auto_free char *id_path = mem_printf("%s/id", k->dir);
	auto_free char *key_path = mem_printf("%s/key", k->dir);
	auto_buf struct buf id = BUF_INIT(ID_SIZE), key = BUF_INIT(SHA256_HEX_SIZE);
	char random[DOOR_NONCE_SIZE];
	if (file_read(AT_FDCWD, id_path, &id, err) == 0 && id_is_valid(buf_str(&id)) &&
		file_read(AT_FDCWD, key_path, &key, err) == 0 && sha256_is_hex(buf_str(&key))) {
		memcpy(k->id, id.ptr, ID_SIZE);
		memcpy(k->key, key.ptr, SHA256_HEX_SIZE);
		explicit_bzero(key.ptr, key.len);
		return 0;
	}
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return error_sys(err, errno, "make a key");
	hmac_sha256(str_from_len(random, sizeof(random)), STR("cay kubernetes"), k->key);
	id_make(k->id);
	if (file_replace_and_flush(key_path, str_from(k->key), 0600, err) < 0)
		return -1;
	return file_replace_and_flush(id_path, str_from(k->id), 0600, err);
}

static int open_cluster(struct kube *k, const struct kube_config *config, struct error *err)
{
	struct access access;
	if (kube_settings_read(config->settings, &k->settings, err) < 0 ||
		access_load(config->kubeconfig, &access, err) < 0)
		return -1;
	const char *namespace = k->settings.namespace ?: access.namespace ?: "default";
	bool is_good = kube_is_name(str_from(namespace));
	k->pods = mem_printf("/api/v1/namespaces/%s/pods", namespace);
	k->secrets = mem_printf("/api/v1/namespaces/%s/secrets", namespace);
	k->policies = mem_printf("/apis/networking.k8s.io/v1/namespaces/%s/networkpolicies",
		namespace);
	if (!is_good)
		error_set(err, ERROR_INVALID, "'%.60s' is no name of a namespace", namespace);
	if (access.believes_anybody)
		log_warn("kube.insecure", "%s: insecure-skip-tls-verify: anybody may be %s",
			access.name, access.server);
	if (is_good)
		log_info("kube.cluster", "server=%s namespace=%s access=%s", access.server,
			namespace, access.name);
	cluster_fini(&k->cluster);
	cluster_init(&k->cluster, k->loop, &access);
	return is_good ? 0 : -1;
}

_Static_assert((int)ACCESS_FILES == (int)KUBE_READS_MAX, "one list is as long as the other");

int kube_reads(const char *kubeconfig, char *ret[KUBE_READS_MAX + 1], struct error *err)
{
	return access_find_files(kubeconfig, ret, err) < 0 ? error_wrap(err, "backend kubernetes")
							   : 0;
}

int kube_backend_new(struct loop *loop, const struct kube_config *config, struct backend **ret,
	struct error *err)
{
	struct kube *k = mem_new(struct kube);
	struct access nothing = { 0 };
	k->base.ops = &kube_ops;
	k->loop = loop;
	list_init(&k->errands);
	list_init(&k->refusals);
	answers_init(&k->answers, loop);
	pump_house_init(&k->pumps, loop);
	cluster_init(&k->cluster, loop, &nothing);
	forwards_init(&k->forwards, &k->cluster);
	k->dir = mem_printf("%s/kubernetes", config->state_dir ?: ".");
	if (!config->state_dir || open_cluster(k, config, err) < 0 ||
		file_mkdirs(k->dir, 0700, err) < 0 || load_identity(k, err) < 0) {
		if (!config->state_dir)
			error_set(err, ERROR_INVALID, "it needs a state directory");
		kube_free(&k->base);
		return error_wrap(err, "backend kubernetes");
	}
	*ret = &k->base;
	return 0;
}
