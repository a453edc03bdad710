/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bug: assertions that stay on in production. A bug is not an error: it says a sentence and aborts.
 * Never for input.
 *
 *	BUG_IF(!session->is_running, "a completion arrived for a session that runs nothing");
 */
#pragma once

#include <stddef.h>

#define BUG(sentence) bug_abort(__FILE__, __LINE__, __func__, sentence)
#define BUG_IF(condition, sentence)                     \
	do {                                            \
		if (__builtin_expect(!!(condition), 0)) \
			BUG(sentence);                  \
	} while (0)

_Noreturn void bug_abort(const char *file, int line, const char *func, const char *sentence)
	__attribute__((cold));

/* malloc and friends that abort when memory is gone; a size from input passes a ceiling before. */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_zalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_realloc(void *p, size_t size) __attribute__((returns_nonnull));
char *mem_strdup(const char *s) __attribute__((malloc, returns_nonnull));
char *mem_strndup(const char *s, size_t len) __attribute__((malloc, returns_nonnull));
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

/* T *p = mem_new(T): zeroed. T *v = mem_new_n(T, n): zeroed, the product is checked. */
#define mem_new(type)      ((type *)mem_zalloc(sizeof(type)))
#define mem_new_n(type, n) ((type *)mem_zalloc_n(sizeof(type), (n)))
void *mem_zalloc_n(size_t size, size_t n) __attribute__((malloc, returns_nonnull));
