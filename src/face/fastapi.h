/* SPDX-License-Identifier: Apache-2.0 */
/* fastapi: what a server made with FastAPI says by itself, for faces whose originals are. */
#pragma once

#include "http/server.h"

/* For http_face::render_error: {"detail":"Not Found"}. */
void fastapi_render_error(const struct http_face *face, const struct error *e, int *status,
	struct buf *body);
