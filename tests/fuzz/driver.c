/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: fuzz-NAME-corpus DIR [GROWN]: runs a fuzz target over every file of its corpus, and over
 * each file cut short and with a flipped byte: what a fuzzer found once is an ordinary test ever
 * after. Then over what fuzzing has grown (tools/fuzz-corpus): inputs, each behind its length, 32
 * bits, the lowest first.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run_variants(const struct buf *input)
{
	uint8_t *copy = mem_alloc(input->len);
	/* An exact allocation, so that a read beyond the end is one the sanitizer sees. */
	memcpy(copy, input->ptr, input->len);
	LLVMFuzzerTestOneInput(copy, input->len);
	for (size_t i = 0; i < input->len; i += 1 + input->len / 64) {
		copy[i] ^= 0x81;
		LLVMFuzzerTestOneInput(copy, input->len);
		copy[i] ^= 0x81;
	}
	free(copy);
	for (size_t n = 0; n < input->len; n += 1 + input->len / 64) {
		uint8_t *start = mem_alloc(n);
		memcpy(start, input->ptr, n);
		LLVMFuzzerTestOneInput(start, n);
		free(start);
	}
}

static int run_dir(const char *path, struct error *err)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	int n = 0;
	if (!dir)
		return error_sys(err, errno, "open %s", path);
	while ((e = readdir(dir))) {
		auto_buf struct buf input = BUF_INIT(16 << 20);
		if (e->d_name[0] == '.')
			continue;
		if (file_read(dirfd(dir), e->d_name, &input, err) < 0)
			break;
		run_variants(&input);
		n++;
	}
	closedir(dir);
	return e ? -1 : n;
}

static int run_grown(const char *path, struct error *err)
{
	auto_buf struct buf all = BUF_INIT(16 << 20);
	uint32_t size;
	int n = 0;
	if (file_read(AT_FDCWD, path, &all, err) < 0)
		return -1;
	for (struct str rest = buf_str(&all); rest.len; n++) {
		if (rest.len < sizeof(size))
			return error_set(err, ERROR_INVALID, "%s is cut short", path);
		memcpy(&size, rest.ptr, sizeof(size));
		rest = str_skip(rest, sizeof(size));
		if (rest.len < size)
			return error_set(err, ERROR_INVALID, "%s is cut short", path);
		uint8_t *copy = mem_alloc(size);
		memcpy(copy, rest.ptr, size);
		LLVMFuzzerTestOneInput(copy, size);
		free(copy);
		rest = str_skip(rest, size);
	}
	return n;
}

int main(int argc, char **argv)
{
	struct error err;
	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: fuzz-NAME-corpus DIR [GROWN]\n");
		return 2;
	}
	int n = run_dir(argv[1], &err);
	int grown = n >= 0 && argc == 3 ? run_grown(argv[2], &err) : 0;
	if (n < 0 || grown < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	printf("%d inputs, %d grown\n", n, grown);
	return n > 0 ? 0 : 1;
}
