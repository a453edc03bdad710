/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include "base/auto.h"
#include "base/buf.h"
#include "base/nearest.h"
#include "cli/clean.h"
#include "cli/help.h"
#include "cli/options.h"
#include "cli/out.h"
#include "version.h"

#include <signal.h>

enum { COMMANDS_MAX = 64 };

const struct command *command_find(struct str name)
{
	for (const struct command *const *c = command_table; *c; c++)
		if (str_is(name, (*c)->name))
			return *c;
	return NULL;
}

const struct command_option *command_option_at(const struct command *command, int i)
{
	for (int table = 0; table < OPTION_TABLES_MAX && command->options[table]; table++)
		for (const struct command_option *o = command->options[table]; o->name; o++, i--)
			if (i == 0)
				return o;
	return NULL;
}

const char *command_nearest(struct str word, const char *const *words, int n)
{
	return nearest_word(word, words, n);
}

/* One line `cay: create: …`; a control byte in what the error quotes must not reach a terminal. */
static int report(const struct command *command, const struct error *err)
{
	auto_buf struct buf line = BUF_INIT(4 * ERROR_TEXT_MAX);
	struct str text = str_from(err->text);
	buf_puts(&line, "cay: ");
	if (command) {
		size_t at = line.len;
		buf_printf(&line, "%s: ", command->name);
		/* A server names the action, which is often called as the command is. */
		if (str_starts(text, str_skip(buf_str(&line), at)))
			buf_cut(&line, at);
	}
	clean_put_line(&line, text);
	buf_putc(&line, '\n');
	fwrite(line.ptr, 1, line.len, stderr);
	return command && command->failure_exit ? command->failure_exit : error_exit(err->code);
}

/* The command that has another name elsewhere. */
static const char *known_elsewhere(struct str name)
{
	for (const struct command *const *c = command_table; *c; c++) {
		struct str words = str_from((*c)->also ?: ""), word;
		while (str_split(&words, ' ', &word))
			if (name.len && str_eq(word, name))
				return (*c)->name;
	}
	return NULL;
}

static int unknown_command(const char *name)
{
	const char *names[COMMANDS_MAX];
	int n = 0;
	for (const struct command *const *c = command_table; *c && n < COMMANDS_MAX; c++)
		names[n++] = (*c)->name;
	const char *near = known_elsewhere(str_from(name))
		?: command_nearest(str_from(name), names, n);
	struct error err;
	if (near)
		error_set(&err, ERROR_INVALID, "no command '%.40s'; did you mean '%s'?", name,
			near);
	else
		error_set(&err, ERROR_INVALID, "no command '%.40s'; see cay help", name);
	return report(NULL, &err);
}

static int perform(const struct command_binding *bindings, command_fn *other, struct invocation *in,
	struct error *err)
{
	const struct common_options *common = in->values;
	if (common->help)
		return help_print_command(in->command, err);
	for (const struct command_binding *b = bindings; b->name; b++)
		if (!strcmp(b->name, in->command->name))
			return b->run(in, err);
	if (other)
		return other(in, err);
	return error_set(err, ERROR_UNSUPPORTED, "not a command of this program");
}

static int run_command(const struct command_binding *bindings, command_fn *other,
	const struct command *command, int argc, char **argv)
{
	struct invocation in;
	struct error err = { 0 };
	int status = invocation_parse(command, argc, argv, &in, &err);
	if (status == 0)
		status = perform(bindings, other, &in, &err);
	if (status >= 0 && (fflush(stdout) != 0 || ferror(stdout))) {
		out_heed_pipe(errno);
		status = error_sys(&err, errno, "write to standard output");
	}
	invocation_fini(&in);
	return status < 0 ? report(command, &err) : status;
}

int command_main(const struct command_binding *bindings, command_fn *other, int argc, char **argv)
{
	static char help[] = "help", version[] = "version";
	static char *no_words[] = { help, NULL };

	signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		struct error err = { 0 };
		error_set(&err, ERROR_INVALID, "no command given; see cay help");
		return report(NULL, &err);
	}
	char **words = argv + 1;
	if (!strcmp(words[0], "--help") || !strcmp(words[0], "-h"))
		words = no_words;
	const char *name = !strcmp(words[0], "--version") ? version : words[0];
	const struct command *command = command_find(str_from(name));
	if (!command)
		return unknown_command(name);
	return run_command(bindings, other, command, words == no_words ? 0 : argc - 2, words + 1);
}
