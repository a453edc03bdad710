/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 511: an exception that the client raises again. It imports `class_path` and calls it with the
 * message; a class that cannot be made so becomes SwerexException there.
 */
#include "face/swerex/state.h"

#include "action/gate.h"
#include "base/auto.h"

#include <stdarg.h>

enum { MESSAGE_MAX = 16 * 1024 };

void fault_put(struct buf *b, const char *class, struct str message, struct str extra)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key(&w, "swerexception");
	jsonw_open(&w);
	jsonw_key_str(&w, "message", message);
	jsonw_key_str(&w, "class_path", str_from(class));
	jsonw_key_str(&w, "traceback", STR(""));
	jsonw_key(&w, "extra_info");
	jsonw_raw(&w, extra.len ? extra : STR("{}"));
	jsonw_close(&w);
	jsonw_close(&w);
}

void turn_raise(struct turn *turn, const char *class, const struct buf *message,
	const struct buf *extra)
{
	auto_buf struct buf body = BUF_INIT(HTTP_REPLY_MAX);
	if (!message->is_full && !(extra && extra->is_full))
		fault_put(&body, class, buf_str(message), extra ? buf_str(extra) : STR_NONE);
	if (!body.len || body.is_full) {
		buf_reset(&body);
		fault_put(&body, class, STR("(what there is to say of it is too long)"), STR_NONE);
	}
	turn_reply(turn, 511, buf_str(&body));
}

void turn_raise_text(struct turn *turn, const char *class, const char *fmt, ...)
{
	auto_buf struct buf text = BUF_INIT(MESSAGE_MAX);
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	turn_raise(turn, class, &text, NULL);
}

const char *fault_class(const struct error *err, const char *missing)
{
	if (gate_is_refusal(err))
		return BUILTIN("PermissionError");
	switch (err->code) {
	case ERROR_NOT_FOUND:
		return missing;
	case ERROR_FORBIDDEN:
		return BUILTIN("PermissionError");
	case ERROR_EXISTS:
		return BUILTIN("FileExistsError");
	case ERROR_INVALID:
	case ERROR_TOO_LARGE:
		return BUILTIN("ValueError");
	case ERROR_UNSUPPORTED:
		return BUILTIN("NotImplementedError");
	case ERROR_NO_SPACE:
		return BUILTIN("OSError");
	default:
		return FAULT("SwerexException");
	}
}

void turn_fail(struct turn *turn, const struct error *err)
{
	turn_raise_text(turn, fault_class(err, BUILTIN("FileNotFoundError")), "%s", err->text);
}
