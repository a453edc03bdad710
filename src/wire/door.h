/* SPDX-License-Identifier: Apache-2.0 */
/*
 * door: how a server reaches an executor over TCP, where no descriptor can be handed over: in a pod
 * of a cluster. The executor listens; each connection is one call, or the one line by which a
 * server knows that it lives. Both sides show that they know the secret of the sandbox, which never
 * travels here, before either believes a word:
 *
 *	server    "cay1", a kind (enum door_kind), three zeros, a nonce N of 32 bytes
 *	executor  a nonce M of 32 bytes, and the proof of 'E', the kind, N, M
 *	server    the proof of 'S', the kind, N, M; and what it has to say, at once
 *
 * A proof is HMAC-SHA256 in lower-case hex, keyed with the secret. Then
 *
 *	DOOR_CALL  is a call socket: wire/frame.h
 *	DOOR_LINE  is lines of text: the executor says "R UID GID WORKDIR" and is ready. The server
 *	           may say "U", answered by "U MEMORY PEAK PIDS CPU_US" (bytes; -1: unknown), and
 *	           "Q": the executor ends. A second line takes the place of the first.
 *
 * What comes after the proofs is neither hidden nor sealed: that is the network's.
 */
#pragma once

#include "base/str.h"
#include "wire/sha256.h"

#include <stdint.h>

enum door_kind { DOOR_CALL = 'C', DOOR_LINE = 'L' };
enum door_side { DOOR_EXECUTOR = 'E', DOOR_SERVER = 'S' };

enum {
	DOOR_NONCE_SIZE = 32,
	DOOR_PROOF_SIZE = SHA256_HEX_SIZE - 1,
	DOOR_HELLO_SIZE = 8 + DOOR_NONCE_SIZE,
	DOOR_ANSWER_SIZE = DOOR_NONCE_SIZE + DOOR_PROOF_SIZE,
	DOOR_LINE_MAX = 4096, /* bytes of a line of text */
	DOOR_PORT = 30082,    /* where an executor listens, if nobody says otherwise */
};

/* What both sides know of a connection. */
struct door {
	char kind;
	char server_nonce[DOOR_NONCE_SIZE], executor_nonce[DOOR_NONCE_SIZE];
};

/* False: it is none. `hello` has DOOR_HELLO_SIZE bytes. */
bool door_take_hello(struct door *d, struct str hello);
void door_put_hello(const struct door *d, char ret[DOOR_HELLO_SIZE]);
/* As DOOR_PROOF_SIZE characters and a NUL. */
void door_prove(const struct door *d, enum door_side side, struct str secret,
	char ret[SHA256_HEX_SIZE]);
bool door_is_proof(const struct door *d, enum door_side side, struct str secret, struct str proof);

/* "R UID GID WORKDIR" without its end; false: it is none. */
struct door_ready {
	uint32_t uid, gid;
	struct str workdir;
};
bool door_take_ready(struct str line, struct door_ready *ret);
/* "U MEMORY PEAK PIDS CPU_US"; false: it is none. */
struct door_usage {
	int64_t memory_bytes, memory_peak_bytes, pids, cpu_us; /* -1: unknown */
};
bool door_take_usage(struct str line, struct door_usage *ret);
