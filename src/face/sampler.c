/* SPDX-License-Identifier: Apache-2.0 */
#include "face/sampler.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"

#include <unistd.h>

enum { MOMENT_MS = 100, SECOND_MS = 1000 };

struct sampler {
	struct http_request *r;
	struct runtime *rt;
	struct timer *timer;
	const struct sampler_ops *ops;
	enum sampler_mode mode;
	char id[ID_SIZE];
	int64_t cpu_us, at_ms; /* of the sample before; at_ms 0: there is none */
	bool is_asked, is_closed;
};

double sampler_cores(const struct sandbox *s)
{
	int64_t milli = s->enforced.limits.cpu_milli;
	return milli > 0 ? (double)milli / 1000.0 : (double)sysconf(_SC_NPROCESSORS_ONLN);
}

double sampler_cpu_percent(const struct sandbox *s, const struct sample *sample)
{
	if (!sample->passed_ms || sample->cpu_us < 0)
		return 0;
	double share = (double)sample->cpu_us / ((double)sample->passed_ms * 1000.0);
	return MIN(100.0 * share / sampler_cores(s), 100.0);
}

int64_t sampler_memory(const struct sandbox *s)
{
	int64_t limit = s->enforced.limits.memory_bytes;
	return limit > 0 ? limit : (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
}

/* The request goes with its answer, and the sampler with it. */
static void end(struct sampler *p, const struct error *err)
{
	timer_free(take_ptr(p->timer));
	if (http_stream_has_begun(p->r))
		http_stream_end(p->r, !err);
	else
		p->ops->fail(p->r, err);
}

static void end_without(struct sampler *p)
{
	struct error err;
	if (p->is_closed)
		error_set(&err, ERROR_CANCELLED, "the client went away");
	else
		error_set(&err, ERROR_GONE, "sandbox %s is gone", p->id);
	end(p, &err);
}

static void tell(struct sampler *p, const struct sandbox *s, const struct sample *sample)
{
	if (p->mode == SAMPLER_STREAM) {
		timer_set(p->timer, SECOND_MS);
		if (!http_stream_has_begun(p->r) || !http_stream_is_full(p->r))
			p->ops->tell(p->r, s, sample);
	} else if (p->mode == SAMPLER_ONCE && !sample->passed_ms) {
		timer_set(p->timer, MOMENT_MS);
	} else {
		timer_free(take_ptr(p->timer));
		p->ops->tell(p->r, s, sample);
	}
}

static void on_usage(void *arg, const struct monitor_usage *usage, const struct error *err)
{
	struct sampler *p = arg;
	const struct sandbox *s = runtime_find(p->rt, str_from(p->id), NULL);
	int64_t before_us = p->cpu_us, before_ms = p->at_ms;
	p->is_asked = false;
	if (err) {
		end(p, err);
		return;
	}
	if (p->is_closed || !s) {
		end_without(p);
		return;
	}
	p->cpu_us = usage->cpu_us;
	p->at_ms = clock_mono_ms();
	struct sample sample = { .usage = usage, .at_ms = p->at_ms };
	if (before_ms) {
		sample.cpu_us = MAX(p->cpu_us - before_us, (int64_t)0);
		sample.passed_ms = MAX(p->at_ms - before_ms, (int64_t)1);
	}
	tell(p, s, &sample);
}

static void ask(void *arg)
{
	struct sampler *p = arg;
	struct sandbox *s = runtime_find(p->rt, str_from(p->id), NULL);
	if (!s) {
		end_without(p);
		return;
	}
	p->is_asked = true;
	runtime_usage(s, on_usage, p);
}

static void on_closed(void *arg)
{
	struct sampler *p = arg;
	p->is_closed = true;
	if (!p->is_asked)
		end_without(p);
}

void sampler_start(struct http_request *r, struct runtime *rt, struct loop *loop, const char *id,
	enum sampler_mode mode, const struct sampler_ops *ops)
{
	static const struct http_ops listener = { .on_closed = on_closed };
	struct sampler *p = arena_new(&r->arena, struct sampler);
	p->r = r;
	p->rt = rt;
	p->mode = mode;
	p->ops = ops;
	snprintf(p->id, sizeof(p->id), "%s", id);
	p->timer = timer_new(loop, ask, p);
	http_listen(r, &listener, p);
	ask(p);
}
