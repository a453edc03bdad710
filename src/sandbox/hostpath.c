/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/hostpath.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "sandbox/mounted.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* https://refspecs.linuxfoundation.org/FHS_3.0/: what it runs, how it is set up, what it keeps. */
static const char *const systems[] = { "/bin", "/boot", "/dev", "/efi", "/etc", "/gnu", "/lib",
	"/lib32", "/lib64", "/libx32", "/nix", "/opt", "/proc", "/run", "/sbin", "/snap", "/sys",
	"/usr" };

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

/* The second where /home leads there: distributions that keep all that changes in /var. */
static const char *const homes[] = { "/home", "/var/home" };

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

/* Of what is not there yet, where it will be: as far as there is something, links are followed. */
static int put_future(char ret[HOST_PATH_SIZE], const char *path, struct error *err)
{
	char there[HOST_PATH_SIZE];
	struct error why;
	auto_free char *begin = mem_strdup(path);
	if (put_real(ret, path, &why) == 0)
		return 0;
	for (char *slash; (slash = strrchr(begin, '/')) && slash != begin;) {
		*slash = '\0';
		if (put_real(there, begin, &why) == 0)
			break;
	}
	const char *rest = path + strlen(begin);
	if (!strrchr(begin, '/') || put_real(there, begin, &why) < 0) {
		there[0] = '\0';
		rest = path;
	}
	return snprintf(ret, HOST_PATH_SIZE, "%s%s", there, rest) < HOST_PATH_SIZE
		? 0
		: error_set(err, ERROR_INVALID, "%.60s…: longer than %d bytes", path,
			  HOST_PATH_SIZE - 1);
}

int hostpaths_add_ours(struct hostpaths *p, const char *path, enum hostpath_use use,
	struct error *err)
{
	BUG_IF(p->n_ours == HOSTPATHS_OURS_MAX, "more of our own than there is room for");
	if (put_future(p->ours[p->n_ours].path, path, err) < 0)
		return -1;
	p->ours[p->n_ours++].use = use;
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
	if (p->home[0] && file_beneath(path, p->home))
		return path + strlen(p->home);
	if (file_beneath(path, "/root"))
		return path + strlen("/root");
	for (size_t i = 0; i < ARRAY_LEN(homes); i++) {
		const char *name = file_beneath(path, homes[i]);
		if (name && *name)
			return name + 1 + strcspn(name + 1, "/");
	}
	return NULL;
}

/*
 * Where tools keep interpreters of Python and their packages beneath a home directory, and nothing
 * else. `cay tool host` shows them to a sandbox, so that it has what its caller's Python has.
 */
static const char *const pythons[] = {
	"/.asdf/installs",
	"/.cache/pypoetry/virtualenvs",
	"/.conda/envs",
	"/.local/lib",
	"/.local/pipx/venvs",
	"/.local/share/mise/installs",
	"/.local/share/pipx/venvs",
	"/.local/share/uv/python",
	"/.local/share/uv/tools",
	"/.local/share/virtualenvs",
	"/.pyenv/versions",
	"/.virtualenvs",
};

/*
 * `rest`: beneath a home directory, and hidden there. One of those, or a project's .venv; and
 * nothing hidden in it.
 */
static bool is_python(const char *rest)
{
	const char *hidden = strstr(rest, "/.");
	if (file_beneath(hidden, "/.venv"))
		return !strstr(hidden + 1, "/.");
	for (size_t i = 0; i < ARRAY_LEN(pythons); i++)
		if (file_beneath(rest, pythons[i]))
			return !strstr(rest + strlen(pythons[i]), "/.");
	return false;
}

static int check_standard(const struct hostpaths *p, const char *path, enum hostpath_use use,
	struct error *err)
{
	bool holds_home = !strcmp(path, "/") || file_beneath(p->home, path);
	for (size_t i = 0; i < ARRAY_LEN(homes); i++)
		holds_home |= !strcmp(path, homes[i]);
	if (holds_home)
		return refuse(path, "is or holds a home directory", err);
	for (size_t i = 0; i < ARRAY_LEN(systems); i++)
		if (file_beneath(path, systems[i]))
			return refuse(path, "belongs to the system", err);
	if (file_beneath(path, "/var") && !file_beneath(path, "/var/tmp") &&
		!file_beneath(path, "/var/home"))
		return refuse(path, "belongs to the system", err);
	const char *rest = beneath_home(p, path);
	if (rest && !*rest)
		return refuse(path, "is or holds a home directory", err);
	if (rest && strstr(rest, "/.") && !(use == HOSTPATH_READ && is_python(rest)))
		return refuse(path, "is hidden in a home directory", err);
	return 0;
}

static int refuse_ours(const char *path, const char *ours, struct error *err)
{
	return error_set(err, ERROR_FORBIDDEN,
		"%.90s is or holds what cay itself lives by, %.90s; what sandboxes may be given, `cay serve --host-path` says",
		path, ours);
}

/* 1: it is one that is good for this; 0: it has nothing to do with us. */
static int check_ours(const struct hostpaths *p, const char *path, enum hostpath_use use,
	struct error *err)
{
	for (int i = 0; i < p->n_ours; i++)
		if (use <= p->ours[i].use && file_beneath(path, p->ours[i].path))
			return 1;
	for (int i = 0; i < p->n_ours; i++)
		if (file_beneath(path, p->ours[i].path) || file_beneath(p->ours[i].path, path) ||
			!path[1])
			return refuse_ours(path, p->ours[i].path, err);
	return 0;
}

/* 1: it is one of ours, and nothing else is to be asked. */
static int check(const struct hostpaths *p, const char *path, enum hostpath_use use,
	struct error *err)
{
	if (p->kind == HOSTPATHS_ANY)
		return 1;
	int ours = check_ours(p, path, use, err);
	if (ours != 0)
		return ours;
	for (int i = 0; i < p->n; i++)
		if (file_beneath(path, p->dirs[i]) || !strcmp(p->dirs[i], "/"))
			return 0;
	return p->kind == HOSTPATHS_LISTED ? refuse(path, "is in no directory that was named", err)
					   : check_standard(p, path, use, err);
}

int hostpaths_check(const struct hostpaths *p, const char *path, enum hostpath_use use,
	struct error *err)
{
	return check(p, path, use, err) < 0 ? -1 : 0;
}

/* One like /tmp, by default: whose it is may replace what others have in it. */
static int check_shared(const struct hostpaths *p, const char *path, int fd, struct error *err)
{
	struct stat st;
	if (p->kind != HOSTPATHS_STANDARD)
		return 0;
	if (fstat(fd, &st) < 0)
		return error_sys(err, errno, "stat %s", path);
	return S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX) && (st.st_mode & S_IWOTH)
		? refuse(path, "is shared by all users of the host", err)
		: 0;
}

/* The name of what is open, without links. */
static int real_name(int fd, char real[PATH_MAX], struct error *err)
{
	char link[32];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, real, PATH_MAX);
	if (n <= 0 || n == PATH_MAX || real[0] != '/')
		return error_set(err, ERROR_FORBIDDEN, "nobody knows where it leads");
	real[n] = '\0';
	return 0;
}

/* What hostpaths_check knows by name; beneath "/" is all that lies in its file system. */
static const char *known(const struct hostpaths *p, size_t i)
{
	static const char *const more[] = { "/", "/home", "/root", "/var" };
	if (i < ARRAY_LEN(more))
		return more[i];
	i -= ARRAY_LEN(more);
	if (i < ARRAY_LEN(systems))
		return systems[i];
	i -= ARRAY_LEN(systems);
	if (i == 0)
		return p->home;
	return --i < (size_t)p->n_ours ? p->ours[i].path : NULL;
}

/* By that other name; where directories were named, it is only asked whether it is ours. */
static int check_name(const struct hostpaths *p, const char *path, const char *dir,
	const char *rest, enum hostpath_use use, struct error *err)
{
	char name[PATH_MAX];
	if (snprintf(name, sizeof(name), "%s%s", dir[1] || !*rest ? dir : "", rest) >= PATH_MAX)
		return error_set(err, ERROR_FORBIDDEN, "its other name is too long");
	int r = check_ours(p, name, use, err);
	if (r == 0 && p->kind == HOSTPATHS_STANDARD)
		r = check_standard(p, name, use, err);
	return r < 0 ? error_wrap(err, "%.90s leads there", path) : 0;
}

/* `place`: of the path, or of what is mounted beneath it. */
static int check_place(const struct hostpaths *p, struct str table, const char *path,
	const struct mounted_place *place, enum hostpath_use use, struct error *err)
{
	struct mounted_place other;
	struct error none;
	char real[PATH_MAX];
	const char *dir, *rest;
	for (size_t i = 0; (dir = known(p, i)); i++) {
		auto_fd int fd = *dir ? open(dir, O_PATH | O_CLOEXEC) : -1;
		if (fd < 0 || real_name(fd, real, &none) < 0 ||
			mounted_find(table, fd, real, &other, &none) < 0 ||
			strcmp(other.fs, place->fs) != 0)
			continue;
		if ((rest = file_beneath(place->path, other.path))) {
			if (check_name(p, path, dir, rest, use, err) < 0)
				return -1;
		} else if (file_beneath(other.path, place->path) &&
			check_name(p, path, dir, "", HOSTPATH_MOUNT, err) < 0)
			return -1; /* it holds that one */
	}
	return 0;
}

/*
 * The same by where it is in its file system, and where the known ones are: a bind mount of the
 * operator's own may be another name of one, or be in what is lent with all that is mounted in it.
 */
static int check_aliases(const struct hostpaths *p, const char *path, int fd, enum hostpath_use use,
	struct error *err)
{
	auto_buf struct buf table = BUF_INIT(MOUNTED_TEXT_MAX);
	struct mounted_place place;
	struct mounted m;
	if (file_read(AT_FDCWD, "/proc/self/mountinfo", &table, err) < 0 ||
		mounted_find(buf_str(&table), fd, path, &place, err) < 0 ||
		check_place(p, buf_str(&table), path, &place, use, err) < 0)
		return -1;
	struct str rest = buf_str(&table);
	while (use >= HOSTPATH_READ && mounted_next(&rest, &m)) {
		if (!mounted_is_beneath(&m, path))
			continue;
		if (mounted_root(&m, &place) < 0)
			return refuse(path, "holds a mount whose name is too long", err);
		if (check_place(p, buf_str(&table), path, &place, use, err) < 0)
			return -1;
	}
	return 0;
}

int hostpaths_open(const struct hostpaths *p, const char *path, enum hostpath_use use, int *ret_fd,
	struct error *err)
{
	char real[PATH_MAX];
	auto_fd int fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, errno, "open");
	if (p) {
		if (real_name(fd, real, err) < 0)
			return -1;
		int r = check(p, real, use, err);
		if (r < 0 || check_shared(p, real, fd, err) < 0)
			return -1;
		if (r == 0 && check_aliases(p, real, fd, use, err) < 0)
			return -1;
	}
	*ret_fd = take_fd(&fd);
	return 0;
}
