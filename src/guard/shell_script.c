/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands that a parser finds. Everything lives in the caller's arena; before each allocation
 * stands a look at what is left of it, and what does not fit sets is_cut.
 */
#include "guard/shell_take.h"

static void *take(struct shell_script *s, size_t size)
{
	if (arena_has_room(s->arena, size + 64))
		return arena_alloc(s->arena, size);
	s->is_cut = true;
	return NULL;
}

struct str shell_keep(struct shell_script *s, struct str text)
{
	char *copy = take(s, text.len + 1);
	if (!copy)
		return STR("");
	memcpy(copy, text.ptr ? text.ptr : "", text.len);
	return str_from_len(copy, text.len);
}

int shell_add(struct shell_script *s)
{
	if (s->n == s->room) {
		int room = s->room ? 2 * s->room : 16;
		struct shell_command *more = NULL;
		if (s->n < SHELL_COMMANDS_MAX)
			more = take(s, sizeof(*more) * (size_t)room);
		if (!more) {
			s->is_cut = true;
			return -1;
		}
		if (s->n)
			memcpy(more, s->commands, sizeof(*more) * (size_t)s->n);
		s->commands = more;
		s->room = room;
	}
	s->commands[s->n] = (struct shell_command){ .fed_by = -1, .name = STR("") };
	return s->n++;
}

/* Arrays grow at powers of two; the arena keeps the old ones. */
static void *grow(struct shell_script *s, void *items, int n, size_t size)
{
	if (n & (n - 1))
		return items;
	char *more = take(s, size * (size_t)(n ? 2 * n : 1));
	if (more && n)
		memcpy(more, items, size * (size_t)n);
	return more;
}

bool shell_add_word(struct shell_script *s, int command, struct shell_word word)
{
	struct shell_command *c = &s->commands[command];
	if (c->n_words == SHELL_WORDS_MAX) {
		s->is_cut = true;
		return false;
	}
	struct shell_word *words = grow(s, c->words, c->n_words, sizeof(word));
	if (!words)
		return false;
	c->words = words;
	c->words[c->n_words++] = word;
	return true;
}

void shell_add_target(struct shell_script *s, struct str **list, int *n, struct str target)
{
	struct str *items = grow(s, *list, *n, sizeof(target));
	if (!items)
		return;
	items[*n] = target;
	*list = items;
	(*n)++;
}
