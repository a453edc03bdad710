/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Matching keeps one place to come back to for each of "*" and "**": when what
 * follows does not fit, the last of them takes one character more. So it takes time in proportion
 * to pattern × path, whatever the pattern: no recursion, no table.
 */
#include "wire/ignore.h"

#include "base/auto.h"

/* One character against what stands at *at, which moves behind it. */
static bool set_has(struct str pattern, size_t *at, char c)
{
	size_t i = *at + 1;
	bool is_not = i < pattern.len && (pattern.ptr[i] == '^' || pattern.ptr[i] == '!');
	bool has = false;
	i += is_not;
	for (size_t first = i; i < pattern.len && (pattern.ptr[i] != ']' || i == first); i++) {
		if (pattern.ptr[i] == '\\' && i + 1 < pattern.len)
			i++;
		unsigned char low = (unsigned char)pattern.ptr[i], high = low;
		if (i + 2 < pattern.len && pattern.ptr[i + 1] == '-' && pattern.ptr[i + 2] != ']') {
			high = (unsigned char)pattern.ptr[i + 2];
			i += 2;
		}
		has |= low <= (unsigned char)c && (unsigned char)c <= high;
	}
	if (i >= pattern.len)
		return false; /* no end: it stands for nothing */
	*at = i + 1;
	return has != is_not && c != '/';
}

static bool one_fits(struct str pattern, size_t *at, char c)
{
	switch (pattern.ptr[*at]) {
	case '?':
		++*at;
		return c != '/';
	case '[':
		return set_has(pattern, at, c);
	case '\\':
		if (*at + 1 < pattern.len)
			++*at;
		break;
	default:
		break;
	}
	return pattern.ptr[(*at)++] == c;
}

/* Where one goes on when what comes after a star does not fit. */
struct star {
	size_t pattern, path;
	bool is_there;
};

static bool is_double(struct str pattern, size_t at)
{
	return at + 1 < pattern.len && pattern.ptr[at + 1] == '*';
}

/* "**" and "**" with the slash behind it, which may stand for nothing. */
static size_t behind_double(struct str pattern, size_t at)
{
	while (at < pattern.len && pattern.ptr[at] == '*')
		at++;
	return at < pattern.len && pattern.ptr[at] == '/' ? at + 1 : at;
}

/* After a "**" with a slash one goes on only at the beginning of a name. */
static bool go_back(struct star *star, struct str path, bool is_any, bool at_names)
{
	if (!star->is_there || star->path >= path.len)
		return false;
	if (!is_any)
		return path.ptr[star->path] != '/' && ++star->path <= path.len;
	do
		star->path++;
	while (at_names && star->path < path.len && path.ptr[star->path - 1] != '/');
	return true;
}

bool pattern_fits(struct str pattern, struct str path)
{
	struct star one = { 0 }, any = { 0 };
	bool at_names = false;
	size_t p = 0, s = 0;
	for (;;) {
		if (p < pattern.len && pattern.ptr[p] == '*' && is_double(pattern, p)) {
			size_t behind = behind_double(pattern, p);
			at_names = pattern.ptr[behind - 1] == '/';
			any = (struct star){ behind, s, true };
			one.is_there = false;
			p = behind;
			continue;
		}
		if (p < pattern.len && pattern.ptr[p] == '*') {
			one = (struct star){ ++p, s, true };
			continue;
		}
		if (p == pattern.len && s == path.len)
			return true;
		if (p < pattern.len && s < path.len) {
			size_t at = p;
			if (one_fits(pattern, &at, path.ptr[s])) {
				p = at;
				s++;
				continue;
			}
		}
		if (go_back(&one, path, false, false)) {
			p = one.pattern;
			s = one.path;
		} else if (go_back(&any, path, true, at_names)) {
			one.is_there = false;
			p = any.pattern;
			s = any.path;
		} else {
			return false;
		}
	}
}

bool pattern_is_plain(struct str pattern)
{
	for (size_t i = 0; i < pattern.len; i++)
		if (strchr("*?[\\", pattern.ptr[i]))
			return false;
	return true;
}

/*
 * Without "./" and "/" in front, doubled slashes and one at the end; ".." as far as there is
 * something to leave.
 */
static struct str clean(struct str line, struct arena *arena)
{
	char *out = arena_str(arena, line);
	struct str piece;
	size_t n = 0;
	while (str_split(&line, '/', &piece)) {
		if (piece.len == 0 || str_is(piece, "."))
			continue;
		if (str_is(piece, "..")) {
			while (n && out[n - 1] != '/')
				n--;
			n -= n > 0;
			continue;
		}
		if (n)
			out[n++] = '/';
		memmove(out + n, piece.ptr, piece.len);
		n += piece.len;
	}
	return str_from_len(out, n);
}

int ignore_parse(struct str text, struct arena *arena, struct ignore *ret, struct error *err)
{
	struct str line;
	size_t n_lines = 0;
	*ret = (struct ignore){ .lines = arena_new_n(arena, struct ignore_line, IGNORE_LINES_MAX) };
	if (str_starts(text, STR("\xef\xbb\xbf")))
		text = str_skip(text, 3);
	while (str_split(&text, '\n', &line)) {
		if (line.len && line.ptr[0] == '#')
			continue;
		line = str_trim(line);
		if (!line.len)
			continue;
		if (++n_lines > IGNORE_LINES_MAX || line.len > IGNORE_LINE_MAX)
			return error_set(err, ERROR_LIMIT,
				".dockerignore: over %d lines, or one over %d bytes",
				IGNORE_LINES_MAX, IGNORE_LINE_MAX);
		bool is_exception = line.len && line.ptr[0] == '!';
		line = clean(str_trim(str_skip(line, is_exception)), arena);
		if (!line.len)
			continue;
		ret->has_exceptions |= is_exception;
		ret->lines[ret->n++] = (struct ignore_line){ line, is_exception };
	}
	return 0;
}

/* The path itself, or a directory on the way to it. */
static bool line_fits(struct str pattern, struct str path)
{
	for (size_t i = 1; i <= path.len; i++)
		if ((i == path.len || path.ptr[i] == '/') &&
			pattern_fits(pattern, str_first(path, i)))
			return true;
	return false;
}

bool ignore_has(const struct ignore *ignore, struct str path)
{
	bool is_ignored = false;
	for (size_t i = 0; i < ignore->n; i++)
		if (ignore->lines[i].is_exception == is_ignored &&
			line_fits(ignore->lines[i].pattern, path))
			is_ignored = !is_ignored;
	return is_ignored;
}
