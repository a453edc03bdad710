/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/canary.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/program.h"
#include "sandbox/errand.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define PROGRAM "/mnt/cay-canary"

enum { SAID_MAX = 32 * 1024 };

static int fill_spec(enum user_mode user, struct spec *spec, struct error *err)
{
	auto_fd int program_fd = -1;
	char link[32];
	if (program_open("cay-canary", &program_fd, err) < 0)
		return -1;
	*spec = (struct spec){ .user = user, .n_mounts = 1 };
	id_make(spec->id);
	struct spec_mount *m = &spec->mounts[0];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", program_fd);
	ssize_t n = readlink(link, m->source, sizeof(m->source) - 1);
	if (n <= 0)
		return error_sys(err, errno, "find cay-canary");
	snprintf(m->target, sizeof(m->target), PROGRAM);
	return 0;
}

static int read_said(int fd, struct buf *b, struct error *err)
{
	char *room = buf_room(b, SAID_MAX);
	ssize_t n = room ? pread(fd, room, SAID_MAX, 0) : -1;
	if (n < 0)
		return error_sys(err, errno, "read what the canary said");
	buf_grown(b, (size_t)n);
	return 0;
}

/* The first line whose second word is REACHED. */
static struct str find_reached(struct str said)
{
	struct str line, rest;
	while (str_split(&said, '\n', &line)) {
		ptrdiff_t space = str_find_char(line, ' ');
		rest = space < 0 ? STR_NONE : str_skip(line, (size_t)space + 1);
		if (str_starts(rest, STR("REACHED ")))
			return line;
	}
	return STR_NONE;
}

static int judge(int status, struct str said, struct error *err)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && said.len > 0)
		return 0;
	struct str line = find_reached(said);
	if (line.len == 0)
		return error_set(err, ERROR_INTERNAL, "the canary ended with %#x",
			(unsigned)status);
	return error_set(err, ERROR_FORBIDDEN,
		"a sandbox does not hold here; an attack from within got through: %.*s",
		STR_ARG(line));
}

int canary_send(const struct host *host, enum user_mode user, struct buf *b, struct error *err)
{
	auto_free struct spec *spec = mem_new(struct spec);
	auto_buf struct buf own = BUF_INIT(2 * SAID_MAX);
	static const char *const argv[] = { PROGRAM, NULL };
	int status;
	if (fill_spec(user, spec, err) < 0)
		return -1;
	auto_fd int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	auto_fd int said_fd = memfd_create("cay-canary", MFD_CLOEXEC);
	if (null_fd < 0 || said_fd < 0)
		return error_sys(err, errno, "open descriptors for the canary");
	const struct errand errand = { host, spec, argv, { null_fd, said_fd, null_fd } };
	b = b ? b : &own;
	size_t before = b->len;
	if (errand_run(&errand, &status, err) < 0 || read_said(said_fd, b, err) < 0)
		return -1;
	return judge(status, str_skip(buf_str(b), before), err);
}
