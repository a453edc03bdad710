/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The field `secrets` of a wish: what the sandbox gets as it is, and what it gets a placeholder
 * for.
 */
#include "base/auto.h"
#include "runtime/create.h"
#include "wire/swaphost.h"

struct swap_body {
	struct str value, header;
	struct field_strings hosts;
};

#define AT(member) FIELD_AT(struct swap_body, member)
/* clang-format off */
static const struct field swap_fields[] = {
	{ "value", FIELD_STRING, AT(value), FIELD_REQUIRED | FIELD_SECRET, .help = "what the host gets to see" },
	{ "hosts", FIELD_STRINGS, AT(hosts), FIELD_REQUIRED, .help = "NAME, *.NAME, http://NAME, each with :PORT or without" },
	{ "header", FIELD_STRING, AT(header), .standard = "Authorization", .help = "of the request" },
	{ 0 },
};
/* clang-format on */
#undef AT

void create_new_placeholder(struct create_swap *swap)
{
	char id[ID_SIZE];
	id_make(id);
	snprintf(swap->placeholder, sizeof(swap->placeholder), "cay_%s", id);
}

static int read_swap(const struct json *json, struct arena *arena, struct create_swap *ret,
	struct error *err)
{
	void *params;
	if (fields_decode(swap_fields, sizeof(struct swap_body), "create: secrets", json, arena,
		    &params, err) < 0)
		return -1;
	const struct swap_body *body = params;
	ret->value = body->value;
	ret->hosts = body->hosts;
	ret->header = body->header;
	create_new_placeholder(ret);
	return 0;
}

int create_read_secrets(const struct json *json, struct arena *arena, struct create *ret,
	struct error *err)
{
	size_t n = json_len(json), at = 0;
	void *next = NULL;
	struct str key;
	const struct json *value;
	if (json_kind(json) == JSON_KIND_NULL)
		return 0;
	if (json_kind(json) != JSON_KIND_OBJECT)
		return error_set(err, ERROR_INVALID, "create: 'secrets' must be an object, not %s",
			json_kind_name(json_kind(json)));
	if (n > CREATE_ENV_MAX)
		return error_set(err, ERROR_INVALID, "create: %zu secrets; the limit is %d", n,
			CREATE_ENV_MAX);
	ret->secrets.keys = arena_new_n(arena, struct str, n + 1);
	ret->secrets.values = arena_new_n(arena, struct str, n + 1);
	ret->swaps = arena_new_n(arena, struct create_swap, n + 1);
	while ((value = json_next(json, &next, &key))) {
		if (json_kind(value) == JSON_KIND_OBJECT) {
			struct create_swap *swap = &ret->swaps[ret->n_swaps++];
			swap->name = key;
			if (read_swap(value, arena, swap, err) < 0)
				return error_wrap(err, "'%.*s'", STR_ARG(str_first(key, 40)));
			continue;
		}
		if (json_kind(value) != JSON_KIND_STR || str_has_nul(json_str(value)) ||
			str_has_nul(key))
			return error_set(err, ERROR_INVALID,
				"create: secrets: '%.*s' must be a string without NUL, or an object",
				STR_ARG(str_first(key, 40)));
		ret->secrets.keys[at] = key;
		ret->secrets.values[at++] = json_str(value);
	}
	ret->secrets.n = at;
	return 0;
}

/* A value becomes part of a header, a name a variable: neither may break out of its line. */
static bool is_printable(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
			return false;
	return true;
}

static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		bool is_alpha = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9');
		if (!is_alpha && (!c || !strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return s.len > 0 && s.len <= 100;
}

/* What frames a request is nobody's to change. */
static bool is_framing(struct str header)
{
	static const char *const names[] = { "Host", "Content-Length", "Transfer-Encoding",
		"Connection", "Upgrade", "Accept-Encoding", "TE", "Trailer" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eq_nocase(header, str_from(names[i])))
			return true;
	return false;
}

static int check_swap(const struct create_swap *s, size_t *bytes, struct error *err)
{
	struct swaphost host;
	if (!s->name.len || s->name.len > 256 || !is_printable(s->name) ||
		str_find_char(s->name, '=') >= 0)
		return error_set(err, ERROR_INVALID, "that is no name of a variable");
	if (s->value.len < SWAP_VALUE_MIN || s->value.len > SWAP_VALUE_MAX ||
		!is_printable(s->value))
		return error_set(err, ERROR_INVALID,
			"the value must have %d to %d bytes, and no control bytes among them",
			SWAP_VALUE_MIN, SWAP_VALUE_MAX);
	if (!is_token(s->header) || is_framing(s->header))
		return error_set(err, ERROR_INVALID, "'%.*s' is no header for a secret",
			STR_ARG(str_first(s->header, 60)));
	if (s->hosts.n == 0 || s->hosts.n > SWAP_HOSTS_MAX)
		return error_set(err, ERROR_INVALID, "%zu hosts; 1 to %d are wanted", s->hosts.n,
			SWAP_HOSTS_MAX);
	*bytes += s->name.len + s->value.len;
	for (size_t i = 0; i < s->hosts.n; i++) {
		if (swaphost_parse(s->hosts.items[i], &host, err) < 0)
			return -1;
		*bytes += s->hosts.items[i].len;
	}
	return 0;
}

static bool has_name(const struct field_map *map, struct str name)
{
	for (size_t i = 0; i < map->n; i++)
		if (str_eq(map->keys[i], name))
			return true;
	return false;
}

int create_check_swaps(const struct create *create, struct error *err)
{
	size_t bytes = 0;
	if (create->n_swaps && create->spec.network != NETWORK_PROXY)
		return error_set(err, ERROR_INVALID,
			"create: secrets: hosts are for the network 'proxy'");
	if (create->n_swaps > SWAP_SECRETS_MAX)
		return error_set(err, ERROR_LIMIT,
			"create: secrets: %zu with hosts; the limit is %d", create->n_swaps,
			SWAP_SECRETS_MAX);
	for (size_t i = 0; i < create->n_swaps; i++) {
		struct str name = create->swaps[i].name;
		if (check_swap(&create->swaps[i], &bytes, err) < 0)
			return error_wrap(err, "create: secrets: '%.*s'",
				STR_ARG(str_first(name, 40)));
		if (has_name(&create->env, name) || has_name(&create->secrets, name))
			return error_set(err, ERROR_INVALID,
				"create: secrets: '%.*s' is a variable of its own as well",
				STR_ARG(str_first(name, 40)));
	}
	if (bytes > SWAP_BYTES_MAX)
		return error_set(err, ERROR_TOO_LARGE, "create: secrets: over %d bytes in all",
			SWAP_BYTES_MAX);
	return 0;
}

void create_allow_hosts(struct create *create, struct arena *arena)
{
	size_t n = create->allow.n, room = n;
	for (size_t i = 0; i < create->n_swaps; i++)
		room += create->swaps[i].hosts.n;
	if (room == n || room > ALLOW_RULES_MAX + n)
		return; /* create_check says the rest */
	struct str *items = arena_new_n(arena, struct str, room);
	for (size_t i = 0; i < n; i++)
		items[i] = create->allow.items[i];
	for (size_t i = 0; i < create->n_swaps; i++)
		for (size_t k = 0; k < create->swaps[i].hosts.n; k++) {
			struct swaphost host;
			char rule[SWAPHOST_RULE_SIZE];
			if (swaphost_parse(create->swaps[i].hosts.items[k], &host, NULL) < 0)
				continue;
			swaphost_rule(&host, rule);
			struct str text = str_from(arena_str(arena, str_from(rule)));
			bool is_there = false;
			for (size_t j = 0; j < n; j++)
				is_there |= str_eq(items[j], text);
			if (!is_there)
				items[n++] = text;
		}
	create->allow = (struct field_strings){ items, n };
}

/* All but the values. */
void create_write_swaps(const struct create *create, struct jsonw *w)
{
	jsonw_key(w, "swapped");
	jsonw_open_array(w);
	for (size_t i = 0; i < create->n_swaps; i++) {
		const struct create_swap *s = &create->swaps[i];
		jsonw_open(w);
		jsonw_key_str(w, "name", s->name);
		jsonw_key_str(w, "header", s->header);
		jsonw_key(w, "hosts");
		jsonw_open_array(w);
		for (size_t k = 0; k < s->hosts.n; k++)
			jsonw_str(w, s->hosts.items[k]);
		jsonw_close_array(w);
		jsonw_close(w);
	}
	jsonw_close_array(w);
}
