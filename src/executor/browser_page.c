/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A snapshot is a list of documents, each with parallel arrays: names,
 * parents, numbers into a common table of strings, and another set of arrays for what is laid out.
 * Node numbers here run through all documents. The nodes of a document come in document order, a
 * shadow tree before the children of its host.
 */
#include "executor/browser_page.h"

#include "base/auto.h"
#include "base/bug.h"
#include "executor/browser_marks.h"

#include <stdlib.h>

/* The order of "computedStyles" in the request (browser_observe.c). */
enum { STYLE_CURSOR, STYLE_POINTER_EVENTS, STYLE_VISIBILITY };

static struct str string_at(const struct page *p, const struct json *number)
{
	int64_t i = json_kind(number) == JSON_KIND_INT ? json_int(number) : -1;
	struct str s = i >= 0 ? json_str(json_at(p->strings, (size_t)i)) : STR_NONE;
	return s.ptr ? s : STR("");
}

/* A node number within a document, made one of the page; -1 if it is none. */
static int32_t node_of(const struct page_document *d, const struct json *number)
{
	int64_t i = json_kind(number) == JSON_KIND_INT ? json_int(number) : -1;
	return i >= 0 && i < d->n ? d->first + (int32_t)i : -1;
}

/* ---- the tree ---- */

static void read_node(struct page *p, const struct page_document *d, const struct json *nodes,
	size_t i)
{
	struct page_node *node = &p->nodes[d->first + (int32_t)i];
	int64_t parent = json_int(json_at(json_find(nodes, "parentIndex"), i));
	*node = (struct page_node){
		.parent = parent >= 0 && (size_t)parent < i && i > 0 ? d->first + (int32_t)parent
								     : -1,
		.first_child = -1,
		.next_sibling = -1,
		.document = (int32_t)(d - p->documents),
		.content = -1,
		.paint = -1,
		.type = (uint8_t)json_int(json_at(json_find(nodes, "nodeType"), i)),
		.name = string_at(p, json_at(json_find(nodes, "nodeName"), i)),
		.value = string_at(p, json_at(json_find(nodes, "nodeValue"), i)),
		.attributes = json_at(json_find(nodes, "attributes"), i),
		.backend = json_int(json_at(json_find(nodes, "backendNodeId"), i)),
	};
	node->is_element = node->type == 1;
}

/* Backwards, so that each child becomes the first of its siblings. */
static void link_children(struct page *p, const struct page_document *d)
{
	for (int32_t i = d->first + d->n - 1; i > d->first; i--) {
		struct page_node *node = &p->nodes[i];
		if (node->parent < 0)
			continue;
		node->next_sibling = p->nodes[node->parent].first_child;
		p->nodes[node->parent].first_child = i;
	}
}

/*
 * What is in a fragment that is no shadow tree (a template's), or in one of the browser's own, has
 * no bid.
 */
static void find_elements(struct page *p, const struct page_document *d, const struct json *nodes)
{
	const struct json *roots = json_find(nodes, "shadowRootType"),
			  *pseudo = json_find(json_find(nodes, "pseudoType"), "index");
	for (size_t i = 0; i < json_len(pseudo); i++) {
		int32_t n = node_of(d, json_at(pseudo, i));
		if (n >= 0)
			p->nodes[n].is_element = false;
	}
	auto_free bool *is_open = mem_new_n(bool, (size_t)d->n);
	const struct json *index = json_find(roots, "index"), *kinds = json_find(roots, "value");
	for (size_t i = 0; i < json_len(index); i++) {
		int32_t n = node_of(d, json_at(index, i));
		if (n >= 0)
			is_open[n - d->first] = !str_is(string_at(p, json_at(kinds, i)),
				"user-agent");
	}
	auto_free bool *is_apart = mem_new_n(bool, (size_t)d->n);
	for (int32_t i = 0; i < d->n; i++) {
		struct page_node *node = &p->nodes[d->first + i];
		bool is_within = node->parent >= 0 && is_apart[node->parent - d->first];
		is_apart[i] = is_within || (node->type == 11 && !is_open[i]);
		node->is_element &= !is_apart[i];
	}
}

static void read_rare(struct page *p, const struct page_document *d, const struct json *nodes)
{
	const struct json *clickable = json_find(json_find(nodes, "isClickable"), "index"),
			  *content = json_find(nodes, "contentDocumentIndex");
	for (size_t i = 0; i < json_len(clickable); i++) {
		int32_t n = node_of(d, json_at(clickable, i));
		if (n >= 0)
			p->nodes[n].is_clickable = true;
	}
	const struct json *index = json_find(content, "index"),
			  *value = json_find(content, "value");
	for (size_t i = 0; i < json_len(index); i++) {
		int32_t n = node_of(d, json_at(index, i));
		int64_t document = json_int(json_at(value, i));
		if (n < 0 || document <= d - p->documents || document >= p->n_documents)
			continue; /* the top document is nobody's, and a frame comes after its owner */
		p->nodes[n].content = (int32_t)document;
		p->documents[document].owner = n;
	}
}

/* ---- where it is drawn ---- */

static void read_layout(struct page *p, const struct page_document *d, const struct json *layout)
{
	const struct json *index = json_find(layout, "nodeIndex"),
			  *all_bounds = json_find(layout, "bounds"),
			  *all_styles = json_find(layout, "styles"),
			  *paints = json_find(layout, "paintOrders");
	for (size_t i = 0; i < json_len(index); i++) {
		int32_t n = node_of(d, json_at(index, i));
		const struct json *bounds = json_at(all_bounds, i),
				  *styles = json_at(all_styles, i);
		if (n < 0 || json_len(bounds) != 4 || p->nodes[n].has_box)
			continue;
		struct page_node *node = &p->nodes[n];
		node->has_box = true;
		node->x = d->x + (float)json_double(json_at(bounds, 0));
		node->y = d->y + (float)json_double(json_at(bounds, 1));
		node->width = (float)json_double(json_at(bounds, 2));
		node->height = (float)json_double(json_at(bounds, 3));
		node->paint = (int32_t)json_int(json_at(paints, i));
		node->is_pointer = str_is(string_at(p, json_at(styles, STYLE_CURSOR)), "pointer");
		node->passes_clicks = str_is(string_at(p, json_at(styles, STYLE_POINTER_EVENTS)),
			"none");
		struct str visibility = string_at(p, json_at(styles, STYLE_VISIBILITY));
		node->is_hidden = visibility.len && !str_is(visibility, "visible");
	}
}

/* The owner's box is known: it is in an earlier document. */
static void place(struct page *p, struct page_document *d, const struct json *document)
{
	const struct page_node *owner = d->owner >= 0 ? &p->nodes[d->owner] : NULL;
	d->x = (owner ? owner->x : 0) - (float)json_double(json_find(document, "scrollOffsetX"));
	d->y = (owner ? owner->y : 0) - (float)json_double(json_find(document, "scrollOffsetY"));
}

static float overlap(float start, float length, float limit)
{
	float from = MAX(start, 0.0F), to = MIN(start + length, limit);
	return MAX(to - from, 0.0F);
}

static void measure(struct page *p, int width, int height)
{
	for (int32_t i = 0; i < p->n; i++) {
		struct page_node *node = &p->nodes[i];
		float area = node->width * node->height;
		if (node->has_box && area > 0)
			node->visibility = overlap(node->x, node->width, (float)width) *
				overlap(node->y, node->height, (float)height) / area;
	}
}

/* ---- all of it ---- */

static int count(const struct json *documents, struct page *p, struct error *err)
{
	size_t total = 0, n_documents = json_len(documents);
	for (size_t i = 0; i < n_documents; i++)
		total += json_len(json_find(json_find(json_at(documents, i), "nodes"), "nodeType"));
	if (n_documents == 0 || total == 0)
		return error_set(err, ERROR_PROTOCOL, "the browser sent no document");
	if (n_documents > PAGE_DOCUMENTS_MAX || total > PAGE_NODES_MAX)
		return error_set(err, ERROR_TOO_LARGE,
			"a page of %zu nodes in %zu documents; the limit is %d in %d", total,
			n_documents, PAGE_NODES_MAX, PAGE_DOCUMENTS_MAX);
	p->n_documents = (int32_t)n_documents;
	p->n = (int32_t)total;
	return 0;
}

static void read_document(struct page *p, struct page_document *d, const struct json *document)
{
	const struct json *nodes = json_find(document, "nodes");
	d->frame = string_at(p, json_find(document, "frameId"));
	d->url = string_at(p, json_find(document, "documentURL"));
	d->title = string_at(p, json_find(document, "title"));
	for (int32_t i = 0; i < d->n; i++)
		read_node(p, d, nodes, (size_t)i);
	link_children(p, d);
	find_elements(p, d, nodes);
	read_rare(p, d, nodes);
	place(p, d, document);
	read_layout(p, d, json_find(document, "layout"));
}

static int compare_backends(const void *a, const void *b, void *arg)
{
	const struct page_node *nodes = arg;
	int64_t x = nodes[*(const int32_t *)a].backend, y = nodes[*(const int32_t *)b].backend;
	return x < y ? -1 : x > y;
}

int page_read(const struct json *snapshot, int width, int height, struct page *ret,
	struct error *err)
{
	struct page p = { .snapshot = snapshot, .strings = json_find(snapshot, "strings") };
	const struct json *documents = json_find(snapshot, "documents");
	if (count(documents, &p, err) < 0)
		return -1;
	p.nodes = mem_new_n(struct page_node, (size_t)p.n);
	p.documents = mem_new_n(struct page_document, (size_t)p.n_documents);
	p.by_backend = mem_new_n(int32_t, (size_t)p.n);
	int32_t first = 0;
	for (int32_t i = 0; i < p.n_documents; i++) {
		const struct json *nodes = json_find(json_at(documents, (size_t)i), "nodes");
		p.documents[i] = (struct page_document){ .first = first,
			.n = (int32_t)json_len(json_find(nodes, "nodeType")),
			.owner = -1 };
		first += p.documents[i].n;
	}
	for (int32_t i = 0; i < p.n_documents; i++)
		read_document(&p, &p.documents[i], json_at(documents, (size_t)i));
	for (int32_t i = 0; i < p.n; i++)
		p.by_backend[i] = i;
	qsort_r(p.by_backend, (size_t)p.n, sizeof(*p.by_backend), compare_backends, p.nodes);
	measure(&p, width, height);
	marks_find(&p, width, height);
	*ret = p;
	return 0;
}

void page_fini(struct page *p)
{
	free(p->nodes);
	free(p->documents);
	free(p->by_backend);
	*p = (struct page){ 0 };
}

const struct page_node *page_find(const struct page *p, int64_t backend)
{
	int32_t low = 0, high = p->n;
	while (low < high) {
		int32_t middle = low + (high - low) / 2;
		if (p->nodes[p->by_backend[middle]].backend < backend)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == p->n || p->nodes[p->by_backend[low]].backend != backend)
		return NULL;
	return &p->nodes[p->by_backend[low]];
}

struct str page_attribute(const struct page *p, const struct page_node *node, const char *name)
{
	for (size_t i = 0; i + 1 < json_len(node->attributes); i += 2)
		if (str_is(string_at(p, json_at(node->attributes, i)), name))
			return string_at(p, json_at(node->attributes, i + 1));
	return STR_NONE;
}

static void put_box(const struct page_node *node, struct jsonw *w)
{
	jsonw_key(w, "bbox");
	if (!node->has_box) {
		jsonw_null(w);
		return;
	}
	jsonw_open_array(w);
	jsonw_real(w, (double)node->x);
	jsonw_real(w, (double)node->y);
	jsonw_real(w, (double)node->width);
	jsonw_real(w, (double)node->height);
	jsonw_close_array(w);
}

void page_put_elements(const struct page *p, struct jsonw *w)
{
	jsonw_open(w);
	for (int32_t i = 0; i < p->n; i++) {
		const struct page_node *node = &p->nodes[i];
		if (!*node->bid)
			continue;
		jsonw_key_dyn(w, str_from(node->bid));
		jsonw_open(w);
		jsonw_key(w, "visibility");
		jsonw_real(w, (double)(int)(node->visibility * 100 + 0.5F) / 100);
		put_box(node, w);
		jsonw_key_bool(w, "clickable", node->is_clickable);
		jsonw_key_bool(w, "set_of_marks", node->is_marked);
		jsonw_close(w);
	}
	jsonw_close(w);
}
