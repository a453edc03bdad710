/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/hostpath.h"

#include "base/auto.h"
#include "base/bug.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

/* https://refspecs.linuxfoundation.org/FHS_3.0/: what it runs, how it is set up, what it keeps. */
static const char *const systems[] = { "/bin", "/boot", "/dev", "/efi", "/etc", "/gnu", "/lib",
	"/lib32", "/lib64", "/libx32", "/nix", "/opt", "/proc", "/run", "/sbin", "/snap", "/sys",
	"/usr" };

static bool is_beneath(const char *path, const char *dir)
{
	size_t n = strlen(dir);
	return !strncmp(path, dir, n) && (path[n] == '/' || path[n] == '\0');
}

static int put_real(char ret[HOST_PATH_SIZE], const char *dir, struct error *err)
{
	auto_free char *real = realpath(dir, NULL);
	if (!real)
		return error_sys(err, errno, "%s", dir);
	if ((size_t)snprintf(ret, HOST_PATH_SIZE, "%s", real) >= HOST_PATH_SIZE)
		return error_set(err, ERROR_INVALID, "%.60s…: longer than %d bytes", real,
			HOST_PATH_SIZE - 1);
	return 0;
}

int hostpaths_add(struct hostpaths *p, const char *word, struct error *err)
{
	if (!strcmp(word, "any")) {
		p->kind = HOSTPATHS_ANY;
		return 0;
	}
	if (p->kind == HOSTPATHS_STANDARD)
		p->kind = HOSTPATHS_LISTED;
	if (!strcmp(word, "none"))
		return 0;
	if (p->n == HOSTPATHS_MAX)
		return error_set(err, ERROR_INVALID, "more than %d directories", HOSTPATHS_MAX);
	if (put_real(p->dirs[p->n], word, err) < 0)
		return -1;
	p->n++;
	return 0;
}

int hostpaths_add_own(struct hostpaths *p, const char *dir, struct error *err)
{
	BUG_IF(p->n_own == (int)ARRAY_LEN(p->own),
		"more directories of our own than there is room for");
	struct error why;
	if (put_real(p->own[p->n_own], dir, &why) < 0 &&
		(size_t)snprintf(p->own[p->n_own], HOST_PATH_SIZE, "%s", dir) >= HOST_PATH_SIZE)
		return error_set(err, ERROR_INVALID, "%.60s…: longer than %d bytes", dir,
			HOST_PATH_SIZE - 1);
	p->n_own++;
	return 0;
}

void hostpaths_set_home(struct hostpaths *p, const char *dir)
{
	struct error none;
	if (!dir || dir[0] != '/' || put_real(p->home, dir, &none) < 0 || !p->home[1])
		p->home[0] = '\0';
}

static int refuse(const char *path, const char *why, struct error *err)
{
	return error_set(err, ERROR_FORBIDDEN,
		"%s %s; what sandboxes may be given, `cay serve --host-path` says", path, why);
}

/* The rest of the path beneath a home directory; NULL: it is beneath none. */
static const char *beneath_home(const struct hostpaths *p, const char *path)
{
	if (p->home[0] && is_beneath(path, p->home))
		return path + strlen(p->home);
	if (is_beneath(path, "/root"))
		return path + strlen("/root");
	if (!is_beneath(path, "/home") || !path[strlen("/home")])
		return NULL;
	const char *name = path + strlen("/home/");
	return name + strcspn(name, "/");
}

static int check_standard(const struct hostpaths *p, const char *path, struct error *err)
{
	if (!strcmp(path, "/") || !strcmp(path, "/home") || is_beneath(p->home, path))
		return refuse(path, "is or holds a home directory", err);
	for (size_t i = 0; i < ARRAY_LEN(systems); i++)
		if (is_beneath(path, systems[i]))
			return refuse(path, "belongs to the system", err);
	if (is_beneath(path, "/var") && !is_beneath(path, "/var/tmp"))
		return refuse(path, "belongs to the system", err);
	const char *rest = beneath_home(p, path);
	if (rest && !*rest)
		return refuse(path, "is or holds a home directory", err);
	if (rest && strstr(rest, "/."))
		return refuse(path, "is hidden in a home directory", err);
	return 0;
}

int hostpaths_check(const struct hostpaths *p, const char *path, struct error *err)
{
	for (int i = 0; i < p->n_own; i++)
		if (is_beneath(path, p->own[i]))
			return 0;
	for (int i = 0; i < p->n; i++)
		if (is_beneath(path, p->dirs[i]) || !strcmp(p->dirs[i], "/"))
			return 0;
	switch (p->kind) {
	case HOSTPATHS_ANY:
		return 0;
	case HOSTPATHS_LISTED:
		return refuse(path, "is in no directory that was named", err);
	case HOSTPATHS_STANDARD:
		break;
	}
	return check_standard(p, path, err);
}

int hostpaths_open(const struct hostpaths *p, const char *path, int *ret_fd, struct error *err)
{
	char link[32], real[PATH_MAX];
	auto_fd int fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, errno, "open");
	if (p) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		ssize_t n = readlink(link, real, sizeof(real));
		if (n <= 0 || n == (ssize_t)sizeof(real) || real[0] != '/')
			return error_set(err, ERROR_FORBIDDEN, "nobody knows where it leads");
		real[n] = '\0';
		if (hostpaths_check(p, real, err) < 0)
			return -1;
	}
	*ret_fd = take_fd(&fd);
	return 0;
}
