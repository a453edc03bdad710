/* SPDX-License-Identifier: Apache-2.0 */
/*
 * browser_marks: which elements of a page an agent may want to point at. Sets page_node::is_marked.
 */
#pragma once

#include "executor/browser_page.h"

void marks_find(struct page *p, int width, int height);
