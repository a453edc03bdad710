/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include "base/auto.h"
#include "cli/options.h"
#include "cli/stream.h"

enum { PARAMS_MAX = 64 * 1024 };

static void put_argv(struct buf *b, const struct json *argv)
{
	for (size_t i = 0; i < json_len(argv); i++)
		buf_printf(b, "%s%.*s", i ? " " : "", STR_ARG(json_str(json_at(argv, i))));
}

static void put_row(struct out_table *t, const struct json *p)
{
	auto_buf struct buf state = BUF_INIT(100), age = BUF_INIT(100), words = BUF_INIT(1 << 20);
	bool runs = str_is(json_str(json_find(p, "status")), "running");
	if (runs)
		buf_puts(&state, "running");
	else
		buf_printf(&state, "exited %d", client_exit_status(p));
	out_put_duration(&age, json_int(json_find(p, "duration_ms")));
	put_argv(&words, json_find(p, "argv"));
	out_cell(t, json_str(json_find(p, "process")));
	out_cell(t, json_str(json_find(p, "name")));
	out_cell(t, buf_str(&state));
	out_cell(t, buf_str(&age));
	out_cell(t, buf_str(&words));
}

static int list(struct remote *s, const struct invocation *in, struct error *err)
{
	const struct logs_options *o = in->values;
	auto_json struct json *answer = NULL;
	if (remote_act(s, in->args[0], "process_list", STR("{}"), &answer, err) < 0)
		return -1;
	const struct json *processes = json_find(answer, "processes");
	if (o->common.json) {
		auto_buf struct buf text = BUF_INIT(REMOTE_REPLY_MAX);
		json_write(processes, &text);
		return out_line(buf_str(&text), err);
	}
	struct out_table t = { .n_columns = 5,
		.headings = { "PROCESS", "NAME", "STATUS", "TIME", "COMMAND" } };
	for (size_t i = 0; i < json_len(processes); i++)
		put_row(&t, json_at(processes, i));
	return out_table_end(&t, err);
}

static void put_params(struct buf *b, const char *process, bool follow, bool capture)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "process", str_from(process));
	jsonw_key_bool(&w, "follow", follow);
	jsonw_key_bool(&w, "capture", capture);
	jsonw_close(&w);
}

static int show_json(struct remote *s, const struct invocation *in, struct str params,
	struct error *err)
{
	auto_json struct json *answer = NULL;
	auto_buf struct buf text = BUF_INIT(REMOTE_REPLY_MAX);
	if (remote_act(s, in->args[0], "process_logs", params, &answer, err) < 0)
		return -1;
	json_write(answer, &text);
	return out_line(buf_str(&text), err);
}

int logs_main(struct invocation *in, struct error *err)
{
	const struct logs_options *o = in->values;
	auto_remote struct remote s = REMOTE_INIT;
	auto_json struct json *answer = NULL;
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	if (remote_open(in, &s, err) < 0)
		return -1;
	if (in->n_args == 1)
		return list(&s, in, err);
	put_params(&params, in->args[1], o->follow, o->common.json);
	if (o->common.json)
		return show_json(&s, in, buf_str(&params), err);
	const struct stream stream = { .sandbox = in->args[0],
		.action = "process_logs",
		.params = buf_str(&params),
		.is_raw = o->raw,
		.detach_key = -1 };
	return stream_run(&s, &stream, &answer, err);
}
