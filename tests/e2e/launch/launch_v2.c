/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A box on cgroup v2, on any machine that has the hierarchy, even if v1 has the controllers: it is
 * born into its group, frozen, thawed, killed, and the group goes with it. Run by
 * tests/e2e/test_launch.py as root.
 */
#include "sandbox/launch.h"

#include "base/auto.h"
#include "base/file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/vfs.h>
#include <linux/magic.h>

static struct spec spec;
static struct plan plan;
static struct host host;
static struct box box;

static int fail(const char *what, const struct error *err)
{
	fprintf(stderr, "%s: %s\n", what, err ? err->text : "is not so");
	launch_kill(&box);
	launch_reap(&box, NULL);
	return 1;
}

static const char *hierarchy(void)
{
	static const char *const places[] = { "/sys/fs/cgroup/unified", "/sys/fs/cgroup" };
	struct statfs st;
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (statfs(places[i], &st) == 0 && st.f_type == CGROUP2_SUPER_MAGIC)
			return places[i];
	return NULL;
}

static bool has_line(const char *file, const char *line)
{
	auto_buf struct buf b = BUF_INIT(1 << 16);
	struct str rest, found;
	if (file_read(box.cgroup.dir_fds[0], file, &b, NULL) < 0)
		return false;
	rest = buf_str(&b);
	while (str_split(&rest, '\n', &found))
		if (str_is(found, line))
			return true;
	return false;
}

/* cgroup.events tells by POLLPRI. */
static bool becomes(const char *line)
{
	auto_fd int fd = openat(box.cgroup.dir_fds[0], "cgroup.events", O_RDONLY | O_CLOEXEC);
	while (!has_line("cgroup.events", line)) {
		char text[256];
		struct pollfd p = { .fd = fd, .events = POLLPRI };
		if (pread(fd, text, sizeof(text), 0) < 0 || poll(&p, 1, 10000) <= 0)
			return false;
	}
	return true;
}

static int make_host(struct error *err)
{
	const char *top = hierarchy();
	if (!top)
		return error_set(err, ERROR_UNSUPPORTED, "no cgroup v2 here");
	if (host_init(&host, err) < 0)
		return -1;
	host.cgroup = (struct host_cgroup){ .kind = CGROUP_V2,
		.parts = 1U << PART_CPUACCT | 1U << PART_FREEZER };
	snprintf(host.cgroup.dirs[0], HOST_PATH_SIZE, "%s", top);
	return 0;
}

int main(void)
{
	struct error err = { 0 };
	char pid[16], path[HOST_PATH_SIZE + 64];
	struct launch_usage usage;
	box = BOX_INIT;
	id_make(spec.id);
	if (make_host(&err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 77;
	}
	if (plan_make(&spec, &host, PLAN_IS_KEPT, &plan, &err) < 0 ||
		launch_start(&plan, NULL, NULL, NULL, &box, NULL, &err) < 0)
		return fail("start", &err);
	snprintf(path, sizeof(path), "%s/cay/%s", host.cgroup.dirs[0], spec.id);
	snprintf(pid, sizeof(pid), "%d", (int)box.init_pid);
	if (!has_line("cgroup.procs", pid))
		return fail("pid 1 was born into its group", NULL);
	if (launch_freeze(&box, true, &err) < 0 || !becomes("frozen 1"))
		return fail("freeze", &err);
	if (launch_freeze(&box, false, &err) < 0 || !becomes("frozen 0"))
		return fail("thaw", &err);
	launch_usage(&box, &usage);
	if (usage.cpu_us <= 0 || usage.disk_inodes <= 0)
		return fail("usage tells cpu time and inodes", NULL);
	launch_kill(&box);
	launch_reap(&box, NULL);
	if (access(path, F_OK) == 0)
		return fail("the group is gone", NULL);
	plan_fini(&plan);
	puts("ok");
	return 0;
}
