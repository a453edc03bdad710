/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shell_take: what shell.c (text to commands), shell_take.c (commands to what they run) and
 * shell_script.c (the commands) share.
 */
#pragma once

#include "guard/shell.h"

/* A new empty command; -1: no more fit. */
int shell_add(struct shell_script *s);
bool shell_add_word(struct shell_script *s, int command, struct shell_word word);
/* Of a redirection, to one of the command's two lists. */
void shell_add_target(struct shell_script *s, struct str **list, int *n, struct str target);
struct str shell_keep(struct shell_script *s, struct str text); /* a copy */
/* Appends what a text would run; the first command or -1. */
int shell_parse_more(struct shell_script *script, struct str text, int depth);
/* Takes prefixes off every command, and appends what is run by way of another. */
void shell_take_all(struct shell_script *script);
