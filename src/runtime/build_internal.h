/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build_internal: what the files of the builder share.
 *
 *	build.c         from the context to the end     build_state.c  what instructions say of an image
 *	build_steps.c   one instruction after another   build_layer.c  one step's sandbox, and its layer
 *	build_copy.c    COPY and ADD                    build_far.c     where images are the backend's own
 */
#pragma once

#include "runtime/build.h"
#include "runtime/haul.h"
#include "runtime/internal.h"
#include "runtime/library.h"
#include "runtime/staging.h"
#include "wire/dockerfile.h"

enum {
	BUILD_TEXT_MAX = 64 * 1024, /* of a line of output */
	BUILD_PARAMS_MAX = 4 * 1024 * 1024,
	BUILD_ENV_MAX = 1024,
	BUILD_WORDS_MAX = 256, /* labels, ports, volumes, directories to be made */
	BUILD_ARENA_MAX = 64 * 1024 * 1024,
	BUILD_ARENA_STEP = 16 * 1024 * 1024, /* that one instruction may take of it */
};

struct pairs {
	struct str *keys, *values; /* room for BUILD_ENV_MAX */
	size_t n;
};

struct words {
	struct str items[BUILD_WORDS_MAX];
	size_t n;
};

/* An image on its way: what has been made, and what it will say of itself. */
struct stage {
	struct str name; /* of FROM … AS name */
	enum image_kind base;
	const char *base_path;
	struct str base_id; /* of the image it began with; "" */
	uint32_t n_layers;
	char layers[SPEC_LAYERS_MAX][SPEC_LAYER_SIZE];
	char key[SHA256_HEX_SIZE]; /* of all below (image_cache.h) */
	int64_t size_bytes;
	struct pairs env, args, labels;
	struct words ports, volumes, shell;
	struct words dirs; /* WORKDIR: to be made with the next step */
	struct str workdir, user, stop_signal;
	struct str cmd_json, entrypoint_json; /* arrays; STR_NONE */
	bool has_own_cmd;
	struct buf steps; /* its history: objects with commas between them */
};

/* One step that makes a layer. */
struct change {
	struct str *argv; /* RUN: what is run, else NULL */
	size_t n_argv;
	struct str dest;           /* COPY, ADD: absolute */
	bool is_dest_dir, unpacks; /* it ends with a slash; ADD */
	struct str *sources;       /* patterns */
	size_t n_sources;
	struct str mode; /* octal; STR_NONE */
	const struct dockerfile_doc *docs;
	size_t n_docs;
	struct str from_path;     /* where sources are, in the sandbox of `from` */
	const struct stage *from; /* NULL: the context */
	uint32_t network;
	char key[SHA256_HEX_SIZE];
};

struct build {
	struct images *images;
	struct arena arena;
	struct arena step_arena; /* of what one step needs */
	struct build_wish wish;  /* in the arena */
	const struct build_ops *ops;
	void *arg;
	struct timer *deadline;
	int64_t deadline_ms; /* monotonic */
	struct buf early;    /* of the context, before there is a place for it */
	bool has_eof, is_counted, is_paused, is_full;
	struct staging *staging;
	struct runtime_call *to, *from; /* under way */
	struct haul *haul;
	/* the backend builds, with images of its own; NULL: it is over, or ours */
	struct library_work *far;
	bool is_far;
	struct error error; /* for build_fail */
	struct dockerfile file;
	struct str ignore;            /* what .dockerignore says */
	struct pairs args;            /* before the first FROM */
	bool is_used[BUILD_ARGS_MAX]; /* which of wish.args were */
	struct stage stages[BUILD_STAGES_MAX];
	size_t n_stages;
	size_t at; /* the instruction */
	int exit_code;

	/* build_layer.c */
	struct change change;
	struct stage source;                          /* of COPY --from=IMAGE */
	char sandbox_id[ID_SIZE], source_id[ID_SIZE]; /* "" */
	bool is_making; /* a sandbox: the build lives until that is done */
	bool is_gone;
	struct str *found; /* what the sources are */
	bool *is_archive;
	size_t n_found, at_found, at_doc, at_dir;
	bool has_one_file;
	char upload_to[SPEC_PATH_SIZE];
	int n_layers_made; /* names of directories of the staging */
	void (*then)(struct build *b, const struct json *result);
	bool may_be_missing; /* NOT_FOUND is an answer: result NULL */
};

/* build.c: */
void build_say(struct build *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Ends it, at once or when the loop turns; nothing may touch it afterwards. */
void build_fail(struct build *b, const struct error *err);
/* "line N: …" in front. */
void build_fail_step(struct build *b, const struct error *err);
void build_finish(struct build *b, struct stage *stage);
/*
 * Performs an action and goes on with its result; a failure ends the build, but NOT_FOUND after
 * `b->may_be_missing = true`.
 */
void build_ask(struct build *b, struct sandbox *s, const struct action *action, struct str params,
	void (*then)(struct build *b, const struct json *result));
void build_ask_staging(struct build *b, const struct action *action, struct str params,
	void (*then)(struct build *b, const struct json *result));
/* NULL: the build has ended with the reason. */
struct sandbox *build_sandbox(struct build *b, const char *id);

/* build_far.c: what b->far is in place of all the rest. */
void far_begin(struct build *b);

/* build_steps.c: */
void build_next(struct build *b);
struct stage *build_stage(struct build *b);
const struct dockerfile_step *build_step(const struct build *b);

/* build_state.c: */
void stage_init(struct build *b, struct stage *stage);
void stage_fini(struct stage *stage);
/* From an image of the server, "host", "scratch", or a directory. */
int stage_begin(struct build *b, struct stage *stage, struct str name, struct error *err);
/* What another stage is by now. */
void stage_copy(struct build *b, struct stage *stage, const struct stage *from);
int stage_word(struct build *b, struct str word, struct str *ret, struct error *err);
/* Instructions that change no file: ENV, LABEL, CMD, … */
int stage_take(struct build *b, const struct dockerfile_step *step, struct error *err);
int stage_take_arg(struct build *b, struct pairs *args, const struct dockerfile_step *step,
	struct error *err);
struct str stage_lookup(void *arg, struct str name); /* arg: the build */
void stage_put_config(struct build *b, struct stage *stage, struct jsonw *w);
struct str pairs_find(const struct pairs *p, struct str key);
int pairs_set(struct pairs *p, struct str key, struct str value, size_t max, struct error *err);
/* Absolute, from `from` if it was not, without ".", ".." and a slash at the end; in the arena. */
int path_clean(struct build *b, struct str from, struct str *path, struct error *err);
struct str build_keep(struct build *b, struct str s); /* a copy in the arena */

/* build_copy.c: finds out what the sources of b->change are, then build_steps.c goes on. */
void layer_look(struct build *b);
/*
 * Gives the change's sandbox those files and here-documents, or the latter alone; then layer_take.
 */
void layer_give_files(struct build *b);
void layer_give_docs(struct build *b);

/* build_steps.c: */
void steps_have_files(struct build *b, struct str digest);
void layer_made(struct build *b, const char *layer, int64_t size_bytes);

/* build_layer.c. The one layer of FROM scratch. */
void layer_make_empty(struct build *b);
/* Makes b->change, puts the layer into the stage, and goes on with build_next. */
void layer_make(struct build *b);
void layer_free(struct build *b); /* whatever of it is under way */
/* For build_copy.c. What changed goes out, is hashed, and is a layer: */
void layer_take(struct build *b, const struct json *ignored);
/* a sandbox of that stage, and where its id goes; 0, or -1: the build has ended; */
void layer_fill_create(struct build *b, const struct stage *stage, struct create *create);
int layer_take_made(struct build *b, struct sandbox *s, const struct error *err, char id[ID_SIZE]);
/* an upload's parameters, and sinks' ends and drain of b->from and b->to. */
void layer_put_upload(struct build *b, const char *path, struct buf *params);
void layer_from_failed(void *arg, const struct error *err);
void layer_to_failed(void *arg, const struct error *err);
void layer_drain(void *arg);
