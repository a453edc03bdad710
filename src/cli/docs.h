/* SPDX-License-Identifier: Apache-2.0 */
/* docs: what is printed at build time from the rows of the commands. */
#pragma once

#include "base/buf.h"

enum { DOCS_MAX = 1024 * 1024 };

/* Of the release; the day of a build has no place in what it makes. */
#define DOCS_DATE "November 21, 2026"

/* Text of ours on lines of the width that mdoc wants, no byte of it taken for a request. */
void docs_put_text(struct buf *b, struct str text);
/* cay(1), in mdoc. */
void docs_put_man(struct buf *b);
/* cay.toml(5), in mdoc. */
void docs_put_config_man(struct buf *b);
/* The tables that completions/cay.bash works with. */
void docs_put_completion(struct buf *b);
