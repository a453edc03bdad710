/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A path is matched, not found, or refused; what a match gives is UTF-8 without NUL, and never
 * "..".
 */
#include "base/bug.h"
#include "http/router.h"
#include "wire/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void handle(struct http_request *request)
{
}

static const struct http_route routes[] = {
	{ "GET", "/a", handle },
	{ "GET", "/a/{b}", handle },
	{ "POST", "/a/b", handle },
	{ "GET", "/a/{b}/{rest*}", handle },
	{ "GET", "/{x}/{y}/z", handle },
	{ "PUT", "/{x}/a/{z}", handle },
	{ 0 },
};

static void check_value(struct str value)
{
	BUG_IF(value.len == 0 && value.ptr == NULL, "a parameter without a value");
	BUG_IF(str_has_nul(value) || value.ptr[value.len] != '\0',
		"a parameter that is no C string");
	BUG_IF(!utf8_is_valid(value), "a parameter that is no UTF-8");
	BUG_IF(str_is(value, "..") || str_is(value, "."), "a parameter that names a directory");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const methods[] = { "GET", "POST", "PUT", "HEAD" };
	struct arena arena = ARENA_INIT(1 << 20);
	struct http_match m;
	struct error err;
	if (size == 0 || size > 32768)
		return 0;
	struct router *router = router_new();
	router_add(router, NULL, routes);
	struct str path = str_from_len((const char *)data + 1, size - 1);
	auto_buf struct buf allow = BUF_INIT(100);
	if (router_match(router, str_from(methods[data[0] % 4]), path, &arena, &m, &allow, &err) ==
		0) {
		for (size_t i = 0; i < m.n_params; i++)
			check_value(m.values[i]);
	} else {
		BUG_IF(err.code != ERROR_INVALID && err.code != ERROR_NOT_FOUND &&
				err.code != ERROR_METHOD,
			"an error of another kind");
		BUG_IF((err.code == ERROR_METHOD) != (allow.len > 0), "a refusal without a list");
	}
	router_free(router);
	arena_fini(&arena);
	return 0;
}
