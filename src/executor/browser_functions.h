/* SPDX-License-Identifier: Apache-2.0 */
/*
 * browser_functions: who performs the calls of a program; the table is in browser_calls.c. Values
 * stand in the order of a function's parameters there, checked for their kind; NULL: not given.
 * Each complains and is -1 if it fails.
 */
#pragma once

#include "executor/browser_driver.h"

typedef int perform_fn(struct driver *d, const struct py_value *const *values);

/* browser_navigate.c */
perform_fn perform_goto, perform_go_back, perform_go_forward, perform_new_tab, perform_tab_close,
	perform_tab_focus;
/* browser_forms.c */
perform_fn perform_click, perform_dblclick, perform_hover, perform_drag, perform_fill,
	perform_clear, perform_focus, perform_press, perform_type, perform_select, perform_upload;
