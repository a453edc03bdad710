/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/allow.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/num.h"

static const uint16_t standard_ports[] = { 80, 443 };

/* Takes ":PORT" from the end of *text, which stays as it is if there is none. */
static int take_port(struct str *text, uint16_t *ret, struct error *err)
{
	const char *colon = text->len ? memrchr(text->ptr, ':', text->len) : NULL;
	bool is_v6 = !str_starts(*text, STR("[")) && colon &&
		str_find_char(*text, ':') != colon - text->ptr;
	*ret = 0;
	if (!colon || is_v6 || str_ends(*text, STR("]")))
		return 0;
	int64_t port;
	struct str digits = str_skip(*text, (size_t)(colon - text->ptr) + 1);
	if (num_parse_i64(digits, 1, 65535, &port, err) < 0)
		return error_wrap(err, "the port");
	*ret = (uint16_t)port;
	text->len = (size_t)(colon - text->ptr);
	return 0;
}

static bool is_address(struct str text)
{
	bool has_letter = false;
	for (size_t i = 0; i < text.len; i++)
		has_letter |= (text.ptr[i] | 0x20) >= 'a' && (text.ptr[i] | 0x20) <= 'z';
	return str_starts(text, STR("[")) || str_find_char(text, ':') >= 0 ||
		str_find_char(text, '/') >= 0 || !has_letter;
}

static int parse_range(struct str text, struct allow_rule *ret, struct error *err)
{
	if (str_starts(text, STR("[")) && str_ends(text, STR("]")))
		text = str_from_len(text.ptr + 1, text.len - 2);
	if (netrange_parse(text, &ret->range, err) < 0)
		return -1;
	if (netaddr_is_metadata(&ret->range.address))
		return error_set(err, ERROR_FORBIDDEN,
			"the metadata services of clouds cannot be allowed");
	return 0;
}

static int parse_name(struct str text, struct allow_rule *ret, struct error *err)
{
	ret->is_below = str_starts(text, STR("*."));
	if (dns_name(ret->is_below ? str_skip(text, 2) : text, ret->name, err) < 0)
		return -1;
	if (!strchr(ret->name, '.'))
		return error_set(err, ERROR_INVALID, "a name without a dot is no public one");
	return 0;
}

int allow_rule_parse(struct str text, struct allow_rule *ret, struct error *err)
{
	struct str given = text;
	*ret = (struct allow_rule){ 0 };
	int r = take_port(&text, &ret->port, err);
	if (r == 0)
		r = is_address(text) ? parse_range(text, ret, err) : parse_name(text, ret, err);
	return r < 0 ? error_wrap(err, "allow: '%.*s'", STR_ARG(str_first(given, 80))) : 0;
}

static int add_port(struct allow *a, uint16_t port, struct error *err)
{
	for (size_t i = 0; i < a->n_ports; i++)
		if (a->ports[i] == port)
			return 0;
	if (a->n_ports == ALLOW_PORTS_MAX)
		return error_set(err, ERROR_LIMIT, "allow: more than %d different ports",
			ALLOW_PORTS_MAX);
	a->ports[a->n_ports++] = port;
	return 0;
}

int allow_add(struct allow *a, struct str text, struct error *err)
{
	struct allow_rule rule;
	if (a->n == ALLOW_RULES_MAX)
		return error_set(err, ERROR_LIMIT, "allow: more than %d rules", ALLOW_RULES_MAX);
	if (allow_rule_parse(text, &rule, err) < 0)
		return -1;
	size_t n = rule.port ? 1 : ARRAY_LEN(standard_ports);
	for (size_t i = 0; i < n; i++)
		if (add_port(a, rule.port ? rule.port : standard_ports[i], err) < 0)
			return -1;
	a->rules = mem_realloc(a->rules, (a->n + 1) * sizeof(rule));
	a->rules[a->n++] = rule;
	return 0;
}

void allow_fini(struct allow *a)
{
	free(a->rules);
	*a = (struct allow){ 0 };
}

static bool has_port(const struct allow_rule *r, int port)
{
	if (port == 0 || r->port)
		return port == 0 || r->port == port;
	return port == standard_ports[0] || port == standard_ports[1];
}

bool allow_rule_has_name(const struct allow_rule *r, const char *name)
{
	size_t n = strlen(name), own = strlen(r->name);
	if (!r->is_below)
		return strcmp(r->name, name) == 0;
	return n > own + 1 && name[n - own - 1] == '.' && strcmp(name + n - own, r->name) == 0;
}

bool allow_has_name(const struct allow *a, const char *name, int port)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->rules[i].name[0] && has_port(&a->rules[i], port) &&
			allow_rule_has_name(&a->rules[i], name))
			return true;
	return false;
}

bool allow_has_address(const struct allow *a, const struct netaddr *address, int port)
{
	if (netaddr_is_metadata(address))
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!a->rules[i].name[0] && has_port(&a->rules[i], port) &&
			netrange_has(&a->rules[i].range, address))
			return true;
	return false;
}
