/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/camel.h"

#include "base/auto.h"
#include "wire/json.h"

#include <stdio.h>

enum { SENTENCE_MAX = 16384 };

static void put_sentence(struct str name, const char *refused, struct buf *b)
{
	const char *facts = strchr(refused, '(');
	int score, threshold, n = 0;
	if (facts &&
		sscanf(facts, "(%d, above %d) by %*[^:]: it %n", &score, &threshold, &n) == 2 && n)
		/* Without a space behind the full stop: as in the original. */
		buf_printf(b,
			"Risk assessment not passed for %.*s.Score: %d > Threshold: %d\nReason: %s",
			STR_ARG(str_first(name, 200)), score, threshold, facts + n);
	else if (strstr(refused, "could not be assessed"))
		buf_puts(b, "Risk assessment failed. Disabling function.");
	else /* a person rejected it: there is no such sentence */
		buf_puts(b, refused);
}

void camel_put_refusal(struct buf *b, struct str name, const struct error *refused)
{
	auto_buf struct buf text = BUF_INIT(SENTENCE_MAX);
	struct jsonw w = JSONW(b);
	put_sentence(name, refused->text, &text);
	jsonw_open(&w);
	jsonw_key_str(&w, "error", buf_str(&text));
	jsonw_close(&w);
}
