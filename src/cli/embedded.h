/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embedded: a server for the length of one command, so that a command line which speaks to cay
 * servers speaks to an OpenHands deployment as well. It keeps nothing: what there is, the other
 * side is asked for each time. It ends, with its directory, when its lifeline does, whatever
 * happens to us (base/keeper.h).
 */
#pragma once

#include "base/error.h"
#include "base/id.h"
#include "base/str.h"

struct embedded {
	char *url;           /* "unix:/tmp/…/cay.sock" */
	char token[ID_SIZE]; /* of it */
	int lifeline_fd;
	int log_fd; /* what it says; read by us when it does not answer */
	int keeper_pid;
};

#define EMBEDDED_INIT                           \
	{                                       \
		.lifeline_fd = -1, .log_fd = -1 \
	}

/* openhands+http://…, action+http://…, daytona, daytona+http://… */
bool embedded_is_for(struct str url);
int embedded_start(const char *backend_url, struct embedded *ret, struct error *err);
/* Why it does not answer, if that is so and it said why: *err is replaced. */
void embedded_explain(const struct embedded *e, struct error *err);
void embedded_stop(struct embedded *e);
