/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation: a recursive descent through bash's grammar, as far as it decides where a
 * command ends. Nothing is built; each function moves `at` past what it is named after and says
 * whether that was there. The first thing that does not fit sets has_failed and the text is one
 * command.
 *
 *	list      newlines? and_or ((";" | "&" | newline) and_or)* up to what closes the construct around it
 *	and_or    pipeline (("&&" | "||") newlines? pipeline)*
 *	pipeline  "!"? command (("|" | "|&") newlines? command)*
 *	command   simple | function | compound redirection*
 *
 * Here-documents begin where the line ends: their delimiters wait in `heredocs` until take_newline,
 * at whatever depth that is, walks over the bodies.
 */
#include "face/openhands/split.h"

#include "base/auto.h"

enum { DEPTH_MAX = 100, HEREDOCS_MAX = 16 };

struct heredoc {
	struct str delimiter;
	bool strips_tabs; /* <<- */
};

struct parser {
	struct str text;
	size_t at;
	int depth;
	size_t n_heredocs;
	struct heredoc heredocs[HEREDOCS_MAX];
	bool has_failed;
};

static bool parse_list(struct parser *p);
static bool parse_compound(struct parser *p);

static bool fail(struct parser *p)
{
	p->has_failed = true;
	return false;
}

static bool is_end(const struct parser *p)
{
	return p->at >= p->text.len;
}

/* The byte `ahead` of here, NUL beyond the end. */
static char peek(const struct parser *p, size_t ahead)
{
	return p->at + ahead < p->text.len ? p->text.ptr[p->at + ahead] : '\0';
}

static bool looks_at(const struct parser *p, const char *s)
{
	return str_starts(str_skip(p->text, p->at), str_from(s));
}

static bool take(struct parser *p, const char *s)
{
	if (!looks_at(p, s))
		return false;
	p->at += strlen(s);
	return true;
}

static bool expect(struct parser *p, const char *s)
{
	return take(p, s) || fail(p);
}

/* A quote of any kind, a backslash or the start of an expansion. */
static bool is_quoting(char c)
{
	return c != '\0' && strchr("\\\"'`$", c);
}

/* Bytes that end a word unless they are quoted. */
static bool is_meta(char c)
{
	return c == '\0' || strchr(" \t\n;&|()<>", c);
}

/*
 * Blanks, joined lines and a comment, but not the newline that ends it. Only where no word is open.
 */
static void skip_blanks(struct parser *p)
{
	while (!is_end(p)) {
		if (peek(p, 0) == ' ' || peek(p, 0) == '\t')
			p->at++;
		else if (!take(p, "\\\n"))
			break;
	}
	if (peek(p, 0) == '#')
		while (!is_end(p) && peek(p, 0) != '\n')
			p->at++;
}

/* The body up to and with the line that is the delimiter. */
static bool skip_heredoc(struct parser *p, const struct heredoc *h)
{
	while (!is_end(p)) {
		struct str rest = str_skip(p->text, p->at), line;
		str_split(&rest, '\n', &line);
		p->at += line.len + (p->at + line.len < p->text.len);
		while (h->strips_tabs && str_starts(line, STR("\t")))
			line = str_skip(line, 1);
		if (str_eq(line, h->delimiter))
			return true;
	}
	return fail(p);
}

static bool take_newline(struct parser *p)
{
	if (!take(p, "\n"))
		return false;
	for (size_t i = 0; i < p->n_heredocs; i++)
		if (!skip_heredoc(p, &p->heredocs[i]))
			return false;
	p->n_heredocs = 0;
	return true;
}

static void skip_newlines(struct parser *p)
{
	do
		skip_blanks(p);
	while (take_newline(p));
}

/* ---- words ---- */

static bool skip_dollar(struct parser *p, bool is_quoted);

static bool skip_to(struct parser *p, char end, bool has_escapes)
{
	while (!is_end(p)) {
		char c = p->text.ptr[p->at++];
		if (c == end)
			return true;
		if (c == '\\' && has_escapes)
			p->at++;
	}
	return fail(p);
}

static bool skip_double_quotes(struct parser *p)
{
	p->at++;
	while (!is_end(p)) {
		char c = peek(p, 0);
		if (c == '$') {
			if (!skip_dollar(p, true))
				return false;
			continue;
		}
		p->at++;
		if (c == '"')
			return true;
		if (c == '\\')
			p->at++;
		else if (c == '`' && !skip_to(p, '`', true))
			return false;
	}
	return fail(p);
}

/* What begins with such a byte. */
static bool skip_quoted(struct parser *p)
{
	switch (peek(p, 0)) {
	case '\\':
		p->at += 2;
		return p->at <= p->text.len || fail(p);
	case '"':
		return skip_double_quotes(p);
	case '$':
		return skip_dollar(p, false);
	default: {
		char quote = p->text.ptr[p->at++];
		return skip_to(p, quote, quote == '`');
	}
	}
}

/* The list of a subshell or substitution whose opening is behind us. */
static bool skip_parenthesis(struct parser *p, bool may_be_empty)
{
	skip_newlines(p);
	if (may_be_empty && take(p, ")"))
		return true;
	return parse_list(p) && expect(p, ")");
}

/* ${…} behind its brace: any text with quotes and expansions of its own. */
static bool skip_brace(struct parser *p)
{
	while (!is_end(p) && !p->has_failed) {
		if (take(p, "}"))
			return true;
		if (is_quoting(peek(p, 0)))
			skip_quoted(p);
		else
			p->at++;
	}
	return fail(p);
}

static bool skip_dollar(struct parser *p, bool is_quoted)
{
	p->at++;
	if (looks_at(p, "(("))
		return fail(p);
	if (!is_quoted && take(p, "'"))
		return skip_to(p, '\'', true);
	bool is_brace = looks_at(p, "{");
	if (!is_brace && !looks_at(p, "("))
		return true;
	if (++p->depth > DEPTH_MAX)
		return fail(p);
	p->at++;
	bool is_ok = is_brace ? skip_brace(p) : skip_parenthesis(p, true);
	p->depth--;
	return is_ok;
}

static bool is_process_substitution(const struct parser *p)
{
	return (peek(p, 0) == '<' || peek(p, 0) == '>') && peek(p, 1) == '(';
}

/* One word, which may not be empty. */
static bool skip_word(struct parser *p)
{
	size_t start = p->at;
	while (!is_end(p)) {
		char c = peek(p, 0);
		if (is_process_substitution(p)) {
			p->at += 2;
			if (!skip_parenthesis(p, true))
				return false;
		} else if (is_quoting(c)) {
			if (!skip_quoted(p))
				return false;
		} else if (c != '\0' && is_meta(c)) {
			break;
		} else {
			p->at++;
		}
	}
	return p->at > start || fail(p);
}

/* The plain word that starts here, "" if there is none: for telling reserved words. */
static struct str peek_word(const struct parser *p)
{
	size_t n = 0;
	while (!is_meta(peek(p, n)))
		n++;
	return str_first(str_skip(p->text, p->at), n);
}

static bool is_word_of(struct str word, const char *const *words)
{
	for (; *words; words++)
		if (str_is(word, *words))
			return true;
	return false;
}

static bool take_word(struct parser *p, const char *word)
{
	return str_is(peek_word(p), word) && take(p, word);
}

static bool expect_word(struct parser *p, const char *word)
{
	skip_blanks(p);
	return take_word(p, word) || fail(p);
}

/* ---- redirections ---- */

static bool parse_heredoc(struct parser *p, bool strips_tabs)
{
	size_t start = p->at;
	if (!skip_word(p) || p->n_heredocs == HEREDOCS_MAX)
		return fail(p);
	struct str delimiter = { p->text.ptr + start, p->at - start };
	for (size_t i = 0; i < delimiter.len; i++)
		if (is_quoting(delimiter.ptr[i]))
			return fail(p);
	p->heredocs[p->n_heredocs++] = (struct heredoc){ delimiter, strips_tabs };
	return true;
}

/* Longest first: each is tried in turn. */
static const char *const redirections[] = { "<<<", "<<-", "<<", "<&", "<>", "<", "&>>", "&>", ">>",
	">&", ">|", ">", NULL };

/* False without failure if no redirection is here. */
static bool parse_redirection(struct parser *p)
{
	size_t digits = 0;
	while (peek(p, digits) >= '0' && peek(p, digits) <= '9')
		digits++;
	char c = peek(p, digits);
	bool is_here = digits
		? c == '<' || c == '>'
		: (c == '<' || c == '>' || looks_at(p, "&>")) && !is_process_substitution(p);
	if (!is_here || (digits && peek(p, digits + 1) == '('))
		return false;
	p->at += digits;
	const char *const *op = redirections;
	while (!take(p, *op))
		op++;
	skip_blanks(p);
	if (strcmp(*op, "<<") == 0 || strcmp(*op, "<<-") == 0)
		return parse_heredoc(p, (*op)[2] == '-');
	return skip_word(p);
}

/* ---- commands ---- */

static const char *const closers[] = { "then", "elif", "else", "fi", "do", "done", "}", NULL };
static const char *const unknown[] = { "!", "case", "coproc", "esac", "select", "time", "[[",
	NULL };

static bool is_closed(const struct parser *p)
{
	return is_end(p) || peek(p, 0) == ')' || is_word_of(peek_word(p), closers);
}

static bool parse_if(struct parser *p)
{
	do {
		if (!parse_list(p) || !expect_word(p, "then") || !parse_list(p))
			return false;
		skip_blanks(p);
	} while (take_word(p, "elif"));
	if (take_word(p, "else") && !parse_list(p))
		return false;
	return expect_word(p, "fi");
}

static bool parse_body(struct parser *p)
{
	return expect_word(p, "do") && parse_list(p) && expect_word(p, "done");
}

static bool parse_while(struct parser *p)
{
	return parse_list(p) && parse_body(p);
}

static bool parse_for(struct parser *p)
{
	skip_blanks(p);
	if (!skip_word(p))
		return false;
	skip_newlines(p);
	if (take_word(p, "in")) {
		for (skip_blanks(p); !is_meta(peek(p, 0)) || is_process_substitution(p);
			skip_blanks(p))
			if (!skip_word(p))
				return false;
	}
	if (!take(p, ";"))
		take_newline(p);
	skip_newlines(p);
	return parse_body(p);
}

static bool parse_group(struct parser *p)
{
	return parse_list(p) && expect_word(p, "}");
}

/* Behind the name: "()", which `function` may do without, and the body. */
static bool parse_function_body(struct parser *p)
{
	skip_blanks(p);
	if (take(p, "(")) {
		skip_blanks(p);
		if (!expect(p, ")"))
			return false;
	}
	skip_newlines(p);
	return parse_compound(p) || fail(p);
}

static bool parse_function(struct parser *p)
{
	skip_blanks(p);
	return skip_word(p) && parse_function_body(p);
}

static const struct {
	const char *word;
	bool (*parse)(struct parser *p);
} compounds[] = {
	{ "{", parse_group },
	{ "for", parse_for },
	{ "function", parse_function },
	{ "if", parse_if },
	{ "until", parse_while },
	{ "while", parse_while },
};

/* False without failure if no compound command is here. */
static bool parse_compound(struct parser *p)
{
	if (take(p, "("))
		return skip_parenthesis(p, false);
	struct str word = peek_word(p);
	for (size_t i = 0; i < ARRAY_LEN(compounds); i++)
		if (str_is(word, compounds[i].word)) {
			p->at += word.len;
			return compounds[i].parse(p);
		}
	return false;
}

static bool parse_simple(struct parser *p)
{
	size_t words = 0, redirected = 0;
	for (;; skip_blanks(p)) {
		if (parse_redirection(p))
			redirected++;
		else if (p->has_failed || is_end(p))
			break;
		else if (words == 1 && redirected == 0 && peek(p, 0) == '(')
			return parse_function_body(p);
		else if (is_meta(peek(p, 0)) && peek(p, 0) != '\0' && !is_process_substitution(p))
			break;
		else if (skip_word(p))
			words++;
	}
	return (!p->has_failed && words + redirected > 0) || fail(p);
}

static bool parse_command(struct parser *p)
{
	skip_blanks(p);
	if (++p->depth > DEPTH_MAX || is_closed(p) || is_word_of(peek_word(p), unknown))
		return fail(p);
	if (parse_compound(p)) {
		do
			skip_blanks(p);
		while (parse_redirection(p));
	} else if (!p->has_failed) {
		parse_simple(p);
	}
	p->depth--;
	return !p->has_failed;
}

static bool parse_pipeline(struct parser *p)
{
	skip_blanks(p);
	if (take_word(p, "!"))
		skip_blanks(p);
	while (parse_command(p)) {
		if (looks_at(p, "||") || !take(p, "|"))
			return true;
		take(p, "&");
		skip_newlines(p);
	}
	return false;
}

static bool parse_and_or(struct parser *p)
{
	while (parse_pipeline(p)) {
		if (!take(p, "&&") && !take(p, "||"))
			return true;
		skip_newlines(p);
	}
	return false;
}

/* Behind a command: ";" or "&", if one is here. */
static bool take_separator(struct parser *p)
{
	skip_blanks(p);
	return !looks_at(p, ";;") && !looks_at(p, ";&") && (take(p, ";") || take(p, "&"));
}

static bool parse_list(struct parser *p)
{
	do {
		skip_newlines(p);
		if (!parse_and_or(p))
			return false;
		if (!take_separator(p) && !looks_at(p, "\n"))
			return is_closed(p) || fail(p);
		skip_newlines(p);
	} while (!p->has_failed && !is_closed(p));
	return !p->has_failed;
}

/* All that bash would read before it runs something: up to the newline, here-documents included. */
static bool parse_line(struct parser *p)
{
	do {
		if (!parse_and_or(p))
			return false;
	} while (take_separator(p) && (skip_blanks(p), !is_end(p) && peek(p, 0) != '\n'));
	if (!is_end(p) && !take_newline(p))
		return fail(p);
	return p->n_heredocs == 0 || fail(p);
}

/* What is between two places, without blanks at its end. Blank items are none. */
static void add_item(struct split *split, struct str text, size_t start, size_t end)
{
	while (end > start && strchr(" \t\n", text.ptr[end - 1]) && text.ptr[end - 1])
		end--;
	if (end > start)
		split->items[split->n++] = str_first(str_skip(text, start), end - start);
}

static bool split_text(struct parser *p, struct split *ret)
{
	size_t start = 0;
	skip_newlines(p);
	while (!is_end(p)) {
		size_t command = p->at;
		if (ret->n < SPLIT_MAX - 1) {
			/* What is between the last command and this one went with the last one. */
			add_item(ret, p->text, start, command);
			start = command;
		}
		if (!parse_line(p))
			return false;
		skip_newlines(p);
	}
	add_item(ret, p->text, start, p->text.len);
	return ret->n > 0 && !p->has_failed;
}

void split_commands(struct str text, struct split *ret)
{
	struct parser p = { .text = text };
	ret->n = 0;
	if (!split_text(&p, ret)) {
		ret->n = 1;
		ret->items[0] = text;
	}
}
