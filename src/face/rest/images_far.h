/* SPDX-License-Identifier: Apache-2.0 */
/* images_far: what images.c and build.c hand on where the images are the backend's own. */
#pragma once

#include "face/rest/rest.h"
#include "runtime/library.h"

bool images_are_far(const struct http_request *r);
void images_far_ask(struct http_request *r, const struct library_question *question);
/* The request's body is the work's. */
void images_far_work(struct http_request *r, const struct library_wish *wish);
