/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cay confirmations, confirm and reject: what guarded agents wait for. They show the approver's
 * token.
 */
#include "cli/client.h"

#include "base/auto.h"
#include "cli/options.h"
#include "wire/url.h"

enum { PATH_BYTES_MAX = 4096, DETAIL_MAX = 80 };

/* What tells most about an action: its command, program or path. */
static struct str detail_of(const struct json *params)
{
	static const char *const telling[] = { "command", "code", "path", "text", "url" };
	for (size_t i = 0; i < ARRAY_LEN(telling); i++) {
		struct str text = json_str(json_find(params, telling[i]));
		if (text.len)
			return text;
	}
	return STR_NONE;
}

static void put_row(struct out_table *t, const struct json *c)
{
	auto_buf struct buf what = BUF_INIT(64 * 1024);
	const struct json *params = json_find(c, "params");
	struct str detail = detail_of(params);
	buf_put(&what, json_str(json_find(c, "action")));
	buf_putc(&what, ' ');
	if (detail.ptr)
		buf_put(&what, str_first(detail, DETAIL_MAX));
	else
		json_write(params, &what);
	out_cell(t, json_str(json_find(c, "id")));
	out_cell(t, str_first(json_str(json_find(c, "sandbox")), 8));
	out_cell(t, json_str(json_find(c, "risk")));
	out_cell(t, str_first(str_skip(json_str(json_find(c, "expires_at")), 11), 8));
	out_cell(t, json_str(json_find(c, "reason")));
	out_cell(t, buf_str(&what));
}

int confirmations_main(struct invocation *in, struct error *err)
{
	const struct common_options *o = in->values;
	auto_remote struct remote s = REMOTE_INIT;
	auto_json struct json *answer = NULL;
	auto_buf struct buf reply = BUF_INIT(REMOTE_REPLY_MAX);
	if (remote_open_approver(in, &s, err) < 0 ||
		remote_get(&s, "/v1/confirmations", &reply, err) < 0)
		return -1;
	if (o->json)
		return out_line(buf_str(&reply), err);
	if (json_parse(buf_str(&reply), &answer, err) < 0)
		return -1;
	struct out_table t = { .n_columns = 6,
		.headings = { "ID", "SANDBOX", "RISK", "UNTIL", "IT", "ACTION" } };
	const struct json *list = json_find(answer, "confirmations");
	for (size_t i = 0; i < json_len(list); i++)
		put_row(&t, json_at(list, i));
	return out_table_end(&t, err);
}

static int decide_one(struct remote *s, const char *id, const char *verb, const char *reason,
	struct error *err)
{
	auto_buf struct buf path = BUF_INIT(PATH_BYTES_MAX), body = BUF_INIT(65536),
			    reply = BUF_INIT(65536);
	struct jsonw w = JSONW(&body);
	buf_puts(&path, "/v1/confirmations/");
	url_encode(str_from(id), &path);
	buf_printf(&path, "/%s", verb);
	jsonw_open(&w);
	if (reason)
		jsonw_key_str(&w, "reason", str_from(reason));
	jsonw_close(&w);
	return remote_post(s, path.ptr, buf_str(&body), &reply, err);
}

static int decide(struct invocation *in, const char *verb, struct error *err)
{
	const struct confirm_options *o = in->values;
	auto_remote struct remote s = REMOTE_INIT;
	if (remote_open_approver(in, &s, err) < 0)
		return -1;
	for (int i = 0; i < in->n_args; i++)
		if (decide_one(&s, in->args[i], verb, o->reason, err) < 0 ||
			out_line(str_from(in->args[i]), err) < 0)
			return -1;
	return 0;
}

int confirm_main(struct invocation *in, struct error *err)
{
	return decide(in, "confirm", err);
}

int reject_main(struct invocation *in, struct error *err)
{
	return decide(in, "reject", err);
}
