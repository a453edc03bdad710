/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words of a Dockerfile: where they end, and what is in them when quotes and variables are done
 * with.
 */
#include "wire/dockerfile.h"

#include "base/auto.h"
#include "base/buf.h"

enum { NESTED_MAX = 16 };

struct expansion {
	char escape;
	dockerfile_lookup_fn *lookup;
	void *arg;
	struct buf *out;
	int depth;
};

bool dockerfile_next(struct str *rest, char escape, struct str *ret_piece)
{
	size_t i = 0;
	char quote = 0;
	while (rest->len && (rest->ptr[0] == ' ' || rest->ptr[0] == '\t'))
		*rest = str_skip(*rest, 1);
	if (!rest->len)
		return false;
	for (; i < rest->len; i++) {
		char c = rest->ptr[i];
		if (c == escape && quote != '\'' && i + 1 < rest->len)
			i++;
		else if (quote)
			quote = c == quote ? 0 : quote;
		else if (c == '"' || c == '\'')
			quote = c;
		else if (c == ' ' || c == '\t')
			break;
	}
	*ret_piece = str_first(*rest, i);
	*rest = str_skip(*rest, i);
	return true;
}

static bool is_name_char(char c, bool is_first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
		(!is_first && c >= '0' && c <= '9');
}

static struct str take_name(struct str *rest)
{
	size_t n = 0;
	while (n < rest->len && is_name_char(rest->ptr[n], n == 0))
		n++;
	struct str name = str_first(*rest, n);
	*rest = str_skip(*rest, n);
	return name;
}

static int expand(struct expansion *x, struct str word, bool keeps_quotes, struct error *err);

/* Up to the "}" that belongs to the "{" before. */
static int take_inner(struct expansion *x, struct str *rest, struct str *ret, struct error *err)
{
	int open = 1;
	for (size_t i = 0; i < rest->len; i++) {
		if (rest->ptr[i] == x->escape && i + 1 < rest->len) {
			i++;
			continue;
		}
		open += rest->ptr[i] == '{';
		open -= rest->ptr[i] == '}';
		if (open == 0) {
			*ret = str_first(*rest, i);
			*rest = str_skip(*rest, i + 1);
			return 0;
		}
	}
	return error_set(err, ERROR_INVALID, "'${' without a '}'");
}

/* What stands behind "${". */
static int expand_braces(struct expansion *x, struct str *rest, struct error *err)
{
	struct str inner;
	if (take_inner(x, rest, &inner, err) < 0)
		return -1;
	struct str name = take_name(&inner);
	if (!name.len)
		return error_set(err, ERROR_INVALID, "'${' without a name");
	struct str value = x->lookup(x->arg, name);
	bool is_there = value.ptr != NULL;
	if (!inner.len)
		return buf_put(x->out, value);
	if (inner.ptr[0] == ':') {
		is_there &= value.len > 0;
		inner = str_skip(inner, 1);
	}
	char how = inner.len ? inner.ptr[0] : 0;
	inner = str_skip(inner, 1);
	if (how == '?' && !is_there)
		return error_set(err, ERROR_INVALID, "%.*s is not set: %.*s",
			STR_ARG(str_first(name, 60)), STR_ARG(str_first(inner, 100)));
	if (how == '-' && !is_there)
		return expand(x, inner, false, err);
	if (how == '+')
		return is_there ? expand(x, inner, false, err) : 0;
	if (how != '-' && how != '?')
		return error_set(err, ERROR_UNSUPPORTED,
			"in ${%.*s…} only :-, :+, :?, -, + and ? are offered",
			STR_ARG(str_first(name, 60)));
	return buf_put(x->out, value);
}

static int expand_variable(struct expansion *x, struct str *rest, struct error *err)
{
	if (rest->len && rest->ptr[0] == '{') {
		*rest = str_skip(*rest, 1);
		return expand_braces(x, rest, err);
	}
	struct str name = take_name(rest);
	return name.len ? buf_put(x->out, x->lookup(x->arg, name)) : buf_putc(x->out, '$');
}

/* One character, or what it begins, outside of single quotes. */
static int expand_one(struct expansion *x, struct str *rest, bool is_quoted, bool keeps_quotes,
	struct error *err)
{
	char c = rest->ptr[0];
	*rest = str_skip(*rest, 1);
	if (c == '$')
		return expand_variable(x, rest, err);
	if (c == x->escape && rest->len) {
		char next = rest->ptr[0];
		bool takes = keeps_quotes ? next == '$' || next == x->escape
			: is_quoted       ? strchr("\"$", next) || next == x->escape
					  : true;
		if (!takes)
			return buf_putc(x->out, c);
		*rest = str_skip(*rest, 1);
		return buf_putc(x->out, next);
	}
	return buf_putc(x->out, c);
}

static int expand_quoted(struct expansion *x, struct str *rest, char quote, struct error *err)
{
	while (rest->len && rest->ptr[0] != quote) {
		if (quote == '\'') {
			buf_putc(x->out, rest->ptr[0]);
			*rest = str_skip(*rest, 1);
		} else if (expand_one(x, rest, true, false, err) < 0) {
			return -1;
		}
	}
	if (!rest->len)
		return error_set(err, ERROR_INVALID, "a %c without its end", quote);
	*rest = str_skip(*rest, 1);
	return 0;
}

static int expand(struct expansion *x, struct str word, bool keeps_quotes, struct error *err)
{
	int r = 0;
	if (++x->depth > NESTED_MAX)
		return error_set(err, ERROR_LIMIT, "variables in variables in variables");
	while (word.len && r == 0) {
		char c = word.ptr[0];
		if (!keeps_quotes && (c == '"' || c == '\'')) {
			word = str_skip(word, 1);
			r = expand_quoted(x, &word, c, err);
		} else {
			r = expand_one(x, &word, false, keeps_quotes, err);
		}
		if (x->out->is_full)
			return error_set(err, ERROR_TOO_LARGE, "a word of over %d bytes",
				DOCKERFILE_EXPANDED_MAX);
	}
	x->depth--;
	return r;
}

int dockerfile_expand(struct str word, char escape, bool keeps_quotes, dockerfile_lookup_fn *lookup,
	void *arg, struct arena *arena, struct str *ret, struct error *err)
{
	auto_buf struct buf out = BUF_INIT(DOCKERFILE_EXPANDED_MAX);
	struct expansion x = { escape, lookup, arg, &out, 0 };
	if (expand(&x, word, keeps_quotes, err) < 0)
		return -1;
	if (!arena_has_room(arena, out.len + 64))
		return error_set(err, ERROR_TOO_LARGE, "too many long words");
	*ret = str_from_len(arena_str(arena, buf_str(&out)), out.len);
	return 0;
}
