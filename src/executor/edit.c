/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/edit.h"

#include "base/auto.h"
#include "base/bug.h"
#include "executor/text.h"

static const char file_notice[] =
	"<response clipped><NOTE>Due to the max output limit, only part of this file has been shown to "
	"you. You should retry this tool after you have searched inside the file with `grep -n` in order "
	"to find the line numbers of what you are looking for.</NOTE>";

void edit_outcome_init(struct edit_outcome *o)
{
	*o = (struct edit_outcome){ 0 };
	buf_init(&o->text, EDIT_TEXT_MAX);
	buf_init(&o->after, EDIT_TEXT_MAX);
}

void edit_outcome_fini(struct edit_outcome *o)
{
	buf_fini(&o->text);
	buf_fini(&o->after);
	free(o->lines);
}

void edit_fail(struct edit_outcome *o, const char *kind, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_reset(&o->text);
	buf_vprintf(&o->text, fmt, ap);
	va_end(ap);
	o->failure = kind;
	o->has_after = false;
}

void edit_put_bounded(struct buf *out, struct str text, const char *notice)
{
	size_t chars = 0, i = 0;
	for (; i < text.len; i++) {
		bool starts_char = ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
		if (starts_char && chars++ == EDIT_OUTPUT_CHARS)
			break;
	}
	buf_put(out, str_first(text, i));
	if (i < text.len)
		buf_puts(out, notice);
}

void edit_put_numbered(struct buf *out, struct str text, const char *what, int64_t first_line)
{
	auto_buf struct buf bounded = BUF_INIT(5 * EDIT_OUTPUT_CHARS);
	edit_put_bounded(&bounded, text, file_notice);
	struct str rest = buf_str(&bounded), line;
	buf_printf(out, "Here's the result of running `cat -n` on %s:\n", what);
	for (int64_t n = first_line; str_split(&rest, '\n', &line); n++) {
		buf_printf(out, "%6lld\t", (long long)n);
		buf_put(out, line);
		buf_putc(out, '\n');
	}
}

void edit_view(struct edit_outcome *o, const char *path, struct str text)
{
	edit_put_numbered(&o->text, text, path, 1);
}

void edit_view_range(struct edit_outcome *o, const char *path, struct str text, int64_t first,
	int64_t last)
{
	int64_t n = text_count_lines(text), end = last == -1 || last > n ? n : last;
	const char *refused = "Invalid `view_range` parameter: ";
	if (first < 1 || first > n) {
		edit_fail(o, "invalid_parameter",
			"%s[%lld, %lld]. Its first element `%lld` should be within the range of lines of "
			"the file: [1, %lld].",
			refused, (long long)first, (long long)last, (long long)first, (long long)n);
		return;
	}
	if (end < first) {
		edit_fail(o, "invalid_parameter",
			"%s[%lld, %lld]. Its second element `%lld` should be greater than or equal to the "
			"first element `%lld`.",
			refused, (long long)first, (long long)last, (long long)end,
			(long long)first);
		return;
	}
	if (last > n)
		buf_printf(&o->text,
			"NOTE: We only show up to %lld since there're only %lld lines in this file.\n",
			(long long)n, (long long)n);
	struct str shown = text_lines(text, first, end);
	if (shown.len && shown.ptr[shown.len - 1] == '\n')
		shown.len--;
	edit_put_numbered(&o->text, shown, path, first);
}

/*
 * Finds every place, not overlapping; an empty needle is everywhere. The offset of the first, or
 * -1.
 */
static ptrdiff_t find_all(struct edit_outcome *o, struct str text, struct str needle,
	size_t *ret_count)
{
	ptrdiff_t first = -1;
	size_t count = 0, from = 0, counted = 0;
	int64_t line = 1;
	o->n_lines = 0;
	while (from <= text.len) {
		struct str rest = str_skip(text, from);
		ptrdiff_t at = needle.len ? str_find(rest, needle) : 0;
		if (at < 0)
			break;
		size_t pos = from + (size_t)at;
		for (; counted < pos; counted++)
			line += text.ptr[counted] == '\n';
		first = first < 0 ? (ptrdiff_t)pos : first;
		bool is_new = o->n_lines == 0 || o->lines[o->n_lines - 1] != line;
		if (is_new && o->n_lines < EDIT_LINES_MAX)
			o->lines[o->n_lines++] = line;
		count++;
		from = pos + MAX(needle.len, 1);
	}
	*ret_count = count;
	return first;
}

static void fail_multiple(struct edit_outcome *o, struct str old_str)
{
	edit_fail(o, "multiple_matches",
		"No replacement was performed. Multiple occurrences of old_str `");
	buf_put(&o->text, old_str);
	buf_puts(&o->text, "` in lines [");
	for (size_t i = 0; i < o->n_lines; i++)
		buf_printf(&o->text, "%s%lld", i ? ", " : "", (long long)o->lines[i]);
	buf_puts(&o->text, o->n_lines == EDIT_LINES_MAX ? ", ...]" : "]");
	buf_puts(&o->text, ". Please ensure it is unique.");
}

static int put_in(struct edit_outcome *o, const char *path, struct str a, struct str b,
	struct str c)
{
	buf_put(&o->after, a);
	buf_put(&o->after, b);
	buf_put(&o->after, c);
	o->has_after = !o->after.is_full && o->after.len <= EDIT_FILE_MAX;
	if (!o->has_after)
		edit_fail(o, "file_invalid",
			"File validation failed for %s: File would be too large. Maximum allowed size is 10MB.",
			path);
	return o->has_after ? 0 : -1;
}

static void put_success(struct edit_outcome *o, const char *path, const char *what,
	const char *review)
{
	buf_printf(&o->text, "The file %s has been edited. ", path);
	edit_put_numbered(&o->text, o->snippet, what, o->snippet_line);
	buf_puts(&o->text, review);
}

static int64_t count_newlines(struct str s)
{
	int64_t n = 0;
	for (size_t i = 0; i < s.len; i++)
		n += s.ptr[i] == '\n';
	return n;
}

void edit_str_replace(struct edit_outcome *o, const char *path, struct str text, struct str old_str,
	struct str new_str)
{
	o->lines = mem_new_n(int64_t, EDIT_LINES_MAX);
	if (new_str.ptr && str_eq(old_str, new_str)) {
		edit_fail(o, "invalid_parameter", "Invalid `new_str` parameter: ");
		buf_put(&o->text, new_str);
		buf_puts(&o->text,
			". No replacement was performed. `new_str` and `old_str` must be different.");
		return;
	}
	size_t count = 0;
	ptrdiff_t at = find_all(o, text, old_str, &count);
	if (count == 0) {
		old_str = str_trim(old_str);
		new_str = str_trim(new_str);
		at = find_all(o, text, old_str, &count);
	}
	if (count == 0) {
		edit_fail(o, "no_match", "No replacement was performed, old_str `");
		buf_put(&o->text, old_str);
		buf_printf(&o->text, "` did not appear verbatim in %s.", path);
		return;
	}
	if (count > 1) {
		fail_multiple(o, old_str);
		return;
	}
	struct str tail = str_skip(text, (size_t)at + old_str.len);
	if (put_in(o, path, str_first(text, (size_t)at), new_str, tail) < 0)
		return;
	int64_t line = o->lines[0], before = MAX(0, line - EDIT_CONTEXT_LINES);
	o->snippet_line = before + 1;
	o->snippet = text_lines(buf_str(&o->after), before + 1,
		line + EDIT_CONTEXT_LINES + count_newlines(new_str));
	auto_free char *what = mem_printf("a snippet of %s", path);
	put_success(o, path, what,
		"Review the changes and make sure they are as expected. Edit the file again if necessary.");
}

void edit_insert(struct edit_outcome *o, const char *path, struct str text, int64_t line,
	struct str new_str)
{
	int64_t n = text_count_lines(text), added = count_newlines(new_str) + 1;
	if (line < 0 || line > n) {
		edit_fail(o, "invalid_parameter",
			"Invalid `insert_line` parameter: %lld. It should be within the range of allowed "
			"values: [0, %lld]",
			(long long)line, (long long)n);
		return;
	}
	auto_buf struct buf piece = BUF_INIT(EDIT_TEXT_MAX);
	buf_put(&piece, new_str);
	buf_putc(&piece, '\n');
	struct str head = text_lines(text, 1, line);
	if (put_in(o, path, head, buf_str(&piece), str_skip(text, head.len)) < 0)
		return;
	int64_t before = MAX(0, line - EDIT_CONTEXT_LINES);
	o->snippet_line = before + 1;
	o->snippet = text_lines(buf_str(&o->after), before + 1,
		MIN(n + added, line + EDIT_CONTEXT_LINES + added));
	put_success(o, path, "a snippet of the edited file",
		"Review the changes and make sure they are as expected (correct indentation, no duplicate "
		"lines, etc). Edit the file again if necessary.");
}

void edit_undone(struct edit_outcome *o, const char *path, struct str text)
{
	buf_printf(&o->text, "Last edit to %s undone successfully. ", path);
	edit_put_numbered(&o->text, text, path, 1);
	buf_put(&o->after, text);
	o->has_after = true;
}
