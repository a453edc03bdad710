/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"

#include <stdarg.h>
#include <sys/stat.h>

enum { LINE_MAX_BYTES = 4096 };

static const char *log_program = "cay";
static enum log_level log_lowest = LOG_INFO;
static bool log_is_json, log_is_journal;

static const char *const level_names[] = { "debug", "info", "warn", "error" };
static const int syslog_levels[] = { 7, 6, 4, 3 };

/* JOURNAL_STREAM is "DEVICE:INODE"; who redirected standard error left it as it was. */
static bool leads_to_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;
	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
		fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

void log_init(const char *program)
{
	log_program = program;
	log_is_journal = leads_to_journal();
}

void log_set_level(enum log_level lowest)
{
	log_lowest = lowest;
}

void log_set_json(bool is_json)
{
	log_is_json = is_json;
}

/* The character at the front of s and its length; a byte that starts none is U+FFFD. */
static uint32_t decode(const unsigned char *s, size_t *ret_len)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80 ? 1
		: s[0] < 0xc0  ? 0
		: s[0] < 0xe0  ? 2
		: s[0] < 0xf0  ? 3
		: s[0] < 0xf8  ? 4
			       : 0;
	uint32_t c = n == 1 ? s[0] : s[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			n = 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	bool is_good = n > 0 && c >= least[n] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
	*ret_len = is_good ? n : 1;
	return is_good ? c : 0xfffd;
}

/*
 * What would move the cursor, start an escape sequence, break the line, or turn the writing around.
 */
static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f ||
		(c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static void put_escaped(struct buf *line, const char *text)
{
	size_t n;
	for (const unsigned char *s = (const unsigned char *)text; *s; s += n) {
		uint32_t c = decode(s, &n);
		if (is_control(c) || c == 0xfffd)
			buf_printf(line, "\\u%04x", c);
		else if (log_is_json && (c == '"' || c == '\\'))
			buf_printf(line, "\\%c", (char)c);
		else
			buf_add(line, s, n);
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
	if (log_is_journal)
		buf_printf(&line, "<%d>", syslog_levels[level]);
	if (log_is_json) {
		buf_printf(&line,
			"{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"event\":\"%s\",\"text\":\"",
			date, level_names[level], log_program, event);
		put_escaped(&line, text);
		buf_puts(&line, "\"}\n");
	} else {
		if (log_is_journal)
			buf_printf(&line, "%s ", log_program);
		else
			buf_printf(&line, "%s %s %s ", date, log_program, level_names[level]);
		buf_puts(&line, event);
		buf_putc(&line, ' ');
		put_escaped(&line, text);
		buf_putc(&line, '\n');
	}
	ssize_t r = write(STDERR_FILENO, line.ptr, line.len);
	(void)r; /* nowhere left to complain */
}
