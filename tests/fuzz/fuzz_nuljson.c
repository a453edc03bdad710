/* SPDX-License-Identifier: Apache-2.0 */
/* A stream has the same messages however it is cut, and none is over its limit. */
#include "base/auto.h"
#include "base/bug.h"
#include "wire/nuljson.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 300 };

static int see(void *arg, struct str text, bool is_cut, struct error *err)
{
	BUG_IF(text.len == 0 || text.len > LIMIT, "an empty message, or one over the limit");
	BUG_IF(is_cut && text.len != NULJSON_HEAD, "a head of another size");
	BUG_IF(str_has_nul(text), "a message with a NUL in it");
	buf_printf(arg, "%d %zu ", is_cut, text.len);
	return buf_put(arg, text);
}

static void parse(struct str in, size_t step, struct buf *seen)
{
	struct nuljson n;
	nuljson_init(&n, LIMIT);
	for (; in.len; in = str_skip(in, step))
		BUG_IF(nuljson_parse(&n, str_first(in, step), see, seen, NULL) < 0,
			"a stream that cannot be cut");
	nuljson_fini(&n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct str in = str_from_len((const char *)data + 1, size - 1);
	auto_buf struct buf whole = BUF_INIT(16 << 20), cut = BUF_INIT(16 << 20);
	parse(in, in.len, &whole);
	parse(in, 1 + data[0] % 64, &cut);
	BUG_IF(!str_eq(buf_str(&whole), buf_str(&cut)), "messages that depend on the cuts");
	return 0;
}
