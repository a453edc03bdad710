/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/edit_dir.h"

#include "base/auto.h"
#include "base/bug.h"
#include "executor/walk.h"

#include <dirent.h>
#include <fcntl.h>

enum { NAMES_MAX = 100 * 1000 };

static const char dir_notice[] =
	"<response clipped><NOTE>Due to the max output limit, only part of this directory has been shown "
	"to you. You should use `ls -la` instead to view large directories incrementally.</NOTE>";

struct names {
	char **paths;
	size_t n, room;
};

static void add(struct names *names, char *path)
{
	if (names->n == names->room) {
		names->room = names->room ? 2 * names->room : 64;
		names->paths = mem_realloc(names->paths, names->room * sizeof(*names->paths));
	}
	names->paths[names->n++] = path;
}

static void free_names(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->paths[i]);
	free(names->paths);
}

/* By bytes of the path, without the slash that marks a directory. */
static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_dir(const struct path_root *root, const char *path)
{
	auto_fd int fd = -1;
	return path_open(root, path, O_PATH | O_DIRECTORY, &fd, NULL) == 0;
}

/* Adds the names in one directory; counts those that are hidden. */
static int add_level(struct names *names, const struct path_root *root, const char *path,
	int64_t *hidden, struct error *err)
{
	auto_fd int fd = -1;
	if (path_open_dir(root, path, &fd, err) < 0)
		return -1;
	struct walk *walk = walk_new(take_fd(&fd),
		&(struct walk_limits){ .depth = 1, .hidden = true });
	struct walk_entry e;
	int r;
	while ((r = walk_next(walk, &e, err)) > 0 && names->n < NAMES_MAX) {
		bool is_hidden = e.name[0] == '.';
		*hidden += is_hidden;
		if (!is_hidden)
			add(names, mem_printf("%s/%s", str_is(STR("/"), path) ? "" : path, e.name));
	}
	walk_free(walk);
	return r < 0 ? -1 : 0;
}

int edit_view_dir(struct edit_outcome *o, const struct path_root *root, const char *path,
	struct error *err)
{
	struct names names = { 0 };
	int64_t hidden = 0, unused = 0;
	add(&names, mem_strdup(path));
	int r = add_level(&names, root, path, &hidden, err);
	size_t first_level = names.n;
	for (size_t i = 1; r == 0 && i < first_level; i++)
		if (is_dir(root, names.paths[i]))
			add_level(&names, root, names.paths[i], &unused,
				NULL); /* one that cannot be read */
	if (names.n)
		qsort(names.paths, names.n, sizeof(*names.paths), compare);
	auto_buf struct buf list = BUF_INIT(EDIT_TEXT_MAX);
	for (size_t i = 0; r == 0 && i < names.n && list.len < 5 * EDIT_OUTPUT_CHARS; i++) {
		const char *slash = is_dir(root, names.paths[i]) && names.paths[i][1] ? "/" : "";
		buf_printf(&list, "%s%s%s", i ? "\n" : "", names.paths[i], slash);
	}
	buf_printf(&o->text,
		"Here's the files and directories up to 2 levels deep in %s, excluding hidden items:\n",
		path);
	edit_put_bounded(&o->text, buf_str(&list), dir_notice);
	if (hidden)
		buf_printf(&o->text,
			"\n\n%lld hidden files/directories in this directory are excluded. You can use "
			"'ls -la %s' to see them.",
			(long long)hidden, path);
	free_names(&names);
	return r;
}
