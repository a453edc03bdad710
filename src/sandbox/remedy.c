/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of probe.h that only read: which command lifts a lack, which settings are weak. In a
 * container the host's commands are not there to be typed: what lifts a lack is an option of who
 * starts it.
 */
#include "base/auto.h"
#include "base/file.h"
#include "sandbox/probe.h"
#include "sandbox/subids.h"

#include <fcntl.h>
#include <sys/stat.h>

#define AS_ROOT           "sudo cay serve (for one command: sudo cay run)"
#define AS_ROOT_CONTAINED "start the container with --privileged, and cay as root in it"
#define UNFILTERED                                                                              \
	"start the container with --security-opt seccomp=unconfined (a pod: seccompProfile of " \
	"type Unconfined)"
#define UNMASKED                                                                               \
	"start the container with --security-opt systempaths=unconfined (podman: unmask=ALL; " \
	"a pod: procMount Unmasked and hostUsers false)"
#define ITS_OWN_LIMITS                                                                          \
	"--privileged and root in the container; else its own limits (--memory, --pids-limit) " \
	"hold for all sandboxes together"

/*
 * By what engines put there; a kubelet's pods have nothing but the variable. A machine that was
 * made of an image may have that as well: it has the first of all pid namespaces.
 */
static bool is_contained(void)
{
	const ino_t first = 0xeffffffc; /* PROC_PID_INIT_INO of include/linux/proc_ns.h */
	struct stat st;
	if (stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == first)
		return false;
	return access("/run/.containerenv", F_OK) == 0 || access("/.dockerenv", F_OK) == 0 ||
		getenv("KUBERNETES_SERVICE_HOST");
}

static const char *as_root(void)
{
	return is_contained() ? AS_ROOT_CONTAINED : AS_ROOT;
}

/* Somebody filters the system calls of who runs us already. */
static bool is_filtered(void)
{
	auto_buf struct buf b = BUF_INIT(64 * 1024);
	return file_read(AT_FDCWD, "/proc/self/status", &b, NULL) == 0 &&
		strstr(b.ptr, "\nSeccomp:\t2\n");
}

/* The value of a sysctl without its newline; empty if there is no such thing here. */
static void sysctl_read(const char *name, char *ret_value, size_t size)
{
	char path[128] = "/proc/sys/";
	size_t at = strlen(path);
	for (; *name && at < sizeof(path) - 1; name++)
		path[at++] = *name == '.' ? '/' : *name;
	path[at] = '\0';
	auto_buf struct buf b = BUF_INIT(4096);
	struct str text = file_read(AT_FDCWD, path, &b, NULL) < 0 ? STR("") : str_trim(buf_str(&b));
	snprintf(ret_value, size, "%.*s", STR_ARG(text));
}

/* What a security module's label of ours says, where engines set one. */
static const struct {
	const char *mark, *remedy;
} confinements[] = {
	{ " (enforce)", "start the container with --security-opt apparmor=unconfined" },
	{ ":container_t:", "start the container with --security-opt label=disable" },
};

static const char *confinement_remedy(void)
{
	auto_buf struct buf b = BUF_INIT(4096);
	if (file_read(AT_FDCWD, "/proc/self/attr/current", &b, NULL) < 0)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(confinements); i++)
		if (strstr(b.ptr, confinements[i].mark))
			return confinements[i].remedy;
	return NULL;
}

/* The first row whose sysctl has this value is what stands in the way of user namespaces. */
static const struct {
	const char *sysctl, *value, *remedy;
} user_ns_blocks[] = {
	{ "kernel.unprivileged_userns_clone", "0",
		"sudo sysctl -w kernel.unprivileged_userns_clone=1" },
	{ "kernel.apparmor_restrict_unprivileged_userns", "1",
		"sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0" },
	{ "user.max_user_namespaces", "0", "sudo sysctl -w user.max_user_namespaces=65536" },
};

static const char *user_ns_remedy(void)
{
	for (size_t i = 0; i < ARRAY_LEN(user_ns_blocks); i++) {
		char value[64];
		sysctl_read(user_ns_blocks[i].sysctl, value, sizeof(value));
		if (!strcmp(value, user_ns_blocks[i].value))
			return user_ns_blocks[i].remedy;
	}
	const char *confinement = confinement_remedy();
	return is_filtered() ? UNFILTERED : confinement ? confinement : as_root();
}

static const struct {
	enum control control;
	const char *sysctl, *remedy;
} namespace_quotas[] = {
	{ CONTROL_MOUNT_NS, "user.max_mnt_namespaces",
		"sudo sysctl -w user.max_mnt_namespaces=65536" },
	{ CONTROL_PID_NS, "user.max_pid_namespaces",
		"sudo sysctl -w user.max_pid_namespaces=65536" },
	{ CONTROL_NET_NS, "user.max_net_namespaces",
		"sudo sysctl -w user.max_net_namespaces=65536" },
	{ CONTROL_IPC_NS, "user.max_ipc_namespaces",
		"sudo sysctl -w user.max_ipc_namespaces=65536" },
	{ CONTROL_UTS_NS, "user.max_uts_namespaces",
		"sudo sysctl -w user.max_uts_namespaces=65536" },
	{ CONTROL_CGROUP_NS, "user.max_cgroup_namespaces",
		"sudo sysctl -w user.max_cgroup_namespaces=65536" },
	{ CONTROL_TIME_NS, "user.max_time_namespaces",
		"sudo sysctl -w user.max_time_namespaces=65536" },
};

static const char *namespace_remedy(enum control c)
{
	for (size_t i = 0; i < ARRAY_LEN(namespace_quotas); i++) {
		char value[64];
		if (namespace_quotas[i].control != c)
			continue;
		sysctl_read(namespace_quotas[i].sysctl, value, sizeof(value));
		if (!strcmp(value, "0"))
			return namespace_quotas[i].remedy;
	}
	return user_ns_remedy();
}

static const char *limits_remedy(const struct host *host)
{
	char own[HOST_PATH_SIZE];
	if (is_contained())
		return ITS_OWN_LIMITS;
	if (host->is_root && host_own_v2(own) && access(own, W_OK) == 0)
		return "start cay as a service that a part of /sys/fs/cgroup is handed to (systemd: "
		       "Delegate=yes)";
	return host->is_root ? "mount -o remount,rw /sys/fs/cgroup" : AS_ROOT;
}

const char *probe_remedy(const struct host *host, enum control c)
{
	switch (c) {
	case CONTROL_UID_RANGE:
		return as_root();
	case CONTROL_OWN_UID:
		return host->is_root || is_contained() ? as_root()
						       : "sudo cay serve, or " SUBIDS_REMEDY;
	case CONTROL_MEMORY:
	case CONTROL_PIDS:
	case CONTROL_CPU:
		return limits_remedy(host);
	case CONTROL_LANDLOCK:
		return LANDLOCK_REMEDY;
	case CONTROL_OVERLAY:
		return "boot Linux 5.11 or newer with CONFIG_OVERLAY_FS";
	case CONTROL_PROC_READ_ONLY:
		return UNMASKED;
	case CONTROL_SECCOMP:
	case CONTROL_NO_NEW_PRIVS:
	case CONTROL_CAPS:
	case CONTROL_RLIMITS:
		return "boot a kernel with CONFIG_SECCOMP_FILTER=y";
	case CONTROL_DISK:
	default:
		return namespace_remedy(c);
	}
}

/* Weak: equal to `weak`; or beginning with it, where that ends in '*'. */
static const struct {
	const char *sysctl, *weak, *why, *remedy;
} settings[] = {
	{ "dev.tty.legacy_tiocsti", "1", "a program can type into its terminal; cay passes none in",
		"sudo sysctl -w dev.tty.legacy_tiocsti=0" },
	{ "kernel.unprivileged_bpf_disabled", "0", "anyone on the host may load BPF programs",
		"sudo sysctl -w kernel.unprivileged_bpf_disabled=1" },
	{ "kernel.core_pattern", "|*", "crashes start a program of the host as root",
		"sudo sysctl -w kernel.core_pattern=core" },
	{ "kernel.yama.ptrace_scope", "0", "programs of one user may trace each other",
		"sudo sysctl -w kernel.yama.ptrace_scope=1" },
	{ "fs.protected_symlinks", "0", "links in /tmp are followed for others",
		"sudo sysctl -w fs.protected_symlinks=1" },
	{ "fs.protected_hardlinks", "0", "anyone may hard-link files of others",
		"sudo sysctl -w fs.protected_hardlinks=1" },
	{ "fs.suid_dumpable", "1", "setuid programs leave readable core files",
		"sudo sysctl -w fs.suid_dumpable=0" },
	{ "kernel.kptr_restrict", "0", "kernel addresses are shown to all",
		"sudo sysctl -w kernel.kptr_restrict=1" },
	{ "kernel.dmesg_restrict", "0", "the kernel log is shown to all",
		"sudo sysctl -w kernel.dmesg_restrict=1" },
};
_Static_assert(ARRAY_LEN(settings) <= PROBE_WEAKNESSES_MAX, "more settings than room for them");

static bool is_weak(const char *value, const char *weak)
{
	size_t len = strlen(weak);
	if (weak[len - 1] == '*')
		return strncmp(value, weak, len - 1) == 0;
	return !strcmp(value, weak);
}

int probe_weaknesses(struct probe_weakness ret[PROBE_WEAKNESSES_MAX])
{
	int n = 0;
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		struct probe_weakness w = { settings[i].sysctl, "", settings[i].why,
			settings[i].remedy };
		sysctl_read(w.sysctl, w.value, sizeof(w.value));
		if (*w.value && is_weak(w.value, settings[i].weak))
			ret[n++] = w;
	}
	return n;
}
