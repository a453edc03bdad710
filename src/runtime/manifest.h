/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest: what an archive says of the images in it: manifest.json of docker save, index.json and
 * the blobs it leads to of an OCI layout, and an image's configuration. JSON from a stranger into
 * plain structs; nothing is opened.
 */
#pragma once

#include "base/error.h"
#include "sandbox/spec.h"
#include "wire/json.h"
#include "wire/sha256.h"

enum { BLOB_PATH_MAX = 256, MANIFEST_NAMES_MAX = 256 };

struct blob {
	char path[BLOB_PATH_MAX];     /* in the archive: relative, without ".." */
	char digest[SHA256_HEX_SIZE]; /* what it must have; "": whatever it has */
};

/* An image of the archive, while it is taken in. */
struct entry {
	struct blob config;
	struct blob layers[SPEC_LAYERS_MAX];
	size_t n_layers;
	char **names; /* heap */
	size_t n_names;
};

void entry_fini(struct entry *e);
/* One of manifest.json, with its names. */
int entry_from_docker(struct entry *e, const struct json *item, struct error *err);
/* An OCI manifest; names are its index's business. */
int entry_from_oci(struct entry *e, const struct json *manifest, struct error *err);
/*
 * What an OCI index leads to: of several platforms `architecture`, else the first. *ret_name: "" if
 * it has none.
 */
int index_follow(const struct json *index, const char *architecture, struct blob *ret,
	struct str *ret_name, struct error *err);
/*
 * The configuration fits the entry and is for Linux. Layers that promised no digest get that of its
 * diff_ids.
 */
int entry_check_config(struct entry *e, const struct json *config, struct error *err);
