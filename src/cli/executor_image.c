/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `cay executor-image`: an image of one file, the executor, as `docker save` would write it: a
 * manifest, a configuration, and a layer, which is a tar of that file. Every engine and every
 * registry's tool takes that form. The same program gives the same bytes.
 */
#include "cli/executor_image.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/program.h"
#include "cli/out.h"
#include "version.h"
#include "wire/json.h"
#include "wire/sha256.h"

#include <fcntl.h>
#include <sys/stat.h>

enum { BLOCK = 512, PROGRAM_MAX = 256 * 1024 * 1024, TEXT_MAX = 16 * 1024 };

/* ---- ustar ---- */

static void put_octal(char *to, size_t size, size_t value)
{
	for (size_t i = size - 1; i-- > 0; value >>= 3)
		to[i] = (char)('0' + (value & 7));
}

static void put_entry(struct buf *b, const char *name, unsigned mode, struct str content)
{
	char head[BLOCK] = { 0 };
	unsigned sum = 0;
	snprintf(head, 100, "%s", name);
	put_octal(head + 100, 8, mode);
	put_octal(head + 108, 8, 0);
	put_octal(head + 116, 8, 0);
	put_octal(head + 124, 12, content.len);
	put_octal(head + 136, 12, 0);
	memset(head + 148, ' ', 8);
	head[156] = '0';
	memcpy(head + 257, "ustar\00000", 8);
	for (size_t i = 0; i < BLOCK; i++)
		sum += (unsigned char)head[i];
	put_octal(head + 148, 7, sum);
	buf_add(b, head, BLOCK);
	buf_put(b, content);
	static const char zeros[BLOCK];
	buf_add(b, zeros, (BLOCK - content.len % BLOCK) % BLOCK);
}

static void put_end(struct buf *b)
{
	static const char zeros[2 * BLOCK];
	buf_add(b, zeros, sizeof(zeros));
}

/* ---- the image ---- */

static void digest(struct str bytes, char ret[SHA256_HEX_SIZE])
{
	struct sha256 h;
	sha256_init(&h);
	sha256_add(&h, bytes);
	sha256_end(&h, ret);
}

static void put_config(struct buf *b, const char *layer)
{
	struct jsonw w = JSONW(b);
	auto_free char *diff = mem_printf("sha256:%s", layer);
	jsonw_open(&w);
	jsonw_key_str(&w, "architecture", STR("amd64"));
	jsonw_key_str(&w, "os", STR("linux"));
	jsonw_key_str(&w, "created", STR("1970-01-01T00:00:00Z"));
	jsonw_key(&w, "config");
	jsonw_raw(&w, STR("{\"Entrypoint\":[\"/cay-executor\"]}"));
	jsonw_key(&w, "rootfs");
	jsonw_open(&w);
	jsonw_key_str(&w, "type", STR("layers"));
	jsonw_key(&w, "diff_ids");
	jsonw_open_array(&w);
	jsonw_str(&w, str_from(diff));
	jsonw_close_array(&w);
	jsonw_close(&w);
	jsonw_key(&w, "history");
	jsonw_raw(&w,
		STR("[{\"created\":\"1970-01-01T00:00:00Z\",\"created_by\":\"cay executor-image\"}]"));
	jsonw_close(&w);
}

static void put_manifest(struct buf *b, const char *config, const char *layer, const char *name)
{
	struct jsonw w = JSONW(b);
	jsonw_open_array(&w);
	jsonw_open(&w);
	jsonw_key_str(&w, "Config", str_from(config));
	jsonw_key(&w, "RepoTags");
	jsonw_open_array(&w);
	jsonw_str(&w, str_from(name));
	jsonw_close_array(&w);
	jsonw_key(&w, "Layers");
	jsonw_open_array(&w);
	jsonw_str(&w, str_from(layer));
	jsonw_close_array(&w);
	jsonw_close(&w);
	jsonw_close_array(&w);
}

static int read_program(struct buf *b, struct error *err)
{
	auto_fd int fd = -1;
	char link[64];
	if (program_open("cay-executor", &fd, err) < 0)
		return -1;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return file_read(AT_FDCWD, link, b, err);
}

int executor_image_main(struct invocation *in, struct error *err)
{
	const struct executor_image_options *o = in->values;
	auto_buf struct buf program = BUF_INIT(PROGRAM_MAX), layer = BUF_INIT(2 * PROGRAM_MAX),
			    image = BUF_INIT(SIZE_MAX / 2), config = BUF_INIT(TEXT_MAX),
			    manifest = BUF_INIT(TEXT_MAX);
	char layer_digest[SHA256_HEX_SIZE], config_digest[SHA256_HEX_SIZE];
	if (isatty(STDOUT_FILENO))
		return error_set(err, ERROR_INVALID,
			"an archive is nothing for a terminal: cay executor-image > executor.tar");
	if (read_program(&program, err) < 0)
		return -1;
	put_entry(&layer, "cay-executor", 0755, buf_str(&program));
	put_end(&layer);
	digest(buf_str(&layer), layer_digest);
	put_config(&config, layer_digest);
	digest(buf_str(&config), config_digest);
	auto_free char *config_name = mem_printf("%s.json", config_digest);
	auto_free char *layer_name = mem_printf("%s.tar", layer_digest);
	put_manifest(&manifest, config_name, layer_name, o->name ?: "cay-executor:" CAY_VERSION);
	put_entry(&image, config_name, 0644, buf_str(&config));
	put_entry(&image, layer_name, 0644, buf_str(&layer));
	put_entry(&image, "manifest.json", 0644, buf_str(&manifest));
	put_end(&image);
	return file_write_all(STDOUT_FILENO, buf_str(&image), err);
}
