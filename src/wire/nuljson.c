/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/nuljson.h"

#include "base/bug.h"

void nuljson_init(struct nuljson *n, size_t limit)
{
	BUG_IF(limit <= NULJSON_HEAD, "a limit below what is kept of a message over it");
	*n = (struct nuljson){ 0 };
	buf_init(&n->text, limit);
}

void nuljson_fini(struct nuljson *n)
{
	buf_fini(&n->text);
}

static void take(struct nuljson *n, struct str bytes)
{
	if (n->is_cut || buf_put(&n->text, bytes) == 0)
		return;
	/* What was there and what came: together they are more than the head. */
	size_t missing = n->text.len < NULJSON_HEAD ? NULJSON_HEAD - n->text.len : 0;
	n->text.is_full = false;
	buf_put(&n->text, str_first(bytes, missing));
	buf_cut(&n->text, NULJSON_HEAD);
	n->is_cut = true;
}

static int deliver(struct nuljson *n, nuljson_fn *fn, void *arg, struct error *err)
{
	int r = n->text.len ? fn(arg, buf_str(&n->text), n->is_cut, err) : 0;
	buf_reset(&n->text);
	n->is_cut = false;
	return r;
}

int nuljson_parse(struct nuljson *n, struct str piece, nuljson_fn *fn, void *arg, struct error *err)
{
	while (piece.len) {
		ptrdiff_t end = str_find_char(piece, '\0');
		if (end < 0) {
			take(n, piece);
			return 0;
		}
		take(n, str_first(piece, (size_t)end));
		piece = str_skip(piece, (size_t)end + 1);
		if (deliver(n, fn, arg, err) < 0)
			return -1;
	}
	return 0;
}

int nuljson_put(struct buf *out, struct str text)
{
	buf_put(out, text);
	return buf_putc(out, '\0');
}
