/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/service.h"

#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "runtime/internal.h"
#include "wire/frame.h"

#include <signal.h>

enum { PARAMS_MAX = 1024 * 1024 };

struct service {
	struct runtime *rt;
	char id[ID_SIZE];
	const char *name;
	struct runtime_call *call; /* NULL: it is over */
	int64_t seq, started_us;
	struct store_wait wait; /* for its observation */
	struct json *process;   /* what the result points into; NULL: none */
	struct service_result result;
	struct error error; /* ERROR_OK: result counts */
	service_fn *done;
	void *arg;
};

static void note_start(struct service *service, struct sandbox *s, const struct service_wish *wish)
{
	auto_buf struct buf b = BUF_INIT(EVENT_DATA_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "service", str_from(wish->name));
	jsonw_key(&w, "arguments");
	jsonw_open_array(&w);
	for (size_t i = 0; i < wish->n_arguments; i++)
		jsonw_str(&w, str_first(wish->arguments[i], 4096));
	jsonw_close_array(&w);
	jsonw_close(&w);
	service->seq = audit_add(s, "action", 0, &b);
}

static void note_end(struct service *service, const struct service_result *result,
	const struct error *err)
{
	struct sandbox *s = map_find(&service->rt->by_id, str_from(service->id));
	auto_buf struct buf b = BUF_INIT(EVENT_DATA_MAX);
	struct jsonw w = JSONW(&b);
	if (!s)
		return;
	jsonw_open(&w);
	jsonw_key_str(&w, "service", str_from(service->name));
	jsonw_key(&w, "duration_ms");
	jsonw_real(&w, (double)(clock_mono_us() - service->started_us) / 1000.0);
	if (err) {
		jsonw_key(&w, "error");
		jsonw_error(&w, err);
	} else {
		jsonw_key(&w, "result");
		jsonw_open(&w);
		jsonw_key_int(&w, "exit_code", result->exit_code);
		jsonw_key_str(&w, "stderr", str_first(result->err, 4096));
		jsonw_close(&w);
	}
	jsonw_close(&w);
	audit_add(s, "observation", service->seq, &b);
}

static void service_free(struct service *service)
{
	store_forget(&service->wait);
	json_free(service->process);
	free(service);
}

/* Its observation is on disk, or could not be put there. */
static void on_stored(void *arg, const struct error *err)
{
	struct service *service = arg;
	bool has_failed = service->error.code != ERROR_OK;
	const struct error *why = err ? err : has_failed ? &service->error : NULL;
	service->done(service->arg, why ? NULL : &service->result, why);
	service_free(service);
}

static void end(struct service *service, const struct error *err)
{
	service->call = NULL;
	if (err)
		service->error = *err;
	note_end(service, err ? NULL : &service->result, err);
	service->wait.fn = on_stored;
	service->wait.arg = service;
	store_after(service->rt->store, &service->wait);
}

static void ignore_result(void *arg, struct str json)
{
}

static void ignore_error(void *arg, const struct error *err)
{
}

/* The executor keeps ended processes for who asks; nobody knows of this one. */
static void forget_process(struct service *service, const struct json *process)
{
	static const struct call_sink sink = { .result = ignore_result, .error = ignore_error };
	struct sandbox *s = map_find(&service->rt->by_id, str_from(service->id));
	auto_buf struct buf params = BUF_INIT(1024);
	struct jsonw w = JSONW(&params);
	struct str id = json_str(json_find(process, "process"));
	if (!s || !sandbox_is_usable(s) || !id.len)
		return;
	jsonw_open(&w);
	jsonw_key_str(&w, "process", id);
	jsonw_close(&w);
	call_perform_quietly(s, &process_remove_action, buf_str(&params), &sink, NULL);
}

static int64_t exit_code_of(const struct json *process)
{
	const struct json *code = json_find(process, "exit_code");
	struct str name = json_str(json_find(process, "signal"));
	if (json_kind(code) == JSON_KIND_INT)
		return json_int(code);
	for (int n = 1; n < NSIG; n++) {
		const char *known = sigabbrev_np(n);
		if (known && str_is(name, known))
			return 128 + n;
	}
	return 128;
}

static void on_result(void *arg, struct str text)
{
	struct service *service = arg;
	struct error err;
	if (json_parse(text, &service->process, &err) < 0) {
		end(service, &err);
		return;
	}
	const struct json *process = service->process;
	forget_process(service, process);
	service->result = (struct service_result){
		.exit_code = exit_code_of(process),
		.out = json_str(json_find(process, "stdout")),
		.err = json_str(json_find(process, "stderr")),
	};
	if (json_bool(json_find(process, "timed_out")))
		error_set(&err, ERROR_TIMEOUT, "%s took too long", service->name);
	else if (json_int(json_find(process, "dropped_bytes")) > 0)
		error_set(&err, ERROR_TOO_LARGE, "%s: over %d bytes of output", service->name,
			SERVICE_OUTPUT_MAX);
	else if (service->result.exit_code == 127)
		error_set(&err, ERROR_UNSUPPORTED, "%s: the sandbox lacks a program: %.*s",
			service->name,
			STR_ARG(str_first(service_complaint(&service->result), 200)));
	else {
		end(service, NULL);
		return;
	}
	end(service, &err);
}

static void on_error(void *arg, const struct error *err)
{
	end(arg, err);
}

static void put_params(struct buf *b, const struct service_wish *wish)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key(&w, "argv");
	jsonw_open_array(&w);
	jsonw_str(&w, STR("sh"));
	jsonw_str(&w, STR("-c"));
	jsonw_str(&w, str_from(wish->script));
	jsonw_str(&w, str_from(wish->name));
	for (size_t i = 0; i < wish->n_arguments; i++)
		jsonw_str(&w, wish->arguments[i].ptr ? wish->arguments[i] : STR(""));
	jsonw_close_array(&w);
	jsonw_key(&w, "env");
	jsonw_raw(&w,
		STR("{\"GIT_TERMINAL_PROMPT\":\"0\",\"GIT_PAGER\":\"cat\",\"LC_ALL\":\"C.UTF-8\"}"));
	jsonw_key_bool(&w, "stdin", true);
	jsonw_key_bool(&w, "capture", true);
	jsonw_key_int(&w, "log_bytes", SERVICE_OUTPUT_MAX);
	jsonw_key_int(&w, "timeout_ms", wish->timeout_ms ? wish->timeout_ms : SERVICE_TIMEOUT_MS);
	jsonw_close(&w);
}

static void refused(void *arg)
{
	struct service *service = arg;
	struct error err = service->error;
	service->done(service->arg, NULL, &err);
	service_free(service);
}

struct service *service_run(struct sandbox *s, const struct service_wish *wish, service_fn *done,
	void *arg)
{
	static const struct call_sink sink = { .result = on_result, .error = on_error };
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct service *service = mem_new(struct service);
	service->rt = s->runtime;
	memcpy(service->id, s->id, sizeof(service->id));
	service->name = wish->name;
	service->done = done;
	service->arg = arg;
	service->started_us = clock_mono_us();
	list_init(&service->wait.link);
	put_params(&params, wish);
	if (call_check_usable(s, &service->error) < 0 || params.is_full) {
		if (params.is_full)
			error_set(&service->error, ERROR_TOO_LARGE, "%s: too long arguments",
				wish->name);
		loop_defer(s->runtime->loop, refused, service);
		return service;
	}
	note_start(service, s, wish);
	service->call = call_perform_quietly(s, &exec_action, buf_str(&params), &sink, service);
	if (!runtime_call_is_over(service->call)) {
		runtime_call_send(service->call, 0, wish->input);
		runtime_call_eof(service->call, 0);
	}
	return service;
}

void service_cancel(struct service *service)
{
	if (!service)
		return;
	loop_undefer(service->rt->loop, service);
	if (service->call) {
		if (!runtime_call_is_over(service->call))
			runtime_call_control(service->call, STR("{\"signal\":\"KILL\"}"));
		runtime_call_cancel(service->call);
		struct error err;
		error_set(&err, ERROR_CANCELLED, "its caller went away");
		note_end(service, NULL, &err);
	}
	service_free(service);
}

struct str service_complaint(const struct service_result *result)
{
	struct str text = str_trim(result->err), line = STR("it said nothing"), rest = text;
	while (text.len && str_split(&rest, '\n', &line))
		;
	return str_trim(line);
}
