/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/executor_verbs.h"

#include "action/executor_actions.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/num.h"
#include "executor/cover.h"
#include "executor/executor.h"
#include "executor/sudo.h"
#include "executor/trust.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/utsname.h>

static int configure(struct executor *e, const struct configure_params *p, struct error *err)
{
	struct user user = e->user;
	if (p->has_sudo && e->is_bare)
		return error_set(err, ERROR_UNSUPPORTED,
			"configure: without isolation sudo is the host's own");
	if (p->user.len && user_find(p->user, &user, err) < 0)
		return -1;
	if (p->workdir.len && p->workdir.ptr[0] != '/')
		return error_set(err, ERROR_INVALID, "configure: workdir '%.*s' is not absolute",
			STR_ARG(str_first(p->workdir, 200)));
	if (p->user.len)
		executor_set_user(e, &user);
	if (env_set_all(&e->env, &p->env, err) < 0 ||
		(p->trust.len && trust_add(e, p->trust, err) < 0))
		return -1;
	for (size_t i = 0; i < p->env.n; i++)
		if (p->env.values[i].len == 0)
			env_unset(&e->env, p->env.keys[i]);
	if (p->workdir.len) {
		free(e->workdir);
		e->workdir = str_dup(p->workdir);
	}
	if (p->has_sudo && !e->sudo && sudo_new(e, &e->sudo, err) < 0)
		return -1;
	if (p->secrets.n)
		env_names_add(&e->secrets, &p->secrets);
	cover_learn(e);
	return 0;
}

static void configure_start(struct call *call, const void *params)
{
	struct executor *e = call->executor;
	struct error err;
	if (configure(e, params, &err) < 0) {
		call_fail(call, &err);
		return;
	}
	auto_buf struct buf b = BUF_INIT(16384);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "workdir", str_from(e->workdir));
	jsonw_key_str(&w, "user", str_from(e->user.name));
	jsonw_close(&w);
	call_finish(call, buf_str(&b));
}

const struct verb configure_verb = { .action = &configure_action, .start = configure_start };

static void put_disk(struct jsonw *w, const char *path)
{
	struct statfs fs = { 0 };
	if (statfs(path, &fs) < 0)
		memset(&fs, 0, sizeof(fs));
	int64_t block = (int64_t)fs.f_frsize;
	jsonw_key_int(w, "disk_bytes", (int64_t)(fs.f_blocks - fs.f_bfree) * block);
	jsonw_key_int(w, "disk_limit_bytes", (int64_t)fs.f_blocks * block);
	jsonw_key_int(w, "disk_inodes", (int64_t)(fs.f_files - fs.f_ffree));
	jsonw_key_int(w, "disk_limit_inodes", (int64_t)fs.f_files);
}

static void put_user(struct jsonw *w, const struct user *user)
{
	struct utsname uts;
	jsonw_key_str(w, "user", str_from(user->name));
	jsonw_key_int(w, "uid", user->uid);
	jsonw_key_int(w, "gid", user->gid);
	jsonw_key_str(w, "home", str_from(user->home));
	jsonw_key_str(w, "hostname", uname(&uts) == 0 ? str_from(uts.nodename) : STR(""));
}

static void info_start(struct call *call, const void *params)
{
	struct executor *e = call->executor;
	int64_t now = clock_mono_ms();
	/*
	 * The executor is outside the pid namespace: /proc has no entry for it, so rss is the peak.
	 */
	struct rusage usage = { 0 };
	getrusage(RUSAGE_SELF, &usage);
	auto_buf struct buf b = BUF_INIT(32768);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "version", STR(CAY_VERSION));
	put_user(&w, &e->user);
	jsonw_key_str(&w, "workdir", str_from(e->workdir));
	jsonw_key_int(&w, "uptime_ms", now - e->started_ms);
	jsonw_key_int(&w, "idle_ms", now - e->last_call_ms);
	jsonw_key_int(&w, "calls", (int64_t)e->n_calls);
	jsonw_key_int(&w, "sessions", (int64_t)e->n_sessions);
	jsonw_key_int(&w, "processes", (int64_t)e->n_running);
	jsonw_key_int(&w, "processes_retained", (int64_t)e->n_retained);
	put_disk(&w, e->workdir);
	jsonw_key_int(&w, "rss_bytes", usage.ru_maxrss * 1024);
	jsonw_close(&w);
	call_finish(call, buf_str(&b));
}

const struct verb info_verb = { .action = &info_action, .start = info_start };

/* Nothing happens in a subscription's call itself: executor_emit finds it among the calls. */
static void subscribe_start(struct call *call, const void *params)
{
}

const struct verb subscribe_verb = { .action = &subscribe_action, .start = subscribe_start };

/* A subscriber that does not read loses its subscription, not the executor its memory. */
void executor_emit(struct executor *e, struct str event_json)
{
	struct call *call, *tmp;
	list_for_each_safe(call, tmp, &e->calls, link) {
		if (call->verb != &subscribe_verb)
			continue;
		struct error err;
		if (channel_is_full(call->channel)) {
			error_set(&err, ERROR_LIMIT, "the subscriber does not read");
			call_fail(call, &err);
		} else {
			call_event(call, event_json);
		}
	}
}
