/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/token.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/id.h"

#include <fcntl.h>
#include <sys/stat.h>

static int check(struct str token, const char *where, struct error *err)
{
	bool is_good = token.len >= TOKEN_MIN && token.len <= TOKEN_MAX;
	for (size_t i = 0; i < token.len && is_good; i++)
		is_good = token.ptr[i] > 0x20 && token.ptr[i] < 0x7f;
	if (!is_good)
		return error_set(err, ERROR_INVALID,
			"%s: a token is %d to %d printable ASCII characters without spaces", where,
			TOKEN_MIN, TOKEN_MAX);
	return 0;
}

static int make(const char *path, struct error *err)
{
	char first[ID_SIZE], second[ID_SIZE];
	id_make(first);
	id_make(second);
	auto_free char *text = mem_printf("%s%s\n", first, second);
	return file_replace_and_flush(path, str_from(text), 0600, err);
}

static int load_file(const char *path, char **ret, struct error *err)
{
	auto_buf struct buf b = BUF_INIT(4 * TOKEN_MAX);
	struct stat st;
	int r = stat(path, &st);
	/* Empty is what a power failure may leave of a file that somebody had just made. */
	bool is_missing = r < 0 ? errno == ENOENT : S_ISREG(st.st_mode) && st.st_size == 0;
	if (r == 0 && !S_ISREG(st.st_mode))
		return error_set(err, ERROR_INVALID, "%s is no file", path);
	if (is_missing && make(path, err) < 0)
		return -1;
	if (file_read(AT_FDCWD, path, &b, err) < 0)
		return -1;
	struct str token = str_trim(buf_str(&b));
	if (check(token, path, err) < 0)
		return -1;
	*ret = str_dup(token);
	return 0;
}

int token_load_as(const char *state_dir, const char *file, const char *variable, char **ret,
	struct error *err)
{
	const char *given = getenv(variable);
	if (given && given[0]) {
		if (check(str_from(given), variable, err) < 0)
			return -1;
		*ret = mem_strdup(given);
		unsetenv(variable);
		return 0;
	}
	auto_free char *path = mem_printf("%s/%s", state_dir, file);
	return load_file(path, ret, err);
}

int token_load(const char *state_dir, char **ret, struct error *err)
{
	return token_load_as(state_dir, "token", "CAY_TOKEN", ret, err);
}
