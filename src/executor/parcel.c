/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/parcel.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "wire/crate.h"

#include <sys/stat.h>

static int send_out(struct parcel *p, struct error *err)
{
	struct str out = buf_str(&p->out);
	int r = 0;
	if (out.len)
		r = p->io->stream_fd >= 0 ? file_write_all(p->io->stream_fd, out, NULL)
					  : worker_send(p->io, FRAME_DATA, out);
	if (r < 0)
		return error_set(err, ERROR_CANCELLED, "nobody takes the archive");
	p->bytes += (int64_t)out.len;
	buf_cut(&p->out, 0); /* its memory is used again */
	return 0;
}

static int on_bytes(void *arg, struct str bytes, struct error *err)
{
	struct parcel *p = arg;
	while (bytes.len) {
		struct str part = str_first(bytes, FRAME_DATA_MAX - p->out.len);
		buf_put(&p->out, part);
		bytes = str_skip(bytes, part.len);
		if (p->out.len == FRAME_DATA_MAX && send_out(p, err) < 0)
			return -1;
	}
	return 0;
}

/* Room for n more bytes in p->out. */
static int room(struct parcel *p, size_t n, struct error *err)
{
	return p->out.len + n > FRAME_DATA_MAX ? send_out(p, err) : 0;
}

int parcel_new(struct worker_io *io, enum pack_format format, struct parcel **ret,
	struct error *err)
{
	struct parcel *p = mem_new(struct parcel);
	p->io = io;
	buf_init(&p->out, FRAME_DATA_MAX);
	if (format != PACK_CRATE && pack_writer_new(format, on_bytes, p, &p->writer, err) < 0) {
		parcel_free(p);
		return -1;
	}
	*ret = p;
	return 0;
}

void parcel_free(struct parcel *p)
{
	if (!p)
		return;
	pack_writer_free(p->writer);
	buf_fini(&p->out);
	free(p);
}

int parcel_add(struct parcel *p, const struct pack_item *item, struct error *err)
{
	p->entries++;
	if (p->writer)
		return pack_add(p->writer, item, err);
	if (room(p, CRATE_ITEM_MAX, err) < 0)
		return -1;
	crate_put_item(&p->out, item);
	return 0;
}

/* Up to n bytes; what a file has lost meanwhile is zeros, told once all is there. */
static ssize_t read_some(struct parcel *p, int *fd, char *to, size_t n)
{
	ssize_t got;
	do
		got = *fd < 0 ? 0 : read(*fd, to, n);
	while (got < 0 && errno == EINTR);
	if (got > 0)
		return got;
	p->truncated = true;
	memset(to, 0, n);
	*fd = -1;
	return (ssize_t)n;
}

static int add_packed(struct parcel *p, int fd, int64_t size, struct error *err)
{
	while (size > 0) {
		size_t step = (size_t)MIN(size, (int64_t)sizeof(p->chunk));
		ssize_t n = read_some(p, &fd, p->chunk, step);
		if (pack_write(p->writer, str_from_len(p->chunk, (size_t)n), err) < 0)
			return -1;
		size -= n;
	}
	return 0;
}

static int add_piece(struct parcel *p, int fd, int64_t offset, int64_t length, struct error *err)
{
	if (room(p, CRATE_PIECE, err) < 0)
		return -1;
	crate_put_piece(&p->out, offset, length);
	while (length > 0) {
		if (room(p, 1, err) < 0)
			return -1;
		size_t step = (size_t)MIN(length, (int64_t)(FRAME_DATA_MAX - p->out.len));
		ssize_t n = read_some(p, &fd, buf_room(&p->out, step), step);
		buf_grown(&p->out, (size_t)n);
		length -= n;
	}
	return 0;
}

/*
 * From `from` on, where the next bytes are, whole blocks of them. Where a file system cannot tell
 * it is all bytes; size: there are no more.
 */
static int64_t find_piece(int fd, int64_t from, int64_t size, int64_t *ret_end)
{
	off_t data = lseek(fd, from, SEEK_DATA);
	*ret_end = size;
	if (data < 0 || data < from)
		return errno == ENXIO && data < 0 ? size : from;
	off_t hole = lseek(fd, data, SEEK_HOLE);
	if (hole > data && hole < size)
		*ret_end = MIN((hole + CRATE_BLOCK - 1) / CRATE_BLOCK * CRATE_BLOCK, size);
	return data - data % CRATE_BLOCK;
}

static int add_sparse(struct parcel *p, int fd, int64_t size, struct error *err)
{
	int64_t from = 0, end;
	while (from < size && (from = find_piece(fd, from, size, &end)) < size) {
		if (lseek(fd, from, SEEK_SET) < 0)
			return error_sys(err, errno, "seek");
		if (add_piece(p, fd, from, end - from, err) < 0)
			return -1;
		from = end;
	}
	struct stat st;
	p->truncated |= fstat(fd, &st) < 0 || st.st_size < size;
	return 0;
}

int parcel_add_bytes(struct parcel *p, int fd, int64_t size, struct error *err)
{
	struct stat st;
	if (p->writer)
		return add_packed(p, fd, size, err);
	bool is_sparse = size > CRATE_BLOCK && fstat(fd, &st) == 0 && st.st_blocks * 512 < size;
	int r = is_sparse ? add_sparse(p, fd, size, err)
		: size    ? add_piece(p, fd, 0, size, err)
			  : 0;
	return r < 0 ? -1 : add_piece(p, fd, 0, 0, err);
}

int parcel_end(struct parcel *p, struct error *err)
{
	if (p->writer)
		return pack_end(p->writer, err) < 0 ? -1 : send_out(p, err);
	if (room(p, CRATE_HEAD, err) < 0)
		return -1;
	crate_put_end(&p->out);
	return send_out(p, err);
}
