/* SPDX-License-Identifier: Apache-2.0 */
/* What is taken for YAML becomes JSON that can be parsed, but for keys that come twice. */
#include "wire/yaml.h"

#include "base/bug.h"
#include "wire/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_buf struct buf b = BUF_INIT(16 << 20);
	auto_json struct json *json = NULL;
	struct error err = { 0 };
	if (yaml_to_json(str_from_len((const char *)data, size), &b, &err) < 0)
		BUG_IF(err.text[0] == '\0', "a refusal without a word");
	else if (json_parse(buf_str(&b), &json, &err) < 0)
		BUG_IF(err.code == ERROR_OK, "neither JSON nor an error");
	return 0;
}
