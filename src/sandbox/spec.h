/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec: what a sandbox shall be, as plain data of fixed size: it is filled from JSON or from a
 * command line, checked once by spec_check, sent to the supervisor in one message, and never
 * changed.
 *
 * Environment, labels and deadlines are no business of who builds the sandbox and are not in here.
 */
#pragma once

#include "base/error.h"
#include "base/id.h"

#include <stdint.h>

enum { SPEC_PATH_SIZE = 1024, SPEC_NAME_SIZE = 64, SPEC_MOUNTS_MAX = 16, SPEC_UIDS = 65536 };
/*
 * The name of a layer: the sha256 of what it came from, in hex, and where it is not root's, whose
 * it is in a sandbox: "DIGEST-1000".
 */
enum { SPEC_LAYER_SIZE = 72, SPEC_LAYERS_MAX = 64 };

/* What becomes of what is changed below "/". */
enum layer_use {
	LAYER_UNUSED = 0,
	LAYER_OF_IMAGE, /* a step of a build: nothing is made there that nobody asked for */
	LAYER_OF_SNAPSHOT,
};

enum image_kind {
	IMAGE_HOST = 0, /* an allow-listed view of the host's own toolchain, copy-on-write */
	IMAGE_DIR,      /* a directory of the host as root, copy-on-write */
	IMAGE_LAYERS,   /* nothing but the layers below */
};

enum mount_mode {
	MOUNT_READ_ONLY = 0, /* bind, read-only */
	MOUNT_WRITABLE,      /* bind: changes reach the host; new files belong to the caller */
	MOUNT_COPY,          /* overlay: the sandbox sees its changes, the host does not */
	MOUNT_LAYER, /* bind, writable, for a layer of an image: the executor may make overlayfs' marks in it */
};

enum network_mode {
	NETWORK_LOOPBACK = 0,
	NETWORK_NONE,
	NETWORK_HOST,
	NETWORK_PROXY, /* every address is the sandbox's own: the executor catches what is begun to it */
	NETWORK_BRIDGE, /* a pair of devices to a router of the supervisor's (router.h); root's only */
	NETWORK_PASTA, /* a device whose packets pasta(1) takes out as its user (pasta.h) */
};

/*
 * Of the networks bridge and pasta: what may be begun to these addresses, and no other, over TCP
 * and UDP.
 */
struct spec_allow {
	uint32_t address; /* IPv4, host order */
	uint16_t port;    /* 0: 80 and 443 */
	uint8_t bits;
	uint8_t is_private; /* it is for addresses that are not public: one that holds both is for the public */
};

enum { SPEC_ALLOW_MAX = 64 };

struct spec_net {
	uint32_t n_allow;
	struct spec_allow allow[SPEC_ALLOW_MAX];
	char name[SPEC_NAME_SIZE]; /* of bridge: those of one name reach each other; "": nobody */
};

enum user_mode {
	USER_AGENT = 0, /* uid 1000 of the sandbox, no capabilities */
	USER_ROOT, /* uid 0 of the sandbox with a handful of capabilities (dpkg, chown); never host 0 */
};

struct spec_mount {
	char source[SPEC_PATH_SIZE]; /* absolute, on the host */
	char target[SPEC_PATH_SIZE]; /* absolute, in the sandbox */
	uint32_t mode;               /* enum mount_mode */
};

/*
 * Zero means the default; SPEC_UNLIMITED none. What is asked for and cannot be had fails the
 * create.
 */
#define SPEC_UNLIMITED (-1)

struct spec_limits {
	int64_t memory_bytes; /* default 1 GiB */
	int64_t pids;         /* default 512 */
	int64_t cpu_milli;    /* thousandths of a core; default: no limit below the machine's */
	int64_t disk_bytes;   /* everything the sandbox writes; default 1 GiB */
	int64_t disk_inodes;  /* default 262,144 */
};

/* Controls, one bit each: what --require names, what is in force, what cay doctor reports. */
enum control {
#define CONTROL(name, word, text) CONTROL_##name,
#include "sandbox/control.def"
#undef CONTROL
	CONTROL_MAX,
};

struct spec {
	char id[ID_SIZE];
	char hostname[SPEC_NAME_SIZE];   /* default "cay" */
	uint32_t image;                  /* enum image_kind */
	char image_path[SPEC_PATH_SIZE]; /* of IMAGE_DIR */
	/* where sessions start, made if missing; default /workspace */
	char workdir[SPEC_PATH_SIZE];
	uint32_t network;    /* enum network_mode */
	struct spec_net net; /* of bridge and pasta */
	uint32_t user;       /* enum user_mode */
	/*
	 * Of USER_ROOT: whom files in writable mounts belong to, inside; 0: root, as else to the
	 * agent.
	 */
	uint32_t owner_uid;
	struct spec_limits limits;
	uint64_t required; /* 1 << CONTROL_x: fail rather than go without */
	/* enum layer_use: whether what changes below "/" can be taken (action `layer`) */
	uint32_t keeps_layer;
	/* Above the image, copy-on-write: directories in layers_path, the lowest first. */
	uint32_t n_layers;
	char layers_path[SPEC_PATH_SIZE];
	char layers[SPEC_LAYERS_MAX][SPEC_LAYER_SIZE];
	uint32_t n_mounts;
	struct spec_mount mounts[SPEC_MOUNTS_MAX];
};

/* What the sandbox got: part of every create reply. */
struct enforced {
	uint64_t controls;         /* 1 << CONTROL_x for each in force */
	struct spec_limits limits; /* in force; SPEC_UNLIMITED where none is */
	uint32_t uid, gid;         /* of the agent, as the host sees it */
};

/*
 * Refuses what no host could give: relative paths, "..", doubled targets, unknown modes, bad names.
 */
int spec_check(const struct spec *spec, struct error *err);

/* *ret_uid: whose its files are in a sandbox. False: it is no name of a layer. */
bool spec_layer_parse(const char *name, uint32_t *ret_uid);

const char *control_name(enum control c); /* "seccomp" */
const char *control_text(enum control c); /* "system call allow list" */
int control_parse(const char *name, enum control *ret, struct error *err);
