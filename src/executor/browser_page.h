/* SPDX-License-Identifier: Apache-2.0 */
/*
 * browser_page: what a page holds, out of one DOMSnapshot.captureSnapshot: every node of every
 * document, where it is drawn, and the ids (bids) by which an agent names elements.
 *
 * A bid is a number in document order within the top document, "a" for its first iframe, "a0" for
 * the first element in that. An element keeps its bid as long as its document lives; what comes
 * later gets the numbers after those that were given. Nothing is written into the page: elements
 * are known by the browser's own numbers.
 *
 * Boxes are in pixels of the viewport. A mark says that an agent may want to point at the element:
 * it can be clicked, and a click at its centre meets it.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "wire/json.h"

enum {
	PAGE_NODES_MAX = 400000,
	PAGE_DOCUMENTS_MAX = 512,
	PAGE_BID_SIZE = 24,
	PAGE_FRAME_SIZE = 64,
	PAGE_COUNTERS_MAX = 256, /* documents whose numbers are remembered */
};

/* What is remembered of a tab between two snapshots. */
struct page_mark {
	int64_t backend; /* the browser's number of the element */
	char bid[PAGE_BID_SIZE];
};

struct page_counter {
	char frame[PAGE_FRAME_SIZE], loader[PAGE_FRAME_SIZE]; /* which document */
	int64_t next_number, next_frame;
	bool is_seen; /* in the last snapshot */
};

struct page_marks {
	struct page_mark *marks; /* sorted by backend */
	size_t n;
	struct page_counter *counters;
	size_t n_counters;
};

void page_marks_fini(struct page_marks *m);
/* 0: there is no such bid. */
int64_t page_marks_find(const struct page_marks *m, struct str bid);

struct page_node {
	int32_t parent, first_child, next_sibling; /* -1: none */
	int32_t document, content;                 /* content: document of an iframe; -1: none */
	uint8_t type;                              /* 1 element, 3 text, 9 document, 11 fragment */
	bool is_element; /* one that has a bid: no pseudo element, no template's */
	bool is_clickable, has_box, is_marked;
	bool is_hidden, passes_clicks, is_pointer; /* by its style */
	float x, y, width, height;
	float visibility; /* how much of it is within the viewport, 0 to 1 */
	int32_t paint;
	struct str name, value; /* "DIV", text */
	const struct json *attributes;
	int64_t backend;
	char bid[PAGE_BID_SIZE]; /* "" if it has none */
};

struct page_document {
	int32_t first, n; /* nodes */
	int32_t owner;    /* the iframe's node, or -1 */
	struct str frame, url, title;
	float x, y; /* of its origin in the viewport */
};

struct page {
	const struct json *snapshot; /* borrowed: must live as long */
	const struct json *strings;
	struct page_node *nodes;
	int32_t n;
	struct page_document *documents;
	int32_t n_documents;
	int32_t *by_backend; /* node numbers, sorted */
};

/* frames: {frame id: loader id}; tells whether a document is the one that was there before. */
int page_read(const struct json *snapshot, int width, int height, struct page *ret,
	struct error *err);
void page_fini(struct page *p);
#define auto_page __attribute__((cleanup(page_fini)))

/* Gives bids; frame_tree: the result of Page.getFrameTree, or NULL. */
void page_assign(struct page *p, const struct json *frame_tree, struct page_marks *marks);
/* NULL if there is none. */
const struct page_node *page_find(const struct page *p, int64_t backend);
struct str page_attribute(const struct page *p, const struct page_node *node, const char *name);
/* {"12":{"visibility":1.0,"bbox":[x,y,w,h],"clickable":true,"set_of_marks":true},…} */
void page_put_elements(const struct page *p, struct jsonw *w);
