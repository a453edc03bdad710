/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that this code base does without. The build includes this file before every source, after
 * the headers that declare them, so that a use does not compile. Each line says what to use
 * instead.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* clang gives some of them as macros, and a macro cannot be poisoned. */
#undef sprintf
#undef vsprintf

#pragma GCC poison strcpy strcat sprintf vsprintf gets /* buf_printf, snprintf */
#pragma GCC poison strtok strtok_r                     /* str_split */
#pragma GCC poison atoi atol atoll                     /* num_parse_* */
#pragma GCC poison system popen                        /* a plan, clone3 and exec */
#pragma GCC poison usleep                              /* wait for the event: nothing here polls */
