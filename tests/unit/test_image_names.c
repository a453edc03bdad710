/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image_names.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FULL(literal) STR(literal ":1")

static struct image one, two;
static struct error err;
static char dir[] = "/tmp/cay-names-XXXXXX";
static int dir_fd;
static struct image_names *names;

static struct image *find(void *arg, struct str id)
{
	return str_is(id, one.id) ? &one : str_is(id, two.id) ? &two : NULL;
}

static void begin_again(void)
{
	image_names_free(names);
	names = image_names_new(dir_fd);
	image_names_load(names, find, NULL);
}

static int begin(void **state)
{
	memset(dir + sizeof(dir) - 7, 'X', 6);
	memset(one.id, '1', sizeof(one.id) - 1);
	memset(two.id, '2', sizeof(two.id) - 1);
	if (!mkdtemp(dir))
		return -1;
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	begin_again();
	return dir_fd < 0 ? -1 : 0;
}

static int end(void **state)
{
	image_names_free(names);
	names = NULL;
	close(dir_fd);
	return file_remove_tree(AT_FDCWD, dir, &err);
}

static ino_t number_of(const char *file)
{
	struct stat st;
	return fstatat(dir_fd, file, &st, 0) == 0 ? st.st_ino : 0;
}

static void cut_power(const char *file)
{
	int fd = openat(dir_fd, file, O_WRONLY | O_TRUNC);
	assert_true(fd >= 0);
	close(fd);
}

/* Nothing can be written in place of `names`: a directory has the name that the new one has. */
static void block(bool is_blocked)
{
	char name[64];
	snprintf(name, sizeof(name), "names.new-%d", (int)getpid());
	if (is_blocked)
		assert_int_equal(mkdirat(dir_fd, name, 0700), 0);
	else
		assert_int_equal(unlinkat(dir_fd, name, AT_REMOVEDIR), 0);
}

static void what_had_been_flushed_outlives_a_power_cut_after_any_number_of_changes(void **state)
{
	assert_works(image_names_set(names, &FULL("a"), 1, &one, &err), err);
	assert_false(image_names_flushed(names));
	ino_t flushed = number_of("names");
	assert_works(image_names_set(names, &FULL("b"), 1, &one, &err), err);
	assert_works(image_names_set(names, &FULL("c"), 1, &two, &err), err);
	assert_works(image_names_set(names, &FULL("a"), 1, &two, &err), err);
	assert_int_equal(number_of("names.old"), flushed);
	cut_power("names");
	begin_again();
	assert_ptr_equal(image_names_find(names, FULL("a")), &one);
	assert_null(image_names_find(names, FULL("b")));
}

static void what_a_server_finds_is_on_the_disk(void **state)
{
	assert_works(image_names_set(names, &FULL("a"), 1, &one, &err), err);
	assert_works(image_names_set(names, &FULL("b"), 1, &one, &err), err);
	ino_t found = number_of("names");
	begin_again();
	assert_works(image_names_set(names, &FULL("c"), 1, &one, &err), err);
	assert_int_equal(number_of("names.old"), found);
}

static void a_change_that_cannot_be_written_has_not_been_made(void **state)
{
	const struct str both[] = { FULL("a"), FULL("b") };
	for (int is_flushed = 0; is_flushed < 2; is_flushed++) {
		assert_works(image_names_set(names, &FULL("a"), 1, &one, &err), err);
		if (is_flushed)
			image_names_flushed(names);
		block(true);
		assert_fails(image_names_set(names, &FULL("b"), 1, &one, &err), err, INVALID,
			"names");
		assert_fails(image_names_set(names, &FULL("a"), 1, &two, &err), err, INVALID,
			"names");
		assert_fails(image_names_set(names, &FULL("a"), 1, NULL, &err), err, INVALID,
			"names");
		assert_fails(image_names_set(names, both, 2, &two, &err), err, INVALID, "names");
		for (int i = 0; i < 2; i++) {
			assert_null(image_names_find(names, FULL("b")));
			assert_ptr_equal(image_names_find(names, FULL("a")), &one);
			begin_again(); /* nor for the next */
		}
		block(false);
	}
}

static void names_of_an_image_that_went_from_a_full_disk_go_later(void **state)
{
	assert_works(image_names_set(names, &FULL("a"), 1, &one, &err), err);
	assert_works(image_names_set(names, &FULL("b"), 1, &two, &err), err);
	block(true);
	image_names_drop(names, &one);
	assert_int_equal(image_names_count(names, &one), 0);
	block(false);
	assert_true(image_names_flushed(names));
	begin_again();
	assert_null(image_names_find(names, FULL("a")));
	assert_ptr_equal(image_names_find(names, FULL("b")), &two);
}

static void a_name_of_a_damaged_image_stays_until_it_is_given_away_or_removed(void **state)
{
	static struct image other;
	memset(other.id, '3', sizeof(other.id) - 1);
	assert_works(image_names_set(names, &FULL("a"), 1, &other, &err), err);
	assert_works(image_names_set(names, &FULL("b"), 1, &other, &err), err);
	begin_again();
	assert_works(image_names_set(names, &FULL("c"), 1, &one, &err), err);
	begin_again();
	assert_string_equal(image_names_lost(names, FULL("a")), other.id);
	assert_works(image_names_set(names, &FULL("a"), 1, &two, &err), err);
	assert_works(image_names_set(names, &FULL("b"), 1, NULL, &err), err);
	begin_again();
	assert_null(image_names_lost(names, FULL("a")));
	assert_null(image_names_lost(names, FULL("b")));
	assert_ptr_equal(image_names_find(names, FULL("a")), &two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, begin, end)
		T(what_had_been_flushed_outlives_a_power_cut_after_any_number_of_changes),
		T(what_a_server_finds_is_on_the_disk),
		T(a_change_that_cannot_be_written_has_not_been_made),
		T(names_of_an_image_that_went_from_a_full_disk_go_later),
		T(a_name_of_a_damaged_image_stays_until_it_is_given_away_or_removed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
