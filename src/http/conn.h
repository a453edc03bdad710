/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn: what the files of the HTTP server share. Nobody else includes this.
 *
 * One connection has two sides. The input side goes HEAD → BODY → DONE and back to HEAD; the answer
 * side is open until `is_answered`. The next request begins when both are through and the answer
 * has left: pipelined requests wait in the kernel, and what a connection makes us hold is bounded.
 *
 * An exchange (the private part of a request) belongs to whoever answers it. The connection points
 * to it while it is open; it points back while the connection lives. Either may go first.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "http/names.h"
#include "http/server.h"
#include "http/turns.h"
#include "wire/http1.h"

#include <sys/uio.h>

enum input_state {
	INPUT_HEAD, /* waits for, or reads, the head of a request */
	INPUT_BODY, /* reads its body */
	INPUT_DONE, /* the request is whole */
	INPUT_DISCARD, /* the last answer is out: what still comes is thrown away until the peer closes */
	INPUT_RAW, /* upgraded: whoever took the connection reads */
};

/*
 * Why a connection may be cut when time passes. Each kind has one length, so each list is sorted.
 */
enum deadline {
	DEADLINE_NONE,
	DEADLINE_HEAD,    /* a head that is not whole */
	DEADLINE_IDLE,    /* between requests */
	DEADLINE_STALL,   /* the peer neither sends nor takes what it should */
	DEADLINE_DISCARD, /* the peer does not close */
	DEADLINE_PING,    /* not cut: a silent event stream gets a comment */
	DEADLINE_MAX,
};

struct http_server {
	struct loop *loop;
	struct http_config config;
	char *token; /* NULL: none is asked for */
	struct names names;
	struct map peers;   /* connections by address (struct peer) */
	struct map guests;  /* requests under way by sandbox (struct guest) */
	int n_guests;       /* of those, for a sandbox */
	size_t guest_bytes; /* what is held for them */
	struct router *router;
	const struct http_face *faces[16];
	int n_faces;
	struct listener *listeners;
	int n_listeners;
	bool is_stopping;
	bool is_resting; /* the listeners are not watched */
	struct timer *rest_timer;
	int n_conns;
	struct list conns;     /* http_conn::all */
	struct list strangers; /* http_conn::strange, who came first first */
	int n_strangers;
	struct list deadlines[DEADLINE_MAX]; /* http_conn::link, oldest first */
	int deadline_ms[DEADLINE_MAX];
	struct timer *timer;
	int64_t timer_at_ms;   /* when the timer fires; 0: it is not set */
	struct list exchanges; /* exchange::link: not answered yet */
	struct list over;      /* exchange::link: answered in this turn of the loop */
	int n_requests;
	int64_t requests_total;
	struct turns turns;
	char *scratch; /* every connection reads into this first */
};

/* A connection that was upgraded hands its events on. */
struct raw_ops {
	void (*on_ready)(void *arg, int events);
	void (*on_cut)(void *arg); /* the server goes away: the descriptor is about to be closed */
};

struct http_conn {
	struct http_server *server;
	struct list all;     /* http_server::conns */
	struct list link;    /* http_server::deadlines[deadline] */
	struct list strange; /* http_server::strangers; in no list: it has been let in once */
	enum deadline deadline;
	int64_t since_ms;
	int fd;
	struct watch *watch;
	struct peer *peer;   /* NULL: a Unix socket */
	struct guest *guest; /* NULL: nothing is under way, or for the server's own token */
	size_t held;         /* bytes, of that guest's */
	struct timer *end;   /* of what let the guest in; NULL: it has none, or is not in */
	enum input_state input;
	struct exchange *current;
	struct buf in;  /* received and not used yet */
	size_t scanned; /* of it, for the end of a head */
	struct http1_chunks chunks;
	int64_t body_left; /* of a Content-Length; -1: chunked */
	int64_t body_seen;
	struct buf out; /* the first `sent` bytes have left */
	size_t sent;
	const struct raw_ops *raw;
	void *raw_arg;
	size_t taken;     /* bytes that the taker keeps of a message that is not whole */
	int raw_events;   /* LOOP_READ | LOOP_WRITE, as the taker wants */
	int depth;        /* within callbacks */
	bool is_fresh;    /* no request has come yet */
	bool is_answered; /* the answer to the request in `input` is whole, if not all sent */
	bool is_last;     /* close after this answer */
	bool is_eof;      /* the peer sends no more */
	bool is_broken;   /* the peer is gone, or must go */
	bool is_kicked;   /* a turn is deferred */
	int n_in_turn;    /* requests begun in this turn */
	bool is_next;     /* another request began since the deadline was set */
	size_t moved;     /* bytes sent and received since then */
};

struct exchange {
	struct http_request r;
	struct list link;           /* http_server::exchanges or ::over */
	struct list turn;           /* turns::waiting, or none */
	struct http_server *server; /* NULL: gone */
	struct http_conn *conn;     /* NULL: gone */
	const struct http_ops *ops;
	void *ops_arg;
	struct http1_head head;
	struct buf body;     /* while it is collected */
	struct buf headers;  /* of the answer */
	int64_t stream_left; /* of a stream with a length */
	bool is_streaming, is_chunked, is_event_stream;
	bool is_over;    /* answered: its memory stays until the turn of the loop ends */
	bool is_handled; /* its handler has been called, and answers */
	bool is_head;    /* HEAD: no body is sent */
	bool is_paused;
	bool is_body_whole, body_end_told;
	bool is_closed, closed_told;
	bool was_full;
	struct guest *guest; /* whose place it keeps, its connection being gone; NULL: nobody's */
	size_t held;         /* bytes, of that guest's */
	int64_t until_s;     /* when what let it in ends; 0: it does not */
	bool is_own;         /* the server's own token was shown, or none is asked for */
	struct str token;    /* by which r.grant was given; STR_NONE: none */
	struct error denied; /* why a narrower token did not do; ERROR_OK: none was shown */
};

enum { CONN_READ_SIZE = 64 * 1024 };

static inline struct exchange *exchange_of(const struct http_request *r)
{
	return (struct exchange *)(uintptr_t)r; /* r is its first member */
}

/* conn.c */
void conn_new(struct http_server *server, int fd, struct peer *peer);
void conn_free(struct http_conn *c); /* at once, or when its callbacks have returned */
/* This deadline, not set any more, has passed. */
void conn_expire(struct http_conn *c, enum deadline kind);
void conn_send(struct http_conn *c, const struct iovec *parts, int n);
size_t conn_waiting(const struct http_conn *c); /* bytes that wait to be sent */
bool conn_is_full(const struct http_conn *c,
	size_t high);                 /* so many, or fewer where they are shared */
void conn_touch(struct http_conn *c); /* its state was changed from outside its own callbacks */
void conn_break(struct http_conn *c); /* cut it in the next turn */
/* True if the answer being made can be followed by another request. */
bool conn_can_go_on(const struct http_conn *c);
/* From here on the taker's ops see the events; bytes are read by conn_raw_read. */
void conn_take_raw(struct http_conn *c, const struct raw_ops *ops, void *arg);
/* The taker is through: says so to the peer, and closes when it has closed, or soon. */
void conn_end_raw(struct http_conn *c);
void conn_raw_watch(struct http_conn *c, int events);
/* Bytes, 0 if none are there now, -1 if the peer is gone. */
ssize_t conn_raw_read(struct http_conn *c, char *to, size_t len);

/* request.c: a head has arrived. Runs the handler, or answers with an error. */
void request_begin(struct http_conn *c, struct str bytes);
void request_body(struct exchange *x, struct str piece);
bool request_takes_body(const struct exchange *x); /* false: paused, or nobody listens yet */
void request_body_end(struct exchange *x);
void request_handle(struct exchange *x); /* the body is whole, and its turn has come */
void exchange_free(struct exchange *x);  /* at the end of the loop's turn */
void exchanges_release(void *arg);       /* http_server::over */
/* The connection has let go of it: the handler is told; without one it is freed. */
void exchange_abandon(struct exchange *x);

/* reply.c */
void reply_refuse(struct http_conn *c, int status,
	const struct error *e); /* before there is a request */
void reply_drained(struct exchange *x);
void reply_ping(struct exchange *x);
void reply_closed(struct exchange *x); /* tells on_closed, once */

/* server.c */
void server_deadline(struct http_conn *c, enum deadline kind, bool is_restarted);
void server_forget(struct http_conn *c);
const struct http_face *server_face_of_host(const struct http_server *s, struct str host);
