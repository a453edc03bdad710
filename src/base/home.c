/* SPDX-License-Identifier: Apache-2.0 */
#include "base/home.h"

#include "base/auto.h"

/* The variable's value if it is an absolute path; the XDG specification ignores others. */
static const char *directory_variable(const char *name)
{
	const char *value = getenv(name);
	return value && value[0] == '/' ? value : NULL;
}

int home_put_state(struct buf *b, struct error *err)
{
	const char *state = directory_variable("XDG_STATE_HOME");
	const char *home = directory_variable("HOME");
	if (geteuid() == 0)
		buf_puts(b, "/var/lib/cay");
	else if (state)
		buf_printf(b, "%s/cay", state);
	else if (home)
		buf_printf(b, "%s/.local/state/cay", home);
	else
		return error_set(err, ERROR_INVALID,
			"no state directory: neither HOME nor XDG_STATE_HOME is set");
	return b->is_full ? error_set(err, ERROR_INVALID, "the state directory's path is too long")
			  : 0;
}

bool home_put_config(struct buf *b)
{
	const char *config = directory_variable("XDG_CONFIG_HOME");
	const char *home = directory_variable("HOME");
	if (config)
		buf_printf(b, "%s/cay", config);
	else if (home)
		buf_printf(b, "%s/.config/cay", home);
	return (config || home) && !b->is_full;
}

int home_put_socket_of(struct buf *b, const char *state_dir, struct error *err)
{
	const char *runtime = directory_variable("XDG_RUNTIME_DIR");
	if (geteuid() == 0)
		buf_puts(b, "/run/cay/cay.sock");
	else if (runtime)
		buf_printf(b, "%s/cay/cay.sock", runtime);
	else
		buf_printf(b, "%s/cay.sock", state_dir);
	return b->is_full ? error_set(err, ERROR_INVALID, "the socket's path is too long") : 0;
}

int home_put_socket(struct buf *b, struct error *err)
{
	auto_buf struct buf state = BUF_INIT(b->limit);
	bool needs_state = geteuid() != 0 && !directory_variable("XDG_RUNTIME_DIR");
	if (needs_state && home_put_state(&state, err) < 0)
		return -1;
	return home_put_socket_of(b, state.ptr, err);
}
