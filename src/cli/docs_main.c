/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: cay-docs man | config | completion FILE: prints cay(1), cay.toml(5), or FILE behind the
 * tables it works with. At build time.
 */
#include "base/file.h"
#include "cli/docs.h"

#include <fcntl.h>

int main(int argc, char **argv)
{
	auto_buf struct buf b = BUF_INIT(DOCS_MAX);
	struct error err;
	int r = 0;
	if (argc == 2 && !strcmp(argv[1], "man")) {
		docs_put_man(&b);
	} else if (argc == 2 && !strcmp(argv[1], "config")) {
		docs_put_config_man(&b);
	} else if (argc == 3 && !strcmp(argv[1], "completion")) {
		docs_put_completion(&b);
		r = file_read(AT_FDCWD, argv[2], &b, &err);
	} else {
		r = error_set(&err, ERROR_INVALID,
			"usage: cay-docs man | config | completion FILE");
	}
	if (r == 0 && b.is_full)
		r = error_set(&err, ERROR_TOO_LARGE, "more than %d bytes", DOCS_MAX);
	if (r == 0)
		r = file_write_all(STDOUT_FILENO, buf_str(&b), &err);
	if (r < 0)
		fprintf(stderr, "cay-docs: %s\n", err.text);
	return r < 0 ? 1 : 0;
}
