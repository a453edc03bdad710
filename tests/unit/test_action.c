/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "action/action.h"

struct params {
	struct str path, mode;
	int64_t n;
	bool is_on;
	struct field_strings argv;
	struct field_map env;
	const struct json *extra;
};

static const char *const modes[] = { "fast", "slow", NULL };

static const struct field fields[] = {
	{ "path", FIELD_STRING, FIELD_AT(struct params, path), FIELD_REQUIRED | FIELD_PATH },
	{ "mode", FIELD_STRING, FIELD_AT(struct params, mode), .standard = "fast", .words = modes },
	{ "n", FIELD_INT, FIELD_AT(struct params, n), .min = 1, .max = 9, .standard = "3" },
	{ "on", FIELD_BOOL, FIELD_AT(struct params, is_on), .standard = "true" },
	{ "argv", FIELD_STRINGS, FIELD_AT(struct params, argv) },
	{ "env", FIELD_MAP, FIELD_AT(struct params, env) },
	{ "extra", FIELD_JSON, FIELD_AT(struct params, extra) },
	{ 0 },
};

static struct error err;
static struct arena arena = ARENA_INIT(1 << 20);
static struct json *tree;

static int decode(const char *text, struct params **ret)
{
	json_free(tree);
	tree = NULL;
	if (json_parse(str_from(text), &tree, &err) < 0)
		return -1;
	void *params;
	int r = fields_decode(fields, sizeof(struct params), "do", tree, &arena, &params, &err);
	if (r >= 0)
		*ret = params;
	return r;
}

static int clean_up(void **state)
{
	json_free(tree);
	tree = NULL;
	arena_fini(&arena);
	return 0;
}

static void every_type_of_field_is_decoded(void **state)
{
	struct params *p;
	assert_works(
		decode("{\"path\":\"/a\",\"mode\":\"slow\",\"n\":9,\"on\":false,\"argv\":[\"x\",\"\"],"
		       "\"env\":{\"K\":\"v\"},\"extra\":[1]}",
			&p),
		err);
	assert_str(p->path, "/a");
	assert_str(p->mode, "slow");
	assert_int_equal(p->n, 9);
	assert_false(p->is_on);
	assert_int_equal(p->argv.n, 2);
	assert_str(p->argv.items[0], "x");
	assert_int_equal(p->env.n, 1);
	assert_str(p->env.keys[0], "K");
	assert_str(p->env.values[0], "v");
	assert_int_equal(json_len(p->extra), 1);
}

static void what_is_absent_or_null_gets_its_standard_value(void **state)
{
	struct params *p;
	assert_works(decode("{\"path\":\"a\",\"n\":null}", &p), err);
	assert_str(p->mode, "fast");
	assert_int_equal(p->n, 3);
	assert_true(p->is_on);
	assert_int_equal(p->argv.n, 0);
	assert_null(p->extra);
}

static void a_wrong_field_is_named_with_what_is_wanted(void **state)
{
	static const struct {
		const char *json, *text;
	} rows[] = {
		{ "{}", "do: 'path' is missing" },
		{ "{\"path\":null}", "do: 'path' is missing" },
		{ "{\"path\":\"\"}", "'path' is empty" },
		{ "{\"path\":1}", "'path' must be a string, not integer" },
		{ "{\"path\":\"a\\u0000b\"}", "'path' holds a NUL byte" },
		{ "{\"path\":\"a\",\"n\":0}", "'n' is 0; it must be between 1 and 9" },
		{ "{\"path\":\"a\",\"n\":1.5}", "'n' must be a whole number, not number" },
		{ "{\"path\":\"a\",\"n\":\"1\"}", "'n' must be a whole number, not string" },
		{ "{\"path\":\"a\",\"on\":1}", "'on' must be true or false, not integer" },
		{ "{\"path\":\"a\",\"mode\":\"warp\"}",
			"'mode' must be one of fast, slow, not 'warp'" },
		{ "{\"path\":\"a\",\"argv\":\"x\"}",
			"'argv' must be an array of strings, not string" },
		{ "{\"path\":\"a\",\"argv\":[1]}", "'argv' must be a string, not integer" },
		{ "{\"path\":\"a\",\"env\":{\"K\":1}}", "'env' must be a string, not integer" },
		{ "{\"path\":\"a\",\"paht\":1}", "unknown field 'paht'; known are: path, mode" },
		{ "[1]", "an object is wanted, not array" },
	};
	struct params *p;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_fails(decode(rows[i].json, &p), err, INVALID, rows[i].text);
}

static void a_path_of_4096_bytes_is_one_too_long(void **state)
{
	char text[5000];
	struct params *p;
	memset(text, 'a', sizeof(text));
	memcpy(text, "{\"path\":\"", 9);
	memcpy(text + 9 + 4095, "\"}", 3);
	assert_works(decode(text, &p), err);
	memset(text, 'a', sizeof(text));
	memcpy(text, "{\"path\":\"", 9);
	memcpy(text + 9 + 4096, "\"}", 3);
	assert_fails(decode(text, &p), err, INVALID, "4096 bytes; the limit is 4095");
}

static void the_schema_says_what_the_decoder_checks(void **state)
{
	auto_buf struct buf b = BUF_INIT(4096);
	struct jsonw w = JSONW(&b);
	fields_schema(fields, &w);
	auto_json struct json *j = NULL;
	assert_works(json_parse(buf_str(&b), &j, &err), err);
	assert_text(b.ptr, "\"required\":[\"path\"]");
	assert_text(b.ptr,
		"\"n\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":9,\"default\":3}");
	assert_text(b.ptr, "\"enum\":[\"fast\",\"slow\"],\"default\":\"fast\"");
	assert_text(b.ptr, "\"additionalProperties\":false}");
}

static void the_table_is_sorted_and_every_row_is_whole(void **state)
{
	const char *before = "";
	for (const struct action *const *a = action_table; *a; a++) {
		assert_true(strcmp(before, (*a)->name) < 0);
		before = (*a)->name;
		assert_non_null((*a)->summary);
		assert_non_null((*a)->group);
		assert_non_null((*a)->result);
		assert_ptr_equal(action_find(str_from((*a)->name)), *a);
		void *params;
		for (const struct field *f = (*a)->fields; f->name; f++) {
			assert_non_null(f->help);
			assert_true(f->offset < (*a)->params_size);
		}
		if (fields_decode((*a)->fields, (*a)->params_size, (*a)->name, NULL, &arena,
			    &params, &err) < 0)
			assert_text(err.text, "is missing");
	}
	assert_null(action_find(STR("no_such_action")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_of_field_is_decoded),
		cmocka_unit_test(what_is_absent_or_null_gets_its_standard_value),
		cmocka_unit_test(a_wrong_field_is_named_with_what_is_wanted),
		cmocka_unit_test(a_path_of_4096_bytes_is_one_too_long),
		cmocka_unit_test(the_schema_says_what_the_decoder_checks),
		cmocka_unit_test(the_table_is_sorted_and_every_row_is_whole),
	};
	return cmocka_run_group_tests(tests, NULL, clean_up);
}
