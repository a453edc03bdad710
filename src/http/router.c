/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows are kept as a tree of segments. A node has literal children, at most one child for
 * `{name}` and at most one for `{name*}`; rows hang on the node where their pattern ends. A search
 * goes down the literal child first and comes back to the others when nothing below fits, so it
 * visits each node at most once. Names of parameters belong to the row, not to the node: two rows
 * may name them differently.
 */
#include "http/router.h"

#include "base/bug.h"
#include "wire/url.h"
#include "wire/utf8.h"

struct entry {
	struct entry *next; /* node::entries */
	const struct http_route *route;
	const struct http_face *face;
	size_t n_names;
	struct str names[HTTP_PARAMS_MAX];
};

struct node {
	struct node *next; /* node::literals */
	struct node *literals;
	struct node *param;
	struct node *tail;
	struct entry *entries; /* rows that end here, in the order of adding */
	struct str text;       /* of a literal; points into a pattern */
};

struct router {
	struct node root;
};

struct segments {
	size_t n;
	struct str items[HTTP_SEGMENTS_MAX];
};

struct search {
	const struct segments *path;
	struct str method;
	const struct node *other; /* fits the path, but has no row for the method */
	const struct entry *found;
	struct str values[HTTP_PARAMS_MAX];
	size_t n_values;
};

struct router *router_new(void)
{
	return mem_new(struct router);
}

static void node_fini(struct node *node);

static void node_free(struct node *node)
{
	if (!node)
		return;
	node_fini(node);
	free(node);
}

static void node_fini(struct node *node)
{
	struct node *n;
	while ((n = node->literals)) {
		node->literals = n->next;
		node_free(n);
	}
	node_free(node->param);
	node_free(node->tail);
	struct entry *e;
	while ((e = node->entries)) {
		node->entries = e->next;
		free(e);
	}
}

void router_free(struct router *router)
{
	if (!router)
		return;
	node_fini(&router->root);
	free(router);
}

static struct node *find_literal(const struct node *node, struct str text)
{
	struct node *n = node->literals;
	while (n && !str_eq(n->text, text))
		n = n->next;
	return n;
}

static struct node *only_child(struct node **slot)
{
	if (!*slot)
		*slot = mem_new(struct node);
	return *slot;
}

/* The child for one segment of a pattern; made if it is not there. */
static struct node *child_for(struct node *node, struct str segment, struct entry *entry)
{
	if (!str_starts(segment, STR("{"))) {
		struct node *n = find_literal(node, segment);
		if (!n) {
			n = mem_new(struct node);
			n->text = segment;
			n->next = node->literals;
			node->literals = n;
		}
		return n;
	}
	BUG_IF(!str_ends(segment, STR("}")), "a route's pattern has '{' without '}'");
	BUG_IF(entry->n_names == HTTP_PARAMS_MAX, "a route's pattern has too many parameters");
	struct str name = str_first(str_skip(segment, 1), segment.len - 2);
	bool is_tail = str_ends(name, STR("*"));
	if (is_tail)
		name.len--;
	entry->names[entry->n_names++] = name;
	return only_child(is_tail ? &node->tail : &node->param);
}

static const struct entry *find_entry(const struct node *node, struct str method)
{
	for (const struct entry *e = node->entries; e; e = e->next)
		if (str_is(method, e->route->method))
			return e;
	return NULL;
}

/* The row for a method: its own, GET's for HEAD, or the one for any. */
static const struct entry *choose_entry(const struct node *node, struct str method)
{
	const struct entry *e = find_entry(node, method);
	if (!e && str_is(method, "HEAD"))
		e = find_entry(node, STR("GET"));
	return e ? e : find_entry(node, STR(HTTP_ANY_METHOD));
}

static void add_row(struct router *router, const struct http_face *face,
	const struct http_route *route)
{
	struct entry *entry = mem_new(struct entry);
	entry->route = route;
	entry->face = face;
	struct str rest = str_from(route->pattern), segment;
	BUG_IF(!str_starts(rest, STR("/")), "a route's pattern does not start with '/'");
	rest = str_skip(rest, 1);
	struct node *node = &router->root;
	while (str_split(&rest, '/', &segment))
		node = child_for(node, segment, entry);
	BUG_IF(find_entry(node, str_from(route->method)), "two routes for one method and pattern");
	struct entry **end = &node->entries;
	while (*end)
		end = &(*end)->next;
	*end = entry;
}

void router_add(struct router *router, const struct http_face *face,
	const struct http_route *routes)
{
	for (const struct http_route *r = routes; r->method; r++)
		add_row(router, face, r);
}

static int check_segment(struct str s, struct error *err)
{
	if (str_is(s, ".") || str_is(s, ".."))
		return error_set(err, ERROR_INVALID, "path: '.' and '..' are not resolved here");
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
			return error_set(err, ERROR_INVALID, "path: a control byte");
	if (!utf8_is_valid(s))
		return error_set(err, ERROR_INVALID, "path: not UTF-8");
	return 0;
}

static int decode_segment(struct str raw, struct arena *arena, struct str *ret, struct error *err)
{
	if (!arena_has_room(arena, raw.len + 1))
		return error_set(err, ERROR_TOO_LARGE, "path: %zu bytes", raw.len);
	auto_buf struct buf decoded = BUF_INIT(raw.len);
	struct str plain = raw;
	if (str_find_char(raw, '%') >= 0) {
		if (url_decode(raw, URL_PATH, &decoded, err) < 0)
			return -1;
		plain = buf_str(&decoded);
	}
	if (check_segment(plain, err) < 0)
		return -1;
	*ret = (struct str){ arena_str(arena, plain), plain.len };
	return 0;
}

static int split_path(struct str path, struct arena *arena, struct segments *ret, struct error *err)
{
	if (!str_starts(path, STR("/")))
		return error_set(err, ERROR_INVALID, "path: it must start with '/'");
	struct str rest = str_skip(path, 1), raw;
	ret->n = 0;
	while (str_split(&rest, '/', &raw)) {
		if (ret->n == HTTP_SEGMENTS_MAX)
			return error_set(err, ERROR_INVALID, "path: more than %d segments",
				HTTP_SEGMENTS_MAX);
		if (decode_segment(raw, arena, &ret->items[ret->n++], err) < 0)
			return -1;
	}
	return 0;
}

static bool ends_here(struct search *s, const struct node *node)
{
	const struct entry *e = choose_entry(node, s->method);
	if (!e && node->entries && !s->other)
		s->other = node;
	s->found = e;
	return e != NULL;
}

static bool search_below(struct search *s, const struct node *node, size_t i);

static bool search_param(struct search *s, const struct node *node, size_t i)
{
	struct str value = s->path->items[i];
	if (!node || value.len == 0)
		return false;
	s->values[s->n_values++] = value;
	if (search_below(s, node, i + 1))
		return true;
	s->n_values--;
	return false;
}

static bool search_below(struct search *s, const struct node *node, size_t i)
{
	if (i == s->path->n)
		return ends_here(s, node);
	const struct node *literal = find_literal(node, s->path->items[i]);
	if (literal && search_below(s, literal, i + 1))
		return true;
	if (search_param(s, node->param, i))
		return true;
	if (node->tail && ends_here(s, node->tail)) {
		s->values[s->n_values++] = (struct str){ NULL,
			i }; /* joined later, from segment i on */
		return true;
	}
	return false;
}

/* The rest of the path as one string: decoded segments with '/' between them. */
static struct str join_from(const struct segments *path, size_t i, struct arena *arena)
{
	auto_buf struct buf joined = BUF_INIT(SIZE_MAX / 4); /* the path's own ceiling holds */
	for (size_t first = i; i < path->n; i++) {
		if (i > first)
			buf_putc(&joined, '/');
		buf_put(&joined, path->items[i]);
	}
	return (struct str){ arena_str(arena, buf_str(&joined)), joined.len };
}

static void put_allowed(const struct node *node, struct buf *allow)
{
	for (const struct entry *e = node->entries; allow && e; e = e->next) {
		buf_printf(allow, "%s%s", allow->len ? ", " : "", e->route->method);
		if (str_is(STR("GET"), e->route->method) && !find_entry(node, STR("HEAD")))
			buf_puts(allow, ", HEAD");
	}
}

int router_match(const struct router *router, struct str method, struct str path,
	struct arena *arena, struct http_match *ret, struct buf *allow, struct error *err)
{
	struct segments segments = { 0 };
	*ret = (struct http_match){ 0 };
	if (split_path(path, arena, &segments, err) < 0)
		return -1;
	struct search s = { .path = &segments, .method = method };
	if (!search_below(&s, &router->root, 0)) {
		struct str shown = str_first(path, 100);
		if (!s.other)
			return error_set(err, ERROR_NOT_FOUND, "no such route: %.*s",
				STR_ARG(shown));
		ret->face = s.other->entries->face;
		put_allowed(s.other, allow);
		return error_set(err, ERROR_METHOD, "%.*s is not for %.*s", STR_ARG(shown),
			STR_ARG(str_first(method, 20)));
	}
	ret->route = s.found->route;
	ret->face = s.found->face;
	ret->n_params = s.found->n_names;
	for (size_t i = 0; i < ret->n_params; i++) {
		ret->names[i] = s.found->names[i];
		ret->values[i] = s.values[i].ptr ? s.values[i]
						 : join_from(&segments, s.values[i].len, arena);
	}
	return 0;
}
