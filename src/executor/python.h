/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Python programs of executor/python/, as text. Made by tools/embed while building; a file is a
 * line here.
 */
#pragma once

extern const char python_cell[];
extern const char python_clerk[];
extern const char python_documents[];
extern const char python_editor[];
extern const char python_guest[];
extern const char python_ipython[];
extern const char python_jupyter[];
extern const char python_kernel[];
extern const char python_lint[];
extern const char python_plain[];
extern const char python_skills[];
extern const char python_tool_host[];
extern const char python_tool_schema[];
