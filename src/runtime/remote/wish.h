/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wish: what is asked of a Remote Runtime API for a sandbox, and what a sandbox of its is called
 * here.
 */
#pragma once

#include "base/buf.h"
#include "sandbox/spec.h"

struct sandbox;

enum { REMOTE_START_MAX = 1024 * 1024 };

/* What an API cannot give is ERROR_UNSUPPORTED. */
int wish_check(const struct spec *spec, struct error *err);
/*
 * The body of POST /start, with the command line of an action server. Labels of the sandbox say
 * what has no field: runtime_image, plugins ("agent_skills jupyter"), browser ("no"),
 * resource_factor. The image is else that of SANDBOX_RUNTIME_CONTAINER_IMAGE, or the original's.
 */
void wish_put_start(struct buf *b, const char *session, const struct sandbox *s,
	const struct spec *spec);
/* The session itself if it has the form of an id, else one made of it, always the same. */
void wish_id(struct str session, char ret_id[ID_SIZE]);
/*
 * A server's http:// or https:// URL, without what slashes it ends in; ERROR_INVALID if it is none.
 */
int wish_trim_url(struct str *url, struct error *err);
/* As one segment of a path. */
void wish_put_segment(struct buf *b, const char *text);
