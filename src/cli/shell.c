/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include "base/auto.h"
#include "cli/options.h"
#include "cli/stream.h"
#include "cli/terminal.h"

/* "^]" is the byte 0x1d. */
static int parse_key(const char *text, int *ret, struct error *err)
{
	bool is_key = strlen(text) == 2 && text[0] == '^' &&
		((text[1] >= 'A' && text[1] <= '_') || (text[1] >= 'a' && text[1] <= 'z'));
	if (!is_key)
		return error_set(err, ERROR_INVALID,
			"--detach-key: '%.20s' is not a key from ^A to ^_", text);
	*ret = text[1] & 0x1f;
	return 0;
}

static void put_params(struct jsonw *w, const char *session)
{
	int64_t cols, rows;
	terminal_size(&cols, &rows);
	jsonw_open(w);
	jsonw_key_str(w, "session", str_from(session));
	jsonw_key_int(w, "cols", cols);
	jsonw_key_int(w, "rows", rows);
	jsonw_close(w);
}

int shell_main(struct invocation *in, struct error *err)
{
	const struct shell_options *o = in->values;
	struct stream stream = { .sandbox = in->args[0],
		.action = "session_attach",
		.has_input = true,
		.has_size = true,
		.is_raw = true };
	auto_buf struct buf params = BUF_INIT(4096);
	auto_remote struct remote s = REMOTE_INIT;
	auto_json struct json *answer = NULL;
	struct jsonw w = JSONW(&params);
	if (parse_key(o->detach_key, &stream.detach_key, err) < 0)
		return -1;
	put_params(&w, in->n_args > 1 ? in->args[1] : "main");
	stream.params = buf_str(&params);
	if (remote_open(in, &s, err) < 0)
		return -1;
	if (!isatty(STDIN_FILENO))
		return error_set(err, ERROR_INVALID,
			"standard input is no terminal; to send it to a program there is cay exec -i");
	if (terminal_make_raw(STDIN_FILENO, err) < 0)
		return -1;
	fprintf(stderr, "(%s leaves; what runs goes on)\r\n", o->detach_key);
	int status = stream_run(&s, &stream, &answer, err);
	terminal_restore();
	if (status < 0)
		return -1;
	const struct json *result = json_find(answer, "result");
	if (str_is(json_str(json_find(result, "status")), "detached")) {
		fprintf(stderr, "\n(left; cay shell %s comes back)\n", in->args[0]);
		return 0;
	}
	return client_exit_status(result);
}
