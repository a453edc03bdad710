/* SPDX-License-Identifier: Apache-2.0 */
/* A kubeconfig of anybody's, and what cay.toml says of pods. */
#include "base/auto.h"
#include "base/bug.h"
#include "runtime/kube/access.h"
#include "runtime/kube/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_from_len((const char *)data, size);
	auto_json struct json *json = NULL;
	struct access access;
	struct kube_settings settings;
	int64_t quantity;
	if (access_parse(text, "/dir", &access, NULL) == 0) {
		BUG_IF(!access.server || strncmp(access.server, "http", 4) != 0,
			"an access without a server");
		BUG_IF(access.token_file && access.token_file[0] != '/', "a relative path");
		access_fini(&access);
	}
	if (json_parse(text, &json, NULL) == 0 && kube_settings_read(json, &settings, NULL) == 0) {
		BUG_IF(!settings.executor_image || !settings.workspace, "settings without a must");
		kube_settings_fini(&settings);
	}
	if (kube_parse_quantity(text, &quantity, NULL) == 0)
		BUG_IF(quantity < 0, "a quantity below nothing");
	kube_is_name(text);
	return 0;
}
