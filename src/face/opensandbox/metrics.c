/* SPDX-License-Identifier: Apache-2.0 */
/* What a sandbox uses, once or every second: of processor time since the sample before. */
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "face/opensandbox/handlers.h"

#include <unistd.h>

enum { SAMPLE_MS = 100, SECOND_MS = 1000 };

void osb_ping(struct http_request *r)
{
	if (osb_execd_sandbox(r))
		osb_empty(r, 200);
}

static double mib(int64_t bytes)
{
	return (double)MAX(bytes, (int64_t)0) / 1048576.0;
}

/* Of the machine, where the sandbox has no limit of its own. */
static int64_t memory_of(const struct sandbox *s)
{
	int64_t limit = s->enforced.limits.memory_bytes;
	return limit > 0 ? limit : (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
}

static double cores_of(const struct sandbox *s)
{
	int64_t milli = s->enforced.limits.cpu_milli;
	return milli > 0 ? (double)milli / 1000.0 : (double)sysconf(_SC_NPROCESSORS_ONLN);
}

/* cpu_us over so many milliseconds of so many cores, in percent. */
static void put_metrics(struct buf *b, const struct sandbox *s, const struct monitor_usage *usage,
	int64_t cpu_us, int64_t passed_ms)
{
	struct jsonw w = JSONW(b);
	double cores = cores_of(s);
	double used = 100.0 * (double)MAX(cpu_us, (int64_t)0) /
		((double)MAX(passed_ms, (int64_t)1) * 1000.0 * cores);
	jsonw_open(&w);
	jsonw_key(&w, "cpu_count");
	jsonw_real(&w, cores);
	jsonw_key(&w, "cpu_used_pct");
	jsonw_real(&w, MIN(used, 100.0));
	jsonw_key(&w, "mem_total_mib");
	jsonw_real(&w, mib(memory_of(s)));
	jsonw_key(&w, "mem_used_mib");
	jsonw_real(&w, MIN(mib(usage->memory_bytes), mib(memory_of(s))));
	jsonw_key_int(&w, "timestamp", clock_wall_ms());
	jsonw_close(&w);
}

struct watching {
	struct http_request *r; /* NULL: answered; it goes when what was asked for is there */
	struct osb *osb;
	char id[ID_SIZE];
	struct timer *timer;
	int64_t cpu_us, at_ms; /* of the sample before; at_ms 0: there is none */
	bool is_once, is_asked;
};

static void watching_end(struct watching *p)
{
	p->r = NULL;
	timer_free(take_ptr(p->timer));
	if (!p->is_asked)
		free(p);
}

static void watching_fail(struct watching *p, const struct error *err)
{
	struct http_request *r = p->r;
	watching_end(p);
	if (r && http_stream_has_begun(r))
		http_stream_end(r, false);
	else if (r)
		osb_execd_error(r, err);
}

static void tell(struct watching *p, const struct buf *metrics)
{
	struct http_request *r = p->r;
	if (p->is_once) {
		watching_end(p);
		http_reply_json(r, 200, metrics);
		return;
	}
	if (http_stream_is_full(r))
		return;
	http_stream_write(r, buf_str(metrics));
	http_stream_write(r, STR("\n"));
}

static void on_sample(void *arg, const struct monitor_usage *usage, const struct error *err)
{
	struct watching *p = arg;
	const struct sandbox *s = osb_find(p->osb, str_from(p->id));
	auto_buf struct buf metrics = BUF_INIT(1024);
	int64_t now_ms = clock_mono_ms(), before_us = p->cpu_us, before_ms = p->at_ms;
	struct error gone;
	p->is_asked = false;
	if (!p->r || err || !s) {
		error_set(&gone, ERROR_GONE, "sandbox %s is gone", p->id);
		watching_fail(p, err ?: &gone);
		return;
	}
	p->cpu_us = usage->cpu_us;
	p->at_ms = now_ms;
	timer_set(p->timer, p->is_once ? SAMPLE_MS : SECOND_MS);
	if (!before_ms)
		return;
	put_metrics(&metrics, s, usage, usage->cpu_us - before_us, now_ms - before_ms);
	tell(p, &metrics);
}

static void on_timer(void *arg)
{
	struct watching *p = arg;
	struct sandbox *s = osb_find(p->osb, str_from(p->id));
	struct error gone;
	if (!s) {
		error_set(&gone, ERROR_GONE, "sandbox %s is gone", p->id);
		watching_fail(p, &gone);
		return;
	}
	p->is_asked = true;
	runtime_usage(s, on_sample, p);
}

static void on_closed(void *arg)
{
	struct error err;
	error_set(&err, ERROR_CANCELLED, "the client went away");
	watching_fail(arg, &err);
}

static struct watching *watch(struct http_request *r, bool is_once)
{
	static const struct http_ops ops = { .on_closed = on_closed };
	const struct sandbox *s = osb_execd_sandbox(r);
	if (!s)
		return NULL;
	struct watching *p = mem_new(struct watching);
	p->r = r;
	p->osb = osb_of(r);
	p->is_once = is_once;
	snprintf(p->id, sizeof(p->id), "%s", s->id);
	p->timer = timer_new(p->osb->loop, on_timer, p);
	http_listen(r, &ops, p);
	return p;
}

void osb_metrics(struct http_request *r)
{
	struct watching *p = watch(r, true);
	if (p)
		on_timer(p);
}

void osb_metrics_watch(struct http_request *r)
{
	struct watching *p = watch(r, false);
	if (!p)
		return;
	http_stream_begin(r, 200, "text/event-stream", -1);
	on_timer(p);
}
