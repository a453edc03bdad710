/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/auto.h"
#include "sandbox/hostpath.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
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
		{ "/root", false },
		{ "/root/.bashrc", false },
		{ "/people", false },
		{ "/people/me", false },
		{ "/people/me/.profile", false },
	};
	const struct hostpaths paths = { .home = "/people/me" };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err = { 0 };
		int r = hostpaths_check(&paths, rows[i].path, &err);
		if ((r == 0) != rows[i].is_allowed)
			fail_msg("%s: %s", rows[i].path, r == 0 ? "allowed" : err.text);
		if (r < 0)
			assert_int_equal(err.code, ERROR_FORBIDDEN);
	}
}

static void what_is_named_is_allowed_and_nothing_else(void **state)
{
	static struct hostpaths paths;
	struct error err;
	assert_int_equal(hostpaths_add(&paths, "/tmp", &err), 0);
	assert_int_equal(hostpaths_add_own(&paths, "/nowhere/yet", &err), 0);
	assert_int_equal(hostpaths_check(&paths, "/tmp/x", &err), 0);
	assert_int_equal(hostpaths_check(&paths, "/tmp", &err), 0);
	assert_int_equal(hostpaths_check(&paths, "/nowhere/yet/layers", &err), 0);
	assert_fails(hostpaths_check(&paths, "/tmpx", &err), err, FORBIDDEN, "--host-path");
	assert_fails(hostpaths_check(&paths, "/srv/data", &err), err, FORBIDDEN, "--host-path");
	assert_fails(hostpaths_add(&paths, "/nowhere/at/all", &err), err, NOT_FOUND,
		"/nowhere/at/all");
	static struct hostpaths none;
	assert_int_equal(hostpaths_add(&none, "none", &err), 0);
	assert_fails(hostpaths_check(&none, "/tmp", &err), err, FORBIDDEN, "--host-path");
	static struct hostpaths any;
	assert_int_equal(hostpaths_add(&any, "any", &err), 0);
	assert_int_equal(hostpaths_check(&any, "/etc", &err), 0);
	static struct hostpaths all;
	assert_int_equal(hostpaths_add(&all, "/", &err), 0);
	assert_int_equal(hostpaths_check(&all, "/etc", &err), 0);
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
	assert_fails(hostpaths_open(&paths, link, &fd, &err), err, FORBIDDEN,
		"/etc belongs to the system");
	assert_int_equal(fd, -1);
	assert_int_equal(hostpaths_open(NULL, link, &fd, &err), 0);
	close(fd);
	assert_int_equal(hostpaths_open(&paths, dir, &fd, &err), 0);
	close(fd);
	hostpaths_set_home(&paths, dir);
	assert_fails(hostpaths_open(&paths, dir, &fd, &err), err, FORBIDDEN, "home directory");
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink(dir, link), 0);
	hostpaths_set_home(&paths, link);
	assert_fails(hostpaths_open(&paths, dir, &fd, &err), err, FORBIDDEN, "home directory");
	hostpaths_set_home(&paths, "/");
	assert_int_equal(hostpaths_open(&paths, dir, &fd, &err), 0);
	close(fd);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_standard_is_what_neither_system_nor_login_uses),
		cmocka_unit_test(what_is_named_is_allowed_and_nothing_else),
		cmocka_unit_test(a_link_is_what_it_leads_to),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
