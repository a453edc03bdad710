/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include "base/auto.h"
#include "cli/options.h"

static void put_wish(const struct invocation *in, struct jsonw *w)
{
	const struct token_options *o = in->values;
	jsonw_open(w);
	if (in->n_args > 1) {
		jsonw_key_str(w, "path", str_from(in->args[1]));
		jsonw_key_str(w, "role", o->write ? STR("write") : STR("read"));
	}
	jsonw_key_int(w, "lifetime_ms", o->lifetime_ms);
	jsonw_close(w);
}

int token_main(struct invocation *in, struct error *err)
{
	const struct token_options *o = in->values;
	auto_remote struct remote server = REMOTE_INIT;
	auto_json struct json *made = NULL;
	auto_buf struct buf path = BUF_INIT(8192);
	auto_buf struct buf wish = BUF_INIT(64 * 1024);
	auto_buf struct buf text = BUF_INIT(REMOTE_REPLY_MAX);
	struct jsonw w = JSONW(&wish);
	if (o->write && in->n_args < 2)
		return error_set(err, ERROR_INVALID, "--write takes the PATH of a file");
	put_wish(in, &w);
	remote_put_path(&path, in->args[0], "/tokens");
	if (remote_open_lasting(in, "tokens of cay's", &server, err) < 0 ||
		remote_post_json(&server, path.ptr, buf_str(&wish), &made, err) < 0)
		return -1;
	if (o->common.json) {
		json_write(made, &text);
		return out_line(buf_str(&text), err);
	}
	/* Without an address of its own the server still answers below this path on its socket. */
	const struct json *link = json_find(made, "link");
	const struct json *shown = in->n_args < 2 ? json_find(made, "token")
		: link                            ? link
						  : json_find(made, "path");
	return out_line(json_str(shown), err);
}
