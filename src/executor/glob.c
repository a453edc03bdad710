/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Braces are expanded first, into a bounded number of alternatives; each is
 * split into components. A path is matched component by component against the set of positions that
 * an alternative can be at (bit i: the first i components are used up), so "**" needs no
 * backtracking.
 */
#include "executor/glob.h"

#include "base/auto.h"
#include "wire/utf8.h"

#include <stdint.h>

static bool is_star_star(struct str s)
{
	return str_eq(s, STR("**"));
}

static size_t char_len(struct str s)
{
	size_t n = utf8_len(s);
	return n ? n : 1;
}

/* The end of the bracket expression at the front of p (after it), or 0 if it is not closed. */
static size_t bracket_end(struct str p)
{
	size_t i = 1;
	if (i < p.len && (p.ptr[i] == '!' || p.ptr[i] == '^'))
		i++;
	if (i < p.len && p.ptr[i] == ']')
		i++;
	while (i < p.len && p.ptr[i] != ']')
		i += p.ptr[i] == '\\' && i + 1 < p.len ? 2 : 1;
	return i < p.len ? i + 1 : 0;
}

static struct str take_char(struct str *s)
{
	if (s->len > 1 && s->ptr[0] == '\\')
		*s = str_skip(*s, 1);
	struct str c = str_first(*s, char_len(*s));
	*s = str_skip(*s, c.len);
	return c;
}

/* Characters compare by their bytes, which is the order of code points in UTF-8. */
static int compare(struct str a, struct str b)
{
	int r = memcmp(a.ptr, b.ptr, MIN(a.len, b.len));
	return r ? r : (a.len > b.len) - (a.len < b.len);
}

static bool bracket_match(struct str set, struct str c)
{
	set = str_from_len(set.ptr + 1, set.len - 2);
	bool is_negated = set.len && (set.ptr[0] == '!' || set.ptr[0] == '^');
	bool is_in = false;
	if (is_negated)
		set = str_skip(set, 1);
	while (set.len) {
		struct str low = take_char(&set), high = low;
		if (set.len > 1 && set.ptr[0] == '-') {
			set = str_skip(set, 1);
			high = take_char(&set);
		}
		is_in |= compare(low, c) <= 0 && compare(c, high) <= 0;
	}
	return is_in != is_negated;
}

/* How much of the pattern one character of the name uses up; 0 if it does not match. */
static size_t match_one(struct str p, struct str name)
{
	struct str c = str_first(name, char_len(name));
	if (p.len == 0)
		return 0;
	size_t end = p.ptr[0] == '[' ? bracket_end(p) : 0;
	if (end)
		return bracket_match(str_first(p, end), c) ? end : 0;
	if (p.ptr[0] == '?')
		return 1;
	size_t escape = p.ptr[0] == '\\' && p.len > 1;
	struct str literal = str_skip(p, escape);
	return str_starts(literal, c) ? escape + c.len : 0;
}

static bool match_component(struct str p, struct str name, bool hidden)
{
	if (name.len && name.ptr[0] == '.' && !hidden &&
		!(p.len && (p.ptr[0] == '.' || str_starts(p, STR("\\.")))))
		return false;
	struct str after_star = STR_NONE, retry = STR_NONE;
	while (name.len) {
		size_t used;
		if (p.len && p.ptr[0] == '*') {
			p = str_skip(p, 1);
			after_star = p;
			retry = name;
		} else if ((used = match_one(p, name))) {
			p = str_skip(p, used);
			name = str_skip(name, char_len(name));
		} else if (retry.ptr) {
			retry = str_skip(retry, char_len(retry));
			name = retry;
			p = after_star;
		} else {
			return false;
		}
	}
	while (p.len && p.ptr[0] == '*')
		p = str_skip(p, 1);
	return p.len == 0;
}

/* A position before "**" is a position after it as well. */
static uint64_t close_set(const struct glob_alternative *a, uint64_t set)
{
	for (int i = 0; i < a->n; i++)
		if (set >> i & 1 && is_star_star(a->components[i]))
			set |= (uint64_t)2 << i;
	return set;
}

static uint64_t positions_after(const struct glob_alternative *a, struct str path, bool hidden)
{
	uint64_t set = close_set(a, 1);
	struct str name;
	while (path.len && set && str_split(&path, '/', &name)) {
		uint64_t next = 0;
		for (int i = 0; i < a->n; i++) {
			if (!(set >> i & 1))
				continue;
			if (!is_star_star(a->components[i]))
				next |= match_component(a->components[i], name, hidden)
					? (uint64_t)2 << i
					: 0;
			else if (hidden || !str_starts(name, STR(".")))
				next |= (uint64_t)1 << i;
		}
		set = close_set(a, next);
	}
	return set;
}

bool glob_match(const struct glob *g, struct str path)
{
	for (int i = 0; i < g->n; i++)
		if (positions_after(&g->alternatives[i], path, g->hidden) >> g->alternatives[i].n &
			1)
			return true;
	return false;
}

bool glob_may_match_below(const struct glob *g, struct str dir)
{
	for (int i = 0; i < g->n; i++) {
		const struct glob_alternative *a = &g->alternatives[i];
		if (positions_after(a, dir, g->hidden) & (((uint64_t)1 << a->n) - 1))
			return true;
	}
	return false;
}

/* One brace expression: the parts of s before, in and after it. */
struct brace {
	struct str head, body, tail;
};

static bool find_brace(struct str s, struct brace *ret)
{
	int depth = 0;
	size_t open = 0;
	bool has_comma = false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '\\') {
			i++;
		} else if (s.ptr[i] == '{') {
			if (depth++ == 0)
				open = i;
		} else if (s.ptr[i] == ',') {
			has_comma |= depth == 1;
		} else if (s.ptr[i] == '}' && depth && --depth == 0 && has_comma) {
			ret->head = str_first(s, open);
			ret->body = str_from_len(s.ptr + open + 1, i - open - 1);
			ret->tail = str_skip(s, i + 1);
			return true;
		}
	}
	return false;
}

static bool next_choice(struct str *body, struct str *ret)
{
	if (!body->ptr)
		return false;
	int depth = 0;
	for (size_t i = 0; i < body->len; i++) {
		char c = body->ptr[i];
		if (c == '\\')
			i++;
		depth += (c == '{') - (c == '}');
		if (c == ',' && depth == 0) {
			*ret = str_first(*body, i);
			*body = str_skip(*body, i + 1);
			return true;
		}
	}
	*ret = *body;
	*body = STR_NONE;
	return true;
}

static int add_alternative(struct glob *g, struct str pattern, struct error *err)
{
	if (g->n == GLOB_ALTERNATIVES_MAX)
		return error_set(err, ERROR_INVALID, "a pattern with more than %d alternatives",
			GLOB_ALTERNATIVES_MAX);
	struct glob_alternative *a = &g->alternatives[g->n++];
	struct str piece;
	while (str_split(&pattern, '/', &piece)) {
		bool is_doubled = a->n && is_star_star(piece) &&
			is_star_star(a->components[a->n - 1]);
		if (piece.len == 0 || str_eq(piece, STR(".")) || is_doubled)
			continue;
		if (a->n == GLOB_COMPONENTS_MAX)
			return error_set(err, ERROR_INVALID,
				"a pattern with more than %d components", GLOB_COMPONENTS_MAX);
		a->components[a->n++] = piece;
	}
	if (a->n && is_star_star(a->components[a->n - 1]))
		a->components[a->n++] = STR("*"); /* at least something below */
	return 0;
}

/* Expanding is breadth-first over a queue of patterns: depth of nesting costs no stack. */
static int expand(struct glob *g, struct str pattern, struct arena *arena, struct error *err)
{
	struct str queue[2 * GLOB_ALTERNATIVES_MAX];
	size_t first = 0, n = 0;
	queue[n++] = pattern;
	while (first < n) {
		struct str now = queue[first++], choice;
		struct brace b;
		if (!find_brace(now, &b)) {
			if (add_alternative(g, now, err) < 0)
				return -1;
			continue;
		}
		while (next_choice(&b.body, &choice)) {
			if (n == ARRAY_LEN(queue) || !arena_has_room(arena, now.len + 1))
				return error_set(err, ERROR_INVALID,
					"a pattern with more than %d alternatives",
					GLOB_ALTERNATIVES_MAX);
			char *text = arena_printf(arena, "%.*s%.*s%.*s", STR_ARG(b.head),
				STR_ARG(choice), STR_ARG(b.tail));
			queue[n++] = str_from(text);
		}
	}
	return 0;
}

int glob_compile(struct glob *ret, struct str pattern, bool hidden, struct arena *arena,
	struct error *err)
{
	if (pattern.len == 0 || str_has_nul(pattern))
		return error_set(err, ERROR_INVALID, "a pattern is empty or holds a NUL byte");
	*ret = (struct glob){ .hidden = hidden };
	ret->alternatives = arena_new_n(arena, struct glob_alternative, GLOB_ALTERNATIVES_MAX);
	return expand(ret, str_from(arena_str(arena, pattern)), arena, err);
}

int glob_compile_name(struct glob *ret, struct str pattern, struct arena *arena, struct error *err)
{
	if (str_find_char(pattern, '/') < 0)
		pattern = str_from(arena_printf(arena, "**/%.*s", STR_ARG(pattern)));
	return glob_compile(ret, pattern, true, arena, err);
}

static bool is_plain(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (strchr("*?[\\", s.ptr[i]))
			return false;
	return true;
}

void glob_take_prefix(struct glob *g, struct buf *dir)
{
	struct glob_alternative *a = g->alternatives;
	int n = 0;
	if (g->n != 1)
		return;
	while (n < a->n - 1 && is_plain(a->components[n])) {
		buf_put(dir, a->components[n++]);
		buf_putc(dir, '/');
	}
	memmove(a->components, a->components + n, (size_t)(a->n - n) * sizeof(a->components[0]));
	a->n -= n;
}
