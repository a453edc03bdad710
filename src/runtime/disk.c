/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/disk.h"

#include "base/auto.h"

/* From another process comes the text alone. */
static bool is_read_only(const struct error *err)
{
	return err->sys == EROFS ||
		(err->code == ERROR_FORBIDDEN && strstr(err->text, strerror(EROFS)));
}

int disk_blame(struct error *err)
{
	if (!err || (err->code != ERROR_NO_SPACE && !is_read_only(err)))
		return -1;
	err->code = ERROR_NO_SPACE;
	return strstr(err->text, "state d") ? -1 : error_wrap(err, "state directory");
}
