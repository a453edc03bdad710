/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create: the wish for a sandbox. The table of fields below is what POST /v1/sandboxes takes; a
 * face with words of its own fills the struct directly; zeroes are the defaults. It is large: keep
 * it in an arena.
 */
#pragma once

#include "action/action.h"
#include "sandbox/spec.h"

enum {
	CREATE_ENV_MAX = 1024, /* variables */
	CREATE_LABELS_MAX = 64,
	CREATE_NETWORKS_MAX = 16,
	CREATE_LABEL_BYTES = 1024, /* of a key or value */
	CREATE_NOTE_BYTES = 2 * 1024 * 1024,
	CREATE_PLACEHOLDER_SIZE = 40,
};

/* What a JSON body said, and standards leave alone. */
enum {
	CREATE_SAID_IMAGE = 1,
	CREATE_SAID_WORKDIR = 2,
	CREATE_SAID_MOUNTS = 4,
	CREATE_SAID_USER = 8,
	CREATE_SAID_NETWORK = 16,
	CREATE_SAID_TIMEOUT = 32,
	CREATE_SAID_IDLE = 64,
	CREATE_SAID_NETWORKS = 128,
	CREATE_SAID_GPUS = 256,
};

/*
 * A secret that the sandbox has a placeholder for: its boundary puts the value in
 * (runtime/secrets.h).
 */
struct create_swap {
	struct str name; /* the variable that holds the placeholder */
	struct str value;
	struct field_strings hosts; /* wire/swaphost.h */
	struct str header;          /* whose value is looked through */
	char placeholder[CREATE_PLACEHOLDER_SIZE];
};

struct create {
	uint32_t said;   /* CREATE_SAID_x */
	struct str name; /* unique among the living; STR_NONE: none */
	struct str id; /* that id_make gave somebody who told of it already; STR_NONE: a new one */
	struct spec spec; /* the id is given by the runtime */
	/* one of the server's (runtime/images.h), which fills the spec's; STR_NONE: as there */
	struct str image;
	char image_id[SPEC_LAYER_SIZE]; /* of that; "" if none */
	struct field_map env; /* of everything that runs in it; never stored, never in an event */
	/* as env, and masked in all that is reported; never stored either */
	struct field_map secrets;
	struct create_swap *swaps; /* as secrets, but only their placeholders get in */
	size_t n_swaps;
	struct field_map labels;
	struct str gpus;               /* "all", a number, or names; of a backend that has some */
	struct field_strings allow;    /* of network proxy: wire/allow.h */
	struct field_strings networks; /* of the backend's own, in place of loopback */
	struct str note;    /* what a face wants to know about it later; stored as it is */
	int64_t timeout_ms; /* ends this long after it was asked for; 0: never */
	/* for who prepares its workspace; not the runtime's own business */
	const struct json *repo;
	const struct json *plugins; /* names and manifests (runtime/plugin.h); NULL: none */
	const struct json *guard;   /* what the gate shall be told (action/gate.h); NULL: nothing */
	int64_t idle_timeout_ms;    /* ends when no action was under way for so long; 0: never */
};

/* What a JSON body may say; its struct is private to create.c. */
extern const struct field create_fields[];

/* Everything points into `body` and `arena`. runtime_create does the checks that span fields. */
int create_from_json(const struct json *json, struct arena *arena, struct create *ret,
	struct error *err);
/*
 * What wishes leave open: fields of a body, set once, before the first create; they stay the
 * caller's. A wish that was not made of JSON leaves open what is zero in it.
 */
int create_set_standards(const struct json *json, struct error *err);
/* Of the variables that every sandbox has; STR_NONE: it is not among them. */
struct str create_standard_env(struct str name);
/* Fills those in; env is the standards' with the wish's own on top. */
void create_fill(struct create *create, struct arena *arena);
/* create_secrets.c. The field `secrets`: NAME to a value, or to {"value","hosts","header"}. */
int create_read_secrets(const struct json *json, struct arena *arena, struct create *ret,
	struct error *err);
void create_new_placeholder(struct create_swap *swap); /* that nobody can guess */
int create_check_swaps(const struct create *create, struct error *err);
/* What secrets are for may be connected to. */
void create_allow_hosts(struct create *create, struct arena *arena);
void create_write_swaps(const struct create *create, struct jsonw *w);
/*
 * A name: letters, digits, '-', '_', '.', at most 63, starts with a letter or digit, not of an id's
 * form.
 */
int create_check_name(struct str name, struct error *err);
/* All that can be checked without asking the host; spec_check included. */
int create_check(const struct create *create, struct error *err);
/*
 * What was asked for, env by its names alone: {"image":…,"workdir":…,…}. guard: what the gate made
 * of the wish.
 */
void create_write(const struct create *create, struct str guard, struct jsonw *w);
/* {"controls":[…],"limits":{…},"uid":…,"gid":…} */
void enforced_write(const struct enforced *enforced, struct jsonw *w);
