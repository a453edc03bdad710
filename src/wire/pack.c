/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/pack.h"

#include "base/auto.h"
#include "base/bug.h"
#include "wire/crate.h"
#include "wire/zip.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>

/* What a callback fails with is kept here: libarchive carries a number and a text of its own. */
struct pack_reader {
	struct crate *crate; /* NULL: an archive of libarchive's */
	struct archive *archive;
	struct archive_entry *entry;
	pack_source_fn *source;
	pack_seek_fn *seek;
	void *arg;
	struct error failure; /* of source; code ERROR_OK: none */
};

struct pack_writer {
	struct archive *archive; /* NULL: a zip */
	struct archive_entry *entry;
	struct zip zip;
	pack_sink_fn *sink;
	void *arg;
	struct error failure; /* of sink; code ERROR_OK: none */
	bool is_dropped;      /* nothing more is written */
	int64_t left;         /* bytes of the item that are to come */
};

static int fail(struct archive *a, const struct error *failure, const char *doing,
	struct error *err)
{
	if (failure->code != ERROR_OK) {
		if (err)
			*err = *failure;
		return -1;
	}
	const char *text = archive_error_string(a);
	return error_set(err, ERROR_INVALID, "%s: %s", doing, text ? text : "damaged");
}

static la_ssize_t on_read(struct archive *a, void *arg, const void **ret_bytes)
{
	struct pack_reader *r = arg;
	ssize_t n = r->source(r->arg, ret_bytes, &r->failure);
	if (n < 0)
		archive_set_error(a, EIO, "%s", r->failure.text);
	return n;
}

static la_int64_t on_seek(struct archive *a, void *arg, la_int64_t offset, int whence)
{
	struct pack_reader *r = arg;
	int64_t at = r->seek(r->arg, offset, whence, &r->failure);
	if (at < 0)
		archive_set_error(a, EIO, "%s", r->failure.text);
	return at < 0 ? ARCHIVE_FATAL : at;
}

static int open_reader(struct pack_reader *r, struct pack_reader **ret, struct error *err)
{
	archive_read_set_read_callback(r->archive, on_read);
	archive_read_set_callback_data(r->archive, r);
	if (archive_read_open1(r->archive) != ARCHIVE_OK) {
		fail(r->archive, &r->failure, "archive", err);
		pack_reader_free(r);
		return -1;
	}
	*ret = r;
	return 0;
}

static struct pack_reader *new_reader(pack_source_fn *source, pack_seek_fn *seek, void *arg)
{
	struct pack_reader *r = mem_new(struct pack_reader);
	*r = (struct pack_reader){ .archive = archive_read_new(),
		.source = source,
		.seek = seek,
		.arg = arg };
	BUG_IF(!r->archive, "out of memory");
	return r;
}

int pack_reader_new(enum pack_format format, pack_source_fn *source, void *arg,
	struct pack_reader **ret, struct error *err)
{
	if (format == PACK_CRATE) {
		*ret = mem_new(struct pack_reader);
		(*ret)->crate = mem_new(struct crate);
		crate_init((*ret)->crate, source, arg);
		return 0;
	}
	struct pack_reader *r = new_reader(source, NULL, arg);
	if (format == PACK_ZIP) {
		archive_read_support_format_zip_streamable(r->archive);
	} else {
		archive_read_support_format_tar(r->archive);
		archive_read_support_filter_gzip(r->archive);
		archive_read_support_filter_bzip2(r->archive);
		archive_read_support_filter_xz(r->archive);
		archive_read_support_filter_zstd(r->archive);
	}
	return open_reader(r, ret, err);
}

int pack_reader_new_zip(pack_source_fn *source, pack_seek_fn *seek, void *arg,
	struct pack_reader **ret, struct error *err)
{
	struct pack_reader *r = new_reader(source, seek, arg);
	archive_read_support_format_zip_seekable(r->archive);
	archive_read_set_seek_callback(r->archive, on_seek);
	return open_reader(r, ret, err);
}

void pack_reader_free(struct pack_reader *r)
{
	if (!r)
		return;
	archive_read_free(r->archive);
	free(r->crate);
	free(r);
}

static enum pack_kind kind_from_entry(struct archive_entry *e)
{
	if (archive_entry_hardlink(e) || archive_entry_hardlink_utf8(e))
		return PACK_HARDLINK;
	switch (archive_entry_filetype(e)) {
	case AE_IFREG:
		return PACK_FILE;
	case AE_IFDIR:
		return PACK_DIR;
	case AE_IFLNK:
		return PACK_SYMLINK;
	default:
		return PACK_OTHER;
	}
}

/* Names are bytes. Where an archive says that they are UTF-8, the C locale has no word for them. */
static const char *either(const char *bytes, const char *utf8)
{
	return bytes ? bytes : utf8 ? utf8 : "";
}

static void item_from_entry(struct archive_entry *e, struct pack_item *ret)
{
	*ret = (struct pack_item){
		.kind = kind_from_entry(e),
		.path = either(archive_entry_pathname(e), archive_entry_pathname_utf8(e)),
		.target = "",
		.mode = (uint32_t)archive_entry_perm(e),
		.size = archive_entry_size_is_set(e) ? archive_entry_size(e) : -1,
		.mtime_s = archive_entry_mtime_is_set(e) ? archive_entry_mtime(e) : 0,
	};
	if (ret->kind == PACK_HARDLINK)
		ret->target = either(archive_entry_hardlink(e), archive_entry_hardlink_utf8(e));
	else if (ret->kind == PACK_SYMLINK)
		ret->target = either(archive_entry_symlink(e), archive_entry_symlink_utf8(e));
}

int pack_next(struct pack_reader *r, struct pack_item *ret, struct error *err)
{
	if (r->crate)
		return crate_next(r->crate, ret, err);
	int status = archive_read_next_header(r->archive, &r->entry);
	if (status == ARCHIVE_EOF)
		return 0;
	if (status != ARCHIVE_OK && status != ARCHIVE_WARN)
		return fail(r->archive, &r->failure, "archive", err);
	item_from_entry(r->entry, ret);
	size_t len = strlen(ret->path);
	if (len == 0 || len > PACK_PATH_MAX || strlen(ret->target) > PACK_PATH_MAX)
		return error_set(err, ERROR_INVALID, "archive: a path of %zu bytes", len);
	return 1;
}

ssize_t pack_read(struct pack_reader *r, void *bytes, size_t size, struct error *err)
{
	la_ssize_t n = archive_read_data(r->archive, bytes, size);
	return n < 0
		? fail(r->archive, &r->failure, archive_entry_pathname(r->entry) ?: "file", err)
		: n;
}

ssize_t pack_read_at(struct pack_reader *r, int64_t *ret_offset, const void **ret_bytes,
	struct error *err)
{
	size_t n = 0;
	la_int64_t offset = 0;
	if (r->crate)
		return crate_read_at(r->crate, ret_offset, ret_bytes, err);
	int status;
	do
		status = archive_read_data_block(r->archive, ret_bytes, &n, &offset);
	while (n == 0 && status == ARCHIVE_OK);
	if (status == ARCHIVE_EOF)
		return 0;
	if (status != ARCHIVE_OK) /* a warning is a wrong sum */
		return fail(r->archive, &r->failure, archive_entry_pathname(r->entry) ?: "file",
			err);
	*ret_offset = offset;
	return (ssize_t)n;
}

/*
 * A failure is kept and not told: libarchive leaks what a writer holds that failed or was given up.
 */
static la_ssize_t on_write(struct archive *a, void *arg, const void *bytes, size_t size)
{
	struct pack_writer *w = arg;
	if (!w->is_dropped && w->failure.code == ERROR_OK)
		w->sink(w->arg, str_from_len(bytes, size), &w->failure);
	return (la_ssize_t)size;
}

/* What comes of a step: libarchive's own failure, or the one that was kept. */
static int check(struct pack_writer *w, la_ssize_t status, const char *doing, struct error *err)
{
	bool is_good = status >= ARCHIVE_OK || status == ARCHIVE_WARN;
	if (is_good && w->failure.code == ERROR_OK)
		return 0;
	return fail(w->archive, &w->failure, doing, err);
}

static int open_tar(struct pack_writer *w)
{
	w->archive = archive_write_new();
	w->entry = archive_entry_new();
	BUG_IF(!w->archive || !w->entry, "out of memory");
	archive_write_set_format_gnutar(w->archive);
	archive_write_set_bytes_per_block(w->archive, 64 * 1024);
	archive_write_set_bytes_in_last_block(w->archive, 1);
	return archive_write_open(w->archive, w, NULL, on_write, NULL);
}

int pack_writer_new(enum pack_format format, pack_sink_fn *sink, void *arg,
	struct pack_writer **ret, struct error *err)
{
	struct pack_writer *w = mem_new(struct pack_writer);
	*w = (struct pack_writer){ .sink = sink, .arg = arg };
	zip_init(&w->zip);
	if (format == PACK_TAR && open_tar(w) != ARCHIVE_OK) {
		fail(w->archive, &w->failure, "archive", err);
		pack_writer_free(w);
		return -1;
	}
	*ret = w;
	return 0;
}

/* Freeing an open libarchive writer writes the end of the archive: to nowhere. */
void pack_writer_free(struct pack_writer *w)
{
	if (!w)
		return;
	if (w->archive) {
		w->is_dropped = true;
		archive_write_free(w->archive);
		archive_entry_free(w->entry);
	}
	zip_fini(&w->zip);
	free(w);
}

/* The head of the item, and what follows it if it has no bytes to come. */
static int add_to_zip(struct pack_writer *w, const struct pack_item *item, struct error *err)
{
	auto_buf struct buf b = BUF_INIT(4 * (PACK_PATH_MAX + 1));
	if (zip_begin(&w->zip, item, &b, err) < 0)
		return -1;
	w->left = item->kind == PACK_FILE ? item->size : 0;
	if (w->left == 0 && zip_end_item(&w->zip, &b, err) < 0)
		return -1;
	return w->sink(w->arg, buf_str(&b), err);
}

static int write_to_zip(struct pack_writer *w, struct str bytes, struct error *err)
{
	auto_buf struct buf b = BUF_INIT(100);
	if (bytes.len == 0)
		return 0;
	zip_count(&w->zip, bytes);
	w->left -= (int64_t)bytes.len;
	if (w->sink(w->arg, bytes, err) < 0)
		return -1;
	if (w->left)
		return 0;
	return zip_end_item(&w->zip, &b, err) < 0 ? -1 : w->sink(w->arg, buf_str(&b), err);
}

static int end_zip(struct pack_writer *w, struct error *err)
{
	auto_buf struct buf b = BUF_INIT(200);
	zip_end(&w->zip, &b);
	if (w->sink(w->arg, buf_str(&w->zip.table), err) < 0)
		return -1;
	return w->sink(w->arg, buf_str(&b), err);
}

static void entry_from_item(const struct pack_item *item, struct archive_entry *e)
{
	static const unsigned types[] = { [PACK_FILE] = AE_IFREG,
		[PACK_DIR] = AE_IFDIR,
		[PACK_SYMLINK] = AE_IFLNK,
		[PACK_HARDLINK] = AE_IFREG };
	archive_entry_clear(e);
	archive_entry_set_pathname(e, item->path);
	archive_entry_set_filetype(e, types[item->kind]);
	archive_entry_set_perm(e, (mode_t)(item->mode & 07777));
	archive_entry_set_mtime(e, item->mtime_s, 0);
	archive_entry_set_size(e, item->kind == PACK_FILE ? item->size : 0);
	if (item->kind == PACK_SYMLINK)
		archive_entry_set_symlink(e, item->target);
	else if (item->kind == PACK_HARDLINK)
		archive_entry_set_hardlink(e, item->target);
}

int pack_add(struct pack_writer *w, const struct pack_item *item, struct error *err)
{
	BUG_IF(w->left, "an item of an archive before the one before it was whole");
	BUG_IF(item->kind > PACK_HARDLINK, "an item that no archive has");
	if (!w->archive)
		return add_to_zip(w, item, err);
	entry_from_item(item, w->entry);
	if (check(w, archive_write_header(w->archive, w->entry), item->path, err) < 0)
		return -1;
	w->left = item->kind == PACK_FILE ? item->size : 0;
	return 0;
}

int pack_write(struct pack_writer *w, struct str bytes, struct error *err)
{
	BUG_IF((int64_t)bytes.len > w->left, "more bytes for an archive than its item has");
	if (!w->archive)
		return write_to_zip(w, bytes, err);
	while (bytes.len) {
		la_ssize_t n = archive_write_data(w->archive, bytes.ptr, bytes.len);
		if (check(w, n, "archive", err) < 0)
			return -1;
		BUG_IF(n == 0, "libarchive takes no bytes of an item that has room");
		bytes = str_skip(bytes, (size_t)n);
		w->left -= n;
	}
	return 0;
}

int pack_end(struct pack_writer *w, struct error *err)
{
	BUG_IF(w->left, "the end of an archive before its last item was whole");
	if (!w->archive)
		return end_zip(w, err);
	return check(w, archive_write_close(w->archive), "archive", err);
}
