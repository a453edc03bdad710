/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three texts, separated by NUL: what the editor makes of the first is what its diff, applied,
 * makes of it too. The same diff in the other style must not fall over.
 */
#include "base/bug.h"
#include "executor/diff.h"
#include "executor/edit.h"
#include "executor/text.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_MAX = 64 << 20 };

static void put_lines(struct buf *out, struct str *before, int64_t *line, int64_t until)
{
	for (; *line < until; ++*line) {
		struct str piece = text_lines(*before, 1, 1);
		BUG_IF(!piece.len, "a hunk beyond the end");
		buf_put(out, piece);
		*before = str_skip(*before, piece.len);
	}
}

/* One line of a hunk, with what a missing newline at the end does to it. */
static void apply_line(struct buf *out, struct str *before, int64_t *at, struct str line,
	bool lacks_newline)
{
	struct str text = str_skip(line, 1);
	if (line.ptr[0] != '+') {
		struct str here = text_lines(*before, 1, 1);
		struct str bare = here.len && here.ptr[here.len - 1] == '\n'
			? str_first(here, here.len - 1)
			: here;
		BUG_IF(!str_eq(bare, text), "a hunk that does not fit");
		BUG_IF((bare.len == here.len) != lacks_newline, "a newline that is not as said");
		*before = str_skip(*before, here.len);
		++*at;
	}
	if (line.ptr[0] != '-') {
		buf_put(out, text);
		if (!lacks_newline)
			buf_putc(out, '\n');
	}
}

static void apply(struct str diff, struct str before, struct buf *out)
{
	struct str line;
	int64_t at = 1;
	for (int head = 0; head < 2; head++)
		str_split(&diff, '\n', &line);
	while (str_split(&diff, '\n', &line) && line.len) {
		if (str_starts(line, STR("@@ -"))) {
			char *end;
			int64_t start = strtoll(line.ptr + 4, &end, 10);
			bool is_empty = end[0] == ',' && end[1] == '0';
			put_lines(out, &before, &at, start + is_empty);
			continue;
		}
		bool lacks = str_starts(diff, STR("\\ No newline"));
		apply_line(out, &before, &at, line, lacks);
		struct str skipped;
		if (lacks)
			str_split(&diff, '\n', &skipped);
	}
	buf_put(out, before);
}

static void check_diff(struct str before, struct str after, int context)
{
	struct buf patch = BUF_INIT(OUT_MAX), applied = BUF_INIT(OUT_MAX), bare = BUF_INIT(OUT_MAX);
	diff_unified(&patch, "f", before, after, DIFF_PATCH, context);
	if (patch.len)
		apply(buf_str(&patch), before, &applied);
	else
		buf_put(&applied, before);
	BUG_IF(!str_eq(buf_str(&applied), after), "a diff that makes something else");
	diff_unified(&bare, "f", before, after, DIFF_BARE, context);
	buf_fini(&patch);
	buf_fini(&applied);
	buf_fini(&bare);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = { (const char *)data, size }, text = STR(""), old_str = STR(""),
		   new_str = STR("");
	if (size == 0)
		return 0;
	str_split(&rest, '\0', &text);
	str_split(&rest, '\0', &old_str);
	str_split(&rest, '\0', &new_str);
	struct edit_outcome o;
	edit_outcome_init(&o);
	edit_str_replace(&o, "/f", text, old_str, new_str);
	if (o.has_after)
		check_diff(text, buf_str(&o.after), (int)(size % 4));
	edit_outcome_fini(&o);
	edit_outcome_init(&o);
	edit_insert(&o, "/f", text, data[0] % 8, new_str);
	if (o.has_after)
		check_diff(text, buf_str(&o.after), (int)(size % 4));
	edit_outcome_fini(&o);
	check_diff(text, old_str, (int)(size % 4));
	return 0;
}
