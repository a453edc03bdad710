/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/trust.h"

#include "base/auto.h"
#include "base/certificates.h"
#include "executor/executor.h"
#include "executor/files.h"
#include "executor/replace.h"

#include <fcntl.h>

#define TRUST_FILE "/tmp/.cay-trust/ca-certificates.crt"

enum { STORE_MAX = 4 * 1024 * 1024, PIECE = 64 * 1024 };

static const char *const variables[] = { "SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE",
	"NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO", "PIP_CERT", "AWS_CA_BUNDLE", "CARGO_HTTP_CAINFO",
	"DENO_CERT" };

static bool read_store(const struct path_root *root, const char *path, struct buf *b)
{
	auto_fd int fd = -1;
	if (path_open_file(root, path, O_RDONLY, &fd, NULL, NULL) < 0)
		return false;
	for (;;) {
		char *room = buf_room(b, PIECE);
		ssize_t n = room ? read(fd, room, PIECE) : -1;
		if (n <= 0)
			return n == 0;
		buf_grown(b, (size_t)n);
	}
}

static int write_file(const struct path_root *root, struct str content, struct error *err)
{
	static const struct replace_how how = { .create_parents = true };
	struct replace r = REPLACE_NONE;
	int result = replace_begin(&r, root, TRUST_FILE, &how, err);
	if (result == 0)
		result = replace_add(&r, content, err);
	if (result == 0)
		result = replace_commit(&r, err);
	replace_end(&r);
	return result;
}

int trust_add(struct executor *e, struct str pem, struct error *err)
{
	auto_buf struct buf b = BUF_INIT(STORE_MAX);
	for (size_t i = 0; certificate_files[i]; i++) {
		if (read_store(&e->files->root, certificate_files[i], &b))
			break;
		buf_reset(&b);
	}
	if (b.len && b.ptr[b.len - 1] != '\n')
		buf_putc(&b, '\n');
	if (buf_put(&b, pem) < 0)
		return error_set(err, ERROR_TOO_LARGE, "trust: over %d bytes of certificates",
			STORE_MAX);
	if (write_file(&e->files->root, buf_str(&b), err) < 0)
		return error_wrap(err, "trust");
	for (size_t i = 0; i < ARRAY_LEN(variables); i++)
		if (!env_get(&e->env, str_from(variables[i])) &&
			env_set(&e->env, str_from(variables[i]), STR(TRUST_FILE), err) < 0)
			return -1;
	return 0;
}
