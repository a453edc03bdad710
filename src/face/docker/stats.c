/* SPDX-License-Identifier: Apache-2.0 */
/* What a container uses. */
#include "face/docker/handlers.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "face/sampler.h"

static void put_cpu(struct jsonw *w, const char *key, int64_t cpu_us, int64_t system_ms)
{
	jsonw_key(w, key);
	jsonw_open(w);
	jsonw_key(w, "cpu_usage");
	jsonw_open(w);
	jsonw_key_int(w, "total_usage", cpu_us * 1000);
	jsonw_key_int(w, "usage_in_usermode", 0);
	jsonw_key_int(w, "usage_in_kernelmode", 0);
	jsonw_close(w);
	/* Time of one core: shares come out in cores, as with Docker for online_cpus 1. */
	jsonw_key_int(w, "system_cpu_usage", system_ms * 1000000);
	jsonw_key_int(w, "online_cpus", 1);
	jsonw_close(w);
}

static void put_sample(const struct container *c, const struct sandbox *s,
	const struct sample *sample, struct buf *b)
{
	struct jsonw w = JSONW(b);
	const struct monitor_usage *u = sample->usage;
	int64_t cpu_us = MAX(u->cpu_us, (int64_t)0), passed_ms = sample->passed_ms;
	auto_free char *name = mem_printf("/%s", c->name);
	jsonw_open(&w);
	docker_key_time(&w, "read", clock_wall_ms());
	docker_key_time(&w, "preread", passed_ms ? clock_wall_ms() - passed_ms : 0);
	jsonw_key_str(&w, "id", str_from(c->id));
	jsonw_key_str(&w, "name", str_from(name));
	put_cpu(&w, "cpu_stats", cpu_us, sample->at_ms);
	put_cpu(&w, "precpu_stats", passed_ms ? cpu_us - sample->cpu_us : 0,
		passed_ms ? sample->at_ms - passed_ms : 0);
	jsonw_key(&w, "memory_stats");
	jsonw_open(&w);
	jsonw_key_int(&w, "usage", MAX(u->memory_bytes, 0));
	jsonw_key_int(&w, "max_usage", MAX(u->memory_peak_bytes, 0));
	jsonw_key_int(&w, "limit", MAX(s->enforced.limits.memory_bytes, 0));
	jsonw_key(&w, "stats");
	jsonw_open(&w);
	jsonw_close(&w);
	jsonw_close(&w);
	jsonw_key(&w, "pids_stats");
	jsonw_open(&w);
	jsonw_key_int(&w, "current", MAX(u->pids, 0));
	jsonw_close(&w);
	jsonw_key(&w, "networks");
	jsonw_open(&w);
	jsonw_close(&w);
	jsonw_key(&w, "blkio_stats");
	jsonw_open(&w);
	jsonw_close(&w);
	jsonw_key_int(&w, "num_procs", 0);
	jsonw_close(&w);
	buf_putc(b, '\n');
}

static void tell_once(struct http_request *r, const struct sandbox *s, const struct sample *sample)
{
	const struct container *c = container_find(docker_of(r), str_from(s->id));
	auto_buf struct buf b = BUF_INIT(65536);
	if (c)
		put_sample(c, s, sample, &b);
	http_reply(r, 200, "application/json", buf_str(&b));
}

static void tell(struct http_request *r, const struct sandbox *s, const struct sample *sample)
{
	const struct container *c = container_find(docker_of(r), str_from(s->id));
	auto_buf struct buf b = BUF_INIT(65536);
	if (c)
		put_sample(c, s, sample, &b);
	if (!http_stream_has_begun(r))
		http_stream_begin(r, 200, "application/json", -1);
	http_stream_write(r, buf_str(&b));
}

void containers_stats(struct http_request *r)
{
	static const struct sampler_ops once = { tell_once, docker_fail_error };
	static const struct sampler_ops again = { tell, docker_fail_error };
	const struct container *c = container_of_request(r);
	bool is_stream = docker_flag(r, "stream", true);
	if (!c)
		return;
	sampler_start(r, docker_of(r)->rt, docker_of(r)->loop, c->id,
		is_stream                                   ? SAMPLER_STREAM
			: docker_flag(r, "one-shot", false) ? SAMPLER_SINGLE
							    : SAMPLER_ONCE,
		is_stream ? &again : &once);
}
