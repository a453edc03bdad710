/* SPDX-License-Identifier: Apache-2.0 */
/*
 * browser_actions: a Chromium in the sandbox, run as the agent's user and driven over its debugging
 * pipe. It starts with the first `browse` and stays until browser_close; what happens to it, the
 * next `browse` starts another.
 *
 * A step does something (url or program, or nothing) and then looks. `program` is text with calls
 * in Python's syntax (wire/pycall.h); they are performed in order until one fails:
 *
 *	goto(url)  go_back()  go_forward()  new_tab()  tab_close()  tab_focus(index)  noop(wait_ms=1000)
 *	click(bid, button="left", modifiers=[])  dblclick(bid, button="left", modifiers=[])  hover(bid)
 *	fill(bid, value)  clear(bid)  type(bid, text)  press(bid, key_comb)  focus(bid)
 *	select_option(bid, options)  drag_and_drop(from_bid, to_bid)  upload_file(bid, file)
 *	scroll(delta_x, delta_y)  send_msg_to_user(text)  report_infeasible(reason)
 *
 * A bid is an element's id in the last step's tree (executor/browser_page.h). What a call fails
 * with is no error of the action: it is in the result, as `error`.
 */
#pragma once

#include "action/action.h"

enum {
	BROWSE_TIMEOUT_STANDARD_MS = 60000,
	BROWSE_TIMEOUT_MAX_MS = 600000,
	BROWSE_PROGRAM_MAX = 256 * 1024,
};

struct browse_params {
	struct str url;
	struct str program;
	struct field_strings parts;
	struct str screenshot_path;
	struct str download_dir;
	int64_t timeout_ms;
	int64_t width, height;
};

struct browser_close_params {
	bool unused;
};

extern const struct action browse_action, browser_close_action;
