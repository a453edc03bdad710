/* SPDX-License-Identifier: Apache-2.0 */
/* Every action, once, alphabetically. A new one is a row in a file of its group and a line here. */
#include "action/action.h"
#include "action/browser_actions.h"
#include "action/document_actions.h"
#include "action/executor_actions.h"
#include "action/file_actions.h"
#include "action/kernel_actions.h"
#include "action/network_actions.h"
#include "action/process_actions.h"
#include "action/session_actions.h"
#include "action/tool_actions.h"

const struct action *const action_table[] = {
	&append_action,
	&browse_action,
	&browser_close_action,
	&cell_action,
	&configure_action,
	&connect_action,
	&convert_action,
	&download_action,
	&edit_action,
	&exec_action,
	&glob_action,
	&grep_action,
	&info_action,
	&kernel_close_action,
	&kernel_interrupt_action,
	&kernel_list_action,
	&kernel_open_action,
	&kernel_restart_action,
	&lint_action,
	&list_action,
	&mkdir_action,
	&move_action,
	&process_input_action,
	&process_kill_all_action,
	&process_list_action,
	&process_logs_action,
	&process_remove_action,
	&process_resize_action,
	&process_signal_action,
	&process_tree_action,
	&process_wait_action,
	&read_action,
	&remove_action,
	&run_action,
	&session_attach_action,
	&session_close_action,
	&session_input_action,
	&session_interrupt_action,
	&session_list_action,
	&session_open_action,
	&session_resize_action,
	&stat_action,
	&subscribe_action,
	&tool_add_action,
	&tool_call_action,
	&tool_list_action,
	&tool_remove_action,
	&tool_reset_action,
	&upload_action,
	&watch_action,
	&write_action,
	NULL,
};
