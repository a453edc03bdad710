/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include "base/auto.h"

#include <stdio.h>
#include <time.h>

/* Of those that have four digits for the year. */
#define FIRST_DATE_MS INT64_C(-30610224000000)
#define LAST_DATE_MS  INT64_C(253402300799999)

static int64_t read_us(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_mono_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

int64_t clock_mono_ms(void)
{
	return clock_mono_us() / 1000;
}

int64_t clock_wall_ms(void)
{
	return read_us(CLOCK_REALTIME) / 1000;
}

void clock_text(int64_t wall_ms, char ret_text[CLOCK_TEXT_MAX])
{
	int64_t ms = MIN(MAX(wall_ms, FIRST_DATE_MS), LAST_DATE_MS);
	int rest = (int)((ms % 1000 + 1000) % 1000);
	time_t s = (time_t)((ms - rest) / 1000);
	struct tm tm = { 0 };
	gmtime_r(&s, &tm);
	size_t n = strftime(ret_text, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret_text + n, CLOCK_TEXT_MAX - n, ".%03dZ", rest);
}

/* "Z", "+05:30"; a space is a '+' that was not encoded. */
static int64_t offset_of(const char *text)
{
	int hours, minutes;
	if ((*text != '+' && *text != '-' && *text != ' ') ||
		sscanf(text + 1, "%2d:%2d", &hours, &minutes) != 2)
		return 0;
	return (*text == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
}

int clock_parse(struct str text, int64_t *ret_wall_ms)
{
	struct tm tm = { 0 };
	char copy[2 * CLOCK_TEXT_MAX];
	int64_t ms = 0;
	snprintf(copy, sizeof(copy), "%.*s", STR_ARG(text));
	const char *rest = strptime(copy, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!rest)
		return -1;
	if (*rest == '.')
		for (int64_t unit = 100; *++rest >= '0' && *rest <= '9'; unit /= 10)
			ms += unit * (*rest - '0');
	*ret_wall_ms = ((int64_t)timegm(&tm) - offset_of(rest)) * 1000 + ms;
	return 0;
}
