/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The file comes through one buffer that holds a whole line at least, up to
 * GREP_LINE_MAX; of a longer line the rest is passed over. Lines before a match are kept as short
 * copies in a ring. A pattern without special characters is searched with memmem in whole buffers,
 * and lines are only looked at where it occurs.
 */
#include "executor/grep.h"

#include "base/auto.h"
#include "base/bug.h"

#include <ctype.h>
#include <regex.h>

enum { BUFFER_SIZE = GREP_LINE_MAX + 256 * 1024, SNIFF_BYTES = 8 * 1024 };

struct grep_pattern {
	bool is_plain;
	bool ignore_case;
	char *text;
	size_t len;
	regex_t regex;
	char *buffer; /* what files are read into; made with the first */
};

static bool has_special(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (strchr("\\^$.[]|()*+?{}", s.ptr[i]))
			return true;
	return false;
}

int grep_compile(struct str pattern, bool is_fixed, bool ignore_case, struct grep_pattern **ret,
	struct error *err)
{
	if (pattern.len > GREP_PATTERN_MAX)
		return error_set(err, ERROR_INVALID, "a pattern of %zu bytes; the limit is %d",
			pattern.len, GREP_PATTERN_MAX);
	struct grep_pattern *p = mem_new(struct grep_pattern);
	p->text = str_dup(pattern);
	p->len = pattern.len;
	p->ignore_case = ignore_case;
	p->is_plain = is_fixed || (!has_special(pattern) && !ignore_case);
	if (!p->is_plain) {
		int r = regcomp(&p->regex, p->text,
			REG_EXTENDED | REG_NOSUB | (ignore_case ? REG_ICASE : 0));
		if (r != 0) {
			char why[120];
			regerror(r, &p->regex, why, sizeof(why));
			p->is_plain = true; /* nothing to free in the regex */
			grep_free(p);
			return error_set(err, ERROR_INVALID, "pattern '%.*s': %s",
				STR_ARG(str_first(pattern, 100)), why);
		}
	}
	for (size_t i = 0; p->is_plain && ignore_case && i < p->len; i++)
		p->text[i] = (char)tolower((unsigned char)p->text[i]);
	*ret = p;
	return 0;
}

void grep_free(struct grep_pattern *p)
{
	if (!p)
		return;
	if (!p->is_plain)
		regfree(&p->regex);
	free(p->text);
	free(p->buffer);
	free(p);
}

static bool contains_nocase(const struct grep_pattern *p, const char *line, size_t len)
{
	for (size_t i = 0; i + p->len <= len; i++) {
		size_t k = 0;
		while (k < p->len &&
			tolower((unsigned char)line[i + k]) == (unsigned char)p->text[k])
			k++;
		if (k == p->len)
			return true;
	}
	return false;
}

bool grep_matches(const struct grep_pattern *p, const char *line, size_t len)
{
	if (p->is_plain && p->ignore_case)
		return contains_nocase(p, line, len);
	if (p->is_plain)
		return p->len == 0 || memmem(line, len, p->text, p->len);
	regmatch_t range = { 0, (regoff_t)len };
	return regexec(&p->regex, line, 0, &range, REG_STARTEND) == 0;
}

/* ---- files ---- */

struct scan {
	const struct grep_pattern *p;
	const struct grep_events *events;
	void *arg;
	int context;
	int64_t line; /* number of the line at hand */
	char *ring;   /* the `context` lines before it */
	size_t ring_len[GREP_CONTEXT_MAX];
	int ring_n;   /* how many are in the ring, the latest at (line - 1) % context */
	int after;    /* lines still to be given after the last match */
	bool is_open; /* a match waits for its end */
};

static char *ring_at(const struct scan *s, int64_t line)
{
	return s->ring + (size_t)(line % s->context) * GREP_SHOWN_MAX;
}

static void end_match(struct scan *s)
{
	if (s->is_open)
		s->events->on_match_end(s->arg);
	s->is_open = false;
	s->after = 0;
}

static bool give_match(struct scan *s, struct str text)
{
	struct grep_match m = { .line = s->line, .text = text };
	end_match(s);
	for (int i = s->ring_n; i > 0; i--) {
		int64_t line = s->line - i;
		m.before[m.n_before++] = str_from_len(ring_at(s, line),
			s->ring_len[line % s->context]);
	}
	if (!s->events->on_match(s->arg, &m))
		return false;
	s->is_open = true;
	s->after = s->context;
	s->ring_n = 0;
	if (s->after == 0)
		end_match(s);
	return true;
}

/* False: enough. */
static bool take_line(struct scan *s, const char *line, size_t len)
{
	size_t shown = MIN(len, (size_t)GREP_SHOWN_MAX);
	if (shown && shown == len && line[len - 1] == '\r')
		shown--;
	s->line++;
	if (grep_matches(s->p, line, MIN(len, (size_t)GREP_LINE_MAX)))
		return give_match(s, str_from_len(line, shown));
	if (s->after > 0) {
		s->events->on_after(s->arg, str_from_len(line, shown));
		if (--s->after == 0)
			end_match(s);
	} else if (s->context > 0) {
		memcpy(ring_at(s, s->line), line, shown);
		s->ring_len[s->line % s->context] = shown;
		s->ring_n = MIN(s->ring_n + 1, s->context);
	}
	return true;
}

/* Passes over lines that cannot match, where no line needs to be kept. How many bytes. */
static size_t skip_lines(struct scan *s, const char *from, size_t len)
{
	bool can_skip = s->p->is_plain && !s->p->ignore_case && s->p->len && s->context == 0;
	if (!can_skip)
		return 0;
	const char *hit = memmem(from, len, s->p->text, s->p->len);
	const char *end = hit ? hit : from + len, *start = from;
	for (const char *newline; (newline = memchr(start, '\n', (size_t)(end - start)));) {
		start = newline + 1;
		s->line++;
	}
	return (size_t)(start - from);
}

/* Takes the whole lines of the buffer. What is left of it, or -1 for enough. */
static ssize_t take_lines(struct scan *s, const char *from, size_t len)
{
	while (len) {
		size_t skipped = skip_lines(s, from, len);
		from += skipped, len -= skipped;
		const char *newline = memchr(from, '\n', len);
		if (!newline)
			break;
		size_t n = (size_t)(newline - from);
		if (!take_line(s, from, n))
			return -1;
		from += n + 1, len -= n + 1;
	}
	return (ssize_t)len;
}

static ssize_t read_some(int fd, char *to, size_t size)
{
	ssize_t n;
	do
		n = read(fd, to, size);
	while (n < 0 && errno == EINTR);
	return n;
}

static enum grep_outcome scan_file(struct scan *s, int fd, char *buffer)
{
	size_t have = 0;
	bool is_first = true, skips_rest = false;
	ssize_t n;
	while ((n = read_some(fd, buffer + have, BUFFER_SIZE - have)) > 0) {
		have += (size_t)n;
		if (is_first && memchr(buffer, 0, MIN(have, (size_t)SNIFF_BYTES)))
			return GREP_BINARY;
		is_first = false;
		size_t from = 0;
		if (skips_rest) {
			const char *newline = memchr(buffer, '\n', have);
			from = newline ? (size_t)(newline + 1 - buffer) : have;
			skips_rest = !newline;
		}
		ssize_t left = take_lines(s, buffer + from, have - from);
		if (left < 0)
			return GREP_STOPPED;
		memmove(buffer, buffer + have - left, (size_t)left);
		have = (size_t)left;
		if (have >= GREP_LINE_MAX) {
			if (!take_line(s, buffer, have))
				return GREP_STOPPED;
			have = 0;
			skips_rest = true;
		}
	}
	if (n < 0)
		return GREP_FAILED;
	return have && !take_line(s, buffer, have) ? GREP_STOPPED : GREP_DONE;
}

enum grep_outcome grep_file(struct grep_pattern *p, int fd, int context,
	const struct grep_events *events, void *arg)
{
	struct scan s = { .p = p, .events = events, .arg = arg, .context = context };
	if (!p->buffer)
		p->buffer = mem_zalloc(BUFFER_SIZE + 1); /* a string, for checkers of regexec */
	auto_free char *ring = context ? mem_alloc((size_t)context * GREP_SHOWN_MAX) : NULL;
	s.ring = ring;
	enum grep_outcome r = scan_file(&s, fd, p->buffer);
	end_match(&s);
	return r;
}
