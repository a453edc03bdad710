/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/judges.h"

#include "base/auto.h"

#include <fnmatch.h>

/* Files that let somebody in somewhere. Where a directory is named, all in it. */
static const char *const secrets[] = { "~/.ssh", "~/.ssh/id_*", "~/.aws/credentials", "~/.aws",
	"~/.netrc", "~/.git-credentials", "~/.kube/config", "~/.docker/config.json",
	"~/.config/gcloud*", "~/.config/gh/hosts.yml", "~/.azure*", "~/.gnupg*", "~/.pgpass",
	"~/.pypirc", "/etc/shadow*", "/etc/gshadow*", "/etc/sudoers*", "/etc/ssh/ssh_host_*_key",
	"/proc/*/environ", "/run/secrets*", "/var/run/secrets*" };

static const char *const harmless[] = { "*.pub", "~/.ssh/known_hosts", "~/.ssh/config",
	"/proc/self/environ" };

static const struct {
	const char *pattern;
	enum rule rule;
} written[] = {
	{ "~/.ssh/known_hosts", RULE_MAX },
	{ "~/.ssh/config", RULE_SSH_KEYS },
	{ "~/.ssh*", RULE_SSH_KEYS },
	{ "*/.ssh/authorized_keys*", RULE_SSH_KEYS },
	{ "/etc/ssh/*", RULE_SSH_KEYS },
	{ "/etc/cron*", RULE_PERSISTENCE },
	{ "/var/spool/cron*", RULE_PERSISTENCE },
	{ "/etc/systemd/*", RULE_PERSISTENCE },
	{ "/lib/systemd/*", RULE_PERSISTENCE },
	{ "/usr/lib/systemd/*", RULE_PERSISTENCE },
	{ "~/.config/systemd/*", RULE_PERSISTENCE },
	{ "/etc/rc.local", RULE_PERSISTENCE },
	{ "/etc/init.d/*", RULE_PERSISTENCE },
	{ "/etc/ld.so.preload", RULE_PERSISTENCE },
	{ "/etc/passwd", RULE_ACCOUNTS },
	{ "/etc/shadow", RULE_ACCOUNTS },
	{ "/etc/group", RULE_ACCOUNTS },
	{ "/etc/sudoers*", RULE_ACCOUNTS },
	{ "/etc/pam.d/*", RULE_ACCOUNTS },
	{ "/proc/sys/*", RULE_KERNEL },
	{ "/proc/sysrq-trigger", RULE_POWER },
	{ "/sys/*", RULE_KERNEL },
	{ "/var/log/*", RULE_COVER_TRACKS },
	{ "/dev/sd*", RULE_WIPE_DISK },
	{ "/dev/nvme*", RULE_WIPE_DISK },
	{ "/dev/vd*", RULE_WIPE_DISK },
	{ "/dev/xvd*", RULE_WIPE_DISK },
	{ "/dev/mmcblk*", RULE_WIPE_DISK },
	{ "/dev/mem", RULE_KERNEL },
	{ "/dev/tcp/*", RULE_MAX }, /* see judge_shell.c */
	{ "/etc/*", RULE_SYSTEM_FILE },
	{ "/usr/*", RULE_SYSTEM_FILE },
	{ "/bin/*", RULE_SYSTEM_FILE },
	{ "/sbin/*", RULE_SYSTEM_FILE },
	{ "/lib/*", RULE_SYSTEM_FILE },
	{ "/boot/*", RULE_SYSTEM_FILE },
};

static const char *const wholes[] = { "/", "/*", "~", "~/*", "/home", "/home/*", "/etc", "/usr",
	"/var", "/bin", "/sbin", "/lib", "/lib64", "/boot", "/opt", "/dev", "/srv", "/sys", "/proc",
	"/usr/bin", "/usr/lib", "/var/lib" };

static bool fits(struct str path, const char *pattern)
{
	return fnmatch(pattern, path.ptr, 0) == 0;
}

bool path_is_secret(struct str path)
{
	for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
		if (fits(path, harmless[i]))
			return false;
	for (size_t i = 0; i < ARRAY_LEN(secrets); i++)
		if (fits(path, secrets[i]))
			return true;
	return false;
}

bool path_is_whole(struct str path)
{
	for (size_t i = 0; i < ARRAY_LEN(wholes); i++) {
		size_t n = strlen(wholes[i]);
		struct str rest = str_skip(path, n);
		bool is_all = str_starts(path, str_from(wholes[i])) &&
			(!rest.len || str_is(rest, "/*") || str_is(rest, "/.*"));
		if (is_all)
			return true;
	}
	return false;
}

struct str judge_clean(struct judging *j, struct str path)
{
	if (arena_has_room(j->arena, 4 * SHELL_PATH_MAX))
		return shell_path(j->arena, path);
	judge_hit(j, RULE_TOO_LARGE);
	return STR("");
}

void judge_socket(struct judging *j, struct str word)
{
	static const char *const sockets[] = { "docker.sock", "podman.sock", "containerd.sock",
		"crio.sock" };
	for (size_t i = 0; i < ARRAY_LEN(sockets); i++)
		if (str_find(word, str_from(sockets[i])) >= 0)
			judge_hit(j, RULE_CONTAINER);
}

void judge_path(struct judging *j, struct str raw, enum path_use use)
{
	struct str path = judge_clean(j, raw);
	judge_socket(j, path);
	if (use == PATH_READ) {
		if (path_is_secret(path))
			judge_hit(j, RULE_CREDENTIALS);
		return;
	}
	if (use == PATH_REMOVE && path_is_whole(path))
		judge_hit(j, RULE_REMOVE_ROOT);
	for (size_t i = 0; i < ARRAY_LEN(written); i++) {
		if (!fits(path, written[i].pattern))
			continue;
		if (written[i].rule != RULE_MAX)
			judge_hit(j, written[i].rule);
		return;
	}
}

void judge_url(struct judging *j, struct str url)
{
	static const char *const metadata[] = { "169.254.169.254", "metadata.google.internal",
		"100.100.100.200", "fd00:ec2::254" };
	for (size_t i = 0; i < ARRAY_LEN(metadata); i++)
		if (str_find(url, str_from(metadata[i])) >= 0)
			judge_hit(j, RULE_METADATA);
	if (str_find(url, STR("stratum+tcp://")) >= 0 || str_find(url, STR("stratum+ssl://")) >= 0)
		judge_hit(j, RULE_MINER);
	if (str_starts(url, STR("file://")))
		judge_path(j, str_skip(url, 7), PATH_READ);
}
