/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/auto.h"
#include "base/file.h"
#include "sandbox/hostpath.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void the_standard_is_what_neither_system_nor_login_uses(void **state)
{
	static const struct {
		const char *path;
		bool is_allowed;
	} rows[] = {
		{ "/tmp/work", true },
		{ "/srv/data", true },
		{ "/workspace", true },
		{ "/var/tmp/x", true },
		{ "/home/ada/project", true },
		{ "/home/ada/project/.git", false },
		{ "/root/project", true },
		{ "/people/me/project", true },
		{ "/optional", true },
		{ "/etcetera/x", true },
		{ "/rooted", true },
		{ "/homes", true },
		{ "/", false },
		{ "/etc", false },
		{ "/etc/shadow", false },
		{ "/usr/local/bin", false },
		{ "/var/spool/cron", false },
		{ "/var/lib/cay", false },
		{ "/run/docker.sock", false },
		{ "/home", false },
		{ "/home/ada", false },
		{ "/home/ada/.ssh", false },
		{ "/home/ada/.config/a", false },
		{ "/var/home/ada/project", true },
		{ "/var/home", false },
		{ "/var/home/ada", false },
		{ "/var/home/ada/.ssh", false },
		{ "/root", false },
		{ "/root/.bashrc", false },
		{ "/people", false },
		{ "/people/me", false },
		{ "/people/me/.profile", false },
	};
	const struct hostpaths paths = { .home = "/people/me" };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err = { 0 };
		int r = hostpaths_check(&paths, rows[i].path, HOSTPATH_MOUNT, &err);
		if ((r == 0) != rows[i].is_allowed)
			fail_msg("%s: %s", rows[i].path, r == 0 ? "allowed" : err.text);
		if (r < 0)
			assert_int_equal(err.code, ERROR_FORBIDDEN);
	}
}

static void python_in_a_home_directory_may_be_read(void **state)
{
	static const struct {
		const char *path;
		bool is_readable;
	} rows[] = {
		{ "/root/.pyenv/versions/3.11.7", true },
		{ "/home/ada/.local/share/uv/python/cpython-3.12", true },
		{ "/people/me/.local/lib/python3.11/site-packages", true },
		{ "/home/ada/project/.venv", true },
		{ "/home/ada/project/.venv/lib/python3.11", true },
		{ "/home/ada/.pyenv", false },
		{ "/home/ada/.pyenv/versions/x/.config", false },
		{ "/home/ada/project/.pyenv/versions", false },
		{ "/home/ada/.venvs", false },
		{ "/home/ada/.ssh/.venv", false },
		{ "/home/ada/.venv/.ssh", false },
		{ "/home/ada/.local/share/keyrings", false },
		{ "/etc/.venv", false },
	};
	const struct hostpaths paths = { .home = "/people/me" };
	struct error err;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if ((hostpaths_check(&paths, rows[i].path, HOSTPATH_READ, &err) == 0) !=
			rows[i].is_readable)
			fail_msg("%s", rows[i].path);
		assert_fails(hostpaths_check(&paths, rows[i].path, HOSTPATH_MOUNT, &err), err,
			FORBIDDEN, "--host-path");
	}
}

static void what_is_named_is_allowed_and_nothing_else(void **state)
{
	static struct hostpaths paths;
	struct error err;
	assert_int_equal(hostpaths_add(&paths, "/tmp", &err), 0);
	assert_int_equal(hostpaths_check(&paths, "/tmp/x", HOSTPATH_MOUNT, &err), 0);
	assert_int_equal(hostpaths_check(&paths, "/tmp", HOSTPATH_MOUNT, &err), 0);
	assert_fails(hostpaths_check(&paths, "/tmpx", HOSTPATH_MOUNT, &err), err, FORBIDDEN,
		"--host-path");
	assert_fails(hostpaths_check(&paths, "/srv/data", HOSTPATH_MOUNT, &err), err, FORBIDDEN,
		"--host-path");
	assert_fails(hostpaths_add(&paths, "/nowhere/at/all", &err), err, NOT_FOUND,
		"/nowhere/at/all");
	static struct hostpaths none;
	assert_int_equal(hostpaths_add(&none, "none", &err), 0);
	assert_fails(hostpaths_check(&none, "/tmp", HOSTPATH_MOUNT, &err), err, FORBIDDEN,
		"--host-path");
	static struct hostpaths any;
	assert_int_equal(hostpaths_add(&any, "any", &err), 0);
	assert_int_equal(hostpaths_check(&any, "/etc", HOSTPATH_MOUNT, &err), 0);
	static struct hostpaths all;
	assert_int_equal(hostpaths_add(&all, "/", &err), 0);
	assert_int_equal(hostpaths_check(&all, "/etc", HOSTPATH_MOUNT, &err), 0);
}

static bool is_lent(const struct hostpaths *paths, const char *path, enum hostpath_use use)
{
	struct error err;
	return hostpaths_check(paths, path, use, &err) == 0;
}

static void where_cay_lives_is_lent_to_nobody_nor_is_what_holds_it(void **state)
{
	static struct hostpaths paths;
	struct error err;
	assert_int_equal(hostpaths_add(&paths, "/tmp", &err), 0);
	assert_int_equal(hostpaths_add_ours(&paths, "/tmp/a/locks", HOSTPATH_NONE, &err), 0);
	assert_int_equal(hostpaths_add_ours(&paths, "/tmp/state", HOSTPATH_LAYER, &err), 0);
	assert_int_equal(hostpaths_add_ours(&paths, "/cache/x", HOSTPATH_IMAGE, &err), 0);
	assert_fails(hostpaths_check(&paths, "/tmp/a/locks", HOSTPATH_MOUNT, &err), err, FORBIDDEN,
		"what cay itself lives by");
	static const char *const never[] = { "/tmp/a/locks/slots/7", "/tmp/a", "/tmp", "/" };
	for (size_t i = 0; i < ARRAY_LEN(never); i++)
		for (int use = HOSTPATH_IMAGE; use <= HOSTPATH_MOUNT; use++)
			assert_false(is_lent(&paths, never[i], (enum hostpath_use)use));
	assert_true(is_lent(&paths, "/tmp/a/locksmith", HOSTPATH_MOUNT));
	assert_true(is_lent(&paths, "/tmp/b", HOSTPATH_MOUNT));
	assert_true(is_lent(&paths, "/tmp/state/layers/1", HOSTPATH_LAYER));
	assert_true(is_lent(&paths, "/tmp/state/layers/1", HOSTPATH_IMAGE));
	assert_false(is_lent(&paths, "/tmp/state/layers/1", HOSTPATH_MOUNT));
	assert_true(is_lent(&paths, "/cache/x/1", HOSTPATH_IMAGE));
	assert_false(is_lent(&paths, "/cache/x/1", HOSTPATH_LAYER));
	assert_int_equal(hostpaths_add(&paths, "any", &err), 0);
	assert_true(is_lent(&paths, "/tmp/a/locks", HOSTPATH_MOUNT));
}

static void what_is_not_there_yet_is_known_by_where_it_will_be(void **state)
{
	char dir[] = "/tmp/cay-hostpath-XXXXXX", link[64], path[96];
	static struct hostpaths paths;
	struct error err;
	assert_non_null(mkdtemp(dir));
	snprintf(link, sizeof(link), "%s.link", dir);
	assert_int_equal(symlink(dir, link), 0);
	snprintf(path, sizeof(path), "%s/not/yet", link);
	assert_int_equal(hostpaths_add_ours(&paths, path, HOSTPATH_NONE, &err), 0);
	snprintf(path, sizeof(path), "%s/not/yet", dir);
	assert_string_equal(paths.ours[0].path, path);
	assert_int_equal(hostpaths_add_ours(&paths, "/nowhere/at/all", HOSTPATH_NONE, &err), 0);
	assert_string_equal(paths.ours[1].path, "/nowhere/at/all");
	assert_int_equal(unlink(link), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void what_all_users_share_is_lent_only_when_it_is_named(void **state)
{
	static struct hostpaths paths;
	struct error err;
	int fd = -1;
	assert_fails(hostpaths_open(&paths, "/tmp", HOSTPATH_MOUNT, &fd, &err), err, FORBIDDEN,
		"shared by all users");
	assert_int_equal(hostpaths_add(&paths, "/tmp", &err), 0);
	assert_int_equal(hostpaths_open(&paths, "/tmp", HOSTPATH_MOUNT, &fd, &err), 0);
	close(fd);
}

static void a_link_is_what_it_leads_to(void **state)
{
	char dir[] = "/tmp/cay-hostpath-XXXXXX", link[64];
	static struct hostpaths paths;
	struct error err;
	int fd = -1;
	assert_non_null(mkdtemp(dir));
	snprintf(link, sizeof(link), "%s/link", dir);
	assert_int_equal(symlink("/etc", link), 0);
	assert_fails(hostpaths_open(&paths, link, HOSTPATH_MOUNT, &fd, &err), err, FORBIDDEN,
		"/etc belongs to the system");
	assert_int_equal(fd, -1);
	assert_int_equal(hostpaths_open(NULL, link, HOSTPATH_MOUNT, &fd, &err), 0);
	close(fd);
	assert_int_equal(hostpaths_open(&paths, dir, HOSTPATH_MOUNT, &fd, &err), 0);
	close(fd);
	hostpaths_set_home(&paths, dir);
	assert_fails(hostpaths_open(&paths, dir, HOSTPATH_MOUNT, &fd, &err), err, FORBIDDEN,
		"home directory");
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink(dir, link), 0);
	hostpaths_set_home(&paths, link);
	assert_fails(hostpaths_open(&paths, dir, HOSTPATH_MOUNT, &fd, &err), err, FORBIDDEN,
		"home directory");
	hostpaths_set_home(&paths, "/");
	assert_int_equal(hostpaths_open(&paths, dir, HOSTPATH_MOUNT, &fd, &err), 0);
	close(fd);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(rmdir(dir), 0);
}

/* In a mount namespace of its own, where `dir` has the directories of the tests below. */
static void bind_what_the_tests_want(const char *dir)
{
	static const struct {
		const char *from, *to;
	} binds[] = { { "/etc", "etc" }, { "/usr/bin", "tools" }, { "/", "all" },
		{ "lives/cay", "state" }, { "lives", "holder" }, { "plain", "other" },
		{ "/etc", "a name\n\\040" }, { "/proc", "box/proc" } };
	static const char *const dirs[] = { "lives", "lives/cay", "lives/cay/x", "plain", "box" };
	assert_int_equal(unshare(geteuid() ? CLONE_NEWNS | CLONE_NEWUSER : CLONE_NEWNS), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(chdir(dir), 0);
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		assert_int_equal(mkdir(dirs[i], 0755), 0);
	for (size_t i = 0; i < ARRAY_LEN(binds); i++) {
		assert_int_equal(mkdir(binds[i].to, 0755), 0);
		assert_int_equal(mount(binds[i].from, binds[i].to, NULL, MS_BIND | MS_REC, NULL),
			0);
	}
}

static void expect(const struct hostpaths *paths, const char *dir, const char *name,
	enum hostpath_use use, const char *why)
{
	char path[96];
	struct error err = { 0 };
	int fd = -1;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int r = hostpaths_open(paths, path, use, &fd, &err);
	if (fd >= 0)
		close(fd);
	if ((r < 0) != !!why || (why && !strstr(err.text, why)))
		fail_msg("%s: %s", path, r < 0 ? err.text : "lent");
}

static void check_other_names(const char *dir)
{
	static struct hostpaths standard, listed;
	struct error err;
	char state[64];
	snprintf(state, sizeof(state), "%s/lives/cay", dir);
	assert_int_equal(hostpaths_add_ours(&standard, state, HOSTPATH_LAYER, &err), 0);
	assert_int_equal(hostpaths_add_ours(&listed, state, HOSTPATH_LAYER, &err), 0);
	assert_int_equal(hostpaths_add(&listed, dir, &err), 0);
	expect(&standard, dir, "etc", HOSTPATH_MOUNT, "/etc leads there: /etc belongs to the");
	expect(&standard, dir, "etc/passwd", HOSTPATH_READ, "/etc/passwd belongs to the system");
	expect(&standard, dir, "tools", HOSTPATH_READ, "/usr/bin belongs to the system");
	expect(&standard, dir, "all", HOSTPATH_READ, "/all leads there: / is");
	expect(&standard, dir, "all/root", HOSTPATH_IMAGE, "home directory");
	expect(&standard, dir, "all/var/lib", HOSTPATH_IMAGE, "/var/lib belongs to the system");
	expect(&standard, dir, "box", HOSTPATH_READ, "/proc belongs to the system");
	expect(&standard, dir, "box", HOSTPATH_IMAGE, NULL);
	expect(&standard, dir, "a name\n\\040/passwd", HOSTPATH_READ, "/etc/passwd belongs to the");
	expect(&listed, dir, "etc", HOSTPATH_MOUNT, NULL);
	const struct hostpaths *each[] = { &standard, &listed };
	for (int i = 0; i < 2; i++) {
		expect(each[i], dir, "state", HOSTPATH_MOUNT, "cay itself lives");
		expect(each[i], dir, "state/x", HOSTPATH_MOUNT, "cay itself lives");
		expect(each[i], dir, "state/x", HOSTPATH_LAYER, NULL);
		expect(each[i], dir, "holder", HOSTPATH_IMAGE, "cay itself lives");
		expect(each[i], dir, "holder/cay", HOSTPATH_MOUNT, "cay itself lives");
		expect(each[i], dir, "plain", HOSTPATH_MOUNT, NULL);
		expect(each[i], dir, "other", HOSTPATH_MOUNT, NULL);
	}
}

static void another_name_of_a_place_is_that_place(void **state)
{
	char dir[] = "/tmp/cay-hostpath-XXXXXX";
	int status;
	assert_non_null(mkdtemp(dir));
	pid_t pid = fork();
	if (pid == 0) {
		bind_what_the_tests_want(dir);
		check_other_names(dir);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	file_remove_tree(AT_FDCWD, dir, NULL);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_standard_is_what_neither_system_nor_login_uses),
		cmocka_unit_test(python_in_a_home_directory_may_be_read),
		cmocka_unit_test(what_is_named_is_allowed_and_nothing_else),
		cmocka_unit_test(where_cay_lives_is_lent_to_nobody_nor_is_what_holds_it),
		cmocka_unit_test(what_is_not_there_yet_is_known_by_where_it_will_be),
		cmocka_unit_test(what_all_users_share_is_lent_only_when_it_is_named),
		cmocka_unit_test(a_link_is_what_it_leads_to),
		cmocka_unit_test(another_name_of_a_place_is_that_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
