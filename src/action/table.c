/* SPDX-License-Identifier: Apache-2.0 */
/* Every action, once, alphabetically. A new one is a row in a file of its group and a line here. */
#include "action/action.h"

const struct action *const action_table[] = {
	NULL,
};
