/* SPDX-License-Identifier: Apache-2.0 */
/* frame, json and utf8. */
#include "unit.h"

#include "base/auto.h"
#include "wire/frame.h"
#include "wire/json.h"
#include "wire/jsonrpc.h"
#include "wire/utf8.h"

static struct error err;

static void a_frame_comes_back_as_it_was_put(void **state)
{
	auto_buf struct buf b = BUF_INIT(1000);
	frame_put(&b, FRAME_DATA, 2, STR("bytes"));
	frame_put(&b, FRAME_EOF, 0, STR_NONE);
	struct frame f;
	assert_int_equal(frame_parse(buf_str(&b), &f, &err), FRAME_HEAD + 5);
	assert_int_equal(f.kind, FRAME_DATA);
	assert_int_equal(f.channel, 2);
	assert_str(f.payload, "bytes");
	assert_int_equal(frame_parse(str_skip(buf_str(&b), FRAME_HEAD + 5), &f, &err), FRAME_HEAD);
	assert_int_equal(f.kind, FRAME_EOF);
}

static void a_frame_waits_for_its_last_byte(void **state)
{
	auto_buf struct buf b = BUF_INIT(1000);
	frame_put(&b, FRAME_RESULT, 0, STR("{}"));
	struct frame f;
	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(frame_parse(str_first(buf_str(&b), n), &f, &err), 0);
}

static void what_is_no_frame_is_refused_at_once(void **state)
{
	struct frame f;
	assert_fails(frame_parse(STR("\xff\xff\xff\xff\x01\0\0\0"), &f, &err), err, PROTOCOL,
		"bytes");
	assert_fails(frame_parse(STR("\0\0\0\0\x63\0\0\0"), &f, &err), err, PROTOCOL,
		"unknown kind 99");
	assert_fails(frame_parse(STR("\0\0\0\0\x01\0\x01\0"), &f, &err), err, PROTOCOL,
		"unknown kind");
	assert_fails(frame_parse(STR("GET / HT"), &f, &err), err, PROTOCOL, "frame");
}

static void counts_can_be_added_whoever_told_them(void **state)
{
	auto_json struct json *j = NULL;
	assert_works(json_parse(STR("[7,-1,9223372036854775807,1e18,\"7\",null]"), &j, &err), err);
	assert_int_equal(json_count(json_at(j, 0)), 7);
	assert_int_equal(json_count(json_at(j, 1)), 0);
	assert_int_equal(json_count(json_at(j, 2)), JSON_COUNT_MAX);
	assert_int_equal(json_count(json_at(j, 3)), 1000000000000000000);
	assert_int_equal(json_count(json_at(j, 4)), 0);
	assert_int_equal(json_count(json_at(j, 5)), 0);
}

static void a_tree_is_read_by_name_and_place(void **state)
{
	auto_json struct json *j = NULL;
	assert_works(json_parse(STR("{\"a\":[1,2.5,\"x\\u00e9\",true,null],\"b\":{}}"), &j, &err),
		err);
	struct json *a = json_find(j, "a");
	assert_int_equal(json_len(a), 5);
	assert_int_equal(json_int(json_at(a, 0)), 1);
	assert_true(json_double(json_at(a, 1)) == 2.5);
	assert_str(json_str(json_at(a, 2)), "x\xc3\xa9");
	assert_true(json_bool(json_at(a, 3)));
	assert_int_equal(json_kind(json_at(a, 4)), JSON_KIND_NULL);
	assert_null(json_find(j, "c"));
	assert_int_equal(json_kind(json_find(j, "b")), JSON_KIND_OBJECT);
}

static void bad_json_names_line_and_column(void **state)
{
	struct json *j;
	assert_fails(json_parse(STR("{\n\"a\": }"), &j, &err), err, INVALID, "line 2");
	assert_fails(json_parse(STR(""), &j, &err), err, INVALID, "not JSON");
	assert_fails(json_parse(STR("{} x"), &j, &err), err, INVALID, "not JSON");
	assert_fails(json_parse(STR("{\"a\":1,\"a\":2}"), &j, &err), err, INVALID, "duplicate");
	assert_fails(json_parse(STR("\"\xff\""), &j, &err), err, INVALID, "not JSON");
	assert_fails(json_parse(STR("NaN"), &j, &err), err, INVALID, "not JSON");
	assert_fails(json_parse(str_from_len("1\0", 2), &j, &err), err, INVALID, "NUL");
	assert_fails(json_parse(str_from_len("[1\0,2]", 6), &j, &err), err, INVALID, "NUL");
}

static void a_hundred_thousand_brackets_cost_nothing(void **state)
{
	static char deep[100000];
	memset(deep, '[', sizeof(deep));
	struct json *j;
	assert_fails(json_parse(str_from_len(deep, sizeof(deep)), &j, &err), err, INVALID,
		"deeper than 64");
}

static void the_writer_puts_the_commas(void **state)
{
	auto_buf struct buf b = BUF_INIT(1000);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "s", STR("a\"b\\c\n\x01"));
	jsonw_key(&w, "list");
	jsonw_open_array(&w);
	jsonw_int(&w, -1);
	jsonw_real(&w, 2);
	jsonw_real(&w, 0.1);
	jsonw_null(&w);
	jsonw_open(&w);
	jsonw_close(&w);
	jsonw_close_array(&w);
	jsonw_key_bool(&w, "t", true);
	jsonw_key(&w, "raw");
	jsonw_raw(&w, STR("[1]"));
	jsonw_close(&w);
	assert_string_equal(b.ptr,
		"{\"s\":\"a\\\"b\\\\c\\n\\u0001\",\"list\":[-1,2.0,0.1,null,{}],\"t\":true,\"raw\":[1]}");
}

static void invalid_utf8_is_written_as_a_replacement(void **state)
{
	auto_buf struct buf b = BUF_INIT(1000);
	struct jsonw w = JSONW(&b);
	jsonw_str(&w, STR("a\xff\xc3\xa9\xe2\x82z\xed\xa0\x80"));
	assert_string_equal(b.ptr,
		"\"a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd"
		"\xef\xbf\xbd\xef\xbf\xbd\"");
}

/* As it is written: one character after the other. */
static void put_slowly(struct buf *b, struct str text)
{
	buf_putc(b, '"');
	while (text.len) {
		size_t n = utf8_len(text);
		char c = text.ptr[0];
		if (n == 0)
			buf_puts(b, "\xef\xbf\xbd");
		else if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", c);
		else if (c == '\n' || c == '\r' || c == '\t')
			buf_printf(b, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
		else if (n == 1 && (c < 0x20 || c == 0x7f))
			buf_printf(b, "\\u%04x", c);
		else
			buf_add(b, text.ptr, n);
		text = str_skip(text, MAX(n, (size_t)1));
	}
	buf_putc(b, '"');
}

static void a_text_is_escaped_wherever_its_bytes_lie(void **state)
{
	static const char *const pieces[] = { "a", "plain text of a line", "\"", "\\", "\n", "\r\t",
		"\x01", "\x7f", "\xc3\xa9", "\xe2\x82\xac", "\xff", "\xe2\x82" };
	uint32_t seed = 1;
	for (size_t round = 0; round < 2000; round++) {
		auto_buf struct buf text = BUF_INIT(4096), slow = BUF_INIT(65536),
				    fast = BUF_INIT(65536);
		struct jsonw w = JSONW(&fast);
		for (size_t n = round % 300; n; n--) {
			seed = seed * 1664525 + 1013904223;
			buf_puts(&text, pieces[(seed >> 16) % ARRAY_LEN(pieces)]);
		}
		put_slowly(&slow, buf_str(&text));
		jsonw_str(&w, buf_str(&text));
		assert_true(str_eq(buf_str(&fast), buf_str(&slow)));
	}
}

static void what_was_parsed_is_written_the_same(void **state)
{
	const char *text = "{\"z\":[{\"a\":\"\\u0000\"},[],1e300,-5],\"b\":false}";
	auto_json struct json *j = NULL;
	auto_json struct json *again = NULL;
	auto_buf struct buf b = BUF_INIT(1000), c = BUF_INIT(1000);
	assert_works(json_parse(str_from(text), &j, &err), err);
	assert_works(json_write(j, &b), err);
	assert_works(json_parse(buf_str(&b), &again, &err), err);
	assert_works(json_write(again, &c), err);
	assert_string_equal(b.ptr, c.ptr);
	assert_text(b.ptr, "\\u0000");
}

static void an_error_travels_as_json(void **state)
{
	auto_buf struct buf b = BUF_INIT(1000);
	struct jsonw w = JSONW(&b);
	error_set(&err, ERROR_LIMIT, "too many \"things\"");
	jsonw_error(&w, &err);
	auto_json struct json *j = NULL;
	assert_works(json_parse(buf_str(&b), &j, &err), err);
	struct error back;
	json_to_error(j, &back);
	assert_int_equal(back.code, ERROR_LIMIT);
	assert_string_equal(back.text, "too many \"things\"");
	assert_fails(json_to_error(NULL, &err), err, PROTOCOL, "without code");
}

static void well_formed_utf8_is_told_from_the_rest(void **state)
{
	assert_true(utf8_is_valid(STR("a\xc2\x80\xe0\xa0\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf")));
	static const char *const bad[] = { "\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf",
		"\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3",
		"\xe2\x82" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(utf8_is_valid(str_from(bad[i])));
}

static void a_character_cut_by_a_read_is_recognized(void **state)
{
	assert_int_equal(utf8_incomplete_tail(STR("ab")), 0);
	assert_int_equal(utf8_incomplete_tail(STR("ab\xc3")), 1);
	assert_int_equal(utf8_incomplete_tail(STR("ab\xe2\x82")), 2);
	assert_int_equal(utf8_incomplete_tail(STR("ab\xf0\x9f\x98")), 3);
	assert_int_equal(utf8_incomplete_tail(STR("ab\xc3\xa9")), 0);
	assert_int_equal(utf8_incomplete_tail(STR("ab\xff")), 0);
}

/* ---- jsonrpc ---- */

static int read_message(const char *text, struct json **tree, struct jsonrpc *m)
{
	json_free(*tree);
	assert_works(json_parse(str_from(text), tree, &err), err);
	return jsonrpc_read(*tree, m, &err);
}

static void messages_are_told_apart(void **state)
{
	static const struct {
		const char *text;
		enum jsonrpc_kind kind;
	} messages[] = {
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":{}}",
			JSONRPC_REQUEST },
		{ "{\"jsonrpc\":\"2.0\",\"method\":\"m\"}", JSONRPC_NOTIFICATION },
		{ "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"result\":null}", JSONRPC_RESULT },
		{ "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-1,\"message\":\"no\"}}",
			JSONRPC_ERROR },
	};
	auto_json struct json *tree = NULL;
	struct jsonrpc m;
	for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
		assert_works(read_message(messages[i].text, &tree, &m), err);
		assert_int_equal(m.kind, messages[i].kind);
	}
	assert_int_equal(jsonrpc_to_error(m.error, &err), -1);
	assert_string_equal(err.text, "no");
}

static void what_is_no_message_is_refused(void **state)
{
	static const char *const texts[] = {
		"[]",
		"{\"id\":1,\"method\":\"m\"}",
		"{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"m\"}",
		"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"m\"}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":2}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":1}",
		"{\"jsonrpc\":\"2.0\",\"id\":1}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1,\"error\":{}}",
		"{\"jsonrpc\":\"2.0\",\"result\":1}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":\"x\",\"message\":\"y\"}}",
	};
	auto_json struct json *tree = NULL;
	struct jsonrpc m;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_fails(read_message(texts[i], &tree, &m), err, INVALID, "JSON-RPC");
}

static void a_character_is_written_in_its_shortest_form(void **state)
{
	static const struct {
		uint32_t c;
		const char *bytes;
	} cases[] = {
		{ 'a', "a" },
		{ 0x7f, "\x7f" },
		{ 0x80, "\xc2\x80" },
		{ 0x7ff, "\xdf\xbf" },
		{ 0x800, "\xe0\xa0\x80" },
		{ 0xffff, "\xef\xbf\xbf" },
		{ 0x10000, "\xf0\x90\x80\x80" },
		{ 0x10ffff, "\xf4\x8f\xbf\xbf" },
		{ 0xd800, "\xef\xbf\xbd" },
		{ 0x110000, "\xef\xbf\xbd" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_buf struct buf b = BUF_INIT(8);
		assert_int_equal(utf8_put(&b, cases[i].c), 0);
		assert_string_equal(b.ptr, cases[i].bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_comes_back_as_it_was_put),
		cmocka_unit_test(a_frame_waits_for_its_last_byte),
		cmocka_unit_test(what_is_no_frame_is_refused_at_once),
		cmocka_unit_test(a_tree_is_read_by_name_and_place),
		cmocka_unit_test(counts_can_be_added_whoever_told_them),
		cmocka_unit_test(bad_json_names_line_and_column),
		cmocka_unit_test(a_hundred_thousand_brackets_cost_nothing),
		cmocka_unit_test(the_writer_puts_the_commas),
		cmocka_unit_test(invalid_utf8_is_written_as_a_replacement),
		cmocka_unit_test(a_text_is_escaped_wherever_its_bytes_lie),
		cmocka_unit_test(what_was_parsed_is_written_the_same),
		cmocka_unit_test(an_error_travels_as_json),
		cmocka_unit_test(well_formed_utf8_is_told_from_the_rest),
		cmocka_unit_test(a_character_cut_by_a_read_is_recognized),
		cmocka_unit_test(messages_are_told_apart),
		cmocka_unit_test(what_is_no_message_is_refused),
		cmocka_unit_test(a_character_is_written_in_its_shortest_form),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
