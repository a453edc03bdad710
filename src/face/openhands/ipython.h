/* SPDX-License-Identifier: Apache-2.0 */
/* ipython: what run_ipython needs of a sandbox, for those that prepare one. */
#pragma once

#include "base/buf.h"

struct runtime;

/* What the kernel of that sandbox is: the interpreter that the original names, or any. */
const char *ipython_spec(struct runtime *rt, const char *id);
/* Parameters of kernel_open. False: the sandbox shall have no kernel. */
bool ipython_put_open(struct runtime *rt, const char *id, bool waits, struct buf *params);
/* Appends the text without the colours that the original takes out. */
void ipython_put_uncoloured(struct buf *b, struct str s);
