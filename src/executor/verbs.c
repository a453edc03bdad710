/* SPDX-License-Identifier: Apache-2.0 */
/* Every verb, once, alphabetically by the name of its action. */
#include "executor/browser.h"
#include "executor/clerk.h"
#include "executor/connect.h"
#include "executor/egress.h"
#include "executor/executor_verbs.h"
#include "executor/file_verbs.h"
#include "executor/image_verbs.h"
#include "executor/kernel_verbs.h"
#include "executor/process_verbs.h"
#include "executor/session_verbs.h"
#include "executor/tool_verbs.h"

const struct verb *const verb_table[] = {
	&append_verb,
	&browse_verb,
	&browser_close_verb,
	&cell_verb,
	&configure_verb,
	&connect_verb,
	&convert_verb,
	&download_verb,
	&edit_verb,
	&egress_verb,
	&egress_take_verb,
	&exec_verb,
	&gather_verb,
	&glob_verb,
	&grep_verb,
	&info_verb,
	&kernel_close_verb,
	&kernel_interrupt_verb,
	&kernel_list_verb,
	&kernel_open_verb,
	&kernel_restart_verb,
	&lay_verb,
	&layer_verb,
	&lint_verb,
	&list_verb,
	&mkdir_verb,
	&move_verb,
	&process_input_verb,
	&process_kill_all_verb,
	&process_list_verb,
	&process_logs_verb,
	&process_remove_verb,
	&process_resize_verb,
	&process_signal_verb,
	&process_tree_verb,
	&process_wait_verb,
	&read_verb,
	&remove_verb,
	&run_verb,
	&session_attach_verb,
	&session_close_verb,
	&session_input_verb,
	&session_interrupt_verb,
	&session_list_verb,
	&session_open_verb,
	&session_resize_verb,
	&stat_verb,
	&subscribe_verb,
	&tool_add_verb,
	&tool_call_verb,
	&tool_list_verb,
	&tool_remove_verb,
	&tool_reset_verb,
	&upload_verb,
	&watch_verb,
	&write_verb,
	NULL,
};
