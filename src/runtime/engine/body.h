/* SPDX-License-Identifier: Apache-2.0 */
/*
 * body: from a wish for a sandbox to the body of POST /containers/create. No socket, no clock.
 * Private to runtime/engine and runtime/kube.
 */
#pragma once

#include "base/buf.h"
#include "sandbox/spec.h"
#include "wire/json.h"

enum { ENGINE_LEASE_MS = 600000, ENGINE_BODY_MAX = 1024 * 1024 };

/* What an engine says of itself: GET /info. */
struct engine_facts {
	bool has_memory, has_swap, has_pids, has_cpu; /* limits that it can set */
	bool has_seccomp, has_userns;
	char architecture[32]; /* as `uname -m` says it; "" if unknown */
};

/* What an image says of itself: GET /images/NAME/json. */
struct engine_image {
	char workdir[SPEC_PATH_SIZE];
	char user[SPEC_NAME_SIZE]; /* "" or root: it names none */
};

struct engine_wish {
	const struct spec *spec;
	const char *image;
	const char *
		gpus; /* "all", a number, names with commas between, or "device=" and those; "": none */
	const char *network; /* one of the engine's own; "": what the spec says */
	const char *more;    /* an object: further members of HostConfig; NULL: none */
	const char *server_id, *state_dir;
	const char *program; /* the executor, on the host */
	const char *run_dir; /* where its socket is, on the host */
	char *const *label_keys, *const *label_values;
	size_t n_labels;
};

void engine_take_facts(const struct json *info, struct engine_facts *ret);
/* ERROR_UNSUPPORTED for one of another system or machine. */
int engine_take_image(const struct json *inspected, const struct engine_facts *facts,
	struct engine_image *ret, struct error *err);

/* ERROR_INVALID for what is no name of an image. */
int engine_check_name(struct str name, struct error *err);
int engine_check_network(struct str name, struct error *err);
/* Refuses what an engine's containers cannot give, before anything is asked of it. */
int engine_check(const struct engine_wish *wish, struct error *err);
/* What a container of this wish is confined by. */
void engine_promise(const struct engine_wish *wish, const struct engine_facts *facts,
	struct enforced *ret);
/* ERROR_UNSUPPORTED if what was required or asked for is not among that. */
int engine_check_promise(const struct engine_wish *wish, const struct enforced *promise,
	struct error *err);
/* Where its sessions start. */
const char *engine_workdir(const struct engine_wish *wish, const struct engine_image *image);
void engine_put_body(const struct engine_wish *wish, const struct engine_image *image,
	const struct engine_facts *facts, const struct enforced *promise, struct buf *b);

/* The label ENGINE_LABEL_ENFORCED, and back; what is none is all zero. */
void engine_put_enforced(const struct enforced *e, struct buf *b);
void engine_parse_enforced(struct str text, struct enforced *ret);

/* "KEY":["…",…]; items end with NULL. */
void engine_put_strings(struct jsonw *w, const char *key, const char *const *items);

/* "name" is "name:latest": without a tag an engine would fetch all of them. */
void engine_put_reference(struct str image, struct buf *b);
