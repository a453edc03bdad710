/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/backends.h"

#include "base/auto.h"
#include "runtime/engine/engine.h"
#include "runtime/kube/kube.h"
#include "runtime/local.h"
#include "runtime/remote/daytona.h"
#include "runtime/remote/peer.h"
#include "runtime/remote/remote.h"

static int open_local(struct loop *loop, const struct backend_choice *choice, struct backend **ret,
	struct error *err)
{
	const struct local_config config = {
		.is_stateless = strcmp(choice->name, "cli") == 0,
		.warm = choice->warm,
	};
	*ret = local_backend_new(loop, &config);
	return 0;
}

static int open_docker(struct loop *loop, const struct backend_choice *choice, struct backend **ret,
	struct error *err)
{
	const char *equals = strchr(choice->name, '=');
	const struct engine_config config = {
		.socket = equals ? equals + 1 : NULL,
		.state_dir = choice->state_dir,
		.more = choice->container,
	};
	return engine_backend_new(loop, &config, ret, err);
}

static int open_kubernetes(struct loop *loop, const struct backend_choice *choice,
	struct backend **ret, struct error *err)
{
	const char *equals = strchr(choice->name, '=');
	const struct kube_config config = {
		.kubeconfig = equals ? equals + 1 : NULL,
		.state_dir = choice->state_dir,
		.settings = choice->container,
	};
	return kube_backend_new(loop, &config, ret, err);
}

static const char *key_of(const struct backend_choice *choice, const char *variable)
{
	const char *key = choice->key ?: getenv(variable);
	return key && key[0] ? key : getenv("CAY_TOKEN");
}

static int open_api(struct loop *loop, const struct backend_choice *choice, struct backend **ret,
	struct error *err)
{
	const struct remote_config config = {
		.url = strchr(choice->name, '+') + 1,
		.key = key_of(choice, "SANDBOX_API_KEY"),
	};
	return remote_backend_new(loop, &config, ret, err);
}

static int open_server(struct loop *loop, const struct backend_choice *choice, struct backend **ret,
	struct error *err)
{
	const struct remote_config config = {
		.url = strchr(choice->name, '+') + 1,
		.key = key_of(choice, "SESSION_API_KEY"),
		.is_server = true,
	};
	return remote_backend_new(loop, &config, ret, err);
}

/* "daytona" alone is wherever Daytona's own SDKs would go. */
static int open_daytona(struct loop *loop, const struct backend_choice *choice,
	struct backend **ret, struct error *err)
{
	const char *plus = strchr(choice->name, '+'), *url = getenv("DAYTONA_API_URL");
	const struct daytona_config config = {
		.url = plus             ? plus + 1
			: url && url[0] ? url
					: NULL,
		.key = key_of(choice, "DAYTONA_API_KEY"),
	};
	return daytona_backend_new(loop, &config, ret, err);
}

static int open_peer(struct loop *loop, const struct backend_choice *choice, struct backend **ret,
	struct error *err)
{
	const struct peer_config config = {
		.url = choice->name,
		.token = key_of(choice, "CAY_REMOTE_TOKEN"),
	};
	return peer_backend_new(loop, &config, ret, err);
}

/* The row whose word is the name, or whose word ends in ':' or '=' and begins it. */
static const struct {
	const char *word;
	int (*open)(struct loop *loop, const struct backend_choice *choice, struct backend **ret,
		struct error *err);
} rows[] = {
	{ "action+http:", open_server },
	{ "action+https:", open_server },
	{ "cli", open_local },
	{ "daytona", open_daytona },
	{ "daytona+http:", open_daytona },
	{ "daytona+https:", open_daytona },
	{ "docker", open_docker },
	{ "docker=", open_docker },
	{ "http:", open_peer },
	{ "https:", open_peer },
	{ "kubernetes", open_kubernetes },
	{ "kubernetes=", open_kubernetes },
	{ "local", open_local },
	{ "openhands+http:", open_api },
	{ "openhands+https:", open_api },
	{ "unix:", open_peer },
};

int backend_open(struct loop *loop, const struct backend_choice *choice, struct backend **ret,
	struct error *err)
{
	struct str name = str_from(choice->name);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str word = str_from(rows[i].word);
		bool is_url = str_ends(word, STR(":")) || str_ends(word, STR("="));
		if (is_url ? str_starts(name, word) : str_eq(name, word))
			return rows[i].open(loop, choice, ret, err);
	}
	return error_set(err, ERROR_INVALID, "no backend '%.60s'; see cay help serve",
		choice->name);
}
