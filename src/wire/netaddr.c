/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/netaddr.h"

#include "base/auto.h"
#include "base/num.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static const uint8_t v4_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

/*
 * IANA's special-purpose registries; the metadata services of clouds are in link-local and ULA
 * space.
 */
static const char *const private_ranges[] = {
#define IPV4_PRIVATE(text) text,
#define IPV4_METADATA(text)
#include "base/ipv4.def"
#undef IPV4_PRIVATE
#undef IPV4_METADATA
	"::/96",
	"64:ff9b::/96",
	"64:ff9b:1::/48",
	"100::/64",
	"2001::/23",
	"2001:db8::/32",
	"2002::/16",
	"fc00::/7",
	"fe80::/9",
	"ff00::/8",
};
static const char *const metadata_ranges[] = {
#define IPV4_PRIVATE(text)
#define IPV4_METADATA(text) text,
#include "base/ipv4.def"
#undef IPV4_PRIVATE
#undef IPV4_METADATA
	"fd00:ec2::254",
	"fd00:ec2::23",
	"fd20:ce::254",
};

struct netaddr netaddr_v4(uint32_t host_order)
{
	struct netaddr a;
	uint32_t net = htonl(host_order);
	memcpy(a.bytes, v4_prefix, sizeof(v4_prefix));
	memcpy(a.bytes + sizeof(v4_prefix), &net, sizeof(net));
	return a;
}

int netaddr_to_v4(const struct netaddr *a, uint32_t *ret)
{
	uint32_t net;
	if (memcmp(a->bytes, v4_prefix, sizeof(v4_prefix)) != 0)
		return -1;
	memcpy(&net, a->bytes + sizeof(v4_prefix), sizeof(net));
	*ret = ntohl(net);
	return 0;
}

static struct netaddr from_v4_bytes(const uint8_t *bytes)
{
	struct netaddr a;
	memcpy(a.bytes, v4_prefix, sizeof(v4_prefix));
	memcpy(a.bytes + sizeof(v4_prefix), bytes, 4);
	return a;
}

/* The IPv4 address that a wrapping one leads to, or the address itself. */
static struct netaddr unwrap(struct netaddr a)
{
	static const uint8_t nat64[12] = { 0, 0x64, 0xff, 0x9b }, zero[12];
	if (memcmp(a.bytes, nat64, sizeof(nat64)) == 0)
		return from_v4_bytes(a.bytes + 12);
	if (a.bytes[0] == 0x20 && a.bytes[1] == 0x02)
		return from_v4_bytes(a.bytes + 2);
	bool is_compatible = memcmp(a.bytes, zero, sizeof(zero)) == 0 && a.bytes[12] != 0;
	return is_compatible ? from_v4_bytes(a.bytes + 12) : a;
}

static int bad(struct str text, struct error *err)
{
	return error_set(err, ERROR_INVALID, "'%.*s' is no internet address",
		STR_ARG(str_first(text, 80)));
}

int netaddr_parse(struct str text, struct netaddr *ret, struct error *err)
{
	char copy[INET6_ADDRSTRLEN];
	struct in_addr v4;
	struct in6_addr v6;
	if (text.len == 0 || text.len >= sizeof(copy) || str_has_nul(text))
		return bad(text, err);
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	if (inet_pton(AF_INET, copy, &v4) == 1)
		*ret = netaddr_v4(ntohl(v4.s_addr));
	else if (inet_pton(AF_INET6, copy, &v6) == 1)
		memcpy(ret->bytes, &v6, sizeof(ret->bytes));
	else
		return bad(text, err);
	return 0;
}

int netaddr_from(const struct sockaddr *address, struct netaddr *ret, struct error *err)
{
	if (address->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, address, sizeof(in));
		*ret = netaddr_v4(ntohl(in.sin_addr.s_addr));
		return 0;
	}
	if (address->sa_family != AF_INET6)
		return error_set(err, ERROR_UNSUPPORTED, "an address of family %d",
			address->sa_family);
	struct sockaddr_in6 in6;
	memcpy(&in6, address, sizeof(in6));
	memcpy(ret->bytes, &in6.sin6_addr, sizeof(ret->bytes));
	return 0;
}

void netaddr_text(const struct netaddr *a, char ret[NETADDR_TEXT_MAX])
{
	bool is_v4 = memcmp(a->bytes, v4_prefix, sizeof(v4_prefix)) == 0;
	inet_ntop(is_v4 ? AF_INET : AF_INET6, a->bytes + (is_v4 ? 12 : 0), ret, NETADDR_TEXT_MAX);
}

int netrange_parse(struct str text, struct netrange *ret, struct error *err)
{
	struct str address;
	int64_t bits;
	bool is_v4 = str_find_char(text, ':') < 0;
	unsigned all = is_v4 ? 32 : 128;
	str_split(&text, '/', &address);
	if (netaddr_parse(address, &ret->address, err) < 0)
		return -1;
	ret->bits = 128;
	if (!text.ptr)
		return 0;
	if (num_parse_i64(text, 0, all, &bits, err) < 0)
		return error_wrap(err, "the bits of a range");
	ret->bits = (unsigned)bits + (is_v4 ? 96 : 0);
	return 0;
}

static bool has(const struct netrange *r, const struct netaddr *a)
{
	unsigned whole = r->bits / 8, rest = r->bits % 8;
	if (memcmp(r->address.bytes, a->bytes, whole) != 0)
		return false;
	uint8_t mask = (uint8_t)(0xff00U >> rest);
	return rest == 0 || ((r->address.bytes[whole] ^ a->bytes[whole]) & mask) == 0;
}

bool netrange_has(const struct netrange *r, const struct netaddr *a)
{
	struct netaddr inner = unwrap(*a);
	return has(r, &inner);
}

static bool in_any(const char *const *ranges, size_t n, const struct netaddr *a)
{
	struct netaddr inner = unwrap(*a);
	struct netrange range;
	for (size_t i = 0; i < n; i++)
		if (netrange_parse(str_from(ranges[i]), &range, NULL) == 0 &&
			(has(&range, a) || has(&range, &inner)))
			return true;
	return false;
}

bool netaddr_is_metadata(const struct netaddr *a)
{
	return in_any(metadata_ranges, ARRAY_LEN(metadata_ranges), a);
}

bool netaddr_is_private(const struct netaddr *a)
{
	return in_any(private_ranges, ARRAY_LEN(private_ranges), a);
}

bool netrange_is_private(const struct netrange *r)
{
	struct netrange range;
	for (size_t i = 0; i < ARRAY_LEN(private_ranges); i++)
		if (netrange_parse(str_from(private_ranges[i]), &range, NULL) == 0 &&
			range.bits <= r->bits && has(&range, &r->address))
			return true;
	return false;
}
