/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server: HTTP/1.1 over sockets that are open already, for any number of faces, on one loop.
 *
 * A face is a table of routes (http/router.h). Its handler gets a request and answers it exactly
 * once, at once or whenever it can, by one of
 *
 *	http_reply(r, 200, "application/json", body);     the whole answer
 *	http_reply_error(r, &err);                        made by the face's render_error
 *	http_stream_begin … http_stream_end               an answer in pieces: downloads, events
 *	ws_accept (http/websocket.h)                      a WebSocket
 *
 * A request lives until then, ALSO WHEN ITS CLIENT IS GONE: the answer then goes nowhere. So a
 * handler never loses the ground under its feet; whoever wants to stop early listens for on_closed.
 * After the answer, and after ws_accept, the request is gone. Everything in it, its arena too,
 * lives as long.
 *
 * Before a handler runs, the server has checked: framing (one Content-Length or chunked, no NUL, no
 * folding), header size and time, the path, Host (exact list; not on a Unix socket), Origin (if
 * present, one of ours), the token, the method, the length of the body. There is no CORS: no page
 * of another origin may call us.
 *
 * Back-pressure: an upload is read only as fast as the handler takes it (http_pause_body); a reply
 * in pieces stops at http_stream_is_full and goes on at on_drain; a client that takes nothing for
 * `stall_ms` while bytes wait for it is dropped. All calls belong to the loop's thread.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "event/loop.h"
#include "http/router.h"

enum {
	HTTP_STREAM_HIGH = 256 * 1024, /* waiting bytes at which http_stream_is_full */
	HTTP_STREAM_MAX = 4 << 20, /* a sender that goes on nevertheless loses its client here */
	HTTP_REPLY_MAX = 64 << 20, /* largest whole reply */
	HTTP_HEAD_MAX = 32 * 1024, /* request line and headers */
	/* What the server holds for a sandbox's own token, and for all of those (http/places.c). */
	HTTP_GUEST_BYTES = 128 << 20,
	HTTP_GUESTS_BYTES = 512 << 20,
	HTTP_GUEST_VALUES =
		100000, /* in the JSON of one body: each costs a hundred bytes and more */
};

struct http_server;

/* What is not set (0, NULL) has the value in brackets. */
struct http_config {
	/* listening stream sockets, Unix or TCP; the server owns them from here on */
	const int *listen_fds;
	int n_listen_fds;
	/* bearer token every face accepts; NULL: no token is asked for (tests) */
	const char *token;
	/*
	 * Further values of Host, "name[:port]", and domains below which every name leads here,
	 * "*.name[:port]"; NULL-terminated.
	 */
	const char *const *hosts;
	const char *const *origins; /* further values of Origin, "https://name", NULL-terminated */
	int max_connections; /* [16,384, but at most half the descriptors the process may open] */
	int max_per_peer;    /* TCP connections from one address [max_connections / 2] */
	int max_strangers;   /* not let in yet, half of it from one address [4,096, at most all] */
	/* Requests under way by tokens but the server's own: for one sandbox, and in all. */
	int max_per_guest; /* [512, but at most max_connections / 8] */
	int max_guests;    /* [1,536, but at most max_connections * 3 / 8] */
	int head_ms;       /* from accept, or first byte, to the end of the headers [5,000] */
	int idle_ms;       /* keep-alive without a request [75,000] */
	int stall_ms;      /* a body or a reply moves less than 4 KiB in this time [30,000] */
};

struct http_face {
	const char *name; /* "rest" */
	/* "/v1/": errors below it for which no route is known are this face's */
	const char *prefix;
	/* Paths besides that are its own in the same way. May be NULL. */
	bool (*owns_path)(const struct http_face *face, struct str path);
	const struct http_route *routes;
	void *arg;
	/*
	 * 0, or -1 with *err filled (ERROR_UNAUTHORIZED or ERROR_FORBIDDEN). NULL: the bearer
	 * token. A face with a header of its own compares with str_eq_secret, or asks
	 * http_token_is_valid.
	 */
	int (*authorize)(struct http_request *r, struct error *err);
	/* Id of the sandbox that a request to a row with ROLE_SANDBOX is about; NULL: of none. */
	const char *(*sandbox_of)(const struct http_request *r);
	/* {sandbox}: its value becomes the id then, so that a name means the same to the end. */
	const char *sandbox_param;
	/* Appends an error's body; may change the status. NULL: {"error":{"code","message"}}. */
	void (*render_error)(const struct http_face *face, const struct error *e, int *status,
		struct buf *body);
	/*
	 * A face with names of its own: true if what stands in Host before one of the server's
	 * domains ("8080-ID" of "8080-ID.localhost:8000") is one of them. Such a request goes to
	 * host_route, whatever its path and method, and its Origin, if any, is that name; or,
	 * without host_route, to the row for its path behind host_prefix ("/e2b").
	 */
	bool (*takes_label)(const struct http_face *face, struct str label);
	const char *host_prefix;
	const struct http_route *host_route;
};

int http_server_new(struct loop *loop, const struct http_config *config, struct http_server **ret,
	struct error *err);
/* The face, its rows and what they point to outlive the server. */
void http_server_add_face(struct http_server *server, const struct http_face *face);
/* Accepts nothing any more and closes idle connections; requests in work go on. */
void http_server_stop(struct http_server *server);
/*
 * Not from within a callback. Cuts all connections. Requests not answered yet stay valid and may be
 * answered, into the void.
 */
void http_server_free(struct http_server *server);
struct http_server_stats {
	int connections;
	int requests; /* in work */
	int64_t requests_total;
};
struct http_server_stats http_server_stats(const struct http_server *server);

struct http_ops {
	void (*on_body)(void *arg, struct str piece); /* HTTP_STREAMS_BODY: at most 64 KiB each */
	void (*on_body_end)(void *arg);               /* the body was whole */
	void (*on_drain)(void *arg);                  /* a stream that was full takes more again */
	/* Once, when the client went away before the answer was whole: answer all the same. */
	void (*on_closed)(void *arg);
};

struct http_request {
	const struct http_server *server;
	const struct http_face *face;
	const struct http_route *route;
	struct str method;
	struct str path;     /* as sent, before the '?' */
	struct str query;    /* as sent, after the '?'; STR_NONE if there is none */
	struct str body;     /* whole, NUL-terminated; empty with HTTP_STREAMS_BODY */
	int64_t body_length; /* as announced; -1: chunked */
	struct arena arena;  /* 8 MiB, for the handler; freed with the request */
	void *state;         /* of the handler */
	struct http_match match;
	/* by which it was let in, if that was a narrower token; else ROLE_ADMIN */
	struct grant grant;
};

/* Callbacks until the answer. May be called again to replace them. None is called from within. */
void http_listen(struct http_request *r, const struct http_ops *ops, void *arg);
/* {name} of the pattern, decoded and NUL-terminated; STR_NONE if it has none of that name. */
struct str http_param(const struct http_request *r, const char *name);
/* The first ?name=, decoded and NUL-terminated; STR_NONE if there is none, "" for ?name. */
struct str http_query(struct http_request *r, const char *name);
/* The header's value, STR_NONE if absent. Valid as long as the request. */
struct str http_header(const struct http_request *r, const char *name);
/* size_t i = 0; while (http_next_header(r, &i, &name, &value)) … as they were sent. */
bool http_next_header(const struct http_request *r, size_t *i, struct str *ret_name,
	struct str *ret_value);
/* True if Accept names this media type itself: "text/event-stream". */
bool http_accepts(const struct http_request *r, const char *type);
/* Where the server listens for browsers; 0: on Unix sockets alone. */
int http_tcp_port(const struct http_request *r);
/* The bearer token that was shown; STR_NONE if none was. */
struct str http_bearer(const struct http_request *r);
/*
 * True for the server's own token, compared in constant time; for any if there is none; and for a
 * narrower one (http/role.h) that admits this request, which r->grant is then.
 */
bool http_token_is_valid(const struct http_request *r, struct str token);
/* For http_face::authorize: it is let in as a guest of this sandbox, with no more places. */
void http_be_guest(struct http_request *r, struct str sandbox_id);
/* For http_face::authorize: what let the request in is good until then; then it is cut. */
void http_end_at(struct http_request *r, int64_t until_s);
/* A narrower token. ERROR_UNSUPPORTED if this server asks for none. */
int http_put_token(const struct http_request *r, const struct grant *grant, struct buf *b,
	struct error *err);
bool http_is_closed(const struct http_request *r); /* the client is gone */
/* Stops and resumes on_body: how a slow consumer slows an upload down. */
void http_pause_body(struct http_request *r, bool is_paused);

/* Adds a header to the coming answer; text without CR, LF, NUL. */
void http_reply_header(struct http_request *r, const char *name, const char *value);
/* type may be NULL if the body is empty. The body is copied. */
void http_reply(struct http_request *r, int status, const char *type, struct str body);
void http_reply_json(struct http_request *r, int status,
	const struct buf *json); /* a full buf is an error */
void http_reply_error(struct http_request *r, const struct error *e);

/* length: of the whole body, or -1 (chunked). text/event-stream gets a comment when silent. */
void http_stream_begin(struct http_request *r, int status, const char *type, int64_t length);
/* The same with no header but the framing and http_reply_header's: for what another server said. */
void http_stream_begin_bare(struct http_request *r, int status, int64_t length);
/* Copied. More than was announced, which may be another's word, ends the connection. */
void http_stream_write(struct http_request *r, struct str bytes);
bool http_stream_has_begun(const struct http_request *r);
bool http_stream_is_full(const struct http_request *r);
/* is_whole false: cut the connection, so that the client sees that the body is not all there. */
void http_stream_end(struct http_request *r, bool is_whole);
