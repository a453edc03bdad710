/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ids. Root gives every sandbox a range of 65,536 host ids that no user and no other sandbox has:
 * slot n stands for the range from UID_BASE + n * UID_RANGE, and belongs to who holds the lock on
 * the file run_dir/slots/n. The lock goes with its owner, however that ends; the file then still
 * tells which cgroups there were, and the next owner removes those first. Anybody else maps a
 * single id to their own; or two, where there are ids for agents (subids.h): the slot's, and 0 to
 * their own.
 *
 * Host uid 0 is never mapped: sysctls and root's files know no user namespaces, just that number.
 */
#include "sandbox/step.h"

#include "base/auto.h"
#include "base/family.h"
#include "base/file.h"
#include "sandbox/nslimit.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { SLOT_TRIES = 6 };

static int open_slots(const char *run_dir, struct error *err)
{
	char path[HOST_PATH_SIZE + 16];
	snprintf(path, sizeof(path), "%s/slots", run_dir);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && (mkdir(path, 0700) == 0 || errno == EEXIST))
		fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? error_sys(err, errno, "open %s", path) : fd;
}

/* The lock on one slot, with nothing left of who had it before; -1 if somebody has it. */
static int try_slot(int slots, const char *name)
{
	auto_fd int fd = openat(slots, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -1;
	struct stat st;
	if (fstat(fd, &st) < 0 || (st.st_size > 0 && cgroup_remove_recorded(fd, NULL) < 0))
		return -1;
	return take_fd(&fd);
}

static bool take_slot(struct build *b, int slots, unsigned slot)
{
	if (b->plan->ids == IDS_PAIR && slot >= b->plan->host.subids.count)
		return false;
	char name[16];
	snprintf(name, sizeof(name), "%u", slot);
	b->slot_fd = try_slot(slots, name);
	if (b->slot_fd < 0)
		return false;
	b->slot = slot;
	if (b->plan->host.is_root)
		b->uid_base = UID_BASE + slot * UID_RANGE;
	return true;
}

/*
 * At random in ever larger parts, so that few tries are needed whether one sandbox is alive or
 * thousands, and few files are made (a new one is a journal entry where /run is on a disk). Then
 * each in turn.
 */
int idmap_slot(struct build *b, const struct step *s, struct error *err)
{
	static const unsigned parts[] = { 64, 512, 4096, UID_SLOTS };
	auto_fd int slots = open_slots(b->plan->host.run_dir, err);
	if (slots < 0)
		return -1;
	uint16_t random[ARRAY_LEN(parts) * SLOT_TRIES];
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return error_sys(err, errno, "getrandom");
	for (size_t i = 0; i < ARRAY_LEN(random); i++)
		if (take_slot(b, slots, random[i] % parts[i / SLOT_TRIES]))
			return 0;
	for (unsigned slot = 0; slot < UID_SLOTS; slot++)
		if (take_slot(b, slots, slot))
			return 0;
	return error_set(err, ERROR_LIMIT, "all %u ranges are in use",
		b->plan->ids == IDS_PAIR ? b->plan->host.subids.count : (unsigned)UID_SLOTS);
}

static int write_text(pid_t pid, const char *file, const char *text, struct error *err)
{
	char path[48];
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	return file_write_once(AT_FDCWD, path, str_from(text), err);
}

static int write_map(pid_t pid, const char *file, uint32_t inside, uint32_t outside, uint32_t count,
	struct error *err)
{
	char line[48];
	snprintf(line, sizeof(line), "%u %u %u\n", inside, outside, count);
	return write_text(pid, file, line, err);
}

static int write_pair(const struct build *b, const char *file, uint32_t agent, uint32_t own,
	uint32_t first, struct error *err)
{
	char lines[96];
	snprintf(lines, sizeof(lines), "0 %u 1\n%u %u 1\n", own, agent, first + b->slot);
	return write_text(b->init_pid, file, lines, err);
}

int idmap_map(struct build *b, const struct step *s, struct error *err)
{
	const struct host *h = &b->plan->host;
	if (b->plan->ids == IDS_PAIR)
		return write_pair(b, "uid_map", s->uid, h->uid, h->subids.uid, err) < 0
			? -1
			: write_pair(b, "gid_map", s->uid, h->gid, h->subids.gid, err);
	if (h->is_root)
		return write_map(b->init_pid, "uid_map", 0, b->uid_base, UID_RANGE, err) < 0
			? -1
			: write_map(b->init_pid, "gid_map", 0, b->uid_base, UID_RANGE, err);
	if (write_text(b->init_pid, "setgroups", "deny", err) < 0)
		return -1;
	return write_map(b->init_pid, "uid_map", s->uid, h->uid, 1, err) < 0
		? -1
		: write_map(b->init_pid, "gid_map", s->uid, h->gid, 1, err);
}

static int open_userns(pid_t pid, int *ret_fd, struct error *err)
{
	char path[48];
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	*ret_fd = open(path, O_RDONLY | O_CLOEXEC);
	return *ret_fd < 0 ? error_sys(err, errno, "open %s", path) : 0;
}

/*
 * One owner; and where the sandbox's root is not that owner, it needs an id of its own there, or it
 * could make no file at all: the one that it has on the host.
 */
static int write_owner(const struct build *b, const struct step *s, pid_t pid, const char *file,
	uint32_t owner, struct error *err)
{
	char lines[96];
	uint32_t agent = b->uid_base + s->uid;
	if (!s->uid || b->plan->spec.user != USER_ROOT)
		return write_map(pid, file, owner, agent, 1, err);
	snprintf(lines, sizeof(lines), "%u %u 1\n%u %u 1\n", owner, agent, b->uid_base,
		b->uid_base);
	return write_text(pid, file, lines, err);
}

/*
 * A user namespace that maps an owner, for an idmapped mount: held by a child as long as it takes.
 */
static int make_owner_userns(const struct build *b, const struct step *s, int *ret_fd,
	struct error *err)
{
	int pidfd = -1;
	struct clone_args args = {
		.flags = CLONE_NEWUSER | CLONE_PIDFD,
		.pidfd = (uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	pid_t parent = getpid(), pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		return nslimit_sys(err, errno, "make a user namespace");
	if (pid == 0) {
		while (family_follow(parent))
			pause();
		_exit(125);
	}
	int r = write_owner(b, s, pid, "uid_map", b->tree_owners[s->tree], err);
	if (r == 0)
		r = write_owner(b, s, pid, "gid_map", b->tree_groups[s->tree], err);
	if (r == 0)
		r = open_userns(pid, ret_fd, err);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close_fd(pidfd);
	return r;
}

/*
 * All layers have one owner on the disk: one namespace does for all that are the same id's inside.
 */
static int find_image_userns(struct build *b, const struct step *s, int *ret_fd, struct error *err)
{
	int i = 0;
	while (i < BUILD_OWNERS_MAX && b->image_userns[i] >= 0 && b->image_uids[i] != s->uid)
		i++;
	if (i == BUILD_OWNERS_MAX)
		return make_owner_userns(b, s, ret_fd, err);
	if (b->image_userns[i] < 0 && make_owner_userns(b, s, &b->image_userns[i], err) < 0)
		return -1;
	b->image_uids[i] = s->uid;
	*ret_fd = fcntl(b->image_userns[i], F_DUPFD_CLOEXEC, 3);
	return *ret_fd < 0 ? error_sys(err, errno, "duplicate a descriptor") : 0;
}

static int find_userns(struct build *b, const struct step *s, int *ret_fd, struct error *err)
{
	if (!strcmp(s->data, "range"))
		return open_userns(b->init_pid, ret_fd, err);
	return !strcmp(s->data, "image") ? find_image_userns(b, s, ret_fd, err)
					 : make_owner_userns(b, s, ret_fd, err);
}

/*
 * Not every file system can be shown with other owners (overlayfs cannot, a network one seldom
 * can). For what is only read that is a matter of looks: files then belong to nobody, and stay as
 * unreadable as the host's permissions make them for a stranger. What is to be written in must be
 * writable.
 */
int idmap_tree(struct build *b, const struct step *s, struct error *err)
{
	bool is_range = !strcmp(s->data, "range");
	auto_fd int userns = -1;
	if (find_userns(b, s, &userns, err) < 0)
		return -1;
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns };
	unsigned depth = s->flags & STEP_RECURSIVE ? AT_RECURSIVE : 0;
	if (mount_setattr(b->tree_fds[s->tree], "", AT_EMPTY_PATH | depth, &attr, sizeof(attr)) ==
		0)
		return 0;
	if ((errno == EINVAL || errno == EPERM) && (is_range || (s->flags & STEP_READ_ONLY)))
		return 0;
	if (errno == EINVAL)
		return error_set(err, ERROR_UNSUPPORTED,
			"this kernel cannot show files of that file system as the sandbox's own, so nothing of it can "
			"be mounted writable: mount a copy, or what lies on another one");
	return error_sys(err, errno, "show the owner as the sandbox's (mount_setattr)");
}

/* Reads back what the kernel maps: the request, and nothing that is host uid 0. */
static int check_map(const struct build *b, struct error *err)
{
	auto_buf struct buf map = BUF_INIT(4096);
	if (file_read(AT_FDCWD, "/proc/self/uid_map", &map, err) < 0)
		return -1;
	const struct plan *p = b->plan;
	unsigned inside, outside, count, agent = 0, its_own = 0, one = 0;
	int n = sscanf(map.ptr, "%u %u %u %u %u %u", &inside, &outside, &count, &agent, &its_own,
		&one);
	bool is_agents = n == 6 && agent == AGENT_UID && one == 1 &&
		its_own == p->host.subids.uid + b->slot && its_own != 0;
	if (n != (p->ids == IDS_PAIR ? 6 : 3) || (n == 6 && !is_agents) || outside != b->uid_base ||
		outside == 0 || count != (p->ids == IDS_RANGE ? UID_RANGE : 1u))
		return error_set(err, ERROR_INTERNAL, "the id map is not what was asked for: %.60s",
			map.ptr);
	return 0;
}

int idmap_identity(struct build *b, const struct step *s, struct error *err)
{
	umask(0);
	if (check_map(b, err) < 0)
		return -1;
	if (b->plan->ids == IDS_SINGLE)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return error_sys(err, errno, "become uid 0 of the sandbox");
	return 0;
}
