/* SPDX-License-Identifier: Apache-2.0 */
#include "http/names.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/num.h"
#include "http/conn.h"
#include "http/origin.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define WILDCARD "*."

static void add_name(struct map *names, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add_name(struct map *names, const char *fmt, ...)
{
	auto_buf struct buf name = BUF_INIT(1024);
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&name, fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < name.len; i++)
		name.ptr[i] = (char)tolower((unsigned char)name.ptr[i]);
	map_put(names, buf_str(&name), names);
}

/* "name", and ":8000" or nothing. */
static struct str split_port(struct str host, struct str *ret_port)
{
	bool is_v6 = str_starts(host, STR("["));
	ptrdiff_t end = str_find_char(host, is_v6 ? ']' : ':');
	struct str name = str_first(host, end < 0 ? host.len : (size_t)end + is_v6);
	*ret_port = str_skip(host, name.len);
	return name;
}

static bool is_wildcard(const char *name)
{
	return str_starts(str_from(name), STR(WILDCARD));
}

void names_init(struct names *n, const struct http_config *config)
{
	for (const char *const *origin = config->origins; origin && *origin; origin++)
		add_name(&n->origins, "%s", *origin);
	for (const char *const *name = config->hosts; name && *name; name++) {
		if (!is_wildcard(*name) || n->n_domains == NAMES_DOMAINS_MAX)
			continue;
		struct names_domain *d = &n->domains[n->n_domains++];
		d->text = mem_strdup(*name + sizeof(WILDCARD) - 1);
		d->name = split_port(str_from(d->text), &d->port);
	}
}

void names_fini(struct names *n)
{
	map_fini(&n->hosts);
	map_fini(&n->origins);
	for (size_t i = 0; i < n->n_domains; i++)
		free(n->domains[i].text);
}

/*
 * A name with a port is taken as it is; one without stands for itself and for each port we listen
 * on.
 */
static void add_host(struct names *n, const char *name, int port)
{
	const char *colon = strrchr(name, ':');
	if (colon && colon > name && name[strlen(name) - 1] != ']') {
		add_name(&n->hosts, "%s", name);
		add_name(&n->origins, "http://%s", name);
		return;
	}
	if (port == 80) {
		add_name(&n->hosts, "%s", name);
		add_name(&n->origins, "http://%s", name);
	}
	add_name(&n->hosts, "%s:%d", name, port);
	add_name(&n->origins, "http://%s:%d", name, port);
}

static void add_bound_address(struct names *n, const struct sockaddr_storage *a, int port)
{
	char text[INET6_ADDRSTRLEN], name[INET6_ADDRSTRLEN + 2];
	const struct sockaddr_in *in = (const struct sockaddr_in *)a;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)a;
	if (a->ss_family == AF_INET) {
		inet_ntop(AF_INET, &in->sin_addr, name, sizeof(name));
	} else {
		inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
		snprintf(name, sizeof(name), "[%s]", text);
	}
	add_host(n, name, port);
}

/* Names under which a listening TCP socket is reached by its own machine, and those configured. */
void names_add_address(struct names *n, const struct http_config *config,
	const struct sockaddr_storage *a)
{
	static const char *const local[] = { "localhost", "127.0.0.1", "[::1]", NULL };
	struct sockaddr_in in; /* the port lies at the same place in a sockaddr_in6 */
	memcpy(&in, a, sizeof(in));
	int port = ntohs(in.sin_port);
	if (!n->tcp_port)
		n->tcp_port = port;
	for (const char *const *name = local; *name; name++)
		add_host(n, *name, port);
	for (const char *const *name = config->hosts; name && *name; name++) {
		if (is_wildcard(*name))
			continue;
		add_host(n, *name, port);
		add_name(&n->hosts, "%s", *name);
	}
	add_bound_address(n, a, port);
}

/* ---- what a client says ---- */

static bool has_name(const struct map *names, struct str name)
{
	char lower[256];
	if (name.len > sizeof(lower))
		return false;
	for (size_t i = 0; i < name.len; i++)
		lower[i] = (char)tolower((unsigned char)name.ptr[i]);
	return map_find(names, str_from_len(lower, name.len)) != NULL;
}

/* Nothing, or ":" and a number as one writes it. */
static bool is_port(struct str s)
{
	int64_t port;
	return s.len == 0 ||
		(s.len > 1 && s.ptr[0] == ':' && s.ptr[1] != '0' &&
			num_parse_i64(str_skip(s, 1), 1, 65535, &port, NULL) == 0);
}

static bool is_address(struct str name, int family)
{
	static const struct in6_addr none;
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;
	size_t size = family == AF_INET ? sizeof(struct in_addr) : sizeof(address);
	snprintf(text, sizeof(text), "%.*s", STR_ARG(name));
	return name.len < sizeof(text) && inet_pton(family, text, &address) == 1 &&
		memcmp(&address, &none, size) != 0;
}

/* "[::1]" → "::1" */
static struct str strip_brackets(struct str name)
{
	return str_first(str_skip(name, 1), name.len - 2);
}

/*
 * Whoever makes a name of theirs lead to us cannot do so with an address, or with localhost. Any
 * port is as good: that of a container, or behind a proxy, has another number outside.
 */
static bool is_nobodys_name(struct str host)
{
	struct str port, name = split_port(host, &port);
	if (!is_port(port))
		return false;
	if (str_starts(name, STR("[")))
		return str_ends(name, STR("]")) && is_address(strip_brackets(name), AF_INET6);
	return str_eq_nocase(name, STR("localhost")) || is_address(name, AF_INET);
}

bool names_has_host(const struct names *n, struct str host)
{
	return has_name(&n->hosts, host) || is_nobodys_name(host);
}

bool names_has_origin(const struct names *n, struct str origin)
{
	return has_name(&n->origins, origin);
}

/* ---- domains ---- */

/* What stands before ".domain" in name. */
static struct str label_below(struct str name, struct str domain)
{
	if (name.len < domain.len + 2)
		return STR_NONE;
	size_t len = name.len - domain.len - 1;
	return name.ptr[len] == '.' && str_eq_nocase(str_skip(name, len + 1), domain)
		? str_first(name, len)
		: STR_NONE;
}

struct str names_label(const struct names *n, struct str host)
{
	struct str port, name = split_port(host, &port);
	struct str label = STR_NONE;
	if (!is_port(port))
		return STR_NONE;
	for (size_t i = 0; i < n->n_domains && !label.ptr; i++)
		label = label_below(name, n->domains[i].name);
	return label.ptr ? label : label_below(name, STR("localhost"));
}

static bool is_this_machine(struct str name)
{
	return !name.len || str_eq_nocase(name, STR("localhost")) ||
		label_below(name, STR("localhost")).ptr || str_starts(name, STR("127.")) ||
		str_is(name, "[::1]");
}

/* The one that the client uses already; else, from elsewhere, the first. NULL: localhost. */
static const struct names_domain *find_domain(const struct names *n, struct str name)
{
	for (size_t i = 0; i < n->n_domains; i++)
		if (str_eq_nocase(name, n->domains[i].name) ||
			label_below(name, n->domains[i].name).ptr)
			return &n->domains[i];
	return n->n_domains && !is_this_machine(name) ? &n->domains[0] : NULL;
}

static void put_port(const struct names *n, struct str port, struct buf *b)
{
	if (port.len)
		buf_put(b, port);
	else if (n->tcp_port && n->tcp_port != 80)
		buf_printf(b, ":%d", n->tcp_port);
}

void names_put_domain(const struct names *n, struct str host, struct buf *b)
{
	struct str port, name = split_port(host, &port);
	const struct names_domain *d = find_domain(n, name);
	if (!d) {
		buf_puts(b, "localhost");
		put_port(n, port, b);
		return;
	}
	buf_put(b, d->name);
	buf_put(b, d->port.len ? d->port : port);
}

/* ---- of a request ---- */

bool http_is_tls(const struct http_request *r)
{
	return str_is(http_header(r, "X-Forwarded-Proto"), "https");
}

void http_put_origin(const struct http_request *r, struct buf *b)
{
	struct str host = http_header(r, "Host");
	buf_puts(b, http_is_tls(r) ? "https://" : "http://");
	buf_put(b, host.len ? host : STR("localhost"));
}

struct str http_label(const struct http_request *r)
{
	return r->server ? names_label(&r->server->names, http_header(r, "Host")) : STR_NONE;
}

void http_put_domain(const struct http_request *r, struct buf *b)
{
	if (r->server)
		names_put_domain(&r->server->names, http_header(r, "Host"), b);
}
