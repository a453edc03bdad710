/* SPDX-License-Identifier: Apache-2.0 */
/*
 * role: what a token is good for. The server's own token is good for everything. From it narrower
 * ones are made, which are kept nowhere: what each is good for stands in it, under an HMAC-SHA256
 * keyed with the server's token.
 *
 *	cay1.<base64url of "sandbox ID UNTIL">.<hex>           all that is in that sandbox and about it
 *	cay1.<base64url of "read ID UNTIL PATH">.<hex>         to download that file
 *	cay1.<base64url of "write ID UNTIL PATH">.<hex>        to upload that file
 *
 * UNTIL is in seconds since 1970. A token ends then, with its sandbox, or when the server gets
 * another token; no sooner. With a token for a sandbox ends what goes on under it (streams,
 * upgrades, calls that are waited for), and what was got with it: links to ports.
 *
 * What a role may do is said by the rows of the routes: http_route::role. A row without one is for
 * the server's own token alone, so a route that nobody has thought about is closed. For
 * ROLE_SANDBOX the face says which sandbox a request is about (http_face::sandbox_of); a face that
 * does not admits none.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

#include <stdint.h>

enum role {
	ROLE_ADMIN, /* the server's own token, or what a face takes in its place */
	ROLE_SANDBOX,
	ROLE_READ,
	ROLE_WRITE,
	ROLE_MAX,
};

enum { ROLE_PATH_MAX = 4096, ROLE_TOKEN_MAX = 8192 };

struct grant {
	enum role role;
	struct str sandbox; /* its whole id */
	int64_t until_s;
	struct str path; /* ROLE_READ, ROLE_WRITE */
};

const char *role_name(enum role role);
int role_parse(struct str name, enum role *ret, struct error *err);

/* Appends the token. ERROR_INVALID: an id or a path that cannot stand in one. */
int grant_put(const struct grant *grant, const char *key, struct buf *b, struct error *err);
/* True if it looks like one of these: what the server's own token never does by chance. */
bool grant_is_token(struct str text);
/*
 * ERROR_UNAUTHORIZED unless it was made with this key; that it may have ended is the caller's to
 * look at. Into the arena.
 */
int grant_parse(struct str text, const char *key, struct arena *arena, struct grant *ret,
	struct error *err);
