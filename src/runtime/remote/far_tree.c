/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stat, mkdir, remove, move: the server has nothing for them, but a shell, and the coreutils of its
 * image.
 *
 * Each is one script with the path as $1 and what else it needs as $2, which says by its exit
 * status what was wrong. The path is absolute.
 */
#include "runtime/remote/verbs.h"

#include "action/file_actions.h"
#include "base/auto.h"
#include "base/num.h"
#include "wire/frame.h"

#include <sys/stat.h>

enum { TREE_MS = 60000, TREE_COMMAND_MAX = 64 * 1024, STAT_WORDS = 11 };

/* What the scripts end with; anything else of theirs is told with what they said. */
static const struct {
	int64_t status;
	enum error_code code;
	const char *text;
} ends[] = {
	{ 66, ERROR_NOT_FOUND, "No such file or directory" },
	{ 67, ERROR_EXISTS, "File exists" },
	{ 68, ERROR_INVALID, "Is a directory" },
};

static const char *path_of(struct far *far, const struct file_where *where)
{
	return far_path(far, where->cwd, where->path);
}

/* ( set -- PATH [MORE]; SCRIPT ) */
static void run_script(struct far *far, const char *path, const char *more, const char *script,
	far_fn *then)
{
	auto_buf struct buf b = BUF_INIT(TREE_COMMAND_MAX);
	buf_puts(&b, "( set -- ");
	far_put_quoted(&b, str_from(path));
	if (more) {
		buf_puts(&b, " ");
		far_put_quoted(&b, str_from(more));
	}
	buf_printf(&b, "; export LC_ALL=C; %s )", script);
	if (far->verb->action->flags & ACTION_READS)
		far_shell_again(far, buf_str(&b), TREE_MS, then);
	else
		far_shell(far, buf_str(&b), TREE_MS, then);
}

/* True if it went well; else the call has ended. */
static bool went_well(struct far *far, const struct json *observation, const char *path)
{
	struct str text = str_trim(far_said(observation));
	int64_t status = far_exit_code(observation);
	struct error err;
	if (status == 0)
		return true;
	if (far_is_error(observation)) {
		far_fail_observation(far, observation);
		return false;
	}
	error_set(&err, ERROR_INTERNAL, "%s: %.*s", path, STR_ARG(str_first(text, 200)));
	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		if (status == ends[i].status)
			error_set(&err, ends[i].code, "%s: %s", path, ends[i].text);
	far_fail(far, &err);
	return false;
}

/* What a script that went well is answered with begins with the path. */
static bool open_result(struct far *far, const struct json *observation, struct jsonw *w)
{
	const char *path = path_of(far, far->params);
	if (!went_well(far, observation, path))
		return false;
	jsonw_open(w);
	jsonw_key_str(w, "path", str_from(path));
	return true;
}

/* ---- stat ---- */

static const char *type_of(int64_t mode)
{
	static const struct {
		mode_t type;
		const char *name;
	} types[] = {
		{ S_IFREG, "file" },
		{ S_IFDIR, "directory" },
		{ S_IFLNK, "symlink" },
		{ S_IFIFO, "fifo" },
		{ S_IFSOCK, "socket" },
		{ S_IFCHR, "char_device" },
		{ S_IFBLK, "block_device" },
	};
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (((mode_t)mode & S_IFMT) == types[i].type)
			return types[i].name;
	return "file";
}

/* The raw mode is in hexadecimal digits. */
static int64_t parse_hex(struct str word)
{
	int64_t n = 0;
	for (size_t i = 0; i < word.len && i < 8; i++) {
		char c = word.ptr[i];
		n = n * 16 + (c >= 'a' ? c - 'a' + 10 : c - '0');
	}
	return n;
}

static int64_t number(struct str word)
{
	int64_t n;
	return num_parse_i64(word, 0, INT64_MAX / 1000, &n, NULL) < 0 ? 0 : n;
}

static void put_name(struct jsonw *w, const char *key, struct str name)
{
	jsonw_key(w, key);
	if (str_is(name, "UNKNOWN"))
		jsonw_null(w);
	else
		jsonw_str(w, name);
}

/* words: as the script's format has them. */
static void put_stat(struct jsonw *w, const char *path, const struct str words[STAT_WORDS],
	struct str target)
{
	int64_t mode = parse_hex(words[0]);
	const char *slash = strrchr(path, '/');
	char octal[16];
	snprintf(octal, sizeof(octal), "%04o", (unsigned)mode & 07777);
	jsonw_open(w);
	jsonw_key_str(w, "path", str_from(path));
	jsonw_key_str(w, "name", str_from(slash && slash[1] ? slash + 1 : path));
	jsonw_key_str(w, "type", str_from(type_of(mode)));
	jsonw_key_int(w, "size", number(words[2]));
	jsonw_key_str(w, "mode", str_from(octal));
	jsonw_key_str(w, "permissions", words[1]);
	jsonw_key_int(w, "uid", number(words[3]));
	jsonw_key_int(w, "gid", number(words[4]));
	put_name(w, "owner", words[5]);
	put_name(w, "group", words[6]);
	jsonw_key_int(w, "mtime_ms", number(words[7]) * 1000);
	jsonw_key_int(w, "ctime_ms", number(words[8]) * 1000);
	jsonw_key_int(w, "links", number(words[9]));
	jsonw_key_int(w, "inode", number(words[10]));
	jsonw_key_bool(w, "is_symlink", target.ptr);
	jsonw_key(w, "target");
	if (target.ptr)
		jsonw_str(w, target);
	else
		jsonw_null(w);
	jsonw_close(w);
}

static void on_stat(struct far *far, const struct json *observation)
{
	const struct stat_params *p = far->params;
	const char *path = path_of(far, &p->where);
	struct str text = far_said(observation), line, word;
	struct str words[STAT_WORDS], target = STR_NONE;
	size_t n = 0;
	if (!went_well(far, observation, path))
		return;
	text = str_trim(text);
	str_split(&text, '\n', &line);
	while (n < STAT_WORDS && line.len && str_split(&line, ' ', &word))
		words[n++] = word;
	if (str_starts(text, STR("link ")))
		target = str_skip(text, 5);
	if (n < STAT_WORDS) {
		struct error err;
		error_set(&err, ERROR_PROTOCOL, "%s: the server's stat tells too little", path);
		far_fail(far, &err);
		return;
	}
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	put_stat(&w, path, words, target);
	far_finish(far, &b);
}

#define STAT_FORMAT "-c '%f %A %s %u %g %U %G %Y %Z %h %i' -- \"$1\""
#define TELL_LINK   "[ ! -L \"$1\" ] || printf 'link %s' \"$(readlink -- \"$1\")\""

static void stat_there(struct far *far, const struct json *answer)
{
	const struct stat_params *p = far->params;
	run_script(far, path_of(far, &p->where), NULL,
		p->follow ? "[ -e \"$1\" ] || exit 66; stat -L " STAT_FORMAT " && { " TELL_LINK
			    "; }"
			  : "[ -e \"$1\" ] || [ -L \"$1\" ] || exit 66; stat " STAT_FORMAT
			    " && { " TELL_LINK "; }",
		on_stat);
}

static void stat_start(struct far *far)
{
	far_with_workdir(far, stat_there);
}

const struct far_verb far_stat = { .action = &stat_action, .start = stat_start };

/* ---- mkdir ---- */

static void on_mkdir(struct far *far, const struct json *observation)
{
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	if (!open_result(far, observation, &w))
		return;
	jsonw_key_bool(&w, "created", !str_is(str_trim(far_said(observation)), "there"));
	jsonw_close(&w);
	far_finish(far, &b);
}

static void mkdir_there(struct far *far, const struct json *answer)
{
	const struct mkdir_params *p = far->params;
	struct str mode = p->mode.len ? p->mode : STR("0755");
	const char *script = p->parents
		? "if [ -d \"$1\" ]; then echo there; else mkdir -p -m \"$2\" -- \"$1\"; fi"
		: "[ ! -e \"$1\" ] || exit 67; mkdir -m \"$2\" -- \"$1\"";
	run_script(far, path_of(far, &p->where), arena_str(&far->arena, mode), script, on_mkdir);
}

static void mkdir_start(struct far *far)
{
	far_with_workdir(far, mkdir_there);
}

const struct far_verb far_mkdir = { .action = &mkdir_action, .start = mkdir_start };

/* ---- remove ---- */

static void on_remove(struct far *far, const struct json *observation)
{
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	if (!open_result(far, observation, &w))
		return;
	jsonw_key_int(&w, "removed", number(str_trim(far_said(observation))));
	jsonw_close(&w);
	far_finish(far, &b);
}

#define IS_THERE "[ -e \"$1\" ] || [ -L \"$1\" ]"

static void remove_there(struct far *far, const struct json *answer)
{
	const struct remove_params *p = far->params;
	const char *script = arena_printf(&far->arena, IS_THERE " || %s; %s",
		p->missing_ok ? "{ echo 0; exit 0; }" : "exit 66",
		p->recursive ? "n=$(find \"$1\" -xdev -exec printf %.0s. {} + | wc -c); "
			       "rm -rf --one-file-system -- \"$1\" && echo $n"
			     : "if [ -d \"$1\" ] && [ ! -L \"$1\" ]; then rmdir -- \"$1\"; "
			       "else rm -f -- \"$1\"; fi && echo 1");
	run_script(far, path_of(far, &p->where), NULL, script, on_remove);
}

static void remove_start(struct far *far)
{
	far_with_workdir(far, remove_there);
}

const struct far_verb far_remove = { .action = &remove_action, .start = remove_start };

/* ---- move ---- */

static void on_move(struct far *far, const struct json *observation)
{
	const struct move_params *p = far->params;
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	if (!open_result(far, observation, &w))
		return;
	jsonw_key_str(&w, "to", str_from(far_path(far, p->where.cwd, p->to)));
	jsonw_key_bool(&w, "replaced", str_is(str_trim(far_said(observation)), "replaced"));
	jsonw_close(&w);
	far_finish(far, &b);
}

static void move_there(struct far *far, const struct json *answer)
{
	const struct move_params *p = far->params;
	const char *script = arena_printf(&far->arena,
		IS_THERE " || exit 66; if [ -e \"$2\" ] || [ -L \"$2\" ]; then %s; fi; "
			 "%smv -fT -- \"$1\" \"$2\"",
		p->overwrite ? "echo replaced" : "exit 67",
		p->create_parents ? "mkdir -p -- \"$(dirname -- \"$2\")\" && " : "");
	run_script(far, path_of(far, &p->where), far_path(far, p->where.cwd, p->to), script,
		on_move);
}

static void move_start(struct far *far)
{
	far_with_workdir(far, move_there);
}

const struct far_verb far_move = { .action = &move_action, .start = move_start };
