/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/place.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/home.h"
#include "base/log.h"
#include "sandbox/hold.h"
#include "sandbox/listen.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { PATH_BYTES_MAX = 4096 };

int place_find(struct place *p, const struct supervise_config *config, struct error *err)
{
	auto_buf struct buf state = BUF_INIT(PATH_BYTES_MAX), path = BUF_INIT(PATH_BYTES_MAX);
	if (config->state_dir)
		buf_puts(&state, config->state_dir);
	else if (home_put_state(&state, err) < 0)
		return -1;
	p->state_dir = buf_take(&state);
	if (config->socket_path)
		buf_puts(&path, config->socket_path);
	else if (home_put_socket_of(&path, p->state_dir, err) < 0)
		return -1;
	if (strcmp(path.ptr, "none") != 0)
		p->socket_path = buf_take(&path);
	return 0;
}

static struct str docker_path(const char *where)
{
	struct str path = str_from(where);
	if (str_starts(path, STR("unix:")))
		path = str_skip(path, 5);
	return str_starts(path, STR("//")) ? str_skip(path, 2) : path;
}

int place_add_ours(const struct place *p, const struct supervise_config *config,
	struct hostpaths *paths, struct error *err)
{
	auto_buf struct buf dir = BUF_INIT(PATH_BYTES_MAX);
	auto_free char *docker = config->docker ? str_dup(docker_path(config->docker)) : NULL;
	if (hostpaths_add_ours(paths, p->state_dir, HOSTPATH_LAYER, err) < 0)
		return -1;
	if (p->socket_path && hostpaths_add_ours(paths, p->socket_path, HOSTPATH_NONE, err) < 0)
		return -1;
	if (docker && hostpaths_add_ours(paths, docker, HOSTPATH_NONE, err) < 0)
		return -1;
	return home_put_config(&dir) ? hostpaths_add_ours(paths, dir.ptr, HOSTPATH_NONE, err) : 0;
}

void place_fini(struct place *p)
{
	if (p->has_bound)
		unlink(p->socket_path);
	p->state_fd = close_fd(p->state_fd);
	free(take_ptr(p->state_dir));
	free(take_ptr(p->socket_path));
	if (p->docker_path)
		unlink(p->docker_path);
	free(take_ptr(p->docker_path));
}

/*
 * What another user's server has left here, or a copy that was made as root: this one could not
 * open it.
 */
static int check_owners(const struct place *p, uid_t owner, struct error *err)
{
	DIR *dir = opendir(p->state_dir);
	int r = dir ? 0 : error_sys(err, errno, "open %s", p->state_dir);
	struct stat st;
	for (struct dirent *e; r == 0 && (e = readdir(dir));) {
		if (!strcmp(e->d_name, "..") ||
			fstatat(p->state_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			st.st_uid == owner)
			continue;
		r = error_set(err, ERROR_CONFLICT,
			"%s/%s belongs to user %u, not to the server's: chown -R %u:%u %s",
			p->state_dir, e->d_name, st.st_uid, owner, owner, p->state_dir);
	}
	if (dir)
		closedir(dir);
	return r;
}

static int state_open(struct place *p, bool has_own_uid, struct error *err)
{
	uid_t owner = has_own_uid ? SERVER_UID : geteuid();
	gid_t group = has_own_uid ? SERVER_UID : getegid();
	struct stat st;
	if (file_mkdirs(p->state_dir, 0700, err) < 0)
		return -1;
	p->state_fd = open(p->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->state_fd < 0)
		return error_sys(err, errno, "open %s", p->state_dir);
	if (hold_take(p->state_fd, p->state_dir, err) < 0)
		return -1;
	if (fstat(p->state_fd, &st) < 0)
		return error_sys(err, errno, "stat %s", p->state_dir);
	if (st.st_uid != owner && fchown(p->state_fd, owner, group) < 0)
		return error_sys(err, errno, "give %s to user %u", p->state_dir, owner);
	if ((st.st_mode & 0777) != 0700 && fchmod(p->state_fd, 0700) < 0)
		return error_sys(err, errno, "close %s to others", p->state_dir);
	if (has_own_uid && check_owners(p, owner, err) < 0)
		return -1;
	hold_sign(p->state_fd);
	return 0;
}

static int unix_open(const char *path, struct server *server, struct error *err)
{
	const char *slash = strrchr(path, '/');
	if (slash && slash != path) {
		auto_free char *dir = mem_strndup(path, (size_t)(slash - path));
		if (file_mkdirs(dir, geteuid() == 0 ? 0755 : 0700, err) < 0)
			return -1;
	}
	if (listen_unix(path, &server->listener_fds[server->n_listeners], err) < 0)
		return -1;
	server->n_listeners++;
	return 0;
}

static int socket_open(struct place *p, struct server *server, struct error *err)
{
	if (!p->socket_path)
		return 0;
	if (unix_open(p->socket_path, server, err) < 0)
		return -1;
	p->has_bound = true;
	return 0;
}

/* The last of the listeners: the server tells it from the others by that. */
static int docker_open(struct place *p, const char *where, struct server *server, struct error *err)
{
	if (!where)
		return 0;
	struct str path = docker_path(where);
	if (!str_starts(path, STR("/")))
		return error_set(err, ERROR_INVALID, "--docker %s: neither unix:PATH nor a path",
			where);
	auto_free char *copy = str_dup(path);
	if (unix_open(copy, server, err) < 0)
		return error_wrap(err, "--docker");
	p->docker_path = take_ptr(copy);
	server->has_docker = true;
	return 0;
}

static void note_port(struct place *p, const char *where, int fd)
{
	struct sockaddr_storage address = { 0 };
	struct sockaddr_in in; /* the port lies at the same place in a sockaddr_in6 */
	socklen_t len = sizeof(address);
	size_t used = strlen(p->ports);
	if (!str_ends(str_from(where), STR(":0")) ||
		getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return;
	memcpy(&in, &address, sizeof(in));
	snprintf(p->ports + used, sizeof(p->ports) - used, " %d", ntohs(in.sin_port));
	log_info("listen.port", "where=%s port=%d", where, ntohs(in.sin_port));
}

static int tcp_open(struct place *p, const char *where, struct server *server, struct error *err)
{
	bool is_open;
	int *fd = &server->listener_fds[server->n_listeners];
	if (listen_tcp(where, fd, &is_open, err) < 0)
		return -1;
	server->n_listeners++;
	note_port(p, where, *fd);
	if (is_open)
		log_warn("listen.open",
			"where=%s text=\"other machines can connect; all that keeps them out is the token\"",
			where);
	return 0;
}

static int all_tcp_open(struct place *p, const struct supervise_config *config,
	struct server *server, struct error *err)
{
	if (config->n_listen == 0)
		return tcp_open(p, "127.0.0.1:8000", server, err);
	if (config->n_listen == 1 && !strcmp(config->listen[0], "none"))
		return server->n_listeners > 0 || config->docker
			? 0
			: error_set(err, ERROR_INVALID, "nothing to listen on");
	for (int i = 0; i < config->n_listen; i++)
		if (tcp_open(p, config->listen[i], server, err) < 0)
			return -1;
	return 0;
}

int place_open(struct place *p, const struct supervise_config *config, bool has_own_uid,
	struct server *server, struct error *err)
{
	if (state_open(p, has_own_uid, err) < 0)
		return -1;
	server->hold_fd = p->state_fd;
	if (socket_open(p, server, err) < 0 || all_tcp_open(p, config, server, err) < 0)
		return -1;
	return docker_open(p, config->docker, server, err);
}
