/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"

#include <stdarg.h>

enum { LINE_MAX_BYTES = 4096 };

static const char *log_program = "cay";
static enum log_level log_lowest = LOG_INFO;
static bool log_is_json;

static const char *const level_names[] = { "debug", "info", "warn", "error" };

void log_init(const char *program)
{
	log_program = program;
}

void log_set_level(enum log_level lowest)
{
	log_lowest = lowest;
}

void log_set_json(bool is_json)
{
	log_is_json = is_json;
}

static void put_escaped(struct buf *line, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c < 0x20 || c == 0x7f)
			buf_printf(line, "\\u%04x", c);
		else if (log_is_json && (c == '"' || c == '\\'))
			buf_printf(line, "\\%c", c);
		else
			buf_putc(line, (char)c);
	}
}

void log_event(enum log_level level, const char *event, const char *fmt, ...)
{
	if (level < log_lowest)
		return;
	char text[LINE_MAX_BYTES / 2];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);

	char date[CLOCK_TEXT_MAX];
	clock_text(clock_wall_ms(), date);
	auto_buf struct buf line = BUF_INIT(8 * LINE_MAX_BYTES);
	if (log_is_json) {
		buf_printf(&line,
			"{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"event\":\"%s\",\"text\":\"",
			date, level_names[level], log_program, event);
		put_escaped(&line, text);
		buf_puts(&line, "\"}\n");
	} else {
		buf_printf(&line, "%s %s %s ", date, log_program, level_names[level]);
		buf_puts(&line, event);
		buf_putc(&line, ' ');
		put_escaped(&line, text);
		buf_putc(&line, '\n');
	}
	ssize_t r = write(STDERR_FILENO, line.ptr, line.len);
	(void)r; /* nowhere left to complain */
}
