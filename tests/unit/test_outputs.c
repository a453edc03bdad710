/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/auto.h"
#include "executor/outputs.h"

#include <stdio.h>

static void add_display(struct outputs *o, const char *text)
{
	auto_json struct json *json = NULL;
	struct error err;
	assert_works(json_parse(str_from(text), &json, &err), err);
	outputs_add_display(o, json);
}

/* Both forms, one after the other. */
static char *rendered(struct outputs *o)
{
	struct buf b = BUF_INIT(64 << 20);
	struct jsonw w = JSONW(&b);
	outputs_put(o, NULL, &w);
	buf_puts(&b, "\n");
	auto_buf struct buf text = BUF_INIT(64 << 20);
	outputs_put_text(o, NULL, &text);
	buf_put(&b, buf_str(&text));
	outputs_fini(o);
	return buf_take(&b);
}

static void what_is_printed_in_a_row_is_one_output(void **state)
{
	struct outputs o;
	outputs_init(&o, 1 << 20);
	outputs_add(&o, 1, STR("a\n"));
	outputs_add(&o, 1, STR("caf\xc3"));
	outputs_add(&o, 1, STR("\xa9\n"));
	outputs_add(&o, 2, STR("e\n"));
	outputs_add(&o, 1, STR("b\n"));
	auto_free char *text = rendered(&o);
	assert_string_equal(text,
		"[{\"type\":\"stream\",\"name\":\"stdout\",\"text\":\"a\\ncafé\\n\"},"
		"{\"type\":\"stream\",\"name\":\"stderr\",\"text\":\"e\\n\"},"
		"{\"type\":\"stream\",\"name\":\"stdout\",\"text\":\"b\\n\"}]\na\ncafé\ne\nb\n");
}

static void displays_and_errors_have_a_text(void **state)
{
	struct outputs o;
	outputs_init(&o, 1 << 20);
	add_display(&o, "{\"type\":\"execute_result\",\"data\":{\"text/plain\":\"42\"}}");
	add_display(&o, "{\"type\":\"error\",\"traceback\":[\"one\",\"two\"]}");
	add_display(&o, "{\"data\":{\"text/plain\":\"of no type\"}}");
	auto_free char *text = rendered(&o);
	assert_text(text, "]\n42\none\ntwo\n");
	assert_null(strstr(text, "of no type"));
}

static void the_first_and_the_last_half_are_kept(void **state)
{
	struct outputs o;
	outputs_init(&o, 2000);
	for (int i = 0; i < 100000; i++) {
		char line[20];
		int n = snprintf(line, sizeof(line), "%06d\n", i);
		outputs_add(&o, 1, str_from_len(line, (size_t)n));
	}
	assert_true(o.dropped_bytes > 500000);
	auto_free char *text = rendered(&o);
	assert_text(text, "\n000000\n000001\n");
	assert_text(text, "bytes are left out here ...]\n");
	assert_text(text, "{\"type\":\"gap\",\"bytes\":");
	assert_true(str_ends(str_from(text), STR("099998\n099999\n")));
	assert_true(strlen(text) < 300000);
}

static void many_small_ones_have_a_ceiling(void **state)
{
	struct outputs o;
	outputs_init(&o, 4096);
	for (int i = 0; i < 100000; i++)
		outputs_add(&o, (uint8_t)(1 + i % 2), STR("x"));
	assert_true(o.head_bytes + o.tail_bytes <= 4096 + 1024);
	auto_free char *text = rendered(&o);
	assert_true(strlen(text) < 8192);
}

static void a_display_too_many_is_told(void **state)
{
	struct outputs o;
	auto_buf struct buf display = BUF_INIT(8 << 20);
	outputs_init(&o, 1 << 20);
	buf_puts(&display, "{\"type\":\"display_data\",\"data\":{\"image/png\":\"");
	for (int i = 0; i < 3 << 20; i++)
		buf_putc(&display, 'A');
	buf_puts(&display, "\"}}");
	for (int i = 0; i < 4; i++)
		add_display(&o, display.ptr);
	assert_true(o.display_bytes <= 8 << 20);
	auto_free char *text = rendered(&o);
	assert_text(text, "a display is too large for the result");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_printed_in_a_row_is_one_output),
		cmocka_unit_test(displays_and_errors_have_a_text),
		cmocka_unit_test(the_first_and_the_last_half_are_kept),
		cmocka_unit_test(many_small_ones_have_a_ceiling),
		cmocka_unit_test(a_display_too_many_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
