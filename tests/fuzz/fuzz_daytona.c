/* SPDX-License-Identifier: Apache-2.0 */
/* What a sandbox may print: a session's outputs with marks, kept and taken apart; git's. */
#include "face/daytona/git_tell.h"
#include "face/daytona/marks.h"
#include "face/daytona/outlog.h"

#include "base/bug.h"

#include <stdint.h>

static size_t n_heard;

static void on_data(void *arg, struct str bytes)
{
	n_heard += bytes.len;
	outlog_add(arg, 1 + bytes.ptr[0] % 2, bytes);
}

static void on_mark(void *arg, int code)
{
	BUG_IF(code < 0 || code > 255, "an exit code that is none");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct marks_ops ops = { on_data, on_mark };
	static void (*const tells[])(struct str out, struct buf * b) = { git_put_status,
		git_put_history, git_put_branches, git_put_remotes, git_put_hash, git_put_value };
	struct str text = { (const char *)data, size };
	struct outlog log;
	struct marks m;
	struct buf b = BUF_INIT(16 * 1024 * 1024);
	size_t step = size ? 1 + data[0] % 7 : 1;
	outlog_init(&log);
	marks_init(&m, "tag");
	n_heard = 0;
	for (size_t at = 0; at < size; at += step)
		marks_feed(&m, str_first(str_skip(text, at), step), &ops, &log);
	marks_end(&m, &ops, &log);
	BUG_IF(n_heard > size, "more was heard than was said");
	outlog_put(&log, 0, &b);
	marks_fini(&m);
	outlog_fini(&log);
	for (size_t i = 0; i < sizeof(tells) / sizeof(tells[0]); i++) {
		struct json *json = NULL;
		buf_reset(&b);
		tells[i](text, &b);
		BUG_IF(json_parse(buf_str(&b), &json, NULL) < 0, "it is no JSON");
		json_free(json);
	}
	buf_fini(&b);
	return 0;
}
