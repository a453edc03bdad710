/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"

#include "cli/options.h"
#include "cli/out.h"
#include "version.h"

enum { OPTION_COLUMN = 26, COMMAND_COLUMN = 12 };

/* Columns of UTF-8 text of ours, in which every character is one column wide. */
static size_t columns(struct str s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.len; i++)
		n += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
	return n;
}

static void put_spaces(struct buf *b, size_t n)
{
	buf_printf(b, "%*s", (int)n, "");
}

/* One paragraph; the cursor stands at column `at`, further lines begin at `indent`. */
static void put_paragraph(struct buf *b, struct str text, size_t at, size_t indent)
{
	struct str word;
	bool is_first = true;
	while (str_split(&text, ' ', &word)) {
		size_t wide = columns(word);
		if (!is_first && at + 1 + wide > HELP_COLUMNS) {
			buf_putc(b, '\n');
			put_spaces(b, indent);
			at = indent;
		} else if (!is_first) {
			buf_putc(b, ' ');
			at++;
		}
		buf_put(b, word);
		at += wide;
		is_first = false;
	}
	buf_putc(b, '\n');
}

void help_put_wrapped(struct buf *b, const char *text, int indent)
{
	struct str rest = str_from(text), paragraph;
	for (bool is_first = true; str_split(&rest, '\n', &paragraph); is_first = false) {
		if (paragraph.len == 0)
			continue;
		if (!is_first)
			buf_putc(b, '\n');
		put_spaces(b, (size_t)indent);
		put_paragraph(b, paragraph, (size_t)indent, (size_t)indent);
	}
}

/* `name` at the left, `text` wrapped from `column` on. */
static void put_entry(struct buf *b, struct str name, const char *text, size_t column)
{
	buf_puts(b, "  ");
	buf_put(b, name);
	size_t at = 2 + columns(name);
	if (at + 2 > column) {
		buf_putc(b, '\n');
		at = 0;
	}
	put_spaces(b, column - at);
	put_paragraph(b, str_from(text), column, column);
}

static void put_argument(struct buf *b, const struct command_argument *a)
{
	bool is_optional = a->flags & ARGUMENT_OPTIONAL;
	if (a->flags & ARGUMENT_COMMAND)
		buf_puts(b, is_optional ? " [[--] COMMAND [ARG…]]" : " [--] COMMAND [ARG…]");
	else
		buf_printf(b, " %s%s%s%s", is_optional ? "[" : "", a->name,
			a->flags & ARGUMENT_MANY ? "…" : "", is_optional ? "]" : "");
}

void help_put_usage(struct buf *b, const struct command *command)
{
	buf_printf(b, "cay %s [OPTION…]", command->name);
	for (const struct command_argument *a = command->arguments; a && a->name; a++)
		put_argument(b, a);
}

static void put_option(struct buf *b, const struct command_option *o)
{
	auto_buf struct buf name = BUF_INIT(200), text = BUF_INIT(1000);
	if (o->letter)
		buf_printf(&name, "-%c, ", o->letter);
	else
		buf_puts(&name, "    ");
	buf_printf(&name, "--%s", o->name);
	if (o->value)
		buf_printf(&name, " %s", o->value);
	buf_puts(&text, o->help);
	if (o->standard)
		buf_printf(&text, " (default: %s)", o->standard);
	put_entry(b, buf_str(&name), text.ptr, OPTION_COLUMN);
}

static void put_examples(struct buf *b, const struct command *command)
{
	buf_puts(b, "\nExamples:\n");
	for (const struct command_example *e = command->examples; e->line; e++) {
		put_spaces(b, 2);
		put_paragraph(b, str_from(e->what), 2, 2);
		buf_printf(b, "    %s\n", e->line);
	}
}

void help_put_command(struct buf *b, const struct command *command)
{
	buf_puts(b, "usage: ");
	help_put_usage(b, command);
	buf_printf(b, "\n\n%c%s.\n", command->summary[0] - 'a' + 'A', command->summary + 1);
	if (command->description) {
		buf_putc(b, '\n');
		help_put_wrapped(b, command->description, 0);
	}
	if (command->arguments)
		buf_puts(b, "\nArguments:\n");
	for (const struct command_argument *a = command->arguments; a && a->name; a++)
		put_entry(b, str_from(a->name), a->help, OPTION_COLUMN);
	buf_puts(b, "\nOptions:\n");
	const struct command_option *o;
	for (int i = 0; (o = command_option_at(command, i)); i++)
		put_option(b, o);
	if (command->examples)
		put_examples(b, command);
}

void help_put_overview(struct buf *b)
{
	buf_puts(b,
		"usage: cay COMMAND [OPTION…] [ARGUMENT…]\n\n"
		"A sandbox of its own for every AI agent.\n");
	const char *group = "";
	for (const struct command *const *c = command_table; *c; c++) {
		if (strcmp(group, (*c)->group) != 0)
			buf_printf(b, "\n%s:\n", (*c)->group);
		group = (*c)->group;
		put_entry(b, str_from((*c)->name), (*c)->summary, COMMAND_COLUMN);
	}
	buf_puts(b, "\ncay help COMMAND, or cay COMMAND --help, tells more about one of them.\n");
}

int help_print_command(const struct command *command, struct error *err)
{
	auto_buf struct buf b = BUF_INIT(HELP_TEXT_MAX);
	help_put_command(&b, command);
	return out_text(buf_str(&b), err);
}

int help_main(struct invocation *in, struct error *err)
{
	auto_buf struct buf b = BUF_INIT(HELP_TEXT_MAX);
	if (in->n_args == 0) {
		help_put_overview(&b);
		return out_text(buf_str(&b), err);
	}
	const struct command *c = command_find(str_from(in->args[0]));
	if (!c)
		return error_set(err, ERROR_INVALID, "no command '%.40s'; see cay help",
			in->args[0]);
	return help_print_command(c, err);
}

int version_main(struct invocation *in, struct error *err)
{
	const struct common_options *options = in->values;
	auto_buf struct buf b = BUF_INIT(1000);
	if (options->json)
		buf_puts(&b, "{\"version\":\"" CAY_VERSION "\"}\n");
	else
		buf_puts(&b, "cay " CAY_VERSION "\n");
	return out_text(buf_str(&b), err);
}
