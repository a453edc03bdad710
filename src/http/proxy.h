/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy: passes one HTTP request on to another server and its answer back, over any stream of bytes
 * that somebody else opened: upstream. One stream serves one request, so nothing that either side
 * says can be taken for a part of another request.
 *
 * Bodies stream both ways, each as fast as the slower side. The framing is read strictly
 * (wire/http1.h) and written anew; headers that belong to one connection are dropped on both sides;
 * what upstream should know of the client comes as X-Forwarded-*. An upgrade that upstream accepts
 * becomes a tunnel.
 *
 * Upstream is not trusted. It never sees this server's token: headers, cookies and query parameters
 * that hold it are not passed on. With a `prefix` (upstream is a part of this server's own origin)
 * its documents are sandboxed into an origin of their own, its cookies stay below the prefix, and
 * headers that would speak for the whole origin are dropped. What cannot be passed on is an error
 * reply of the face.
 *
 * The owner of the stream feeds the proxy, and gives what it sends to the stream, by proxy_ops:
 *
 *	struct proxy *p = proxy_new(request, &target, &ops, stream);    sends the request at once
 *	proxy_receive(p, bytes) …  proxy_end(p, NULL)
 *
 * The request belongs to the proxy. `close` comes exactly once, also from within proxy_receive:
 * after it the proxy is gone and must not be touched. Nothing is called from within proxy_new.
 */
#pragma once

#include "http/server.h"

struct proxy;

struct proxy_ops {
	void (*send)(void *arg, struct str bytes);
	bool (*is_full)(void *arg);               /* send no more now; proxy_drained comes */
	void (*pause)(void *arg, bool is_paused); /* no proxy_receive and proxy_end meanwhile */
	void (*eof)(void *arg);                   /* the client of a tunnel sends no more */
	void (*close)(void *arg);
};

struct proxy_target {
	struct str path;  /* what to ask upstream for, encoded: "/index.html" */
	const char *host; /* upstream's own name, for Host and Origin: "localhost:8080" */
	/* where upstream's "/" is seen here, without a final '/'; NULL: at "/" */
	const char *prefix;
	const char *cookie;         /* a cookie of this server's, which is not passed on; or NULL */
	const char *query;          /* the same for a query parameter */
	const char *const *headers; /* … and headers; NULL, or ended by one */
	const char *who;            /* for errors: "port 8080 of the sandbox" */
	int64_t answer_ms;          /* until the head of the answer; 0: PROXY_ANSWER_MS */
};

enum { PROXY_ANSWER_MS = 300 * 1000 };

/* The strings of *target are copied. The row of the route has HTTP_STREAMS_BODY. */
struct proxy *proxy_new(struct http_request *r, const struct proxy_target *target,
	const struct proxy_ops *ops, void *arg);
void proxy_receive(struct proxy *p, struct str bytes);
void proxy_drained(struct proxy *p);
/* Upstream sends no more; NULL: it said so. The error is told as it is if no answer has begun. */
void proxy_end(struct proxy *p, const struct error *err);
