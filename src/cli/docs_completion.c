/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/docs.h"

#include "cli/command.h"

static const char *const kinds[] = {
	[COMPLETE_NOTHING] = "nothing",
	[COMPLETE_FILE] = "file",
	[COMPLETE_DIR] = "dir",
	[COMPLETE_SANDBOX] = "sandbox",
	[COMPLETE_COMMAND] = "command",
	[COMPLETE_PROGRAM] = "program",
	[COMPLETE_PLACE] = "place",
	[COMPLETE_CONTROL] = "control",
};

static void put_options(struct buf *b, const struct command *c)
{
	const struct command_option *o;
	buf_printf(b, "\t[%s]=\"", c->name);
	for (int i = 0; (o = command_option_at(c, i)); i++)
		buf_printf(b, "%s--%s", i ? " " : "", o->name);
	buf_puts(b, "\"\n");
}

/* What an option's value is: a kind, or the words it may be. */
static void put_value(struct buf *b, const struct command *c, const struct command_option *o,
	const char *spelling)
{
	buf_printf(b, "\t[%s %s]=\"%s", c->name, spelling, o->words ? "word" : kinds[o->complete]);
	for (const char *const *word = o->words; word && *word; word++)
		buf_printf(b, " %s", *word);
	buf_puts(b, "\"\n");
}

static void put_values(struct buf *b, const struct command *c)
{
	const struct command_option *o;
	for (int i = 0; (o = command_option_at(c, i)); i++) {
		if (o->type == OPTION_FLAG)
			continue;
		auto_buf struct buf name = BUF_INIT(100);
		buf_printf(&name, "--%s", o->name);
		put_value(b, c, o, name.ptr);
		if (o->letter)
			put_value(b, c, o, (const char[]){ '-', o->letter, '\0' });
	}
}

static void put_arguments(struct buf *b, const struct command *c)
{
	buf_printf(b, "\t[%s]=\"", c->name);
	for (const struct command_argument *a = c->arguments; a && a->name; a++) {
		const char *more = a->flags & ARGUMENT_MANY ? "+"
			: a->flags & ARGUMENT_COMMAND       ? "!"
							    : "";
		buf_printf(b, "%s%s%s", a == c->arguments ? "" : " ", kinds[a->complete], more);
	}
	buf_puts(b, "\"\n");
}

static void put_table(struct buf *b, const char *name,
	void (*put)(struct buf *, const struct command *))
{
	buf_printf(b, "declare -gA _cay_%s=(\n", name);
	for (const struct command *const *c = command_table; *c; c++)
		put(b, *c);
	buf_puts(b, ")\n");
}

void docs_put_completion(struct buf *b)
{
	static const char *const controls[] = {
#define CONTROL(name, word, text) word,
#include "sandbox/control.def"
#undef CONTROL
	};
	buf_puts(b, "# Made from src/cli/table_*.c and completions/cay.bash: change those.\n");
	put_table(b, "options", put_options);
	put_table(b, "values", put_values);
	put_table(b, "arguments", put_arguments);
	buf_puts(b, "_cay_controls=\"");
	for (size_t i = 0; i < sizeof(controls) / sizeof(controls[0]); i++)
		buf_printf(b, "%s%s", i ? " " : "", controls[i]);
	buf_puts(b, "\"\n_cay_commands=\"");
	for (const struct command *const *c = command_table; *c; c++)
		buf_printf(b, "%s%s", c == command_table ? "" : " ", (*c)->name);
	buf_puts(b, "\"\n");
}
