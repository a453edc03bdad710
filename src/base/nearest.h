/* SPDX-License-Identifier: Apache-2.0 */
/* nearest: the known word that an unknown one was probably meant to be. */
#pragma once

#include "base/str.h"

/* The nearest of n words that is near enough, or that `word` is the beginning of; NULL: none. */
const char *nearest_word(struct str word, const char *const *words, int n);
