/* SPDX-License-Identifier: Apache-2.0 */
/* The texts that derive from a command's row: --help, the overview, the manual page. */
#include "cli/command.h"

#include "base/bug.h"

enum { HELP_COLUMN = 30 };

static const char *summary_of(const struct command *c)
{
	const struct command_name *n = command_name_find(c->name);
	BUG_IF(!n, "a command is missing in command.def");
	return n->summary;
}

static void put_option(const struct option_row *o, struct buf *b)
{
	size_t start = b->len;
	if (o->letter)
		buf_printf(b, "  -%c, --%s", o->letter, o->name);
	else
		buf_printf(b, "      --%s", o->name);
	if (o->type != OPTION_FLAG)
		buf_printf(b, " %s", o->value ? o->value : "VALUE");
	size_t width = b->len - start;
	if (width + 2 > HELP_COLUMN) {
		buf_putc(b, '\n');
		width = 0;
	}
	buf_printf(b, "%*s%s", (int)(HELP_COLUMN - width), "", o->help);
	if (o->standard)
		buf_printf(b, " (default %s)", o->standard);
	if (o->type == OPTION_LIST)
		buf_puts(b, "; may be repeated");
	buf_putc(b, '\n');
}

void command_help(const struct command *c, struct buf *b)
{
	buf_printf(b, "usage: cay %s%s%s%s\n\n%s\n", c->name, c->options ? " [OPTION…]" : "",
		c->arguments ? " " : "", c->arguments ? c->arguments : "", summary_of(c));
	if (c->options)
		buf_puts(b, "\noptions:\n");
	for (const struct option_row *o = c->options; o && o->name; o++)
		put_option(o, b);
	if (c->details)
		buf_printf(b, "\n%s\n", c->details);
	if (c->examples)
		buf_printf(b, "\nexamples:\n%s\n", c->examples);
}

void command_overview(struct buf *b)
{
	buf_puts(b, "usage: cay COMMAND [OPTION…] [ARGUMENT…]\n\ncommands:\n");
	for (const struct command_name *n = command_names; n->name; n++)
		buf_printf(b, "  %-10s %s\n", n->name, n->summary);
	buf_puts(b, "\n`cay COMMAND --help` shows the options of a command.\n");
}

/* mdoc: a line must not start with a dot or a quote, a backslash is an escape. */
static void put_roff(const char *text, struct buf *b)
{
	bool at_start = true;
	for (const char *p = text; *p; p++) {
		if (at_start && (*p == '.' || *p == '\''))
			buf_puts(b, "\\&");
		if (*p == '\\')
			buf_puts(b, "\\e");
		else
			buf_putc(b, *p);
		at_start = *p == '\n';
	}
}

static void put_manual_option(const struct option_row *o, struct buf *b)
{
	buf_puts(b, ".It");
	if (o->letter)
		buf_printf(b, " Fl %c ,", o->letter);
	buf_printf(b, " Fl -%s", o->name);
	if (o->type != OPTION_FLAG)
		buf_printf(b, " Ar %s", o->value ? o->value : "VALUE");
	buf_putc(b, '\n');
	put_roff(o->help, b);
	if (o->standard)
		buf_printf(b, " (default %s)", o->standard);
	buf_puts(b, ".\n");
}

void command_manual(const struct command *c, struct buf *b)
{
	buf_printf(b, ".Dd $Mdocdate$\n.Dt CAY-%s 1\n.Os\n.Sh NAME\n.Nm cay-%s\n.Nd %s\n", c->name,
		c->name, summary_of(c));
	buf_printf(b, ".Sh SYNOPSIS\n.Nm cay %s\n", c->name);
	if (c->options)
		buf_puts(b, ".Op Ar OPTION...\n");
	if (c->arguments)
		buf_printf(b, ".Ar %s\n", c->arguments);
	buf_puts(b, ".Sh DESCRIPTION\n");
	put_roff(c->details ? c->details : summary_of(c), b);
	buf_puts(b, "\n");
	if (c->options)
		buf_puts(b, ".Bl -tag -width indent\n");
	for (const struct option_row *o = c->options; o && o->name; o++)
		put_manual_option(o, b);
	if (c->options)
		buf_puts(b, ".El\n");
	if (c->examples) {
		buf_puts(b, ".Sh EXAMPLES\n.Bd -literal\n");
		put_roff(c->examples, b);
		buf_puts(b, "\n.Ed\n");
	}
	buf_puts(b, ".Sh SEE ALSO\n.Xr cay 1\n");
}
