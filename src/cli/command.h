/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command: the command line as data. One const row per command says its name, arguments and
 * options; from the rows come the parser, --help, the man pages and the completion of bash.
 * cli/table_*.c hold every row.
 *
 * `cay` and `cay-client` share the rows; each binds functions to those it performs itself and hands
 * the result to command_main (src/main/cay.c, src/main/cay-client.c):
 *
 *	static const struct command_binding bindings[] = {
 *		{ "run", run_main },
 *		{ 0 },
 *	};
 *	return command_main("cay", bindings, argc, argv);
 *
 * A function gets its options decoded into the struct that its row names (cli/options.h) and
 * returns the exit status, or -1 with *err filled; command_main then prints one line `cay: exec: …`
 * on standard error and the status is the error's of base/error.def. Standard output carries
 * results and nothing else.
 */
#pragma once

#include "base/arena.h"
#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum option_type {
	OPTION_FLAG = 1, /* bool */
	OPTION_TEXT,     /* const char *, NULL if not given */
	OPTION_TEXTS,    /* struct option_texts: may be given often */
	OPTION_INT,      /* int64_t */
	OPTION_SIZE,     /* int64_t, bytes: 512M */
	OPTION_DURATION, /* int64_t, milliseconds: 30s */
	OPTION_CPU,      /* int64_t, thousandths of a core: 1.5 */
};

enum { OPTION_UNLIMITED = 1 /* takes the word `unlimited`, which is -1 */ };
enum { OPTION_TEXTS_MAX = 1024, OPTION_TABLES_MAX = 4 };

/* What bash offers for a value or an argument. */
enum completion {
	COMPLETE_NOTHING,
	COMPLETE_FILE,
	COMPLETE_DIR,
	COMPLETE_SANDBOX,
	COMPLETE_COMMAND, /* of cay */
	COMPLETE_PROGRAM, /* of the machine */
	COMPLETE_PLACE,   /* a file, or SANDBOX: */
	COMPLETE_CONTROL, /* of sandbox/control.def */
};

struct command_option {
	const char *name; /* "memory": --memory */
	char letter;      /* 'm': -m; 0: none */
	enum option_type type;
	size_t offset;     /* OPTION_AT(struct, member) */
	const char *value; /* "BYTES"; NULL for a flag */
	const char *help;
	int flags;
	int64_t min, max;         /* OPTION_INT; both 0: any */
	const char *standard;     /* the default, as text; NULL: zero */
	const char *const *words; /* OPTION_TEXT: the only values allowed, NULL-terminated */
	enum completion complete;
};

#define OPTION_AT(type, member) offsetof(type, member)

struct option_texts {
	const char **items;
	int n;
};

enum {
	ARGUMENT_OPTIONAL = 1,
	ARGUMENT_MANY = 2,    /* this one again and again; the last of its row */
	ARGUMENT_COMMAND = 4, /* a program and all of its own arguments; the last of its row */
};

struct command_argument {
	const char *name; /* "SANDBOX" */
	int flags;
	enum completion complete;
	const char *help;
};

struct command_example {
	const char *line; /* "cay serve" */
	const char *what; /* "Serve this machine:" */
};

struct command {
	const char *name;
	const char *group;   /* headline in `cay help` */
	const char *summary; /* imperative, no full stop */
	const char *also;    /* what the like is called elsewhere, for who types that: "ps list" */
	/* paragraphs, separated by empty lines; wrapped by who prints it */
	const char *description;
	const struct command_example *examples;   /* { 0 } ends them; NULL: none */
	const struct command_argument *arguments; /* ended by an empty one; NULL: none */
	/* tables, each ended by an empty row */
	const struct command_option *options[OPTION_TABLES_MAX];
	int failure_exit; /* of cay's own failures; 0: that of the error (base/error.def) */
	size_t values_size; /* of the struct in cli/options.h, which begins with struct common_options */
};

/* Every command in the order in which help shows it, NULL-terminated. */
extern const struct command *const command_table[];
const struct command *command_find(struct str name); /* NULL if there is none */

/* The i-th option of all its tables, NULL behind the last. */
const struct command_option *command_option_at(const struct command *command, int i);

/* One command line, taken apart. Everything lives in `arena` or in argv. */
struct invocation {
	const struct command *command;
	void *values;            /* the struct of cli/options.h that the row names */
	const char *const *args; /* NULL-terminated, without the options */
	int n_args;
	char **argv; /* the words after the command's name, as they were given */
	int argc;
	struct arena arena;
};

/*
 * Takes the words after the command's name apart. ERROR_INVALID names the word; an unknown option
 * comes with the nearest known one. With --help nothing is demanded. invocation_fini in any case.
 */
int invocation_parse(const struct command *command, int argc, char **argv, struct invocation *ret,
	struct error *err);
void invocation_fini(struct invocation *in);

typedef int command_fn(struct invocation *in, struct error *err);

struct command_binding {
	const char *name;
	command_fn *run;
};

/*
 * The whole of a main(): --help, --version, an unknown command's nearest one, the binding's
 * function, the error line. A command without a binding goes to `other` (cay: exec cay-client), if
 * that is not NULL. `argv` starts with the program's name. SIGPIPE is ignored from here on: a
 * closed pipe is an EPIPE.
 */
int command_main(const struct command_binding *bindings, command_fn *other, int argc, char **argv);

/* The nearest of NULL-terminated `words` that is near enough to have been meant, or NULL. */
const char *command_nearest(struct str word, const char *const *words, int n);
