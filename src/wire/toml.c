/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The text is read once, statement by statement. `how` says how a table came
 * to be, and with it what may still be added to it:
 *
 *	ROOT, HEADER   by [a.b]: not a second time
 *	PATH           on the way to one, as `a` of [a.b]: [a] may come, once
 *	DOTTED         by a.b = 1: more dotted keys, and headers beneath it, but none for it
 *	INLINE         by { }: nothing
 *	ELEMENT        by [[a]]: as HEADER
 */
#include "wire/toml_scan.h"

#include "base/auto.h"
#include "base/buf.h"
#include "wire/utf8.h"

#include <stdarg.h>

enum how { ROOT = 1, HEADER, PATH, DOTTED, INLINE, ELEMENT, TABLES /* an array by [[a]] */ };

struct path {
	struct str parts[TOML_DEPTH_MAX];
	int n;
};

int toml_fail(struct toml_scan *s, const char *fmt, ...)
{
	char text[ERROR_TEXT_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return error_set(s->err, ERROR_INVALID, "line %d: %s", s->line, text);
}

const char *toml_kind_name(enum toml_kind kind)
{
	static const char *const names[] = { "nothing", "string", "integer", "float", "boolean",
		"date and time", "date and time", "date", "time", "array", "table" };
	return names[kind];
}

struct toml *toml_node(struct toml_scan *s, enum toml_kind kind)
{
	if (++s->n_nodes > TOML_NODES_MAX) {
		toml_fail(s, "more than %d values", TOML_NODES_MAX);
		return NULL;
	}
	struct toml *t = arena_new(s->arena, struct toml);
	t->kind = kind;
	t->line = s->line;
	t->text = STR("");
	return t;
}

static void append(struct toml *parent, struct toml *child)
{
	if (parent->last)
		parent->last->next = child;
	else
		parent->first = child;
	parent->last = child;
	parent->n++;
}

struct toml *toml_find(const struct toml *table, struct str key)
{
	if (!table || table->kind != TOML_TABLE)
		return NULL;
	for (struct toml *t = table->first; t; t = t->next)
		if (str_eq(t->key, key))
			return t;
	return NULL;
}

static int put(struct toml_scan *s, struct toml *table, struct str key, struct toml *value)
{
	struct toml *other = toml_find(table, key);
	if (other)
		return toml_fail(s, "'%.*s' is defined already, in line %d",
			STR_ARG(str_first(key, 60)), other->line);
	if (table->n >= TOML_KEYS_MAX)
		return toml_fail(s, "a table of more than %d keys", TOML_KEYS_MAX);
	value->key = key;
	append(table, value);
	return 0;
}

/* Blanks, comments, ends of lines. */

static void skip_blanks(struct toml_scan *s)
{
	while (toml_peek(s, 0) == ' ' || toml_peek(s, 0) == '\t')
		s->at++;
}

static int skip_comment(struct toml_scan *s)
{
	if (toml_peek(s, 0) != '#')
		return 0;
	for (; s->at < s->text.len && toml_peek(s, 0) != '\n'; s->at++) {
		unsigned char c = (unsigned char)toml_peek(s, 0);
		if (c == '\r' && toml_peek(s, 1) == '\n')
			return 0;
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return toml_fail(s, "a control character in a comment");
	}
	return 0;
}

static bool skip_newline(struct toml_scan *s)
{
	size_t n = toml_peek(s, 0) == '\r' ? 1 : 0;
	if (toml_peek(s, n) != '\n')
		return false;
	s->at += n + 1;
	s->line++;
	return true;
}

static int end_line(struct toml_scan *s)
{
	skip_blanks(s);
	if (skip_comment(s) < 0)
		return -1;
	if (s->at < s->text.len && !skip_newline(s))
		return toml_fail(s, "something follows where the line should end");
	return 0;
}

static int skip_lines(struct toml_scan *s)
{
	do {
		skip_blanks(s);
		if (skip_comment(s) < 0)
			return -1;
	} while (skip_newline(s));
	return 0;
}

/* Keys. */

static bool is_bare(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		c == '_' || c == '-';
}

static int scan_part(struct toml_scan *s, struct str *ret)
{
	if (toml_peek(s, 0) == '"' || toml_peek(s, 0) == '\'')
		return toml_scan_string(s, true, ret);
	size_t n = 0;
	while (is_bare(toml_peek(s, n)))
		n++;
	if (n == 0)
		return toml_fail(s, "a key is missing, or holds what wants quotes");
	*ret = str_from_len(arena_str(s->arena, str_from_len(s->text.ptr + s->at, n)), n);
	s->at += n;
	return 0;
}

static int scan_path(struct toml_scan *s, struct path *ret)
{
	ret->n = 0;
	for (;;) {
		skip_blanks(s);
		if (ret->n == TOML_DEPTH_MAX)
			return toml_fail(s, "a key of more than %d parts", TOML_DEPTH_MAX);
		if (scan_part(s, &ret->parts[ret->n++]) < 0)
			return -1;
		skip_blanks(s);
		if (toml_peek(s, 0) != '.')
			return 0;
		s->at++;
	}
}

static struct toml *add_table(struct toml_scan *s, struct toml *parent, struct str key, int how)
{
	struct toml *t = toml_node(s, TOML_TABLE);
	if (!t)
		return NULL;
	t->how = how;
	return put(s, parent, key, t) < 0 ? NULL : t;
}

static struct toml *refuse(struct toml_scan *s, struct str key, const struct toml *other)
{
	toml_fail(s, "'%.*s' cannot be added to: it was defined in line %d",
		STR_ARG(str_first(key, 60)), other->line);
	return NULL;
}

/* One step on the way of a header. */
static struct toml *step_header(struct toml_scan *s, struct toml *at, struct str key)
{
	struct toml *next = toml_find(at, key);
	if (!next)
		return add_table(s, at, key, PATH);
	if (next->kind == TOML_ARRAY && next->how == TABLES)
		return next->last;
	return next->kind == TOML_TABLE && next->how != INLINE ? next : refuse(s, key, next);
}

/* One step on the way of a dotted key. */
static struct toml *step_dotted(struct toml_scan *s, struct toml *at, struct str key)
{
	struct toml *next = toml_find(at, key);
	if (!next)
		return add_table(s, at, key, DOTTED);
	return next->kind == TOML_TABLE && next->how == DOTTED ? next : refuse(s, key, next);
}

/* Values. */

static int scan_value(struct toml_scan *s, struct toml **ret);

static int scan_pair(struct toml_scan *s, struct toml *table)
{
	struct path path = { 0 };
	struct toml *value = NULL;
	if (scan_path(s, &path) < 0)
		return -1;
	if (toml_peek(s, 0) != '=')
		return toml_fail(s, "'=' is missing behind a key");
	s->at++;
	skip_blanks(s);
	for (int i = 0; i + 1 < path.n; i++) {
		table = step_dotted(s, table, path.parts[i]);
		if (!table)
			return -1;
	}
	if (scan_value(s, &value) < 0)
		return -1;
	return put(s, table, path.parts[path.n - 1], value);
}

static int scan_array(struct toml_scan *s, struct toml *array)
{
	for (s->at++;; s->at++) {
		struct toml *value = NULL;
		if (skip_lines(s) < 0)
			return -1;
		if (toml_peek(s, 0) == ']')
			break;
		if (scan_value(s, &value) < 0 || skip_lines(s) < 0)
			return -1;
		append(array, value);
		if (toml_peek(s, 0) == ']')
			break;
		if (toml_peek(s, 0) != ',')
			return toml_fail(s, "',' or ']' is missing in an array");
	}
	s->at++;
	return 0;
}

/* On one line, and without a comma at its end. */
static int scan_inline(struct toml_scan *s, struct toml *table)
{
	s->at++;
	skip_blanks(s);
	if (toml_peek(s, 0) == '}') {
		s->at++;
		return 0;
	}
	for (;; s->at++) {
		skip_blanks(s);
		if (scan_pair(s, table) < 0)
			return -1;
		skip_blanks(s);
		if (toml_peek(s, 0) == '}')
			break;
		if (toml_peek(s, 0) != ',')
			return toml_fail(s, "',' or '}' is missing in an inline table");
	}
	s->at++;
	return 0;
}

static int scan_parts(struct toml_scan *s, struct toml **ret)
{
	bool is_array = toml_peek(s, 0) == '[';
	if (s->depth == TOML_DEPTH_MAX)
		return toml_fail(s, "more than %d values within each other", TOML_DEPTH_MAX);
	*ret = toml_node(s, is_array ? TOML_ARRAY : TOML_TABLE);
	if (!*ret)
		return -1;
	s->depth++;
	int r = is_array ? scan_array(s, *ret) : scan_inline(s, *ret);
	s->depth--;
	(*ret)->how = INLINE;
	return r;
}

static int scan_value(struct toml_scan *s, struct toml **ret)
{
	char c = toml_peek(s, 0);
	if (c == '[' || c == '{')
		return scan_parts(s, ret);
	if (c != '"' && c != '\'')
		return toml_scan_scalar(s, ret);
	*ret = toml_node(s, TOML_STRING);
	return *ret ? toml_scan_string(s, false, &(*ret)->text) : -1;
}

/* Headers. */

static struct toml *open_table(struct toml_scan *s, struct toml *parent, struct str key)
{
	struct toml *t = toml_find(parent, key);
	if (!t)
		return add_table(s, parent, key, HEADER);
	if (t->kind != TOML_TABLE || t->how != PATH)
		return refuse(s, key, t);
	t->how = HEADER;
	t->line = s->line;
	return t;
}

static struct toml *open_element(struct toml_scan *s, struct toml *parent, struct str key)
{
	struct toml *array = toml_find(parent, key);
	if (array && (array->kind != TOML_ARRAY || array->how != TABLES))
		return refuse(s, key, array);
	if (!array) {
		array = toml_node(s, TOML_ARRAY);
		if (!array || put(s, parent, key, array) < 0)
			return NULL;
		array->how = TABLES;
	}
	struct toml *t = toml_node(s, TOML_TABLE);
	if (!t)
		return NULL;
	t->how = ELEMENT;
	append(array, t);
	return t;
}

static struct toml *scan_header(struct toml_scan *s, struct toml *root)
{
	bool is_element = toml_peek(s, 1) == '[';
	struct path path = { 0 };
	s->at += is_element ? 2 : 1;
	if (scan_path(s, &path) < 0)
		return NULL;
	if (toml_peek(s, 0) != ']' || (is_element && toml_peek(s, 1) != ']')) {
		toml_fail(s, "']' is missing behind a table's name");
		return NULL;
	}
	s->at += is_element ? 2 : 1;
	struct toml *at = root;
	for (int i = 0; at && i + 1 < path.n; i++)
		at = step_header(s, at, path.parts[i]);
	if (!at)
		return NULL;
	struct str key = path.parts[path.n - 1];
	return is_element ? open_element(s, at, key) : open_table(s, at, key);
}

static int scan_document(struct toml_scan *s, struct toml *root)
{
	struct toml *table = root;
	while (s->at < s->text.len) {
		skip_blanks(s);
		char c = toml_peek(s, 0);
		if (c == '[')
			table = scan_header(s, root);
		else if (c != '#' && c != '\r' && c != '\n' && s->at < s->text.len &&
			scan_pair(s, table) < 0)
			return -1;
		if (!table || end_line(s) < 0)
			return -1;
	}
	return 0;
}

int toml_parse(struct str text, struct arena *arena, struct toml **ret, struct error *err)
{
	struct error ignored = { 0 };
	if (str_starts(text, STR("\xef\xbb\xbf")))
		text = str_skip(text, 3);
	struct toml_scan s = { .text = text, .line = 1, .arena = arena, .err = err ?: &ignored };
	if (text.len > TOML_TEXT_MAX)
		return error_set(err, ERROR_TOO_LARGE, "over %d bytes", TOML_TEXT_MAX);
	if (!utf8_is_valid(text) || str_has_nul(text))
		return error_set(err, ERROR_INVALID, "not a text in UTF-8");
	struct toml *root = toml_node(&s, TOML_TABLE);
	root->how = ROOT;
	if (scan_document(&s, root) < 0)
		return -1;
	*ret = root;
	return 0;
}
