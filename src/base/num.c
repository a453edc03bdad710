/* SPDX-License-Identifier: Apache-2.0 */
#include "base/num.h"

#include "base/bug.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdatomic.h>

int num_parse_i64(struct str s, int64_t min, int64_t max, int64_t *ret, struct error *err)
{
	char text[24];
	if (s.len == 0 || s.len >= sizeof(text))
		return error_set(err, ERROR_INVALID, "not a whole number: '%.*s'",
			STR_ARG(str_first(s, 40)));
	memcpy(text, s.ptr, s.len);
	text[s.len] = '\0';

	char *end;
	errno = 0;
	long long v = strtoll(text, &end, 10);
	bool is_plain = text[0] == '-' ||
		(text[0] >= '0' && text[0] <= '9'); /* strtoll skips spaces */
	if (errno || end != text + s.len || !is_plain)
		return error_set(err, ERROR_INVALID, "not a whole number: '%s'", text);
	if (v < min || v > max)
		return error_set(err, ERROR_INVALID, "%lld is not between %lld and %lld", v,
			(long long)min, (long long)max);
	*ret = v;
	return 0;
}

struct unit {
	const char *name;
	double factor;
};

static int parse_with_unit(struct str s, const struct unit *units, const char *what, int64_t *ret,
	struct error *err)
{
	char text[32];
	if (s.len == 0 || s.len >= sizeof(text) || str_has_nul(s))
		goto bad;
	memcpy(text, s.ptr, s.len);
	text[s.len] = '\0';
	char *end;
	double v = num_real(text, &end);
	if (end == text || end != text + strspn(text, "0123456789."))
		goto bad; /* strtod takes spaces, signs, exponents and hex as well */
	for (; units->name; units++) {
		if (!str_eq_nocase(str_from(end), str_from(units->name)))
			continue;
		v *= units->factor;
		if (!(v < 9.0e18))
			goto bad;
		*ret = (int64_t)llround(v);
		return 0;
	}
bad:
	return error_set(err, ERROR_INVALID, "not a %s: '%.*s'", what, STR_ARG(str_first(s, 40)));
}

int num_parse_size(struct str s, int64_t *ret_bytes, struct error *err)
{
	static const struct unit units[] = {
		{ "", 1 },
		{ "b", 1 },
		{ "k", 0x1p10 },
		{ "kb", 0x1p10 },
		{ "kib", 0x1p10 },
		{ "m", 0x1p20 },
		{ "mb", 0x1p20 },
		{ "mib", 0x1p20 },
		{ "g", 0x1p30 },
		{ "gb", 0x1p30 },
		{ "gib", 0x1p30 },
		{ "t", 0x1p40 },
		{ "tb", 0x1p40 },
		{ "tib", 0x1p40 },
		{ 0 },
	};
	return parse_with_unit(s, units, "size (such as 64K, 512M or 2G)", ret_bytes, err);
}

int num_parse_duration(struct str s, int64_t *ret_ms, struct error *err)
{
	static const struct unit units[] = {
		{ "ms", 1 },
		{ "", 1e3 },
		{ "s", 1e3 },
		{ "m", 60e3 },
		{ "h", 3600e3 },
		{ "d", 86400e3 },
		{ 0 },
	};
	return parse_with_unit(s, units, "duration (such as 500ms, 30s, 10m or 2h)", ret_ms, err);
}

int num_parse_quantity(struct str s, int64_t per_whole, int64_t *ret, struct error *err)
{
	static const struct unit units[] = { { "", 1 }, { "m", 1e-3 }, { "k", 1e3 }, { "M", 1e6 },
		{ "G", 1e9 }, { "T", 1e12 }, { "Ki", 1024 }, { "Mi", 1048576 },
		{ "Gi", 1073741824 }, { "Ti", 1099511627776 }, { 0 } };
	char text[32] = "", *end = text;
	if (s.len < sizeof(text) && !str_has_nul(s))
		memcpy(text, s.ptr ? s.ptr : "", s.len);
	double value = text[0] >= '0' && text[0] <= '9' ? num_real(text, &end) : -1;
	for (const struct unit *u = units; u->name; u++) {
		double parts = value * u->factor * (double)per_whole;
		if (end == text || strcmp(end, u->name) != 0 || !(parts >= 0) || parts > 1e18)
			continue;
		*ret = (int64_t)parts + ((double)(int64_t)parts < parts);
		return 0;
	}
	return error_set(err, ERROR_INVALID, "'%.*s' is no quantity (as 500m, 1.5, 2Gi)",
		STR_ARG(str_first(s, 40)));
}

/* Made once, for all threads; the loser of a race gives its own back. */
static locale_t c_locale(void)
{
	static _Atomic(locale_t) all;
	locale_t none = 0, made;
	if (all)
		return all;
	made = newlocale(LC_ALL_MASK, "C", 0);
	BUG_IF(!made, "there is no C locale");
	if (!atomic_compare_exchange_strong(&all, &none, made))
		freelocale(made);
	return all;
}

double num_real(const char *text, char **ret_end)
{
	return strtod_l(text, ret_end, c_locale());
}

void num_print_real(char text[NUM_REAL_SIZE], double v)
{
	locale_t before = uselocale(c_locale());
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, NUM_REAL_SIZE, "%.*g", digits, v);
		if (num_real(text, NULL) == v)
			break;
	}
	uselocale(before);
	if (!strpbrk(text, ".en"))
		memcpy(text + strlen(text), ".0", sizeof(".0"));
}
