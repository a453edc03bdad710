/* SPDX-License-Identifier: Apache-2.0 */
/* A rule is refused or read; what it allows never is a metadata service. */
#include "base/bug.h"
#include "wire/allow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
	return 0;
}
