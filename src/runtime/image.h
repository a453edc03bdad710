/* SPDX-License-Identifier: Apache-2.0 */
/* image: one root file system that the server keeps: its record, and what a sandbox gets of it. */
#pragma once

#include "base/list.h"
#include "runtime/create.h"
#include "wire/json.h"
#include "wire/sha256.h"

struct images;

enum { IMAGE_JSON_MAX = 4 * 1024 * 1024 }; /* bytes of a configuration or manifest */

struct image {
	struct list link; /* images::all, oldest first */
	char id[SHA256_HEX_SIZE];
	bool is_host;
	int64_t created_ms, size_bytes;
	enum image_kind base; /* what is below the layers */
	char *base_path;      /* of IMAGE_DIR; else NULL */
	uint32_t n_layers;
	char layers[SPEC_LAYERS_MAX][SPEC_LAYER_SIZE]; /* the lowest first */
	char *architecture;
	char *snapshot_of;    /* the id of the sandbox it was taken of; NULL: it is no snapshot */
	bool is_fleeting;     /* without a name it goes with the last sandbox that is made of it */
	struct json *history; /* [{"created_by","size_bytes","layer"}]; NULL: not known */
	struct json *config;  /* Env, Cmd, Entrypoint, WorkingDir, User, Labels; NULL: none */
};

void image_free(struct image *image); /* taken off its list */

/* Of a directory with a layer: spec_layer_parse. */
bool layer_is_name(struct str name);

void image_put_record(const struct image *image, struct buf *b);
/* NULL: it is none. Whether its layers are there is not looked at. */
struct image *image_read_record(const char *id, struct str text);
/* What is below its layers: "host", the path of a directory, or "layers". */
struct str image_base(const struct image *image);
/* null for NULL, or what is too large. */
void image_put_json(struct jsonw *w, const char *key, const struct json *value);
/* A part of another document; NULL if it is not of that kind. */
struct json *image_copy_json(const struct json *part, enum json_kind kind);

/*
 * One more layer on top. What lies there twice has to lie there once: the upper one hides all of
 * the lower one, and overlayfs takes no directory twice.
 */
int layers_push(char layers[SPEC_LAYERS_MAX][SPEC_LAYER_SIZE], uint32_t *n, const char *digest,
	struct error *err);
/* Fills image, image_path and layers of a spec. */
void image_put_spec(const struct images *images, const struct image *image, struct spec *spec);
/*
 * Its variables in front of what the caller wants, which replaces them. What is new is in `arena`.
 */
void image_put_env(const struct image *image, struct create *create, struct arena *arena);

/* Where its sessions start; STR_NONE: it does not say. */
struct str image_workdir(const struct image *image);

/* "amd64": that of the machine, as images name it. */
const char *images_architecture(void);

/*
 * {"id","names","created_at","size_bytes","architecture","base","layers","snapshot_of","config"}:
 * snapshot_of only of one that is.
 */
void image_write(const struct images *images, const struct image *image, struct jsonw *w);
