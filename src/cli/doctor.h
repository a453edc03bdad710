/* SPDX-License-Identifier: Apache-2.0 */
/* doctor, gc: the commands about the host itself. They need no server. */
#pragma once

#include "cli/command.h"

command_fn doctor_main;
command_fn gc_main;
