/* SPDX-License-Identifier: Apache-2.0 */
/* Every verb, once, alphabetically by the name of its action. */
#include "executor/executor_verbs.h"
#include "executor/process_verbs.h"
#include "executor/session_verbs.h"

const struct verb *const verb_table[] = {
	&configure_verb,
	&exec_verb,
	&info_verb,
	&process_input_verb,
	&process_list_verb,
	&process_logs_verb,
	&process_remove_verb,
	&process_signal_verb,
	&process_wait_verb,
	&run_verb,
	&session_attach_verb,
	&session_close_verb,
	&session_input_verb,
	&session_list_verb,
	&session_open_verb,
	&session_resize_verb,
	&subscribe_verb,
	NULL,
};
