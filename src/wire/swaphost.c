/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/swaphost.h"

#include <stdio.h>

enum { PORT_TLS = 443, PORT_PLAIN = 80 };

int swaphost_parse(struct str text, struct swaphost *ret, struct error *err)
{
	static const struct str plain = { "http://", 7 };
	struct str rule = text;
	*ret = (struct swaphost){ .is_plain = str_starts(text, plain) };
	if (ret->is_plain)
		rule = str_skip(text, plain.len);
	if (allow_rule_parse(rule, &ret->rule, err) < 0)
		return error_wrap(err, "a host for a secret");
	if (!ret->rule.name[0])
		return error_set(err, ERROR_INVALID,
			"a secret is for hosts that have a name, not for '%.*s'",
			STR_ARG(str_first(text, 80)));
	if (!ret->rule.port)
		ret->rule.port = ret->is_plain ? PORT_PLAIN : PORT_TLS;
	return 0;
}

bool swaphost_is(const struct swaphost *h, const char *name, int port)
{
	return h->rule.port == port && allow_rule_has_name(&h->rule, name);
}

void swaphost_rule(const struct swaphost *h, char ret[SWAPHOST_RULE_SIZE])
{
	snprintf(ret, SWAPHOST_RULE_SIZE, "%s%s:%u", h->rule.is_below ? "*." : "", h->rule.name,
		h->rule.port);
}
