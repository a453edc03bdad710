/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/fence.h"

#include "base/auto.h"

enum { PORT_DNS = 53 };

#define IP_FORMAT  "%u.%u.%u.%u"
#define IP_ARGS(a) (a) >> 24, (a) >> 16 & 255, (a) >> 8 & 255, (a)&255

void fence_put_sets(struct buf *b)
{
	static const char sets[] = "set metadata { type ipv4_addr; elements = { "
#define IPV4_PRIVATE(text)
#define IPV4_METADATA(text) text ", "
#include "base/ipv4.def"
#undef IPV4_PRIVATE
#undef IPV4_METADATA
				   "} }\n"
				   "set private { type ipv4_addr; flags interval; elements = { "
#define IPV4_PRIVATE(text) text ", "
#define IPV4_METADATA(text)
#include "base/ipv4.def"
#undef IPV4_PRIVATE
#undef IPV4_METADATA
				   "} }\n";
	buf_puts(b, sets);
}

static uint32_t first_of(const struct spec_allow *a)
{
	return a->bits ? a->address & ~UINT32_C(0) << (32 - a->bits) : 0;
}

static const char refusal[] =
	"meta l4proto tcp reject with tcp reset\nreject with icmp admin-prohibited\n";

static void put_log(const char *prefix, uint16_t group, struct buf *b)
{
	if (group)
		buf_printf(b,
			"limit rate 10/second burst 40 packets log prefix \"%s\" group %u snaplen 64\n",
			prefix, group);
}

void fence_put_ends(const char *name, uint16_t group, unsigned connections_max, struct buf *b)
{
	buf_printf(b, "chain %s_no {\n", name);
	put_log("denied", group, b);
	buf_printf(b, "%s}\nchain %s_yes {\n", refusal, name);
	if (connections_max)
		buf_printf(b, "ct count over %u goto %s_no\n", connections_max, name);
	put_log("allowed", group, b);
	buf_puts(b, "accept\n}\n");
}

static void put_rule(const struct spec_allow *a, const char *accept, struct buf *b)
{
	buf_puts(b, a->is_private ? "" : "ip daddr != @private ");
	if (a->bits)
		buf_printf(b, "ip daddr " IP_FORMAT "/%u ", IP_ARGS(first_of(a)), a->bits);
	buf_puts(b, "meta l4proto { tcp, udp } th dport ");
	if (a->port)
		buf_printf(b, "%u %s\n", a->port, accept);
	else
		buf_printf(b, "{ 80, 443 } %s\n", accept);
}

void fence_put_rules(const struct spec_net *net, const char *name, struct buf *b)
{
	char accept[32] = "accept", refuse[40] = "reject with icmp admin-prohibited";
	if (name) {
		snprintf(accept, sizeof(accept), "goto %s_yes", name);
		snprintf(refuse, sizeof(refuse), "goto %s_no", name);
	}
#ifdef WEAKEN_FENCE /* for the escape tests, which must see the difference */
	buf_puts(b, "accept\n");
#endif
	buf_printf(b, "meta nfproto != ipv4 drop\nip daddr @metadata %s\n", refuse);
	for (uint32_t i = 0; i < net->n_allow; i++)
		put_rule(&net->allow[i], accept, b);
	if (name)
		buf_printf(b, "%s\n", refuse);
	else
		buf_puts(b, refusal);
}

void fence_put_resolvers(const struct spec_net *net, struct buf *b)
{
	size_t before = b->len;
	for (uint32_t i = 0; i < net->n_allow; i++)
		if (net->allow[i].bits == 32 && net->allow[i].port == PORT_DNS)
			buf_printf(b, "nameserver " IP_FORMAT "\n", IP_ARGS(net->allow[i].address));
	if (b->len == before)
		buf_puts(b, "# no name server is allowed\n");
}
