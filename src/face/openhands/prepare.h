/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prepare: makes a sandbox of the kind that OpenHands' own images are: the account that was asked
 * for, who may become root, its home, the working directory that belongs to it, and the paths that
 * its clients know by heart. A sandbox that could not be prepared is destroyed again.
 *
 * What the caller wished is kept as labels of the sandbox, for whoever serves its actions later:
 *
 *	openhands.session   the caller's name for it
 *	openhands.image     the image that was asked for
 *	openhands.username  who its shells run as
 *	openhands.plugins   "agent_skills,jupyter"
 *	openhands.browser   "yes" or "no"
 *	openhands.key       proves the session API key that the caller chose, without being it
 *	openhands.server    the port of its agent server, which is run (server.h)
 *	openhands.spare     "yes": of nobody yet, and without the others
 *	openhands.lint      "yes" if the environment says ENABLE_AUTO_LINT=true
 *	NO_CHANGE_TIMEOUT_SECONDS   the soft timeout, if the environment says one
 */
#pragma once

#include "face/openhands/start.h"

struct openhands;
struct sandbox;

#define LABEL_SESSION  "openhands.session"
#define LABEL_IMAGE    "openhands.image"
#define LABEL_COMMAND  "openhands.command" /* as JSON, unless it is longer than a label may be */
#define LABEL_USERNAME "openhands.username"
#define LABEL_PLUGINS  "openhands.plugins"
#define LABEL_BROWSER  "openhands.browser"
#define LABEL_LINT     "openhands.lint"
#define LABEL_KEY      "openhands.key"
#define LABEL_SPARE    "openhands.spare"
#define LABEL_QUIET    "NO_CHANGE_TIMEOUT_SECONDS"

/* The interpreter that clients of the original expect to be named, wherever Python is in truth. */
#define PREPARE_PYTHON "/openhands/poetry/openhands-ai-5O4_aCHf-py3.12/bin/python"

/* One of s and err is NULL. */
typedef void prepare_fn(void *arg, struct sandbox *s, const struct error *err);

/* name: unique among the living, or STR_NONE. `start` is used up before this returns. */
void prepare_sandbox(struct openhands *oh, const struct start *start, struct str name,
	prepare_fn *done, void *arg);
/* True if a sandbox of that session is being made already: then `done` comes with it. */
bool prepare_join(struct openhands *oh, struct str session, prepare_fn *done, void *arg);
/*
 * A spare (warm.h): made as `start` says, of no session and with none of its environment, and with
 * an interpreter that kernels are forked from. Later it becomes what `start` says in all: s is what
 * prepare_spare gave.
 */
void prepare_spare(struct openhands *oh, const struct start *start, prepare_fn *done, void *arg);
void prepare_from_spare(struct openhands *oh, struct sandbox *s, const struct start *start,
	prepare_fn *done, void *arg);
/* Ends all that are under way: their callers are told so. */
void prepare_drop_all(struct openhands *oh);
