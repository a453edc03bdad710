/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The tree is walked once; an element has an entry in a table that says what
 * stands before and after its text. Nothing is written until there is text: breaks and prefixes are
 * kept as wishes (`breaks`, `pending`), the larger wins, so that empty elements leave nothing
 * behind.
 */
#include "executor/browser_markdown.h"

#include "base/auto.h"
#include "base/bug.h"

#include <stdio.h>
#include <ctype.h>

enum { DEPTH_MAX = 2000, LISTS_MAX = 64, QUOTES_MAX = 32, PENDING_MAX = 512 };

struct list_state {
	bool is_ordered;
	int64_t number;
};

struct writer {
	const struct page *page;
	struct buf *b;
	struct buf pending; /* written before the next text: "# ", "  * ", "[" */
	int breaks;         /* line feeds before the next text */
	bool is_start;      /* nothing was written yet */
	bool wants_space;   /* white space was seen since the last text */
	int depth, quotes, pre;
	struct list_state lists[LISTS_MAX];
	int n_lists;
	int cells; /* of the table's row at hand */
	bool is_first_row;
};

static void want_breaks(struct writer *w, int n)
{
	w->breaks = MAX(w->breaks, n);
	w->wants_space = false;
}

static void put_breaks(struct writer *w)
{
	if (w->breaks && !w->is_start)
		for (int i = 0; i < w->breaks; i++) {
			buf_putc(w->b, '\n');
			for (int q = 0; i + 1 == w->breaks && q < w->quotes; q++)
				buf_puts(w->b, "> ");
		}
	else if (w->breaks)
		for (int q = 0; q < w->quotes; q++)
			buf_puts(w->b, "> ");
	if (w->breaks == 0 && w->wants_space && !w->is_start)
		buf_putc(w->b, ' ');
	w->breaks = 0;
	w->wants_space = w->is_start = false;
	buf_put(w->b, buf_str(&w->pending));
	buf_reset(&w->pending);
}

static void put_pre(struct writer *w, struct str text)
{
	struct str line;
	bool is_first = true;
	while (str_split(&text, '\n', &line)) {
		if (!is_first)
			want_breaks(w, w->breaks + 1);
		is_first = false;
		if (line.len == 0)
			continue;
		bool is_new_line = w->breaks || w->is_start;
		put_breaks(w);
		if (is_new_line)
			buf_puts(w->b, "    ");
		buf_put(w->b, line);
	}
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

/* Runs of white space are one space, and none at the start of a line. */
static void put_text(struct writer *w, struct str text)
{
	if (w->pre) {
		put_pre(w, text);
		return;
	}
	for (size_t i = 0; i < text.len;) {
		size_t end = i;
		while (end < text.len && !is_blank(text.ptr[end]))
			end++;
		if (end > i) {
			put_breaks(w);
			buf_put(w->b, str_from_len(text.ptr + i, end - i));
		}
		for (i = end; i < text.len && is_blank(text.ptr[i]); i++)
			w->wants_space |= !w->breaks && !w->is_start;
	}
}

/* ---- elements ---- */

static void walk(struct writer *w, int32_t at);

static void walk_children(struct writer *w, int32_t at)
{
	const struct page *p = w->page;
	if (w->depth >= DEPTH_MAX || w->b->is_full)
		return;
	w->depth++;
	const struct page_document *content = p->nodes[at].content < 0
		? NULL
		: &p->documents[p->nodes[at].content];
	if (content && content->n > 0)
		walk(w, content->first);
	for (int32_t i = p->nodes[at].first_child; i >= 0; i = p->nodes[i].next_sibling)
		walk(w, i);
	w->depth--;
}

static void skip(struct writer *w, int32_t at, const char *mark)
{
}

static void block(struct writer *w, int32_t at, const char *mark)
{
	want_breaks(w, 2);
	walk_children(w, at);
	want_breaks(w, 2);
}

static void heading(struct writer *w, int32_t at, const char *mark)
{
	want_breaks(w, 2);
	buf_puts(&w->pending, mark);
	walk_children(w, at);
	buf_reset(&w->pending); /* a heading without text */
	want_breaks(w, 2);
}

static void line(struct writer *w, int32_t at, const char *mark)
{
	want_breaks(w, 1);
	buf_puts(&w->pending, mark);
	walk_children(w, at);
	buf_reset(&w->pending);
	want_breaks(w, 1);
}

/*
 * A mark goes before the first and behind the last of the text: `_so_`, whatever blanks are around
 * it.
 */
static void inline_mark(struct writer *w, int32_t at, const char *mark)
{
	size_t pending = w->pending.len;
	buf_puts(&w->pending, mark);
	walk_children(w, at);
	if (w->pending.len > pending) /* no text came */
		buf_cut(&w->pending, pending);
	else
		buf_puts(w->b, mark);
}

static void anchor(struct writer *w, int32_t at, const char *mark)
{
	struct str href = page_attribute(w->page, &w->page->nodes[at], "href");
	size_t pending = w->pending.len;
	if (!href.len || href.ptr[0] == '#') {
		walk_children(w, at);
		return;
	}
	buf_putc(&w->pending, '[');
	walk_children(w, at);
	if (w->pending.len > pending)
		buf_cut(&w->pending, pending);
	else
		buf_printf(w->b, "](%.*s)", STR_ARG(href));
}

static void rule(struct writer *w, int32_t at, const char *mark)
{
	want_breaks(w, 2);
	put_text(w, STR("* * *"));
	want_breaks(w, 2);
}

static void line_break(struct writer *w, int32_t at, const char *mark)
{
	if (w->pre || w->is_start || w->breaks)
		want_breaks(w, MIN(w->breaks + 1, 2));
	else
		buf_puts(w->b, "  "), want_breaks(w, 1);
}

static void quote(struct writer *w, int32_t at, const char *mark)
{
	want_breaks(w, 2);
	w->quotes += w->quotes < QUOTES_MAX;
	walk_children(w, at);
	w->quotes -= w->quotes > 0;
	want_breaks(w, 2);
}

static void preformatted(struct writer *w, int32_t at, const char *mark)
{
	want_breaks(w, 2);
	w->pre++;
	walk_children(w, at);
	w->pre--;
	want_breaks(w, 2);
}

static void list(struct writer *w, int32_t at, const char *mark)
{
	want_breaks(w, w->n_lists ? 1 : 2);
	if (w->n_lists < LISTS_MAX) {
		w->lists[w->n_lists++] = (struct list_state){ .is_ordered = *mark == '1' };
		walk_children(w, at);
		w->n_lists--;
	}
	want_breaks(w, w->n_lists ? 1 : 2);
}

static void item(struct writer *w, int32_t at, const char *mark)
{
	struct list_state *l = w->n_lists ? &w->lists[w->n_lists - 1] : NULL;
	want_breaks(w, 1);
	buf_reset(&w->pending);
	for (int i = 0; i < w->n_lists; i++)
		buf_puts(&w->pending, "  ");
	if (l && l->is_ordered)
		buf_printf(&w->pending, "%lld. ", (long long)++l->number);
	else
		buf_puts(&w->pending, "* ");
	walk_children(w, at);
	buf_reset(&w->pending);
	want_breaks(w, 1);
}

static void table(struct writer *w, int32_t at, const char *mark)
{
	bool was_first = w->is_first_row;
	want_breaks(w, 2);
	w->is_first_row = true;
	walk_children(w, at);
	w->is_first_row = was_first;
	want_breaks(w, 2);
}

static void row(struct writer *w, int32_t at, const char *mark)
{
	want_breaks(w, 1);
	w->cells = 0;
	walk_children(w, at);
	want_breaks(w, 1);
	if (w->is_first_row && w->cells) {
		put_breaks(w);
		for (int i = 0; i < w->cells; i++)
			buf_puts(w->b, i ? "|---" : "---");
		want_breaks(w, 1);
	}
	w->is_first_row &= w->cells == 0;
}

/* Paragraphs within a cell do not break its row. */
static void cell(struct writer *w, int32_t at, const char *mark)
{
	if (w->cells++) {
		w->breaks = 0;
		w->wants_space = false;
		buf_puts(w->b, "| ");
	}
	walk_children(w, at);
	if (w->breaks) {
		w->breaks = 0;
		w->wants_space = true;
	}
}

static const struct {
	const char *name;
	void (*fn)(struct writer *w, int32_t at, const char *mark);
	const char *mark;
} elements[] = {
	{ "a", anchor, "" },
	{ "article", block, "" },
	{ "aside", block, "" },
	{ "b", inline_mark, "**" },
	{ "blockquote", quote, "" },
	{ "body", block, "" },
	{ "br", line_break, "" },
	{ "code", inline_mark, "`" },
	{ "dd", line, "    " },
	{ "del", inline_mark, "~~" },
	{ "details", block, "" },
	{ "div", block, "" },
	{ "dl", block, "" },
	{ "dt", line, "" },
	{ "em", inline_mark, "_" },
	{ "fieldset", block, "" },
	{ "figure", block, "" },
	{ "footer", block, "" },
	{ "form", block, "" },
	{ "h1", heading, "# " },
	{ "h2", heading, "## " },
	{ "h3", heading, "### " },
	{ "h4", heading, "#### " },
	{ "h5", heading, "##### " },
	{ "h6", heading, "###### " },
	{ "head", skip, "" },
	{ "header", block, "" },
	{ "hr", rule, "" },
	{ "i", inline_mark, "_" },
	{ "iframe", block, "" },
	{ "kbd", inline_mark, "`" },
	{ "li", item, "" },
	{ "main", block, "" },
	{ "nav", block, "" },
	{ "noscript", skip, "" },
	{ "ol", list, "1" },
	{ "p", block, "" },
	{ "pre", preformatted, "" },
	{ "s", inline_mark, "~~" },
	{ "script", skip, "" },
	{ "section", block, "" },
	{ "strike", inline_mark, "~~" },
	{ "strong", inline_mark, "**" },
	{ "style", skip, "" },
	{ "table", table, "" },
	{ "td", cell, "" },
	{ "template", skip, "" },
	{ "th", cell, "" },
	{ "tr", row, "" },
	{ "tt", inline_mark, "`" },
	{ "u", inline_mark, "_" },
	{ "ul", list, "*" },
};

static void walk_element(struct writer *w, int32_t at)
{
	struct str name = w->page->nodes[at].name;
	for (size_t i = 0; i < ARRAY_LEN(elements); i++) {
		if (!str_eq_nocase(name, str_from(elements[i].name)))
			continue;
		bool is_mark_in_pre = w->pre && elements[i].fn == inline_mark;
		if (!is_mark_in_pre) {
			elements[i].fn(w, at, elements[i].mark);
			return;
		}
	}
	walk_children(w, at);
}

static void walk(struct writer *w, int32_t at)
{
	const struct page_node *node = &w->page->nodes[at];
	if (w->b->is_full)
		return;
	if (node->type == 3) {
		bool is_drawn = node->has_box && !node->is_hidden;
		if (is_drawn)
			put_text(w, node->value);
		else if (node->value.len && is_blank(node->value.ptr[0]))
			put_text(w, STR(" "));
	} else if (node->type == 1) {
		walk_element(w, at);
	} else if (node->type == 9 || node->type == 11) {
		walk_children(w, at);
	}
}

bool markdown_put(const struct page *page, struct buf *b)
{
	auto_buf struct buf text = BUF_INIT(MARKDOWN_MAX);
	struct writer w = { .page = page, .b = &text, .is_start = true };
	buf_init(&w.pending, PENDING_MAX);
	if (page->n > 0)
		walk(&w, 0);
	buf_fini(&w.pending);
	buf_put(b, buf_str(&text));
	return !text.is_full;
}
