/* SPDX-License-Identifier: Apache-2.0 */
/*
 * browser_axtree: the accessibility trees of a page's frames (Accessibility.getFullAXTree), merged
 * into one: the root of a frame hangs below the node of its iframe. As text, one node is one line,
 * a tab for each level:
 *
 *	RootWebArea 'Page 1', focused, url='http://localhost:8000/'
 *		[5] heading 'Page 1'
 *		[7] button 'Send', clickable
 *		[8] textbox 'Name' value='Ann', required
 *
 * the same text that BrowserGym's flatten_axtree_to_str makes. Nodes that the browser ignores are
 * left out, but for those that can be clicked: they are "generic".
 */
#pragma once

#include "executor/browser_page.h"

enum { AXTREE_TEXT_MAX = 2 * 1024 * 1024, AXTREE_FRAMES_MAX = 64, AXTREE_DEPTH_MAX = 2000 };

struct axtree;

/*
 * trees: results of getFullAXTree, the top frame's first; frames: their ids. Borrows all, and the
 * page.
 */
struct axtree *axtree_new(const struct page *page, const struct json *const *trees,
	const struct str *frames, size_t n);
void axtree_free(struct axtree *t);
/* True if all of it fits: else it is cut at the end of a line. */
bool axtree_put_text(const struct axtree *t, struct buf *b);
/* {"nodes":[…]} as the browser gave them, each with its bid as "browsergym_id". */
void axtree_put_object(const struct axtree *t, struct jsonw *w);
/* The bid of what has the focus: the body's if nothing else has it; "" if unknown. */
struct str axtree_focused(const struct axtree *t);
