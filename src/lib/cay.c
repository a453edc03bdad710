/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/lib.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/log.h"
#include "base/program.h"
#include "event/loop.h"
#include "runtime/backends.h"
#include "version.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>

_Static_assert((int)CAY_DISCONNECTED == (int)ERROR_DISCONNECTED, "cay.h knows every code");
_Static_assert((int)ERROR_MAX == (int)CAY_DISCONNECTED + 1, "cay.h knows every code");

/* ---- errors ---- */

int lib_fail(struct cay_error *ret, const struct error *err)
{
	if (!ret)
		return -1;
	ret->code = (int)err->code;
	snprintf(ret->text, sizeof(ret->text), "%s", err->text);
	return -1;
}

const char *cay_code_name(int code)
{
	return code < 0 || code >= ERROR_MAX ? "unknown" : error_name((enum error_code)code);
}

int cay_code_is_retryable(int code)
{
	return code >= 0 && code < ERROR_MAX && error_is_retryable((enum error_code)code);
}

const char *cay_version(void)
{
	return CAY_VERSION;
}

void cay_free(void *text)
{
	free(text);
}

/* ---- the loop ---- */

void lib_turn(struct cay *cay, bool waits)
{
	cay->is_turning = true;
	loop_turn(cay->loop, waits);
	cay->is_turning = false;
}

int lib_wait(struct cay *cay, struct wait *w, struct error *err)
{
	BUG_IF(cay->is_turning, "a callback waits; lib_find should have refused it");
	while (!w->is_done && cay->lost.code == ERROR_OK)
		lib_turn(cay, true);
	if (!w->is_done)
		*err = cay->lost;
	else
		*err = w->error;
	return err->code == ERROR_OK ? 0 : -1;
}

void lib_on_done(void *arg, const struct error *err)
{
	struct wait *w = arg;
	w->is_done = true;
	if (err)
		w->error = *err;
}

int cay_fd(const struct cay *cay)
{
	return loop_fd(cay->loop);
}

int cay_timeout_ms(struct cay *cay)
{
	return loop_timeout_ms(cay->loop);
}

int cay_turn(struct cay *cay, int waits, struct cay_error *err)
{
	struct error e;
	if (cay->is_turning) {
		error_set(&e, ERROR_CONFLICT, "a callback cannot turn the loop that calls it");
		return lib_fail(err, &e);
	}
	if (cay->lost.code != ERROR_OK)
		return lib_fail(err, &cay->lost);
	lib_turn(cay, waits != 0);
	return 0;
}

/* ---- opening ---- */

static void on_status(void *arg, const struct sandbox *s, enum status status, const char *text)
{
	struct cay *cay = arg;
	if (cay->options.on_status)
		cay->options.on_status(cay->options.arg, s->id, status_name(status),
			status_is_error(status), text);
}

static void on_lost(void *arg, const struct error *err)
{
	struct cay *cay = arg;
	cay->lost = *err;
}

/* The executor: where CAY_LIBEXEC says, beside this library's prefix, or where it was installed. */
static void find_programs(void)
{
	static char dir[PATH_MAX];
	const char *given = getenv("CAY_LIBEXEC");
	Dl_info info;
	snprintf(dir, sizeof(dir), "%s", given && given[0] ? given : CAY_LIBEXECDIR);
	if (!(given && given[0]) && dladdr((const void *)cay_version, &info) && info.dli_fname) {
		const char *slash = strrchr(info.dli_fname, '/');
		auto_free char *beside = mem_printf("%.*s/../libexec/cay",
			slash ? (int)(slash - info.dli_fname) : 1, slash ? info.dli_fname : ".");
		auto_free char *deeper = mem_printf("%.*s/../../libexec/cay",
			slash ? (int)(slash - info.dli_fname) : 1, slash ? info.dli_fname : ".");
		if (access(beside, X_OK) == 0)
			snprintf(dir, sizeof(dir), "%s", beside);
		else if (access(deeper, X_OK) == 0)
			snprintf(dir, sizeof(dir), "%s", deeper);
	}
	program_set_dir(dir);
}

static int find_state(struct cay *cay, const char *given, struct error *err)
{
	const char *tmp = getenv("TMPDIR");
	if (given) {
		cay->state_dir = mem_strdup(given);
		return file_mkdirs(given, 0700, err);
	}
	cay->state_dir = mem_printf("%s/cay-lib-XXXXXX", tmp && tmp[0] == '/' ? tmp : "/tmp");
	if (!mkdtemp(cay->state_dir))
		return error_sys(err, errno, "make %s", cay->state_dir);
	cay->is_temporary = true;
	return 0;
}

static int start(struct cay *cay, const char *name, struct error *err)
{
	struct wait w = { 0 };
	const struct backend_choice choice = {
		.name = name,
		.key = cay->options.key,
		.state_dir = cay->state_dir,
		.warm = cay->options.warm,
	};
	struct runtime_config config = {
		.loop = cay->loop,
		.state_dir = cay->state_dir,
		.on_lost = on_lost,
		.on_lost_arg = cay,
		.on_status = on_status,
		.on_status_arg = cay,
	};
	if (backend_open(cay->loop, &choice, &config.backend, err) < 0)
		return -1;
	cay->is_ending = !config.backend->ops->is_shared;
	if (runtime_new(&config, &cay->runtime, err) < 0)
		return -1;
	runtime_start(cay->runtime, lib_on_done, &w);
	return lib_wait(cay, &w, err);
}

struct cay *cay_open(const char *backend, const struct cay_options *options, struct cay_error *err)
{
	struct error e;
	struct cay *cay = mem_new(struct cay);
	if (options)
		memcpy(&cay->options, options,
			MIN(options->size ? options->size : sizeof(cay->options),
				sizeof(cay->options)));
	log_init("libcay");
	log_set_level(LOG_ERROR); /* a library says what it has to say to its caller */
	find_programs();
	if (loop_new(&cay->loop, &e) == 0 && find_state(cay, cay->options.state_dir, &e) == 0 &&
		start(cay, backend, &e) == 0) {
		cay->options.key = cay->options.state_dir = NULL; /* the caller's, and used */
		return cay;
	}
	lib_fail(err, &e);
	cay->is_ending = false;
	cay_close(cay);
	return NULL;
}

static void end_all(struct cay *cay)
{
	for (;;) {
		struct sandbox *s = NULL;
		while ((s = runtime_next(cay->runtime, s)) && sandbox_state_is_final(s->state))
			;
		struct wait w = { 0 };
		struct error err;
		if (!s)
			return;
		runtime_destroy(s, lib_on_done, &w);
		if (lib_wait(cay, &w, &err) < 0)
			return;
	}
}

void cay_close(struct cay *cay)
{
	if (!cay)
		return;
	BUG_IF(cay->is_turning, "cay_close is called from a callback");
	if (cay->is_ending && cay->runtime)
		end_all(cay);
	runtime_free(cay->runtime);
	loop_free(cay->loop);
	if (cay->is_temporary)
		file_remove_tree(AT_FDCWD, cay->state_dir, NULL);
	free(cay->state_dir);
	free(cay);
}
