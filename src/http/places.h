/* SPDX-License-Identifier: Apache-2.0 */
/*
 * places: who has how many of the server's places, and of its memory. For the files of the HTTP
 * server alone.
 */
#pragma once

#include "http/conn.h"

#include <sys/socket.h>

bool places_make_room(struct http_server *server); /* false: none is left for anybody */
/* The entry of an address, with one connection more; NULL: it has its share. */
struct peer *places_take(struct http_server *server, const struct sockaddr_storage *address);
void places_give_back(struct http_conn *c);
/* The request was let in. ERROR_LIMIT: too many like it are under way. */
int places_admit(struct exchange *x, struct error *err);
void places_greet(struct http_conn *c); /* it is new, and a stranger until it is admitted */
void places_answered(struct http_conn *c);
void places_abandon(struct http_conn *c, struct exchange *x); /* the connection goes, x goes on */
void places_forget(struct exchange *x);
const struct guest *places_guest_of(const struct exchange *x); /* NULL: the server's own */
/* After what is held for a connection has changed. */
void places_count(struct http_conn *c);
bool places_is_high(const struct http_conn *c); /* it is to wait for what waits already */
bool places_is_over(const struct http_conn *c); /* there is too much of it */
/* Appends the peer's address; nothing for a Unix socket. */
void server_put_peer(const struct http_conn *c, struct buf *b);
