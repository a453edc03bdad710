/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/caps.h"

#include "base/auto.h"

#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define BIT(n) (UINT64_C(1) << (n))

/* Never NET_RAW, NET_ADMIN, SYS_ADMIN, SYS_PTRACE, MKNOD, SETFCAP, AUDIT_*, DAC_READ_SEARCH. */
static const uint64_t root_caps = BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) |
	BIT(CAP_FSETID) | BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_KILL) |
	BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_SYS_CHROOT);

/*
 * KEEP_CAPS stays clear and locked; NO_SETUID_FIXUP is left alone: setuid shall drop what there is.
 */
static const unsigned agent_bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
	SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

uint64_t caps_of_user(enum user_mode user)
{
	return user == USER_ROOT ? root_caps : 0;
}

/*
 * Dropping what is not there succeeds too, as long as CAP_SETPCAP is: so asking first is for the
 * rest.
 */
static int bound_drop(uint64_t keep, struct error *err)
{
	for (unsigned long cap = 0; cap < 64; cap++) {
		if ((keep & BIT(cap)) || prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
			continue;
		int sys = errno;
		if (sys == EINVAL)
			return 0; /* beyond the last this kernel knows */
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) != 0)
			return error_sys(err, sys, "drop capability %lu from the bounding set",
				cap);
	}
	return 0;
}

int caps_bound(enum user_mode user, struct error *err)
{
	if (bound_drop(caps_of_user(user), err) < 0)
		return -1;
	if (user == USER_ROOT)
		return 0;
	int bits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
	if (bits >= 0 && (unsigned)bits == agent_bits)
		return 0;
	if (prctl(PR_SET_SECUREBITS, agent_bits, 0, 0, 0) < 0)
		return error_sys(err, errno, "lock securebits");
	return 0;
}

static bool bound_is(uint64_t want)
{
	for (unsigned long cap = 0; cap < 64; cap++) {
		int is_set = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
		if (is_set < 0)
			return true;
		if (is_set != !!(want & BIT(cap)))
			return false;
	}
	return true;
}

static bool sets_are(uint64_t want)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { 0 };
	if (syscall(SYS_capget, &head, data) < 0)
		return false;
	for (int i = 0; i < 2; i++) {
		uint32_t half = (uint32_t)(want >> (32 * i));
		if (data[i].effective != half || data[i].permitted != half || data[i].inheritable)
			return false;
	}
	return true;
}

int caps_set(enum user_mode user, struct error *err)
{
	uint64_t keep = caps_of_user(user);
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];
	for (int i = 0; i < 2; i++) {
		uint32_t half = (uint32_t)(keep >> (32 * i));
		data[i] = (struct __user_cap_data_struct){ half, half, 0 };
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return error_sys(err, errno, "clear ambient capabilities");
	if (syscall(SYS_capset, &head, data) < 0)
		return error_sys(err, errno, "give up capabilities");
	if (!sets_are(keep))
		return error_set(err, ERROR_INTERNAL, "capabilities are left after giving them up");
	return 0;
}

bool caps_are_set(enum user_mode user)
{
	int bits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
	if (user != USER_ROOT && (bits < 0 || (unsigned)bits != agent_bits))
		return false;
	return sets_are(caps_of_user(user)) && bound_is(caps_of_user(user));
}
