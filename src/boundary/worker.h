/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker: the boundary of one sandbox, as a process of its own (cay-boundary). It alone has the
 * values of the secrets that are swapped in where hostile bytes are read; the sandbox has
 * placeholders, the server says them here once.
 *
 * The supervisor starts it when the server asks (MONITOR_BOUNDARY) with descriptor 3, a
 * SOCK_SEQPACKET pair whose other end goes to the server, and to the next server after that one. A
 * message is JSON, with descriptors where it says so. To the worker:
 *
 *	{"op":"secrets","title":…,"secrets":[{"name":…,"placeholder":…,"value":…,"header":…,"hosts":[…]}]}  once
 *	{"op":"connect","name":"api.example.org","port":443}      with two descriptors: the program's side, the server's
 *
 * From it:
 *
 *	{"event":"ready","certificate":PEM}    or  {"event":"failed","reason":…}      the answer to `secrets`
 *	{"event":"used","secret":NAME,"name":…,"port":…}
 *	{"event":"refused","name":…,"port":…,"reason":…}
 *
 * It ends when nobody has the other end any more. It opens nothing and connects to nothing: `locks`
 * is called before it reads a first byte, to see to that.
 */
#pragma once

#include "base/error.h"

enum {
	WORKER_FD = 3,
	WORKER_MESSAGE_MAX = 160 * 1024, /* bytes of a message */
	WORKER_RELAYS_MAX = 256,         /* connections at once */
};

/* Returns when the other end is gone. */
int worker_run(int fd, int (*locks)(struct error *err), struct error *err);
