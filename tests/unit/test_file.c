/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

static struct error err;
static char dir[] = "/tmp/cay-test-file-XXXXXX";
static int dir_fd;

static int make_dir(void **state)
{
	if (!mkdtemp(dir))
		return -1;
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
	return dir_fd < 0 ? -1 : 0;
}

static int remove_dir(void **state)
{
	close(dir_fd);
	return file_remove_tree(AT_FDCWD, dir, &err);
}

static void a_replaced_file_has_the_new_content_and_nothing_else(void **state)
{
	assert_works(file_replace(dir_fd, "f", STR("one"), 0600, &err), err);
	assert_works(file_replace(dir_fd, "f", STR("two"), 0600, &err), err);
	auto_buf struct buf b = BUF_INIT(100);
	assert_works(file_read(dir_fd, "f", &b, &err), err);
	assert_string_equal(b.ptr, "two");
	struct stat st;
	assert_int_equal(fstatat(dir_fd, "f", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void a_file_over_the_ceiling_is_refused(void **state)
{
	assert_works(file_replace(dir_fd, "big", STR("0123456789"), 0600, &err), err);
	auto_buf struct buf b = BUF_INIT(9);
	assert_fails(file_read(dir_fd, "big", &b, &err), err, TOO_LARGE, "big is over 9 bytes");
	auto_buf struct buf exact = BUF_INIT(10);
	assert_works(file_read(dir_fd, "big", &exact, &err), err);
	assert_string_equal(exact.ptr, "0123456789");
}

static void zeros_become_holes_and_nothing_else_does(void **state)
{
	enum { SIZE = 1 << 20, WORDS = 70000 };
	static char all[SIZE], back[SIZE];
	for (size_t at = 123456; at < 123456 + WORDS; at++)
		all[at] = (char)(at % 7);
	auto_fd int fd = openat(dir_fd, "holes", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	for (size_t at = 0, n; at < SIZE; at += n) {
		n = MIN((size_t)SIZE - at, 1 + at % 9973);
		assert_works(file_write_sparse(fd, str_from_len(all + at, n), &err), err);
	}
	assert_works(file_end_sparse(fd, &err), err);
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, SIZE);
	assert_in_range(st.st_blocks * 512, 1, 2 * WORDS);
	assert_int_equal(pread(fd, back, SIZE, 0), SIZE);
	assert_memory_equal(all, back, SIZE);
}

static void a_missing_file_is_named(void **state)
{
	auto_buf struct buf b = BUF_INIT(9);
	assert_fails(file_read(dir_fd, "absent", &b, &err), err, NOT_FOUND, "open absent");
}

static void a_replace_that_fails_leaves_nothing_behind(void **state)
{
	assert_int_equal(mkdirat(dir_fd, "taken", 0700), 0);
	assert_fails(file_replace(dir_fd, "taken", STR("x"), 0600, &err), err, INVALID, "taken");
	char temp[64];
	snprintf(temp, sizeof(temp), "taken.new-%d", (int)getpid());
	assert_int_equal(faccessat(dir_fd, temp, F_OK, 0), -1);
}

static void a_tree_is_removed_and_links_are_not_followed(void **state)
{
	auto_free char *deep = mem_printf("%s/tree/a/b/c", dir);
	assert_works(file_mkdirs(deep, 0700, &err), err);
	assert_works(file_mkdirs(deep, 0700, &err), err);
	assert_works(file_replace(dir_fd, "outside", STR("keep"), 0600, &err), err);
	assert_works(file_replace(dir_fd, "tree/a/f", STR("x"), 0600, &err), err);
	assert_int_equal(symlinkat("../..", dir_fd, "tree/a/up"), 0);
	assert_works(file_remove_tree(dir_fd, "tree", &err), err);
	assert_int_equal(faccessat(dir_fd, "tree", F_OK, 0), -1);
	assert_int_equal(faccessat(dir_fd, "outside", F_OK, 0), 0);
	assert_works(file_remove_tree(dir_fd, "tree", &err), err);
}

static void descriptors_travel_with_a_message(void **state)
{
	int pair[2], pipe_fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	assert_works(fd_send(pair[0], STR("hello"), &pipe_fds[1], 1, &err), err);

	char data[16];
	int fds[4], n = 4;
	assert_int_equal(fd_recv(pair[1], data, sizeof(data), fds, &n, &err), 5);
	assert_memory_equal(data, "hello", 5);
	assert_int_equal(n, 1);
	assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(fds[0], "x", 1), 1);
	assert_int_equal(read(pipe_fds[0], data, 1), 1);

	close(fds[0]);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	close(pair[0]);
	n = 4;
	assert_int_equal(fd_recv(pair[1], data, sizeof(data), fds, &n, &err), 0);
	close(pair[1]);
}

static void descriptors_beyond_the_room_are_closed(void **state)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	int before = dup(0), sent[3] = { 0, 0, 0 };
	close(before);
	assert_works(fd_send(pair[0], STR("x"), sent, 3, &err), err);
	char byte;
	int fds[1], n = 1;
	assert_int_equal(fd_recv(pair[1], &byte, 1, fds, &n, &err), 1);
	assert_int_equal(n, 1);
	close(fds[0]);
	int after = dup(0);
	assert_int_equal(after, before);
	close(after);
	close(pair[0]);
	close(pair[1]);
}

static void a_message_that_was_cut_off_is_an_error(void **state)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_works(fd_send(pair[0], STR("longer"), NULL, 0, &err), err);
	char data[3];
	int n = 0;
	assert_fails(fd_recv(pair[1], data, sizeof(data), NULL, &n, &err), err, PROTOCOL,
		"cut off");
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_replaced_file_has_the_new_content_and_nothing_else),
		cmocka_unit_test(a_file_over_the_ceiling_is_refused),
		cmocka_unit_test(zeros_become_holes_and_nothing_else_does),
		cmocka_unit_test(a_missing_file_is_named),
		cmocka_unit_test(a_replace_that_fails_leaves_nothing_behind),
		cmocka_unit_test(a_tree_is_removed_and_links_are_not_followed),
		cmocka_unit_test(descriptors_travel_with_a_message),
		cmocka_unit_test(descriptors_beyond_the_room_are_closed),
		cmocka_unit_test(a_message_that_was_cut_off_is_an_error),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
