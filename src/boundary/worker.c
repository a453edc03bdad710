/* SPDX-License-Identifier: Apache-2.0 */
#include "boundary/worker.h"

#include "base/arena.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/certificates.h"
#include "base/file.h"
#include "base/log.h"
#include "boundary/relay.h"
#include "wire/json.h"
#include "wire/swaphost.h"

#include <fcntl.h>
#include <sys/socket.h>

enum { ARENA_BYTES = 1024 * 1024, STORE_MAX = 16 * 1024 * 1024, MESSAGES_PER_TURN = 16 };

struct secret {
	const char *name;
	struct swaphost *hosts;
	size_t n_hosts;
};

static struct {
	struct loop *loop;
	int fd;
	struct watch *watch;
	struct arena arena;
	struct buf store; /* certificates that are believed */
	struct secret secrets[SWAP_SECRETS_MAX];
	size_t n_secrets;
	struct swap_rule rules[SWAP_SECRETS_MAX]; /* of each secret */
	struct relay_owner relays;
} w;

/* ---- what is told ---- */

static void send_message(const struct buf *b)
{
	/* A server that does not listen has more urgent troubles than to know of this. */
	send(w.fd, b->ptr, b->len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void tell_failed(const struct error *err)
{
	auto_buf struct buf b = BUF_INIT(4096);
	struct jsonw j = JSONW(&b);
	jsonw_open(&j);
	jsonw_key_str(&j, "event", STR("failed"));
	jsonw_key_str(&j, "reason", str_from(err->text));
	jsonw_close(&j);
	send_message(&b);
}

static void tell_about(const char *event, const char *key, const char *text, const char *name,
	int port)
{
	auto_buf struct buf b = BUF_INIT(4096);
	struct jsonw j = JSONW(&b);
	jsonw_open(&j);
	jsonw_key_str(&j, "event", str_from(event));
	jsonw_key_str(&j, key, str_from(text));
	jsonw_key_str(&j, "name", str_from(name));
	jsonw_key_int(&j, "port", port);
	jsonw_close(&j);
	send_message(&b);
}

static void refused(struct relay_owner *o, const char *name, int port, const char *reason)
{
	tell_about("refused", "reason", reason, name, port);
}

/* ---- secrets ---- */

static int read_hosts(const struct json *list, struct secret *s, struct error *err)
{
	size_t n = json_len(list);
	if (n == 0 || n > SWAP_HOSTS_MAX)
		return error_set(err, ERROR_INVALID, "secret %s: %zu hosts", s->name, n);
	s->hosts = arena_new_n(&w.arena, struct swaphost, n);
	for (; s->n_hosts < n; s->n_hosts++)
		if (swaphost_parse(json_str(json_at(list, s->n_hosts)), &s->hosts[s->n_hosts],
			    err) < 0)
			return -1;
	return 0;
}

static struct str keep(const struct json *from, const char *key)
{
	struct str text = json_str(json_find(from, key));
	return str_from_len(arena_str(&w.arena, text), text.len);
}

static int read_secret(const struct json *from, struct secret *s, struct swap_rule *rule,
	struct error *err)
{
	s->name = keep(from, "name").ptr;
	rule->placeholder = keep(from, "placeholder");
	rule->value = keep(from, "value");
	rule->header = keep(from, "header");
	if (rule->value.len < SWAP_VALUE_MIN || rule->value.len > SWAP_VALUE_MAX ||
		!rule->placeholder.len || !rule->header.len)
		return error_set(err, ERROR_INVALID, "secret %s is not complete", s->name);
	return read_hosts(json_find(from, "hosts"), s, err);
}

static int make_authority(const char *title, struct error *err)
{
	const char **names = arena_new_n(&w.arena, const char *, SWAP_SECRETS_MAX *SWAP_HOSTS_MAX);
	size_t n = 0;
	for (size_t i = 0; i < w.n_secrets; i++)
		for (size_t k = 0; k < w.secrets[i].n_hosts; k++)
			if (!w.secrets[i].hosts[k].is_plain)
				names[n++] = w.secrets[i].hosts[k].rule.name;
	return n ? tls_ca_new(title, names, n, &w.relays.ca, err) : 0;
}

static int on_secrets(const struct json *message, struct error *err)
{
	const struct json *list = json_find(message, "secrets");
	auto_free char *title = str_dup(json_str(json_find(message, "title")));
	if (w.n_secrets || json_len(list) == 0 || json_len(list) > SWAP_SECRETS_MAX)
		return error_set(err, ERROR_INVALID, "secrets: none, too many, or once more");
	for (size_t i = 0; i < json_len(list); i++, w.n_secrets++)
		if (read_secret(json_at(list, i), &w.secrets[i], &w.rules[i], err) < 0)
			return -1;
	w.relays.rules = w.rules;
	w.relays.n_rules = w.n_secrets;
	auto_buf struct buf pem = BUF_INIT(16 * 1024), b = BUF_INIT(32 * 1024);
	if (make_authority(title, err) < 0 ||
		(w.relays.ca && tls_ca_pem(w.relays.ca, &pem, err) < 0))
		return -1;
	struct jsonw j = JSONW(&b);
	jsonw_open(&j);
	jsonw_key_str(&j, "event", STR("ready"));
	jsonw_key_str(&j, "certificate", buf_str(&pem));
	jsonw_close(&j);
	send_message(&b);
	return 0;
}

/* ---- connections ---- */

/* Bits of the secrets that are for a host. In the clear only if none of them wants TLS there. */
static uint32_t find_allowed(const char *name, int port, bool *ret_is_plain)
{
	uint32_t bits[2] = { 0 };
	for (size_t i = 0; i < w.n_secrets; i++)
		for (size_t k = 0; k < w.secrets[i].n_hosts; k++)
			if (swaphost_is(&w.secrets[i].hosts[k], name, port))
				bits[w.secrets[i].hosts[k].is_plain] |= 1U << i;
	*ret_is_plain = !bits[false];
	return bits[*ret_is_plain];
}

static void used(struct relay_owner *o, const char *name, int port, uint32_t bits)
{
	for (size_t i = 0; i < w.n_secrets; i++)
		if (bits & 1U << i)
			tell_about("used", "secret", w.secrets[i].name, name, port);
}

static void on_connect(const struct json *message, int fds[2])
{
	auto_free char *name = str_dup(json_str(json_find(message, "name")));
	int port = (int)json_int(json_find(message, "port"));
	struct error err;
	bool is_plain;
	uint32_t allowed = find_allowed(name, port, &is_plain);
	if (fds[0] < 0 || fds[1] < 0 || !allowed || w.relays.n_relays == WORKER_RELAYS_MAX) {
		refused(&w.relays, name, port,
			allowed ? "too many connections at once" : "no secret is for it");
		return;
	}
	if (!is_plain && !w.relays.trust &&
		tls_trust_new(buf_str(&w.store), &w.relays.trust, &err) < 0) {
		refused(&w.relays, name, port, err.text);
		return;
	}
	fd_set_nonblock(fds[0], NULL);
	fd_set_nonblock(fds[1], NULL);
	relay_start(&w.relays, name, port, is_plain, allowed, take_fd(&fds[0]), take_fd(&fds[1]));
}

/* ---- messages ---- */

static void handle(struct str text, int fds[2])
{
	auto_json struct json *message = NULL;
	struct error err;
	if (json_parse(text, &message, &err) < 0) {
		log_error("boundary.message", "error=%s", err.text);
		return;
	}
	struct str op = json_str(json_find(message, "op"));
	if (str_is(op, "secrets") && on_secrets(message, &err) < 0)
		tell_failed(&err);
	else if (str_is(op, "connect"))
		on_connect(message, fds);
}

static void on_message(void *arg, int events)
{
	static char bytes[WORKER_MESSAGE_MAX];
	for (int i = 0; i < MESSAGES_PER_TURN; i++) {
		struct error err;
		int fds[FD_PASS_MAX] = { -1, -1 }, n_fds = 2;
		ssize_t n = fd_recv(w.fd, bytes, sizeof(bytes), fds, &n_fds, &err);
		if (n < 0 && (err.sys == EAGAIN || err.sys == EINTR))
			return;
		if (n <= 0) {
			loop_stop(w.loop);
			return;
		}
		for (int k = n_fds; k < 2; k++)
			fds[k] = -1;
		handle(str_from_len(bytes, (size_t)n), fds);
		explicit_bzero(bytes, (size_t)n);
		close_fd(fds[0]);
		close_fd(fds[1]);
	}
}

/* The file of certificates, while files can be read; it is taken apart when it is needed. */
static void read_store(void)
{
	const char *file = getenv("SSL_CERT_FILE");
	w.store = BUF_INIT(STORE_MAX);
	if (file && file_read(AT_FDCWD, file, &w.store, NULL) == 0)
		return;
	for (size_t i = 0; !file && certificate_files[i]; i++) {
		if (file_read(AT_FDCWD, certificate_files[i], &w.store, NULL) == 0)
			return;
		buf_reset(&w.store);
	}
}

static int open_all(struct error *err)
{
	w.relays.used = used;
	w.relays.refused = refused;
	list_init(&w.relays.relays);
	if (fd_set_nonblock(w.fd, err) < 0 || loop_new(&w.loop, err) < 0)
		return -1;
	read_store();
	w.relays.loop = w.loop;
	w.watch = watch_new(w.loop, w.fd, LOOP_READ, on_message, NULL);
	return 0;
}

int worker_run(int fd, int (*locks)(struct error *err), struct error *err)
{
	w.fd = fd;
	w.arena = ARENA_INIT(ARENA_BYTES);
	if (open_all(err) < 0 || locks(err) < 0)
		return -1;
	loop_run(w.loop);
	relay_end_all(&w.relays);
	watch_free(w.watch);
	loop_free(w.loop);
	tls_ca_free(w.relays.ca);
	tls_trust_free(w.relays.trust);
	buf_fini(&w.store);
	arena_fini(&w.arena);
	return 0;
}
