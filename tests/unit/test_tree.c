/* SPDX-License-Identifier: Apache-2.0 */
/* Each test has a directory of its own with `in`, `out`, and `outside`, which nothing may touch. */
#include "cli/tree.h"

#include "base/auto.h"
#include "base/file.h"
#include "wire/pack.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static char top[] = "/tmp/cay-tree-XXXXXX";
static int top_fd, in_fd, out_fd, archive_fd;
static struct error err;
static struct tree_count count;

static void write_file(int dir_fd, const char *path, const char *content)
{
	auto_fd int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(file_write_all(fd, str_from(content), &err), 0);
}

static int open_new_dir(const char *name)
{
	assert_int_equal(mkdirat(top_fd, name, 0755), 0);
	return openat(top_fd, name, O_RDONLY | O_DIRECTORY);
}

static int begin(void **state)
{
	err = (struct error){ 0 };
	memcpy(top + sizeof(top) - 7, "XXXXXX", 6);
	assert_non_null(mkdtemp(top));
	top_fd = open(top, O_RDONLY | O_DIRECTORY);
	in_fd = open_new_dir("in");
	out_fd = open_new_dir("out");
	close(open_new_dir("outside"));
	write_file(top_fd, "outside/secret", "secret");
	archive_fd = memfd_create("archive", 0);
	return 0;
}

static int end(void **state)
{
	close(in_fd);
	close(out_fd);
	close(archive_fd);
	close(top_fd);
	return file_remove_tree(AT_FDCWD, top, &err);
}

static void assert_content(int dir_fd, const char *path, const char *content)
{
	auto_buf struct buf b = BUF_INIT(1 << 20);
	assert_int_equal(file_read(dir_fd, path, &b, &err), 0);
	assert_string_equal(b.ptr, content);
}

static mode_t mode_of(int dir_fd, const char *path)
{
	struct stat st;
	assert_int_equal(fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mode & 07777;
}

static int to_archive(void *arg, struct str bytes, struct error *e)
{
	return file_write_all(archive_fd, bytes, e);
}

struct entry {
	enum pack_kind kind;
	const char *path, *target, *content;
	uint32_t mode;
};

/* An archive that no honest program writes. */
static int unpack_entries(const struct entry *entries, size_t n)
{
	struct pack_writer *w;
	assert_int_equal(ftruncate(archive_fd, 0), 0);
	lseek(archive_fd, 0, SEEK_SET);
	assert_int_equal(pack_writer_new(PACK_TAR, to_archive, NULL, &w, &err), 0);
	for (size_t i = 0; i < n; i++) {
		const struct entry *e = &entries[i];
		const char *content = e->content ? e->content : "";
		struct pack_item item = { e->kind, e->path, e->target ? e->target : "",
			e->mode ? e->mode : 0755, (int64_t)strlen(content), 1700000000 };
		assert_int_equal(pack_add(w, &item, &err), 0);
		assert_int_equal(pack_write(w, str_from(content), &err), 0);
	}
	assert_int_equal(pack_end(w, &err), 0);
	pack_writer_free(w);
	lseek(archive_fd, 0, SEEK_SET);
	return tree_unpack(archive_fd, out_fd, &count, &err);
}

#define UNPACK(...)                                           \
	unpack_entries((const struct entry[]){ __VA_ARGS__ }, \
		sizeof((const struct entry[]){ __VA_ARGS__ }) / sizeof(struct entry))

static void assert_outside_is_untouched(void)
{
	assert_content(top_fd, "outside/secret", "secret");
	assert_int_equal(faccessat(top_fd, "outside/new", F_OK, 0), -1);
}

static void a_tree_comes_back_as_it_was(void **state)
{
	assert_int_equal(mkdirat(in_fd, "d", 0755), 0);
	assert_int_equal(mkdirat(in_fd, "d/closed", 0755), 0);
	write_file(in_fd, "d/f", "content");
	write_file(in_fd, "d/closed/g", "more");
	assert_int_equal(fchmodat(in_fd, "d/f", 0751, 0), 0);
	assert_int_equal(fchmodat(in_fd, "d/closed", 0555, 0), 0);
	assert_int_equal(symlinkat("../outside", in_fd, "link"), 0);
	assert_int_equal(mkfifoat(in_fd, "fifo", 0644), 0);

	assert_int_equal(tree_pack(in_fd, NULL, archive_fd, &count, &err), 0);
	assert_int_equal(count.entries, 5);
	assert_int_equal(count.skipped, 1);
	lseek(archive_fd, 0, SEEK_SET);
	assert_int_equal(tree_unpack(archive_fd, out_fd, &count, &err), 0);
	assert_int_equal(count.entries, 5);

	char target[100] = "";
	assert_content(out_fd, "d/f", "content");
	assert_content(out_fd, "d/closed/g", "more");
	assert_int_equal(mode_of(out_fd, "d/f"), 0751);
	assert_int_equal(mode_of(out_fd, "d/closed"), 0555);
	assert_int_equal(readlinkat(out_fd, "link", target, sizeof(target) - 1), 10);
	assert_string_equal(target, "../outside");
	assert_int_equal(fchmodat(in_fd, "d/closed", 0755, 0), 0);
	assert_int_equal(fchmodat(out_fd, "d/closed", 0755, 0), 0);
}

static void names_that_lead_out_are_refused(void **state)
{
	static const char *const names[] = { "/tmp/evil", "../evil", "a/../../evil", "a/.." };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(UNPACK({ PACK_FILE, names[i], .content = "x" }), -1);
		assert_int_equal(err.code, ERROR_FORBIDDEN);
	}
	assert_int_equal(faccessat(top_fd, "evil", F_OK, 0), -1);
}

static void nothing_is_written_through_a_link(void **state)
{
	assert_int_equal(
		UNPACK({ PACK_SYMLINK, "l", "../outside" }, { PACK_FILE, "l/new", .content = "x" }),
		-1);
	assert_outside_is_untouched();
}

static void nothing_is_written_through_a_link_that_was_there(void **state)
{
	assert_int_equal(symlinkat("../outside", out_fd, "l"), 0);
	assert_int_equal(UNPACK({ PACK_FILE, "l/new", .content = "x" }), -1);
	assert_outside_is_untouched();
}

static void a_file_replaces_a_link_of_its_name(void **state)
{
	assert_int_equal(symlinkat("../outside/secret", out_fd, "f"), 0);
	assert_int_equal(UNPACK({ PACK_FILE, "f", .content = "mine" }), 0);
	assert_content(out_fd, "f", "mine");
	assert_outside_is_untouched();
}

static void a_directory_replaces_a_link_of_its_name(void **state)
{
	assert_int_equal(symlinkat("../outside", out_fd, "d"), 0);
	assert_int_equal(UNPACK({ PACK_DIR, "d/" }, { PACK_FILE, "d/new", .content = "x" }), 0);
	assert_content(out_fd, "d/new", "x");
	assert_outside_is_untouched();
}

/* Modes are set at the end, by name: what has the name by then may be a link. */
static void a_directory_that_became_a_link_gives_its_mode_to_nobody(void **state)
{
	mode_t before = mode_of(top_fd, "outside");
	assert_int_equal(
		UNPACK({ PACK_DIR, "d/", .mode = 0700 }, { PACK_FILE, "f", .content = "x" }), 0);
	assert_int_equal(unlinkat(out_fd, "d", AT_REMOVEDIR), 0);
	assert_int_equal(symlinkat("../outside", out_fd, "d"), 0);
	assert_int_equal(UNPACK({ PACK_DIR, "d/e/", .mode = 0700 }), -1);
	assert_int_equal(mode_of(top_fd, "outside"), before);
}

static void a_hard_link_cannot_reach_out(void **state)
{
	assert_int_equal(UNPACK({ PACK_HARDLINK, "h", "../outside/secret" }), -1);
	assert_int_equal(
		UNPACK({ PACK_SYMLINK, "l", "../outside" }, { PACK_HARDLINK, "h", "l/secret" }),
		-1);
	assert_int_equal(faccessat(out_fd, "h", F_OK, 0), -1);
}

static void a_hard_link_within_is_one(void **state)
{
	assert_int_equal(UNPACK({ PACK_FILE, "f", .content = "x" }, { PACK_HARDLINK, "h", "f" }),
		0);
	assert_content(out_fd, "h", "x");
}

static void set_id_bits_are_dropped(void **state)
{
	assert_int_equal(UNPACK({ PACK_FILE, "f", .content = "x", .mode = 06755 }), 0);
	assert_int_equal(mode_of(out_fd, "f"), 0755);
}

static void missing_directories_are_made(void **state)
{
	assert_int_equal(UNPACK({ PACK_FILE, "a/b/./c//f", .content = "x" }), 0);
	assert_content(out_fd, "a/b/c/f", "x");
}

static void a_file_does_not_replace_a_directory(void **state)
{
	assert_int_equal(mkdirat(out_fd, "d", 0755), 0);
	assert_int_equal(UNPACK({ PACK_FILE, "d", .content = "x" }), -1);
	assert_int_equal(err.code, ERROR_EXISTS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	static const struct CMUnitTest tests[] = {
		TEST(a_tree_comes_back_as_it_was),
		TEST(names_that_lead_out_are_refused),
		TEST(nothing_is_written_through_a_link),
		TEST(nothing_is_written_through_a_link_that_was_there),
		TEST(a_file_replaces_a_link_of_its_name),
		TEST(a_directory_replaces_a_link_of_its_name),
		TEST(a_directory_that_became_a_link_gives_its_mode_to_nobody),
		TEST(a_hard_link_cannot_reach_out),
		TEST(a_hard_link_within_is_one),
		TEST(set_id_bits_are_dropped),
		TEST(missing_directories_are_made),
		TEST(a_file_does_not_replace_a_directory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
