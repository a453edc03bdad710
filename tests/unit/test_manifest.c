/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/manifest.h"

#include "unit.h"

#include <stdio.h>

#include "runtime/build_extend.h"

#define HEX "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static struct entry entry;
static struct error err;

static int read_docker(const char *text)
{
	auto_json struct json *json = NULL;
	entry_fini(&entry);
	assert_works(json_parse(str_from(text), &json, &err), err);
	return entry_from_docker(&entry, json, &err);
}

static void docker_save_names_files_and_digests_are_kept_where_they_are_promised(void **state)
{
	assert_int_equal(read_docker("{\"Config\":\"c.json\",\"RepoTags\":[\"a:1\"],\"Layers\":["
				     "\"x/layer.tar\",\"blobs/sha256/" HEX "\"]}"),
		0);
	assert_string_equal(entry.config.path, "c.json");
	assert_string_equal(entry.layers[0].digest, "");
	assert_string_equal(entry.layers[1].digest, HEX);
	assert_string_equal(entry.names[0], "a:1");
	entry_fini(&entry);
}

static void a_path_that_leads_out_is_refused(void **state)
{
	static const char *const paths[] = { "/etc/passwd", "../x", "a/../../b", "", "./x" };
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		char text[200];
		snprintf(text, sizeof(text), "{\"Config\":\"c\",\"Layers\":[\"%s\"]}", paths[i]);
		assert_int_equal(read_docker(text), -1);
		assert_text(err.text, "the manifest names");
	}
	assert_int_equal(read_docker("{\"Config\":\"c\",\"Layers\":[]}"), -1);
	entry_fini(&entry);
}

static void an_index_leads_to_the_platform_that_was_asked_for(void **state)
{
	auto_json struct json *json = NULL;
	struct blob blob;
	struct str name;
	assert_works(json_parse(STR("{\"manifests\":[{\"digest\":\"x\"},{\"digest\":\"sha256:" HEX
				    "\",\"platform\":{\"architecture\":\"amd64\"}}]}"),
			     &json, &err),
		err);
	assert_works(index_follow(json, "amd64", &blob, &name, &err), err);
	assert_string_equal(blob.path, "blobs/sha256/" HEX);
	assert_int_equal(index_follow(json, "arm64", &blob, &name, &err), -1);
}

static void a_configuration_must_fit(void **state)
{
	auto_json struct json *json = NULL;
	assert_int_equal(read_docker("{\"Config\":\"c\",\"Layers\":[\"a\"]}"), 0);
	assert_works(
		json_parse(STR("{\"rootfs\":{\"diff_ids\":[\"sha256:" HEX "\"]}}"), &json, &err),
		err);
	assert_works(entry_check_config(&entry, json, &err), err);
	assert_string_equal(entry.layers[0].digest, HEX);
	entry.n_layers = 2;
	assert_int_equal(entry_check_config(&entry, json, &err), -1);
	entry_fini(&entry);
}

static void digests_become_tags_as_openhands_makes_them(void **state)
{
	char tag[TAG_HASH_SIZE];
	tag_hash(STR("b08f254d76b1c6a7ad924708c0032251"), tag);
	assert_string_equal(tag, "pma2wc71uq3c9a85");
	tag_hash(STR("102aecc0cea025253c0278f54ebef078"), tag);
	assert_string_equal(tag, "4titk6gquia3taj5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			docker_save_names_files_and_digests_are_kept_where_they_are_promised),
		cmocka_unit_test(a_path_that_leads_out_is_refused),
		cmocka_unit_test(an_index_leads_to_the_platform_that_was_asked_for),
		cmocka_unit_test(a_configuration_must_fit),
		cmocka_unit_test(digests_become_tags_as_openhands_makes_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
