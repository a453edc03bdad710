/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "http/router.h"
#include "http/server.h"

static struct error err;
static struct router *router;
static struct arena arena = ARENA_INIT(1 << 20);

static void handle(struct http_request *request)
{
}

static const struct http_route first_routes[] = {
	{ "GET", "/", handle },
	{ "GET", "/boxes", handle },
	{ "POST", "/boxes", handle },
	{ "GET", "/boxes/{id}", handle },
	{ "DELETE", "/boxes/{id}", handle },
	{ "POST", "/boxes/special", handle },
	{ "GET", "/boxes/{name}/files/{path*}", handle },
	{ "GET", "/boxes/{name}/files/list", handle },
	{ "PUT", "/a/{b}/c", handle },
	{ "PUT", "/a/x/{c}", handle },
	{ "PUT", "/any/{rest*}", handle },
	{ 0 },
};
static const struct http_route second_routes[] = {
	{ "PATCH", "/boxes/{key}", handle },
	{ 0 },
};
static const struct http_face first_face = { .name = "first" }, second_face = { .name = "second" };

static int make_router(void **state)
{
	router = router_new();
	router_add(router, &first_face, first_routes);
	router_add(router, &second_face, second_routes);
	return 0;
}

static int free_router(void **state)
{
	router_free(router);
	arena_fini(&arena);
	return 0;
}

/* "/boxes/{id} id=a1", or the error's name. */
static const char *find(const char *method, const char *path)
{
	static struct buf text;
	struct http_match m;
	buf_fini(&text);
	buf_init(&text, 4096);
	err = (struct error){ 0 };
	if (router_match(router, str_from(method), str_from(path), &arena, &m, NULL, &err) < 0)
		return error_name(err.code);
	buf_puts(&text, m.route->pattern);
	for (size_t i = 0; i < m.n_params; i++)
		buf_printf(&text, " %.*s=%s", STR_ARG(m.names[i]), m.values[i].ptr);
	return text.ptr;
}

static void a_path_finds_its_row_and_its_parameters(void **state)
{
	assert_string_equal(find("GET", "/"), "/");
	assert_string_equal(find("GET", "/boxes"), "/boxes");
	assert_string_equal(find("GET", "/boxes/a1"), "/boxes/{id} id=a1");
	assert_string_equal(find("GET", "/boxes/a1/files/x/y%20z"),
		"/boxes/{name}/files/{path*} name=a1 path=x/y z");
}

static void the_more_literal_pattern_wins_and_others_are_tried_after_it(void **state)
{
	assert_string_equal(find("POST", "/boxes/special"), "/boxes/special");
	assert_string_equal(find("GET", "/boxes/special"), "/boxes/{id} id=special");
	assert_string_equal(find("GET", "/boxes/a/files/list"), "/boxes/{name}/files/list name=a");
	assert_string_equal(find("PUT", "/a/x/c"), "/a/x/{c} c=c");
	assert_string_equal(find("PUT", "/a/y/c"), "/a/{b}/c b=y");
	assert_string_equal(find("PUT", "/any/y/%7a"), "/any/{rest*} rest=y/z");
}

static void rows_of_two_faces_share_a_path(void **state)
{
	struct http_match m;
	assert_string_equal(find("PATCH", "/boxes/a1"), "/boxes/{key} key=a1");
	assert_works(router_match(router, STR("PATCH"), STR("/boxes/a1"), &arena, &m, NULL, &err),
		err);
	assert_string_equal(m.face->name, "second");
	assert_works(router_match(router, STR("DELETE"), STR("/boxes/a1"), &arena, &m, NULL, &err),
		err);
	assert_string_equal(m.face->name, "first");
}

static void head_is_answered_by_get(void **state)
{
	assert_string_equal(find("HEAD", "/boxes/a1"), "/boxes/{id} id=a1");
	assert_string_equal(find("HEAD", "/a/b/c"), "method_not_allowed");
}

static void another_method_is_told_what_would_be_allowed(void **state)
{
	struct http_match m;
	auto_buf struct buf allow = BUF_INIT(100);
	assert_fails(router_match(router, STR("BREW"), STR("/boxes/a1"), &arena, &m, &allow, &err),
		err, METHOD, "/boxes/a1 is not for BREW");
	assert_str(buf_str(&allow), "GET, HEAD, DELETE, PATCH");
	assert_string_equal(m.face->name, "first");
}

static void a_path_that_no_pattern_fits_is_not_found(void **state)
{
	static const char *const paths[] = { "/box", "/boxes/", "//boxes", "/boxes//files/x",
		"/boxes/a/files", "/boxes/a/b", "/Boxes" };
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		assert_string_equal(find("GET", paths[i]), "not_found");
}

static void a_path_that_could_mean_two_things_is_refused(void **state)
{
	static const char *const paths[] = { "", "boxes", "*", "/boxes/..", "/boxes/../x",
		"/./boxes", "/boxes/%2e%2e", "/boxes/.%2E", "/boxes/%00", "/boxes/%0a",
		"/boxes/%7f", "/boxes/%", "/boxes/%f", "/boxes/%ff", "/boxes/%c0%af",
		"/boxes/%ed%a0%80" };
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		assert_string_equal(find("GET", paths[i]), "invalid_argument");
	char deep[2 * HTTP_SEGMENTS_MAX + 3] = "";
	for (int i = 0; i <= HTTP_SEGMENTS_MAX; i++)
		memcpy(deep + 2 * i, "/x", 3);
	assert_string_equal(find("PUT", deep), "invalid_argument");
}

static void a_parameter_is_decoded_once(void **state)
{
	assert_string_equal(find("GET", "/boxes/%252e"), "/boxes/{id} id=%2e");
	assert_string_equal(find("GET", "/boxes/a%2Fb"), "/boxes/{id} id=a/b");
	assert_string_equal(find("GET", "/boxes/a+b"), "/boxes/{id} id=a+b");
	assert_string_equal(find("GET", "/boxes/%7Bid%7D"), "/boxes/{id} id={id}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_finds_its_row_and_its_parameters),
		cmocka_unit_test(the_more_literal_pattern_wins_and_others_are_tried_after_it),
		cmocka_unit_test(rows_of_two_faces_share_a_path),
		cmocka_unit_test(head_is_answered_by_get),
		cmocka_unit_test(another_method_is_told_what_would_be_allowed),
		cmocka_unit_test(a_path_that_no_pattern_fits_is_not_found),
		cmocka_unit_test(a_path_that_could_mean_two_things_is_refused),
		cmocka_unit_test(a_parameter_is_decoded_once),
	};
	return cmocka_run_group_tests(tests, make_router, free_router);
}
