/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edit_dir: what the editor shows of a directory: two levels, links followed, hidden names left
 * out.
 */
#pragma once

#include "executor/edit.h"
#include "executor/path.h"

int edit_view_dir(struct edit_outcome *o, const struct path_root *root, const char *path,
	struct error *err);
