/* SPDX-License-Identifier: Apache-2.0 */
/* What a sandbox uses, once or every second. */
#include "base/auto.h"
#include "base/clock.h"
#include "face/opensandbox/handlers.h"
#include "face/sampler.h"

void osb_ping(struct http_request *r)
{
	if (osb_execd_sandbox(r))
		osb_empty(r, 200);
}

static double mib(int64_t bytes)
{
	return (double)MAX(bytes, (int64_t)0) / 1048576.0;
}

static void put_metrics(struct buf *b, const struct sandbox *s, const struct sample *sample)
{
	struct jsonw w = JSONW(b);
	double total = mib(sampler_memory(s));
	jsonw_open(&w);
	jsonw_key(&w, "cpu_count");
	jsonw_real(&w, sampler_cores(s));
	jsonw_key(&w, "cpu_used_pct");
	jsonw_real(&w, sampler_cpu_percent(s, sample));
	jsonw_key(&w, "mem_total_mib");
	jsonw_real(&w, total);
	jsonw_key(&w, "mem_used_mib");
	jsonw_real(&w, MIN(mib(sample->usage->memory_bytes), total));
	jsonw_key_int(&w, "timestamp", clock_wall_ms());
	jsonw_close(&w);
}

static void reply(struct http_request *r, const struct sandbox *s, const struct sample *sample)
{
	auto_buf struct buf body = BUF_INIT(1024);
	put_metrics(&body, s, sample);
	http_reply_json(r, 200, &body);
}

static void put_line(struct http_request *r, const struct sandbox *s, const struct sample *sample)
{
	auto_buf struct buf line = BUF_INIT(1024);
	if (!http_stream_has_begun(r))
		http_stream_begin(r, 200, "text/event-stream", -1);
	if (!sample->passed_ms)
		return;
	put_metrics(&line, s, sample);
	buf_putc(&line, '\n');
	http_stream_write(r, buf_str(&line));
}

static void start(struct http_request *r, enum sampler_mode mode, const struct sampler_ops *ops)
{
	const struct sandbox *s = osb_execd_sandbox(r);
	if (s)
		sampler_start(r, osb_of(r)->rt, osb_of(r)->loop, s->id, mode, ops);
}

void osb_metrics(struct http_request *r)
{
	static const struct sampler_ops ops = { reply, osb_execd_error };
	start(r, SAMPLER_ONCE, &ops);
}

void osb_metrics_watch(struct http_request *r)
{
	static const struct sampler_ops ops = { put_line, osb_execd_error };
	start(r, SAMPLER_STREAM, &ops);
}
