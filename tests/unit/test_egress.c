/* SPDX-License-Identifier: Apache-2.0 */
/* What decides about a way out: names, addresses, rules, and the first bytes of a connection. */
#include "unit.h"

#include "base/auto.h"

#include "wire/allow.h"
#include "wire/tls_hello.h"

/* ---- dns ---- */

static const char question[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
			       "\x04"
			       "PyPi"
			       "\x03"
			       "org"
			       "\x00\x00\x01\x00\x01";

static void a_question_is_read(void **state)
{
	struct dns_question q;
	struct error err;
	assert_works(dns_parse(STR(question), &q, &err), err);
	assert_int_equal(q.id, 0x1234);
	assert_string_equal(q.name, "pypi.org");
	assert_int_equal(q.type, DNS_A);
	assert_true(q.wants_recursion);
	assert_int_equal(q.end, sizeof(question) - 1);
}

static void an_answer_repeats_the_question_and_gives_the_address(void **state)
{
	struct dns_question q;
	struct error err;
	auto_buf struct buf b = BUF_INIT(512);
	assert_works(dns_parse(STR(question), &q, &err), err);
	dns_put_reply(STR(question), &q, DNS_OK, 0xc6120101, 60, &b);
	assert_int_equal(b.len, sizeof(question) - 1 + 16);
	assert_memory_equal(b.ptr, "\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00", 12);
	assert_memory_equal(b.ptr + b.len - 4, "\xc6\x12\x01\x01", 4);
	buf_reset(&b);
	dns_put_reply(STR(question), &q, DNS_NO_SUCH_NAME, 0, 60, &b);
	assert_memory_equal(b.ptr, "\x12\x34\x81\x83\x00\x01\x00\x00", 8);
}

static void every_cut_of_a_question_is_refused(void **state)
{
	struct dns_question q;
	struct error err;
	for (size_t n = 0; n + 1 < sizeof(question) - 1; n++)
		assert_fails(dns_parse(str_from_len(question, n), &q, &err), err, INVALID, "");
}

static void only_host_names_are_names(void **state)
{
	static const char *const bad[] = { "a..b", ".a", "a b", "a\x01", "caf\xc3\xa9.fr", "" };
	char name[DNS_NAME_SIZE], lengthy[80];
	struct error err;
	for (size_t i = 0; i < ARRAY_LEN(bad) - 1; i++)
		assert_fails(dns_name(str_from(bad[i]), name, &err), err, INVALID, "");
	memset(lengthy, 'a', 64);
	lengthy[64] = '\0';
	assert_fails(dns_name(str_from(lengthy), name, &err), err, INVALID, "");
	assert_works(dns_name(STR("Files.PythonHosted.ORG."), name, &err), err);
	assert_string_equal(name, "files.pythonhosted.org");
}

/* ---- addresses ---- */

static void private_addresses_are_known_in_every_clothing(void **state)
{
	static const char *const closed[] = { "127.0.0.1", "10.1.2.3", "172.31.255.255",
		"192.168.0.1", "169.254.1.1", "100.64.0.1", "0.0.0.0", "224.0.0.1",
		"255.255.255.255", "::1", "::", "fe80::1", "fd00::1", "ff02::1", "::ffff:10.0.0.1",
		"::10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "2001:db8::1", "198.18.0.1" };
	static const char *const open[] = { "93.184.216.34", "8.8.8.8", "172.32.0.1", "100.128.0.1",
		"2606:4700::1111", "::ffff:8.8.8.8", "192.169.0.1", "11.0.0.1" };
	struct netaddr a;
	struct error err;
	for (size_t i = 0; i < ARRAY_LEN(closed); i++) {
		assert_works(netaddr_parse(str_from(closed[i]), &a, &err), err);
		if (!netaddr_is_private(&a))
			fail_msg("%s is public", closed[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(open); i++) {
		assert_works(netaddr_parse(str_from(open[i]), &a, &err), err);
		if (netaddr_is_private(&a))
			fail_msg("%s is private", open[i]);
	}
}

static bool is_metadata(const char *text)
{
	struct netaddr a;
	struct error err;
	assert_works(netaddr_parse(str_from(text), &a, &err), err);
	return netaddr_is_metadata(&a);
}

static void metadata_services_are_known(void **state)
{
	assert_true(is_metadata("169.254.169.254"));
	assert_true(is_metadata("::ffff:169.254.169.254"));
	assert_true(is_metadata("64:ff9b::a9fe:a9fe"));
	assert_true(is_metadata("fd00:ec2::254"));
	assert_false(is_metadata("169.254.169.253"));
}

/* ---- rules ---- */

static struct allow rules(const char *const *texts)
{
	struct allow a = { 0 };
	struct error err;
	for (; *texts; texts++)
		assert_works(allow_add(&a, str_from(*texts), &err), err);
	return a;
}

static void a_name_is_allowed_on_its_ports(void **state)
{
	struct allow a = rules(
		(const char *const[]){ "PyPI.org", "*.pythonhosted.org", "github.com:22", NULL });
	assert_true(allow_has_name(&a, "pypi.org", 443));
	assert_true(allow_has_name(&a, "pypi.org", 80));
	assert_false(allow_has_name(&a, "pypi.org", 22));
	assert_false(allow_has_name(&a, "www.pypi.org", 443));
	assert_false(allow_has_name(&a, "evilpypi.org", 443));
	assert_true(allow_has_name(&a, "files.pythonhosted.org", 443));
	assert_true(allow_has_name(&a, "a.b.pythonhosted.org", 443));
	assert_false(allow_has_name(&a, "pythonhosted.org", 443));
	assert_false(allow_has_name(&a, "evilpythonhosted.org", 443));
	assert_true(allow_has_name(&a, "github.com", 22));
	assert_false(allow_has_name(&a, "github.com", 443));
	assert_true(allow_has_name(&a, "github.com", 0));
	assert_int_equal(a.n_ports, 3);
	allow_fini(&a);
}

static bool has_address(const struct allow *a, const char *text, int port)
{
	struct netaddr address;
	struct error err;
	assert_works(netaddr_parse(str_from(text), &address, &err), err);
	return allow_has_address(a, &address, port);
}

static void an_address_is_allowed_in_its_range(void **state)
{
	struct allow a = rules((const char *const[]){ "10.1.0.0/16:5432", "203.0.113.7",
		"[fd00::7]:443", "0.0.0.0/0:8080", NULL });
	assert_true(has_address(&a, "10.1.255.1", 5432));
	assert_true(has_address(&a, "::ffff:10.1.255.1", 5432));
	assert_false(has_address(&a, "10.2.0.1", 5432));
	assert_false(has_address(&a, "10.1.0.1", 443));
	assert_true(has_address(&a, "203.0.113.7", 80));
	assert_true(has_address(&a, "fd00::7", 443));
	assert_false(has_address(&a, "fd00::8", 443));
	assert_true(has_address(&a, "8.8.8.8", 8080));
	assert_false(has_address(&a, "169.254.169.254", 8080));
	allow_fini(&a);
}

static void a_rule_that_is_none_says_so(void **state)
{
	static const char *const bad[] = { "", "*", "*.", "localhost", "a b.org", "pypi.org:0",
		"pypi.org:99999", "pypi.org:http", "10.0.0.0/33", "10.0.0", "http://pypi.org",
		"[::1", "169.254.169.254" };
	struct allow_rule rule;
	struct error err;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (allow_rule_parse(str_from(bad[i]), &rule, &err) == 0)
			fail_msg("'%s' is a rule", bad[i]);
}

static void there_are_ceilings(void **state)
{
	struct allow a = { 0 };
	struct error err;
	char text[40];
	int n = 0;
	do
		snprintf(text, sizeof(text), "a.org:%d", ++n);
	while (allow_add(&a, str_from(text), &err) == 0);
	assert_int_equal(err.code, ERROR_LIMIT);
	assert_int_equal(n, ALLOW_PORTS_MAX + 1);
	allow_fini(&a);
}

/* ---- TLS ---- */

static void put16(struct buf *b, size_t n)
{
	buf_putc(b, (char)(n >> 8));
	buf_putc(b, (char)n);
}

/* A ClientHello for this name (NULL: none), in records of at most `step` bytes. */
static void put_hello(const char *name, size_t step, struct buf *b)
{
	auto_buf struct buf body = BUF_INIT(8192), ext = BUF_INIT(4096), message = BUF_INIT(8192);
	buf_add(&body, "\x03\x03", 2);
	for (int i = 0; i < 32; i++)
		buf_putc(&body, (char)i);
	buf_putc(&body, 0);
	buf_add(&body, "\x00\x02\x13\x01\x01\x00", 6);
	buf_add(&ext, "\x00\x17\x00\x00", 4); /* another extension */
	if (name) {
		size_t n = strlen(name);
		put16(&ext, 0);
		put16(&ext, n + 5);
		put16(&ext, n + 3);
		buf_putc(&ext, 0);
		put16(&ext, n);
		buf_puts(&ext, name);
	}
	put16(&body, ext.len);
	buf_put(&body, buf_str(&ext));
	buf_add(&message, "\x01\x00", 2);
	put16(&message, body.len);
	buf_put(&message, buf_str(&body));
	for (struct str rest = buf_str(&message); rest.len; rest = str_skip(rest, step)) {
		struct str piece = str_first(rest, step);
		buf_add(b, "\x16\x03\x01", 3);
		put16(b, piece.len);
		buf_put(b, piece);
	}
}

static void the_server_name_is_found_however_it_is_cut(void **state)
{
	for (size_t step = 1; step < 200; step += 33) {
		auto_buf struct buf b = BUF_INIT(65536);
		char name[DNS_NAME_SIZE];
		struct error err;
		put_hello("API.Example.COM", step, &b);
		for (size_t n = 0; n < b.len; n++)
			assert_int_equal(tls_hello_name(str_from_len(b.ptr, n), name, &err), 0);
		assert_int_equal(tls_hello_name(buf_str(&b), name, &err), 1);
		assert_string_equal(name, "api.example.com");
	}
}

static void a_hello_without_a_name_has_none(void **state)
{
	auto_buf struct buf b = BUF_INIT(4096);
	char name[DNS_NAME_SIZE];
	struct error err;
	put_hello(NULL, 16384, &b);
	assert_int_equal(tls_hello_name(buf_str(&b), name, &err), 1);
	assert_string_equal(name, "");
}

static void what_is_no_hello_is_refused_at_once(void **state)
{
	char name[DNS_NAME_SIZE];
	struct error err;
	assert_int_equal(tls_hello_name(STR("GET /"), name, &err), -1);
	assert_int_equal(tls_hello_name(STR("\x16\x02\x00\x00\x05hello"), name, &err), -1);
	assert_int_equal(tls_hello_name(STR("\x16\x03\x01\x00\x05\x02\x00\x00\x01x"), name, &err),
		-1);
	assert_int_equal(tls_hello_name(STR("\x16\x03\x01\x00\x04\x01\xff\xff\xff"), name, &err),
		-1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_question_is_read),
		cmocka_unit_test(an_answer_repeats_the_question_and_gives_the_address),
		cmocka_unit_test(every_cut_of_a_question_is_refused),
		cmocka_unit_test(only_host_names_are_names),
		cmocka_unit_test(private_addresses_are_known_in_every_clothing),
		cmocka_unit_test(metadata_services_are_known),
		cmocka_unit_test(a_name_is_allowed_on_its_ports),
		cmocka_unit_test(an_address_is_allowed_in_its_range),
		cmocka_unit_test(a_rule_that_is_none_says_so),
		cmocka_unit_test(there_are_ceilings),
		cmocka_unit_test(the_server_name_is_found_however_it_is_cut),
		cmocka_unit_test(a_hello_without_a_name_has_none),
		cmocka_unit_test(what_is_no_hello_is_refused_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
