/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings: what a configuration means to the server, in the server's own words: its CAY_SETTINGS.
 */
#pragma once

#include "config/config.h"

enum { SETTINGS_NAMES_MAX = 32 };

/*
 * Appends {"debug","guard":{…},"create":{…},"git":{…},"image":{…},"container":{…},"names":[…]}:
 * create holds the fields of POST /v1/sandboxes that a wish leaves open; image is for
 * runtime/recipe.h, container for runtime/engine and runtime/kube. Relative directories are made
 * absolute, and have to be there. `backend` is as `cay serve --backend` has it, "" or "native" for
 * this machine; what it cannot give is refused. NULL: it is not known, and nothing is refused for
 * its sake.
 */
int config_put_settings(const struct config *c, const char *backend, struct buf *b,
	struct error *err);
/* Where sandboxes live, as `cay serve --backend` says it; nothing for those of this machine. */
void config_put_backend(const struct config *c, struct buf *b);
