/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/piece.h"

#include "action/kernel_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "event/loop.h"
#include "wire/pyenv.h"

enum { ENV_MAX = 256 * 1024 };

enum step { STEP_SET, STEP_RUN, STEP_RESTORE, STEP_END };

struct piece {
	struct runtime *rt;
	const struct piece_ops *ops;
	void *arg;
	char sandbox_id[ID_SIZE];
	char *kernel_json, *code;
	struct json *env; /* NULL: none */
	int64_t timeout_ms;
	enum step step;
	struct runtime_call *call;
	struct error error; /* told in a turn of its own */
};

void piece_cancel(struct piece *p)
{
	if (!p)
		return;
	if (p->call)
		runtime_call_cancel(p->call);
	loop_undefer(runtime_loop(p->rt), p);
	json_free(p->env);
	free(p->kernel_json);
	free(p->code);
	free(p);
}

static void fail(void *arg)
{
	struct piece *p = arg;
	const struct piece_ops *ops = p->ops;
	void *whose = p->arg;
	struct error err = p->error;
	piece_cancel(p);
	ops->failed(whose, &err);
}

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	struct piece *p = arg;
	if (p->step == STEP_RUN)
		p->ops->data(p->arg, channel, bytes);
}

static void on_event(void *arg, struct str json)
{
	struct piece *p = arg;
	if (p->step == STEP_RUN && p->ops->event)
		p->ops->event(p->arg, json);
}

static void on_error(void *arg, const struct error *err)
{
	struct piece *p = arg;
	p->call = NULL;
	p->error = *err;
	fail(p);
}

static void go_on(struct piece *p);

static void on_result(void *arg, struct str text)
{
	struct piece *p = arg;
	auto_json struct json *result = NULL;
	p->call = NULL;
	json_parse(text, &result, NULL);
	if (p->step == STEP_RUN)
		p->ops->ran(p->arg, result);
	p->step++;
	go_on(p);
}

static void put_code(const struct piece *p, struct buf *code)
{
	if (p->step == STEP_SET)
		pyenv_put_set(p->env, code);
	else
		buf_puts(code, p->step == STEP_RUN ? p->code : pyenv_restore);
}

static void perform(struct piece *p, struct sandbox *s)
{
	static const struct call_sink sink = {
		.data = on_data,
		.event = on_event,
		.result = on_result,
		.error = on_error,
	};
	auto_buf struct buf code = BUF_INIT(CELL_CODE_MAX), params = BUF_INIT(2 * CELL_CODE_MAX);
	struct jsonw w = JSONW(&params);
	put_code(p, &code);
	jsonw_open(&w);
	jsonw_key_str(&w, "code", buf_str(&code));
	buf_putc(&params, ',');
	buf_puts(&params, p->kernel_json);
	if (p->step == STEP_RUN && p->timeout_ms)
		jsonw_key_int(&w, "timeout_ms", p->timeout_ms);
	jsonw_key_bool(&w, "history", p->step == STEP_RUN);
	jsonw_close(&w);
	p->call = runtime_perform(s, &cell_action, buf_str(&params), &sink, p);
}

static void go_on(struct piece *p)
{
	if (!p->env && p->step != STEP_RUN)
		p->step++; /* there is nothing to set or to put back */
	if (p->step >= STEP_END) {
		const struct piece_ops *ops = p->ops;
		void *arg = p->arg;
		piece_cancel(p);
		ops->done(arg);
		return;
	}
	struct sandbox *s = runtime_find(p->rt, str_from(p->sandbox_id), &p->error);
	if (s)
		perform(p, s);
	else
		loop_defer(runtime_loop(p->rt), fail, p);
}

static int copy_env(const struct json *env, struct json **ret, struct error *err)
{
	auto_buf struct buf b = BUF_INIT(ENV_MAX);
	const struct json *value;
	struct str name;
	void *it = NULL;
	while ((value = json_next(env, &it, &name)))
		if (json_kind(value) != JSON_KIND_STR || str_has_nul(json_str(value)))
			return error_set(err, ERROR_INVALID, "the variable %.*s is no text",
				STR_ARG(str_first(name, 60)));
	if (!json_len(env))
		return 0;
	if (json_write(env, &b) < 0)
		return error_set(err, ERROR_TOO_LARGE, "variables of more than %d bytes", ENV_MAX);
	return json_parse(buf_str(&b), ret, err);
}

struct piece *piece_new(struct runtime *rt, const struct piece_wish *wish,
	const struct piece_ops *ops, void *arg)
{
	struct piece *p = mem_new(struct piece);
	p->rt = rt;
	p->ops = ops;
	p->arg = arg;
	snprintf(p->sandbox_id, sizeof(p->sandbox_id), "%s", wish->sandbox_id);
	p->kernel_json = str_dup(wish->kernel_json);
	p->code = str_dup(wish->code);
	p->timeout_ms = wish->timeout_ms;
	if (copy_env(wish->env, &p->env, &p->error) < 0)
		loop_defer(runtime_loop(rt), fail, p);
	else
		go_on(p);
	return p;
}

void piece_interrupt(struct piece *p)
{
	if (p->call && p->step == STEP_RUN)
		runtime_call_control(p->call, STR("{\"signal\":\"INT\"}"));
}

void piece_pause(struct piece *p, bool is_paused)
{
	if (p->call)
		runtime_call_pause(p->call, is_paused);
}
