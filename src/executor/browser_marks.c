/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Bids: documents are walked from the top, each iframe's document after it. An
 * element that had a bid in the last snapshot keeps it, if its document is the same, which its
 * loader tells: another document in the same frame may use the browser's numbers anew.
 *
 * Marks: what a click at the centre of an element meets is the drawn node there with the highest
 * paint order. As in the set of marks of He et al. (2024), a mark excludes those of its ancestors,
 * and a button or link those of its descendants.
 */
#include "executor/browser_marks.h"

#include "base/auto.h"
#include "base/bug.h"

#include <stdio.h>
#include <stdlib.h>

enum { MARK_AREA_MIN = 20, CANDIDATES_MAX = 2000, DEPTH_MAX = 4096 };

void page_marks_fini(struct page_marks *m)
{
	free(m->marks);
	free(m->counters);
	*m = (struct page_marks){ 0 };
}

int64_t page_marks_find(const struct page_marks *m, struct str bid)
{
	for (size_t i = 0; i < m->n; i++)
		if (str_is(bid, m->marks[i].bid))
			return m->marks[i].backend;
	return 0;
}

static const char *find_old(const struct page_marks *m, int64_t backend)
{
	size_t low = 0, high = m->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (m->marks[middle].backend < backend)
			low = middle + 1;
		else
			high = middle;
	}
	return low < m->n && m->marks[low].backend == backend ? m->marks[low].bid : NULL;
}

/* ---- bids ---- */

static struct str find_loader(const struct json *tree, struct str frame, int depth)
{
	const struct json *own = json_find(tree, "frame"),
			  *children = json_find(tree, "childFrames");
	if (str_eq(json_str(json_find(own, "id")), frame))
		return json_str(json_find(own, "loaderId"));
	for (size_t i = 0; depth < JSON_DEPTH_MAX && i < json_len(children); i++) {
		struct str loader = find_loader(json_at(children, i), frame, depth + 1);
		if (loader.ptr)
			return loader;
	}
	return STR_NONE;
}

/* The counter of a document; *ret_is_new tells that it was not there before. */
static struct page_counter *find_counter(struct page_marks *m, struct str frame, struct str loader,
	bool *ret_is_new)
{
	for (size_t i = 0; i < m->n_counters; i++) {
		struct page_counter *c = &m->counters[i];
		*ret_is_new = false;
		if (str_is(frame, c->frame) && str_is(loader, c->loader))
			return c;
	}
	if (m->n_counters == PAGE_COUNTERS_MAX)
		return NULL;
	if (!m->counters)
		m->counters = mem_new_n(struct page_counter, PAGE_COUNTERS_MAX);
	struct page_counter *c = &m->counters[m->n_counters++];
	*c = (struct page_counter){ 0 };
	snprintf(c->frame, sizeof(c->frame), "%.*s", STR_ARG(frame));
	snprintf(c->loader, sizeof(c->loader), "%.*s", STR_ARG(loader));
	*ret_is_new = true;
	return c;
}

/* Those of documents that are gone. */
static void drop_counters(struct page_marks *m)
{
	size_t kept = 0;
	for (size_t i = 0; i < m->n_counters; i++)
		if (m->counters[i].is_seen)
			m->counters[kept++] = m->counters[i];
	m->n_counters = kept;
}

/* a … z, aA … zZ, aAA …: the first letter is small. */
static void put_frame_id(struct buf *b, int64_t number)
{
	char letters[16] = { 0 };
	size_t n = 0;
	for (number++; number > 0 && n < sizeof(letters); number = (number - 1) / 26)
		letters[n++] = (char)((number - 1) % 26);
	for (size_t i = n; i-- > 0;)
		buf_putc(b, (char)((i == n - 1 ? 'a' : 'A') + letters[i]));
}

static bool is_frame(const struct page_node *node)
{
	return str_eq_nocase(node->name, STR("iframe")) || str_eq_nocase(node->name, STR("frame"));
}

static void give_bid(struct page_node *node, const char *prefix, struct page_counter *c)
{
	auto_buf struct buf bid = BUF_INIT(PAGE_BID_SIZE - 1);
	buf_puts(&bid, prefix);
	if (is_frame(node))
		put_frame_id(&bid, c->next_frame++);
	else
		buf_printf(&bid, "%lld", (long long)c->next_number++);
	if (!bid.is_full)
		snprintf(node->bid, sizeof(node->bid), "%s", bid.ptr);
}

static void assign_document(struct page *p, const struct page_document *d,
	const struct json *frame_tree, struct page_marks *m)
{
	bool is_new = true;
	const char *prefix = d->owner >= 0 ? p->nodes[d->owner].bid : "";
	struct page_counter *c = find_counter(m, d->frame, find_loader(frame_tree, d->frame, 0),
		&is_new);
	if (!c || (d->owner >= 0 && !*prefix))
		return;
	c->is_seen = true;
	for (int32_t i = d->first; i < d->first + d->n; i++) {
		struct page_node *node = &p->nodes[i];
		const char *old = is_new || !node->is_element ? NULL : find_old(m, node->backend);
		if (old && str_starts(str_from(old), str_from(prefix)))
			snprintf(node->bid, sizeof(node->bid), "%s", old);
		else if (node->is_element)
			give_bid(node, prefix, c);
	}
}

static int compare_marks(const void *a, const void *b)
{
	const struct page_mark *x = a, *y = b;
	return x->backend < y->backend ? -1 : x->backend > y->backend;
}

void page_assign(struct page *p, const struct json *frame_tree, struct page_marks *m)
{
	const struct json *tree = json_find(frame_tree, "frameTree");
	for (size_t i = 0; i < m->n_counters; i++)
		m->counters[i].is_seen = false;
	/* A frame's document comes after its owner's: read_rare saw to it. */
	for (int32_t i = 0; i < p->n_documents; i++)
		if (i == 0 || p->documents[i].owner >= 0)
			assign_document(p, &p->documents[i], tree, m);
	drop_counters(m);
	struct page_mark *marks = mem_new_n(struct page_mark, (size_t)p->n);
	size_t n = 0;
	for (int32_t i = 0; i < p->n; i++)
		if (*p->nodes[i].bid) {
			marks[n].backend = p->nodes[i].backend;
			memcpy(marks[n++].bid, p->nodes[i].bid, PAGE_BID_SIZE);
		}
	qsort(marks, n, sizeof(*marks), compare_marks);
	free(m->marks);
	m->marks = marks;
	m->n = n;
}

/* ---- marks ---- */

static bool is_one_of(struct str name, const char *const *names)
{
	for (; *names; names++)
		if (str_eq_nocase(name, str_from(*names)))
			return true;
	return false;
}

static bool is_candidate(const struct page_node *node)
{
	static const char *const tags[] = { "input", "textarea", "select", "button", "a", "iframe",
		"video", "li", "td", "option", NULL };
	return node->is_element && node->has_box && !node->is_hidden &&
		node->width * node->height >= MARK_AREA_MIN &&
		(node->is_clickable || node->is_pointer || is_one_of(node->name, tags));
}

static bool covers(const struct page_node *node, float x, float y)
{
	return node->has_box && !node->is_hidden && !node->passes_clicks && x >= node->x &&
		y >= node->y && x < node->x + node->width && y < node->y + node->height;
}

static bool is_within(const struct page *p, int32_t node, int32_t ancestor)
{
	for (int depth = 0; node >= 0 && depth < DEPTH_MAX; depth++) {
		if (node == ancestor)
			return true;
		node = p->nodes[node].parent;
	}
	return false;
}

static bool takes_click(const struct page *p, int32_t at, int width, int height)
{
	const struct page_node *node = &p->nodes[at];
	const struct page_document *d = &p->documents[node->document];
	float x = node->x + node->width / 2, y = node->y + node->height / 2;
	int32_t top = -1;
	if (x < 0 || y < 0 || x >= (float)width || y >= (float)height)
		return false;
	for (int32_t i = d->first; i < d->first + d->n; i++)
		if (covers(&p->nodes[i], x, y) &&
			(top < 0 || p->nodes[i].paint >= p->nodes[top].paint))
			top = i;
	return is_within(p, top, at);
}

static bool is_button(const struct page *p, const struct page_node *node)
{
	static const char *const tags[] = { "button", "a", NULL };
	return is_one_of(node->name, tags) ||
		(str_eq_nocase(node->name, STR("input")) &&
			str_eq_nocase(page_attribute(p, node, "type"), STR("button"))) ||
		(str_eq_nocase(node->name, STR("div")) &&
			str_eq_nocase(page_attribute(p, node, "role"), STR("button")));
}

/* In a marked button or link; and takes the marks of all ancestors if not. */
static bool is_in_button(struct page *p, int32_t at)
{
	int depth = 0;
	for (int32_t i = p->nodes[at].parent; i >= 0 && depth < DEPTH_MAX;
		i = p->nodes[i].parent, depth++)
		if (p->nodes[i].is_marked && is_button(p, &p->nodes[i]))
			return true;
	depth = 0;
	for (int32_t i = p->nodes[at].parent; i >= 0 && depth < DEPTH_MAX;
		i = p->nodes[i].parent, depth++)
		p->nodes[i].is_marked = false;
	return false;
}

void marks_find(struct page *p, int width, int height)
{
	int n = 0;
	for (int32_t i = 0; i < p->n && n < CANDIDATES_MAX; i++) {
		if (!is_candidate(&p->nodes[i]) || p->nodes[i].visibility <= 0)
			continue;
		n++;
		if (takes_click(p, i, width, height) && !is_in_button(p, i))
			p->nodes[i].is_marked = true;
	}
}
