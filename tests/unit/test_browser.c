/* SPDX-License-Identifier: Apache-2.0 */
/* What is made of a page: bids, marks, the tree as text, Markdown, the picture with marks. */
#include "unit.h"

#include "base/auto.h"
#include "base/bug.h"
#include "executor/browser_axtree.h"
#include "executor/browser_image.h"
#include "executor/browser_markdown.h"
#include "executor/browser_page.h"
#include "wire/base64.h"

/*
 * A node of a snapshot; the array of a document ends with a type of 0. A parent is an index in it.
 */
struct row {
	int parent, type;
	const char *name, *value; /* value: a text's; of an element "attribute=value" or NULL */
	int backend;
	bool is_clickable;
	int x, y, width, height; /* width 0: it is not drawn */
	int content;             /* document, 0: none */
	const char *root;        /* kind of a shadow root, or NULL */
};

static struct error err;
static struct buf strings;
static int n_strings;

static int intern(const char *s)
{
	struct jsonw w = JSONW(&strings);
	if (!s)
		return -1;
	if (n_strings)
		buf_putc(&strings, ',');
	jsonw_str(&w, str_from(s));
	return n_strings++;
}

#define EACH(rows, i)         for (int i = 0; (rows)[i].type; i++)
#define PUT(b, i, ...)        (buf_puts((b), (i) ? "," : ""), buf_printf((b), __VA_ARGS__))
#define LIST(b, rows, i, ...) EACH(rows, i) PUT(b, i, __VA_ARGS__)

static void put_attributes(struct buf *b, const struct row *rows)
{
	EACH(rows, i)
	{
		const char *text = rows[i].type == 1 ? rows[i].value : NULL;
		const char *equals = text ? strchr(text, '=') : NULL;
		buf_puts(b, i ? "," : "");
		if (equals) {
			char name[32];
			snprintf(name, sizeof(name), "%.*s", (int)(equals - text), text);
			int key = intern(name);
			buf_printf(b, "[%d,%d]", key, intern(equals + 1));
		} else {
			buf_puts(b, "[]");
		}
	}
}

static void put_rare(struct buf *b, const struct row *rows)
{
	const char *comma = "";
	buf_puts(b, "],\"isClickable\":{\"index\":[");
	EACH(rows, i)
	if (rows[i].is_clickable)
		buf_printf(b, "%s%d", comma, i), comma = ",";
	auto_buf struct buf values = BUF_INIT(1000);
	buf_puts(b, "]},\"contentDocumentIndex\":{\"index\":[");
	comma = "";
	EACH(rows, i)
	if (rows[i].content) {
		buf_printf(b, "%s%d", comma, i);
		buf_printf(&values, "%s%d", comma, rows[i].content);
		comma = ",";
	}
	buf_printf(b, "],\"value\":[%s]},\"shadowRootType\":{\"index\":[", values.ptr);
	buf_reset(&values);
	comma = "";
	EACH(rows, i)
	if (rows[i].root) {
		buf_printf(b, "%s%d", comma, i);
		buf_printf(&values, "%s%d", comma, intern(rows[i].root));
		comma = ",";
	}
	buf_printf(b, "],\"value\":[%s]}}", values.ptr);
}

static void put_layout(struct buf *b, const struct row *rows)
{
	auto_buf struct buf bounds = BUF_INIT(10000), paints = BUF_INIT(10000);
	const char *comma = "";
	buf_puts(b, ",\"layout\":{\"nodeIndex\":[");
	EACH(rows, i)
	if (rows[i].width) {
		buf_printf(b, "%s%d", comma, i);
		buf_printf(&bounds, "%s[%d,%d,%d,%d]", comma, rows[i].x, rows[i].y, rows[i].width,
			rows[i].height);
		buf_printf(&paints, "%s%d", comma, i);
		comma = ",";
	}
	buf_printf(b, "],\"bounds\":[%s],\"paintOrders\":[%s]}", bounds.ptr, paints.ptr);
}

static void put_document(struct buf *b, const char *frame, const struct row *rows)
{
	buf_printf(b, "{\"frameId\":%d,\"documentURL\":%d,\"title\":%d,\"scrollOffsetX\":0,",
		intern(frame), intern("http://x/"), intern("A title"));
	buf_puts(b, "\"scrollOffsetY\":0,\"nodes\":{\"parentIndex\":[");
	LIST(b, rows, i, "%d", rows[i].parent);
	buf_puts(b, "],\"nodeType\":[");
	LIST(b, rows, i, "%d", rows[i].type);
	buf_puts(b, "],\"nodeName\":[");
	LIST(b, rows, i, "%d", intern(rows[i].name));
	buf_puts(b, "],\"nodeValue\":[");
	LIST(b, rows, i, "%d", rows[i].type == 3 ? intern(rows[i].value) : -1);
	buf_puts(b, "],\"backendNodeId\":[");
	LIST(b, rows, i, "%d", rows[i].backend);
	buf_puts(b, "],\"attributes\":[");
	put_attributes(b, rows);
	put_rare(b, rows);
	put_layout(b, rows);
	buf_putc(b, '}');
}

static struct json *snapshot(const struct row *top, const struct row *inner)
{
	auto_buf struct buf b = BUF_INIT(1 << 20);
	struct json *json = NULL;
	buf_init(&strings, 1 << 20);
	n_strings = 0;
	buf_puts(&b, "{\"documents\":[");
	put_document(&b, "TOP", top);
	if (inner) {
		buf_putc(&b, ',');
		put_document(&b, "INNER", inner);
	}
	buf_printf(&b, "],\"strings\":[%s]}", strings.ptr);
	buf_fini(&strings);
	assert_works(json_parse(buf_str(&b), &json, &err), err);
	return json;
}

static const char frames_text[] =
	"{\"frameTree\":{\"frame\":{\"id\":\"TOP\",\"loaderId\":\"L1\"},\"childFrames\":["
	"{\"frame\":{\"id\":\"INNER\",\"loaderId\":\"L2\"}}]}}";

static struct page_marks marks;

/* The page of a snapshot with its bids; *ret_json has to live as long. */
static struct page read_page(const struct row *top, const struct row *inner, const char *loader,
	struct json **ret_json)
{
	struct page page;
	auto_json struct json *frames = NULL;
	char text[sizeof(frames_text)];
	memcpy(text, frames_text, sizeof(text));
	memcpy(strstr(text, "L1"), loader, 2);
	assert_works(json_parse(str_from(text), &frames, &err), err);
	*ret_json = snapshot(top, inner);
	assert_works(page_read(*ret_json, 1280, 720, &page, &err), err);
	page_assign(&page, frames, &marks);
	return page;
}

#define NO_BOX 0, 0, 0, 0

/* ---- bids ---- */

static const struct row outer_rows[] = {
	{ -1, 9, "#document", NULL, 1 },
	{ 0, 1, "HTML", NULL, 2, false, 0, 0, 1280, 720 },
	{ 1, 1, "BODY", NULL, 3, false, 0, 0, 1280, 720 },
	{ 2, 1, "TEMPLATE", NULL, 4 },
	{ 3, 11, "#document-fragment", NULL, 5 },
	{ 4, 1, "B", NULL, 6 },
	{ 2, 1, "INPUT", NULL, 7, false, 0, 300, 100, 20 },
	{ 6, 11, "#document-fragment", NULL, 8, false, NO_BOX, 0, "user-agent" },
	{ 7, 1, "DIV", NULL, 9 },
	{ 2, 1, "X-BOX", NULL, 10 },
	{ 9, 11, "#document-fragment", NULL, 11, false, NO_BOX, 0, "open" },
	{ 10, 1, "P", NULL, 12 },
	{ 2, 1, "IFRAME", NULL, 13, false, 100, 100, 300, 150, 1 },
	{ 0 },
};

static const struct row inner_rows[] = {
	{ -1, 9, "#document", NULL, 20 },
	{ 0, 1, "HTML", NULL, 21, false, 0, 0, 300, 150 },
	{ 1, 1, "BUTTON", NULL, 22, true, 10, 10, 50, 20 },
	{ 0 },
};

static const char *bid(const struct page *p, int backend)
{
	const struct page_node *node = page_find(p, backend);
	assert_non_null(node);
	return node->bid;
}

static void elements_are_numbered_in_document_order(void **unused)
{
	auto_json struct json *json = NULL;
	auto_page struct page p = read_page(outer_rows, inner_rows, "L1", &json);
	assert_string_equal(bid(&p, 2), "0");
	assert_string_equal(bid(&p, 4), "2");
	assert_string_equal(bid(&p, 6), ""); /* a template's */
	assert_string_equal(bid(&p, 7), "3");
	assert_string_equal(bid(&p, 9), ""); /* the browser's own */
	assert_string_equal(bid(&p, 12), "5");
	assert_string_equal(bid(&p, 13), "a");
	assert_string_equal(bid(&p, 22), "a1");
	assert_int_equal(page_marks_find(&marks, STR("a1")), 22);
	assert_int_equal(page_marks_find(&marks, STR("a")), 13);
	assert_int_equal(page_marks_find(&marks, STR("17")), 0);
	page_marks_fini(&marks);
}

static void an_element_keeps_its_bid_as_long_as_its_document(void **unused)
{
	static const struct row later[] = {
		{ -1, 9, "#document", NULL, 1 },
		{ 0, 1, "HTML", NULL, 2 },
		{ 1, 1, "P", NULL, 30 },
		{ 1, 1, "BODY", NULL, 3 },
		{ 0 },
	};
	auto_json struct json *first = NULL, *second = NULL, *third = NULL;
	auto_page __attribute__((unused)) struct page p = read_page(outer_rows, inner_rows, "L1",
		&first);
	auto_page struct page q = read_page(later, NULL, "L1", &second);
	assert_string_equal(bid(&q, 30), "6"); /* after those that were given */
	assert_string_equal(bid(&q, 3), "1");
	auto_page struct page r = read_page(later, NULL, "L9", &third);
	assert_string_equal(bid(&r, 30), "1"); /* another document */
	assert_string_equal(bid(&r, 3), "2");
	page_marks_fini(&marks);
}

static void what_is_in_a_frame_is_placed_by_the_frame(void **unused)
{
	auto_json struct json *json = NULL;
	auto_page struct page p = read_page(outer_rows, inner_rows, "L1", &json);
	const struct page_node *button = page_find(&p, 22);
	assert_true(button->x == 110 && button->y == 110);
	assert_true(button->is_clickable && button->is_marked && button->visibility == 1);
	page_marks_fini(&marks);
}

static void a_snapshot_that_is_none_is_an_error(void **unused)
{
	static const char *const bad[] = { "{}", "{\"documents\":[]}", "{\"documents\":[{}]}",
		"{\"documents\":[1],\"strings\":7}" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		auto_json struct json *json = NULL;
		struct page p;
		assert_works(json_parse(str_from(bad[i]), &json, &err), err);
		assert_int_equal(page_read(json, 10, 10, &p, &err), -1);
	}
	auto_json struct json *odd = NULL;
	assert_works(
		json_parse(STR("{\"documents\":[{\"nodes\":{\"nodeType\":[1,1,\"x\"],"
			       "\"parentIndex\":[5,-7,1],\"contentDocumentIndex\":{\"index\":"
			       "[0,99],\"value\":[0,1]},\"isClickable\":{\"index\":[-1,77]}},"
			       "\"layout\":{\"nodeIndex\":[9,0],\"bounds\":[[1],[1,2,3,4]]}}]}"),
			&odd, &err),
		err);
	auto_page struct page p = { 0 };
	assert_works(page_read(odd, 10, 10, &p, &err), err);
	page_assign(&p, NULL, &marks);
	assert_int_equal(p.n, 3);
	page_marks_fini(&marks);
}

/* ---- marks ---- */

static const struct row marked_rows[] = {
	{ -1, 9, "#document", NULL, 1 },
	{ 0, 1, "BODY", NULL, 2, false, 0, 0, 1280, 720 },
	{ 1, 1, "LI", NULL, 3, false, 0, 0, 200, 40 },
	{ 2, 1, "A", "href=x", 4, true, 0, 0, 200, 40 },
	{ 3, 1, "SPAN", NULL, 5, true, 0, 0, 200, 40 },
	{ 1, 1, "BUTTON", NULL, 6, true, 300, 0, 100, 40 },
	{ 1, 1, "DIV", NULL, 7, false, 280, 0, 200, 200 },  /* on top of the button */
	{ 1, 1, "BUTTON", NULL, 8, true, 0, 900, 100, 40 }, /* not in view */
	{ 1, 1, "BUTTON", NULL, 9, true, 0, 300, 4, 4 },    /* too small */
	{ 0 },
};

static void a_mark_is_for_what_a_click_would_meet(void **unused)
{
	auto_json struct json *json = NULL;
	auto_page struct page p = read_page(marked_rows, NULL, "L1", &json);
	assert_false(page_find(&p, 3)->is_marked); /* the link in it is */
	assert_true(page_find(&p, 4)->is_marked);
	assert_false(page_find(&p, 5)->is_marked); /* part of the link */
	assert_false(page_find(&p, 6)->is_marked);
	assert_false(page_find(&p, 8)->is_marked);
	assert_false(page_find(&p, 9)->is_marked);
	page_marks_fini(&marks);
}

static void the_picture_gets_boxes_and_labels(void **unused)
{
	/* 16 by 16 pixels, white. */
	static const char white[] =
		"iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAFElEQVR42mP4TyJgGNUwqmH4agAAr639"
		"H23ooMoAAAAASUVORK5CYII=";
	auto_json struct json *json = NULL;
	auto_page struct page p = read_page(marked_rows, NULL, "L1", &json);
	auto_buf struct buf png = BUF_INIT(10000), marked = BUF_INIT(100000);
	assert_works(base64_decode(STR(white), &png, &err), err);
	assert_works(image_put_marks(&p, buf_str(&png), &marked, &err), err);
	assert_memory_equal(marked.ptr, "\x89PNG", 4);
	assert_memory_equal(marked.ptr + 16, png.ptr + 16, 8); /* of the same size */
	assert_false(str_eq(buf_str(&png), buf_str(&marked)));
	assert_fails(image_put_marks(&p, STR("no picture"), &marked, &err), err, INVALID, "image");
	page_marks_fini(&marks);
}

/* ---- the tree ---- */

#define NODE(id, rest) "{\"nodeId\":\"" id "\"," rest "}"
#define NAMED(role, name) \
	"\"role\":{\"value\":\"" role "\"},\"name\":{\"value\":\"" name "\"},\"ignored\":false"

static const char top_tree[] = "{\"nodes\":[" NODE("1",
	NAMED("RootWebArea",
		"Page 1") ",\"backendDOMNodeId\":1,\"childIds\":[\"2\",\"3\",\"5\",\"7\"],"
			  "\"properties\":[{\"name\":\"focusable\",\"value\":{\"value\":true}},{\"name\":\"focused\","
			  "\"value\":{\"value\":true}},{\"name\":\"url\",\"value\":{\"value\":\"http://h/\"}}]") "," NODE("2",
	NAMED("heading",
		"It's \\\"one\\\"") ",\"parentId\":\"1\",\"backendDOMNodeId\":2,"
				    "\"childIds\":[\"20\"],\"properties\":[{\"name\":\"level\",\"value\":{\"value\":1}}]") "," NODE("20",
	NAMED("StaticText", "It's") ",\"parentId\":\"2\",\"childIds\":[]") "," NODE("3",
	"\"role\":{\"value\":\"none\"},\"ignored\":true,\"parentId\":\"1\","
	"\"backendDOMNodeId\":10,\"childIds\":[\"4\"]") "," NODE("4",
	NAMED("textbox",
		" Name ") ",\"parentId\":\"3\",\"backendDOMNodeId\":7,"
			  "\"value\":{\"value\":\"a\\nb\"},\"childIds\":[],\"properties\":[{\"name\":\"required\","
			  "\"value\":{\"value\":true}},{\"name\":\"hasPopup\",\"value\":{\"value\":\"menu\"}},"
			  "{\"name\":\"expanded\",\"value\":{\"value\":false}},{\"name\":\"valuemin\","
			  "\"value\":{\"value\":2}},{\"name\":\"controls\",\"value\":{}}]") "," NODE("5",
	NAMED("generic",
		"") ",\"parentId\":\"1\",\"backendDOMNodeId\":3,\"childIds\":[\"6\"]") "," NODE("6",
	NAMED("LineBreak", "x") ",\"parentId\":\"5\",\"childIds\":[\"1\"]") "," NODE("7",
	NAMED("Iframe", "") ",\"parentId\":\"1\",\"backendDOMNodeId\":13,\"childIds\":[]") "]}";

static const char inner_tree[] = "{\"nodes\":[" NODE("50",
	NAMED("RootWebArea", "") ",\"backendDOMNodeId\":20,\"childIds\":[\"51\"]") "," NODE("51",
	NAMED("button",
		"Go") ",\"parentId\":\"50\",\"backendDOMNodeId\":22,\"childIds\":[],"
		      "\"properties\":[{\"name\":\"focused\",\"value\":{\"value\":true}}]") "]}";

static void the_tree_is_the_text_that_agents_know(void **unused)
{
	auto_json struct json *json = NULL, *top = NULL, *inner = NULL;
	auto_page struct page p = read_page(outer_rows, inner_rows, "L1", &json);
	auto_buf struct buf text = BUF_INIT(10000), object = BUF_INIT(10000);
	assert_works(json_parse(STR(top_tree), &top, &err), err);
	assert_works(json_parse(STR(inner_tree), &inner, &err), err);
	const struct json *trees[] = { top, inner };
	const struct str frames[] = { STR("TOP"), STR("INNER") };
	struct axtree *t = axtree_new(&p, trees, frames, 2);
	assert_true(axtree_put_text(t, &text));
	assert_string_equal(text.ptr,
		"RootWebArea 'Page 1', focused, url='http://h/'\n"
		"\t[0] heading 'It\\'s \"one\"'\n"
		"\t[3] textbox 'Name' value='a\\nb', required, hasPopup='menu', expanded=False, "
		"valuemin=2\n"
		"\t[1] generic\n"
		"\t[a] Iframe ''\n"
		"\t\tRootWebArea ''\n"
		"\t\t\t[a1] button 'Go', clickable, focused");
	assert_str(axtree_focused(t), "a1");
	struct jsonw w = JSONW(&object);
	axtree_put_object(t, &w);
	auto_json struct json *merged = NULL;
	assert_works(json_parse(buf_str(&object), &merged, &err), err);
	assert_int_equal(json_len(json_find(merged, "nodes")), 10);
	assert_text(object.ptr, "\"childIds\":[\"50\"],\"browsergym_id\":\"a\"");
	axtree_free(t);
	page_marks_fini(&marks);
}

/* ---- Markdown ---- */

#define DRAWN 0, 0, 10, 10

static const struct row text_rows[] = {
	{ -1, 9, "#document", NULL, 1 },
	{ 0, 1, "HTML", NULL, 2 },
	{ 1, 1, "HEAD", NULL, 3 },
	{ 2, 3, "#text", "not shown", 4, false, DRAWN },
	{ 1, 1, "H2", NULL, 5 },
	{ 4, 3, "#text", "  A\n title ", 6, false, DRAWN },
	{ 1, 1, "P", NULL, 7 },
	{ 6, 3, "#text", "See ", 8, false, DRAWN },
	{ 6, 1, "A", "href=/x", 9 },
	{ 8, 3, "#text", " here ", 10, false, DRAWN },
	{ 6, 1, "STRONG", NULL, 11 },
	{ 10, 3, "#text", "now", 12, false, DRAWN },
	{ 6, 3, "#text", "hidden", 13 },
	{ 1, 1, "UL", NULL, 14 },
	{ 13, 1, "LI", NULL, 15 },
	{ 14, 3, "#text", "one", 16, false, DRAWN },
	{ 14, 1, "OL", NULL, 17 },
	{ 16, 1, "LI", NULL, 18 },
	{ 17, 3, "#text", "two", 19, false, DRAWN },
	{ 1, 1, "TABLE", NULL, 20 },
	{ 19, 1, "TR", NULL, 21 },
	{ 20, 1, "TH", NULL, 22 },
	{ 21, 3, "#text", "a", 23, false, DRAWN },
	{ 20, 1, "TH", NULL, 24 },
	{ 23, 3, "#text", "b", 25, false, DRAWN },
	{ 19, 1, "TR", NULL, 26 },
	{ 25, 1, "TD", NULL, 27 },
	{ 26, 3, "#text", "1", 28, false, DRAWN },
	{ 25, 1, "TD", NULL, 29 },
	{ 28, 3, "#text", "2", 30, false, DRAWN },
	{ 1, 1, "PRE", NULL, 31 },
	{ 30, 3, "#text", "x = 1\n\n  y", 32, false, DRAWN },
	{ 1, 1, "EM", NULL, 33 }, /* of nothing */
	{ 1, 1, "HR", NULL, 34 },
	{ 0 },
};

static void a_page_reads_as_markdown(void **unused)
{
	auto_json struct json *json = NULL;
	auto_page struct page p = read_page(text_rows, NULL, "L1", &json);
	auto_buf struct buf text = BUF_INIT(10000);
	assert_true(markdown_put(&p, &text));
	assert_string_equal(text.ptr,
		"## A title\n\nSee [here](/x) **now**\n\n  * one\n    1. two\n\na| b\n---|---\n1| 2\n\n"
		"    x = 1\n\n      y\n\n* * *");
	page_marks_fini(&marks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements_are_numbered_in_document_order),
		cmocka_unit_test(an_element_keeps_its_bid_as_long_as_its_document),
		cmocka_unit_test(what_is_in_a_frame_is_placed_by_the_frame),
		cmocka_unit_test(a_snapshot_that_is_none_is_an_error),
		cmocka_unit_test(a_mark_is_for_what_a_click_would_meet),
		cmocka_unit_test(the_picture_gets_boxes_and_labels),
		cmocka_unit_test(the_tree_is_the_text_that_agents_know),
		cmocka_unit_test(a_page_reads_as_markdown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
