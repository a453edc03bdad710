/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/remote/verbs.h"

#include <stddef.h>

/* Every action that an OpenHands action server has something for. */
const struct far_verb *const far_verbs[] = {
	&far_browse,
	&far_cell,
	&far_configure,
	&far_download,
	&far_edit,
	&far_exec,
	&far_info,
	&far_list,
	&far_mkdir,
	&far_move,
	&far_read,
	&far_remove,
	&far_run,
	&far_stat,
	&far_upload,
	&far_write,
	NULL,
};
