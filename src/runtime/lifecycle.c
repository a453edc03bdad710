/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/lifecycle.h"

#define STEP(to, what)                                                         \
	{                                                                      \
		.next = SANDBOX_##to, .deed = DEED_##what, .is_possible = true \
	}

/* clang-format off */
static const struct life_step table[SANDBOX_STATE_MAX][LIFE_MAX] = {
	[SANDBOX_CREATING] = {
		[LIFE_BUILD]      = STEP(BUILDING, NONE),
		[LIFE_STARTED]    = STEP(STARTING, CONFIGURE),
		[LIFE_FAIL]       = STEP(FAILED,   REFUSE),
		[LIFE_STOP]       = STEP(STOPPING, LEAVE),
		[LIFE_END]        = STEP(ENDING,   LEAVE),
	},
	[SANDBOX_BUILDING] = {
		[LIFE_STARTED]    = STEP(STARTING, CONFIGURE),
		[LIFE_FAIL]       = STEP(FAILED,   REFUSE),
		[LIFE_STOP]       = STEP(STOPPING, LEAVE),
		[LIFE_END]        = STEP(ENDING,   LEAVE),
	},
	[SANDBOX_STARTING] = {
		[LIFE_CONFIGURED] = STEP(READY,    WELCOME),
		[LIFE_FAIL]       = STEP(FAILED,   DISCARD),
		[LIFE_STOP]       = STEP(STOPPING, DESTROY),
		[LIFE_END]        = STEP(ENDING,   DESTROY),
		[LIFE_GONE]       = STEP(FAILED,   REFUSE),
	},
	[SANDBOX_READY] = {
		[LIFE_BUSY]       = STEP(RUNNING,  NONE),
		[LIFE_FROZEN]     = STEP(PAUSED,   NONE),
		[LIFE_STOP]       = STEP(STOPPING, DESTROY),
		[LIFE_END]        = STEP(ENDING,   DESTROY),
		[LIFE_GONE]       = STEP(ENDED,    BURY),
	},
	[SANDBOX_RUNNING] = {
		[LIFE_IDLE]       = STEP(READY,    NONE),
		[LIFE_FROZEN]     = STEP(PAUSED,   NONE),
		[LIFE_STOP]       = STEP(STOPPING, DESTROY),
		[LIFE_END]        = STEP(ENDING,   DESTROY),
		[LIFE_GONE]       = STEP(ENDED,    BURY),
	},
	[SANDBOX_PAUSED] = {
		[LIFE_THAWED]     = STEP(READY,    NONE),
		[LIFE_STOP]       = STEP(STOPPING, DESTROY),
		[LIFE_END]        = STEP(ENDING,   DESTROY),
		[LIFE_GONE]       = STEP(ENDED,    BURY),
	},
	[SANDBOX_STOPPING] = {
		[LIFE_STARTED]    = STEP(STOPPING, DESTROY),
		[LIFE_FAIL]       = STEP(STOPPED,  BURY),
		[LIFE_STOP]       = STEP(STOPPING, DESTROY),
		[LIFE_END]        = STEP(ENDING,   DESTROY),
		[LIFE_GONE]       = STEP(STOPPED,  BURY),
	},
	[SANDBOX_STOPPED] = {
		[LIFE_STOP]       = STEP(STOPPED,  NONE),
		[LIFE_END]        = STEP(ENDED,    FORGET),
	},
	[SANDBOX_ENDING] = {
		[LIFE_STARTED]    = STEP(ENDING,   DESTROY),
		[LIFE_FAIL]       = STEP(ENDED,    BURY),
		[LIFE_STOP]       = STEP(ENDING,   DESTROY),
		[LIFE_END]        = STEP(ENDING,   DESTROY),
		[LIFE_GONE]       = STEP(ENDED,    BURY),
	},
	[SANDBOX_ENDED] = {
		[LIFE_STOP]       = STEP(ENDED,    NONE),
		[LIFE_END]        = STEP(ENDED,    FORGET),
	},
	[SANDBOX_FAILED] = {
		[LIFE_STOP]       = STEP(FAILED,   NONE),
		[LIFE_END]        = STEP(FAILED,   NONE),
		[LIFE_GONE]       = STEP(FAILED,   FORGET),
	},
};
/* clang-format on */

struct word {
	const char *name, *text;
};

static const struct word states[] = {
#define STATE(name, word, text) { word, text },
#include "runtime/lifecycle.def"
};

static const struct word lives[] = {
#define LIFE(name, word, text) { word, text },
#include "runtime/lifecycle.def"
};

static const struct word deeds[] = {
#define DEED(name, word, text) { word, text },
#include "runtime/lifecycle.def"
};

const struct life_step *lifecycle_find(enum sandbox_state state, enum life what)
{
	const struct life_step *step = &table[state][what];
	return step->is_possible ? step : NULL;
}

const char *sandbox_state_name(enum sandbox_state state)
{
	return states[state].name;
}

bool sandbox_state_from_name(struct str name, enum sandbox_state *ret)
{
	for (int i = 0; i < SANDBOX_STATE_MAX; i++) {
		if (!str_is(name, states[i].name))
			continue;
		*ret = (enum sandbox_state)i;
		return true;
	}
	return false;
}

bool sandbox_state_is_final(enum sandbox_state state)
{
	return state == SANDBOX_STOPPED || state == SANDBOX_ENDED || state == SANDBOX_FAILED;
}

static void print_words(struct buf *b, const char *title, const struct word *words, int n)
{
	buf_printf(b, "\n## %s\n\n", title);
	for (int i = 0; i < n; i++)
		if (words[i].name[0])
			buf_printf(b, "- **%s**: %s\n", words[i].name, words[i].text);
}

static void print_step(struct buf *b, int state, int life, const struct life_step *step)
{
	buf_printf(b, "| %s | %s | %s | %s |\n", states[state].name, lives[life].name,
		states[step->next].name, deeds[step->deed].name);
}

void lifecycle_print(struct buf *b)
{
	buf_puts(b,
		"# The life of a sandbox\n\n"
		"Printed from `src/runtime/lifecycle.c` by `make bless`; do not edit.\n"
		"What is not in the table cannot happen: a caller who asks for it gets `conflict`.\n");
	print_words(b, "States", states, SANDBOX_STATE_MAX);
	print_words(b, "What happens", lives, LIFE_MAX);
	print_words(b, "What is done", deeds, DEED_MAX);
	buf_puts(b,
		"\n## The table\n\n| state | what happens | next | what is done |\n|---|---|---|---|\n");
	for (int state = 0; state < SANDBOX_STATE_MAX; state++)
		for (int life = 0; life < LIFE_MAX; life++)
			if (table[state][life].is_possible)
				print_step(b, state, life, &table[state][life]);
}
