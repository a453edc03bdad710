/* SPDX-License-Identifier: Apache-2.0 */
#include "face/daytona/git_tell.h"

#include "base/auto.h"
#include "base/num.h"

static struct str line_of(struct str *rest)
{
	struct str line = STR_NONE;
	str_split(rest, '\n', &line);
	return line.ptr ? line : STR("");
}

static const char *status_word(char c)
{
	static const struct {
		char letter;
		const char *word;
	} words[] = {
		{ '?', "Untracked" },
		{ 'M', "Modified" },
		{ 'T', "Modified" },
		{ 'A', "Added" },
		{ 'D', "Deleted" },
		{ 'R', "Renamed" },
		{ 'C', "Copied" },
		{ 'U', "Updated but unmerged" },
	};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (words[i].letter == c)
			return words[i].word;
	return "Unmodified";
}

/* "XY name\0", and for what was renamed "before\0" behind it. */
static void put_files(struct str rest, struct jsonw *w)
{
	struct str entry, before;
	while (rest.len && str_split(&rest, '\0', &entry)) {
		if (entry.len < 4 || entry.ptr[2] != ' ')
			continue;
		bool has_before = entry.ptr[0] == 'R' || entry.ptr[0] == 'C';
		before = STR("");
		if (has_before && !str_split(&rest, '\0', &before))
			return;
		jsonw_open(w);
		jsonw_key_str(w, "name", str_skip(entry, 3));
		jsonw_key_str(w, "extra", before);
		jsonw_key_str(w, "staging", str_from(status_word(entry.ptr[0])));
		jsonw_key_str(w, "worktree", str_from(status_word(entry.ptr[1])));
		jsonw_close(w);
	}
}

static int64_t count(struct str text)
{
	int64_t n;
	return num_parse_i64(str_trim(text), 0, INT64_MAX, &n, NULL) < 0 ? 0 : n;
}

void git_put_status(struct str out, struct buf *b)
{
	struct jsonw w = JSONW(b);
	struct str branch = line_of(&out), upstream = line_of(&out), counts = line_of(&out);
	struct str behind = STR("");
	str_split(&counts, '\t', &behind);
	jsonw_open(&w);
	jsonw_key_str(&w, "currentBranch", branch);
	jsonw_key_str(&w, "upstream", upstream);
	jsonw_key_bool(&w, "branchPublished", upstream.len > 0);
	jsonw_key_int(&w, "ahead", count(counts));
	jsonw_key_int(&w, "behind", count(behind));
	jsonw_key_bool(&w, "detached", str_is(branch, "HEAD"));
	jsonw_key(&w, "fileStatus");
	jsonw_open_array(&w);
	put_files(out, &w);
	jsonw_close_array(&w);
	jsonw_close(&w);
}

void git_put_history(struct str out, struct buf *b)
{
	static const char *const keys[] = { "hash", "author", "email", "timestamp" };
	struct jsonw w = JSONW(b);
	struct str commit, field;
	jsonw_open_array(&w);
	while (out.len && str_split(&out, '\0', &commit)) {
		if (str_find_char(commit, '\037') < 0)
			continue;
		jsonw_open(&w);
		for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
			field = STR("");
			str_split(&commit, '\037', &field);
			jsonw_key_str(&w, keys[i], str_trim(field));
		}
		jsonw_key_str(&w, "message", commit);
		jsonw_close(&w);
	}
	jsonw_close_array(&w);
}

void git_put_branches(struct str out, struct buf *b)
{
	struct jsonw w = JSONW(b);
	struct str line;
	jsonw_open(&w);
	jsonw_key(&w, "branches");
	jsonw_open_array(&w);
	while (out.len && str_split(&out, '\n', &line))
		if (line.len)
			jsonw_str(&w, line);
	jsonw_close_array(&w);
	jsonw_close(&w);
}

void git_put_remotes(struct str out, struct buf *b)
{
	struct jsonw w = JSONW(b);
	struct str line, name;
	jsonw_open(&w);
	jsonw_key(&w, "remotes");
	jsonw_open_array(&w);
	while (out.len && str_split(&out, '\n', &line)) {
		if (str_find_char(line, '\t') < 1 || !str_split(&line, '\t', &name))
			continue;
		jsonw_open(&w);
		jsonw_key_str(&w, "name", name);
		jsonw_key_str(&w, "url", line);
		jsonw_close(&w);
	}
	jsonw_close_array(&w);
	jsonw_close(&w);
}

void git_put_hash(struct str out, struct buf *b)
{
	struct jsonw w = JSONW(b);
	struct str line, hash = STR("");
	out = str_trim(out);
	while (out.len && str_split(&out, '\n', &line))
		hash = line;
	jsonw_open(&w);
	jsonw_key_str(&w, "hash", str_trim(hash));
	jsonw_close(&w);
}

void git_put_value(struct str out, struct buf *b)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key(&w, "value");
	if (str_ends(out, STR("\n")))
		out.len--;
	if (str_starts(out, STR("=")))
		jsonw_str(&w, str_skip(out, 1));
	else
		jsonw_null(&w);
	jsonw_close(&w);
}
