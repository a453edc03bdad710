/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Python programs of face/openhands/python/, as text. Made by tools/embed while building; a
 * file is a line here.
 */
#pragma once

extern const char programs_viewer[];
