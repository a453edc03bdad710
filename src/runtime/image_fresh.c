/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image_fresh.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/log.h"
#include "runtime/image.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

enum { FLUSH_MS = 2000, BOOT_LEN = 8 };

#define PREFIX "fresh-"

struct image_fresh {
	struct loop *loop;
	int layers_fd;
	char boot[BOOT_LEN + 1];
	struct timer *timer;
	const struct image_fresh_ops *ops;
	void *arg;
	bool is_due;       /* a flush is planned */
	struct flush *job; /* under way */
};

/* A worker's; it may outlive its owner. */
struct flush {
	struct image_fresh *owner; /* NULL: it is gone */
	bool is_outdated;          /* something was made meanwhile */
	int dir_fd;
	char **marks;
	size_t n;
	int failure; /* errno, or 0 */
};

/* Without the kernel's number every boot is the same, and nothing is ever lost. */
static void read_boot(char ret[BOOT_LEN + 1])
{
	auto_buf struct buf b = BUF_INIT(64);
	struct str text = STR_NONE;
	if (file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &b, NULL) == 0)
		text = str_first(buf_str(&b), BOOT_LEN);
	snprintf(ret, BOOT_LEN + 1, "%.*s", STR_ARG(text.len == BOOT_LEN ? text : STR("00000000")));
}

/* The digest in the name of a mark; NULL: it is none. */
static const char *digest_of(const char *name)
{
	const char *rest = name + sizeof(PREFIX) - 1 + BOOT_LEN;
	return strlen(name) > sizeof(PREFIX) + BOOT_LEN &&
			!strncmp(name, PREFIX, sizeof(PREFIX) - 1) && *rest == '-' &&
			layer_is_name(str_from(rest + 1))
		? rest + 1
		: NULL;
}

static DIR *open_copy(int dir_fd)
{
	int copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	if (!dir)
		close_fd(copy);
	return dir;
}

static void flush_work(void *arg)
{
	struct flush *job = arg;
	if (syncfs(job->dir_fd) < 0) {
		job->failure = errno;
		return;
	}
	for (size_t i = 0; i < job->n; i++)
		unlinkat(job->dir_fd, job->marks[i], 0);
}

static void plan_flush(struct image_fresh *f)
{
	if (f->job)
		f->job->is_outdated = true;
	else if (!f->is_due)
		timer_set(f->timer, FLUSH_MS);
	f->is_due = true;
}

static void tell_owner(const struct flush *job)
{
	struct image_fresh *f = job->owner;
	f->job = NULL;
	f->is_due = false;
	if (job->is_outdated)
		plan_flush(f);
	else if (!job->failure)
		f->ops->flushed(f->arg);
}

static void flush_done(void *arg)
{
	struct flush *job = arg;
	if (job->failure)
		log_warn("image.flush", "error=%s", strerror(job->failure));
	if (job->owner)
		tell_owner(job);
	for (size_t i = 0; i < job->n; i++)
		free(job->marks[i]);
	free(job->marks);
	close_fd(job->dir_fd);
	free(job);
}

/* Those that there are now: what is marked meanwhile waits for the next one. */
static void on_due(void *arg)
{
	struct image_fresh *f = arg;
	DIR *dir = open_copy(f->layers_fd);
	f->is_due = false;
	if (!dir)
		return;
	struct flush *job = f->job = mem_new(struct flush);
	job->owner = f;
	job->dir_fd = fcntl(f->layers_fd, F_DUPFD_CLOEXEC, 3);
	for (struct dirent *e; (e = readdir(dir));) {
		if (!digest_of(e->d_name))
			continue;
		job->marks = mem_realloc(job->marks, (job->n + 1) * sizeof(*job->marks));
		job->marks[job->n++] = mem_strdup(e->d_name);
	}
	closedir(dir);
	loop_work(f->loop, flush_work, flush_done, job);
}

struct image_fresh *image_fresh_open(struct loop *loop, int layers_fd,
	const struct image_fresh_ops *ops, void *arg)
{
	struct image_fresh *f = mem_new(struct image_fresh);
	f->loop = loop;
	f->layers_fd = layers_fd;
	f->ops = ops;
	f->arg = arg;
	f->timer = timer_new(loop, on_due, f);
	read_boot(f->boot);
	DIR *dir = open_copy(layers_fd);
	for (struct dirent *e; dir && (e = readdir(dir));) {
		const char *digest = digest_of(e->d_name);
		if (!digest)
			continue;
		if (!strncmp(e->d_name + sizeof(PREFIX) - 1, f->boot, BOOT_LEN)) {
			plan_flush(f);
			continue;
		}
		log_warn("image.unfinished", "layer=%.12s", digest);
		ops->lost(arg, digest);
		unlinkat(layers_fd, e->d_name, 0);
	}
	if (dir)
		closedir(dir);
	return f;
}

void image_fresh_free(struct image_fresh *f)
{
	if (!f)
		return;
	timer_free(f->timer);
	if (f->job)
		f->job->owner = NULL;
	free(f);
}

int image_fresh_mark(struct image_fresh *f, const char *digest, struct error *err)
{
	auto_free char *name = mem_printf(PREFIX "%s-%s", f->boot, digest);
	auto_fd int fd = openat(f->layers_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
		0600);
	if (fd < 0)
		return error_sys(err, errno, "mark layer %.12s", digest);
	plan_flush(f);
	return 0;
}

void image_fresh_flush(struct image_fresh *f)
{
	plan_flush(f);
}
