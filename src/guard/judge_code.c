/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Python is not parsed. What it hands to a shell is found by the names of the calls that do so, and
 * judged as a shell would take it; IPython's own ways to a shell are lines that begin with ! or % .
 */
#include "guard/judges.h"

#include "base/auto.h"

enum { DEPTH_MAX = 4, LITERAL_MAX = 64 * 1024 };

static const char *const shell_calls[] = { "os.system(", "os.popen(", "subprocess.run(",
	"subprocess.call(", "subprocess.check_call(", "subprocess.check_output(",
	"subprocess.Popen(", "getoutput(", "get_ipython().system(", "execSync(",
	"child_process.exec(", "os.exec" };

static const struct {
	const char *call;
	enum path_use use;
} path_calls[] = {
	{ "rmtree(", PATH_REMOVE },
	{ "os.remove(", PATH_WRITE },
	{ "os.unlink(", PATH_WRITE },
	{ "Path(", PATH_READ },
	{ "write_text(", PATH_WRITE },
};

static struct str next_literal(struct str *rest)
{
	for (size_t i = 0; i < rest->len; i++) {
		char quote = rest->ptr[i];
		if (quote == ')' || quote == '\n')
			break;
		if (quote != '"' && quote != '\'')
			continue;
		struct str body = str_skip(*rest, i + 1);
		size_t n = 0;
		while (n < body.len && body.ptr[n] != quote)
			n += body.ptr[n] == '\\' ? 2 : 1;
		n = MIN(n, body.len);
		*rest = str_skip(body, n + 1);
		return str_first(body, n);
	}
	return STR_NONE;
}

static bool is_list(struct str arguments)
{
	for (size_t i = 0; i < arguments.len; i++)
		if (arguments.ptr[i] != ' ' && arguments.ptr[i] != '\n')
			return arguments.ptr[i] == '[' || arguments.ptr[i] == '(';
	return false;
}

static void judge_call(struct judging *j, struct str arguments)
{
	struct str argv[64], rest = arguments, word;
	size_t n = 0;
	if (!is_list(arguments)) {
		word = next_literal(&rest);
		if (word.ptr)
			judge_shell(j, word);
		else
			judge_hit(j, RULE_DYNAMIC_CODE);
		return;
	}
	ptrdiff_t end = str_find_char(rest, ']');
	if (end >= 0)
		rest = str_first(rest, (size_t)end);
	while (n < ARRAY_LEN(argv) && (word = next_literal(&rest)).ptr)
		argv[n++] = word;
	if (n)
		judge_program(j, argv, n, false);
	else
		judge_hit(j, RULE_DYNAMIC_CODE);
}

static void judge_calls(struct judging *j, struct str text)
{
	for (size_t i = 0; i < ARRAY_LEN(shell_calls); i++) {
		struct str rest = text, call = str_from(shell_calls[i]);
		ptrdiff_t at;
		while ((at = str_find(rest, call)) >= 0) {
			rest = str_skip(rest, (size_t)at + call.len);
			judge_call(j, str_first(rest, LITERAL_MAX));
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(path_calls); i++) {
		struct str rest = text, call = str_from(path_calls[i].call);
		ptrdiff_t at;
		while ((at = str_find(rest, call)) >= 0) {
			rest = str_skip(rest, (size_t)at + call.len);
			struct str arguments = str_first(rest, LITERAL_MAX);
			struct str path = next_literal(&arguments);
			if (path.ptr)
				judge_path(j, path, path_calls[i].use);
		}
	}
}

/* open("PATH", "w") */
static void judge_opens(struct judging *j, struct str text)
{
	struct str rest = text;
	ptrdiff_t at;
	while ((at = str_find(rest, STR("open("))) >= 0) {
		rest = str_skip(rest, (size_t)at + 5);
		struct str arguments = str_first(rest, LITERAL_MAX);
		struct str path = next_literal(&arguments), mode = next_literal(&arguments);
		bool writes = str_find_char(mode, 'w') >= 0 || str_find_char(mode, 'a') >= 0 ||
			str_find_char(mode, '+') >= 0;
		if (path.ptr)
			judge_path(j, path, writes ? PATH_WRITE : PATH_READ);
	}
}

static void judge_lines(struct judging *j, struct str text)
{
	struct str rest = text, line;
	bool is_first = true;
	while (str_split(&rest, '\n', &line)) {
		line = str_trim(line);
		bool is_cell = is_first &&
			(str_starts(line, STR("%%bash")) || str_starts(line, STR("%%sh")) ||
				str_starts(line, STR("%%script")));
		if (is_cell) {
			judge_shell(j, rest);
			return;
		}
		is_first = is_first && line.len == 0;
		if (str_starts(line, STR("!")))
			judge_shell(j, str_skip(line, str_starts(line, STR("!!")) ? 2 : 1));
		else if (str_starts(line, STR("%pip")) || str_starts(line, STR("%conda")) ||
			str_starts(line, STR("%sx")) || str_starts(line, STR("%system")))
			judge_shell(j, str_skip(line, 1));
	}
}

void judge_code(struct judging *j, struct str text)
{
	if (j->depth >= DEPTH_MAX || text.len > JUDGE_TEXT_MAX) {
		judge_hit(j, RULE_TOO_LARGE);
		return;
	}
	j->depth++;
	bool decodes = str_find(text, STR("b64decode")) >= 0 || str_find(text, STR("fromhex")) >= 0;
	bool runs = str_find(text, STR("exec(")) >= 0 || str_find(text, STR("eval(")) >= 0;
	if (decodes && runs)
		judge_hit(j, RULE_ENCODED);
	bool connects = str_find(text, STR("socket")) >= 0;
	bool gives_shell = str_find(text, STR("dup2(")) >= 0 ||
		str_find(text, STR("pty.spawn")) >= 0;
	if (connects && gives_shell)
		judge_hit(j, RULE_REVERSE_SHELL);
	judge_calls(j, text);
	judge_opens(j, text);
	judge_lines(j, text);
	judge_url(j, text);
	j->depth--;
}
