/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The program is an `exec` whose caller stays: its standard output comes as
 * data, its end as the result. The calls are the runtime's own, without events: arguments and
 * environment of a server hold keys. Before the exec stands the removal of an older process of the
 * same name, since a server that crashed could not end what it had started.
 *
 * A run that was let go of hangs on runtime::endings until its process has ended or the patience
 * with it is over: its input is closed, then it gets TERM, then KILL.
 */
#include "runtime/mcp_run.h"

#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "runtime/internal.h"

enum {
	OUT_MAX = 2 * MCP_MESSAGE_MAX, /* for a program that does not read */
	TAIL_MAX = 200,                /* of standard error, for errors */
	EOF_MS = 1000,
	TERM_MS = 2000,
	KILL_MS = 5000,
};

enum phase {
	WAITING,  /* for the next turn of the loop */
	CLEARING, /* an older process is being removed */
	RUNNING,
};

struct mcp_run {
	struct mcp_link base;
	struct list link; /* runtime::endings, once it was let go of */
	struct runtime *rt;
	char sandbox[ID_SIZE];
	char process[PROCESS_NAME_MAX + 1];
	enum phase phase;
	struct runtime_call *call; /* NULL: none now */
	struct buf exec_json;
	const struct mcp_link_events *ops;
	void *arg; /* NULL: let go of */
	struct timer *timer;
	int patience;    /* steps of ending that were taken */
	struct buf line; /* not whole yet */
	size_t scanned;  /* of it */
	struct buf out;  /* waits until the call takes more */
	struct buf tail; /* of standard error */
	int depth;       /* within on_line */
	bool is_over;
};

static void run_free(struct mcp_run *run)
{
	if (run->call)
		runtime_call_cancel(run->call);
	list_remove(&run->link);
	timer_free(run->timer);
	buf_fini(&run->exec_json);
	buf_fini(&run->line);
	buf_fini(&run->out);
	buf_fini(&run->tail);
	free(run);
}

static void explain(const struct mcp_run *run, struct error *err)
{
	struct str tail = str_trim(buf_str(&run->tail));
	size_t used = strlen(err->text);
	if (tail.len)
		snprintf(err->text + used, sizeof(err->text) - used, ": %.*s", STR_ARG(tail));
}

/* The process is gone, or nobody waits for it any more. */
static void run_end(struct mcp_run *run, const struct error *why)
{
	void *arg = take_ptr(run->arg);
	run->is_over = true;
	if (arg) {
		struct error told = *why;
		explain(run, &told);
		run->ops->on_end(arg, &told);
	}
	if (run->depth == 0)
		run_free(run);
}

static void run_explain(struct mcp_link *link, struct error *err)
{
	explain(container_of(link, struct mcp_run, base), err);
}

/* ---- what comes ---- */

/* Keeps the last lines, without what a terminal would act on. */
static void add_tail(struct mcp_run *run, struct str bytes)
{
	if (bytes.len > TAIL_MAX)
		bytes = str_skip(bytes, bytes.len - TAIL_MAX);
	if (run->tail.len + bytes.len > TAIL_MAX)
		buf_drop_front(&run->tail, run->tail.len + bytes.len - TAIL_MAX);
	for (size_t i = 0; i < bytes.len; i++) {
		bool is_plain = (unsigned char)bytes.ptr[i] >= 0x20 && bytes.ptr[i] != 0x7f;
		buf_putc(&run->tail, is_plain ? bytes.ptr[i] : ' ');
	}
}

/* It hears that its input has ended, and some time later a signal. */
static void wind_down(struct mcp_run *run, bool is_urgent)
{
	list_append(&run->rt->endings, &run->link);
	buf_reset(&run->out);
	runtime_call_eof(run->call, 0);
	run->patience = is_urgent ? 1 : 0;
	timer_set(run->timer, is_urgent ? 0 : EOF_MS);
}

/* Within on_data, which frees a run that is over. */
static void too_long(struct mcp_run *run)
{
	struct error err;
	error_set(&err, ERROR_PROTOCOL, "it sent a message of more than %d bytes", MCP_MESSAGE_MAX);
	void *arg = take_ptr(run->arg);
	if (run->phase == RUNNING)
		wind_down(run, true);
	else
		run->is_over = true;
	if (arg)
		run->ops->on_end(arg, &err);
}

static void take_lines(struct mcp_run *run)
{
	size_t from = 0;
	while (run->arg && !run->is_over) {
		const char *start = run->line.ptr + from;
		const char *lf = memchr(run->line.ptr + run->scanned, '\n',
			run->line.len - run->scanned);
		run->scanned = lf ? (size_t)(lf - run->line.ptr) + 1 : run->line.len;
		if (!lf)
			break;
		struct str line = str_trim(str_from_len(start, (size_t)(lf - start)));
		from = run->scanned;
		if (line.len)
			run->ops->on_line(run->arg, line);
	}
	buf_drop_front(&run->line, from);
	run->scanned -= from;
}

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	struct mcp_run *run = arg;
	if (!run->arg)
		return;
	if (channel != 1) {
		add_tail(run, bytes);
		return;
	}
	run->depth++;
	if (buf_put(&run->line, bytes) == 0)
		take_lines(run);
	else
		too_long(run);
	if (--run->depth == 0 && run->is_over)
		run_free(run);
}

static void on_drain(void *arg)
{
	struct mcp_run *run = arg;
	if (run->out.len)
		runtime_call_send(run->call, 0, buf_str(&run->out));
	buf_fini(&run->out);
	buf_init(&run->out, OUT_MAX);
}

static void on_result(void *arg, struct str json)
{
	struct mcp_run *run = arg;
	struct error why;
	auto_json struct json *process = NULL;
	run->call = NULL;
	if (json_parse(json, &process, &why) < 0) {
		run_end(run, &why);
		return;
	}
	struct str signal = json_str(json_find(process, "signal"));
	if (signal.len)
		error_set(&why, ERROR_UNAVAILABLE, "it was ended by signal %.*s", STR_ARG(signal));
	else
		error_set(&why, ERROR_UNAVAILABLE, "it ended with exit code %lld",
			(long long)json_int(json_find(process, "exit_code")));
	run_end(run, &why);
}

static void on_error(void *arg, const struct error *err)
{
	struct mcp_run *run = arg;
	run->call = NULL;
	run_end(run, err);
}

/* ---- the beginning ---- */

static int perform(struct mcp_run *run, const struct action *action, struct str params,
	const struct call_sink *sink, struct error *err)
{
	struct sandbox *s = runtime_find(run->rt, str_from(run->sandbox), err);
	if (!s)
		return -1;
	if (s->state != SANDBOX_READY && s->state != SANDBOX_RUNNING &&
		s->state != SANDBOX_STARTING)
		return sandbox_refuse(s, ERROR_UNAVAILABLE, err);
	run->call = call_perform_quietly(s, action, params, sink, run);
	return 0;
}

static void start(struct mcp_run *run)
{
	static const struct call_sink sink = { on_data, NULL, on_drain, on_result, on_error };
	struct error err;
	run->call = NULL;
	run->phase = RUNNING;
	if (perform(run, &exec_action, buf_str(&run->exec_json), &sink, &err) < 0)
		run_end(run, &err);
	else
		on_drain(run);
}

static void on_removed(void *arg, struct str json)
{
	start(arg);
}

/* There was none: so it is nearly always. */
static void on_not_removed(void *arg, const struct error *err)
{
	start(arg);
}

static void clear(struct mcp_run *run)
{
	static const struct call_sink sink = { .result = on_removed, .error = on_not_removed };
	auto_buf struct buf params = BUF_INIT(1024);
	struct jsonw w = JSONW(&params);
	struct error err;
	jsonw_open(&w);
	jsonw_key_str(&w, "process", str_from(run->process));
	jsonw_close(&w);
	run->phase = CLEARING;
	if (perform(run, &process_remove_action, buf_str(&params), &sink, &err) < 0)
		run_end(run, &err);
}

static void on_timer(void *arg);

static const struct mcp_link_ops link_ops;

struct mcp_link *mcp_run_new(struct sandbox *s, const char *process, struct str exec_json,
	const struct mcp_link_events *events, void *arg)
{
	struct mcp_run *run = mem_new(struct mcp_run);
	run->base.ops = &link_ops;
	run->rt = s->runtime;
	memcpy(run->sandbox, s->id, sizeof(run->sandbox));
	run->ops = events;
	run->arg = arg;
	run->timer = timer_new(run->rt->loop, on_timer, run);
	list_init(&run->link);
	buf_init(&run->exec_json, MCP_MESSAGE_MAX);
	buf_init(&run->line, MCP_MESSAGE_MAX);
	buf_init(&run->out, OUT_MAX);
	buf_init(&run->tail, TAIL_MAX);
	buf_put(&run->exec_json, exec_json);
	snprintf(run->process, sizeof(run->process), "%s", process);
	timer_set(run->timer, 0);
	return &run->base;
}

static int run_send(struct mcp_link *link, struct str line, struct error *err)
{
	struct mcp_run *run = container_of(link, struct mcp_run, base);
	bool can_go = run->phase == RUNNING && run->out.len == 0 &&
		!runtime_call_is_full(run->call);
	if (run->out.len + line.len + 1 > OUT_MAX)
		return error_set(err, ERROR_LIMIT, "it does not read: %zu bytes wait for it",
			run->out.len);
	if (can_go) {
		runtime_call_send(run->call, 0, line);
		runtime_call_send(run->call, 0, STR("\n"));
		return 0;
	}
	buf_put(&run->out, line);
	buf_putc(&run->out, '\n');
	return 0;
}

/* ---- the end ---- */

static void send_signal(struct mcp_run *run, const char *json, int patience_ms)
{
	runtime_call_control(run->call, str_from(json));
	timer_set(run->timer, patience_ms);
}

static void on_timer(void *arg)
{
	struct mcp_run *run = arg;
	if (run->phase == WAITING) {
		clear(run);
		return;
	}
	switch (run->patience++) {
	case 0:
		send_signal(run, "{\"signal\":\"TERM\"}", TERM_MS);
		break;
	case 1:
		send_signal(run, "{\"signal\":\"KILL\"}", KILL_MS);
		break;
	default:
		run_free(run);
	}
}

static void run_let_go(struct mcp_link *link, bool is_urgent)
{
	struct mcp_run *run = container_of(link, struct mcp_run, base);
	run->arg = NULL;
	if (run->phase == RUNNING)
		wind_down(run, is_urgent);
	else if (run->depth > 0)
		run->is_over = true; /* who called us frees it, once it is back */
	else
		run_free(run);
}

static const struct mcp_link_ops link_ops = {
	.send = run_send,
	.let_go = run_let_go,
	.explain = run_explain,
};

void mcp_run_free_all(struct runtime *rt)
{
	while (!list_is_empty(&rt->endings))
		run_free(list_get_first(&rt->endings, struct mcp_run, link));
}
