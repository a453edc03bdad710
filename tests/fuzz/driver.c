/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: fuzz-NAME-corpus DIR: runs a fuzz target over every file of its corpus, and over each file
 * cut short and with a flipped byte: what a fuzzer found once is an ordinary test ever after.
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

int main(int argc, char **argv)
{
	DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
	if (!dir) {
		fprintf(stderr, "usage: fuzz-NAME-corpus DIR\n");
		return 2;
	}
	int n = 0;
	struct dirent *e;
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		struct error err;
		auto_buf struct buf input = BUF_INIT(16 << 20);
		if (file_read(dirfd(dir), e->d_name, &input, &err) < 0) {
			fprintf(stderr, "%s\n", err.text);
			return 1;
		}
		run_variants(&input);
		n++;
	}
	closedir(dir);
	printf("%d inputs\n", n);
	return n > 0 ? 0 : 1;
}
