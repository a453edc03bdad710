/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a configuration says of images and containers: the first byte chooses the backend, the rest
 * is a cay.toml. It is refused, or what comes of it is JSON that the server can read, in which
 * nothing weakens a container.
 */
#include "config/parts.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"

#include <stdio.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct config *c, enum config_backend backend)
{
	static const char *const never[] = { "Privileged", "CapAdd", "Binds", "Devices", "PidMode",
		"SecurityOpt", "NetworkMode", "Mounts", "AutoRemove", "UsernsMode" };
	auto_buf struct buf b = BUF_INIT(1 << 20);
	auto_json struct json *json = NULL;
	struct jsonw w = JSONW(&b);
	struct error err = { 0 };
	jsonw_open(&w);
	bool is_good = config_put_devices(c, backend, &w, &err) == 0 &&
		config_put_image(c, backend, &w, &err) == 0 &&
		config_put_container(c, backend, &w, &err) == 0;
	jsonw_close(&w);
	config_container_limit(c, "memory_bytes");
	config_container_limit(c, "cpu_milli");
	BUG_IF(!is_good && (err.code == ERROR_OK || !err.text[0]), "refused without a word");
	if (!is_good || b.is_full)
		return;
	BUG_IF(json_parse(buf_str(&b), &json, &err) < 0, "settings that are no JSON");
	for (size_t i = 0; i < ARRAY_LEN(never); i++)
		BUG_IF(json_find(json_find(json, "container"), never[i]), "a weaker container");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const none[] = { NULL };
	char path[64];
	auto_config struct config c = CONFIG_INIT;
	auto_fd int fd = memfd_create("cay.toml", MFD_CLOEXEC);
	if (size < 1 || fd < 0)
		return 0;
	if (file_write_all(fd, str_from_len((const char *)data + 1, size - 1), NULL) < 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (config_load(&c, path, none, NULL) == 0)
		check(&c, (enum config_backend)(data[0] % (BACKEND_OTHER + 1)));
	return 0;
}
