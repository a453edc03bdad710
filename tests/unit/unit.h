/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unit: what every unit test includes: cmocka with the headers it wants, and checks of our own
 * types.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/str.h"

#define assert_str(s, literal)                                         \
	do {                                                           \
		struct str s_ = (s);                                   \
		assert_int_equal(s_.len, strlen(literal));             \
		assert_memory_equal(s_.ptr, literal, strlen(literal)); \
	} while (0)

/* A text holds another: assert_text(err.text, "open /x"); */
#define assert_text(text, part)                                              \
	do {                                                                 \
		if (!strstr((text), (part)))                                 \
			fail_msg("\"%s\" is not in \"%s\"", (part), (text)); \
	} while (0)

/* A call failed, with this code and these words. */
#define assert_fails(call, err, wanted, part)                                            \
	do {                                                                             \
		(err) = (struct error){ 0 };                                             \
		assert_true((call) < 0);                                                 \
		assert_string_equal(error_name((err).code), error_name(ERROR_##wanted)); \
		assert_text((err).text, part);                                           \
	} while (0)

#define assert_works(call, err)                     \
	do {                                        \
		(err) = (struct error){ 0 };        \
		if ((call) < 0)                     \
			fail_msg("%s", (err).text); \
	} while (0)
