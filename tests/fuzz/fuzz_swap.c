/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests and replies through the boundary. However they are cut, the same comes out; a secret
 * stands only in its header, and never in what comes back.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "boundary/swap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct swap_rule rule = { STR("cay_one"), STR("the-secret-value"), STR("X-Key") };

static int put_request(struct str in, size_t step, struct buf *out)
{
	struct swap s;
	int r = 0;
	swap_init(&s, "a.b", 443, &rule, 1, 1);
	for (; r == 0 && in.len; in = str_skip(in, step))
		r = swap_request(&s, str_first(in, step), out, NULL);
	swap_fini(&s);
	return r;
}

static void put_reply(struct str in, size_t step, struct buf *out)
{
	struct swap s;
	swap_init(&s, "a.b", 443, &rule, 1, 1);
	for (; in.len; in = str_skip(in, step))
		swap_reply(&s, str_first(in, step), out);
	swap_reply_end(&s, out);
	swap_fini(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str bytes = str_from_len((const char *)data, size > 30000 ? 30000 : size);
	auto_buf struct buf whole = BUF_INIT(1 << 20), cut = BUF_INIT(1 << 20);
	int all = put_request(bytes, SWAP_IN_MAX, &whole), some = put_request(bytes, 3, &cut);
	BUG_IF(all != some, "a cut changed the verdict");
	BUG_IF(all == 0 && !str_eq(buf_str(&whole), buf_str(&cut)), "a cut changed the request");
	BUG_IF(str_find(bytes, rule.placeholder) < 0 && str_find(bytes, rule.value) < 0 &&
			str_find(bytes, STR("asic ")) < 0 &&
			str_find(buf_str(&whole), rule.value) >= 0,
		"a secret without a placeholder");
	buf_reset(&whole);
	buf_reset(&cut);
	put_reply(bytes, SWAP_IN_MAX, &whole);
	put_reply(bytes, 1, &cut);
	BUG_IF(whole.len != bytes.len || cut.len != bytes.len, "a reply of another length");
	BUG_IF(bytes.len >= 12 && str_find(buf_str(&whole), rule.value) >= 0, "a secret came back");
	BUG_IF(bytes.len >= 12 && str_find(buf_str(&cut), rule.value) >= 0,
		"a secret came back in pieces");
	return 0;
}
