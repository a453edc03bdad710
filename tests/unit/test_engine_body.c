/* SPDX-License-Identifier: Apache-2.0 */
/* What a container is asked for, and what is believed of an engine's answers. */
#include "runtime/engine/body.h"

#include "unit.h"

#include "base/auto.h"
#include "runtime/engine/find.h"
#include "runtime/engine/said.h"

static struct spec spec;
static const struct engine_facts able = { true, true, true, true, true, false, "x86_64" };

static struct engine_wish wish_of(const char *image)
{
	return (struct engine_wish){ .spec = &spec,
		.image = image,
		.gpus = "",
		.network = "",
		.server_id = "server",
		.state_dir = "/state",
		.program = "/bin/cay-executor",
		.run_dir = "/state/run" };
}

static int reset(void **state)
{
	memset(&spec, 0, sizeof(spec));
	return 0;
}

/* The body, parsed. */
static struct json *body_of(const struct engine_wish *wish, const struct engine_image *image)
{
	struct json *json;
	struct enforced promise = { 0 };
	struct error err;
	auto_buf struct buf b = BUF_INIT(ENGINE_BODY_MAX);
	engine_promise(wish, &able, &promise);
	engine_put_body(wish, image, &able, &promise, &b);
	assert_works(json_parse(buf_str(&b), &json, &err), err);
	return json;
}

static bool has_word(const struct json *list, const char *word)
{
	for (size_t i = 0; i < json_len(list); i++)
		if (str_is(json_str(json_at(list, i)), word))
			return true;
	return false;
}

static void what_is_not_asked_for_has_its_standard(void **state)
{
	struct engine_wish wish = wish_of("debian:12");
	const struct engine_image image = { "", "" };
	auto_json struct json *body = body_of(&wish, &image);
	const struct json *host = json_find(body, "HostConfig"), *cmd = json_find(body, "Cmd");
	assert_int_equal(json_int(json_find(host, "Memory")), 1 << 30);
	assert_int_equal(json_int(json_find(host, "MemorySwap")), 1 << 30);
	assert_int_equal(json_int(json_find(host, "PidsLimit")), 512);
	assert_null(json_find(host, "NanoCpus"));
	assert_null(json_find(host, "DeviceRequests"));
	assert_true(str_is(json_str(json_find(host, "NetworkMode")), "none"));
	assert_true(has_word(cmd, "/workspace") && has_word(cmd, "1000:1000"));
	assert_int_equal(json_len(json_find(host, "Mounts")), 2);
}

static void an_image_says_where_and_as_whom(void **state)
{
	struct engine_wish wish = wish_of("app");
	const struct engine_image image = { "/srv", "app" };
	auto_json struct json *body = body_of(&wish, &image);
	assert_true(has_word(json_find(body, "Cmd"), "/srv"));
	assert_true(has_word(json_find(body, "Cmd"), "app"));
	spec.user = USER_ROOT;
	snprintf(spec.workdir, sizeof(spec.workdir), "/own");
	auto_json struct json *root = body_of(&wish, &image);
	assert_true(has_word(json_find(root, "Cmd"), "/own"));
	assert_false(has_word(json_find(root, "Cmd"), "--user"));
}

static void what_no_container_gives_is_refused(void **state)
{
	static const char *const images[] = { "", "host", "../x", "-v", "a b", "a\"b", "/x" };
	struct error err;
	for (size_t i = 0; i < ARRAY_LEN(images); i++) {
		struct engine_wish wish = wish_of(images[i]);
		assert_fails(engine_check(&wish, &err), err, INVALID, "image");
	}
	struct engine_wish wish = wish_of("registry:5000/a/b@sha256:00");
	assert_works(engine_check(&wish, &err), err);
	wish.network = "a b";
	assert_fails(engine_check(&wish, &err), err, INVALID, "network");
	wish.network = "";
	wish.gpus = "0,,1";
	assert_fails(engine_check(&wish, &err), err, INVALID, "gpus");
	wish.gpus = "";
	spec.network = NETWORK_PROXY;
	assert_fails(engine_check(&wish, &err), err, UNSUPPORTED, "allowed");
}

static void a_limit_that_cannot_be_set_is_no_promise(void **state)
{
	const struct engine_facts unable = { .architecture = "x86_64" };
	struct engine_wish wish = wish_of("a");
	struct enforced promise = { 0 };
	struct error err;
	engine_promise(&wish, &unable, &promise);
	assert_int_equal(promise.limits.memory_bytes, SPEC_UNLIMITED);
	assert_works(engine_check_promise(&wish, &promise, &err), err);
	spec.limits.memory_bytes = 1 << 20;
	assert_fails(engine_check_promise(&wish, &promise, &err), err, UNSUPPORTED, "limit");
	spec.limits.memory_bytes = 0;
	spec.required = UINT64_C(1) << CONTROL_SECCOMP;
	assert_fails(engine_check_promise(&wish, &promise, &err), err, UNSUPPORTED, "seccomp");
}

static void what_holds_is_read_back_from_its_label(void **state)
{
	static const char *const bad[] = { "", "zz 1 2 3 4 5", "1 2 3", "1 2 3 4 5 6 7",
		"ffffffffffffffff 1 1 1 1 1", "1 -2 1 1 1 1" };
	struct enforced e = { .controls = 0x2c, .limits = { 1 << 20, 64, 500, -1, -1 } }, back;
	auto_buf struct buf b = BUF_INIT(1024);
	engine_put_enforced(&e, &b);
	engine_parse_enforced(buf_str(&b), &back);
	assert_memory_equal(&e, &back, sizeof(e));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		engine_parse_enforced(str_from(bad[i]), &back);
		assert_int_equal(back.controls, 0);
	}
}

static void a_reference_without_a_tag_is_the_latest(void **state)
{
	static const char *const pairs[][2] = {
		{ "debian", "debian:latest" },
		{ "debian:12", "debian:12" },
		{ "host:5000/a", "host:5000/a:latest" },
		{ "host:5000/a:b", "host:5000/a:b" },
		{ "a@sha256:00", "a@sha256:00" },
	};
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		auto_buf struct buf b = BUF_INIT(256);
		engine_put_reference(str_from(pairs[i][0]), &b);
		assert_string_equal(b.ptr, pairs[i][1]);
	}
}

static void the_first_error_among_the_lines_counts(void **state)
{
	struct error err;
	assert_works(said_judge(STR(""), &err), err);
	assert_works(said_judge(STR("{\"status\":\"a\"}\r\nnoise\n{}\n"), &err), err);
	assert_fails(
		said_judge(STR("{\"status\":\"a\"}\n{\"errorDetail\":{\"message\":\"why\"}}\n"),
			&err),
		err, UNAVAILABLE, "why");
}

static void only_an_engine_of_this_machine_is_found(void **state)
{
	struct error err;
	static const char *const good[] = { "/x.sock", "unix:/x.sock", "unix:///x.sock" };
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		auto_buf struct buf b = BUF_INIT(256);
		assert_works(engine_find(good[i], &b, &err), err);
		assert_string_equal(b.ptr, "/x.sock");
	}
	auto_buf struct buf b = BUF_INIT(256);
	assert_fails(engine_find("tcp://host:2375", &b, &err), err, UNSUPPORTED, "Unix socket");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_is_not_asked_for_has_its_standard, reset),
		cmocka_unit_test_setup(an_image_says_where_and_as_whom, reset),
		cmocka_unit_test_setup(what_no_container_gives_is_refused, reset),
		cmocka_unit_test_setup(a_limit_that_cannot_be_set_is_no_promise, reset),
		cmocka_unit_test_setup(what_holds_is_read_back_from_its_label, reset),
		cmocka_unit_test(a_reference_without_a_tag_is_the_latest),
		cmocka_unit_test(the_first_error_among_the_lines_counts),
		cmocka_unit_test(only_an_engine_of_this_machine_is_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
