/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What strangers write that OpenSandbox's face reads by itself: output, whose lines are the same
 * wherever it is cut; ranges, which lie in their file; patterns of names; policies, which allow
 * nothing that they deny.
 */
#include "face/opensandbox/lines.h"
#include "face/opensandbox/range.h"
#include "face/opensandbox/state.h"
#include "face/opensandbox/wildcard.h"

#include "base/auto.h"
#include "base/bug.h"

#include <stdint.h>

enum { TOLD_MAX = 16 * 1024 * 1024, ARENA_MAX = 8 * 1024 * 1024, FILE_BYTES = 1000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_line(void *arg, struct str line)
{
	struct buf *told = arg;
	BUG_IF(!line.len || line.len > OSB_LINES_MAX, "a line of no length, or too long");
	buf_put(told, line);
	buf_putc(told, '\0');
}

static void cut(struct str text, size_t at, struct buf *told)
{
	struct osb_lines l;
	osb_lines_init(&l);
	osb_lines_feed(&l, str_first(text, at), on_line, told);
	osb_lines_feed(&l, str_skip(text, at), on_line, told);
	osb_lines_end(&l, on_line, told);
	osb_lines_fini(&l);
}

static void check_lines(struct str text)
{
	auto_buf struct buf whole = BUF_INIT(TOLD_MAX);
	cut(text, text.len, &whole);
	for (size_t at = 0; at < text.len; at += 1 + text.len / 16) {
		auto_buf struct buf parts = BUF_INIT(TOLD_MAX);
		cut(text, at, &parts);
		BUG_IF(!str_eq(buf_str(&whole), buf_str(&parts)), "lines depend on the pieces");
	}
}

static void check_range(struct str text)
{
	struct osb_range r;
	for (int64_t size = 0; size <= FILE_BYTES; size += FILE_BYTES / 2) {
		if (osb_range_read(text, size, &r) < 0)
			continue;
		BUG_IF(r.start < 0 || r.length < 0 || r.start + r.length > size || r.size != size,
			"a range beyond its file");
		BUG_IF(r.is_part && !r.length, "a part of nothing");
	}
}

static void check_pattern(struct str text)
{
	struct str pattern, name = text;
	str_split(&name, '\n', &pattern);
	bool has = wildcard_has(pattern, name);
	BUG_IF(str_is(pattern, "*") && !has, "a star that is not everything");
	BUG_IF(str_find_char(pattern, '*') < 0 && has && pattern.len < name.len,
		"more characters than the pattern has");
}

static void check_policy(struct str text)
{
	struct arena arena = ARENA_INIT(ARENA_MAX);
	struct create *create = arena_new(&arena, struct create);
	auto_json struct json *policy = NULL;
	struct error err;
	if (json_parse(text, &policy, NULL) == 0 &&
		osb_policy_read(policy, &arena, create, &err) == 0) {
		const struct json *rules = json_find(policy, "egress");
		BUG_IF(create->allow.n && create->spec.network != NETWORK_PROXY, "it is no proxy");
		BUG_IF(create->allow.n > json_len(rules), "more than was allowed");
		for (size_t i = 0; i < json_len(rules); i++)
			for (size_t k = 0; k < create->allow.n; k++)
				BUG_IF(str_is(json_str(json_find(json_at(rules, i), "action")),
					       "deny") &&
						str_eq(json_str(json_find(json_at(rules, i),
							       "target")),
							create->allow.items[k]),
					"it allows what it denies");
	}
	arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };
	check_lines(text);
	check_range(text);
	check_pattern(text);
	check_policy(text);
	return 0;
}
