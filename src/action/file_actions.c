/* SPDX-License-Identifier: Apache-2.0 */
#include "action/file_actions.h"

#define PATH_FIELD(params)                                                                       \
	{                                                                                        \
		"path", FIELD_STRING, FIELD_AT(params, where.path), FIELD_REQUIRED | FIELD_PATH, \
			.help = "file or directory"                                              \
	}
#define DIR_FIELD(params)                                                       \
	{                                                                       \
		"path", FIELD_STRING, FIELD_AT(params, where.path), FIELD_PATH, \
			.standard = ".", .help = "where to look"                \
	}
#define CWD_FIELD(params)                                                                      \
	{                                                                                      \
		"cwd", FIELD_STRING, FIELD_AT(params, where.cwd), FIELD_PATH,                  \
			.help = "where a relative path starts; default: the working directory" \
	}
#define XATTRS_FIELD(params)                                                                   \
	{                                                                                      \
		"xattrs", FIELD_STRING, FIELD_AT(params, xattrs),                              \
			.help = "give extended attributes whose names begin so: \"user.app.\"" \
	}
#define MODE_FIELD(params, text)                                             \
	{                                                                    \
		"mode", FIELD_STRING, FIELD_AT(params, mode), .help = (text) \
	}

static const char *const encodings[] = { "text", "base64", NULL };

static const struct field read_fields[] = {
	PATH_FIELD(struct read_params),
	CWD_FIELD(struct read_params),
	{ "start_line", FIELD_INT, FIELD_AT(struct read_params, start_line), .min = 0,
		.max = INT64_MAX,
		.help = "first line wanted, from 1; without it the read goes by bytes" },
	{ "end_line", FIELD_INT, FIELD_AT(struct read_params, end_line), .min = -1,
		.max = INT64_MAX, .standard = "-1", .help = "last line wanted; -1: to the end" },
	{ "offset", FIELD_INT, FIELD_AT(struct read_params, offset), .min = 0, .max = INT64_MAX,
		.help = "first byte wanted" },
	{ "max_bytes", FIELD_INT, FIELD_AT(struct read_params, max_bytes), .min = 1,
		.max = 8 * 1024 * 1024, .standard = "1048576",
		.help = "most bytes to give; more are cut off and said" },
	{ "encoding", FIELD_STRING, FIELD_AT(struct read_params, encoding), .standard = "text",
		.words = encodings, .help = "base64 gives the bytes as they are" },
	{ 0 },
};

const struct action read_action = {
	.name = "read",
	.group = "file",
	.summary = "read a file, or a range of its lines or bytes",
	.result =
		"path; content; encoding; size of the file; offset and bytes of what was given; lines "
		"in it, start_line of its first (null if read from an offset); truncated: more of what "
		"was asked for is there; is_valid_utf8: false if bytes were replaced by U+FFFD; "
		"is_binary: the file's first KiB is not text; mode; mtime_ms",
	.fields = read_fields,
	.params_size = sizeof(struct read_params),
	.flags = ACTION_READS,
};

static const struct field write_fields[] = {
	PATH_FIELD(struct write_params),
	CWD_FIELD(struct write_params),
	{ "content", FIELD_STRING, FIELD_AT(struct write_params, content),
		FIELD_REQUIRED | FIELD_BINARY, .help = "the whole new content" },
	{ "encoding", FIELD_STRING, FIELD_AT(struct write_params, encoding), .standard = "text",
		.words = encodings, .help = "how the content is given" },
	MODE_FIELD(struct write_params,
		"octal permissions; default: those of the file, 0644 for a new one"),
	{ "new_mode", FIELD_STRING, FIELD_AT(struct write_params, new_mode),
		.help = "octal permissions of a file that is new, in place of 0644" },
	{ "create_parents", FIELD_BOOL, FIELD_AT(struct write_params, create_parents),
		.standard = "true", .help = "make missing directories on the way" },
	{ "exclusive", FIELD_BOOL, FIELD_AT(struct write_params, exclusive),
		.help = "fail if the file exists" },
	{ 0 },
};

const struct action write_action = {
	.name = "write",
	.group = "file",
	.summary =
		"replace a file's content, or make the file; readers see the old or the new whole",
	.result = "path; bytes written; created: there was none before; mode",
	.fields = write_fields,
	.params_size = sizeof(struct write_params),
};

const struct action append_action = {
	.name = "append",
	.group = "file",
	.summary = "add to the end of a file, or make the file",
	.result = "path; bytes added; size after; created: there was none before; mode",
	.fields = write_fields,
	.params_size = sizeof(struct write_params),
};

static const char *const edit_commands[] = { "view", "create", "str_replace", "insert", "undo",
	NULL };
static const char *const newline_words[] = { "keep", "lf", NULL };
static const char *const diff_styles[] = { "patch", "bare", NULL };

static const struct field edit_fields[] = {
	PATH_FIELD(struct edit_params),
	CWD_FIELD(struct edit_params),
	{ "command", FIELD_STRING, FIELD_AT(struct edit_params, command), FIELD_REQUIRED,
		.words = edit_commands, .help = "what to do" },
	{ "file_text", FIELD_STRING, FIELD_AT(struct edit_params, file_text), FIELD_BINARY,
		.help = "create: the content" },
	{ "old_str", FIELD_STRING, FIELD_AT(struct edit_params, old_str), FIELD_BINARY,
		.help = "str_replace: must occur exactly once" },
	{ "new_str", FIELD_STRING, FIELD_AT(struct edit_params, new_str), FIELD_BINARY,
		.help = "str_replace, insert: the new text" },
	{ "insert_line", FIELD_JSON, FIELD_AT(struct edit_params, insert_line),
		.help = "insert: the line after which; 0: at the top" },
	{ "view_range", FIELD_JSON, FIELD_AT(struct edit_params, view_range),
		.help = "view: [first, last]; last -1: to the end" },
	{ "newlines", FIELD_STRING, FIELD_AT(struct edit_params, newlines), .standard = "keep",
		.words = newline_words, .help = "keep: a CRLF file stays one; lf: it becomes LF" },
	{ "diff_style", FIELD_STRING, FIELD_AT(struct edit_params, diff_style), .standard = "patch",
		.words = diff_styles,
		.help = "patch: what patch(1) takes; bare: lines without trailing blanks" },
	{ "diff_context", FIELD_INT, FIELD_AT(struct edit_params, diff_context), .min = 0,
		.max = 100, .standard = "3", .help = "unchanged lines around each change" },
	{ "absolute_only", FIELD_BOOL, FIELD_AT(struct edit_params, absolute_only),
		.help = "refuse a relative path" },
	{ 0 },
};

const struct action edit_action = {
	.name = "edit",
	.group = "file",
	.summary = "view a file with line numbers, create it, replace or insert text, undo",
	.result =
		"path; command; applied: done as asked; failure: null, or what kind (invalid_parameter, "
		"missing_parameter, file_invalid, no_match, multiple_matches, no_history, tool); text: what "
		"an agent is shown, also for a failure; prev_exist: the file was there; diff: unified, "
		"empty if nothing changed; lines: numbers of the lines where old_str occurs; snippet: "
		"{start_line, lines} around the change or null; encoding of the file",
	.fields = edit_fields,
	.params_size = sizeof(struct edit_params),
};

static const struct field list_fields[] = {
	DIR_FIELD(struct list_params),
	CWD_FIELD(struct list_params),
	{ "depth", FIELD_INT, FIELD_AT(struct list_params, depth), .min = 1, .max = 64,
		.standard = "1", .help = "levels of directories to enter; links are not entered" },
	{ "hidden", FIELD_BOOL, FIELD_AT(struct list_params, hidden), .standard = "true",
		.help = "names that start with a dot too" },
	{ "limit", FIELD_INT, FIELD_AT(struct list_params, limit), .min = 1, .max = 10000,
		.standard = "1000", .help = "most entries to give" },
	{ "after", FIELD_STRING, FIELD_AT(struct list_params, after),
		.help = "give what sorts after this name: `next` of the page before" },
	{ "names", FIELD_BOOL, FIELD_AT(struct list_params, names),
		.help = "give owner, group and permissions as stat does" },
	XATTRS_FIELD(struct list_params),
	{ 0 },
};

const struct action list_action = {
	.name = "list",
	.group = "file",
	.summary = "list a directory, sorted by name",
	.result =
		"path; entries: [{name (relative to path), type (file, directory, symlink, fifo, socket, "
		"char_device, block_device), size, mode, uid, gid, mtime_ms, target and "
		"target_type (of a link; the type is null if it leads nowhere), with names also owner, "
		"group and permissions, with xattrs also xattrs}]; total entries on all pages; "
		"next: `after` for the next page, or null",
	.fields = list_fields,
	.params_size = sizeof(struct list_params),
	.flags = ACTION_READS,
};

static const struct field stat_fields[] = {
	PATH_FIELD(struct stat_params),
	CWD_FIELD(struct stat_params),
	{ "follow", FIELD_BOOL, FIELD_AT(struct stat_params, follow), .standard = "true",
		.help = "tell of what a symbolic link points to" },
	XATTRS_FIELD(struct stat_params),
	{ 0 },
};

const struct action stat_action = {
	.name = "stat",
	.group = "file",
	.summary = "tell a file's type, size, permissions and dates",
	.result =
		"path; name; type; size; mode (\"0644\"); permissions (\"-rw-r--r--\"); uid; gid; owner and "
		"group (names, or null); mtime_ms; ctime_ms; links; inode; is_symlink and target: of the "
		"path's last component; with xattrs also xattrs: {name: value}, of files and directories "
		"that may be read",
	.fields = stat_fields,
	.params_size = sizeof(struct stat_params),
	.flags = ACTION_READS,
};

static const struct field mkdir_fields[] = {
	PATH_FIELD(struct mkdir_params),
	CWD_FIELD(struct mkdir_params),
	MODE_FIELD(struct mkdir_params, "octal permissions; default 0755"),
	{ "parents", FIELD_BOOL, FIELD_AT(struct mkdir_params, parents), .standard = "true",
		.help = "make what is missing on the way, and be content if it exists" },
	{ 0 },
};

const struct action mkdir_action = {
	.name = "mkdir",
	.group = "file",
	.summary = "make a directory",
	.result = "path; created: false if it was there",
	.fields = mkdir_fields,
	.params_size = sizeof(struct mkdir_params),
};

static const struct field remove_fields[] = {
	PATH_FIELD(struct remove_params),
	CWD_FIELD(struct remove_params),
	{ "recursive", FIELD_BOOL, FIELD_AT(struct remove_params, recursive),
		.help = "a directory with all that is in it; never onto another mount" },
	{ "missing_ok", FIELD_BOOL, FIELD_AT(struct remove_params, missing_ok),
		.help = "be content if it does not exist" },
	{ 0 },
};

const struct action remove_action = {
	.name = "remove",
	.group = "file",
	.summary = "remove a file, a link or a directory",
	.result = "path; removed: how many entries",
	.fields = remove_fields,
	.params_size = sizeof(struct remove_params),
};

static const struct field move_fields[] = {
	PATH_FIELD(struct move_params),
	CWD_FIELD(struct move_params),
	{ "to", FIELD_STRING, FIELD_AT(struct move_params, to), FIELD_REQUIRED | FIELD_PATH,
		.help = "the new path, not the directory to put it in" },
	{ "overwrite", FIELD_BOOL, FIELD_AT(struct move_params, overwrite),
		.help = "replace what is there" },
	{ "create_parents", FIELD_BOOL, FIELD_AT(struct move_params, create_parents),
		.standard = "true", .help = "make missing directories on the way" },
	{ 0 },
};

const struct action move_action = {
	.name = "move",
	.group = "file",
	.summary = "rename or move a file or a directory",
	.result = "path; to; replaced: something was there",
	.fields = move_fields,
	.params_size = sizeof(struct move_params),
};

static const char *const glob_types[] = { "any", "file", "directory", NULL };

static const struct field glob_fields[] = {
	DIR_FIELD(struct glob_params),
	CWD_FIELD(struct glob_params),
	{ "pattern", FIELD_STRING, FIELD_AT(struct glob_params, pattern),
		FIELD_REQUIRED | FIELD_PATH,
		.help = "* ? [a-z] {a,b} and ** for any number of directories; relative to path" },
	{ "type", FIELD_STRING, FIELD_AT(struct glob_params, type), .standard = "any",
		.words = glob_types, .help = "what to give" },
	{ "hidden", FIELD_BOOL, FIELD_AT(struct glob_params, hidden),
		.help = "let wildcards match a leading dot" },
	{ "limit", FIELD_INT, FIELD_AT(struct glob_params, limit), .min = 1, .max = 100000,
		.standard = "1000", .help = "most matches to give" },
	{ 0 },
};

const struct action glob_action = {
	.name = "glob",
	.group = "file",
	.summary = "find files by a pattern of their paths",
	.result =
		"path; matches: [{path (absolute), type}] in the order of a sorted walk; truncated; "
		"visited: entries looked at",
	.fields = glob_fields,
	.params_size = sizeof(struct glob_params),
	.flags = ACTION_READS,
};

static const struct field grep_fields[] = {
	DIR_FIELD(struct grep_params),
	CWD_FIELD(struct grep_params),
	{ "pattern", FIELD_STRING, FIELD_AT(struct grep_params, pattern), FIELD_REQUIRED,
		.help = "a POSIX extended regular expression" },
	{ "fixed", FIELD_BOOL, FIELD_AT(struct grep_params, fixed),
		.help = "the pattern is plain text" },
	{ "ignore_case", FIELD_BOOL, FIELD_AT(struct grep_params, ignore_case),
		.help = "ASCII letters match either case" },
	{ "include", FIELD_STRINGS, FIELD_AT(struct grep_params, include),
		.help = "only paths that match one of these patterns" },
	{ "exclude", FIELD_STRINGS, FIELD_AT(struct grep_params, exclude),
		.help = "no paths or directories that match one of these patterns" },
	{ "hidden", FIELD_BOOL, FIELD_AT(struct grep_params, hidden),
		.help = "look into names that start with a dot too" },
	{ "context", FIELD_INT, FIELD_AT(struct grep_params, context), .min = 0, .max = 20,
		.help = "lines to give before and after each match" },
	{ "max_matches", FIELD_INT, FIELD_AT(struct grep_params, max_matches), .min = 1,
		.max = 10000, .standard = "200", .help = "stop after so many" },
	{ 0 },
};

const struct action grep_action = {
	.name = "grep",
	.group = "file",
	.summary = "search the text of files",
	.result =
		"path; matches: [{path (absolute), line, text, before[], after[]}], long lines cut; files "
		"searched; files_matched; skipped_binary; truncated",
	.fields = grep_fields,
	.params_size = sizeof(struct grep_params),
	.flags = ACTION_READS,
};

static const char *const upload_kinds[] = { "file", "tar", "zip", NULL };

static const struct field upload_fields[] = {
	PATH_FIELD(struct upload_params),
	CWD_FIELD(struct upload_params),
	{ "kind", FIELD_STRING, FIELD_AT(struct upload_params, kind), .standard = "file",
		.words = upload_kinds,
		.help = "file: becomes `path`; tar (plain, gz, bz2, xz, zst) and zip: unpacked into `path`" },
	MODE_FIELD(struct upload_params,
		"file: octal permissions; default: those of the file, or 0644"),
	{ "create_parents", FIELD_BOOL, FIELD_AT(struct upload_params, create_parents),
		.standard = "true", .help = "make missing directories on the way" },
	{ "xattrs", FIELD_MAP, FIELD_AT(struct upload_params, xattrs),
		.help = "file: extended attributes that it gets, in user.; those it had are gone" },
	{ "layer", FIELD_BOOL, FIELD_AT(struct upload_params, layer), .standard = "false",
		.help = "tar: it is a layer of an image: devices are passed over, whiteouts become overlayfs' own" },
	{ "max_bytes", FIELD_INT, FIELD_AT(struct upload_params, max_bytes), .min = 0,
		.max = INT64_MAX / 2, .standard = "0",
		.help = "tar, zip: stop where more than this comes out; 0: never" },
	{ "from", FIELD_STRING, FIELD_AT(struct upload_params, from), FIELD_PATH,
		.help = "tar, zip: the archive is this file of the sandbox, and no data come" },
	{ 0 },
};

const struct action upload_action = {
	.name = "upload",
	.group = "file",
	.summary = "take a file or an archive as a stream of any length",
	.result =
		"path; bytes received; entries unpacked (1 for a file); written_bytes that came out; created",
	.fields = upload_fields,
	.params_size = sizeof(struct upload_params),
	.flags = ACTION_STREAMS_IN,
};

static const char *const download_formats[] = { "raw", "tar", "zip", NULL };

static const struct field download_fields[] = {
	PATH_FIELD(struct download_params),
	CWD_FIELD(struct download_params),
	{ "format", FIELD_STRING, FIELD_AT(struct download_params, format), .standard = "raw",
		.words = download_formats,
		.help = "raw: a file's bytes; tar, zip: a file or a whole directory" },
	{ "prefix", FIELD_STRING, FIELD_AT(struct download_params, prefix), FIELD_PATH,
		.help = "in an archive: the name of the file, or of the directory, which then has an entry of its own" },
	{ "offset", FIELD_INT, FIELD_AT(struct download_params, offset), .min = 0, .max = INT64_MAX,
		.standard = "0", .help = "raw: first byte wanted" },
	{ "length", FIELD_INT, FIELD_AT(struct download_params, length), .min = -1,
		.max = INT64_MAX, .standard = "-1",
		.help = "raw: most bytes wanted; -1: to the end" },
	{ 0 },
};

const struct action download_action = {
	.name = "download",
	.group = "file",
	.summary = "give a file or a directory as a stream of any length",
	.result =
		"before the data an event {path, format, name, size (raw, of the whole file), mtime_ms (raw)}; data on channel "
		"0; then path; bytes sent; entries; truncated: the file shrank, or an entry could not be "
		"read; skipped: sockets, devices and what could not be opened",
	.fields = download_fields,
	.params_size = sizeof(struct download_params),
	.flags = ACTION_STREAMS_OUT | ACTION_READS | ACTION_RAW,
};

static const struct field watch_fields[] = {
	DIR_FIELD(struct watch_params),
	CWD_FIELD(struct watch_params),
	{ "recursive", FIELD_BOOL, FIELD_AT(struct watch_params, recursive),
		.help = "also what is below, in directories made later too" },
	{ "entries", FIELD_BOOL, FIELD_AT(struct watch_params, entries),
		.help = "with each event what stat tells of it, while it is there" },
	XATTRS_FIELD(struct watch_params),
	{ 0 },
};

const struct action watch_action = {
	.name = "watch",
	.group = "file",
	.summary = "follow what changes in a directory",
	.result =
		"the empty object, once the directory itself is gone or has been moved; events: "
		"{\"event\":\"started\"}, then \"create\", \"write\", \"remove\", \"rename\" (it has left its "
		"name) and \"chmod\", each with name, relative to path, and with entries also entry (null "
		"if it is not there); a file that takes its name with its content is created and written; "
		"\"lost\": there were too many events, or too many directories below. Control: "
		"{\"sync\":true}, which the event \"synced\" answers when all before it has been told",
	.fields = watch_fields,
	.params_size = sizeof(struct watch_params),
	.flags = ACTION_STREAMS_OUT | ACTION_READS,
};
