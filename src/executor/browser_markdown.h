/* SPDX-License-Identifier: Apache-2.0 */
/*
 * browser_markdown: a page as Markdown: headings, lists, links, tables and code as html2text writes
 * them, no line broken, images left out. Only text that is drawn is there: nothing hidden, no
 * script.
 */
#pragma once

#include "executor/browser_page.h"

enum { MARKDOWN_MAX = 2 * 1024 * 1024 };

/* True if all of it fits: else it is cut at the end of a line. */
bool markdown_put(const struct page *page, struct buf *b);
