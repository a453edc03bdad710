/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attack: one way out of a sandbox, as a small function in a static program that runs inside.
 *
 * Each is harmless where it succeeds: it opens and does not write, it passes arguments that a
 * kernel which lets it through must refuse with something else than a layer of the sandbox does. So
 * the same function runs on the bare host as its own negative control: there it must come out
 * REACHED, or it proves nothing.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

enum outcome {
	BLOCKED, /* the sandbox said no */
	REACHED, /* it worked, or the kernel proper got to see it */
	ALLOWED, /* the same, where it may */
	ABSENT,  /* there is no such thing here: a kernel without it, a file that nobody has */
};

struct finding {
	enum outcome outcome;
	int sys;          /* its errno, if that decided */
	char detail[160]; /* what was reached */
};

/* The layer that alone stands in the way: with it left out the attack must be REACHED. */
enum layer {
	MANY = 0, /* more than one does */
	SECCOMP,
	LANDLOCK,
	CAPS,
	FDS,
	KUID, /* a user namespace that does not map to host uid 0, with its read-only procfs */
	NAMESPACES,
};

/* Where it may be REACHED all the same, since nothing is to be gained there. */
enum may {
	MAY_ROOT_MODE = 1, /* uid 0 of the sandbox: it owns a copy of the system */
	/*
	 * A single id, the caller's own: pid 1 has it too, and so have cay's own files in the root.
	 */
	MAY_ONE_ID = 2,
	MAY_ALL = 4, /* in a network of one's own: any port is */
};

struct attack {
	const char *name;
	enum layer layer;
	bool is_root_only; /* the bare host lets only root do it */
	struct finding (*run)(void);
	const char *what;
	unsigned may; /* enum may */
};

/* Each table ends with a row without a name. */
extern const struct attack proc_attacks[], mount_attacks[], kernel_attacks[], process_attacks[],
	leak_attacks[], privilege_attacks[];

struct finding reached(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
struct finding blocked(int sys);
struct finding absent(int sys);

/*
 * From the result of a call whose arguments are bad on purpose: success and errnos that only the
 * call itself gives are REACHED; those with which a layer refuses are BLOCKED. ENOSYS is BLOCKED
 * inside, and on the bare host says that the kernel has no such call: see main.c.
 */
struct finding judge(long r);
/* The same for an open(2)-like result: closes it, names the path. */
struct finding judge_open(int fd, const char *path);

/* Whom to attack as a process: pid 1, which is the sandbox's; on the bare host ESCAPE_TARGET. */
int target(void);
