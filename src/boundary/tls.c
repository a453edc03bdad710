/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Each connection has two memory BIOs: what came over the wire goes into one,
 * what OpenSSL wants to send is taken out of the other after each step. One key on P-256 signs for
 * a CA, another is that of every host it vouches for; a certificate is made for each connection,
 * which takes 0.1 ms.
 */
#include "boundary/tls.h"

#include "base/auto.h"
#include "base/bug.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

enum { PIECE = 16 * 1024, CA_DAYS = 3650, LEAF_DAYS = 397, DAY = 86400 };

static const unsigned char alpn[] = "\x08http/1.1";

struct tls {
	SSL *ssl;
	BIO *in, *out; /* the SSL's */
	char *host;
	struct buf early;
	bool is_server, is_open, has_ended;
};

struct tls_ca {
	X509 *certificate;
	EVP_PKEY *key, *host_key;
	SSL_CTX *ctx;
	long serial;
};

struct tls_trust {
	SSL_CTX *ctx;
};

static int failed(struct error *err, const char *what)
{
	unsigned long code = ERR_get_error();
	const char *why = ERR_reason_error_string(code);
	ERR_clear_error();
	return error_set(err, ERROR_PROTOCOL, "TLS: %s%s%s", what, why ? ": " : "", why ? why : "");
}

static void harden(SSL_CTX *ctx)
{
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx,
		SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
}

/* ---- who is believed ---- */

/*
 * What is no certificate is left out, as OpenSSL itself would; none at all is believed by nobody.
 */
static int add_certificates(X509_STORE *store, struct str pem)
{
	BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	int n = 0;
	X509 *x;
	while (bio && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		n += X509_STORE_add_cert(store, x);
		X509_free(x);
	}
	BIO_free(bio);
	ERR_clear_error();
	return n;
}

int tls_trust_new(struct str pem, struct tls_trust **ret, struct error *err)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	if (!ctx)
		return failed(err, "a context");
	harden(ctx);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (SSL_CTX_set_alpn_protos(ctx, alpn, sizeof(alpn) - 1) != 0) {
		SSL_CTX_free(ctx);
		return failed(err, "the protocol");
	}
	if (add_certificates(SSL_CTX_get_cert_store(ctx), pem) == 0) {
		SSL_CTX_free(ctx);
		return error_set(err, ERROR_UNAVAILABLE,
			"this host believes no certificate authority: ca-certificates is not installed, or SSL_CERT_FILE is wrong");
	}
	*ret = mem_new(struct tls_trust);
	(*ret)->ctx = ctx;
	return 0;
}

void tls_trust_free(struct tls_trust *trust)
{
	if (!trust)
		return;
	SSL_CTX_free(trust->ctx);
	free(trust);
}

/* ---- certificates ---- */

static bool add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	bool is_added = e && X509_add_ext(x, e, -1) == 1;
	X509_EXTENSION_free(e);
	return is_added;
}

static X509 *certificate_new(const char *title, long serial, int days, EVP_PKEY *key)
{
	X509 *x = X509_new();
	X509_NAME *name = x ? X509_get_subject_name(x) : NULL;
	/* Of a title what fits: nobody reads names there any more. */
	struct str cut = str_first(str_from(title), 64);
	bool is_good = x && X509_set_version(x, X509_VERSION_3) == 1 &&
		ASN1_INTEGER_set(X509_get_serialNumber(x), serial) == 1 &&
		X509_gmtime_adj(X509_getm_notBefore(x), -DAY) &&
		X509_gmtime_adj(X509_getm_notAfter(x), (long)days * DAY) &&
		X509_set_pubkey(x, key) == 1 &&
		X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
			(const unsigned char *)cut.ptr, (int)cut.len, -1, 0) == 1;
	if (is_good)
		return x;
	X509_free(x);
	return NULL;
}

static bool constrain(X509 *x, const char *const *names, size_t n)
{
	auto_buf struct buf b = BUF_INIT(64 * 1024);
	buf_puts(&b, "critical");
	for (size_t i = 0; i < n; i++)
		buf_printf(&b, ",permitted;DNS:%s", names[i]);
	return !b.is_full && add_extension(x, x, NID_name_constraints, b.ptr);
}

static int choose_protocol(SSL *ssl, const unsigned char **ret, unsigned char *ret_len,
	const unsigned char *offered, unsigned offered_len, void *arg)
{
	unsigned char *chosen;
	if (SSL_select_next_proto(&chosen, ret_len, alpn, sizeof(alpn) - 1, offered, offered_len) !=
		OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*ret = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static int check_name(SSL *ssl, int *ret_alert, void *arg)
{
	const struct tls *t = SSL_get_app_data(ssl);
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	if (!name || str_eq_nocase(str_from(name), str_from(t->host)))
		return SSL_TLSEXT_ERR_OK;
	*ret_alert = SSL_AD_UNRECOGNIZED_NAME;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool fill_ca(struct tls_ca *ca, const char *title, const char *const *names, size_t n)
{
	ca->key = EVP_EC_gen("P-256");
	ca->host_key = EVP_EC_gen("P-256");
	ca->ctx = SSL_CTX_new(TLS_server_method());
	if (!ca->key || !ca->host_key || !ca->ctx)
		return false;
	harden(ca->ctx);
	SSL_CTX_set_alpn_select_cb(ca->ctx, choose_protocol, NULL);
	SSL_CTX_set_tlsext_servername_callback(ca->ctx, check_name);
	ca->certificate = certificate_new(title, ++ca->serial, CA_DAYS, ca->key);
	X509 *x = ca->certificate;
	return x && X509_set_issuer_name(x, X509_get_subject_name(x)) == 1 &&
		add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
		add_extension(x, x, NID_key_usage, "critical,keyCertSign") &&
		add_extension(x, x, NID_subject_key_identifier, "hash") && constrain(x, names, n) &&
		X509_sign(x, ca->key, EVP_sha256()) > 0;
}

int tls_ca_new(const char *title, const char *const *names, size_t n, struct tls_ca **ret,
	struct error *err)
{
	struct tls_ca *ca = mem_new(struct tls_ca);
	if (!fill_ca(ca, title, names, n)) {
		tls_ca_free(ca);
		return failed(err, "make a certificate authority");
	}
	*ret = ca;
	return 0;
}

void tls_ca_free(struct tls_ca *ca)
{
	if (!ca)
		return;
	X509_free(ca->certificate);
	EVP_PKEY_free(ca->key);
	EVP_PKEY_free(ca->host_key);
	SSL_CTX_free(ca->ctx);
	free(ca);
}

int tls_ca_pem(const struct tls_ca *ca, struct buf *ret, struct error *err)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	int r = -1;
	if (bio && PEM_write_bio_X509(bio, ca->certificate) == 1) {
		long len = BIO_get_mem_data(bio, &text);
		r = buf_add(ret, text, (size_t)len);
	}
	BIO_free(bio);
	return r < 0 ? failed(err, "write a certificate") : 0;
}

static X509 *vouch_for(struct tls_ca *ca, const char *host)
{
	auto_buf struct buf name = BUF_INIT(512);
	buf_printf(&name, "DNS:%s", host);
	X509 *x = certificate_new(host, ++ca->serial, LEAF_DAYS, ca->host_key);
	bool is_good = x && X509_set_issuer_name(x, X509_get_subject_name(ca->certificate)) == 1 &&
		add_extension(x, ca->certificate, NID_basic_constraints, "critical,CA:FALSE") &&
		add_extension(x, ca->certificate, NID_key_usage, "critical,digitalSignature") &&
		add_extension(x, ca->certificate, NID_ext_key_usage, "serverAuth") &&
		add_extension(x, ca->certificate, NID_authority_key_identifier, "keyid") &&
		add_extension(x, ca->certificate, NID_subject_alt_name, name.ptr) &&
		X509_sign(x, ca->key, EVP_sha256()) > 0;
	if (is_good)
		return x;
	X509_free(x);
	return NULL;
}

/* ---- connections ---- */

static struct tls *tls_new(SSL_CTX *ctx, const char *host, bool is_server)
{
	struct tls *t = mem_new(struct tls);
	t->host = str_dup(str_from(host));
	t->is_server = is_server;
	buf_init(&t->early, TLS_EARLY_MAX);
	t->ssl = SSL_new(ctx);
	t->in = BIO_new(BIO_s_mem());
	t->out = BIO_new(BIO_s_mem());
	BUG_IF(!t->ssl || !t->in || !t->out, "OpenSSL has no memory");
	BIO_set_mem_eof_return(t->in, -1);
	SSL_set_bio(t->ssl, t->in, t->out);
	SSL_set_app_data(t->ssl, t);
	return t;
}

int tls_accept(struct tls_ca *ca, const char *host, struct tls **ret, struct error *err)
{
	struct tls *t = tls_new(ca->ctx, host, true);
	X509 *x = vouch_for(ca, host);
	bool is_good = x && SSL_use_certificate(t->ssl, x) == 1 &&
		SSL_use_PrivateKey(t->ssl, ca->host_key) == 1;
	X509_free(x);
	if (!is_good) {
		tls_free(t);
		return failed(err, "make a certificate");
	}
	SSL_set_accept_state(t->ssl);
	*ret = t;
	return 0;
}

int tls_connect(struct tls_trust *trust, const char *host, struct tls **ret, struct error *err)
{
	struct tls *t = tls_new(trust->ctx, host, false);
	SSL_set_hostflags(t->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	/* SSL_set_tlsext_host_name, a macro, casts const away. */
	if (SSL_set1_host(t->ssl, host) != 1 ||
		SSL_ctrl(t->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
			(char *)(uintptr_t)host) != 1) {
		tls_free(t);
		return failed(err, "name the server");
	}
	SSL_set_connect_state(t->ssl);
	*ret = t;
	return 0;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	free(t->host);
	buf_fini(&t->early);
	free(t);
}

static void drain(struct tls *t, struct buf *wire)
{
	char *bytes;
	long len = BIO_get_mem_data(t->out, &bytes);
	if (len > 0)
		buf_add(wire, bytes, (size_t)len);
	(void)BIO_reset(t->out);
}

/* 0: it goes on, or waits for more bytes. */
static int check(struct tls *t, int r, struct error *err)
{
	int why = SSL_get_error(t->ssl, r);
	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
		return 0;
	if (why == SSL_ERROR_ZERO_RETURN) {
		t->has_ended = true;
		return 0;
	}
	long verdict = t->is_server ? X509_V_OK : SSL_get_verify_result(t->ssl);
	if (verdict == X509_V_OK)
		return failed(err, t->host);
	ERR_clear_error();
	return error_set(err, ERROR_FORBIDDEN, "TLS: the certificate of %s is not good: %s",
		t->host, X509_verify_cert_error_string(verdict));
}

static int put(struct tls *t, struct str plain, struct error *err)
{
	size_t done;
	if (plain.len == 0)
		return 0;
	int r = SSL_write_ex(t->ssl, plain.ptr, plain.len, &done);
	return r == 1 ? 0 : check(t, r, err) < 0 ? -1 : failed(err, "a write that has to wait");
}

static int shake_hands(struct tls *t, struct error *err)
{
	int r = SSL_do_handshake(t->ssl);
	if (r != 1)
		return check(t, r, err);
	t->is_open = true;
	r = put(t, buf_str(&t->early), err);
	if (t->early.cap)
		explicit_bzero(t->early.ptr, t->early.len);
	buf_reset(&t->early);
	return r;
}

static int take(struct tls *t, struct buf *plain, struct error *err)
{
	size_t n;
	while (t->is_open && !t->has_ended) {
		char *room = buf_room(plain, PIECE);
		if (!room)
			return error_set(err, ERROR_TOO_LARGE, "TLS: more at once than is taken");
		int r = SSL_read_ex(t->ssl, room, PIECE, &n);
		if (r != 1)
			return check(t, r, err);
		buf_grown(plain, n);
	}
	return 0;
}

int tls_feed(struct tls *t, struct str cipher, struct buf *plain, struct buf *wire,
	struct error *err)
{
	ERR_clear_error();
	if (cipher.len && BIO_write(t->in, cipher.ptr, (int)cipher.len) != (int)cipher.len)
		return failed(err, "keep what came");
	int r = t->is_open ? 0 : shake_hands(t, err);
	if (r == 0)
		r = take(t, plain, err);
	drain(t, wire); /* an alert, if it failed */
	return r;
}

int tls_write(struct tls *t, struct str plain, struct buf *wire, struct error *err)
{
	ERR_clear_error();
	if (!t->is_open)
		return buf_put(&t->early, plain) < 0
			? error_set(err, ERROR_TOO_LARGE, "TLS: too much before it was open")
			: 0;
	int r = put(t, plain, err);
	drain(t, wire);
	return r;
}

void tls_shut(struct tls *t, struct buf *wire)
{
	if (t->is_open)
		SSL_shutdown(t->ssl);
	ERR_clear_error();
	drain(t, wire);
}

bool tls_is_open(const struct tls *t)
{
	return t->is_open;
}

bool tls_has_ended(const struct tls *t)
{
	return t->has_ended;
}

size_t tls_early(const struct tls *t)
{
	return t->early.len;
}
