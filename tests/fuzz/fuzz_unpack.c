/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An archive of unknown origin is unpacked into a directory that is thrown away, as tar, as zip and
 * as a crate; what lies beside the directory must be as it was, and no more come out than was
 * allowed.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "executor/unpack.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void unpack_as(enum unpack_kind kind, bool is_layer, struct str bytes)
{
	char base[] = "/tmp/cay-fuzz-unpack-XXXXXX";
	BUG_IF(!mkdtemp(base), "no temporary directory");
	int base_fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	BUG_IF(mkdirat(base_fd, "to", 0700) < 0, "no directory in it");
	BUG_IF(file_replace(base_fd, "canary", STR("canary"), 0600, NULL) < 0, "no canary");
	int dir_fd = openat(base_fd, "to", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int in_fd = memfd_create("archive", MFD_CLOEXEC);
	BUG_IF(file_write_all(in_fd, bytes, NULL) < 0 || lseek(in_fd, 0, SEEK_SET) != 0,
		"no archive");

	struct path_root root = path_root(base_fd);
	struct unpack_counts counts;
	struct unpack_how how = { is_layer, 1 << 20 };
	if (unpack(kind, &how, in_fd, dir_fd, &root, &counts, NULL) == 0)
		BUG_IF(counts.written > how.max_bytes, "more came out than was allowed");

	struct stat st;
	BUG_IF(fstatat(base_fd, "canary", &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_size != 6 ||
			st.st_nlink != 1,
		"the canary was touched");
	BUG_IF(unlinkat(base_fd, "canary", 0) < 0 || file_remove_tree(base_fd, "to", NULL) < 0 ||
			rmdir(base) < 0,
		"something was made beside the directory");
	close(in_fd);
	close(dir_fd);
	close(base_fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unpack_as(UNPACK_TAR, false, str_from_len((const char *)data, size));
	unpack_as(UNPACK_TAR, true, str_from_len((const char *)data, size));
	unpack_as(UNPACK_CRATE, true, str_from_len((const char *)data, size));
	unpack_as(UNPACK_ZIP, false, str_from_len((const char *)data, size));
	return 0;
}
