/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/mask.h"

#include "executor/executor.h"

enum { MASK_BYTES_MIN = 4 /* a shorter value is no secret, and is everywhere */ };

static void mask(struct buf *text, struct str secret)
{
	ptrdiff_t at = str_find(buf_str(text), secret);
	if (secret.len < MASK_BYTES_MIN || at < 0)
		return;
	struct buf masked = BUF_INIT(SIZE_MAX / 2);
	struct str rest = buf_str(text);
	for (; at >= 0; at = str_find(rest, secret)) {
		buf_put(&masked, str_first(rest, (size_t)at));
		buf_puts(&masked, "<secret_hidden>");
		rest = str_skip(rest, (size_t)at + secret.len);
	}
	buf_put(&masked, rest);
	buf_fini(text);
	*text = masked;
}

void mask_secrets(const struct executor *e, struct buf *text)
{
	for (size_t i = 0; i < e->secrets.n; i++)
		mask(text, str_from(env_get(&e->env, str_from(e->secrets.names[i]))));
}
