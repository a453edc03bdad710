/* SPDX-License-Identifier: Apache-2.0 */
/*
 * help: what a person reads about the commands, made from their rows. Text goes to a buf, so that
 * golden files, man pages and terminals get the same.
 */
#pragma once

#include "base/buf.h"
#include "cli/command.h"

enum { HELP_TEXT_MAX = 256 * 1024, HELP_COLUMNS = 80 };

/* "cay exec [OPTION…] SANDBOX [--] COMMAND [ARG…]" */
void help_put_usage(struct buf *b, const struct command *command);
void help_put_command(struct buf *b, const struct command *command);
void help_put_overview(struct buf *b);
/*
 * Paragraphs, separated by empty lines, wrapped at HELP_COLUMNS with `indent` spaces before each
 * line.
 */
void help_put_wrapped(struct buf *b, const char *text, int indent);

/* To standard output. */
int help_print_command(const struct command *command, struct error *err);
/* The functions of the commands `help` and `version`. */
int help_main(struct invocation *in, struct error *err);
int version_main(struct invocation *in, struct error *err);
