/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Putting on a lock is a walk over one table: a bit of lock->parts, and the function that does it.
 * The order is the order of enum lock_part, and it matters: descriptors first, so that nothing that
 * follows leaks one; bounding set and securebits while CAP_SETPCAP is there; ids before the last
 * capabilities go; no_new_privs before what needs it; system calls last, since every other step
 * makes some.
 */
#include "sandbox/lock.h"

#include "base/auto.h"
#include "base/bug.h"
#include "sandbox/caps.h"
#include "sandbox/landlock.h"
#include "sandbox/probe.h"
#include "sandbox/rlimits.h"
#include "sandbox/seccomp.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define PART(p) (1U << LOCK_##p)

enum {
	LOCK_SEALS = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL,
	PARTS_DROP = PART(GROUPS) | PART(IDS) | PART(CAPS),
	PARTS_ENTER = PART(NNP) | PART(LANDLOCK) | PART(SECCOMP),
	PARTS_ALL = (1U << LOCK_PARTS) - 1,
/*
 * A build for the escape tests leaves a layer out, to see its probes succeed. See
 * src/main/meson.build.
 */
#ifndef WEAKEN_LOCK
#define WEAKEN_LOCK 0
#endif
	PARTS_LEFT_OUT = WEAKEN_LOCK,
};

static const struct {
	enum control control;
	uint32_t parts;
} part_controls[] = {
	{ CONTROL_RLIMITS, PART(RLIMITS) },
	{ CONTROL_CAPS, PART(CAPS) },
	{ CONTROL_NO_NEW_PRIVS, PART(NNP) },
	{ CONTROL_LANDLOCK, PART(LANDLOCK) },
	{ CONTROL_SECCOMP, PART(SECCOMP) },
};

uint64_t lock_controls(const struct lock *lock)
{
	uint64_t controls = 0;
	for (size_t i = 0; i < ARRAY_LEN(part_controls); i++)
		if (lock->parts & part_controls[i].parts)
			controls |= UINT64_C(1) << part_controls[i].control;
	return controls;
}

static bool has_mount(const struct spec *spec, enum mount_mode mode)
{
	for (uint32_t i = 0; i < spec->n_mounts; i++)
		if (spec->mounts[i].mode == mode)
			return true;
	return false;
}

int lock_make(const struct spec *spec, struct lock *ret_lock, struct error *err)
{
	struct lock lock = { .version = LOCK_VERSION, .user = spec->user, .layer_fd = -1 };
	lock.parts = PARTS_ALL & ~PART(SECCOMP_CHILD) & ~(uint32_t)PARTS_LEFT_OUT;
	lock.uid = lock.gid = spec->user == USER_ROOT ? 0 : 1000;
	lock.makes_marks = has_mount(spec, MOUNT_LAYER);
	lock.makes_set_id = spec->user == USER_ROOT && !has_mount(spec, MOUNT_WRITABLE) &&
		!lock.makes_marks;
	lock.n_rlimits = rlimits_make(&spec->limits, lock.rlimits);
	lock.landlock_abi = (uint32_t)landlock_abi();
	if (lock.landlock_abi == 0)
		lock.parts &= ~PART(LANDLOCK);
	if ((spec->required & (UINT64_C(1) << CONTROL_LANDLOCK)) && !(lock.parts & PART(LANDLOCK)))
		return error_set(err, ERROR_UNSUPPORTED,
			"landlock is required and cannot be had here; to have it: " LANDLOCK_REMEDY);
	*ret_lock = lock;
	return 0;
}

int lock_seal(const struct lock *lock, int *ret_fd, struct error *err)
{
	auto_fd int fd = memfd_create("cay-lock", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return error_sys(err, errno, "make the lock's memfd");
	if (pwrite(fd, lock, sizeof(*lock), 0) != (ssize_t)sizeof(*lock))
		return error_sys(err, errno, "write the lock");
	if (fcntl(fd, F_ADD_SEALS, LOCK_SEALS) < 0)
		return error_sys(err, errno, "seal the lock");
	*ret_fd = take_fd(&fd);
	return 0;
}

static int lock_is_sound(const struct lock *lock)
{
	return lock->version == LOCK_VERSION && !(lock->parts & ~(uint32_t)PARTS_ALL) &&
		lock->user <= USER_ROOT && lock->n_keep <= LOCK_KEEP_MAX &&
		lock->n_rlimits <= LOCK_RLIMITS_MAX && lock->landlock_abi < 1000;
}

int lock_open(int fd, struct lock *ret_lock, struct error *err)
{
	struct lock lock;
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & LOCK_SEALS) != LOCK_SEALS)
		return error_set(err, ERROR_INVALID, "descriptor %d holds no sealed lock", fd);
	if (pread(fd, &lock, sizeof(lock), 0) != (ssize_t)sizeof(lock) || !lock_is_sound(&lock))
		return error_set(err, ERROR_INVALID, "descriptor %d holds no lock of version %d",
			fd, LOCK_VERSION);
	*ret_lock = lock;
	return 0;
}

void lock_keep(struct lock *lock, int fd)
{
	BUG_IF(lock->n_keep == LOCK_KEEP_MAX,
		"a child keeps more descriptors than there is room for");
	BUG_IF(fd < 0, "a child keeps a descriptor that is not open");
	uint32_t at = lock->n_keep++;
	for (; at > 0 && lock->keep[at - 1] > fd; at--)
		lock->keep[at] = lock->keep[at - 1];
	lock->keep[at] = fd;
}

/* Before Linux 5.9. */
static void close_each(unsigned first, unsigned last)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max < last)
		last = (unsigned)limit.rlim_max;
	for (unsigned fd = first; fd <= last; fd++)
		close((int)fd);
}

static int fds_between(unsigned first, unsigned last, struct error *err)
{
	if (first > last || syscall(SYS_close_range, first, last, 0) == 0)
		return 0;
	if (errno != ENOSYS)
		return error_sys(err, errno, "close descriptors %u to %u", first, last);
	close_each(first, last);
	return 0;
}

static int put_fds(const struct lock *lock, struct error *err)
{
	unsigned next = STDERR_FILENO + 1;
	for (uint32_t i = 0; i < lock->n_keep; i++) {
		unsigned keep = (unsigned)lock->keep[i];
		if (keep < next)
			continue;
		if (fds_between(next, keep - 1, err) < 0)
			return -1;
		next = keep + 1;
	}
	return fds_between(next, ~0U, err);
}

static int put_rlimits(const struct lock *lock, struct error *err)
{
	return rlimits_set(lock->rlimits, lock->n_rlimits, err);
}

static int put_groups(const struct lock *lock, struct error *err)
{
	if (getgroups(0, NULL) == 0)
		return 0;
	if (setgroups(0, NULL) < 0)
		return error_sys(err, errno, "give up supplementary groups");
	return 0;
}

static bool ids_are(uid_t uid, gid_t gid)
{
	uid_t r, e, s;
	gid_t gr, ge, gs;
	return getresuid(&r, &e, &s) == 0 && r == uid && e == uid && s == uid &&
		getresgid(&gr, &ge, &gs) == 0 && gr == gid && ge == gid && gs == gid;
}

static int put_ids(const struct lock *lock, struct error *err)
{
	uid_t uid = lock->uid;
	gid_t gid = lock->gid;
	if (setresgid(gid, gid, gid) < 0)
		return error_sys(err, errno, "become group %u", gid);
	if (setresuid(uid, uid, uid) < 0)
		return error_sys(err, errno, "become user %u", uid);
	if (!ids_are(uid, gid))
		return error_set(err, ERROR_INTERNAL, "became user %u only in part", uid);
	return 0;
}

static int put_bounds(const struct lock *lock, struct error *err)
{
	return caps_bound((enum user_mode)lock->user, err);
}

static int put_caps(const struct lock *lock, struct error *err)
{
	return caps_set((enum user_mode)lock->user, err);
}

static int put_nnp(const struct lock *lock, struct error *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_sys(err, errno, "set no_new_privs");
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return error_set(err, ERROR_INTERNAL, "no_new_privs did not hold");
	return 0;
}

static int put_landlock(const struct lock *lock, struct error *err)
{
	return landlock_enter((int)lock->landlock_abi, (enum user_mode)lock->user,
		lock->makes_marks, lock->layer_fd, err);
}

static int put_seccomp(const struct lock *lock, struct error *err)
{
	enum seccomp_program which = lock->user != USER_ROOT ? SECCOMP_PROGRAM_AGENT
		: lock->makes_set_id                         ? SECCOMP_PROGRAM_ROOT
							     : SECCOMP_PROGRAM_ROOT_PLAIN;
	return seccomp_install(which, err);
}

static int put_seccomp_enter(const struct lock *lock, struct error *err)
{
	enum seccomp_program which = lock->user != USER_ROOT ? SECCOMP_PROGRAM_AGENT_ENTER
		: lock->makes_set_id                         ? SECCOMP_PROGRAM_ROOT_ENTER
							     : SECCOMP_PROGRAM_ROOT_PLAIN_ENTER;
	return seccomp_install(which, err);
}

static int put_seccomp_child(const struct lock *lock, struct error *err)
{
	return seccomp_install(SECCOMP_PROGRAM_CHILD, err);
}

struct step {
	uint32_t part;
	int (*put)(const struct lock *lock, struct error *err);
};

static const struct step steps[] = {
	{ PART(FDS), put_fds },
	{ PART(RLIMITS), put_rlimits },
	{ PART(CAPS), put_bounds },
	{ PART(GROUPS), put_groups },
	{ PART(IDS), put_ids },
	{ PART(CAPS), put_caps },
	{ PART(NNP), put_nnp },
	{ PART(LANDLOCK), put_landlock },
	{ PART(SECCOMP), put_seccomp },
	{ PART(SECCOMP_CHILD), put_seccomp_child },
};

static const struct step enter_steps[] = {
	{ PART(NNP), put_nnp },
	{ PART(LANDLOCK), put_landlock },
	{ PART(SECCOMP), put_seccomp_enter },
};

static int walk(const struct step *step, size_t n, const struct lock *lock, uint32_t parts,
	struct error *err)
{
	for (size_t i = 0; i < n; i++)
		if ((lock->parts & parts & step[i].part) && step[i].put(lock, err) < 0)
			return -1;
	return 0;
}

int lock_drop(const struct lock *lock, struct error *err)
{
	return walk(steps, ARRAY_LEN(steps), lock, PARTS_DROP, err);
}

int lock_enter(struct lock *lock, struct error *err)
{
	if (walk(enter_steps, ARRAY_LEN(enter_steps), lock, PARTS_ENTER, err) < 0)
		return -1;
	if (lock->parts & PART(SECCOMP))
		lock->parts |= PART(SECCOMP_CHILD);
	lock->parts &= ~(uint32_t)PARTS_ENTER;
	/* Groups were lock_drop's business, where they can be given up at all. */
	lock->parts &= ~PART(GROUPS);
	/* What else it did is inherited as well: having looked once, no child needs to. */
	if (ids_are(lock->uid, lock->gid))
		lock->parts &= ~PART(IDS);
	if (caps_are_set((enum user_mode)lock->user))
		lock->parts &= ~PART(CAPS);
	return 0;
}

int lock_apply(const struct lock *lock, struct error *err)
{
	return walk(steps, ARRAY_LEN(steps), lock, PARTS_ALL, err);
}
