/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/escape.h"

enum {
	SEQUENCE_MAX = 256, /* bytes of a control sequence up to which its end is looked for */
	PARAMS_MAX = 8,
	DIGITS_MAX = 4,
};

/*
 * Nearly all bytes are plain, and there are many of them: 64 at a time without a branch, so that it
 * vectorizes.
 */
size_t escape_plain(struct str in)
{
	const unsigned char *p = (const unsigned char *)in.ptr;
	size_t i = 0;
	for (; i + 64 <= in.len; i += 64) {
		unsigned char special = 0;
		for (size_t j = 0; j < 64; j++) {
			unsigned char c = p[i + j];
			special |= (unsigned char)(c == 0x7f) |
				(unsigned char)((c < 0x20) & (c != '\n') & (c != '\t'));
		}
		if (special)
			break;
	}
	while (i < in.len && p[i] != 0x7f && (p[i] >= 0x20 || p[i] == '\n' || p[i] == '\t'))
		i++;
	return i;
}

static bool is_in(char c, char first, char last)
{
	return c >= first && c <= last;
}

/* At most PARAMS_MAX numbers of at most DIGITS_MAX digits, perhaps after a '?'. */
static bool is_well_formed(struct str params)
{
	int n = 1, digits = 0;
	if (params.len && params.ptr[0] == '?')
		params = str_skip(params, 1);
	for (size_t i = 0; i < params.len; i++) {
		if (params.ptr[i] == ';') {
			n++;
			digits = 0;
		} else if (!is_in(params.ptr[i], '0', '9') || ++digits > DIGITS_MAX) {
			return false;
		}
	}
	return n <= PARAMS_MAX;
}

/* CSI ? 25 h and its like: most modes show nothing; these do. */
static bool is_visible_mode(struct str params)
{
	static const char *const modes[] = {
		"4", "?6", "?7", "?47", "?1047", "?1048",
		"?1049", /* insertion, origin, wrapping, alternate screen */
	};
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (str_is(params, modes[i]))
			return true;
	return false;
}

static enum escape_meaning final_meaning(char final, struct str params)
{
	bool is_private = params.len && params.ptr[0] == '?';
	if (!is_well_formed(params))
		return ESCAPE_SILENT;
	if (final == 'h' || final == 'l')
		return is_visible_mode(params) ? ESCAPE_MOVES : ESCAPE_SILENT;
	if (final == 'K' || final == 'J')
		return params.len == 0 || str_is(params, "0") ? ESCAPE_ERASES : ESCAPE_MOVES;
	if (final == 's' || final == 'u')
		return params.len == 0 ? ESCAPE_MOVES : ESCAPE_SILENT;
	if (strchr("@ABCDEFGHILMPSTXZ`adefr", final) && !is_private)
		return ESCAPE_MOVES;
	return ESCAPE_SILENT; /* colours, questions, the window, the shape of the cursor, what nobody knows */
}

/* ESC [ parameters intermediates final. Anything else in it ends it, and is not part of it. */
static enum escape_meaning control_sequence(struct str in, size_t *ret_len)
{
	size_t n = 2;
	while (n < in.len && n <= SEQUENCE_MAX && is_in(in.ptr[n], 0x20, 0x3f))
		n++;
	*ret_len = n;
	if (n > SEQUENCE_MAX)
		return ESCAPE_SILENT;
	if (n == in.len)
		return ESCAPE_CUT_OFF;
	if (!is_in(in.ptr[n], 0x40, 0x7e))
		return ESCAPE_SILENT;
	*ret_len = n + 1;
	return final_meaning(in.ptr[n], str_from_len(in.ptr + 2, n - 2));
}

/* OSC, DCS, APC, PM, SOS: up to BEL, ST, or the next escape sequence. */
static enum escape_meaning string_sequence(struct str in, size_t *ret_len)
{
	for (size_t n = 2; n < in.len; n++) {
		if (in.ptr[n] == '\a') {
			*ret_len = n + 1;
			return ESCAPE_SILENT;
		}
		if (in.ptr[n] == '\033') {
			if (n + 1 == in.len)
				return ESCAPE_CUT_OFF;
			*ret_len = in.ptr[n + 1] == '\\' ? n + 2 : n;
			return ESCAPE_SILENT;
		}
	}
	return ESCAPE_CUT_OFF;
}

/* ESC intermediates final: character sets, and what else there is. */
static enum escape_meaning short_sequence(struct str in, size_t *ret_len)
{
	size_t n = 1;
	while (n < in.len && n < 4 && is_in(in.ptr[n], 0x20, 0x2f))
		n++;
	if (n == in.len)
		return ESCAPE_CUT_OFF;
	*ret_len = n;
	if (!is_in(in.ptr[n], 0x30, 0x7e))
		return ESCAPE_SILENT;
	*ret_len = n + 1;
	if (n == 1 && strchr("78DEMc", in.ptr[1]))
		return ESCAPE_MOVES;
	/* ASCII again is silent where nothing else was chosen; the set for drawing lines shows. */
	if (n == 2 && in.ptr[1] == '(' && in.ptr[2] == 'B')
		return ESCAPE_ERASES;
	return n == 2 && in.ptr[1] == '(' && in.ptr[2] == '0' ? ESCAPE_MOVES : ESCAPE_SILENT;
}

static enum escape_meaning escape(struct str in, size_t *ret_len)
{
	if (in.len < 2)
		return ESCAPE_CUT_OFF;
	switch (in.ptr[1]) {
	case '[':
		return control_sequence(in, ret_len);
	case ']':
	case 'P':
	case '_':
	case '^':
	case 'X':
		return string_sequence(in, ret_len);
	default:
		return short_sequence(in, ret_len);
	}
}

/* Any number of CR before LF are one newline: that is what ONLCR makes of CR LF. */
static enum escape_meaning carriage_return(struct str in, size_t *ret_len)
{
	size_t n = 1;
	while (n < in.len && in.ptr[n] == '\r')
		n++;
	if (n == in.len) {
		*ret_len = n - 1; /* the last one may belong to a newline */
		return n > 1 ? ESCAPE_RETURN : ESCAPE_CUT_OFF;
	}
	*ret_len = in.ptr[n] == '\n' ? n + 1 : n;
	return in.ptr[n] == '\n' ? ESCAPE_NEWLINE : ESCAPE_RETURN;
}

enum escape_meaning escape_parse(struct str in, size_t *ret_len)
{
	*ret_len = 1;
	switch (in.ptr[0]) {
	case '\033':
		return escape(in, ret_len);
	case '\r':
		return carriage_return(in, ret_len);
	case '\b':
	case '\v':
	case '\f':
		return ESCAPE_MOVES;
	default:
		return ESCAPE_SILENT;
	}
}
