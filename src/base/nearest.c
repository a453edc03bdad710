/* SPDX-License-Identifier: Apache-2.0 */
#include "base/nearest.h"

#include "base/auto.h"

enum { NEAREST_LEN_MAX = 32 };

/* Levenshtein's distance of a to b, one row at a time. */
static int distance(struct str a, struct str b)
{
	int row[NEAREST_LEN_MAX + 1];
	for (size_t j = 0; j <= b.len; j++)
		row[j] = (int)j;
	for (size_t i = 1; i <= a.len; i++) {
		int diagonal = row[0];
		row[0] = (int)i;
		for (size_t j = 1; j <= b.len; j++) {
			int above = row[j];
			int change = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
			row[j] = MIN(MIN(above, row[j - 1]) + 1, change);
			diagonal = above;
		}
	}
	return row[b.len];
}

const char *nearest_word(struct str word, const char *const *words, int n)
{
	const char *best = NULL;
	int best_distance = (int)(word.len + 2) / 3 +
		1; /* a slip in three letters; an exchange is two */
	for (int i = 0; i < n; i++) {
		struct str candidate = str_from(words[i]);
		if (candidate.len > NEAREST_LEN_MAX || word.len > NEAREST_LEN_MAX)
			continue;
		if (word.len >= 2 && str_starts(candidate, word))
			return words[i];
		int d = distance(word, candidate);
		if (d < best_distance && d < (int)candidate.len) {
			best = words[i];
			best_distance = d;
		}
	}
	return best;
}
