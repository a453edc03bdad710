/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bug.h"

#include <stdarg.h>

_Noreturn void bug_abort(const char *file, int line, const char *func, const char *sentence)
{
	fprintf(stderr, "cay: bug at %s:%d in %s: %s\n", file, line, func, sentence);
	abort();
}

void *mem_alloc(size_t size)
{
	void *p = malloc(size ? size : 1);
	BUG_IF(!p, "out of memory");
	return p;
}

void *mem_zalloc(size_t size)
{
	void *p = calloc(1, size ? size : 1);
	BUG_IF(!p, "out of memory");
	return p;
}

void *mem_zalloc_n(size_t size, size_t n)
{
	void *p = calloc(n ? n : 1, size);
	BUG_IF(!p, "out of memory");
	return p;
}

void *mem_realloc(void *p, size_t size)
{
	p = realloc(p, size ? size : 1);
	BUG_IF(!p, "out of memory");
	return p;
}

char *mem_strndup(const char *s, size_t len)
{
	char *p = mem_alloc(len + 1);
	memcpy(p, s, len);
	p[len] = '\0';
	return p;
}

char *mem_strdup(const char *s)
{
	return mem_strndup(s, strlen(s));
}

char *mem_printf(const char *fmt, ...)
{
	char *p = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&p, fmt, ap);
	va_end(ap);
	BUG_IF(n < 0, "out of memory");
	return p;
}
