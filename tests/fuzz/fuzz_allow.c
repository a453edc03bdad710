/* SPDX-License-Identifier: Apache-2.0 */
/* A rule is refused or read; what it allows never is a metadata service. */
#include "base/bug.h"
#include "wire/swaphost.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The host of a secret: what it is for, its rule lets through, and addresses are never. */
static void check_swaphost(struct str text)
{
	char rule[SWAPHOST_RULE_SIZE];
	struct swaphost h;
	struct allow a = { 0 };
	if (swaphost_parse(text, &h, NULL) < 0)
		return;
	swaphost_rule(&h, rule);
	BUG_IF(!h.rule.name[0] || !h.rule.port, "a secret for nobody by name");
	BUG_IF(allow_add(&a, str_from(rule), NULL) < 0, "a rule that is none");
	BUG_IF(!h.rule.is_below &&
			(!swaphost_is(&h, h.rule.name, h.rule.port) ||
				!allow_has_name(&a, h.rule.name, h.rule.port)),
		"a host that its own rule does not let through");
	allow_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_from_len((const char *)data, size);
	struct netaddr metadata, own;
	char shown[NETADDR_TEXT_MAX];
	struct allow a = { 0 };
	BUG_IF(netaddr_parse(STR("169.254.169.254"), &metadata, NULL) < 0, "no address");
	if (allow_add(&a, text, NULL) == 0) {
		BUG_IF(a.n != 1 || a.n_ports == 0, "a rule without a port");
		BUG_IF(allow_has_address(&a, &metadata, 0), "a metadata service is allowed");
		const struct allow_rule *r = &a.rules[0];
		BUG_IF(r->name[0] && !r->is_below && !allow_has_name(&a, r->name, 0),
			"a rule does not allow its own name");
		netaddr_text(&r->range.address, shown);
		BUG_IF(!r->name[0] && netaddr_parse(str_from(shown), &own, NULL) < 0,
			"an address that cannot be read back");
	}
	allow_fini(&a);
	check_swaphost(text);
	return 0;
}
