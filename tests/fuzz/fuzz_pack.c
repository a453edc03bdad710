/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/pack.h"

#include "base/bug.h"

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

/* Pieces of a crate come in order and lie in the file; who unpacks checks those of libarchive. */
static void read_file(struct pack_reader *reader, enum pack_format format, bool is_copied,
	const struct pack_item *item)
{
	char bytes[4096];
	const void *piece;
	int64_t offset, end = 0;
	ssize_t n;
	if (is_copied && format != PACK_CRATE) {
		while (pack_read(reader, bytes, sizeof(bytes), NULL) > 0)
			;
		return;
	}
	while ((n = pack_read_at(reader, &offset, &piece, NULL)) > 0) {
		BUG_IF(format == PACK_CRATE && (offset < end || offset + n > item->size),
			"a piece that lies where it must not");
		end = offset + n;
		memcpy(bytes, piece, (size_t)n < sizeof(bytes) ? (size_t)n : sizeof(bytes));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum pack_format formats[] = { PACK_TAR, PACK_ZIP, PACK_CRATE, PACK_TAR };
	struct pack_item item;
	struct pack_reader *reader;
	if (size < 2)
		return 0;
	struct rest rest = { str_from_len((const char *)data + 2, size - 2), (size_t)data[1] + 1 };
	if (pack_reader_new(formats[data[0] & 3], give, &rest, &reader, NULL) < 0)
		return 0;
	while (pack_next(reader, &item, NULL) > 0)
		if (item.kind == PACK_FILE)
			read_file(reader, formats[data[0] & 3], data[0] & 4, &item);
	pack_reader_free(reader);
	return 0;
}
