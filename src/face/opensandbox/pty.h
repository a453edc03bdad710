/* SPDX-License-Identifier: Apache-2.0 */
/* pty: terminals. */
#pragma once

struct osb;

/* All that nobody has connected to yet, and the connections. */
void osb_ptys_free(struct osb *o);
