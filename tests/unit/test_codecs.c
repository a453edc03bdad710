/* SPDX-License-Identifier: Apache-2.0 */
/* url, http1, base64, sha1, sse and multipart. */
#include "unit.h"

#include "base/auto.h"
#include "base/bug.h"
#include "wire/base64.h"
#include "wire/http1.h"
#include "wire/multipart.h"
#include "wire/sha1.h"
#include "wire/sse.h"
#include "wire/url.h"

#include <stdlib.h>

static struct error err;

/* ---- url ---- */

static void a_url_part_decodes_to_what_was_encoded(void **state)
{
	auto_buf struct buf encoded = BUF_INIT(1000), decoded = BUF_INIT(1000);
	char all[255];
	for (int i = 0; i < 255; i++)
		all[i] = (char)(i + 1);
	assert_int_equal(url_encode(str_from_len(all, 255), &encoded), 0);
	for (size_t i = 0; i < encoded.len; i++)
		assert_true(encoded.ptr[i] > ' ' && encoded.ptr[i] < 127 &&
			!strchr("/?#&=+", encoded.ptr[i]));
	assert_works(url_decode(buf_str(&encoded), URL_QUERY, &decoded, &err), err);
	assert_true(str_eq(buf_str(&decoded), str_from_len(all, 255)));
}

static void a_plus_is_a_space_in_a_query_and_itself_in_a_path(void **state)
{
	auto_buf struct buf b = BUF_INIT(100);
	assert_works(url_decode(STR("a+b%2B"), URL_PATH, &b, &err), err);
	assert_str(buf_str(&b), "a+b+");
	buf_reset(&b);
	assert_works(url_decode(STR("a+b%2b"), URL_QUERY, &b, &err), err);
	assert_str(buf_str(&b), "a b+");
}

static void a_broken_escape_or_a_nul_is_refused(void **state)
{
	static const char *const bad[] = { "%", "a%", "%4", "%4g", "%g4", "%-1", "% 1", "%%41" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		auto_buf struct buf b = BUF_INIT(100);
		assert_fails(url_decode(str_from(bad[i]), URL_PATH, &b, &err), err, INVALID,
			"hex digits");
	}
	auto_buf struct buf b = BUF_INIT(100);
	assert_fails(url_decode(STR("a%00b"), URL_PATH, &b, &err), err, INVALID, "NUL");
	assert_fails(url_decode(STR("a\0b"), URL_PATH, &b, &err), err, INVALID, "NUL");
}

static void a_query_is_walked_pair_by_pair(void **state)
{
	struct str rest = STR("&a=1&&b=&c&=d&e=f=g&"), name, value;
	auto_buf struct buf seen = BUF_INIT(100);
	while (url_query_next(&rest, &name, &value))
		buf_printf(&seen, "[%.*s|%.*s]", STR_ARG(name), STR_ARG(value));
	assert_str(buf_str(&seen), "[a|1][b|][c|][|d][e|f=g]");
}

static void a_query_value_is_found_by_its_decoded_name(void **state)
{
	auto_buf struct buf b = BUF_INIT(100);
	assert_int_equal(url_query_find(STR("x=%zz&p%61th=%2Ftmp&path=no"), "path", &b, &err), 1);
	assert_str(buf_str(&b), "/tmp");
	assert_int_equal(url_query_find(STR("x=1"), "path", &b, &err), 0);
	assert_fails(url_query_find(STR("path=%zz"), "path", &b, &err), err, INVALID, "hex digits");
}

/* ---- http1 ---- */

static void a_request_head_is_taken_apart(void **state)
{
	struct str text = STR(
		"POST /a/b?c=d HTTP/1.1\r\nHost: x\r\nContent-Length:  5 \r\nX-Empty:\r\n\r\nhello");
	struct http1_head h;
	size_t scanned = 0;
	ssize_t n = http1_head_end(text, &scanned, &err);
	assert_int_equal(n, text.len - 5);
	assert_works(http1_parse_request(str_first(text, (size_t)n), &h, &err), err);
	assert_str(h.method, "POST");
	assert_str(h.path, "/a/b");
	assert_str(h.query, "c=d");
	assert_int_equal(h.content_length, 5);
	assert_true(h.keeps_alive);
	assert_int_equal(h.n_headers, 3);
	assert_str(http1_find(&h, "host"), "x");
	assert_str(http1_find(&h, "x-EMPTY"), "");
	assert_null(http1_find(&h, "absent").ptr);
}

static void a_head_is_found_however_it_arrives(void **state)
{
	struct str text = STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	size_t scanned = 0;
	for (size_t i = 0; i < text.len; i++)
		assert_int_equal(http1_head_end(str_first(text, i), &scanned, &err), 0);
	assert_int_equal(http1_head_end(text, &scanned, &err), text.len);
}

static void the_reply_of_a_server_is_taken_apart(void **state)
{
	struct http1_head h;
	assert_works(http1_parse_reply(
			     STR("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"),
			     &h, &err),
		err);
	assert_int_equal(h.status, 101);
	assert_works(http1_parse_reply(STR("HTTP/1.0 200\r\n\r\n"), &h, &err), err);
	assert_false(h.keeps_alive);
	assert_fails(http1_parse_reply(STR("HTTP/1.1 2000 OK\r\n\r\n"), &h, &err), err, INVALID,
		"status");
	assert_fails(http1_parse_reply(STR("HTTP/1.1 +20 OK\r\n\r\n"), &h, &err), err, INVALID,
		"status");
	assert_fails(http1_parse_reply(STR("ICY 200 OK\r\n\r\n"), &h, &err), err, INVALID,
		"HTTP/1.1");
}

static void a_list_of_tokens_is_searched_without_regard_to_case(void **state)
{
	assert_true(http1_has_token(STR("keep-alive ,\tUpgrade"), "upgrade"));
	assert_false(http1_has_token(STR("upgrades, not-upgrade"), "upgrade"));
	assert_false(http1_has_token(STR_NONE, "upgrade"));
}

static void dechunk_all(struct str in, size_t step, struct buf *out, bool *ret_is_done)
{
	struct http1_chunks c = { 0 };
	size_t given = 0;
	struct str rest = STR_NONE;
	while (given < in.len && c.state != CHUNK_DONE) {
		size_t n = MIN(step, in.len - given);
		rest = str_first(str_skip(in, given), n);
		given += n;
		while (rest.len && c.state != CHUNK_DONE) {
			struct str piece;
			ssize_t used = http1_dechunk(&c, rest, &piece, &err);
			assert_true(used > 0);
			buf_put(out, piece);
			rest = str_skip(rest, (size_t)used);
		}
	}
	*ret_is_done = c.state == CHUNK_DONE;
}

static void chunks_are_the_same_body_in_steps_of_any_size(void **state)
{
	struct str text = STR("1\r\na\r\n00A;q=\"r\"\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n");
	for (size_t step = 1; step <= text.len; step++) {
		auto_buf struct buf out = BUF_INIT(100);
		bool is_done;
		dechunk_all(text, step, &out, &is_done);
		assert_true(is_done);
		assert_str(buf_str(&out), "a0123456789");
	}
}

/* ---- base64, sha1 ---- */

static void the_test_vectors_of_rfc_4648_hold_both_ways(void **state)
{
	static const char *const rows[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" }, { "\xfb\xff\xbf", "+/+/" } };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_buf struct buf text = BUF_INIT(100), bytes = BUF_INIT(100);
		assert_int_equal(base64_encode(str_from(rows[i][0]), &text), 0);
		assert_str(buf_str(&text), rows[i][1]);
		assert_works(base64_decode(str_from(rows[i][1]), &bytes, &err), err);
		assert_str(buf_str(&bytes), rows[i][0]);
	}
}

static void a_value_has_only_one_base64_text(void **state)
{
	static const char *const bad[] = { "Z", "Zg",
		"Zg=", "Zh==", "Zm9=", "====", "Z===", "Zg==Zg==", "Zm9v\n", "Zm 9v", "Zm9_",
		"Z=g=" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		auto_buf struct buf b = BUF_INIT(100);
		assert_fails(base64_decode(str_from(bad[i]), &b, &err), err, INVALID, "base64");
	}
	auto_buf struct buf small = BUF_INIT(2);
	assert_fails(base64_decode(STR("Zm9v"), &small, &err), err, TOO_LARGE, "2 bytes");
	assert_int_equal(base64_encode(STR("foo"), &small), -1);
}

static void assert_sha1(struct str data, const char *hex)
{
	uint8_t digest[SHA1_SIZE];
	char text[2 * SHA1_SIZE + 1];
	sha1(data, digest);
	for (int i = 0; i < SHA1_SIZE; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	assert_string_equal(text, hex);
}

/* RFC 2202, 3 */
static void the_test_vectors_of_hmac_hold(void **state)
{
	static const struct {
		struct str key, data;
		const char *hex;
	} vectors[] = {
		{ { "Jefe", 4 }, { "what do ya want for nothing?", 28 },
			"effcdf6ae5eb2fa2d27416d5f184df9c259a7c79" },
		{ { "", 0 }, { "", 0 }, "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d" },
	};
	char long_key[80];
	uint8_t digest[SHA1_SIZE];
	char got[2 * SHA1_SIZE + 1];
	memset(long_key, 0xaa, sizeof(long_key));
	for (size_t i = 0; i <= ARRAY_LEN(vectors); i++) {
		bool is_long = i == ARRAY_LEN(vectors);
		hmac_sha1(is_long ? str_from_len(long_key, sizeof(long_key)) : vectors[i].key,
			is_long ? STR("Test Using Larger Than Block-Size Key - Hash Key First")
				: vectors[i].data,
			digest);
		for (size_t k = 0; k < SHA1_SIZE; k++)
			snprintf(got + 2 * k, 3, "%02x", digest[k]);
		assert_string_equal(got,
			is_long ? "aa4ae5e15272d00e95705637ce8a3b55ed402112" : vectors[i].hex);
	}
}

static void the_test_vectors_of_sha1_hold(void **state)
{
	auto_free char *many = mem_alloc(1000 * 1000);
	memset(many, 'a', 1000 * 1000);
	assert_sha1(STR(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
	assert_sha1(STR("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
	assert_sha1(STR("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
		"84983e441c3bd26ebaae4aa1f95129e5e54670f1");
	assert_sha1(str_from_len(many, 1000 * 1000), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

/* ---- event streams ---- */

static int see_event(void *arg, const struct sse_event *e, struct error *ret)
{
	return buf_printf(arg, "[%.*s|%.*s|%.*s]", STR_ARG(e->event), STR_ARG(e->data),
		STR_ARG(e->id));
}

static void parse_in_steps(struct str text, size_t step, struct buf *seen)
{
	struct sse_parser p;
	sse_parser_init(&p, 1000);
	for (size_t i = 0; i < text.len; i += step)
		assert_works(
			sse_parse(&p, str_first(str_skip(text, i), step), see_event, seen, &err),
			err);
	sse_parser_fini(&p);
}

static void an_event_stream_reads_as_the_standard_says_in_steps_of_any_size(void **state)
{
	struct str text = STR(
		"\xef\xbb\xbf: comment\ndata: one\r\n\r\ndata:two\ndata:  three\nid: 7\r\rdata\n\n"
		"event: gone\n\nretry: 5\nevent: named\ndata: x:y\nunknown: z\n\nid\ndata: last\n\ndata: cut off");
	const char *wanted =
		"[message|one|][message|two\n three|7][message||7][named|x:y|7][message|last|]";
	for (size_t step = 1; step <= text.len; step++) {
		auto_buf struct buf seen = BUF_INIT(1000);
		parse_in_steps(text, step, &seen);
		assert_str(buf_str(&seen), wanted);
	}
}

static void what_is_put_as_an_event_is_read_as_that_event(void **state)
{
	auto_buf struct buf b = BUF_INIT(1000), seen = BUF_INIT(1000);
	sse_put(&b, "result", "42", STR("{\"a\":\n1}\n"));
	sse_put(&b, NULL, NULL, STR(" spaces stay"));
	sse_put(&b, NULL, NULL, STR("a\r\nb\rc"));
	parse_in_steps(buf_str(&b), 7, &seen);
	assert_str(buf_str(&seen),
		"[result|{\"a\":\n1}\n|42][message| spaces stay|42][message|a\nb\nc|42]");
}

static void an_event_beyond_the_ceiling_ends_the_stream(void **state)
{
	struct sse_parser p;
	sse_parser_init(&p, 10);
	assert_fails(sse_parse(&p, STR("data: 0123456789"), see_event, NULL, &err), err, TOO_LARGE,
		"line over 10");
	sse_parser_fini(&p);
	sse_parser_init(&p, 10);
	assert_fails(sse_parse(&p, STR("data:1234\ndata:5678\ndata:9\n"), see_event, NULL, &err),
		err, TOO_LARGE, "event over 10");
	sse_parser_fini(&p);
}

/* ---- multipart ---- */

static int see_part(void *arg, const struct multipart_part *part, struct error *ret)
{
	return buf_printf(arg, "<%.*s|%.*s|%.*s:", STR_ARG(part->name), STR_ARG(part->filename),
		STR_ARG(part->type));
}

static int see_data(void *arg, struct str piece, struct error *ret)
{
	return buf_put(arg, piece);
}

static int see_part_end(void *arg, struct error *ret)
{
	return buf_putc(arg, '>');
}

static const struct multipart_ops see = { see_part, see_data, see_part_end };

static int read_form(const char *type, struct str body, size_t step, struct buf *seen)
{
	struct multipart m;
	int r = multipart_init(&m, str_from(type), &see, seen, &err);
	for (size_t i = 0; r == 0 && i < body.len; i += step)
		r = multipart_parse(&m, str_first(str_skip(body, i), step), &err);
	if (r == 0)
		r = multipart_end(&m, &err);
	multipart_fini(&m);
	return r;
}

static void a_form_is_read_in_steps_of_any_size(void **state)
{
	struct str body = STR(
		"preamble\r\n--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--bb\r\n--"
		"\r\n--b \t\r\ncontent-disposition: form-data; name=file; filename=\"C:\\x \\\"y\\\".txt\"\r\n"
		"Content-Type: text/plain\r\n\r\n\r\n\r\r\n-\r\n--b\r\nX: y\r\nContent-Disposition: form-data; "
		"name=empty; filename=\"\"\r\n\r\n\r\n--b--\r\nepilogue --b\r\n");
	const char *wanted = "<a||:one\r\n--bb\r\n-->"
			     "<file|C:\\x \"y\".txt|text/plain:\r\n\r\r\n->"
			     "<empty||:>";
	for (size_t step = 1; step <= body.len; step++) {
		auto_buf struct buf seen = BUF_INIT(1000);
		assert_works(read_form("multipart/form-data; charset=utf-8; boundary=b", body, step,
				     &seen),
			err);
		assert_str(buf_str(&seen), wanted);
	}
}

static void a_large_file_passes_through_a_small_parser(void **state)
{
	size_t size = 3000 * 1000;
	auto_buf struct buf body = BUF_INIT(4 << 20), seen = BUF_INIT(4 << 20);
	buf_puts(&body, "--x\r\nContent-Disposition: form-data; name=f\r\n\r\n");
	for (size_t i = 0; i < size; i++)
		buf_putc(&body, "\r\n--"[i % 4]);
	buf_puts(&body, "\r\n--x--");
	assert_works(
		read_form("multipart/form-data; boundary=\"x\"", buf_str(&body), 100000, &seen),
		err);
	assert_int_equal(seen.len, size + strlen("<f||:>"));
}

static void what_is_no_form_is_refused(void **state)
{
	static const struct {
		const char *type, *body, *why;
	} rows[] = {
		{ "application/json", "", "not multipart/form-data" },
		{ "multipart/form-data", "", "no boundary" },
		{ "multipart/form-data; boundary=", "", "boundary" },
		{ "multipart/form-data; boundary=\"a", "", "malformed" },
		{ "multipart/form-data; boundary=a\x01", "", "boundary" },
		{ "multipart/form-data; boundary=01234567890123456789012345678901234567890123456789012345678901234567890",
			"", "boundary" },
		{ "multipart/form-data; boundary=b", "", "last boundary" },
		{ "multipart/form-data; boundary=b",
			"--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx", "last boundary" },
		{ "multipart/form-data; boundary=b", "--b\r\n\r\nx\r\n--b--", "without a name" },
		{ "multipart/form-data; boundary=b",
			"--b\r\nContent-Disposition: attachment; name=a\r\n\r\n", "not form-data" },
		{ "multipart/form-data; boundary=b",
			"--b\r\nContent-Disposition: form-data; name=a; name=b\r\n\r\n",
			"two names" },
		{ "multipart/form-data; boundary=b", "--b\r\nno colon\r\n\r\n",
			"malformed header" },
		{ "multipart/form-data; boundary=b",
			"--b\r\nContent-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\n",
			"transfer encoding" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_buf struct buf seen = BUF_INIT(1000);
		assert_fails(read_form(rows[i].type, str_from(rows[i].body), 1000, &seen), err,
			INVALID, rows[i].why);
	}
}

static void endless_parts_and_endless_headers_have_an_end(void **state)
{
	auto_buf struct buf body = BUF_INIT(1 << 20), seen = BUF_INIT(1 << 20);
	for (int i = 0; i <= MULTIPART_PARTS_MAX; i++)
		buf_puts(&body, "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n");
	assert_fails(read_form("multipart/form-data; boundary=b", buf_str(&body), 777, &seen), err,
		LIMIT, "1000 parts");
	buf_reset(&body);
	buf_puts(&body, "--b\r\n");
	for (int i = 0; i < 2000; i++)
		buf_puts(&body, "X: yyyy\r\n");
	assert_fails(read_form("multipart/form-data; boundary=b", buf_str(&body), 777, &seen), err,
		INVALID, "too long");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_url_part_decodes_to_what_was_encoded),
		cmocka_unit_test(a_plus_is_a_space_in_a_query_and_itself_in_a_path),
		cmocka_unit_test(a_broken_escape_or_a_nul_is_refused),
		cmocka_unit_test(a_query_is_walked_pair_by_pair),
		cmocka_unit_test(a_query_value_is_found_by_its_decoded_name),
		cmocka_unit_test(a_request_head_is_taken_apart),
		cmocka_unit_test(a_head_is_found_however_it_arrives),
		cmocka_unit_test(the_reply_of_a_server_is_taken_apart),
		cmocka_unit_test(a_list_of_tokens_is_searched_without_regard_to_case),
		cmocka_unit_test(chunks_are_the_same_body_in_steps_of_any_size),
		cmocka_unit_test(the_test_vectors_of_rfc_4648_hold_both_ways),
		cmocka_unit_test(a_value_has_only_one_base64_text),
		cmocka_unit_test(the_test_vectors_of_sha1_hold),
		cmocka_unit_test(the_test_vectors_of_hmac_hold),
		cmocka_unit_test(an_event_stream_reads_as_the_standard_says_in_steps_of_any_size),
		cmocka_unit_test(what_is_put_as_an_event_is_read_as_that_event),
		cmocka_unit_test(an_event_beyond_the_ceiling_ends_the_stream),
		cmocka_unit_test(a_form_is_read_in_steps_of_any_size),
		cmocka_unit_test(a_large_file_passes_through_a_small_parser),
		cmocka_unit_test(what_is_no_form_is_refused),
		cmocka_unit_test(endless_parts_and_endless_headers_have_an_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
