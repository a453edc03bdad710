/* SPDX-License-Identifier: Apache-2.0 */
/* etc: the curated copy of the host's /etc (etc_find, a step of plans). */
#pragma once

#include "sandbox/step.h"

uint64_t etc_stamp(void); /* the copy of now is run_dir/etc-STAMP, 16 hexadecimal digits */
