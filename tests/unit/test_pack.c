/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/pack.h"

#include "base/buf.h"
#include "wire/crate.h"
#include "wire/zip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static struct buf archive;
static struct error err;

static int begin(void **state)
{
	archive = BUF_INIT(16 << 20);
	err = (struct error){ 0 };
	return 0;
}

static int end(void **state)
{
	buf_fini(&archive);
	return 0;
}

static int collect(void *arg, struct str bytes, struct error *e)
{
	return buf_put(arg, bytes);
}

static struct pack_writer *writer(enum pack_format format)
{
	struct pack_writer *w = NULL;
	assert_int_equal(pack_writer_new(format, collect, &archive, &w, &err), 0);
	return w;
}

/* Gives the archive in pieces of `step` bytes. */
struct pieces {
	struct str rest;
	size_t step;
};

static ssize_t give(void *arg, const void **ret_bytes, struct error *e)
{
	struct pieces *p = arg;
	struct str piece = str_first(p->rest, p->step);
	*ret_bytes = piece.ptr;
	p->rest = str_skip(p->rest, piece.len);
	return (ssize_t)piece.len;
}

static void add(struct pack_writer *w, enum pack_kind kind, const char *path, const char *target,
	const char *content)
{
	struct pack_item item = { kind, path, target, kind == PACK_DIR ? 0755 : 0640,
		(int64_t)strlen(content), 1700000000 };
	assert_int_equal(pack_add(w, &item, &err), 0);
	assert_int_equal(pack_write(w, str_from(content), &err), 0);
}

static void expect(struct pack_reader *r, enum pack_kind kind, const char *path, const char *target,
	const char *content)
{
	struct pack_item item;
	char bytes[1000] = "";
	assert_int_equal(pack_next(r, &item, &err), 1);
	assert_int_equal(item.kind, kind);
	assert_string_equal(item.path, path);
	assert_string_equal(item.target, target);
	if (kind == PACK_FILE) {
		assert_int_equal(item.mode, 0640);
		assert_int_equal(item.mtime_s, 1700000000);
		assert_int_equal(pack_read(r, bytes, sizeof(bytes), &err), strlen(content));
		assert_memory_equal(bytes, content, strlen(content));
	}
}

static void tar_comes_back_as_it_went_in_whatever_the_pieces(void **state)
{
	char long_name[600];
	memset(long_name, 'n', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	struct pack_writer *w = writer(PACK_TAR);
	add(w, PACK_DIR, "d/", "", "");
	add(w, PACK_FILE, "d/f", "", "content");
	add(w, PACK_FILE, "bytes \xff\n\xc3\xa9", "", "");
	add(w, PACK_FILE, long_name, "", "long");
	add(w, PACK_SYMLINK, "s", "../../etc/passwd", "");
	add(w, PACK_HARDLINK, "h", "d/f", "");
	assert_int_equal(pack_end(w, &err), 0);
	pack_writer_free(w);

	for (size_t step = 1; step <= archive.len; step += 97) {
		struct pieces pieces = { buf_str(&archive), step };
		struct pack_reader *r = NULL;
		struct pack_item item;
		assert_int_equal(pack_reader_new(PACK_TAR, give, &pieces, &r, &err), 0);
		expect(r, PACK_DIR, "d/", "", "");
		expect(r, PACK_FILE, "d/f", "", "content");
		expect(r, PACK_FILE, "bytes \xff\n\xc3\xa9", "", "");
		expect(r, PACK_FILE, long_name, "", "long");
		expect(r, PACK_SYMLINK, "s", "../../etc/passwd", "");
		expect(r, PACK_HARDLINK, "h", "d/f", "");
		assert_int_equal(pack_next(r, &item, &err), 0);
		pack_reader_free(r);
	}
}

static void zip_comes_back_as_it_went_in(void **state)
{
	struct pack_writer *w = writer(PACK_ZIP);
	add(w, PACK_FILE, "f", "", "content");
	add(w, PACK_FILE, "g", "", "more");
	assert_int_equal(pack_end(w, &err), 0);
	pack_writer_free(w);

	struct pieces pieces = { buf_str(&archive), 50 };
	struct pack_reader *r = NULL;
	assert_int_equal(pack_reader_new(PACK_ZIP, give, &pieces, &r, &err), 0);
	struct pack_item item;
	char bytes[100];
	assert_int_equal(pack_next(r, &item, &err), 1);
	assert_string_equal(item.path, "f");
	assert_int_equal(pack_read(r, bytes, sizeof(bytes), &err), 7);
	assert_int_equal(pack_next(r, &item, &err), 1);
	assert_string_equal(item.path, "g");
	assert_int_equal(pack_next(r, &item, &err), 0);
	pack_reader_free(r);
}

static void what_is_not_read_is_passed_over(void **state)
{
	struct pack_writer *w = writer(PACK_TAR);
	add(w, PACK_FILE, "a", "", "unread");
	add(w, PACK_FILE, "b", "", "read");
	assert_int_equal(pack_end(w, &err), 0);
	pack_writer_free(w);
	struct pieces pieces = { buf_str(&archive), 512 };
	struct pack_reader *r = NULL;
	struct pack_item item;
	assert_int_equal(pack_reader_new(PACK_TAR, give, &pieces, &r, &err), 0);
	assert_int_equal(pack_next(r, &item, &err), 1);
	expect(r, PACK_FILE, "b", "", "read");
	pack_reader_free(r);
}

static void a_cut_archive_is_an_error_and_no_end(void **state)
{
	struct pack_writer *w = writer(PACK_TAR);
	add(w, PACK_FILE, "f", "", "0123456789");
	assert_int_equal(pack_end(w, &err), 0);
	pack_writer_free(w);
	struct pieces pieces = { str_first(buf_str(&archive), 515), 512 };
	struct pack_reader *r = NULL;
	struct pack_item item;
	char bytes[100];
	assert_int_equal(pack_reader_new(PACK_TAR, give, &pieces, &r, &err), 0);
	assert_int_equal(pack_next(r, &item, &err), 1);
	ssize_t n;
	while ((n = pack_read(r, bytes, sizeof(bytes), &err)) > 0)
		;
	assert_int_equal(n, -1);
	assert_int_equal(err.code, ERROR_INVALID);
	pack_reader_free(r);
}

static void what_is_no_archive_is_refused(void **state)
{
	struct pieces pieces = { STR("this is not an archive at all, whatever it claims to be"),
		10 };
	struct pack_reader *r = NULL;
	struct pack_item item;
	int status = pack_reader_new(PACK_TAR, give, &pieces, &r, &err);
	if (status == 0)
		status = pack_next(r, &item, &err);
	assert_int_equal(status, -1);
	assert_int_equal(err.code, ERROR_INVALID);
	pack_reader_free(r);
}

static ssize_t fail_to_give(void *arg, const void **ret_bytes, struct error *e)
{
	return error_set(e, ERROR_UNAVAILABLE, "the connection broke");
}

static int fail_to_take(void *arg, struct str bytes, struct error *e)
{
	return error_set(e, ERROR_NO_SPACE, "the disk is full");
}

static void failures_of_the_callbacks_come_through(void **state)
{
	struct pack_reader *r = NULL;
	struct pack_item item;
	int status = pack_reader_new(PACK_TAR, fail_to_give, NULL, &r, &err);
	if (status == 0)
		status = pack_next(r, &item, &err);
	assert_int_equal(status, -1);
	assert_int_equal(err.code, ERROR_UNAVAILABLE);
	assert_string_equal(err.text, "the connection broke");
	pack_reader_free(r);

	struct pack_writer *w = NULL;
	assert_int_equal(pack_writer_new(PACK_TAR, fail_to_take, NULL, &w, &err), 0);
	assert_int_equal(pack_end(w, &err), -1);
	assert_int_equal(err.code, ERROR_NO_SPACE);
	pack_writer_free(w);
}

static void a_writer_that_is_given_up_writes_no_end(void **state)
{
	struct pack_writer *w = writer(PACK_TAR);
	add(w, PACK_FILE, "f", "", "0123456789");
	pack_writer_free(w);
	assert_int_equal(archive.len, 0);
}

/* ---- crates ---- */

static struct pack_reader *crate_reader(struct pieces *pieces, size_t step)
{
	struct pack_reader *r = NULL;
	*pieces = (struct pieces){ buf_str(&archive), step };
	assert_int_equal(pack_reader_new(PACK_CRATE, give, pieces, &r, &err), 0);
	return r;
}

static void put_sparse(void)
{
	struct pack_item file = { PACK_FILE, "d/sparse", "", 0640, 40000, 1700000000 };
	crate_put_item(&archive, &file);
	crate_put_piece(&archive, 4096, 4096);
	for (int i = 0; i < 4096; i++)
		buf_putc(&archive, 'x');
	crate_put_piece(&archive, 36864, 3136);
	for (int i = 0; i < 3136; i++)
		buf_putc(&archive, 'y');
	crate_put_piece(&archive, 0, 0);
}

static void a_crate_comes_back_with_its_holes_whatever_the_pieces(void **state)
{
	struct pack_item dir = { PACK_DIR, "d/", "", 01755, 0, 1700000000 },
			 link = { PACK_SYMLINK, "s", "../x", 0777, 0, 0 };
	crate_put_item(&archive, &dir);
	put_sparse();
	crate_put_item(&archive, &link);
	crate_put_end(&archive);
	for (size_t step = 1; step <= archive.len; step += 211) {
		struct pieces pieces;
		struct pack_reader *r = crate_reader(&pieces, step);
		struct pack_item item;
		const void *bytes;
		int64_t offset, xs = 0, ys = 0;
		ssize_t n;
		assert_int_equal(pack_next(r, &item, &err), 1);
		assert_int_equal(item.mode, 01755);
		assert_int_equal(pack_next(r, &item, &err), 1);
		assert_string_equal(item.path, "d/sparse");
		assert_true(item.size == 40000 && item.mtime_s == 1700000000);
		while ((n = pack_read_at(r, &offset, &bytes, &err)) > 0) {
			assert_int_equal(*(const char *)bytes, offset < 36864 ? 'x' : 'y');
			assert_true(offset == (offset < 36864 ? 4096 + xs : 36864 + ys));
			*(offset < 36864 ? &xs : &ys) += n;
		}
		assert_true(n == 0 && xs == 4096 && ys == 3136);
		assert_int_equal(pack_next(r, &item, &err), 1);
		assert_string_equal(item.target, "../x");
		assert_int_equal(pack_next(r, &item, &err), 0);
		pack_reader_free(r);
	}
}

static void a_crate_without_its_end_has_broken_off(void **state)
{
	struct pieces pieces;
	struct pack_item item;
	put_sparse();
	struct pack_reader *r = crate_reader(&pieces, 1000);
	assert_int_equal(pack_next(r, &item, &err), 1);
	assert_int_equal(pack_next(r, &item, &err), -1);
	assert_int_equal(err.code, ERROR_CANCELLED);
	pack_reader_free(r);
}

static void a_crate_whose_holes_are_a_lie_is_refused(void **state)
{
	static const struct {
		int64_t first, length, offset, next_length;
	} lies[] = {
		{ 4096, 8192, 4096, 4096 },          /* over each other */
		{ 8192, 4096, 0, 4096 },             /* back */
		{ 0, 4096, 4097, 4096 },             /* not whole blocks */
		{ 0, 4096, 8192, 1 },                /* the same */
		{ 0, 4096, 36864, 4096 },            /* beyond the end */
		{ 0, 4096, 1 << 20, 4096 },          /* far beyond it */
		{ 0, 4096, INT64_MAX - 4095, 4096 }, /* around */
		{ 0, 4096, -4096, 4096 },            /* negative */
		{ 0, 4096, 4096, INT64_MIN },        /* the same */
	};
	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		struct pack_item file = { PACK_FILE, "f", "", 0640, 40000, 0 }, item;
		struct pieces pieces;
		const void *bytes;
		int64_t offset;
		ssize_t n;
		buf_reset(&archive);
		crate_put_item(&archive, &file);
		crate_put_piece(&archive, lies[i].first, lies[i].length);
		for (int64_t k = 0; k < lies[i].length; k++)
			buf_putc(&archive, 'x');
		crate_put_piece(&archive, lies[i].offset, lies[i].next_length);
		for (int k = 0; k < 9000; k++)
			buf_putc(&archive, 'z');
		struct pack_reader *r = crate_reader(&pieces, 5000);
		assert_int_equal(pack_next(r, &item, &err), 1);
		while ((n = pack_read_at(r, &offset, &bytes, &err)) > 0)
			assert_int_equal(*(const char *)bytes, 'x');
		assert_int_equal(n, -1);
		assert_int_equal(err.code, ERROR_INVALID);
		pack_reader_free(r);
	}
}

/* ---- a zip beyond 32 bits, in a file that is nearly all hole ---- */

struct hole {
	int fd;
	char chunk[4096];
};

static ssize_t give_file(void *arg, const void **ret_bytes, struct error *e)
{
	struct hole *h = arg;
	*ret_bytes = h->chunk;
	return read(h->fd, h->chunk, sizeof(h->chunk));
}

static int64_t seek_file(void *arg, int64_t offset, int whence, struct error *e)
{
	struct hole *h = arg;
	return lseek(h->fd, offset, whence);
}

static int64_t put_at(int fd, int64_t at, struct buf *b)
{
	assert_int_equal(pwrite(fd, b->ptr, b->len, at), b->len);
	at += (int64_t)b->len;
	buf_reset(b);
	return at;
}

static void sizes_and_offsets_beyond_32_bits_are_kept(void **state)
{
	const int64_t size = ((int64_t)5 << 30) + 3;
	struct zip z;
	struct hole h = { .fd = memfd_create("zip", MFD_CLOEXEC) };
	struct pack_item big = { PACK_FILE, "big", "", 0644, size, 1700000000 };
	struct pack_item after = { PACK_FILE, "after", "", 0644, 5, 1700000000 };
	zip_init(&z);
	assert_int_equal(zip_begin(&z, &big, &archive, &err), 0);
	int64_t at = put_at(h.fd, 0, &archive);
	z.offset += (uint64_t)size; /* as if zip_count had seen the hole */
	assert_int_equal(zip_end_item(&z, &archive, &err), 0);
	assert_int_equal(zip_begin(&z, &after, &archive, &err), 0);
	zip_count(&z, STR("after"));
	buf_puts(&archive, "after");
	assert_int_equal(zip_end_item(&z, &archive, &err), 0);
	buf_put(&archive, buf_str(&z.table));
	zip_end(&z, &archive);
	put_at(h.fd, at + size, &archive);
	lseek(h.fd, 0, SEEK_SET);

	struct pack_reader *r = NULL;
	struct pack_item item;
	char bytes[10];
	assert_int_equal(pack_reader_new_zip(give_file, seek_file, &h, &r, &err), 0);
	assert_int_equal(pack_next(r, &item, &err), 1);
	assert_string_equal(item.path, "big");
	assert_true(item.size == size);
	assert_int_equal(pack_next(r, &item, &err), 1);
	assert_string_equal(item.path, "after");
	assert_int_equal(pack_read(r, bytes, sizeof(bytes), &err), 5);
	assert_memory_equal(bytes, "after", 5);
	assert_int_equal(pack_next(r, &item, &err), 0);
	pack_reader_free(r);
	zip_fini(&z);
	close(h.fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	static const struct CMUnitTest tests[] = {
		TEST(tar_comes_back_as_it_went_in_whatever_the_pieces),
		TEST(zip_comes_back_as_it_went_in),
		TEST(what_is_not_read_is_passed_over),
		TEST(a_cut_archive_is_an_error_and_no_end),
		TEST(what_is_no_archive_is_refused),
		TEST(failures_of_the_callbacks_come_through),
		TEST(a_writer_that_is_given_up_writes_no_end),
		TEST(a_crate_comes_back_with_its_holes_whatever_the_pieces),
		TEST(a_crate_without_its_end_has_broken_off),
		TEST(a_crate_whose_holes_are_a_lie_is_refused),
		TEST(sizes_and_offsets_beyond_32_bits_are_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
