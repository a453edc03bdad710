/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/home.h"
#include "cli/engine.h"
#include "runtime/kube/find.h"
#include "cli/networks.h"
#include "cli/options.h"
#include "runtime/leftover.h"
#include "sandbox/canary.h"
#include "sandbox/launch.h"
#include "sandbox/probe.h"
#include "wire/json.h"

#include <poll.h>

/* One sandbox made and removed: the proof that all of it works together. */
struct trial {
	bool is_made;
	int64_t make_us;
	struct error why;
};

/* The images of a server, which need not run. */
struct image_report {
	struct buf dir;
	int n;              /* with those that are damaged */
	struct buf damaged; /* a line each: ID NAME */
	struct error why;   /* ERROR_OK: they could be looked at */
};

struct report {
	struct host host;
	struct probe_result results[CONTROL_MAX];
	struct probe_weakness weaknesses[PROBE_WEAKNESSES_MAX];
	int n_weaknesses;
	struct trial trial;
	struct engine_report engine;
	struct network_report networks[NETWORKS_MAX];
	struct image_report images;
	struct buf attacks;      /* with --attack: a line each, see sandbox/canary.h */
	struct error attack_why; /* ERROR_OK: nothing got through */
};

static int trial_launch(const struct host *host, struct trial *t)
{
	static struct spec spec;
	static struct plan plan;
	struct box box = BOX_INIT;
	id_make(spec.id);
	if (plan_make(&spec, host, 0, &plan, &t->why) < 0)
		return -1;
	int64_t start_us = clock_mono_us();
	int r = launch_start(&plan, NULL, NULL, NULL, &box, NULL, &t->why);
	t->make_us = clock_mono_us() - start_us;
	plan_fini(&plan);
	if (r == 0) {
		launch_kill(&box);
		launch_reap(&box, NULL);
	}
	return r;
}

static void note_damaged(void *ctx, const char *id, const char *name)
{
	struct image_report *i = ctx;
	buf_printf(&i->damaged, "%s %s\n", id, name);
	i->n++;
}

static void look_at_images(struct image_report *i, const char *state)
{
	i->dir = BUF_INIT(4096);
	i->damaged = BUF_INIT(1 << 18);
	int n = 0;
	if (state)
		buf_puts(&i->dir, state);
	if (state || home_put_state(&i->dir, &i->why) == 0)
		n = leftover_look(i->dir.ptr, note_damaged, i, &i->why);
	i->n += MAX(n, 0);
}

static int report_make(struct report *rep, const char *state, struct error *err)
{
	if (host_init(&rep->host, err) < 0)
		return -1;
	probe_all(&rep->host, rep->results);
	rep->n_weaknesses = probe_weaknesses(rep->weaknesses);
	rep->trial.is_made = trial_launch(&rep->host, &rep->trial) == 0;
	engine_look(&rep->engine);
	networks_look(rep->networks);
	look_at_images(&rep->images, state);
	return 0;
}

static void attack(struct report *rep)
{
	rep->attacks = BUF_INIT(1 << 18);
	canary_send(&rep->host, USER_AGENT, &rep->attacks, &rep->attack_why);
}

static void print_control(struct buf *b, const struct host *host, enum control c,
	const struct probe_result *r)
{
	const char *state = r->is_enforced ? "yes" : probe_is_essential(c) ? "MISSING" : "no";
	buf_printf(b, "%-16s %-8s %s\n", control_name(c), state,
		r->is_enforced ? r->detail : r->why.text);
	if (!r->is_enforced)
		buf_printf(b, "%-25s to have it: %s\n", "", probe_remedy(host, c));
}

/* A line: NAME OUTCOME WHY. */
static bool next_attack(struct str *rest, struct str *name, struct str *outcome, struct str *why)
{
	return str_split(rest, '\n', why) && str_split(why, ' ', name) &&
		str_split(why, ' ', outcome);
}

static void print_attacks(struct buf *b, const struct report *rep)
{
	struct str rest = buf_str(&rep->attacks), name, outcome, why;
	int n = 0, n_allowed = 0;
	buf_puts(b, "\nattacks from within a sandbox:\n");
	while (next_attack(&rest, &name, &outcome, &why)) {
		n++;
		n_allowed += str_is(outcome, "ALLOWED");
		buf_printf(b, "%-20.*s %-8.*s %.*s\n", STR_ARG(name), STR_ARG(outcome),
			STR_ARG(why));
	}
	if (rep->attack_why.code != ERROR_OK)
		buf_printf(b, "%s\n", rep->attack_why.text);
	else
		buf_printf(b, "none of %d got through%s\n", n,
			n_allowed ? " (ALLOWED: it reached nothing but what is the sandbox's own)"
				  : "");
}

/* A line: ID NAME. */
static bool next_damaged(struct str *rest, struct str *id, struct str *name)
{
	return str_split(rest, '\n', name) && str_split(name, ' ', id) && id->len;
}

static void print_images(struct buf *b, const struct image_report *i)
{
	struct str rest = buf_str(&i->damaged), id, name;
	if (i->why.code != ERROR_OK)
		buf_printf(b, "images: %s\n", i->why.text);
	else if (i->n)
		buf_printf(b, "images in %s: %d\n", i->dir.ptr, i->n);
	while (next_damaged(&rest, &id, &name))
		buf_printf(b,
			"%-25s %.12s %.*s is damaged: " IMAGE_WORDS_OF_LOSS
			", or: cay image rm %.*s\n",
			"", id.ptr, STR_ARG(name), STR_ARG(name.len ? name : id));
}

/* Whether it answers is not asked: that would take what the server alone has, TLS and a token. */
static void print_cluster(struct buf *b)
{
	struct error err;
	auto_free char *path = NULL;
	if (kube_find(NULL, &path, &err) < 0)
		buf_printf(b, "for --backend kubernetes: %s\n", err.text);
	else
		buf_printf(b, "for --backend kubernetes: %s\n",
			path ?: "the account of this pod (" KUBE_OWN_DIR ")");
}

static void json_cluster(struct jsonw *w)
{
	struct error err;
	auto_free char *path = NULL;
	int r = kube_find(NULL, &path, &err);
	jsonw_key(w, "cluster");
	jsonw_open(w);
	jsonw_key_str(w, r < 0 ? "reason" : "access",
		str_from(r < 0 ? err.text : path ?: KUBE_OWN_DIR));
	jsonw_close(w);
}

static void print_text(struct buf *b, const struct report *rep)
{
	for (int i = 0; i < CONTROL_MAX; i++)
		print_control(b, &rep->host, (enum control)i, &rep->results[i]);
	if (rep->trial.is_made)
		buf_printf(b, "\na sandbox was made in %.1f ms\n",
			(double)rep->trial.make_us / 1000);
	else
		buf_printf(b, "\nno sandbox can be made: %s\n", rep->trial.why.text);
	if (rep->engine.is_there)
		buf_printf(b, "for --backend docker: engine %s at %s\n", rep->engine.version,
			rep->engine.socket);
	else
		buf_printf(b, "for --backend docker: %s\n", rep->engine.why.text);
	print_cluster(b);
	for (int i = 0; i < NETWORKS_MAX; i++)
		buf_printf(b, "for --network %s: %s\n", rep->networks[i].name,
			rep->networks[i].is_there ? "yes" : rep->networks[i].why);
	print_images(b, &rep->images);
	if (rep->n_weaknesses > 0)
		buf_puts(b, "\nweak settings of this host:\n");
	for (int i = 0; i < rep->n_weaknesses; i++) {
		const struct probe_weakness *w = &rep->weaknesses[i];
		buf_printf(b, "%s = %s: %s\n%-25s to mend it: %s\n", w->sysctl, w->value, w->why,
			"", w->remedy);
	}
	if (rep->attacks.len)
		print_attacks(b, rep);
}

static void json_attacks(struct jsonw *w, const struct report *rep)
{
	struct str rest = buf_str(&rep->attacks), name, outcome, why;
	jsonw_key(w, "attacks");
	jsonw_open_array(w);
	while (next_attack(&rest, &name, &outcome, &why)) {
		jsonw_open(w);
		jsonw_key_str(w, "attack", name);
		jsonw_key_str(w, "outcome", outcome);
		jsonw_key_str(w, "why", why);
		jsonw_close(w);
	}
	jsonw_close_array(w);
}

static void json_control(struct jsonw *w, const struct host *host, enum control c,
	const struct probe_result *r)
{
	jsonw_open(w);
	jsonw_key_str(w, "control", str_from(control_name(c)));
	jsonw_key_bool(w, "enforced", r->is_enforced);
	jsonw_key_bool(w, "essential", probe_is_essential(c));
	if (r->is_enforced && *r->detail)
		jsonw_key_str(w, "detail", str_from(r->detail));
	if (!r->is_enforced) {
		jsonw_key_str(w, "reason", str_from(r->why.text));
		jsonw_key_str(w, "remedy", str_from(probe_remedy(host, c)));
	}
	jsonw_close(w);
}

static void json_weakness(struct jsonw *w, const struct probe_weakness *weak)
{
	jsonw_open(w);
	jsonw_key_str(w, "setting", str_from(weak->sysctl));
	jsonw_key_str(w, "value", str_from(weak->value));
	jsonw_key_str(w, "reason", str_from(weak->why));
	jsonw_key_str(w, "remedy", str_from(weak->remedy));
	jsonw_close(w);
}

static void json_engine(struct jsonw *w, const struct engine_report *e)
{
	jsonw_key(w, "engine");
	jsonw_open(w);
	jsonw_key_bool(w, "answers", e->is_there);
	if (e->socket[0])
		jsonw_key_str(w, "socket", str_from(e->socket));
	if (e->is_there)
		jsonw_key_str(w, "version", str_from(e->version));
	else
		jsonw_key_str(w, "reason", str_from(e->why.text));
	jsonw_close(w);
}

static void json_networks(struct jsonw *w, const struct report *rep)
{
	jsonw_key(w, "networks");
	jsonw_open_array(w);
	for (int i = 0; i < NETWORKS_MAX; i++) {
		jsonw_open(w);
		jsonw_key_str(w, "network", str_from(rep->networks[i].name));
		jsonw_key_bool(w, "available", rep->networks[i].is_there);
		if (!rep->networks[i].is_there)
			jsonw_key_str(w, "reason", str_from(rep->networks[i].why));
		jsonw_close(w);
	}
	jsonw_close_array(w);
}

static void json_images(struct jsonw *w, const struct image_report *i)
{
	struct str rest = buf_str(&i->damaged), id, name;
	jsonw_key(w, "images");
	jsonw_open(w);
	if (i->dir.ptr)
		jsonw_key_str(w, "directory", buf_str(&i->dir));
	jsonw_key_int(w, "count", i->n);
	jsonw_key(w, "damaged");
	jsonw_open_array(w);
	while (next_damaged(&rest, &id, &name)) {
		jsonw_open(w);
		jsonw_key_str(w, "id", id);
		jsonw_key_str(w, "name", name);
		jsonw_close(w);
	}
	jsonw_close_array(w);
	if (i->why.code != ERROR_OK)
		jsonw_key_str(w, "reason", str_from(i->why.text));
	jsonw_close(w);
}

static void print_json(struct buf *b, const struct report *rep)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_bool(&w, "ok", rep->trial.is_made && rep->attack_why.code == ERROR_OK);
	if (rep->trial.is_made)
		jsonw_key_int(&w, "create_us", rep->trial.make_us);
	else
		jsonw_key_str(&w, "reason", str_from(rep->trial.why.text));
	json_engine(&w, &rep->engine);
	json_cluster(&w);
	json_networks(&w, rep);
	json_images(&w, &rep->images);
	jsonw_key(&w, "controls");
	jsonw_open_array(&w);
	for (int i = 0; i < CONTROL_MAX; i++)
		json_control(&w, &rep->host, (enum control)i, &rep->results[i]);
	jsonw_close_array(&w);
	jsonw_key(&w, "weaknesses");
	jsonw_open_array(&w);
	for (int i = 0; i < rep->n_weaknesses; i++)
		json_weakness(&w, &rep->weaknesses[i]);
	jsonw_close_array(&w);
	if (rep->attacks.len)
		json_attacks(&w, rep);
	jsonw_close(&w);
	buf_putc(b, '\n');
}

int doctor_main(struct invocation *in, struct error *err)
{
	static struct report rep;
	const struct doctor_options *options = in->values;
	auto_buf struct buf b = BUF_INIT(1 << 20);
	if (report_make(&rep, options->state, err) < 0)
		return -1;
	if (options->attack)
		attack(&rep);
	if (options->common.json)
		print_json(&b, &rep);
	else
		print_text(&b, &rep);
	fwrite(b.ptr, 1, b.len, stdout);
	buf_fini(&rep.attacks);
	buf_fini(&rep.images.dir);
	buf_fini(&rep.images.damaged);
	return !rep.trial.is_made ? error_exit(ERROR_UNSUPPORTED) : error_exit(rep.attack_why.code);
}
