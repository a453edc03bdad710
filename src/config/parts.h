/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parts: what settings.c puts together, and what the parts have to know of where sandboxes live.
 * Private to config.
 */
#pragma once

#include "config/config.h"
#include "wire/json.h"

enum config_backend {
	BACKEND_ANY, /* not known: nothing is refused for its sake */
	BACKEND_NATIVE,
	BACKEND_DOCKER,
	BACKEND_KUBERNETES,
	BACKEND_OTHER,
};

/*
 * image.c: the member "image"; none, if sandboxes that name no image are to have the host's tools.
 */
int config_put_image(const struct config *c, enum config_backend backend, struct jsonw *w,
	struct error *err);

/* container.c: the member "container"; none, if nothing of it is said. */
int config_put_container(const struct config *c, enum config_backend backend, struct jsonw *w,
	struct error *err);
/* kubernetes.c: the same, of pods. */
void config_put_kubernetes(const struct config *c, struct jsonw *w);
/* Members of "create": gpus and networks. */
int config_put_devices(const struct config *c, enum config_backend backend, struct jsonw *w,
	struct error *err);
/*
 * What docker_runtime_kwargs say of one of limits' members; 0: nothing. Checked by
 * config_put_container.
 */
int64_t config_container_limit(const struct config *c, const char *name);
