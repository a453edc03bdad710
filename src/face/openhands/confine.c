/* SPDX-License-Identifier: Apache-2.0 */
#include "face/openhands/confine.h"

#include "base/auto.h"
#include "face/openhands/cursor.h"
#include "face/openhands/files.h"

enum { WORDS_MAX = 64 * 1024 };

static struct str path_of(const struct job *job)
{
	return json_str(json_find(json_find(json_find(job->body, "action"), "args"), "path"));
}

bool confine_is_reason(const struct job *job, const struct error *err)
{
	return err->code == ERROR_FORBIDDEN && path_of(job).len > 0 &&
		strstr(err->text, " is outside of the workspace: "); /* executor/path.c */
}

/* Without ".", ".." and what is twice a slash. */
static void put_clean(struct buf *b, struct str path)
{
	struct str rest = path, word;
	while (str_split(&rest, '/', &word)) {
		if (!word.len || str_is(word, "."))
			continue;
		if (!str_is(word, "..")) {
			buf_putc(b, '/');
			buf_put(b, word);
			continue;
		}
		size_t at = b->len;
		while (at > 0 && b->ptr[at - 1] != '/')
			at--;
		buf_cut(b, at ? at - 1 : 0);
	}
}

/* A link inside leads where only who follows it knows. */
static void put_traversal(struct buf *b, struct str path, struct str whole, struct str workspace)
{
	auto_buf struct buf resolved = BUF_INIT(WORDS_MAX);
	put_clean(&resolved, whole);
	buf_printf(b, "Invalid path traversal: %.*s. Path resolves outside the workspace. ",
		STR_ARG(path));
	bool is_inside = str_starts(buf_str(&resolved), workspace) &&
		(resolved.len == workspace.len || resolved.ptr[workspace.len] == '/');
	if (!is_inside)
		buf_printf(b, "Resolved: %s, ", resolved.len ? resolved.ptr : "/");
	buf_printf(b, "Workspace: %.*s", STR_ARG(workspace));
}

void confine_refuse(struct job *job)
{
	auto_buf struct buf b = BUF_INIT(WORDS_MAX);
	struct str path = path_of(job), workspace = str_from(job->cursor->workdir);
	if (str_starts(path, STR("/")) && !str_starts(path, workspace))
		buf_printf(&b, "Invalid path: %.*s. You can only work with files in %.*s.",
			STR_ARG(path), STR_ARG(workspace));
	else
		put_traversal(&b, path, files_resolve(job, path), workspace);
	job_refuse(job, buf_str(&b));
}
