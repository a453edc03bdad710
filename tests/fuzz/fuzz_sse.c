/* SPDX-License-Identifier: Apache-2.0 */
/* A stream has the same events however it is cut; an event that is put is read as it was. */
#include "base/auto.h"
#include "base/bug.h"
#include "wire/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int see(void *arg, const struct sse_event *e, struct error *err)
{
	buf_printf(arg, "%zu %zu %zu ", e->event.len, e->data.len, e->id.len);
	buf_put(arg, e->event);
	buf_put(arg, e->data);
	buf_put(arg, e->id);
	return 0;
}

static int parse(struct str in, size_t step, struct buf *seen)
{
	struct sse_parser p;
	int r = 0;
	sse_parser_init(&p, 1000);
	for (; r == 0 && in.len; in = str_skip(in, step))
		r = sse_parse(&p, str_first(in, step), see, seen, NULL);
	sse_parser_fini(&p);
	return r;
}

static int keep_data(void *arg, const struct sse_event *e, struct error *err)
{
	return buf_put(arg, e->data);
}

static void check_round_trip(struct str data)
{
	for (size_t i = 0; i < data.len; i++)
		if (data.ptr[i] == '\r')
			return; /* it counts as a line end */
	auto_buf struct buf stream = BUF_INIT(8 << 20), back = BUF_INIT(1 << 20);
	struct sse_parser p;
	sse_put(&stream, "e", NULL, data);
	sse_parser_init(&p, 2 << 20);
	sse_parse(&p, buf_str(&stream), keep_data, &back, NULL);
	sse_parser_fini(&p);
	BUG_IF(!str_eq(buf_str(&back), data), "an event that comes back different");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct str in = str_from_len((const char *)data + 1, size - 1);
	auto_buf struct buf whole = BUF_INIT(16 << 20), cut = BUF_INIT(16 << 20);
	int r = parse(in, in.len, &whole);
	BUG_IF(r != parse(in, 1 + data[0] % 16, &cut), "a stream that depends on how it was cut");
	BUG_IF(r == 0 && !str_eq(buf_str(&whole), buf_str(&cut)),
		"events that depend on how they were cut");
	check_round_trip(in);
	return 0;
}
