/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/mask.h"

#include "executor/executor.h"

void mask_secrets(const struct executor *e, struct buf *text)
{
	if (!mask_finds(&e->mask, buf_str(text), MASK_PLAIN))
		return;
	struct buf masked = BUF_INIT(text->limit);
	mask_put(&e->mask, buf_str(text), MASK_PLAIN, &masked);
	buf_fini(text);
	*text = masked;
}
