/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/parcel.h"

#include "base/auto.h"
#include "base/bug.h"

static int send_out(struct parcel *p, struct error *err)
{
	if (p->out.len && worker_send(p->io, FRAME_DATA, buf_str(&p->out)) < 0)
		return error_set(err, ERROR_CANCELLED, "nobody takes the archive");
	p->bytes += (int64_t)p->out.len;
	buf_reset(&p->out);
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

int parcel_new(struct worker_io *io, enum pack_format format, struct parcel **ret,
	struct error *err)
{
	struct parcel *p = mem_new(struct parcel);
	p->io = io;
	buf_init(&p->out, FRAME_DATA_MAX);
	if (pack_writer_new(format, on_bytes, p, &p->writer, err) < 0) {
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
	return pack_add(p->writer, item, err);
}

int parcel_add_bytes(struct parcel *p, int fd, int64_t size, struct error *err)
{
	while (size > 0) {
		size_t step = (size_t)MIN(size, (int64_t)sizeof(p->chunk));
		ssize_t n = fd < 0 ? 0 : read(fd, p->chunk, step);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			p->truncated = true;
			memset(p->chunk, 0, step);
			n = (ssize_t)step;
			fd = -1;
		}
		if (pack_write(p->writer, str_from_len(p->chunk, (size_t)n), err) < 0)
			return -1;
		size -= n;
	}
	return 0;
}

int parcel_end(struct parcel *p, struct error *err)
{
	return pack_end(p->writer, err) < 0 ? -1 : send_out(p, err);
}
