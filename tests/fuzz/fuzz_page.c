/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a browser says about a page may be anything:
 * {"snapshot":…,"frames":…,"trees":[…],"ids":[…]}. Whatever it is, texts come out, each element has
 * one bid, and a second look gives the same ones.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "executor/browser_axtree.h"
#include "executor/browser_markdown.h"
#include "executor/browser_page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_bids(const struct page *first, const struct page *second)
{
	for (int32_t i = 0; i < first->n; i++) {
		const struct page_node *node = &first->nodes[i];
		BUG_IF(*node->bid && !node->is_element, "a bid of what is no element");
		BUG_IF(node->parent >= i, "a parent behind its child");
		BUG_IF(node->visibility < 0, "less than nothing is seen");
		const struct page_node *found = page_find(second, node->backend);
		BUG_IF(!found, "a node that cannot be found");
	}
}

static void put_all(const struct page *p, const struct json *json)
{
	const struct json *trees[4];
	struct str ids[4];
	const struct json *all = json_find(json, "trees"), *names = json_find(json, "ids");
	size_t n = MIN(json_len(all), ARRAY_LEN(trees));
	auto_buf struct buf text = BUF_INIT(8 << 20), object = BUF_INIT(8 << 20);
	struct jsonw w = JSONW(&object);
	markdown_put(p, &text);
	page_put_elements(p, &w);
	for (size_t i = 0; i < n; i++) {
		trees[i] = json_at(all, i);
		ids[i] = json_str(json_at(names, i));
	}
	if (n == 0)
		return;
	struct axtree *t = axtree_new(p, trees, ids, n);
	axtree_put_text(t, &text);
	buf_reset(&object);
	w = JSONW(&object);
	axtree_put_object(t, &w);
	auto_json struct json *back = NULL;
	BUG_IF(!object.is_full && json_parse(buf_str(&object), &back, NULL) < 0,
		"an object that is no JSON");
	axtree_focused(t);
	axtree_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_json struct json *json = NULL;
	auto_page struct page first = { 0 }, second = { 0 };
	struct page_marks marks = { 0 };
	if (json_parse(str_from_len((const char *)data, size), &json, NULL) < 0)
		return 0;
	const struct json *snapshot = json_find(json, "snapshot"),
			  *frames = json_find(json, "frames");
	if (page_read(snapshot, 1280, 720, &first, NULL) == 0 &&
		page_read(snapshot, 1280, 720, &second, NULL) == 0) {
		page_assign(&first, frames, &marks);
		page_assign(&second, frames, &marks);
		check_bids(&first, &second);
		put_all(&first, json);
	}
	page_marks_fini(&marks);
	return 0;
}
