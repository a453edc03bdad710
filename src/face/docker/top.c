/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docker top: what runs in the container, whoever started it, in the columns that ps would have.
 * The numbers are those that the processes have inside, which `kill` takes there.
 */
#include "face/docker/handlers.h"

#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

enum { REPLY_MAX = 16 * 1024 * 1024, COLUMNS_MAX = 32 };

static int64_t number(const struct json *p, const char *key)
{
	return json_count(json_find(p, key));
}

static void put_user(const struct json *p, struct buf *b)
{
	int64_t uid = number(p, "uid");
	if (uid)
		buf_printf(b, "%lld", (long long)uid);
	else
		buf_puts(b, "root");
}

static void put_uid(const struct json *p, struct buf *b)
{
	buf_printf(b, "%lld", (long long)number(p, "uid"));
}

static void put_pid(const struct json *p, struct buf *b)
{
	buf_printf(b, "%lld", (long long)number(p, "pid"));
}

static void put_ppid(const struct json *p, struct buf *b)
{
	buf_printf(b, "%lld", (long long)number(p, "ppid"));
}

static double cpu_percent(const struct json *p)
{
	int64_t alive_ms = MAX(clock_wall_ms() - number(p, "started_ms"), (int64_t)1);
	return MIN(100.0 * (double)number(p, "cpu_ms") / (double)alive_ms, 999.0);
}

static void put_c(const struct json *p, struct buf *b)
{
	buf_printf(b, "%d", (int)cpu_percent(p));
}

static void put_cpu(const struct json *p, struct buf *b)
{
	buf_printf(b, "%.1f", cpu_percent(p));
}

static void put_vsz(const struct json *p, struct buf *b)
{
	buf_printf(b, "%lld", (long long)number(p, "virtual_bytes") / 1024);
}

static void put_rss(const struct json *p, struct buf *b)
{
	buf_printf(b, "%lld", (long long)number(p, "resident_bytes") / 1024);
}

/* Of today the time, else the day. */
static void put_start(const struct json *p, struct buf *b)
{
	time_t then = (time_t)(number(p, "started_ms") / 1000), now = time(NULL);
	struct tm at = { 0 }, today;
	char text[16];
	localtime_r(&then, &at);
	localtime_r(&now, &today);
	bool is_today = at.tm_yday == today.tm_yday && at.tm_year == today.tm_year;
	strftime(text, sizeof(text), is_today ? "%H:%M" : "%b%d", &at);
	buf_puts(b, text);
}

static void put_time(const struct json *p, struct buf *b)
{
	long long s = (long long)number(p, "cpu_ms") / 1000;
	buf_printf(b, "%02lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
}

static void put_tty(const struct json *p, struct buf *b)
{
	struct str tty = json_str(json_find(p, "tty"));
	buf_put(b, tty.ptr ? tty : STR("?"));
}

static void put_stat(const struct json *p, struct buf *b)
{
	buf_put(b, json_str(json_find(p, "state")));
	if (number(p, "session") == number(p, "pid"))
		buf_putc(b, 's');
	if (number(p, "threads") > 1)
		buf_putc(b, 'l');
	if (json_bool(json_find(p, "is_foreground")))
		buf_putc(b, '+');
}

static void put_state(const struct json *p, struct buf *b)
{
	buf_put(b, json_str(json_find(p, "state")));
}

static void put_name(const struct json *p, struct buf *b)
{
	buf_put(b, json_str(json_find(p, "name")));
}

static void put_args(const struct json *p, struct buf *b)
{
	const struct json *argv = json_find(p, "argv");
	for (size_t i = 0; i < json_len(argv); i++)
		buf_printf(b, "%s%.*s", i ? " " : "", STR_ARG(json_str(json_at(argv, i))));
	if (!json_len(argv))
		buf_printf(b, "[%.*s]", STR_ARG(json_str(json_find(p, "name"))));
}

static const struct column {
	const char *name, *title;
	void (*put)(const struct json *p, struct buf *b);
} columns[] = {
	{ "user", "USER", put_user },
	{ "uid", "UID", put_uid },
	{ "pid", "PID", put_pid },
	{ "ppid", "PPID", put_ppid },
	{ "c", "C", put_c },
	{ "pcpu", "%CPU", put_cpu },
	{ "%cpu", "%CPU", put_cpu },
	{ "vsz", "VSZ", put_vsz },
	{ "rss", "RSS", put_rss },
	{ "stime", "STIME", put_start },
	{ "start", "START", put_start },
	{ "tty", "TTY", put_tty },
	{ "tt", "TT", put_tty },
	{ "stat", "STAT", put_stat },
	{ "s", "S", put_state },
	{ "state", "S", put_state },
	{ "time", "TIME", put_time },
	{ "comm", "COMMAND", put_name },
	{ "cmd", "CMD", put_args },
	{ "args", "COMMAND", put_args },
	{ "command", "COMMAND", put_args },
};

/* ps -ef shows a name under this title. */
static const struct column full_user = { "uid", "UID", put_user };

struct top {
	struct http_request *r;
	struct runtime_call *call;
	const struct column *columns[COLUMNS_MAX];
	size_t n;
};

/* ---- which columns ---- */

static int add_columns(struct top *t, struct str names, struct error *err)
{
	struct str name;
	while (str_split(&names, ',', &name)) {
		size_t i = 0;
		while (i < ARRAY_LEN(columns) && !str_is(name, columns[i].name))
			i++;
		if (i == ARRAY_LEN(columns) || t->n == COLUMNS_MAX)
			return error_set(err, ERROR_INVALID, "ps_args: there is no column '%.*s'",
				STR_ARG(str_first(name, 40)));
		t->columns[t->n++] = &columns[i];
	}
	return 0;
}

/* "-ef", "aux", "-o pid,args", "-eo pid -o comm" */
static int take_words(struct top *t, struct str words, struct error *err)
{
	struct str word;
	bool takes_names = false;
	while (str_split(&words, ' ', &word)) {
		if (!word.len)
			continue;
		bool is_names = takes_names;
		takes_names = str_is(word, "-o") || str_is(word, "-eo") || str_is(word, "o");
		if (takes_names || str_is(word, "-e") || str_is(word, "-A"))
			continue;
		if (is_names) {
			if (add_columns(t, word, err) < 0)
				return -1;
		} else if (str_is(word, "aux") || str_is(word, "-aux")) {
			add_columns(t, STR("user,pid,%cpu,vsz,rss,tty,stat,start,time,command"),
				NULL);
		} else if (!str_is(word, "-ef") && !str_is(word, "ef")) {
			return error_set(err, ERROR_INVALID,
				"ps_args '%.*s': -ef, aux and -o COLUMN,… are offered",
				STR_ARG(str_first(word, 40)));
		}
	}
	if (takes_names)
		return error_set(err, ERROR_INVALID, "ps_args: -o wants columns");
	if (t->n)
		return 0;
	t->columns[t->n++] = &full_user;
	return add_columns(t, STR("pid,ppid,c,stime,tty,time,cmd"), err);
}

/* ---- the answer ---- */

static void on_processes(void *arg, struct str text)
{
	struct top *t = arg;
	auto_json struct json *list = NULL;
	auto_buf struct buf b = BUF_INIT(REPLY_MAX), cell = BUF_INIT(65536);
	struct jsonw w = JSONW(&b);
	t->call = NULL;
	json_parse(text, &list, NULL);
	jsonw_open(&w);
	jsonw_key(&w, "Titles");
	jsonw_open_array(&w);
	for (size_t k = 0; k < t->n; k++)
		jsonw_str(&w, str_from(t->columns[k]->title));
	jsonw_close_array(&w);
	jsonw_key(&w, "Processes");
	jsonw_open_array(&w);
	const struct json *all = json_find(list, "processes");
	for (size_t i = 0; i < json_len(all); i++) {
		jsonw_open_array(&w);
		for (size_t k = 0; k < t->n; k++) {
			buf_reset(&cell);
			t->columns[k]->put(json_at(all, i), &cell);
			jsonw_str(&w, buf_str(&cell));
		}
		jsonw_close_array(&w);
	}
	jsonw_close_array(&w);
	jsonw_close(&w);
	http_reply_json(t->r, 200, &b);
}

static void on_failed(void *arg, const struct error *err)
{
	struct top *t = arg;
	t->call = NULL;
	docker_fail_error(t->r, err);
}

void containers_top(struct http_request *r)
{
	static const struct call_sink sink = { .result = on_processes, .error = on_failed };
	struct container *c = container_of_request(r);
	struct error err;
	if (!c)
		return;
	if (c->state != CONTAINER_RUNNING) {
		docker_fail(r, 409, "Container %s is not running", c->id);
		return;
	}
	struct top *t = arena_new(&r->arena, struct top);
	struct sandbox *s = container_need_sandbox(r, c);
	if (!s)
		return;
	t->r = r;
	if (take_words(t, http_query(r, "ps_args"), &err) < 0)
		docker_fail_error(r, &err);
	else
		t->call = runtime_perform(s, &process_tree_action, STR_NONE, &sink, t);
}
