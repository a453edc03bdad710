/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/pack.h"

#include <stdint.h>

struct rest {
	struct str bytes;
	size_t step;
};

static ssize_t give(void *arg, const void **ret_bytes, struct error *err)
{
	struct rest *r = arg;
	struct str piece = str_first(r->bytes, r->step);
	r->bytes = str_skip(r->bytes, piece.len);
	*ret_bytes = piece.ptr;
	return (ssize_t)piece.len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char bytes[4096];
	struct pack_item item;
	struct pack_reader *reader;
	if (size < 2)
		return 0;
	struct rest rest = { str_from_len((const char *)data + 2, size - 2), (size_t)data[1] + 1 };
	if (pack_reader_new(data[0] & 1 ? PACK_ZIP : PACK_TAR, give, &rest, &reader, NULL) < 0)
		return 0;
	while (pack_next(reader, &item, NULL) > 0)
		while (item.kind == PACK_FILE && pack_read(reader, bytes, sizeof(bytes), NULL) > 0)
			;
	pack_reader_free(reader);
	return 0;
}
