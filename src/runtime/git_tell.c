/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/git_tell.h"

#include "base/auto.h"
#include "base/bug.h"
#include "wire/json.h"
#include "wire/yaml.h"

enum { CHANGES_MAX = 100000 };

/* Statuses 3 to 6 are the scripts' own; the others git's. */
static int check(const struct service_result *r, struct error *err)
{
	struct str why = str_first(service_complaint(r), 250);
	switch (r->exit_code) {
	case 0:
		return 0;
	case 3:
		return error_set(err, ERROR_NOT_FOUND, "git: there is no such directory");
	case 4:
		return error_set(err, ERROR_NOT_FOUND, "git: not a git repository");
	case 5:
		return error_set(err, ERROR_TOO_LARGE, "git: the file is over 1 MiB");
	case 6:
		return error_set(err, ERROR_INVALID, "git: there is no such commit");
	default:
		return error_set(err, ERROR_CONFLICT, "git: %.*s", STR_ARG(why));
	}
}

static struct str next_line(struct str *rest)
{
	struct str line = STR("");
	str_split(rest, '\n', &line);
	return line;
}

static void put_text(struct jsonw *w, const char *key, struct str text)
{
	jsonw_key(w, key);
	if (text.len)
		jsonw_str(w, text);
	else
		jsonw_null(w);
}

int git_tell_place(const struct service_result *r, struct buf *b, struct error *err)
{
	struct jsonw w = JSONW(b);
	struct str rest = r->out;
	if (check(r, err) < 0)
		return -1;
	jsonw_open(&w);
	put_text(&w, "directory", next_line(&rest));
	put_text(&w, "branch", next_line(&rest));
	put_text(&w, "commit", next_line(&rest));
	jsonw_key_bool(&w, "has_setup", str_is(next_line(&rest), "yes"));
	jsonw_key_bool(&w, "has_hook", str_is(next_line(&rest), "yes"));
	jsonw_close(&w);
	return 0;
}

int git_tell_output(const struct service_result *r, struct buf *b, struct error *err)
{
	struct jsonw w = JSONW(b);
	const struct service_result both = { r->exit_code, r->out, r->out };
	if (check(r->err.len ? r : &both, err) < 0)
		return -1;
	jsonw_open(&w);
	jsonw_key_str(&w, "output", r->out);
	jsonw_close(&w);
	return 0;
}

int git_tell_branches(const struct service_result *r, struct buf *b, struct error *err)
{
	struct jsonw w = JSONW(b);
	struct str rest = r->out;
	if (check(r, err) < 0)
		return -1;
	jsonw_open(&w);
	put_text(&w, "branch", next_line(&rest));
	jsonw_key(&w, "branches");
	jsonw_open_array(&w);
	for (struct str line = next_line(&rest); line.len; line = next_line(&rest))
		jsonw_str(&w, line);
	jsonw_close_array(&w);
	jsonw_close(&w);
	return 0;
}

int git_tell_hook(const struct service_result *r, struct buf *b, struct error *err)
{
	struct jsonw w = JSONW(b);
	struct str rest = r->out;
	if (check(r, err) < 0)
		return -1;
	struct str hook = next_line(&rest);
	jsonw_open(&w);
	put_text(&w, "hook", str_is(hook, "installed") ? hook : STR_NONE);
	jsonw_key_bool(&w, "has_setup", str_is(next_line(&rest), "yes"));
	put_text(&w, "directory", next_line(&rest));
	jsonw_close(&w);
	return 0;
}

/* Changes. */

struct change {
	char status;
	struct str prefix, path;
};

struct changes {
	struct change *items;
	size_t n, room;
};

static int add_change(struct changes *c, char status, struct str prefix, struct str path,
	struct error *err)
{
	if (c->n == CHANGES_MAX)
		return error_set(err, ERROR_TOO_LARGE, "git: over %d changes", CHANGES_MAX);
	if (c->n == c->room) {
		c->room = c->room ? 2 * c->room : 64;
		c->items = mem_realloc(c->items, c->room * sizeof(*c->items));
	}
	c->items[c->n++] = (struct change){ status, prefix, path };
	return 0;
}

static bool next_piece(struct str *rest, struct str *ret)
{
	return rest->len && str_split(rest, '\0', ret);
}

static char status_of(struct str word)
{
	char c = word.len ? word.ptr[0] : 'M';
	return c == 'C' || c == 'R' ? 'A' : c == 'T' ? 'M' : c;
}

static int read_changes(struct str rest, struct changes *c, struct error *err)
{
	struct str piece, prefix = STR(""), path;
	char part = 'R';
	while (next_piece(&rest, &piece)) {
		if (piece.len == 0) {
			if (!next_piece(&rest, &piece) || !piece.len)
				break;
			part = piece.ptr[0];
			if (part == 'R')
				next_piece(&rest, &prefix);
			continue;
		}
		/*
		 * A directory that git does not look into is a repository of its own, or told by
		 * one.
		 */
		bool is_file = part == 'O' && !str_ends(piece, STR("/"));
		if (is_file && add_change(c, 'A', prefix, piece, err) < 0)
			return -1;
		if (part == 'S' && next_piece(&rest, &path) &&
			add_change(c, status_of(piece), prefix, path, err) < 0)
			return -1;
	}
	return 0;
}

static int compare_str(struct str a, struct str b)
{
	size_t n = MIN(a.len, b.len);
	int order = n ? memcmp(a.ptr, b.ptr, n) : 0;
	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare(const void *a, const void *b)
{
	const struct change *x = a, *y = b;
	if (x->prefix.len == 0 && y->prefix.len == 0)
		return compare_str(x->path, y->path);
	auto_buf struct buf left = BUF_INIT(65536), right = BUF_INIT(65536);
	buf_put(&left, x->prefix);
	buf_put(&left, x->path);
	buf_put(&right, y->prefix);
	buf_put(&right, y->path);
	return compare_str(buf_str(&left), buf_str(&right));
}

int git_tell_changes(const struct service_result *r, struct buf *b, struct error *err)
{
	struct changes c = { 0 };
	struct jsonw w = JSONW(b);
	if (check(r, err) < 0)
		return -1;
	int result = read_changes(r->out, &c, err);
	if (c.n)
		qsort(c.items, c.n, sizeof(*c.items), compare);
	jsonw_open_array(&w);
	for (size_t i = 0; i < c.n && result == 0; i++) {
		auto_buf struct buf path = BUF_INIT(65536);
		buf_put(&path, c.items[i].prefix);
		buf_put(&path, c.items[i].path);
		jsonw_open(&w);
		jsonw_key_str(&w, "status", str_from_len(&c.items[i].status, 1));
		jsonw_key_str(&w, "path", buf_str(&path));
		jsonw_close(&w);
	}
	jsonw_close_array(&w);
	free(c.items);
	return result;
}

/* Five pieces for each, of which none can hold the byte between them. */
int git_tell_commits(const struct service_result *r, struct buf *b, struct error *err)
{
	static const char *const keys[] = { "sha", "short_sha", "author", "timestamp", "subject" };
	struct jsonw w = JSONW(b);
	struct str rest = r->out, line, piece;
	if (check(r, err) < 0)
		return -1;
	jsonw_open(&w);
	jsonw_key(&w, "commits");
	jsonw_open_array(&w);
	while (rest.len && str_split(&rest, '\n', &line)) {
		if (!line.len)
			continue;
		jsonw_open(&w);
		for (size_t i = 0; i < ARRAY_LEN(keys); i++)
			jsonw_key_str(&w, keys[i],
				str_split(&line, '\x1f', &piece) ? piece : STR(""));
		jsonw_close(&w);
	}
	jsonw_close_array(&w);
	jsonw_close(&w);
	return 0;
}

/* The file that is there comes on standard error, lines joined by LF, without the last one. */
int git_tell_diff(const struct service_result *r, struct buf *b, struct error *err)
{
	struct jsonw w = JSONW(b);
	if (check(r, err) < 0)
		return -1;
	struct str modified = r->err;
	if (str_ends(modified, STR("\n")))
		modified.len--;
	jsonw_open(&w);
	jsonw_key_str(&w, "modified", modified);
	jsonw_key_str(&w, "original", r->out);
	jsonw_close(&w);
	return 0;
}

/* Microagents. */

/* What stands between two lines of "---"; the rest is the content. */
static struct str take_front(struct str *text)
{
	struct str rest = *text, line;
	if (!str_split(&rest, '\n', &line) || !str_is(str_trim(line), "---"))
		return STR_NONE;
	struct str start = rest;
	while (rest.len && str_split(&rest, '\n', &line)) {
		if (!str_is(str_trim(line), "---"))
			continue;
		*text = rest;
		return str_from_len(start.ptr, (size_t)(line.ptr - start.ptr));
	}
	return STR_NONE;
}

static void put_field(struct jsonw *w, const struct json *front, const char *name)
{
	const struct json *value = json_find(front, name);
	if (!value)
		return;
	jsonw_key(w, name);
	auto_buf struct buf b = BUF_INIT(1024 * 1024);
	json_write(value, &b);
	jsonw_raw(w, buf_str(&b));
}

/* Its kind follows from what it has; a task can be called by /NAME. */
static void put_triggers(struct jsonw *w, const struct json *front, struct str name)
{
	const struct json *inputs = json_find(front, "inputs"),
			  *triggers = json_find(front, "triggers");
	bool is_task = json_len(inputs) > 0;
	jsonw_key_str(w, "type",
		is_task                      ? STR("task")
			: json_len(triggers) ? STR("knowledge")
					     : STR("repo"));
	jsonw_key(w, "triggers");
	jsonw_open_array(w);
	for (size_t i = 0; i < json_len(triggers); i++)
		jsonw_str(w, json_str(json_at(triggers, i)));
	if (is_task) {
		auto_buf struct buf call = BUF_INIT(4096);
		buf_printf(&call, "/%.*s", STR_ARG(name));
		jsonw_str(w, buf_str(&call));
	}
	jsonw_close_array(w);
}

static void put_microagent(struct jsonw *w, struct str file, struct str text)
{
	auto_buf struct buf json = BUF_INIT(4 * 1024 * 1024);
	auto_json struct json *front = NULL;
	struct error err = { 0 };
	bool is_legacy = str_is(file, "/");
	struct str name = file;
	if (str_ends(name, STR(".md")))
		name.len -= 3;
	if (is_legacy)
		name = STR("repo_legacy");
	struct str yaml = is_legacy ? STR_NONE : take_front(&text);
	bool is_good = !yaml.ptr ||
		(yaml_to_json(yaml, &json, &err) == 0 &&
			json_parse(buf_str(&json), &front, &err) == 0);
	jsonw_open(w);
	jsonw_key_str(w, "name", name);
	jsonw_key_str(w, "source", is_legacy ? STR(".openhands_instructions") : file);
	put_triggers(w, front, name);
	put_field(w, front, "inputs");
	put_field(w, front, "agent");
	put_field(w, front, "version");
	put_field(w, front, "mcp_tools");
	jsonw_key_str(w, "content", str_trim(text));
	if (!is_good)
		jsonw_key_str(w, "error", str_from(err.text));
	jsonw_close(w);
}

int git_tell_microagents(const struct service_result *r, struct buf *b, struct error *err)
{
	struct jsonw w = JSONW(b);
	struct str rest = r->out, file, text;
	if (check(r, err) < 0)
		return -1;
	jsonw_open_array(&w);
	while (next_piece(&rest, &file) && str_split(&rest, '\0', &text))
		put_microagent(&w, file, text);
	jsonw_close_array(&w);
	return 0;
}
