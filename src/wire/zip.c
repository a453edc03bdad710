/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/zip.h"

#include "wire/utf8.h"

#include <sys/stat.h>
#include <time.h>
#include <zlib.h>

enum {
	FLAG_SUM_FOLLOWS = 1 << 3,
	FLAG_UTF8 = 1 << 11,
	VERSION = 20,
	VERSION_64 = 45,
	MADE_BY_UNIX = 3 << 8,
	EXTRA_64 = 1,
};

#define LIMIT_32 0xffffffffu

void zip_init(struct zip *z)
{
	*z = (struct zip){ 0 };
	buf_init(&z->table, ZIP_TABLE_MAX);
}

void zip_fini(struct zip *z)
{
	buf_fini(&z->table);
}

/* The low `size` bytes, the lowest first. */
static void put(struct buf *b, uint64_t v, int size)
{
	for (int i = 0; i < size; i++)
		buf_putc(b, (char)(v >> (8 * i)));
}

static void put32(struct buf *b, uint64_t v)
{
	put(b, v < LIMIT_32 ? v : LIMIT_32, 4);
}

static uint32_t dos_time(int64_t mtime_s)
{
	time_t t = (time_t)mtime_s;
	struct tm tm;
	if (!gmtime_r(&t, &tm) || tm.tm_year < 80 || tm.tm_year > 207)
		return 1 << 21 | 1 << 16; /* 1980-01-01 */
	return (uint32_t)(tm.tm_year - 80) << 25 | (uint32_t)(tm.tm_mon + 1) << 21 |
		(uint32_t)tm.tm_mday << 16 | (uint32_t)tm.tm_hour << 11 | (uint32_t)tm.tm_min << 5 |
		(uint32_t)tm.tm_sec >> 1;
}

static bool is_ascii(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] >= 0x80)
			return false;
	return true;
}

static uint32_t attributes(const struct pack_item *item)
{
	uint32_t type = item->kind == PACK_DIR ? S_IFDIR
		: item->kind == PACK_SYMLINK   ? S_IFLNK
					       : S_IFREG;
	uint32_t mode = item->kind == PACK_SYMLINK ? 0777 : item->mode & 07777;
	return (type | mode) << 16 | (item->kind == PACK_DIR ? 0x10 : 0);
}

int zip_begin(struct zip *z, const struct pack_item *item, struct buf *out, struct error *err)
{
	struct str name = str_from(item->path), target = str_from(item->target);
	if (name.len > PACK_PATH_MAX || item->kind == PACK_HARDLINK)
		return error_set(err, ERROR_INVALID, "%.60s: not for a zip archive", item->path);
	memcpy(z->name, name.ptr, name.len + 1);
	bool is_link = item->kind == PACK_SYMLINK;
	z->now = (struct zip_item){
		.offset = z->offset,
		.size = is_link                   ? target.len
			: item->kind == PACK_FILE ? (uint64_t)item->size
						  : 0,
		.dos_time = dos_time(item->mtime_s),
		.attributes = attributes(item),
		.flags = (!is_ascii(name) && utf8_is_valid(name) ? FLAG_UTF8 : 0) |
			(item->kind == PACK_FILE ? FLAG_SUM_FOLLOWS : 0),
	};
	bool is_big = z->now.size >= LIMIT_32;
	if (is_link)
		z->now.sum = (uint32_t)crc32(0, (const Bytef *)target.ptr, (uInt)target.len);
	size_t before = out->len;
	buf_puts(out, "PK\3\4");
	put(out, is_big ? VERSION_64 : VERSION, 2);
	put(out, z->now.flags, 2);
	put(out, 0, 2); /* stored */
	put(out, z->now.dos_time, 4);
	put(out, z->now.sum, 4);
	put32(out, z->now.size);
	put32(out, z->now.size);
	put(out, name.len, 2);
	put(out, is_big ? 20 : 0, 2);
	buf_put(out, name);
	if (is_big) {
		put(out, EXTRA_64, 2);
		put(out, 16, 2);
		put(out, z->now.size, 8);
		put(out, z->now.size, 8);
	}
	if (is_link)
		buf_put(out, target);
	z->offset += out->len - before;
	return 0;
}

void zip_count(struct zip *z, struct str bytes)
{
	z->now.sum = (uint32_t)crc32(z->now.sum, (const Bytef *)bytes.ptr, (uInt)bytes.len);
	z->offset += bytes.len;
}

static void put_table_entry(struct zip *z)
{
	const struct zip_item *now = &z->now;
	struct buf *t = &z->table;
	bool is_big = now->size >= LIMIT_32, is_far = now->offset >= LIMIT_32;
	int extra = (is_big ? 16 : 0) + (is_far ? 8 : 0);
	buf_puts(t, "PK\1\2");
	put(t, MADE_BY_UNIX | VERSION_64, 2);
	put(t, extra ? VERSION_64 : VERSION, 2);
	put(t, now->flags, 2);
	put(t, 0, 2);
	put(t, now->dos_time, 4);
	put(t, now->sum, 4);
	put32(t, now->size);
	put32(t, now->size);
	put(t, strlen(z->name), 2);
	put(t, extra ? (uint64_t)extra + 4 : 0, 2);
	put(t, 0, 2); /* no comment */
	put(t, 0, 2); /* the first disk */
	put(t, 0, 2);
	put(t, now->attributes, 4);
	put32(t, now->offset);
	buf_puts(t, z->name);
	if (extra) {
		put(t, EXTRA_64, 2);
		put(t, (uint64_t)extra, 2);
	}
	if (is_big) {
		put(t, now->size, 8);
		put(t, now->size, 8);
	}
	if (is_far)
		put(t, now->offset, 8);
}

int zip_end_item(struct zip *z, struct buf *out, struct error *err)
{
	int width = z->now.size >= LIMIT_32 ? 8 : 4;
	if (z->now.flags & FLAG_SUM_FOLLOWS) {
		buf_puts(out, "PK\7\10");
		put(out, z->now.sum, 4);
		put(out, z->now.size, width);
		put(out, z->now.size, width);
		z->offset += 8 + 2 * (uint64_t)width;
	}
	put_table_entry(z);
	z->items++;
	if (z->table.is_full)
		return error_set(err, ERROR_LIMIT, "a zip archive with a table of over %d bytes",
			ZIP_TABLE_MAX);
	return 0;
}

void zip_end(struct zip *z, struct buf *out)
{
	uint64_t at = z->offset, size = z->table.len;
	if (z->items >= 0xffff || at >= LIMIT_32) {
		buf_puts(out, "PK\6\6");
		put(out, 44, 8); /* bytes that follow in this record */
		put(out, MADE_BY_UNIX | VERSION_64, 2);
		put(out, VERSION_64, 2);
		put(out, 0, 4);
		put(out, 0, 4);
		put(out, z->items, 8);
		put(out, z->items, 8);
		put(out, size, 8);
		put(out, at, 8);
		buf_puts(out, "PK\6\7");
		put(out, 0, 4);
		put(out, at + size, 8);
		put(out, 1, 4);
	}
	uint64_t items = z->items < 0xffff ? z->items : 0xffff;
	buf_puts(out, "PK\5\6");
	put(out, 0, 4);
	put(out, items, 2);
	put(out, items, 2);
	put32(out, size);
	put32(out, at);
	put(out, 0, 2);
}
