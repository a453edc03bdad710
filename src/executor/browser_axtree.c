/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/browser_axtree.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/map.h"
#include "wire/pycall.h"

#include <stdio.h>

struct axtree {
	const struct page *page;
	const struct json *trees[AXTREE_FRAMES_MAX];
	struct str frames[AXTREE_FRAMES_MAX];
	size_t n_trees;
	struct map by_id; /* nodeId: the node */
};

struct axtree *axtree_new(const struct page *page, const struct json *const *trees,
	const struct str *frames, size_t n)
{
	struct axtree *t = mem_new(struct axtree);
	t->page = page;
	t->n_trees = MIN(n, (size_t)AXTREE_FRAMES_MAX);
	for (size_t i = 0; i < t->n_trees; i++) {
		const struct json *nodes = json_find(trees[i], "nodes");
		t->trees[i] = nodes;
		t->frames[i] = frames[i];
		for (size_t k = 0; k < json_len(nodes); k++) {
			struct json *node = json_at(nodes, k);
			struct str id = json_str(json_find(node, "nodeId"));
			if (id.ptr && !map_find(&t->by_id, id))
				map_put(&t->by_id, id, node);
		}
	}
	return t;
}

void axtree_free(struct axtree *t)
{
	if (!t)
		return;
	map_fini(&t->by_id);
	free(t);
}

static struct str value_of(const struct json *holder, const char *key)
{
	return json_str(json_find(json_find(holder, key), "value"));
}

static const struct page_node *element_of(const struct axtree *t, const struct json *node)
{
	const struct json *backend = json_find(node, "backendDOMNodeId");
	return backend ? page_find(t->page, json_int(backend)) : NULL;
}

/* The root of the frame that an iframe's node stands for; NULL if there is none. */
static const struct json *frame_root(const struct axtree *t, const struct json *node)
{
	const struct page_node *element = element_of(t, node);
	if (!str_is(value_of(node, "role"), "Iframe") || !element || element->content < 0)
		return NULL;
	struct str frame = t->page->documents[element->content].frame;
	for (size_t i = 1; i < t->n_trees; i++)
		if (str_eq(t->frames[i], frame))
			return json_at(t->trees[i], 0);
	return NULL;
}

/* ---- text ---- */

static bool is_one_of(struct str name, const char *const *names)
{
	for (; *names; names++)
		if (str_is(name, *names))
			return true;
	return false;
}

static void put_properties(struct buf *b, const struct json *node)
{
	static const char *const ignored[] = { "editable", "readonly", "level", "settable",
		"multiline", "invalid", "focusable", NULL };
	static const char *const bare[] = { "required", "focused", "atomic", NULL };
	const struct json *properties = json_find(node, "properties");
	for (size_t i = 0; i < json_len(properties); i++) {
		const struct json *property = json_at(properties, i);
		const struct json *value = json_find(json_find(property, "value"), "value");
		struct str name = json_str(json_find(property, "name"));
		if (!value || is_one_of(name, ignored))
			continue;
		if (is_one_of(name, bare)) {
			bool is_off = json_kind(value) == JSON_KIND_BOOL && !json_bool(value);
			if (!is_off)
				buf_printf(b, ", %.*s", STR_ARG(name));
			continue;
		}
		buf_printf(b, ", %.*s=", STR_ARG(name));
		pycall_put_json(b, value);
	}
}

/* Whether the node has a line of its own; its name goes to *ret_name. */
static bool is_shown(const struct axtree *t, const struct json *node, struct str parent_name,
	struct str *ret_name)
{
	struct str role = value_of(node, "role");
	const struct json *name = json_find(node, "name");
	const struct page_node *element = element_of(t, node);
	*ret_name = STR("");
	if (str_is(role, "LineBreak"))
		return false;
	if (json_bool(json_find(node, "ignored")))
		return element && *element->bid && element->is_clickable && element->has_box;
	if (!name)
		return false;
	*ret_name = value_of(node, "name");
	bool is_named = ret_name->len || (element && *element->bid);
	if (str_is(role, "generic") && !is_named) /* the inside of a text field, say */
		return false;
	bool is_text = str_is(role, "StaticText") || str_is(role, "InlineTextBox");
	return !is_text || (ret_name->len && str_find(parent_name, *ret_name) < 0);
}

static void put_line(const struct axtree *t, const struct json *node, int depth, struct str name,
	struct buf *b)
{
	const struct page_node *element = element_of(t, node);
	bool is_ignored = json_bool(json_find(node, "ignored"));
	struct str role = is_ignored ? STR("generic") : value_of(node, "role");
	const struct json *value = json_find(json_find(node, "value"), "value");
	for (int i = 0; i < depth; i++)
		buf_putc(b, '\t');
	if (element && *element->bid && !str_is(role, "StaticText"))
		buf_printf(b, "[%s] ", element->bid);
	buf_put(b, role);
	if (!str_is(role, "generic") || name.len) {
		buf_putc(b, ' ');
		pycall_put_repr(b, str_trim(name));
	}
	if (value && !is_ignored) {
		buf_puts(b, " value=");
		pycall_put_json(b, value);
	}
	if (element && element->is_clickable && !str_is(role, "StaticText"))
		buf_puts(b, ", clickable");
	if (!is_ignored)
		put_properties(b, node);
	buf_putc(b, '\n');
}

static void put_tree(const struct axtree *t, const struct json *node, int depth, int level,
	struct str parent_name, struct buf *b)
{
	struct str name;
	if (!node || level > AXTREE_DEPTH_MAX || b->is_full)
		return;
	bool has_line = is_shown(t, node, parent_name, &name);
	if (has_line)
		put_line(t, node, depth, name, b);
	const struct json *children = json_find(node, "childIds");
	for (size_t i = 0; i < json_len(children); i++) {
		const struct json *child = map_find(&t->by_id, json_str(json_at(children, i)));
		/* Each node's parent is the one that names it: no node is walked twice. */
		if (child != node &&
			str_eq(json_str(json_find(child, "parentId")),
				json_str(json_find(node, "nodeId"))))
			put_tree(t, child, depth + has_line, level + 1, name, b);
	}
	const struct json *root = frame_root(t, node);
	if (root && root != node)
		put_tree(t, root, depth + has_line, level + 1, name, b);
}

bool axtree_put_text(const struct axtree *t, struct buf *b)
{
	auto_buf struct buf text = BUF_INIT(AXTREE_TEXT_MAX);
	put_tree(t, json_at(t->trees[0], 0), 0, 0, STR(""), &text);
	bool is_whole = !text.is_full;
	size_t len = text.len;
	while (len && (!is_whole || text.ptr[len - 1] == '\n') && text.ptr[len - 1] != '\n')
		len--;
	while (len && text.ptr[len - 1] == '\n')
		len--;
	buf_put(b, str_first(buf_str(&text), len));
	return is_whole;
}

/* ---- the object ---- */

static void put_children(const struct axtree *t, const struct json *node, struct jsonw *w)
{
	const struct json *children = json_find(node, "childIds"), *root = frame_root(t, node);
	jsonw_key(w, "childIds");
	jsonw_open_array(w);
	for (size_t i = 0; i < json_len(children); i++)
		jsonw_str(w, json_str(json_at(children, i)));
	if (root)
		jsonw_str(w, json_str(json_find(root, "nodeId")));
	jsonw_close_array(w);
}

static void put_node(const struct axtree *t, const struct json *node, struct jsonw *w)
{
	const struct page_node *element = element_of(t, node);
	const struct json *value;
	struct str key;
	void *at = NULL;
	jsonw_open(w);
	while ((value = json_next(node, &at, &key))) {
		if (str_is(key, "childIds"))
			continue;
		auto_buf struct buf text = BUF_INIT(w->b->limit);
		json_write(value, &text);
		jsonw_key_dyn(w, key);
		jsonw_raw(w, buf_str(&text));
	}
	put_children(t, node, w);
	if (element && *element->bid && !str_is(value_of(node, "role"), "StaticText"))
		jsonw_key_str(w, "browsergym_id", str_from(element->bid));
	jsonw_close(w);
}

void axtree_put_object(const struct axtree *t, struct jsonw *w)
{
	jsonw_open(w);
	jsonw_key(w, "nodes");
	jsonw_open_array(w);
	for (size_t i = 0; i < t->n_trees; i++)
		for (size_t k = 0; k < json_len(t->trees[i]) && !w->b->is_full; k++)
			put_node(t, json_at(t->trees[i], k), w);
	jsonw_close_array(w);
	jsonw_close(w);
}

/* ---- focus ---- */

static bool has_focus(const struct json *node)
{
	const struct json *properties = json_find(node, "properties");
	for (size_t i = 0; i < json_len(properties); i++) {
		const struct json *property = json_at(properties, i);
		if (str_is(json_str(json_find(property, "name")), "focused"))
			return json_bool(json_find(json_find(property, "value"), "value"));
	}
	return false;
}

static struct str body_of(const struct page *page, int32_t document)
{
	const struct page_document *d = &page->documents[document];
	for (int32_t i = d->first; i < d->first + d->n; i++)
		if (page->nodes[i].is_element && str_eq_nocase(page->nodes[i].name, STR("body")))
			return str_from(page->nodes[i].bid);
	return STR("");
}

struct str axtree_focused(const struct axtree *t)
{
	struct str found = STR_NONE;
	for (size_t i = 0; i < t->n_trees; i++)
		for (size_t k = 0; k < json_len(t->trees[i]); k++) {
			const struct json *node = json_at(t->trees[i], k);
			const struct page_node *element = element_of(t, node);
			if (element && *element->bid && has_focus(node))
				found = str_from(element->bid);
		}
	return found.ptr ? found : body_of(t->page, 0);
}
