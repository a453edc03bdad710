/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. One pass over the text, by recursive descent, makes a flat array of
 * commands: a command comes before those substituted into its words. Heredocs are read at the line
 * feed behind their command, as a shell does. shell_take.c then goes along the array and takes off
 * prefixes; what it finds to be a text that a shell will run is parsed by the same pass, and
 * appended.
 */
#include "guard/shell.h"

#include "base/auto.h"
#include "base/buf.h"
#include "guard/shell_take.h"

enum { VARS_MAX = 64, VALUE_MAX = 512, HEREDOCS_MAX = 16, WORDS_TOTAL_MAX = 65536 };

struct heredoc {
	int command;
	struct str delimiter;
	bool is_indented, is_quoted;
};

struct parser {
	struct str text;
	size_t at;
	struct shell_script *script;
	int depth, n_words;
	bool is_in_backticks;
	struct {
		struct str name, value;
	} vars[VARS_MAX];
	int n_vars;
	struct heredoc heredocs[HEREDOCS_MAX];
	int n_heredocs;
};

static int parse_list(struct parser *p, char end);

static char peek(const struct parser *p, size_t ahead)
{
	return p->at + ahead < p->text.len ? p->text.ptr[p->at + ahead] : '\0';
}

static bool is_over(const struct parser *p)
{
	return p->at >= p->text.len;
}

/* Variables. */

static bool is_name_char(char c, bool is_first)
{
	bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
	return is_letter || (!is_first && c >= '0' && c <= '9');
}

static size_t name_len(struct str s)
{
	size_t n = 0;
	while (n < s.len && is_name_char(s.ptr[n], n == 0))
		n++;
	return n;
}

static void put_variable(struct parser *p, struct str name, struct buf *b)
{
	for (int i = p->n_vars - 1; i >= 0; i--)
		if (str_eq(p->vars[i].name, name)) {
			buf_put(b, p->vars[i].value);
			return;
		}
	if (str_is(name, "HOME"))
		buf_puts(b, b->len ? "$HOME" : "~");
	else if (str_is(name, "IFS"))
		buf_putc(b, ' ');
	else
		buf_printf(b, "$%.*s", STR_ARG(name));
}

static void assign(struct parser *p, struct str word)
{
	size_t n = name_len(word);
	struct str value = str_skip(word, n + 1);
	if (p->n_vars == VARS_MAX || value.len > VALUE_MAX) {
		p->script->is_cut |= p->n_vars == VARS_MAX;
		return;
	}
	p->vars[p->n_vars].name = str_first(word, n);
	p->vars[p->n_vars++].value = value;
}

/* Words. */

static void parse_dollar(struct parser *p, struct buf *b);
static void parse_double(struct parser *p, struct buf *b, char end);

static void substitute(struct parser *p, char end)
{
	bool was_in = p->is_in_backticks;
	p->is_in_backticks = end == '`';
	parse_list(p, end);
	p->is_in_backticks = was_in;
}

/* ${…}: known names are known; what is substituted in a default would be run. */
static void parse_braces(struct parser *p, struct buf *b)
{
	struct str rest = str_skip(p->text, p->at);
	size_t n = name_len(rest);
	p->at += n;
	if (n && peek(p, 0) == '}') {
		p->at++;
		put_variable(p, str_first(rest, n), b);
		return;
	}
	auto_buf struct buf ignored = BUF_INIT(SHELL_TEXT_MAX);
	parse_double(p, &ignored, '}');
	buf_printf(b, "${%.*s}", STR_ARG(str_first(rest, n)));
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* $'…' */
static void parse_ansi(struct parser *p, struct buf *b)
{
	while (!is_over(p) && peek(p, 0) != '\'') {
		char c = p->text.ptr[p->at++];
		if (c != '\\' || is_over(p)) {
			buf_putc(b, c);
			continue;
		}
		c = p->text.ptr[p->at++];
		int value = 0, digits = 0;
		bool is_hex = c == 'x', is_octal = c >= '0' && c <= '7';
		p->at -= is_octal;
		while ((is_hex || is_octal) && digits < (is_hex ? 2 : 3) &&
			hex_digit(peek(p, 0)) >= 0 && (is_hex || hex_digit(peek(p, 0)) < 8)) {
			value = value * (is_hex ? 16 : 8) + hex_digit(peek(p, 0));
			p->at++;
			digits++;
		}
		if (is_hex || is_octal)
			buf_putc(b, (char)value);
		else
			buf_putc(b, (char)(c == 'n' ? '\n' : c == 't' ? '\t' : c));
	}
	p->at++;
}

static void parse_dollar(struct parser *p, struct buf *b)
{
	p->at++;
	char c = peek(p, 0);
	struct str rest = str_skip(p->text, p->at);
	size_t n = name_len(rest);
	if (c == '(') {
		p->at++;
		substitute(p, ')');
		buf_puts(b, "$()");
	} else if (c == '{') {
		p->at++;
		parse_braces(p, b);
	} else if (n) {
		p->at += n;
		put_variable(p, str_first(rest, n), b);
	} else {
		buf_putc(b, '$');
	}
}

/* Up to `end`, or to the end of the text if that is NUL. */
static void parse_double(struct parser *p, struct buf *b, char end)
{
	while (!is_over(p) && (end == '\0' || peek(p, 0) != end)) {
		char c = peek(p, 0);
		if (c == '\\') {
			char next = peek(p, 1);
			p->at += 2;
			if (next == '\n')
				continue;
			if (!memchr("$`\"\\}", next, 5))
				buf_putc(b, '\\');
			buf_putc(b, next);
		} else if (c == '$') {
			parse_dollar(p, b);
		} else if (c == '`') {
			p->at++;
			substitute(p, '`');
			buf_puts(b, "$()");
		} else {
			buf_putc(b, c);
			p->at++;
		}
	}
	p->at++;
}

static void parse_single(struct parser *p, struct buf *b)
{
	struct str rest = str_skip(p->text, p->at);
	ptrdiff_t end = str_find_char(rest, '\'');
	size_t n = end < 0 ? rest.len : (size_t)end;
	buf_put(b, str_first(rest, n));
	p->at += n + 1;
}

static bool ends_word(const struct parser *p)
{
	char c = peek(p, 0);
	bool is_process = (c == '<' || c == '>') && peek(p, 1) == '(';
	if (is_over(p) || (c == '`' && p->is_in_backticks))
		return true;
	return memchr(" \t\r\n;&|()<>", c, 11) && !is_process;
}

static void parse_piece(struct parser *p, struct buf *b, bool *has_quotes)
{
	char c = peek(p, 0), next = peek(p, 1);
	if (c == '\\') {
		if (next != '\n')
			buf_putc(b, next);
		p->at += 2;
	} else if (c == '\'' || c == '"' || (c == '$' && (next == '\'' || next == '"'))) {
		*has_quotes = true;
		p->at += c == '$' ? 2 : 1;
		if (c == '\'')
			parse_single(p, b);
		else if (c == '$' && next == '\'')
			parse_ansi(p, b);
		else
			parse_double(p, b, '"');
	} else if (c == '$') {
		parse_dollar(p, b);
	} else if (c == '`' || c == '<' || c == '>') {
		p->at += c == '`' ? 1 : 2;
		substitute(p, c == '`' ? '`' : ')');
		buf_puts(b, "$()");
	} else {
		buf_putc(b, c);
		p->at++;
	}
}

static struct shell_word parse_word(struct parser *p, bool *ret_has_quotes)
{
	auto_buf struct buf b = BUF_INIT(SHELL_TEXT_MAX);
	struct shell_word word = { .sub_from = p->script->n };
	bool has_quotes = false;
	while (!ends_word(p))
		parse_piece(p, &b, &has_quotes);
	p->script->is_cut |= b.is_full || ++p->n_words > WORDS_TOTAL_MAX;
	word.sub_to = p->script->n;
	word.text = shell_keep(p->script, buf_str(&b));
	if (ret_has_quotes)
		*ret_has_quotes = has_quotes;
	return word;
}

static void skip_blanks(struct parser *p)
{
	while (memchr(" \t\r", peek(p, 0) ?: 'x', 3) || (peek(p, 0) == '\\' && peek(p, 1) == '\n'))
		p->at += peek(p, 0) == '\\' ? 2 : 1;
}

static void skip_line(struct parser *p)
{
	while (!is_over(p) && peek(p, 0) != '\n')
		p->at++;
}

/* Redirections. */

static size_t redirection_at(const struct parser *p)
{
	size_t n = 0;
	while (peek(p, n) >= '0' && peek(p, n) <= '9')
		n++;
	char c = peek(p, n), next = peek(p, n + 1);
	if ((c == '<' || c == '>') && next != '(')
		return n + 1;
	return n == 0 && c == '&' && next == '>' ? 2 : 0;
}

static void parse_heredoc_head(struct parser *p, int command)
{
	struct heredoc h = { .command = command };
	p->at++;
	if (peek(p, 0) == '-') {
		h.is_indented = true;
		p->at++;
	}
	skip_blanks(p);
	h.delimiter = parse_word(p, &h.is_quoted).text;
	if (p->n_heredocs < HEREDOCS_MAX)
		p->heredocs[p->n_heredocs++] = h;
	else
		p->script->is_cut = true;
}

static void parse_redirection(struct parser *p, int command, size_t n)
{
	p->at += n;
	bool is_input = p->text.ptr[p->at - 1] == '<';
	if (is_input && peek(p, 0) == '<' && peek(p, 1) == '<') {
		p->at += 2;
		skip_blanks(p);
		p->script->commands[command].here = parse_word(p, NULL).text;
		return;
	}
	if (is_input && peek(p, 0) == '<') {
		parse_heredoc_head(p, command);
		return;
	}
	while (memchr(">|&", peek(p, 0) ?: 'x', 3)) {
		is_input = is_input && peek(p, 0) != '>'; /* <> writes */
		p->at++;
	}
	skip_blanks(p);
	struct str target = parse_word(p, NULL).text;
	struct shell_command *c = &p->script->commands[command];
	if (is_input)
		shell_add_target(p->script, &c->reads, &c->n_reads, target);
	else
		shell_add_target(p->script, &c->writes, &c->n_writes, target);
}

/* What is substituted in a heredoc is run, unless its delimiter is quoted. */
static void parse_heredoc_body(struct parser *p, struct str body)
{
	struct str text = p->text;
	size_t at = p->at;
	auto_buf struct buf ignored = BUF_INIT(SHELL_TEXT_MAX);
	p->text = body;
	p->at = 0;
	parse_double(p, &ignored, '\0');
	p->text = text;
	p->at = at;
}

static void read_heredocs(struct parser *p)
{
	int n = p->n_heredocs;
	p->n_heredocs = 0;
	for (int i = 0; i < n; i++) {
		struct heredoc h = p->heredocs[i];
		size_t start = MIN(p->at, p->text.len), end = start;
		struct str rest = str_skip(p->text, start), line;
		while (str_split(&rest, '\n', &line)) {
			struct str bare = line;
			while (h.is_indented && str_starts(bare, STR("\t")))
				bare = str_skip(bare, 1);
			p->at += line.len + 1;
			if (str_eq(bare, h.delimiter))
				break;
			end = MIN(p->at, p->text.len);
		}
		struct str body = str_from_len(p->text.ptr + start, end - start);
		p->script->commands[h.command].here = body;
		if (!h.is_quoted)
			parse_heredoc_body(p, body);
	}
}

/* Commands. */

static bool is_assignment(struct str word)
{
	size_t n = name_len(word);
	return n > 0 && n < word.len && word.ptr[n] == '=';
}

static bool ends_command(const struct parser *p)
{
	char c = peek(p, 0);
	if (is_over(p) || (c == '`' && p->is_in_backticks))
		return true;
	return memchr("\n;|()&", c, 6) && !(c == '&' && peek(p, 1) == '>');
}

/* name(): the body that follows is read as commands; one that pipes into itself is a bomb. */
static bool parse_function(struct parser *p, struct str name)
{
	skip_blanks(p);
	if (peek(p, 0) != '(' || peek(p, 1) != ')')
		return false;
	p->at += 2;
	auto_buf struct buf itself = BUF_INIT(SHELL_TEXT_MAX);
	buf_printf(&itself, "%.*s|%.*s", STR_ARG(name), STR_ARG(name));
	auto_buf struct buf dense = BUF_INIT(SHELL_TEXT_MAX);
	for (size_t i = p->at; i < MIN(p->text.len, p->at + 200); i++)
		if (p->text.ptr[i] != ' ')
			buf_putc(&dense, p->text.ptr[i]);
	ptrdiff_t found = str_find(buf_str(&dense), buf_str(&itself));
	struct str after = found < 0 ? STR_NONE
				     : str_skip(buf_str(&dense), (size_t)found + itself.len);
	p->script->defines_bomb |= found >= 0 && str_starts(after, STR("&"));
	return true;
}

static void remember_assignments(struct parser *p, int command)
{
	const struct shell_command *c = &p->script->commands[command];
	for (int i = 0; i < c->n_words; i++)
		if (!is_assignment(c->words[i].text))
			return;
	for (int i = 0; i < c->n_words; i++)
		assign(p, c->words[i].text);
}

static int parse_command(struct parser *p, int fed_by)
{
	int command = shell_add(p->script);
	if (command < 0) {
		p->at = p->text.len;
		return -1;
	}
	p->script->commands[command].fed_by = fed_by;
	for (skip_blanks(p); !ends_command(p) && !p->script->is_cut; skip_blanks(p)) {
		size_t n = redirection_at(p);
		if (n) {
			parse_redirection(p, command, n);
			continue;
		}
		if (peek(p, 0) == '#') {
			skip_line(p);
			break;
		}
		struct shell_word word = parse_word(p, NULL);
		bool is_first = p->script->commands[command].n_words == 0;
		if ((is_first && parse_function(p, word.text)) ||
			!shell_add_word(p->script, command, word))
			break;
	}
	remember_assignments(p, command);
	return command;
}

/* The last command, whose output a pipe behind the list carries; -1 if there is none. */
static int parse_commands(struct parser *p, char end)
{
	int last = -1, fed_by = -1;
	while (!is_over(p) && !p->script->is_cut) {
		char c = peek(p, 0);
		if (c == end && end) {
			p->at++;
			return last;
		}
		if (c == '|' && peek(p, 1) != '|') {
			fed_by = last;
			p->at += peek(p, 1) == '&' ? 2 : 1;
		} else if (c == '(') {
			p->at++;
			last = parse_list(p, ')');
		} else if (memchr(";&|)", c, 4) && !(c == '&' && peek(p, 1) == '>')) {
			bool is_background = c == '&' && peek(p, 1) != '&' && last >= 0;
			if (is_background)
				p->script->commands[last].is_background = true;
			p->at += c == '|' ? 2 : 1;
			fed_by = -1;
		} else if (c == '\n') {
			p->at++;
			read_heredocs(p);
		} else if (memchr(" \t\r", c, 3)) {
			p->at++;
		} else {
			int made = parse_command(p, fed_by);
			last = made >= 0 ? made : last;
			fed_by = -1;
		}
	}
	return last;
}

static int parse_list(struct parser *p, char end)
{
	if (p->depth == SHELL_DEPTH_MAX) {
		p->script->is_cut = true;
		return -1;
	}
	p->depth++;
	int last = parse_commands(p, end);
	p->depth--;
	return last;
}

int shell_parse_more(struct shell_script *script, struct str text, int depth)
{
	struct parser p = { .text = text, .script = script, .depth = depth };
	if (text.len > SHELL_TEXT_MAX) {
		script->is_cut = true;
		return -1;
	}
	int first = script->n;
	parse_list(&p, '\0');
	read_heredocs(&p); /* one without its body */
	return first < script->n ? first : -1;
}

void shell_parse(struct str text, struct arena *arena, struct shell_script *ret)
{
	*ret = (struct shell_script){ .arena = arena };
	shell_parse_more(ret, text, 0);
	shell_take_all(ret);
}

void shell_take_argv(const struct str *argv, size_t n, struct arena *arena,
	struct shell_script *ret)
{
	*ret = (struct shell_script){ .arena = arena };
	int command = shell_add(ret);
	for (size_t i = 0; i < n && command >= 0; i++)
		if (!shell_add_word(ret, command, (struct shell_word){ .text = argv[i] }))
			break;
	shell_take_all(ret);
}
