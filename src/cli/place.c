/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/place.h"

#include <stdlib.h>
#include <unistd.h>

/* The variable's value if it is an absolute path; the XDG specification ignores others. */
static const char *directory_variable(const char *name)
{
	const char *value = getenv(name);
	return value && value[0] == '/' ? value : NULL;
}

void place_put_state(struct buf *b)
{
	const char *state = directory_variable("XDG_STATE_HOME");
	const char *home = directory_variable("HOME");
	if (geteuid() == 0)
		buf_puts(b, "/var/lib/cay");
	else if (state)
		buf_printf(b, "%s/cay", state);
	else
		buf_printf(b, "%s/.local/state/cay", home ? home : "");
}

void place_put_socket(struct buf *b)
{
	const char *runtime = directory_variable("XDG_RUNTIME_DIR");
	if (geteuid() == 0) {
		buf_puts(b, "/run/cay/cay.sock");
	} else if (runtime) {
		buf_printf(b, "%s/cay/cay.sock", runtime);
	} else {
		place_put_state(b);
		buf_puts(b, "/cay.sock");
	}
}
