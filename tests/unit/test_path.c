/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every test runs twice: with openat2 and with the walk that stands in for it. The storm at the end
 * swaps directories and links while paths are resolved; what gets out would read the canary.
 */
#include "unit.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"
#include "executor/path.h"
#include "executor/remove.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct error err;
static char base[64];
static struct path_root root;

/* base/root is the root; base/secret/canary lies outside. */
static int setup_as(bool walks)
{
	snprintf(base, sizeof(base), "/tmp/cay-test-path-XXXXXX");
	if (!mkdtemp(base))
		return -1;
	int fd = open(base, O_PATH | O_DIRECTORY);
	mkdirat(fd, "root", 0755);
	mkdirat(fd, "root/dir", 0755);
	mkdirat(fd, "root/dir/sub", 0755);
	mkdirat(fd, "secret", 0755);
	file_replace(fd, "secret/canary", STR("canary"), 0644, NULL);
	file_replace(fd, "root/dir/f", STR("inside"), 0644, NULL);
	int root_fd = openat(fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(fd);
	root = path_root(root_fd);
	root.walks = walks;
	return root_fd < 0 ? -1 : 0;
}

static int setup(void **state)
{
	return setup_as(false);
}

static int setup_walk(void **state)
{
	return setup_as(true);
}

static int teardown(void **state)
{
	close_fd(root.fd);
	return file_remove_tree(AT_FDCWD, base, &err);
}

static void join(const char *cwd, const char *path, const char *wanted)
{
	char out[PATH_SIZE];
	assert_works(
		path_join(STR("/w"), cwd ? str_from(cwd) : STR_NONE, str_from(path), out, &err),
		err);
	assert_string_equal(out, wanted);
}

static void paths_start_where_they_should(void **state)
{
	join(NULL, "a", "/w/a");
	join("b", "a", "/w/b/a");
	join("/c", "a", "/c/a");
	join("/c", "/a", "/a");
	join(NULL, "./a//b/", "/w/a/b");
	join(NULL, ".", "/w");
	join(NULL, "/", "/");
	join(NULL, "../x", "/w/../x");
}

static void paths_that_are_none_are_refused(void **state)
{
	char out[PATH_SIZE], long_path[PATH_SIZE + 1];
	memset(long_path, 'x', sizeof(long_path));
	assert_fails(path_join(STR("/"), STR_NONE, STR(""), out, &err), err, INVALID, "empty");
	assert_fails(path_join(STR("/"), STR_NONE, STR("a\0b"), out, &err), err, INVALID, "NUL");
	assert_fails(path_join(STR("/"), STR_NONE, str_from_len(long_path, 4097), out, &err), err,
		INVALID, "the limit is 4095");
	assert_works(path_join(STR("/"), STR_NONE, str_from_len(long_path, 4094), out, &err), err);
	assert_fails(path_join(STR("/"), STR_NONE, str_from_len(long_path, 4095), out, &err), err,
		INVALID, "4095");
}

/* Opens, and tells what is read: "inside", "canary", or the name of the error. */
static const char *content(const char *path)
{
	static char text[16];
	auto_fd int fd = -1;
	err = (struct error){ 0 };
	if (path_open_file(&root, path, O_RDONLY, &fd, NULL, &err) < 0)
		return error_name(err.code);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static void link_at(const char *target, const char *name)
{
	unlinkat(root.fd, name, 0);
	assert_int_equal(symlinkat(target, root.fd, name), 0);
}

static void a_file_is_found(void **state)
{
	assert_string_equal(content("/dir/f"), "inside");
	assert_string_equal(content("/dir/sub/../f"), "inside");
	assert_string_equal(content("/absent"), "not_found");
}

static void dots_end_at_the_root(void **state)
{
	assert_string_equal(content("/../secret/canary"), "not_found");
	assert_string_equal(content("/../../../../dir/f"), "inside");
	assert_string_equal(content("/dir/../../../dir/f"), "inside");
}

static void links_are_followed_as_seen_from_inside(void **state)
{
	link_at("/dir/f", "absolute");
	link_at("dir/f", "relative");
	link_at("../../../../secret/canary", "out");
	link_at("/dir", "d");
	assert_string_equal(content("/absolute"), "inside");
	assert_string_equal(content("/relative"), "inside");
	assert_string_equal(content("/out"), "not_found");
	assert_string_equal(content("/d/sub/../f"), "inside");
	char outside[100];
	snprintf(outside, sizeof(outside), "%s/secret/canary", base);
	link_at(outside, "host");
	assert_string_equal(content("/host"), "not_found");
}

static void a_link_to_itself_is_an_error(void **state)
{
	auto_path_at struct path_at at = PATH_AT_NONE;
	link_at("loop", "loop");
	content("/loop");
	assert_int_equal(err.sys, ELOOP);
	assert_true(path_open_target(&root, "/loop", &at, &err) < 0);
	assert_int_equal(err.sys, ELOOP);
}

static void what_is_no_file_is_refused_without_waiting(void **state)
{
	assert_int_equal(mkfifoat(root.fd, "fifo", 0666), 0);
	int fd = -1;
	content("/fifo");
	assert_text(err.text, "open /fifo: not a regular file");
	assert_fails(path_open_file(&root, "/fifo", O_WRONLY, &fd, NULL, &err), err, INVALID,
		"not a regular file");
	content("/dir");
	assert_int_equal(err.sys, EISDIR);
	content("/dir/f/x");
	assert_int_equal(err.sys, ENOTDIR);
}

static void a_target_is_where_the_last_link_leads(void **state)
{
	auto_path_at struct path_at at = PATH_AT_NONE;
	link_at("dir/new", "first");
	link_at("first", "second");
	assert_works(path_open_target(&root, "/second", &at, &err), err);
	assert_string_equal(at.name, "new");
	assert_int_equal(mkdirat(at.dir_fd, "seen", 0755), 0);
	assert_int_equal(faccessat(root.fd, "dir/seen", F_OK, 0), 0);
	path_at_close(&at);
	assert_fails(path_open_parent(&root, "/", &at, &err), err, INVALID,
		"does not name an entry");
	assert_fails(path_open_parent(&root, "/dir/..", &at, &err), err, INVALID,
		"does not name an entry");
}

static void directories_are_made_on_the_way(void **state)
{
	link_at("/dir", "d");
	assert_int_equal(path_mkdirs(&root, "/d/x/y/z", 0755, &err), 3);
	assert_int_equal(faccessat(root.fd, "dir/x/y/z", F_OK, 0), 0);
	assert_int_equal(path_mkdirs(&root, "/d/x/y/z", 0755, &err), 0);
	assert_int_equal(path_mkdirs(&root, "/", 0755, &err), 0);
	assert_fails(path_mkdirs(&root, "/dir/f/x", 0755, &err), err, INVALID, "/dir/f");
	link_at("../../nowhere", "dangling");
	assert_true(path_mkdirs(&root, "/dangling/x", 0755, &err) < 0);
}

static void proc_is_not_read_from(void **state)
{
	int fd = open("/", O_PATH | O_DIRECTORY), got = -1;
	struct path_root host = path_root(fd);
	host.walks = root.walks;
	assert_fails(path_open_file(&host, "/proc/version", O_RDONLY, &got, NULL, &err), err,
		FORBIDDEN, "file system");
	assert_true(path_open_file(&host, "/dev/zero", O_RDONLY, &got, NULL, &err) < 0);
	close(fd);
}

static void a_tree_is_removed_however_deep(void **state)
{
	int fd = openat(root.fd, "dir", O_PATH | O_DIRECTORY);
	for (int i = 0; i < 3000; i++) {
		assert_int_equal(mkdirat(fd, "deep", 0755), 0);
		int next = openat(fd, "deep", O_PATH | O_DIRECTORY);
		close(fd);
		fd = next;
	}
	close(fd);
	link_at("../secret", "dir/link");
	struct path_at at = { root.fd, "dir" };
	int64_t count = 0;
	assert_works(remove_tree(&at, &count, &err), err);
	assert_int_equal(count, 3000 + 4);
	assert_int_equal(faccessat(root.fd, "dir", F_OK, 0), -1);
	assert_string_equal(content("/x"), "not_found");
	char canary[100];
	snprintf(canary, sizeof(canary), "%s/secret/canary", base);
	assert_int_equal(access(canary, F_OK), 0);
}

/* ---- the storm ---- */

/* dir becomes a link out, and a directory again, as fast as the machine can. */
static pid_t start_storm(void)
{
	assert_int_equal(mkdirat(root.fd, "swap", 0755), 0);
	assert_int_equal(mkdirat(root.fd, "swap/dir", 0755), 0);
	int dir_fd = openat(root.fd, "swap", O_PATH | O_DIRECTORY);
	file_replace(dir_fd, "dir/canary", STR("inside"), 0644, NULL);
	assert_int_equal(symlinkat("../../secret", root.fd, "swap/out"), 0);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			renameat2(dir_fd, "dir", dir_fd, "out", RENAME_EXCHANGE);
	}
	close(dir_fd);
	return pid;
}

static void stop_storm(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Opens by plain strings, after looking: what a careful program without openat2 might do. */
static bool naive_escapes(void)
{
	struct stat st;
	char text[16] = "";
	if (fstatat(root.fd, "swap/dir", &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
		return false;
	auto_fd int fd = openat(root.fd, "swap/dir/canary", O_RDONLY);
	return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && strcmp(text, "canary") == 0;
}

static void the_storm_catches_a_naive_open(void **state)
{
	pid_t pid = start_storm();
	int64_t until = clock_mono_ms() + 10000;
	bool is_caught = false;
	while (!is_caught && clock_mono_ms() < until)
		is_caught = naive_escapes();
	stop_storm(pid);
	assert_true(is_caught);
}

static void the_storm_leads_nowhere(void **state)
{
	pid_t pid = start_storm();
	int64_t until = clock_mono_ms() + 700;
	int seen = 0;
	while (clock_mono_ms() < until) {
		const char *text = content("/swap/dir/canary");
		if (strcmp(text, "canary") == 0) {
			stop_storm(pid);
			fail_msg("the canary was read");
		}
		seen += strcmp(text, "inside") == 0;
		auto_path_at struct path_at at = PATH_AT_NONE;
		if (path_open_target(&root, "/swap/dir/new", &at, NULL) == 0)
			close_fd(openat(at.dir_fd, at.name, O_CREAT | O_EXCL | O_WRONLY, 0600));
		path_mkdirs(&root, "/swap/dir/made/below", 0755, NULL);
	}
	stop_storm(pid);
	assert_true(seen > 0);
	char escaped[100];
	snprintf(escaped, sizeof(escaped), "%s/secret/new", base);
	assert_int_equal(access(escaped, F_OK), -1);
	snprintf(escaped, sizeof(escaped), "%s/secret/made", base);
	assert_int_equal(access(escaped, F_OK), -1);
}

#define both(f)                                              \
	cmocka_unit_test_setup_teardown(f, setup, teardown), \
		cmocka_unit_test_setup_teardown(f, setup_walk, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_start_where_they_should),
		cmocka_unit_test(paths_that_are_none_are_refused),
		both(a_file_is_found),
		both(dots_end_at_the_root),
		both(links_are_followed_as_seen_from_inside),
		both(a_link_to_itself_is_an_error),
		both(what_is_no_file_is_refused_without_waiting),
		both(a_target_is_where_the_last_link_leads),
		both(directories_are_made_on_the_way),
		both(proc_is_not_read_from),
		both(a_tree_is_removed_however_deep),
		cmocka_unit_test_setup_teardown(the_storm_catches_a_naive_open, setup, teardown),
		both(the_storm_leads_nowhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
