/* SPDX-License-Identifier: Apache-2.0 */
/* process_tree: everything that runs in the sandbox, as its /proc has it. */
#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "executor/proc.h"
#include "executor/process_verbs.h"
#include "wire/frame.h"
#include "wire/json.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum {
	PTS_MAJOR = 136,
	PTS_MAJOR_LAST = 143,
	ARGS_MAX = 4096,
	TREE_BYTES_MAX = FRAME_PAYLOAD_MAX / 2
};

/* A terminal of the sandbox's, as in /dev. */
static void put_tty(struct jsonw *w, long tty)
{
	unsigned major = gnu_dev_major((dev_t)tty), minor = gnu_dev_minor((dev_t)tty);
	char name[32];
	jsonw_key(w, "tty");
	if (major < PTS_MAJOR || major > PTS_MAJOR_LAST) {
		jsonw_null(w);
		return;
	}
	snprintf(name, sizeof(name), "pts/%u", (major - PTS_MAJOR) * 256 + minor);
	jsonw_str(w, str_from(name));
}

/* A thread of the kernel's and a zombie have none. */
static void put_argv(struct jsonw *w, long pid)
{
	char path[40], text[ARGS_MAX];
	snprintf(path, sizeof(path), "/proc/%ld/cmdline", pid);
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? 0 : read(fd, text, sizeof(text));
	struct str rest = str_from_len(text, len > 0 ? (size_t)len : 0);
	jsonw_key(w, "argv");
	jsonw_open_array(w);
	while (rest.len) {
		ptrdiff_t end = str_find_char(rest, '\0');
		size_t n = end < 0 ? rest.len : (size_t)end;
		jsonw_str(w, str_first(rest, n));
		rest = str_skip(rest, MIN(n + 1, rest.len));
	}
	jsonw_close_array(w);
}

/* False: it has ended meanwhile. */
static bool put_process(struct jsonw *w, long pid)
{
	char path[40], state[2] = "";
	struct proc_stat p;
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%ld", pid);
	if (stat(path, &st) < 0 || !proc_read_stat(pid, &p))
		return false;
	state[0] = p.state;
	jsonw_open(w);
	jsonw_key_int(w, "pid", pid);
	jsonw_key_int(w, "ppid", p.ppid);
	jsonw_key_int(w, "pgrp", p.pgrp);
	jsonw_key_int(w, "session", p.session);
	jsonw_key_int(w, "uid", st.st_uid);
	jsonw_key_str(w, "state", str_from(state));
	put_tty(w, p.tty);
	jsonw_key_bool(w, "is_foreground", p.tpgid > 0 && p.tpgid == p.pgrp);
	jsonw_key_int(w, "threads", p.threads);
	jsonw_key_int(w, "started_ms", p.started_ms);
	jsonw_key_int(w, "cpu_ms", p.cpu_ms);
	jsonw_key_int(w, "virtual_bytes", p.virtual_bytes);
	jsonw_key_int(w, "resident_bytes", p.resident_bytes);
	jsonw_key_str(w, "name", str_from(p.name));
	put_argv(w, pid);
	jsonw_close(w);
	return true;
}

static void start(struct call *call, const void *params)
{
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	struct error err;
	auto_dir DIR *dir = proc_is_own() ? opendir("/proc") : NULL;
	int n = 0;
	long pid;
	if (!dir) {
		error_set(&err, ERROR_UNSUPPORTED, "the sandbox has no pid namespace of its own");
		call_fail(call, &err);
		return;
	}
	jsonw_open(&w);
	jsonw_key(&w, "processes");
	jsonw_open_array(&w);
	while (n < PROC_PROCESSES_MAX && b.len < TREE_BYTES_MAX && (pid = proc_next(dir)))
		n += pid != 1 && put_process(&w, pid); /* 1 is ours */
	jsonw_close_array(&w);
	jsonw_key_bool(&w, "truncated", n == PROC_PROCESSES_MAX || b.len >= TREE_BYTES_MAX);
	jsonw_close(&w);
	call_finish(call, buf_str(&b));
}

const struct verb process_tree_verb = { .action = &process_tree_action, .start = start };
