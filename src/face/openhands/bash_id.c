/* SPDX-License-Identifier: Apache-2.0 */
#include "face/openhands/bash_id.h"

#include "base/auto.h"
#include "base/bug.h"

#include <stdio.h>
#include <sys/random.h>

enum {
	DIGITS = BASH_ID_SIZE - 1,
	VERSION_AT = 12,
	VARIANT_AT = 16,
	TIMEOUT_AT = 20,
	NUMBER_AT = 26
};

void bash_id_make(int64_t timeout_s, char ret[BASH_ID_SIZE])
{
	uint8_t random[TIMEOUT_AT / 2];
	BUG_IF(timeout_s < 0 || timeout_s > BASH_TIMEOUT_MAX_S, "a deadline out of range");
	BUG_IF(getrandom(random, sizeof(random), 0) != sizeof(random),
		"the kernel gives no random bytes");
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(ret + 2 * i, 3, "%02x", random[i]);
	ret[VERSION_AT] = '4';
	ret[VARIANT_AT] = '8';
	snprintf(ret + TIMEOUT_AT, BASH_ID_SIZE - TIMEOUT_AT, "%06x%06x", (unsigned)timeout_s, 0);
}

/* -1: no hex digit. */
static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int64_t number_at(const char *digits, size_t at, size_t n)
{
	int64_t value = 0;
	for (size_t i = at; i < at + n; i++)
		value = value * 16 + digit_of(digits[i]);
	return value;
}

bool uuid_parse(struct str text, char ret[BASH_ID_SIZE])
{
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++) {
		int digit = digit_of(text.ptr[i]);
		if (text.ptr[i] == '-' && text.len == DIGITS + 4 &&
			(i == 8 || i == 13 || i == 18 || i == 23))
			continue;
		if (digit < 0 || n == DIGITS)
			return false;
		ret[n++] = "0123456789abcdef"[digit];
	}
	ret[n] = '\0';
	return n == DIGITS;
}

bool bash_id_parse(struct str text, struct bash_id *ret)
{
	if (!uuid_parse(text, ret->command))
		return false;
	ret->timeout_s = number_at(ret->command, TIMEOUT_AT, 6);
	ret->number = number_at(ret->command, NUMBER_AT, 6);
	memset(ret->command + NUMBER_AT, '0', DIGITS - NUMBER_AT);
	return true;
}

void bash_id_of_event(const char *command, int64_t number, char ret[BASH_ID_SIZE])
{
	BUG_IF(number < 0 || number > BASH_NUMBER_MAX, "an event out of range");
	snprintf(ret, BASH_ID_SIZE, "%.*s%06x", NUMBER_AT, command, (unsigned)number);
}

void bash_name(const char *command, char ret[BASH_NAME_SIZE])
{
	snprintf(ret, BASH_NAME_SIZE, "bash-%s", command);
}

bool bash_name_parse(struct str name, struct bash_id *ret)
{
	return name.len == BASH_NAME_SIZE - 1 && str_starts(name, STR("bash-")) &&
		bash_id_parse(str_skip(name, 5), ret) && ret->number == 0;
}
