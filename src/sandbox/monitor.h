/* SPDX-License-Identifier: Apache-2.0 */
/*
 * monitor: what the unprivileged server (cayd) asks of the privileged supervisor, in the shape of
 * OpenSSH's monitor. One SOCK_SEQPACKET pair, inherited by cayd as descriptor MONITOR_FD; each
 * message is one fixed struct; no JSON, no strings but those of a spec.
 *
 * Every request but READY gets exactly one reply with the same serial, in any order. Besides
 * replies the supervisor sends MONITOR_ENDED when a sandbox is gone. The supervisor believes
 * nothing: ids, lengths, NULs and enum values are checked before use.
 *
 * Descriptors with a reply to CREATE and ADOPT: [0] the control socket of the sandbox's executor
 * (SOCK_SEQPACKET). The server starts a call by sending on it one byte 'C' with one end of a
 * socketpair (SOCK_STREAM) attached, and speaks wire/frame over the other end. The supervisor keeps
 * a duplicate, so that a restarted server adopts every living sandbox with its sessions. [1], with
 * a reply to ADOPT, and [0] with that to BOUNDARY: the socket of its boundary, of which a duplicate
 * is kept as well. [1], with a reply to DECISIONS: a pidfd of the process that its network needs,
 * if it needs one.
 */
#pragma once

#include "sandbox/spec.h"

/* What cayd is started with: see server.h. */
enum { MONITOR_FD = 3, HOLD_FD, LISTEN_FD };

enum { MONITOR_VERSION = 5 };

enum monitor_op {
	MONITOR_HELLO =
		1, /* first message: version; the reply's count is the number of living sandboxes */
	MONITOR_ADOPT, /* index 0 … count-1: one living sandbox per reply, with its control socket */
	MONITOR_CREATE, /* spec, its id included; a ready one may be given with another id: see reply */
	MONITOR_DESTROY, /* id; the reply comes when everything of it is gone */
	MONITOR_USAGE,   /* id */
	MONITOR_FREEZE, /* id, flag: stop or continue every process (pause, resume); the reply's count: all rest */
	MONITOR_HOST,     /* which controls this host can give: reply.enforced */
	MONITOR_ENDED,    /* only from the supervisor: id, end_reason */
	MONITOR_BOUNDARY, /* id: start its boundary (boundary/worker.h); the reply has its socket */
	MONITOR_DECISIONS, /* id: the reply has the socket that tells what its network lets through (filterlog.h) */
	MONITOR_READY, /* it has taken over and serves: what fails from now on, a new server may mend */
};

enum end_reason {
	END_DESTROYED = 0, /* it was asked for */
	END_EXITED,        /* pid 1 or the executor ended by itself */
	END_OUT_OF_MEMORY, /* the memory limit killed it */
	END_TAKEN,         /* who runs it for us took it away */
};

struct monitor_usage {
	int64_t memory_bytes, memory_peak_bytes;
	int64_t pids;
	int64_t cpu_us;
	int64_t disk_bytes,
		disk_inodes; /* -1 where unknown to the supervisor (the executor knows) */
	int64_t oom_kills;
};

struct monitor_request {
	uint32_t version;
	uint32_t op; /* enum monitor_op */
	uint64_t serial;
	uint32_t index;
	uint32_t flag;
	char id[ID_SIZE];
	struct spec spec; /* CREATE */
};

struct monitor_reply {
	uint32_t version;
	uint32_t op;
	uint64_t serial;
	uint32_t count;
	uint32_t end_reason;
	char id[ID_SIZE];
	int32_t init_pid;   /* as the supervisor sees it; 0 if none */
	struct error error; /* code ERROR_OK: success */
	struct enforced enforced;
	struct monitor_usage usage;
};
