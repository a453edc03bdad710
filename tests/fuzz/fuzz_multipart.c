/* SPDX-License-Identifier: Apache-2.0 */
/* A form has the same parts however it is cut. The first line of the input is its Content-Type. */
#include "base/auto.h"
#include "base/bug.h"
#include "wire/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int see_part(void *arg, const struct multipart_part *part, struct error *err)
{
	buf_printf(arg, "part %zu %zu %zu ", part->name.len, part->filename.len, part->type.len);
	buf_put(arg, part->name);
	buf_put(arg, part->filename);
	return buf_put(arg, part->type);
}

static int see_data(void *arg, struct str piece, struct error *err)
{
	BUG_IF(piece.len == 0, "an empty piece of data");
	return buf_put(arg, piece);
}

static int see_end(void *arg, struct error *err)
{
	return buf_puts(arg, " end ");
}

static int parse(struct str type, struct str body, size_t step, struct buf *seen)
{
	static const struct multipart_ops ops = { see_part, see_data, see_end };
	struct multipart m;
	int r = multipart_init(&m, type, &ops, seen, NULL);
	for (; r == 0 && body.len; body = str_skip(body, step))
		r = multipart_parse(&m, str_first(body, step), NULL);
	if (r == 0)
		r = multipart_end(&m, NULL);
	multipart_fini(&m);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str body = str_from_len((const char *)data, size), type;
	if (!str_split(&body, '\n', &type) || !body.ptr)
		return 0;
	auto_buf struct buf whole = BUF_INIT(16 << 20), cut = BUF_INIT(16 << 20);
	int r = parse(type, body, SIZE_MAX / 2, &whole);
	BUG_IF(r != parse(type, body, 1 + size % 7, &cut), "a form that depends on how it was cut");
	BUG_IF(r == 0 && !str_eq(buf_str(&whole), buf_str(&cut)),
		"parts that depend on how they were cut");
	return 0;
}
