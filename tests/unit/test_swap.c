/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets for placeholders, byte by byte; and TLS that speaks with itself. */
#include "unit.h"

#include "base/auto.h"
#include "boundary/swap.h"
#include "boundary/tls.h"

static const struct swap_rule rules[] = {
	{ STR("cay_one"), STR("the-secret-value"), STR("Authorization") },
	{ STR("cay_two"), STR("another-secret"), STR("X-Key") },
};

enum { BOTH = 3, BUF_MAX = 1024 * 1024 };

/* What comes out of `in`, given `step` bytes at a time; "!" and the error if it is refused. */
static void put_swapped(struct str in, size_t step, uint32_t allowed, struct buf *out)
{
	struct swap s;
	struct error err;
	swap_init(&s, "api.test", 443, rules, ARRAY_LEN(rules), allowed);
	while (in.len) {
		struct str piece = str_first(in, step);
		if (swap_request(&s, piece, out, &err) < 0) {
			buf_printf(out, "!%s", err.text);
			break;
		}
		in = str_skip(in, piece.len);
	}
	swap_fini(&s);
}

#define assert_swapped(in, wanted)                                        \
	do {                                                              \
		for (size_t step_ = 1; step_ <= sizeof(in); step_ += 7) { \
			auto_buf struct buf b_ = BUF_INIT(BUF_MAX);       \
			put_swapped(STR(in), step_, BOTH, &b_);           \
			assert_string_equal(b_.ptr, wanted);              \
		}                                                         \
	} while (0)

#define END "Accept-Encoding: identity\r\n\r\n"

static void a_placeholder_becomes_the_secret_in_its_header(void **state)
{
	assert_swapped(
		"GET /cay_one HTTP/1.1\r\nHost: api.test\r\naUTHORIZATION: Bearer cay_one\r\n"
		"X-Key: cay_one cay_two cay_two\r\nX: cay_two\r\n\r\n",
		"GET /cay_one HTTP/1.1\r\nHost: api.test\r\naUTHORIZATION: Bearer the-secret-value\r\n"
		"X-Key: cay_one another-secret another-secret\r\nX: cay_two\r\n" END);
}

static void a_password_is_swapped_in_what_it_is_encoded_in(void **state)
{
	/* x:cay_one, x:the-secret-value */
	assert_swapped(
		"GET / HTTP/1.1\r\nHost: api.test:443\r\nAuthorization: basic eDpjYXlfb25l\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: api.test:443\r\n"
		"Authorization: Basic eDp0aGUtc2VjcmV0LXZhbHVl\r\n" END);
}

static void bodies_go_as_they_are_and_requests_behind_them_do_not(void **state)
{
	assert_swapped("POST / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 7\r\n\r\ncay_one"
		       "POST / HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n"
		       "7\r\ncay_one\r\n0\r\nAuthorization: cay_one\r\n\r\n"
		       "GET / HTTP/1.1\r\nHost: api.test\r\nAuthorization: cay_one\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 7\r\n" END "cay_one"
		"POST / HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n" END
		"7\r\ncay_one\r\n0\r\nAuthorization: cay_one\r\n\r\n"
		"GET / HTTP/1.1\r\nHost: api.test\r\nAuthorization: the-secret-value\r\n" END);
}

static void a_rule_that_is_not_for_the_host_does_nothing(void **state)
{
	auto_buf struct buf b = BUF_INIT(BUF_MAX);
	put_swapped(
		STR("GET / HTTP/1.1\r\nHost: api.test\r\nAuthorization: cay_one\r\nX-Key: cay_two\r\n\r\n"),
		1000, 2, &b);
	assert_string_equal(b.ptr,
		"GET / HTTP/1.1\r\nHost: api.test\r\nAuthorization: cay_one\r\nX-Key: another-secret\r\n" END);
}

static void what_has_two_readings_is_refused(void **state)
{
	static const char *const bad[] = {
		"GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: api.test\r\nHost: api.test\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n",
		"GET http://evil.test/ HTTP/1.1\r\nHost: api.test\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: api.test\r\nA: b\n\r\n",
		"GET / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: api.test\r\nAuthorization:\r\n cay_one\r\n\r\n",
		"CONNECT / HTTP/1.1\r\nHost: api.test\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: api.test\r\nUpgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 1\r\n\r\n",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		auto_buf struct buf b = BUF_INIT(BUF_MAX);
		put_swapped(str_from(bad[i]), 1 + i, BOTH, &b);
		assert_int_equal(b.ptr[0], '!');
	}
}

static void another_protocol_is_not_asked_for(void **state)
{
	assert_swapped(
		"GET / HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
		"HTTP2-Settings: AAMAAABkAAQ\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade, HTTP2-Settings\r\n" END);
}

static void a_head_without_an_end_is_refused(void **state)
{
	auto_buf struct buf in = BUF_INIT(BUF_MAX), out = BUF_INIT(BUF_MAX);
	buf_puts(&in, "GET / HTTP/1.1\r\nHost: api.test\r\nA: ");
	while (in.len < SWAP_HEAD_MAX + 1)
		buf_puts(&in, "aaaaaaaa");
	put_swapped(buf_str(&in), 1000, BOTH, &out);
	assert_int_equal(out.ptr[0], '!');
	assert_non_null(strstr(out.ptr, "over 65536 bytes"));
}

static void a_head_that_would_grow_too_much_is_refused(void **state)
{
	auto_buf struct buf in = BUF_INIT(BUF_MAX), out = BUF_INIT(BUF_MAX);
	static char value[SWAP_VALUE_MAX];
	struct error err;
	struct swap s;
	memset(value, 'v', sizeof(value));
	const struct swap_rule large = { STR("cay_x"), { value, sizeof(value) }, STR("A") };
	buf_puts(&in, "GET / HTTP/1.1\r\nHost: api.test\r\nA: ");
	for (int i = 0; i < 100; i++)
		buf_puts(&in, "cay_x");
	buf_puts(&in, "\r\n\r\n");
	swap_init(&s, "api.test", 443, &large, 1, 1);
	assert_fails(swap_request(&s, buf_str(&in), &out, &err), err, TOO_LARGE, "request head");
	assert_int_equal(out.len, 0);
	swap_fini(&s);
}

static void put_reply(struct str in, size_t step, struct buf *out)
{
	struct swap s;
	swap_init(&s, "api.test", 443, rules, ARRAY_LEN(rules), BOTH);
	for (; in.len; in = str_skip(in, step))
		swap_reply(&s, str_first(in, step), out);
	swap_reply_end(&s, out);
	swap_fini(&s);
}

static void a_secret_that_comes_back_is_covered_however_it_is_cut(void **state)
{
	static const char in[] =
		"HTTP/1.1 200 OK\r\n\r\nsaid the-secret-value another-secret the-secret-valuthe-secret";
	static const char out[] =
		"HTTP/1.1 200 OK\r\n\r\nsaid **************** ************** the-secret-valuthe-secret";
	for (size_t step = 1; step < sizeof(in); step++) {
		auto_buf struct buf b = BUF_INIT(BUF_MAX);
		put_reply(STR(in), step, &b);
		assert_string_equal(b.ptr, out);
	}
}

static void only_a_server_that_agrees_opens_a_tunnel(void **state)
{
	static const char ask[] =
		"GET /ws HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
		"Authorization: cay_one\r\n\r\n";
	static const char *const replies[] = { "HTTP/1.1 101 Switching Protocols\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" };
	for (int agrees = 0; agrees < 2; agrees++) {
		auto_buf struct buf out = BUF_INIT(BUF_MAX), back = BUF_INIT(BUF_MAX);
		struct swap s;
		struct error err;
		swap_init(&s, "api.test", 443, rules, ARRAY_LEN(rules), BOTH);
		assert_works(swap_request(&s, STR(ask), &out, &err), err);
		assert_non_null(
			strstr(out.ptr, "Upgrade: websocket\r\nAuthorization: the-secret-value"));
		buf_reset(&out);
		assert_works(swap_request(&s, STR("early "), &out, &err), err);
		assert_int_equal(out.len, 0);
		swap_reply(&s, str_from(replies[!agrees]), &back);
		assert_works(swap_request(&s, STR("GET /late cay_one"), &out, &err), err);
		assert_string_equal(out.ptr, agrees ? "early GET /late cay_one" : "");
		swap_fini(&s);
	}
}

static void hosts_are_read(void **state)
{
	struct swaphost h;
	struct error err;
	char rule[SWAPHOST_RULE_SIZE];
	assert_works(swaphost_parse(STR("API.test"), &h, &err), err);
	assert_true(swaphost_is(&h, "api.test", 443) && !h.is_plain);
	assert_false(swaphost_is(&h, "api.test", 80) || swaphost_is(&h, "x.api.test", 443));
	assert_works(swaphost_parse(STR("http://*.api.test:8080"), &h, &err), err);
	assert_true(swaphost_is(&h, "x.api.test", 8080) && h.is_plain);
	swaphost_rule(&h, rule);
	assert_string_equal(rule, "*.api.test:8080");
	assert_works(swaphost_parse(STR("http://api.test"), &h, &err), err);
	assert_int_equal(h.rule.port, 80);
	assert_fails(swaphost_parse(STR("https://api.test"), &h, &err), err, INVALID, "");
	assert_fails(swaphost_parse(STR("10.0.0.1"), &h, &err), err, INVALID, "have a name");
	assert_fails(swaphost_parse(STR("localhost"), &h, &err), err, INVALID, "without a dot");
}

/* ---- TLS ---- */

static void tls_refuses_who_is_not_believed(void **state)
{
	static const char *const names[] = { "api.test" };
	auto_buf struct buf plain = BUF_INIT(BUF_MAX), there = BUF_INIT(BUF_MAX),
			    back = BUF_INIT(BUF_MAX);
	struct tls_ca *ca;
	struct tls_trust *trust;
	struct tls *server, *client;
	struct error err;
	assert_works(
		tls_ca_new("a title that is longer than what a common name may be, by some bytes",
			names, 1, &ca, &err),
		err);
	assert_fails(tls_trust_new(STR("no certificate"), &trust, &err), err, UNAVAILABLE,
		"believes no");
	auto_buf struct buf pem = BUF_INIT(BUF_MAX);
	struct tls_ca *other;
	assert_works(tls_ca_new("somebody else", names, 1, &other, &err), err);
	assert_works(tls_ca_pem(other, &pem, &err), err);
	assert_works(tls_trust_new(buf_str(&pem), &trust, &err), err);
	tls_ca_free(other);
	assert_works(tls_accept(ca, "api.test", &server, &err), err);
	assert_works(tls_connect(trust, "api.test", &client, &err), err);
	assert_works(tls_write(client, STR("GET / HTTP/1.1\r\n"), &there, &err), err);
	assert_int_equal(there.len, 0); /* nothing before the name is proven */
	assert_works(tls_feed(client, STR_NONE, &plain, &there, &err), err);
	assert_works(tls_feed(server, buf_str(&there), &plain, &back, &err), err);
	buf_reset(&there);
	assert_fails(tls_feed(client, buf_str(&back), &plain, &there, &err), err, FORBIDDEN,
		"certificate of api.test is not good");
	assert_int_equal(plain.len, 0);
	assert_false(tls_is_open(client));
	tls_free(client);
	tls_free(server);
	tls_trust_free(trust);
	tls_ca_free(ca);
}

static void tls_takes_no_other_protocol(void **state)
{
	static const char *const names[] = { "api.test" };
	auto_buf struct buf plain = BUF_INIT(BUF_MAX), back = BUF_INIT(BUF_MAX),
			    pem = BUF_INIT(BUF_MAX);
	struct tls_ca *ca;
	struct tls *server;
	struct error err;
	assert_works(tls_ca_new("x", names, 1, &ca, &err), err);
	assert_works(tls_ca_pem(ca, &pem, &err), err);
	assert_true(str_starts(buf_str(&pem), STR("-----BEGIN CERTIFICATE-----\n")));
	assert_works(tls_accept(ca, "api.test", &server, &err), err);
	assert_fails(tls_feed(server, STR("GET / HTTP/1.1\r\nHost: api.test\r\n\r\n"), &plain,
			     &back, &err),
		err, PROTOCOL, "TLS: api.test");
	tls_free(server);
	tls_ca_free(ca);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_placeholder_becomes_the_secret_in_its_header),
		cmocka_unit_test(a_password_is_swapped_in_what_it_is_encoded_in),
		cmocka_unit_test(bodies_go_as_they_are_and_requests_behind_them_do_not),
		cmocka_unit_test(a_rule_that_is_not_for_the_host_does_nothing),
		cmocka_unit_test(what_has_two_readings_is_refused),
		cmocka_unit_test(another_protocol_is_not_asked_for),
		cmocka_unit_test(a_head_without_an_end_is_refused),
		cmocka_unit_test(a_head_that_would_grow_too_much_is_refused),
		cmocka_unit_test(a_secret_that_comes_back_is_covered_however_it_is_cut),
		cmocka_unit_test(only_a_server_that_agrees_opens_a_tunnel),
		cmocka_unit_test(hosts_are_read),
		cmocka_unit_test(tls_refuses_who_is_not_believed),
		cmocka_unit_test(tls_takes_no_other_protocol),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
