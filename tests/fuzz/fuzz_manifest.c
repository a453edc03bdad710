/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever an archive says of its images: no path leads out, every digest is one, and no count
 * exceeds its limit.
 */
#include "runtime/manifest.h"

#include "base/bug.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_blob(const struct blob *blob)
{
	struct str path = str_from(blob->path);
	BUG_IF(!path.len || path.ptr[0] == '/' || str_has_nul(path), "a path that is none");
	BUG_IF(str_starts(path, STR("../")) || str_find(path, STR("/../")) >= 0 ||
			str_ends(path, STR("/..")) || str_is(path, ".."),
		"a blob outside of the archive");
	BUG_IF(blob->digest[0] && !sha256_is_hex(str_from(blob->digest)), "a digest that is none");
}

static void check(struct entry *e, const struct json *json)
{
	struct error err;
	check_blob(&e->config);
	BUG_IF(e->n_layers < 1 || e->n_layers > SPEC_LAYERS_MAX, "a count beyond its limit");
	for (size_t i = 0; i < e->n_layers; i++)
		check_blob(&e->layers[i]);
	entry_check_config(e, json, &err);
	for (size_t i = 0; i < e->n_layers; i++)
		check_blob(&e->layers[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct entry docker, oci; /* large; empty between two inputs */
	struct json *json = NULL;
	struct blob blob;
	struct str name;
	struct error err;
	if (json_parse(str_from_len((const char *)data, size), &json, &err) < 0)
		return 0;
	const struct json *item = json_kind(json) == JSON_KIND_ARRAY ? json_at(json, 0) : json;
	if (entry_from_docker(&docker, item, &err) == 0)
		check(&docker, item);
	if (entry_from_oci(&oci, item, &err) == 0)
		check(&oci, item);
	if (index_follow(item, "amd64", &blob, &name, &err) == 0)
		check_blob(&blob);
	entry_fini(&docker);
	entry_fini(&oci);
	json_free(json);
	return 0;
}
