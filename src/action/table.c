/* SPDX-License-Identifier: Apache-2.0 */
/* Every action, once, alphabetically. A new one is a row in a file of its group and a line here. */
#include "action/action.h"
#include "action/file_actions.h"

const struct action *const action_table[] = {
	&append_action,
	&download_action,
	&edit_action,
	&glob_action,
	&grep_action,
	&list_action,
	&mkdir_action,
	&move_action,
	&read_action,
	&remove_action,
	&stat_action,
	&upload_action,
	&write_action,
	NULL,
};
