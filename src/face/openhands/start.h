/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start: the body of POST /start, which names an image and a command line. Two kinds are known.
 *
 * That of an action execution server, of version 0.62:
 *
 *	… python -u -m openhands.runtime.action_execution_server 60000 --working-dir /workspace
 *	    --plugins agent_skills jupyter --username openhands --user-id 1000 --no-enable-browser
 *
 * That program is not run: our executor is, and the command line says how. What it would refuse to
 * start with is refused here.
 *
 * And that of an agent server, of version 1, which the image has and which is run as it stands:
 *
 *	/usr/local/bin/openhands-agent-server --port 60000
 *	/agent-server/.venv/bin/python -m openhands.agent_server --port 60000
 *
 * The API has no word for the network; variables of the environment are: CAY_NETWORK is loopback
 * (as long as nothing else is said), none, proxy or host, and CAY_ALLOW what proxy lets through.
 */
#pragma once

#include "action/action.h"
#include "runtime/create.h"

enum {
	START_PLUGINS_MAX = 32,
	START_NAME_MAX = 32, /* characters of a user's name, as useradd has it */
	START_UID = 1000,
	START_AGENT_UID = 10001, /* of an agent server, as its clients ask for */
	START_WORDS_MAX = 256,   /* of a command line that is one text */
	START_ALLOW_MAX = 256,
	START_FACTOR_MAX = 8,
	START_ENV_MAX = 512,
	START_PATH_MAX = 1023,
	START_KEY_MAX = 1024,
};

struct start {
	struct str image;
	struct str session_id; /* STR_NONE: none */
	int64_t port;          /* the command is run, an agent server at this port; 0: it is not */
	struct str cwd;        /* where it starts */
	struct field_strings command;
	struct field_map environment;
	struct str workdir;
	struct str username;
	int64_t uid;            /* of that account, unless the image has it already */
	bool runs_as_user;      /* shells and kernels do; false: as root (SU_TO_USER) */
	struct str session_key; /* SESSION_API_KEY of the environment; STR_NONE: none */
	const char *key_proof;  /* what remains of it here (remote.c); NULL: nothing */
	struct str plugins;     /* "agent_skills,jupyter" */
	bool has_browser;
	int64_t resource_factor; /* 1, 2, 4, 8 */
	enum network_mode network;
	struct field_strings allow; /* of NETWORK_PROXY */
	/* of an agent server's sandbox, by remote.c; "": any */
	const char *id, *own_key;
};

/* All of it lives in the arena and in `body`. */
int start_decode(const struct json *body, struct arena *arena, struct start *ret,
	struct error *err);
/* The command line alone: workdir, username, uid, plugins, has_browser. */
int start_parse_command(const struct field_strings *argv, struct arena *arena, struct start *ret,
	struct error *err);
