/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/docs.h"

#include "base/error.h"
#include "cli/command.h"

#include <stdlib.h>

enum { LINE = 78 };

static const char head[] = ".\\\" Made from src/cli/table_*.c: change that.\n"
			   ".Dd " DOCS_DATE "\n"
			   ".Dt CAY 1\n"
			   ".Os\n"
			   ".Sh NAME\n"
			   ".Nm cay\n"
			   ".Nd a sandbox of its own for every AI agent\n"
			   ".Sh SYNOPSIS\n"
			   ".Nm\n"
			   ".Ar command\n"
			   ".Op Ar option ...\n"
			   ".Op Ar argument ...\n"
			   ".Sh DESCRIPTION\n"
			   ".Nm\n"
			   "runs commands in sandboxes: one at once, with\n"
			   ".Cm run ,\n"
			   "or many in sandboxes that live, which a server keeps.\n"
			   "The commands\n"
			   ".Cm run , serve , doctor , gc , version\n"
			   "and\n"
			   ".Cm help\n"
			   "need no server.\n"
			   ".Pp\n"
			   "Sizes are bytes, or end in K, M, G or T.\n"
			   "Times are seconds, or end in ms, s, m, h or d.\n"
			   "Results go to standard output and nothing else does;\n"
			   "a failure is one line on standard error.\n"
			   ".Sh COMMANDS\n";

static const char tail[] = ".Sh ENVIRONMENT\n"
			   ".Bl -tag -width Ds\n"
			   ".It Ev CAY_URL\n"
			   "Where the server is, as for\n"
			   ".Fl -url .\n"
			   ".It Ev CAY_TOKEN\n"
			   "The server's token.\n"
			   "For the server: the token it wants, instead of the kept one.\n"
			   ".It Ev XDG_STATE_HOME , XDG_RUNTIME_DIR , HOME\n"
			   "Where state and socket are, for users other than root.\n"
			   ".El\n"
			   ".Sh FILES\n"
			   ".Bl -tag -width Ds\n"
			   ".It Pa /var/lib/cay , ~/.local/state/cay\n"
			   "State of root's server and of a user's; the file\n"
			   ".Pa token\n"
			   "in it is what clients show.\n"
			   ".It Pa /run/cay/cay.sock , $XDG_RUNTIME_DIR/cay/cay.sock\n"
			   "Its socket.\n"
			   ".El\n";

/* Text of ours: no byte of it is taken for an escape. */
static void put_escaped(struct buf *b, struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		struct str rest = str_skip(text, i);
		if (str_starts(rest, STR("\xe2\x80\xa6"))) {
			buf_puts(b, "...");
			i += 2;
		} else if (str_starts(rest, STR("--"))) {
			buf_puts(b, "\\-\\-");
			i++;
		} else if (text.ptr[i] == '\\') {
			buf_puts(b, "\\e");
		} else if (text.ptr[i] == '`') {
			buf_puts(b, "\\(ga");
		} else if (text.ptr[i] == '\'') {
			buf_puts(b, "\\(aq");
		} else {
			buf_putc(b, text.ptr[i]);
		}
	}
}

/* Words on lines of at most LINE columns; none that begins with a dot is taken for a request. */
static void put_text(struct buf *b, struct str text)
{
	auto_buf struct buf escaped = BUF_INIT(DOCS_MAX);
	put_escaped(&escaped, text);
	struct str rest = buf_str(&escaped), word;
	size_t at = 0;
	while (str_split(&rest, ' ', &word)) {
		bool fits = at > 0 && at + 1 + word.len <= LINE;
		if (at > 0)
			buf_putc(b, fits ? ' ' : '\n');
		if (!fits && str_starts(word, STR(".")))
			buf_puts(b, "\\&");
		buf_put(b, word);
		at = (fits ? at + 1 : 0) + word.len;
	}
	buf_putc(b, '\n');
}

/* Each sentence on lines of its own, as mdoc wants it. */
void docs_put_text(struct buf *b, struct str text)
{
	while (text.len) {
		ptrdiff_t end = str_find(text, STR(". "));
		struct str sentence = end < 0 ? text : str_first(text, (size_t)end + 1);
		put_text(b, sentence);
		text = str_skip(text, sentence.len + (end < 0 ? 0 : 1));
	}
}

static void put_paragraphs(struct buf *b, const char *text)
{
	struct str rest = str_from(text), paragraph;
	while (str_split(&rest, '\n', &paragraph)) {
		if (paragraph.len == 0)
			continue;
		buf_puts(b, ".Pp\n");
		docs_put_text(b, paragraph);
	}
}

static void put_usage(struct buf *b, const struct command *c)
{
	buf_printf(b, ".Nm cay %s\n.Op Ar option ...\n", c->name);
	for (const struct command_argument *a = c->arguments; a && a->name; a++) {
		bool is_optional = a->flags & ARGUMENT_OPTIONAL;
		if (a->flags & ARGUMENT_COMMAND)
			buf_puts(b, ".Op Fl -\n.Ar command\n.Op Ar arg ...\n");
		else
			buf_printf(b, ".%sAr %s%s\n", is_optional ? "Op " : "", a->name,
				a->flags & ARGUMENT_MANY ? " ..." : "");
	}
}

static void put_option(struct buf *b, const struct command_option *o)
{
	buf_puts(b, ".It ");
	if (o->letter)
		buf_printf(b, "Fl %c , ", o->letter);
	buf_printf(b, "Fl -%s", o->name);
	if (o->value)
		buf_printf(b, " Ar %s", o->value);
	buf_putc(b, '\n');
	auto_buf struct buf help = BUF_INIT(4096);
	buf_printf(&help, "%s", o->help);
	if (o->standard)
		buf_printf(&help, " (default: %s)", o->standard);
	put_text(b, buf_str(&help));
}

static void put_examples(struct buf *b, const struct command *c)
{
	for (const struct command_example *e = c->examples; e && e->line; e++) {
		buf_puts(b, ".Pp\n");
		put_text(b, str_from(e->what));
		buf_puts(b, ".Dl ");
		put_escaped(b, str_from(e->line));
		buf_putc(b, '\n');
	}
}

static void put_command(struct buf *b, const struct command *c)
{
	buf_printf(b, ".Ss %s\n", c->name);
	put_usage(b, c);
	buf_puts(b, ".Pp\n");
	buf_printf(b, "%c%s.\n", c->summary[0] - 'a' + 'A', c->summary + 1);
	if (c->description)
		put_paragraphs(b, c->description);
	buf_puts(b, ".Bl -tag -width Ds\n");
	for (const struct command_argument *a = c->arguments; a && a->name; a++) {
		buf_printf(b, ".It Ar %s\n", a->name);
		auto_buf struct buf help = BUF_INIT(4096);
		buf_printf(&help, "%s", a->help);
		put_text(b, buf_str(&help));
	}
	const struct command_option *o;
	for (int i = 0; (o = command_option_at(c, i)); i++)
		if (strcmp(o->name, "help") != 0)
			put_option(b, o);
	buf_puts(b, ".El\n");
	put_examples(b, c);
}

/* From base/error.def, one line for each status. */
static void put_statuses(struct buf *b)
{
	buf_puts(b,
		".Sh EXIT STATUS\n"
		".Cm run\n"
		"and\n"
		".Cm exec\n"
		"exit with the status of the program they ran, 128+N if signal N ended it,\n"
		"and with 125 for a failure of their own.\n"
		"The other commands exit with\n"
		".Pp\n"
		".Bl -tag -width 99 -compact\n"
		".It 0\n"
		"success\n");
	for (int status = 1; status < 64; status++)
		for (int code = 1; code < ERROR_MAX; code++)
			if (error_exit((enum error_code)code) == status)
				buf_printf(b, ".It %d\n%s\n", status,
					error_name((enum error_code)code));
	buf_puts(b, ".El\n");
}

void docs_put_man(struct buf *b)
{
	buf_puts(b, head);
	for (const struct command *const *c = command_table; *c; c++)
		put_command(b, *c);
	buf_puts(b, tail);
	put_statuses(b);
}
