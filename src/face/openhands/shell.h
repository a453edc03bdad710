/* SPDX-License-Identifier: Apache-2.0 */
/* shell: the action `run`. */
#pragma once

#include "face/openhands/job.h"

extern const struct job_kind run_kind;
