/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error: what went wrong, in the caller's memory.
 *
 * A function that can fail takes a `struct error *err` last and returns a negative number with *err
 * filled, or zero or more with *err untouched. An error has a fixed size and is never allocated: it
 * fits in one pipe write, so a cloned child reports with the same struct that a library call fills.
 *
 *	if (fd < 0)
 *		return error_sys(err, errno, "open %s", path);
 *	if (layer_mount(i, err) < 0)
 *		return error_wrap(err, "layer %d", i);
 *
 * The innermost failure decides the code; wrapping puts context in front of the text and, when room
 * runs out, loses context, never the cause. `err` may be NULL where the caller does not care.
 */
#pragma once

#include <stdbool.h>

enum error_code {
#define ERROR(name, wire, http, exit, retry) ERROR_##name,
#include "base/error.def"
#undef ERROR
	ERROR_MAX,
};

enum { ERROR_TEXT_MAX = 400 };

struct error {
	enum error_code code; /* what kind; set by the innermost failure */
	int sys;              /* its errno, or 0 */
	char text[ERROR_TEXT_MAX];
};

/*
 * Each fills *err and is -1: macros around functions without a value, so that a compiler or an
 * analyzer that sees one file alone knows that `return error_set(…)` is a failure.
 *
 * error_sys appends ": " and strerror(sys), and picks the code from sys. error_wrap puts "context:
 * " in front of the text of an error that is filled already.
 */
#define error_set(err, code, ...)                            \
	({                                                   \
		error_fill_code((err), (code), __VA_ARGS__); \
		-1;                                          \
	})
#define error_sys(err, sys, ...)                           \
	({                                                 \
		error_fill_sys((err), (sys), __VA_ARGS__); \
		-1;                                        \
	})
#define error_wrap(err, ...)                            \
	({                                              \
		error_fill_context((err), __VA_ARGS__); \
		-1;                                     \
	})

void error_fill_code(struct error *err, enum error_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), cold));
void error_fill_sys(struct error *err, int sys, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), cold));
void error_fill_context(struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), cold));

enum error_code error_code_from_sys(int sys);
const char *error_name(enum error_code code); /* "not_found" */
int error_http(enum error_code code);         /* 404 */
int error_exit(enum error_code code);         /* 5 */
bool error_is_retryable(enum error_code code);
/* Of somebody far away: what was asked for may have been done all the same. */
bool error_is_doubtful(enum error_code code);
/* The code whose wire name is `name`, or ERROR_INTERNAL. */
enum error_code error_code_from_name(const char *name);
