/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The clerk is a guest that is started by the first call that needs it, and
 * closed when nobody has needed it for a while: it costs some 15 MiB, and 40 ms to start. It works
 * on one file after the other. One that dies fails the calls that it had, and the next call starts
 * another.
 */
#include "executor/clerk.h"

#include "action/document_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "executor/executor.h"
#include "executor/guest.h"
#include "executor/python.h"

enum { IDLE_MS = 60 * 1000 };

struct clerk {
	struct executor *executor;
	struct guest *guest; /* NULL: not started */
	uid_t uid;           /* whom it works as */
	struct timer *idle;
	int n_asked; /* under way */
};

struct asking {
	struct guest_request request;
	struct call *call; /* NULL: its caller is gone */
	struct clerk *clerk;
};

static void rest(struct clerk *c)
{
	if (c->guest)
		guest_close(take_ptr(c->guest));
}

static void on_idle(void *arg)
{
	struct clerk *c = arg;
	if (c->n_asked == 0)
		rest(c);
}

static void on_exit_of_guest(void *arg, const struct error *reason)
{
	struct clerk *c = arg;
	guest_free(take_ptr(c->guest));
}

static int start(struct clerk *c, struct error *err)
{
	static const struct guest_ops ops = { .on_exit = on_exit_of_guest };
	const struct guest_source sources[] = {
		{ "cay_documents", python_documents },
		{ "cay_lint", python_lint },
		{ "cay_clerk", python_clerk },
	};
	struct guest_plan plan = { .what = "clerk",
		.sources = sources,
		.n_sources = ARRAY_LEN(sources),
		.cwd = "/" };
	if (c->guest && c->uid != c->executor->user.uid && c->n_asked == 0)
		rest(c);
	if (c->guest)
		return 0;
	c->uid = c->executor->user.uid;
	return guest_start(c->executor, &plan, &ops, c, &c->guest, err);
}

static struct clerk *clerk_get(struct executor *e)
{
	if (!e->clerk) {
		e->clerk = mem_new(struct clerk);
		e->clerk->executor = e;
		e->clerk->idle = timer_new(e->loop, on_idle, e->clerk);
	}
	return e->clerk;
}

void clerk_free(struct clerk *c)
{
	if (!c)
		return;
	if (c->guest)
		guest_free(c->guest);
	timer_free(c->idle);
	free(c);
}

/* ---- one question ---- */

static struct call *over(struct guest_request *r)
{
	struct asking *a = container_of(r, struct asking, request);
	struct call *call = a->call;
	a->clerk->n_asked--;
	timer_set(a->clerk->idle, IDLE_MS);
	call->state = NULL;
	return call;
}

static void on_result(struct guest_request *r, const struct json *result)
{
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct call *call = over(r);
	struct error err;
	if (json_write(result, &b) == 0) {
		call_finish(call, buf_str(&b));
		return;
	}
	error_set(&err, ERROR_TOO_LARGE, "%s: the result is too large", call->verb->action->name);
	call_fail(call, &err);
}

static void on_error(struct guest_request *r, const struct error *err)
{
	call_fail(over(r), err);
}

static const struct guest_request_ops request_ops = { .on_result = on_result,
	.on_error = on_error };

static void ask(struct call *call, const struct buf *body)
{
	struct clerk *c = clerk_get(call->executor);
	struct asking *a = arena_new(&call->arena, struct asking);
	struct error err;
	*a = (struct asking){ .call = call, .clerk = c, .request.ops = &request_ops };
	list_init(&a->request.link);
	if (start(c, &err) < 0 || guest_ask(c->guest, &a->request, buf_str(body), &err) < 0) {
		error_wrap(&err, "%s", call->verb->action->name);
		call_fail(call, &err);
		return;
	}
	c->n_asked++;
	timer_clear(c->idle);
	call->state = a;
}

static void drop(struct call *call)
{
	struct asking *a = call->state;
	if (!a)
		return;
	guest_forget(&a->request);
	a->clerk->n_asked--;
	timer_set(a->clerk->idle, IDLE_MS);
}

static void convert_start(struct call *call, const void *params)
{
	const struct convert_params *p = params;
	auto_free char *path = executor_path(call->executor, p->path);
	auto_buf struct buf body = BUF_INIT(64 * 1024);
	struct jsonw w = JSONW(&body);
	jsonw_open(&w);
	jsonw_key_str(&w, "convert", str_from(path));
	jsonw_close(&w);
	ask(call, &body);
}

static void lint_start(struct call *call, const void *params)
{
	const struct lint_params *p = params;
	auto_free char *path = executor_path(call->executor, p->path);
	auto_buf struct buf body = BUF_INIT(GUEST_MESSAGE_MAX);
	struct jsonw w = JSONW(&body);
	jsonw_open(&w);
	jsonw_key_str(&w, "lint", str_from(path));
	jsonw_key_str(&w, "diff", p->diff);
	jsonw_close(&w);
	ask(call, &body);
}

const struct verb convert_verb = { .action = &convert_action,
	.start = convert_start,
	.drop = drop };
const struct verb lint_verb = { .action = &lint_action, .start = lint_start, .drop = drop };
