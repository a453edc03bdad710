/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sampler: answers a request with what a sandbox uses, once or every second. Shares of processor
 * time are of what was used since the sample before: how busy it is, not how busy it once was.
 *
 * It lives in the request's arena, and ends with the client or the sandbox.
 */
#pragma once

#include "http/server.h"
#include "runtime/runtime.h"

enum sampler_mode {
	SAMPLER_SINGLE, /* one sample; it has none before */
	SAMPLER_ONCE,   /* one, with what was used in the tenth of a second before */
	SAMPLER_STREAM, /* at once, without one before, and then every second */
};

struct sample {
	const struct monitor_usage *usage;
	int64_t at_ms;             /* clock_mono_ms */
	int64_t cpu_us, passed_ms; /* since the sample before; passed_ms 0: there is none */
};

struct sampler_ops {
	/* Answers, or, of a stream, begins it with the first and writes. */
	void (*tell)(struct http_request *r, const struct sandbox *s, const struct sample *sample);
	/* There is no sample, and nothing has been told. */
	void (*fail)(struct http_request *r, const struct error *err);
};

void sampler_start(struct http_request *r, struct runtime *rt, struct loop *loop, const char *id,
	enum sampler_mode mode, const struct sampler_ops *ops);
/* How many cores it may use: its limit, or the machine's. */
double sampler_cores(const struct sandbox *s);
/* In percent of these cores, 0 to 100; 0 where it is unknown. */
double sampler_cpu_percent(const struct sandbox *s, const struct sample *sample);
/* Bytes of memory it may use: its limit, or the machine's. */
int64_t sampler_memory(const struct sandbox *s);
