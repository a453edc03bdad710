/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decisions: what the kernel lets through of sandboxes whose network is `bridge` or `pasta`, and
 * what it refuses, as events of kind `network`: those of `proxy` are egress.h's. The kernel tells
 * of ten of either in a second, and of forty at once; the rest is decided all the same, and not
 * told.
 */
#pragma once

struct sandbox;

/* From when it is ready; nothing for other networks, and if it is open already. */
void decisions_open(struct sandbox *s);
void decisions_close(struct sandbox *s);
