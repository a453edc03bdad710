/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. What both texts have in common at their beginning and end is cut away by
 * bytes, at line boundaries, but for the lines of context; only the window between is split into
 * lines, numbered and compared. So an edit of one line in a big file costs its bytes once. difflib
 * looks at whole texts, and what it finds depends on that, so DIFF_BARE takes the window only when
 * the texts are too long.
 */
#include "executor/diff.h"

#include "base/auto.h"
#include "base/bug.h"
#include "executor/diff_lines.h"

enum { MATCHER_BYTES_MAX = 4 * 1024 * 1024, LINES_MAX = 1000 * 1000 };

struct diff {
	struct str before, after; /* the window */
	int first_line;           /* how many lines are in front of it */
	bool ends_texts;          /* the window reaches to the end of both texts */
	enum diff_style style;
	int context;
	struct diff_lines lines;
};

static size_t common_prefix(struct str a, struct str b)
{
	size_t n = MIN(a.len, b.len), i = 0;
	while (i < n && a.ptr[i] == b.ptr[i])
		i++;
	while (i > 0 && a.ptr[i - 1] != '\n')
		i--;
	return i;
}

static size_t common_suffix(struct str a, struct str b)
{
	size_t n = MIN(a.len, b.len), i = 0;
	while (i < n && a.ptr[a.len - 1 - i] == b.ptr[b.len - 1 - i])
		i++;
	/* The suffix begins where a line begins, in both. */
	while (i > 0 &&
		!((i == a.len || a.ptr[a.len - i - 1] == '\n') &&
			(i == b.len || b.ptr[b.len - i - 1] == '\n')))
		i--;
	return i;
}

static int count_newlines(struct str s)
{
	int n = 0;
	for (const char *p = s.ptr, *end = s.ptr + s.len;
		p < end && (p = memchr(p, '\n', (size_t)(end - p))); p++)
		n++;
	return n;
}

static void cut_window(struct diff *d)
{
	struct str before = d->before, after = d->after;
	size_t front = common_prefix(before, after);
	size_t back = common_suffix(str_skip(before, front), str_skip(after, front));
	for (int i = 0; i <= d->context && front > 0; i++) {
		front--;
		while (front > 0 && before.ptr[front - 1] != '\n')
			front--;
	}
	for (int i = 0; i <= d->context && back > 0; i++) {
		const char *from = before.ptr + before.len - back;
		const char *newline = memchr(from, '\n', back);
		back = newline ? back - (size_t)(newline + 1 - from) : 0;
	}
	d->first_line = count_newlines(str_first(before, front));
	d->ends_texts = back == 0;
	d->before = str_from_len(before.ptr + front, before.len - front - back);
	d->after = str_from_len(after.ptr + front, after.len - front - back);
}

/* A text "a\nb\n" has two lines for patch(1); text.split("\n") gives three. */
static int split_side(struct diff_side *side, struct str text, bool keeps_last)
{
	int n = count_newlines(text) + 1;
	if (n > LINES_MAX)
		return -1;
	side->lines = mem_new_n(struct str, (size_t)n);
	side->ids = mem_new_n(int, (size_t)n);
	side->is_changed = mem_new_n(bool, (size_t)n);
	struct str piece;
	while (side->n < n && str_split(&text, '\n', &piece))
		side->lines[side->n++] = piece;
	if (side->n && !keeps_last && side->lines[side->n - 1].len == 0)
		side->n--;
	return 0;
}

static void free_side(struct diff_side *side)
{
	free(side->lines);
	free(side->ids);
	free(side->is_changed);
}

static uint64_t hash_line(struct str s)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (size_t i = 0; i < s.len; i++)
		h = (h ^ (unsigned char)s.ptr[i]) * 0x100000001b3u;
	return h ^ (h >> 29);
}

struct intern {
	struct slot {
		uint64_t hash;
		struct str line;
		int id; /* plus one; 0: free */
	} * slots;
	size_t mask;
	int n;
};

static void intern_side(struct intern *t, struct diff_side *side)
{
	for (int i = 0; i < side->n; i++) {
		struct str line = side->lines[i];
		uint64_t h = hash_line(line);
		size_t at = h & t->mask;
		while (t->slots[at].id &&
			!(t->slots[at].hash == h && str_eq(t->slots[at].line, line)))
			at = (at + 1) & t->mask;
		if (!t->slots[at].id)
			t->slots[at] = (struct slot){ h, line, ++t->n };
		side->ids[i] = t->slots[at].id - 1;
	}
}

/*
 * The last line of a text without a final newline is another line than the same with one: patch(1)
 * must be told. It gets an id of its own, which both sides share if they end alike.
 */
static bool lacks_newline(const struct diff *d, struct str text)
{
	return d->style == DIFF_PATCH && d->ends_texts && text.len &&
		text.ptr[text.len - 1] != '\n';
}

static void intern(struct diff *d)
{
	struct diff_lines *l = &d->lines;
	size_t cap = 64;
	while (cap < 2 * (size_t)(l->a.n + l->b.n))
		cap *= 2;
	struct intern t = { .slots = mem_new_n(struct slot, cap), .mask = cap - 1 };
	intern_side(&t, &l->a);
	intern_side(&t, &l->b);
	free(t.slots);
	bool a_lacks = lacks_newline(d, d->before), b_lacks = lacks_newline(d, d->after);
	bool is_same = a_lacks && b_lacks && l->a.ids[l->a.n - 1] == l->b.ids[l->b.n - 1];
	if (a_lacks)
		l->a.ids[l->a.n - 1] = t.n++;
	if (b_lacks)
		l->b.ids[l->b.n - 1] = is_same ? t.n - 1 : t.n++;
	l->n_ids = t.n;
}

/* What Python's str.rstrip takes away, as far as it is ASCII. */
static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f);
}

static void put_line(struct buf *out, const struct diff *d, char sign, const struct diff_side *side,
	int i)
{
	struct str line = side->lines[i];
	bool is_last = i == side->n - 1;
	struct str text = side == &d->lines.a ? d->before : d->after;
	if (d->style == DIFF_PATCH) {
		buf_printf(out, "%c", sign);
		buf_put(out, line);
		buf_puts(out,
			is_last && lacks_newline(d, text) ? "\n\\ No newline at end of file\n"
							  : "\n");
		return;
	}
	while (line.len && is_blank(line.ptr[line.len - 1]))
		line.len--;
	buf_putc(out, '\n');
	if (line.len || sign != ' ') {
		buf_putc(out, sign);
		buf_put(out, line);
	}
}

static void put_range(struct buf *out, const struct diff *d, char sign, int from, int to)
{
	int len = to - from;
	int start = d->first_line + from + (len ? 1 : 0);
	buf_printf(out, " %c%d", sign, start);
	if (len != 1)
		buf_printf(out, ",%d", len);
}

/* Where the next line is changed on either side; both indices move over what is equal. */
static bool next_change(const struct diff_lines *l, int *i, int *j)
{
	while (*i < l->a.n && *j < l->b.n && !l->a.is_changed[*i] && !l->b.is_changed[*j])
		++*i, ++*j;
	return *i < l->a.n || *j < l->b.n;
}

static void skip_change(const struct diff_lines *l, int *i, int *j)
{
	while (*i < l->a.n && l->a.is_changed[*i])
		++*i;
	while (*j < l->b.n && l->b.is_changed[*j])
		++*j;
}

struct hunk {
	int a0, a1, b0, b1;
};

static void put_hunk(struct buf *out, const struct diff *d, const struct hunk *h)
{
	const struct diff_lines *l = &d->lines;
	if (d->style == DIFF_BARE)
		buf_putc(out, '\n');
	buf_puts(out, "@@");
	put_range(out, d, '-', h->a0, h->a1);
	put_range(out, d, '+', h->b0, h->b1);
	buf_puts(out, d->style == DIFF_BARE ? " @@" : " @@\n");
	int i = h->a0, j = h->b0;
	while (i < h->a1 || j < h->b1) {
		if (i < h->a1 && j < h->b1 && !l->a.is_changed[i] && !l->b.is_changed[j]) {
			put_line(out, d, ' ', &l->a, i);
			i++, j++;
			continue;
		}
		for (; i < h->a1 && l->a.is_changed[i]; i++)
			put_line(out, d, '-', &l->a, i);
		for (; j < h->b1 && l->b.is_changed[j]; j++)
			put_line(out, d, '+', &l->b, j);
	}
}

static void put_hunks(struct buf *out, const struct diff *d)
{
	const struct diff_lines *l = &d->lines;
	int i = 0, j = 0;
	while (next_change(l, &i, &j)) {
		int lead = MIN(d->context, MIN(i, j));
		struct hunk h = { .a0 = i - lead, .b0 = j - lead };
		for (;;) {
			skip_change(l, &i, &j);
			int next_i = i, next_j = j;
			bool has_more = next_change(l, &next_i, &next_j);
			if (!has_more || next_i - i > 2 * d->context)
				break;
			i = next_i, j = next_j;
		}
		int tail = MIN(d->context, MIN(l->a.n - i, l->b.n - j));
		h.a1 = i + tail, h.b1 = j + tail;
		put_hunk(out, d, &h);
	}
}

void diff_unified(struct buf *out, const char *name, struct str before, struct str after,
	enum diff_style style, int context)
{
	if (str_eq(before, after))
		return;
	struct diff d = {
		.before = before.ptr ? before : STR(""),
		.after = after.ptr ? after : STR(""),
		.style = style,
		.context = context,
		.ends_texts = true,
	};
	bool is_whole = style == DIFF_BARE && before.len + after.len <= MATCHER_BYTES_MAX;
	if (!is_whole)
		cut_window(&d);
	struct diff_lines *l = &d.lines;
	bool keeps_last = style == DIFF_BARE && d.ends_texts;
	if (split_side(&l->a, d.before, keeps_last) == 0 &&
		split_side(&l->b, d.after, keeps_last) == 0) {
		intern(&d);
		if (!is_whole || !diff_matcher(l))
			diff_myers(l);
		buf_printf(out, style == DIFF_BARE ? "--- %s\n+++ %s" : "--- %s\n+++ %s\n", name,
			name);
		put_hunks(out, &d);
	}
	free_side(&l->a);
	free_side(&l->b);
}
