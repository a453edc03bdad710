/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wish: what a sandbox is made with for an OpenHands client, out of what `start` says. Texts are
 * the start's or in the arena.
 */
#pragma once

#include "face/openhands/prepare.h"
#include "face/openhands/start.h"
#include "face/openhands/state.h"
#include "runtime/create.h"

/* The caller's variables, and what the original's start-up makes sure of. */
struct field_map wish_environment(const struct start *start, struct arena *arena);
struct field_map wish_labels(const struct start *start, struct arena *arena);
void wish_fill(struct spec *spec, const struct openhands *oh, const struct start *start);
/* An image that the server or its backend keeps; STR_NONE, the host's tools, for any other. */
struct str wish_image(const struct openhands *oh, struct str name);
/* Whether the host can give a sandbox a root besides its user. */
bool wish_has_root(const struct openhands *oh);
