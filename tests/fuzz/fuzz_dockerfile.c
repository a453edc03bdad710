/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Dockerfile becomes steps whose every word can be expanded, or is refused with a line or a
 * reason.
 */
#include "wire/dockerfile.h"

#include "base/bug.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str lookup(void *arg, struct str name)
{
	return name.len % 2 ? STR("value $x ${y}") : STR_NONE;
}

static void check_step(const struct dockerfile *file, const struct dockerfile_step *step,
	struct arena *arena)
{
	struct str out, rest = step->text, piece;
	struct error err;
	size_t sum = 0;
	BUG_IF(!dockerfile_word(step->kind), "a step of no kind");
	BUG_IF(step->line < 1, "a step without a line");
	BUG_IF(step->n_words > DOCKERFILE_WORDS_MAX, "too many words");
	for (size_t i = 0; i < step->n_words; i++)
		if (dockerfile_expand(step->words[i], file->escape, false, lookup, NULL, arena,
			    &out, &err) == 0)
			BUG_IF(out.len > DOCKERFILE_EXPANDED_MAX, "a word beyond its limit");
	for (size_t i = 0; i < step->n_docs; i++)
		dockerfile_expand(step->docs[i].text, file->escape, true, lookup, NULL, arena, &out,
			&err);
	while (dockerfile_next(&rest, file->escape, &piece))
		sum += piece.len;
	BUG_IF(sum > step->text.len, "pieces that are longer than the whole");
	dockerfile_flag(step, "from");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_arena struct arena arena = ARENA_INIT(DOCKERFILE_ARENA), words = ARENA_INIT(1 << 22);
	struct dockerfile file;
	struct error err;
	if (dockerfile_parse(str_from_len((const char *)data, size), &arena, &file, &err) < 0) {
		BUG_IF(err.text[0] == '\0', "a refusal without a word");
		arena_fini(&words);
		return 0;
	}
	BUG_IF(file.n == 0, "an empty file was taken");
	for (size_t i = 0; i < file.n; i++)
		check_step(&file, &file.steps[i], &words);
	arena_fini(&words);
	return 0;
}
