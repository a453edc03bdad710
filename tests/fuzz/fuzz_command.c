/* SPDX-License-Identifier: Apache-2.0 */
/* Words of a command line, one per line; the first is the command's number. */
#include "cli/command.h"

#include "base/bug.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { WORDS_MAX = 64 };
	char *argv[WORDS_MAX + 1];
	int argc = 0, number = 0;
	if (size == 0)
		return 0;
	char *text = mem_strndup((const char *)data + 1, size - 1);
	for (char *word = text; word && argc < WORDS_MAX;) {
		argv[argc++] = word;
		word = strchr(word, '\n');
		if (word)
			*word++ = '\0';
	}
	argv[argc] = NULL;
	while (command_table[number])
		number++;
	struct invocation in;
	struct error err = { 0 };
	if (invocation_parse(command_table[data[0] % number], argc, argv, &in, &err) < 0)
		BUG_IF(err.code != ERROR_INVALID, "a command line is refused as something else");
	invocation_fini(&in);
	free(text);
	return 0;
}
