/* SPDX-License-Identifier: Apache-2.0 */
/* docs: what is printed at build time from the rows of the commands. */
#pragma once

#include "base/buf.h"

enum { DOCS_MAX = 1024 * 1024 };

/* cay(1), in mdoc. */
void docs_put_man(struct buf *b);
/* The tables that completions/cay.bash works with. */
void docs_put_completion(struct buf *b);
