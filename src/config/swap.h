/* SPDX-License-Identifier: Apache-2.0 */
/*
 * swap: how a secret with hosts is written on a command line and in cay.toml:
 *
 *	NAME[=VARIABLE|=PATH]@HOST[,HOST]...[#HEADER]
 *
 *	GITHUB_TOKEN@api.github.com,github.com        the value of the variable GITHUB_TOKEN
 *	KEY=MY_KEY@api.example.org:8443#X-Api-Key     that of MY_KEY, in the header X-Api-Key
 *	KEY=/run/keys/example@*.example.org           the content of a file, without the line feed at its end
 *
 * The value is never written there: a command line is seen by all, and a file is kept.
 */
#pragma once

#include "wire/json.h"

/* Writes "NAME":{"value":…,"hosts":[…],"header":…}. */
int swap_put(struct str text, struct jsonw *w, struct error *err);
