/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dockerfile: the text of a Dockerfile as a list of steps
 * (https://docs.docker.com/reference/dockerfile/): comments, the directive "escape", continued
 * lines, the JSON form of commands, flags, here-documents. What is not offered is an error that
 * names the line, as is every other.
 *
 *	struct dockerfile file;
 *	if (dockerfile_parse(text, &arena, &file, err) < 0)
 *		return -1;
 *	for (size_t i = 0; i < file.n; i++)
 *		… file.steps[i] …
 *
 * Variables are not expanded here, as what they stand for changes from step to step:
 * dockerfile_expand does it for a word. Everything is in the arena, which has to have room for
 * DOCKERFILE_ARENA.
 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

enum {
	DOCKERFILE_MAX = 1024 * 1024,
	DOCKERFILE_ARENA = 16 * 1024 * 1024,
	DOCKERFILE_STEPS_MAX = 1000,
	DOCKERFILE_WORDS_MAX = 1000, /* of a step */
	DOCKERFILE_FLAGS_MAX = 8,
	DOCKERFILE_DOCS_MAX = 8,
	DOCKERFILE_EXPANDED_MAX = 256 * 1024, /* of a word */
};

enum dockerfile_kind {
#define INSTRUCTION(name, form, flags) DOCKERFILE_##name,
#include "wire/dockerfile.def"
#undef INSTRUCTION
	DOCKERFILE_KINDS,
};

/* "RUN cat <<EOF" … "EOF" */
struct dockerfile_doc {
	struct str name, text;
	bool is_literal; /* <<'EOF': no variable in it is one */
};

struct dockerfile_step {
	enum dockerfile_kind kind;
	int line;        /* its first */
	struct str text; /* behind the word and the flags, lines joined */
	struct str *words;
	size_t n_words;
	bool is_json; /* words: of the JSON form, whole; else pieces of the text, with their quotes */
	struct str flags[DOCKERFILE_FLAGS_MAX]; /* without "--" */
	size_t n_flags;
	struct dockerfile_doc docs[DOCKERFILE_DOCS_MAX];
	size_t n_docs;
};

struct dockerfile {
	struct dockerfile_step *steps;
	size_t n;
	char escape; /* '\\' or '`' */
};

int dockerfile_parse(struct str text, struct arena *arena, struct dockerfile *ret,
	struct error *err);
const char *dockerfile_word(enum dockerfile_kind kind); /* "RUN" */
/* The value of --NAME=VALUE; STR_NONE: not there; "" for --NAME. */
struct str dockerfile_flag(const struct dockerfile_step *step, const char *name);

/* STR_NONE: it is not set. */
typedef struct str dockerfile_lookup_fn(void *arg, struct str name);
/*
 * A word as a shell would read it: without its quotes, $NAME, ${NAME}, ${NAME:-WORD} and
 * ${NAME:+WORD} replaced, nothing in single quotes. `keeps_quotes`: for text that is no word (a
 * here-document).
 */
int dockerfile_expand(struct str word, char escape, bool keeps_quotes, dockerfile_lookup_fn *lookup,
	void *arg, struct arena *arena, struct str *ret, struct error *err);
/* The next piece of a text, up to a blank that is not quoted; false at its end. */
bool dockerfile_next(struct str *rest, char escape, struct str *ret_piece);
