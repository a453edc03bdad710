/* SPDX-License-Identifier: Apache-2.0 */
/* What there is: cay ls and cay stats. */
#include "cli/client.h"

#include "base/auto.h"
#include "base/clock.h"
#include "cli/options.h"

#include <time.h>

static bool is_over(const struct json *sandbox)
{
	static const char *const states[] = { "stopped", "ended", "failed" };
	for (size_t i = 0; i < ARRAY_LEN(states); i++)
		if (str_is(json_str(json_find(sandbox, "state")), states[i]))
			return true;
	return false;
}

static int get_list(struct remote *s, struct json **ret, struct error *err)
{
	return remote_get_json(s, "/v1/sandboxes", ret, err);
}

/* In seconds since 1970; what is no date is 0. */
static int64_t parse_date(struct str text)
{
	int64_t ms = 0;
	clock_parse(text, &ms);
	return ms / 1000;
}

static void put_age(struct out_table *t, const struct json *sandbox)
{
	auto_buf struct buf age = BUF_INIT(100);
	int64_t since = parse_date(json_str(json_find(sandbox, "created_at")));
	int64_t age_s = (int64_t)time(NULL) - since;
	if (since)
		out_put_duration(&age, MAX(age_s, 1) * 1000);
	out_cell(t, buf_str(&age));
}

static void put_row(struct out_table *t, const struct json *sandbox)
{
	out_cell(t, json_str(json_find(sandbox, "id")));
	out_cell(t, json_str(json_find(sandbox, "name")));
	out_cell(t, json_str(json_find(sandbox, "state")));
	put_age(t, sandbox);
	out_cell(t, json_str(json_find(json_find(sandbox, "spec"), "image")));
	out_cell(t, json_str(json_find(sandbox, "reason")));
}

/* The array as JSON, without those that are over unless `all`. */
static int print_json(const struct json *sandboxes, bool all, struct error *err)
{
	auto_buf struct buf text = BUF_INIT(REMOTE_REPLY_MAX);
	bool is_first = true;
	buf_putc(&text, '[');
	for (size_t i = 0; i < json_len(sandboxes); i++) {
		const struct json *sandbox = json_at(sandboxes, i);
		if (!all && is_over(sandbox))
			continue;
		buf_puts(&text, is_first ? "" : ",");
		json_write(sandbox, &text);
		is_first = false;
	}
	buf_putc(&text, ']');
	return out_line(buf_str(&text), err);
}

int ls_main(struct invocation *in, struct error *err)
{
	const struct ls_options *o = in->values;
	auto_remote struct remote s = REMOTE_INIT;
	auto_json struct json *answer = NULL;
	if (remote_open(in, &s, err) < 0 || get_list(&s, &answer, err) < 0)
		return -1;
	const struct json *sandboxes = json_find(answer, "sandboxes");
	if (o->common.json)
		return print_json(sandboxes, o->all, err);
	struct out_table t = { .n_columns = 6,
		.headings = { "ID", "NAME", "STATE", "AGE", "IMAGE", "REASON" } };
	for (size_t i = 0; i < json_len(sandboxes); i++) {
		const struct json *sandbox = json_at(sandboxes, i);
		if (!o->all && is_over(sandbox))
			continue;
		if (o->quiet && out_line(json_str(json_find(sandbox, "id")), err) < 0)
			return -1;
		if (!o->quiet)
			put_row(&t, sandbox);
	}
	return o->quiet ? 0 : out_table_end(&t, err);
}

static void put_size_cell(struct out_table *t, const struct json *bytes)
{
	auto_buf struct buf text = BUF_INIT(100);
	out_put_size(&text, json_kind(bytes) == JSON_KIND_NULL ? -1 : json_int(bytes));
	out_cell(t, buf_str(&text));
}

static void put_number_cell(struct out_table *t, const struct json *number)
{
	auto_buf struct buf text = BUF_INIT(100);
	if (json_kind(number) != JSON_KIND_NULL)
		buf_printf(&text, "%lld", (long long)json_int(number));
	out_cell(t, buf_str(&text));
}

static void put_usage(struct out_table *t, const char *key, const struct json *usage)
{
	auto_buf struct buf cpu = BUF_INIT(100);
	out_put_duration(&cpu, json_int(json_find(usage, "cpu_us")) / 1000);
	out_cell(t, str_from(key));
	put_size_cell(t, json_find(usage, "memory_bytes"));
	put_size_cell(t, json_find(usage, "memory_peak_bytes"));
	out_cell(t, buf_str(&cpu));
	put_number_cell(t, json_find(usage, "pids"));
	put_size_cell(t, json_find(usage, "disk_bytes"));
	put_number_cell(t, json_find(usage, "disk_inodes"));
}

/* One sandbox's usage: a row, or a member of the JSON object in `text`. */
static int add_usage(struct remote *s, const char *key, struct out_table *t, struct buf *text,
	struct error *err)
{
	auto_buf struct buf path = BUF_INIT(4096);
	auto_json struct json *usage = NULL;
	remote_put_path(&path, key, "/stats");
	if (remote_get_json(s, path.ptr, &usage, err) < 0)
		return error_wrap(err, "%s", key);
	put_usage(t, key, usage);
	struct jsonw w = { .b = text, .needs_comma = text->len > 1 };
	jsonw_key_dyn(&w, str_from(key));
	json_write(usage, text);
	return 0;
}

/* Names first: they are what people know. One that ends while we ask is no failure. */
static int add_all(struct remote *s, struct out_table *t, struct buf *text, struct error *err)
{
	auto_json struct json *answer = NULL;
	if (get_list(s, &answer, err) < 0)
		return -1;
	const struct json *sandboxes = json_find(answer, "sandboxes");
	for (size_t i = 0; i < json_len(sandboxes); i++) {
		const struct json *sandbox = json_at(sandboxes, i),
				  *name = json_find(sandbox, "name");
		if (is_over(sandbox))
			continue;
		struct str key = json_str(json_str(name).len ? name : json_find(sandbox, "id"));
		auto_free char *copy = str_dup(key);
		if (add_usage(s, copy, t, text, err) < 0 && err->code != ERROR_NOT_FOUND &&
			err->code != ERROR_CONFLICT && err->code != ERROR_GONE)
			return -1;
	}
	return 0;
}

int stats_main(struct invocation *in, struct error *err)
{
	const struct common_options *o = in->values;
	auto_remote struct remote s = REMOTE_INIT;
	auto_buf struct buf text = BUF_INIT(REMOTE_REPLY_MAX);
	struct out_table t = { .n_columns = 7,
		.headings = { "SANDBOX", "MEMORY", "PEAK", "CPU", "PIDS", "DISK", "FILES" } };
	if (remote_open(in, &s, err) < 0)
		return -1;
	buf_putc(&text, '{');
	int r = in->n_args ? 0 : add_all(&s, &t, &text, err);
	for (int i = 0; r == 0 && i < in->n_args; i++)
		r = add_usage(&s, in->args[i], &t, &text, err);
	buf_putc(&text, '}');
	if (r < 0 || o->json) {
		out_table_drop(&t);
		return r < 0 ? r : out_line(buf_str(&text), err);
	}
	return out_table_end(&t, err);
}
