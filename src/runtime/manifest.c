/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/manifest.h"

#include "base/auto.h"
#include "base/bug.h"

#include <stdio.h>

void entry_fini(struct entry *e)
{
	for (size_t i = 0; i < e->n_names; i++)
		free(e->names[i]);
	free(e->names);
	*e = (struct entry){ 0 };
}

static bool is_path_good(struct str path)
{
	struct str rest = path, piece;
	if (!path.len || path.len >= BLOB_PATH_MAX || path.ptr[0] == '/' || str_has_nul(path))
		return false;
	while (str_split(&rest, '/', &piece))
		if (str_is(piece, "..") || str_is(piece, "."))
			return false;
	return true;
}

/* "sha256:HEX" → blobs/sha256/HEX */
static int blob_of_digest(struct str digest, struct blob *ret, struct error *err)
{
	struct str hex = str_skip(digest, 7);
	if (!str_starts(digest, STR("sha256:")) || !sha256_is_hex(hex))
		return error_set(err, ERROR_INVALID, "'%.*s' is no digest",
			STR_ARG(str_first(digest, 100)));
	snprintf(ret->path, sizeof(ret->path), "blobs/sha256/%.*s", STR_ARG(hex));
	snprintf(ret->digest, sizeof(ret->digest), "%.*s", STR_ARG(hex));
	return 0;
}

/* A path that names a digest promises it. */
static int blob_of_path(struct str path, struct blob *ret, struct error *err)
{
	if (!is_path_good(path))
		return error_set(err, ERROR_INVALID, "the manifest names '%.*s'",
			STR_ARG(str_first(path, 200)));
	snprintf(ret->path, sizeof(ret->path), "%.*s", STR_ARG(path));
	struct str hex = str_skip(path, path.len - MIN(path.len, (size_t)64));
	ret->digest[0] = '\0';
	if (str_starts(path, STR("blobs/sha256/")) && sha256_is_hex(hex))
		snprintf(ret->digest, sizeof(ret->digest), "%.*s", STR_ARG(hex));
	return 0;
}

static int check_count(size_t n, struct error *err)
{
	return n >= 1 && n <= SPEC_LAYERS_MAX
		? 0
		: error_set(err, ERROR_UNSUPPORTED, "an image of %zu layers; 1 to %d are offered",
			  n, SPEC_LAYERS_MAX);
}

int entry_from_docker(struct entry *e, const struct json *item, struct error *err)
{
	const struct json *layers = json_find(item, "Layers"), *names = json_find(item, "RepoTags");
	size_t n = json_len(layers),
	       n_names = json_kind(names) == JSON_KIND_ARRAY ? json_len(names) : 0;
	if (check_count(n, err) < 0 ||
		blob_of_path(json_str(json_find(item, "Config")), &e->config, err) < 0)
		return -1;
	if (n_names > MANIFEST_NAMES_MAX)
		return error_set(err, ERROR_LIMIT, "an image of %zu names", n_names);
	for (e->n_layers = 0; e->n_layers < n; e->n_layers++)
		if (blob_of_path(json_str(json_at(layers, e->n_layers)), &e->layers[e->n_layers],
			    err) < 0)
			return -1;
	e->names = mem_new_n(char *, n_names + 1);
	for (; e->n_names < n_names; e->n_names++)
		e->names[e->n_names] = str_dup(json_str(json_at(names, e->n_names)));
	return 0;
}

int entry_from_oci(struct entry *e, const struct json *manifest, struct error *err)
{
	const struct json *layers = json_find(manifest, "layers");
	size_t n = json_len(layers);
	if (check_count(n, err) < 0 ||
		blob_of_digest(json_str(json_find(json_find(manifest, "config"), "digest")),
			&e->config, err) < 0)
		return -1;
	for (e->n_layers = 0; e->n_layers < n; e->n_layers++)
		if (blob_of_digest(json_str(json_find(json_at(layers, e->n_layers), "digest")),
			    &e->layers[e->n_layers], err) < 0)
			return -1;
	return 0;
}

static const struct json *choose(const struct json *manifests, const char *architecture)
{
	for (size_t i = 0; i < json_len(manifests); i++) {
		const struct json *platform = json_find(json_at(manifests, i), "platform");
		if (str_is(json_str(json_find(platform, "architecture")), architecture))
			return json_at(manifests, i);
	}
	return json_at(manifests, 0);
}

int index_follow(const struct json *index, const char *architecture, struct blob *ret,
	struct str *ret_name, struct error *err)
{
	const struct json *chosen = choose(json_find(index, "manifests"), architecture);
	*ret_name = json_str(
		json_find(json_find(chosen, "annotations"), "org.opencontainers.image.ref.name"));
	return blob_of_digest(json_str(json_find(chosen, "digest")), ret, err);
}

/*
 * Docker says what the digest of each layer is before compression: layers without a digest in their
 * path.
 */
int entry_check_config(struct entry *e, const struct json *config, struct error *err)
{
	const struct json *ids = json_find(json_find(config, "rootfs"), "diff_ids");
	struct str os = json_str(json_find(config, "os"));
	if (os.len && !str_is(os, "linux"))
		return error_set(err, ERROR_UNSUPPORTED, "an image for %.*s",
			STR_ARG(str_first(os, 40)));
	if (json_len(ids) != e->n_layers)
		return error_set(err, ERROR_INVALID,
			"the configuration lists %zu layers, the manifest %zu", json_len(ids),
			e->n_layers);
	for (size_t i = 0; i < e->n_layers; i++) {
		struct str hex = str_skip(json_str(json_at(ids, i)), 7);
		if (!e->layers[i].digest[0] && sha256_is_hex(hex))
			snprintf(e->layers[i].digest, SHA256_HEX_SIZE, "%.*s", STR_ARG(hex));
	}
	return 0;
}
