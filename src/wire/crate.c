/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/crate.h"

#include "base/auto.h"
#include "base/bug.h"

/* ---- numbers ---- */

static void put(char *to, uint64_t v, int size)
{
	for (int i = 0; i < size; i++)
		to[i] = (char)(v >> (8 * i));
}

static uint64_t get(const char *from, int size)
{
	uint64_t v = 0;
	for (int i = size - 1; i >= 0; i--)
		v = v << 8 | (unsigned char)from[i];
	return v;
}

/* ---- writing ---- */

void crate_put_item(struct buf *out, const struct pack_item *item)
{
	char head[CRATE_HEAD] = { (char)item->kind };
	size_t path = strlen(item->path), target = strlen(item->target);
	BUG_IF(path > PACK_PATH_MAX || target > PACK_PATH_MAX, "a name too long for a crate");
	put(head + 2, path, 2);
	put(head + 4, target, 2);
	put(head + 8, item->mode, 4);
	put(head + 16, item->kind == PACK_FILE ? (uint64_t)item->size : 0, 8);
	put(head + 24, (uint64_t)item->mtime_s, 8);
	buf_add(out, head, sizeof(head));
	buf_add(out, item->path, path);
	buf_add(out, item->target, target);
}

void crate_put_piece(struct buf *out, int64_t offset, int64_t length)
{
	char head[CRATE_PIECE];
	put(head, (uint64_t)offset, 8);
	put(head + 8, (uint64_t)length, 8);
	buf_add(out, head, sizeof(head));
}

void crate_put_end(struct buf *out)
{
	const char head[CRATE_HEAD] = { (char)CRATE_END };
	buf_add(out, head, sizeof(head));
}

/* ---- reading ---- */

void crate_init(struct crate *c, pack_source_fn *source, void *arg)
{
	*c = (struct crate){ .source = source, .arg = arg };
}

/* There is something in c->rest then. */
static int fill(struct crate *c, struct error *err)
{
	const void *bytes;
	if (c->rest.len)
		return 0;
	ssize_t n = c->source(c->arg, &bytes, err);
	if (n < 0)
		return -1;
	if (n == 0)
		return error_set(err, ERROR_CANCELLED, "the archive breaks off");
	c->rest = str_from_len(bytes, (size_t)n);
	return 0;
}

static int take(struct crate *c, char *to, size_t n, struct error *err)
{
	while (n) {
		if (fill(c, err) < 0)
			return -1;
		struct str part = str_first(c->rest, n);
		memcpy(to, part.ptr, part.len);
		c->rest = str_skip(c->rest, part.len);
		to += part.len;
		n -= part.len;
	}
	return 0;
}

static int take_name(struct crate *c, char name[PACK_PATH_MAX + 1], size_t len, struct error *err)
{
	if (len > PACK_PATH_MAX)
		return error_set(err, ERROR_INVALID, "archive: a path of %zu bytes", len);
	if (take(c, name, len, err) < 0)
		return -1;
	name[len] = '\0';
	if (strlen(name) != len)
		return error_set(err, ERROR_INVALID, "archive: a path with a NUL");
	return 0;
}

static int parse_head(struct crate *c, struct error *err)
{
	const char *h = c->head;
	int kind = (unsigned char)h[0];
	int64_t size = (int64_t)get(h + 16, 8);
	if (kind > PACK_OPAQUE || h[1] || get(h + 6, 2) || get(h + 12, 4) || size < 0 ||
		(kind != PACK_FILE && size))
		return error_set(err, ERROR_INVALID, "archive: an item that cannot be");
	c->item = (struct pack_item){
		.kind = (enum pack_kind)kind,
		.path = c->path,
		.target = c->target,
		.mode = (uint32_t)get(h + 8, 4) & 07777,
		.size = size,
		.mtime_s = (int64_t)get(h + 24, 8),
	};
	size_t path = get(h + 2, 2), target = get(h + 4, 2);
	if (path == 0)
		return error_set(err, ERROR_INVALID, "archive: an item without a path");
	return take_name(c, c->path, path, err) < 0 ? -1 : take_name(c, c->target, target, err);
}

/* The next piece's head. 0: the file has no more. */
static int next_piece(struct crate *c, struct error *err)
{
	if (take(c, c->head, CRATE_PIECE, err) < 0)
		return -1;
	int64_t offset = (int64_t)get(c->head, 8), length = (int64_t)get(c->head + 8, 8);
	if (length == 0) {
		c->is_file = false;
		return 0;
	}
	if (offset < c->at || length < 0 || offset > c->item.size ||
		length > c->item.size - offset || offset % CRATE_BLOCK ||
		(length % CRATE_BLOCK && offset + length != c->item.size))
		return error_set(err, ERROR_INVALID, "archive: a piece that cannot be");
	c->at = offset;
	c->left = length;
	return 1;
}

ssize_t crate_read_at(struct crate *c, int64_t *ret_offset, const void **ret_bytes,
	struct error *err)
{
	int r = c->is_file && c->left == 0 ? next_piece(c, err) : c->is_file;
	if (r <= 0 || fill(c, err) < 0)
		return r <= 0 ? r : -1;
	struct str part = str_first(c->rest, (size_t)MIN(c->left, (int64_t)c->rest.len));
	c->rest = str_skip(c->rest, part.len);
	*ret_offset = c->at;
	*ret_bytes = part.ptr;
	c->at += (int64_t)part.len;
	c->left -= (int64_t)part.len;
	return (ssize_t)part.len;
}

int crate_next(struct crate *c, struct pack_item *ret, struct error *err)
{
	const void *bytes;
	int64_t offset;
	ssize_t n;
	while ((n = crate_read_at(c, &offset, &bytes, err)) > 0)
		;
	if (n < 0 || take(c, c->head, CRATE_HEAD, err) < 0)
		return -1;
	if ((unsigned char)c->head[0] == CRATE_END)
		return 0;
	if (parse_head(c, err) < 0)
		return -1;
	c->is_file = c->item.kind == PACK_FILE;
	c->at = c->left = 0;
	*ret = c->item;
	return 1;
}
