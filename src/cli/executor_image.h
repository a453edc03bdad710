/* SPDX-License-Identifier: Apache-2.0 */
/*
 * executor-image: an image that holds the executor, for a cluster's registry. It needs no server.
 */
#pragma once

#include "cli/command.h"
#include "cli/options.h"

struct executor_image_options {
	struct common_options common;
	const char *name;
};

command_fn executor_image_main;
