/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outside_internal: what the files of tools outside share.
 *
 *	outside.c       keeps packs           outside_add.c    adds one
 *	outside_call.c  performs calls        outside_keys.c   values of headers
 *	outside_mcp.c   clients of MCP servers
 */
#pragma once

#include "http/fetch.h"
#include "runtime/internal.h"
#include "runtime/mcp.h"
#include "runtime/outside.h"

struct outside {
	struct runtime *rt;
	char sandbox[ID_SIZE];
	struct fetcher *fetcher;
	/*
	 * What is kept with the record: an array of {"pack","kind","timeout_ms","url",
	 * "headers":[name…],"mcp","tools":[schema…],"hidden":[name…]}.
	 */
	struct json *packs;
	struct json *keys; /* {PACK:{NAME:value}}: outside_keys.c */
	struct mcp_client *clients
		[OUTSIDE_PACKS_MAX]; /* of packs of kind mcp, by their place; started when needed */
	struct list adds;            /* add::link */
	struct list calls;           /* outside_call::link */
};

/* The tool of that name and its pack's place; NULL: none of ours. */
const struct json *outside_find(const struct outside *o, struct str tool, size_t *ret_pack);
/* Forgets a pack or a tool; 0: there is none of that name. Stored by the end of the turn. */
int outside_remove(struct sandbox *s, struct outside *o, struct str name);
/* Ends MCP servers, STR_NONE: of all packs. How many packs. */
int outside_reset(struct outside *o, struct str pack);
/* Calls that wait for the MCP server of a pack fail; before its client is freed. */
void outside_end_asked(struct outside *o, size_t pack);
/* The packs behind it have moved up. */
void outside_pack_gone(struct outside *o, size_t pack);
int outside_calls(const struct outside *o, size_t pack); /* under way */
struct outside *outside_of(struct sandbox *s);
/* Takes the text as what there is now; the clients of packs have their new places already. */
int outside_set_packs(struct sandbox *s, struct outside *o, const struct buf *text,
	struct error *err);
struct str outside_name_of(const struct json *schema);
void outside_put_value(struct jsonw *w, const struct json *value);
void outside_put_pack(const struct outside *o, size_t i, struct jsonw *w); /* as it is listed */
/* "Name: value" for each of {NAME:value}, NULL-terminated, in the arena; with Content-Type. */
const char *const *outside_headers(const struct json *headers, struct arena *arena);

/* outside_keys.c: values of headers, which are in no record. */
void outside_keys_load(struct outside *o);
/* {NAME:value}; NULL: the pack has none. */
const struct json *outside_keys_of(const struct outside *o, struct str pack);
/* Keeps them, or with STR_NONE forgets them; on disk when it returns. */
int outside_keys_set(struct outside *o, struct str pack, struct str values_json, struct error *err);

/* outside_add.c: those that are being added: nobody is told, or they end since the sandbox has. */
void outside_adds_drop(struct outside *o);
void outside_adds_end(struct outside *o);

/* outside_mcp.c. Of this pack; made at first: */
struct mcp_client *outside_client(struct outside *o, size_t i);
/* mcp as in struct outside_wish; keys: values of headers, or NULL. */
struct mcp_client *outside_client_new(struct sandbox *s, struct str name, const struct json *mcp,
	const struct json *keys, struct error *err);
int outside_check_url(struct str url, struct error *err); /* http:// or https:// */
