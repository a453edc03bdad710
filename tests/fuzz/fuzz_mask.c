/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first line is a secret; it is in nothing that comes out of the rest, whole or in two pieces.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "wire/mask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As a stream is masked: what may be the beginning of one waits for its rest. */
static void put_pieces(const struct mask *m, struct str text, size_t at, struct buf *out)
{
	auto_buf struct buf rest = BUF_INIT(SIZE_MAX / 4);
	mask_put(m, str_first(text, at), MASK_PLAIN, out);
	size_t held = mask_tail(m, buf_str(out));
	BUG_IF(held > out->len, "more is held back than there is");
	buf_put(&rest, str_skip(buf_str(out), out->len - held));
	buf_cut(out, out->len - held);
	buf_put(&rest, str_skip(text, at));
	mask_put(m, buf_str(&rest), MASK_PLAIN, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_from_len((const char *)data, size), secret;
	auto_buf struct buf whole = BUF_INIT(SIZE_MAX / 4), pieces = BUF_INIT(SIZE_MAX / 4);
	struct mask m = { 0 };
	if (!str_split(&rest, '\n', &secret) || !rest.ptr)
		return 0;
	mask_add(&m, secret);
	mask_put(&m, rest, MASK_PLAIN, &whole);
	put_pieces(&m, rest, data[0] % (rest.len + 1), &pieces);
	/* A secret that is part of the mark itself stands in every mark. */
	if (m.n && str_find(STR(MASK_TEXT), secret) < 0 && str_find(secret, STR("<")) < 0 &&
		str_find(secret, STR(">")) < 0) {
		BUG_IF(str_find(buf_str(&whole), secret) >= 0, "a secret is shown");
		BUG_IF(str_find(buf_str(&pieces), secret) >= 0, "a secret in two pieces is shown");
	}
	BUG_IF(!m.n && !str_eq(buf_str(&whole), rest), "what is no secret was changed");
	mask_fini(&m);
	return 0;
}
