/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>

static const struct row {
	const char *name;
	int http;
	int exit;
	bool is_retryable;
} rows[ERROR_MAX] = {
#define ERROR(name, wire, http, exit, retry) { wire, http, exit, retry },
#include "base/error.def"
#undef ERROR
};

static const struct row *row(enum error_code code)
{
	return &rows[code < ERROR_MAX ? code : ERROR_INTERNAL];
}

/*
 * Errors quote what others said, and end on terminals: nothing in them moves a cursor or sets a
 * title. Of the C1 controls there are only those in UTF-8; where bytes stand alone, no terminal
 * takes them for one.
 */
static void defuse(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++) {
		if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
			p[0] = p[1] = '?';
		else if ((*p < 0x20 && *p != '\n' && *p != '\t') || *p == 0x7f)
			*p = '?';
	}
}

__attribute__((format(printf, 4, 0))) static void fill(struct error *err, enum error_code code,
	int sys, const char *fmt, va_list ap)
{
	if (!err)
		return;
	err->code = code;
	err->sys = sys;
	int n = vsnprintf(err->text, sizeof(err->text), fmt, ap);
	if (sys && n >= 0 && (size_t)n < sizeof(err->text))
		snprintf(err->text + n, sizeof(err->text) - (size_t)n, ": %s", strerror(sys));
	defuse(err->text);
}

void error_fill_code(struct error *err, enum error_code code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fill(err, code, 0, fmt, ap);
	va_end(ap);
}

void error_fill_sys(struct error *err, int sys, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fill(err, error_code_from_sys(sys), sys, fmt, ap);
	va_end(ap);
}

void error_fill_context(struct error *err, const char *fmt, ...)
{
	if (!err)
		return;
	char context[ERROR_TEXT_MAX];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(context, sizeof(context), fmt, ap);
	va_end(ap);

	size_t cause = strlen(err->text);
	size_t room = sizeof(err->text) - 1 - cause;
	if (n < 0 || room < 3)
		return;
	size_t keep = (size_t)n < sizeof(context) ? (size_t)n : sizeof(context) - 1;
	if (keep > room - 2)
		keep = room - 2;
	memmove(err->text + keep + 2, err->text, cause + 1);
	memcpy(err->text, context, keep);
	memcpy(err->text + keep, ": ", 2);
	defuse(err->text);
}

enum error_code error_code_from_sys(int sys)
{
	switch (sys) {
	case ENOENT:
		return ERROR_NOT_FOUND;
	case EEXIST:
		return ERROR_EXISTS;
	case EACCES:
	case EPERM:
	case EROFS:
	case EXDEV: /* openat2: the path would leave the root */
		return ERROR_FORBIDDEN;
	case EINVAL:
	case ENOTDIR:
	case EISDIR:
	case ELOOP:
	case ENAMETOOLONG:
	case E2BIG:
		return ERROR_INVALID;
	case ENOTEMPTY:
	case EBUSY:
	case ETXTBSY:
		return ERROR_CONFLICT;
	case EFBIG:
		return ERROR_TOO_LARGE;
	case EAGAIN:
	case EMFILE:
	case ENFILE:
	case ENOMEM:
		return ERROR_LIMIT;
	case ENOSPC:
	case EDQUOT:
		return ERROR_NO_SPACE;
	case ENOSYS:
	case EOPNOTSUPP:
		return ERROR_UNSUPPORTED;
	case ECONNREFUSED:
	case ECONNRESET:
	case EPIPE:
		return ERROR_UNAVAILABLE;
	case ETIMEDOUT:
		return ERROR_TIMEOUT;
	default:
		return ERROR_INTERNAL;
	}
}

const char *error_name(enum error_code code)
{
	return row(code)->name;
}

int error_http(enum error_code code)
{
	return row(code)->http;
}

int error_exit(enum error_code code)
{
	return row(code)->exit;
}

bool error_is_retryable(enum error_code code)
{
	return row(code)->is_retryable;
}

bool error_is_doubtful(enum error_code code)
{
	return code == ERROR_INTERNAL || code == ERROR_PROTOCOL || code == ERROR_UNAVAILABLE ||
		code == ERROR_TIMEOUT || code == ERROR_NO_SPACE || code == ERROR_DISCONNECTED;
}

enum error_code error_code_from_name(const char *name)
{
	for (int i = 0; i < ERROR_MAX; i++)
		if (!strcmp(rows[i].name, name))
			return (enum error_code)i;
	return ERROR_INTERNAL;
}
