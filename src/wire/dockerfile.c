/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The text is taken line by line. A logical line is what is left when lines
 * that end with the escape character are joined, and comments and empty lines between them are
 * dropped. Its first word is looked up in dockerfile.def, whose form says how the rest is cut.
 * Here-documents follow their logical line and are taken as they stand.
 */
#include "wire/dockerfile.h"

#include "base/auto.h"
#include "wire/json.h"

enum form { FORM_WORDS, FORM_TEXT, FORM_COMMAND, FORM_FILES, FORM_JSON, FORM_LIST };

static const struct row {
	const char *word;
	enum form form;
	const char *flags;
} rows[DOCKERFILE_KINDS] = {
#define INSTRUCTION(name, form, flags) { #name, FORM_##form, flags },
#include "wire/dockerfile.def"
#undef INSTRUCTION
};

struct parsing {
	struct arena *arena;
	struct str rest;
	int line; /* of the next physical one */
	struct dockerfile *file;
};

const char *dockerfile_word(enum dockerfile_kind kind)
{
	return rows[kind].word;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct str trim_front(struct str s)
{
	while (s.len && is_blank(s.ptr[0]))
		s = str_skip(s, 1);
	return s;
}

static bool take_line(struct parsing *p, struct str *ret)
{
	if (!p->rest.len || !str_split(&p->rest, '\n', ret))
		return false;
	if (ret->len && ret->ptr[ret->len - 1] == '\r')
		ret->len--;
	p->line++;
	return true;
}

/* ---- directives: "# escape=`" before anything else ---- */

static int take_directive(struct parsing *p, struct str line, bool *ret_is_one, struct error *err)
{
	struct str text = str_trim(line);
	*ret_is_one = false;
	if (!text.len || text.ptr[0] != '#')
		return 0;
	text = str_trim(str_skip(text, 1));
	ptrdiff_t sign = str_find_char(text, '=');
	struct str name = str_trim(str_first(text, sign < 0 ? 0 : (size_t)sign));
	struct str value = str_trim(str_skip(text, (size_t)(sign + 1)));
	*ret_is_one = str_eq_nocase(name, STR("escape")) || str_eq_nocase(name, STR("syntax")) ||
		str_eq_nocase(name, STR("check"));
	if (!str_eq_nocase(name, STR("escape")))
		return 0;
	if (!str_is(value, "\\") && !str_is(value, "`"))
		return error_set(err, ERROR_INVALID, "line %d: escape is \\ or `", p->line);
	p->file->escape = value.ptr[0];
	return 0;
}

static int take_directives(struct parsing *p, struct error *err)
{
	for (;;) {
		struct parsing ahead = *p;
		struct str line;
		bool is_one;
		if (!take_line(&ahead, &line))
			return 0;
		if (take_directive(&ahead, line, &is_one, err) < 0)
			return -1;
		if (!is_one)
			return 0;
		*p = ahead;
	}
}

/* ---- logical lines ---- */

static bool is_comment(struct str line)
{
	line = trim_front(line);
	return line.len && line.ptr[0] == '#';
}

/* True if it goes on with the next; without the escape character then. */
static bool goes_on(struct str *line, char escape)
{
	struct str text = *line;
	while (text.len && is_blank(text.ptr[text.len - 1]))
		text.len--;
	if (!text.len || text.ptr[text.len - 1] != escape)
		return false;
	if (text.len > 1 && text.ptr[text.len - 2] == escape && escape == '\\')
		return false; /* "\\" at the end is a backslash */
	line->len = text.len - 1;
	return true;
}

/* Puts it into `out`, unless that is NULL, and gives its length; -1 at the end of the file. */
static ptrdiff_t join_lines(struct parsing *p, char *out, int *ret_line)
{
	struct str line;
	ptrdiff_t n = -1;
	while (take_line(p, &line)) {
		if (is_comment(line) || !str_trim(line).len)
			continue;
		if (n < 0) {
			*ret_line = p->line;
			line = trim_front(line);
			n = 0;
		}
		bool more = goes_on(&line, p->file->escape);
		if (out)
			memcpy(out + n, line.ptr, line.len);
		n += (ptrdiff_t)line.len;
		if (!more)
			break;
	}
	return n;
}

/* STR_NONE at the end of the file. */
static struct str take_logical(struct parsing *p, int *ret_line)
{
	struct parsing ahead = *p;
	ptrdiff_t n = join_lines(&ahead, NULL, ret_line);
	if (n < 0)
		return STR_NONE;
	char *joined = arena_alloc(p->arena, (size_t)n + 1);
	join_lines(p, joined, ret_line);
	return str_trim(str_from_len(joined, (size_t)n));
}

/* ---- one step ---- */

static int find_kind(struct str word, int line, enum dockerfile_kind *ret, struct error *err)
{
	static const char *const not_offered[] = { "HEALTHCHECK", "ONBUILD" };
	for (int i = 0; i < DOCKERFILE_KINDS; i++)
		if (str_eq_nocase(word, str_from(rows[i].word))) {
			*ret = (enum dockerfile_kind)i;
			return 0;
		}
	for (size_t i = 0; i < ARRAY_LEN(not_offered); i++)
		if (str_eq_nocase(word, str_from(not_offered[i])))
			return error_set(err, ERROR_UNSUPPORTED, "line %d: %s is not offered", line,
				not_offered[i]);
	return error_set(err, ERROR_INVALID, "line %d: unknown instruction: %.*s", line,
		STR_ARG(str_first(word, 60)));
}

static bool has_flag(const struct row *row, struct str name)
{
	struct str rest = str_from(row->flags), known;
	while (str_split(&rest, ' ', &known))
		if (known.len && str_eq(known, name))
			return true;
	return false;
}

static int take_flags(struct dockerfile_step *step, char escape, struct str *text,
	struct error *err)
{
	const struct row *row = &rows[step->kind];
	while (str_starts(*text, STR("--"))) {
		struct str piece;
		if (!dockerfile_next(text, escape, &piece))
			return 0;
		piece = str_skip(piece, 2);
		ptrdiff_t sign = str_find_char(piece, '=');
		struct str name = sign < 0 ? piece : str_first(piece, (size_t)sign);
		if (!name.len && row->form == FORM_COMMAND)
			return 0;
		if (!has_flag(row, name))
			return error_set(err, ERROR_UNSUPPORTED,
				"line %d: --%.*s of %s is not offered", step->line,
				STR_ARG(str_first(name, 60)), row->word);
		if (step->n_flags == DOCKERFILE_FLAGS_MAX)
			return error_set(err, ERROR_LIMIT, "line %d: over %d flags", step->line,
				DOCKERFILE_FLAGS_MAX);
		step->flags[step->n_flags++] = piece;
		*text = trim_front(*text);
	}
	return 0;
}

struct str dockerfile_flag(const struct dockerfile_step *step, const char *name)
{
	struct str wanted = str_from(name);
	for (size_t i = 0; i < step->n_flags; i++) {
		struct str flag = step->flags[i];
		if (!str_starts(flag, wanted))
			continue;
		if (flag.len == wanted.len)
			return STR("");
		if (flag.ptr[wanted.len] == '=')
			return str_skip(flag, wanted.len + 1);
	}
	return STR_NONE;
}

static int add_word(struct dockerfile_step *step, struct str word, struct error *err)
{
	if (step->n_words == DOCKERFILE_WORDS_MAX)
		return error_set(err, ERROR_LIMIT, "line %d: over %d words", step->line,
			DOCKERFILE_WORDS_MAX);
	step->words[step->n_words++] = word;
	return 0;
}

/* False: the text is no JSON array of strings, and means what it says. */
static bool take_json(struct parsing *p, struct dockerfile_step *step)
{
	auto_json struct json *list = NULL;
	if (!step->text.len || step->text.ptr[0] != '[' || json_parse(step->text, &list, NULL) < 0)
		return false;
	size_t n = json_len(list);
	for (size_t i = 0; i < n; i++)
		if (json_kind(json_at(list, i)) != JSON_KIND_STR ||
			str_has_nul(json_str(json_at(list, i))))
			return false;
	if (n > DOCKERFILE_WORDS_MAX)
		return false;
	step->words = arena_new_n(p->arena, struct str, n + 1);
	for (size_t i = 0; i < n; i++) {
		struct str word = json_str(json_at(list, i));
		step->words[i] = str_from_len(arena_str(p->arena, word), word.len);
	}
	step->n_words = n;
	step->is_json = true;
	return true;
}

static int cut_words(struct parsing *p, struct dockerfile_step *step, struct error *err)
{
	struct str rest = step->text, piece;
	size_t n = 0;
	while (dockerfile_next(&rest, p->file->escape, &piece))
		n++;
	step->words = arena_new_n(p->arena, struct str, MIN(n, (size_t)DOCKERFILE_WORDS_MAX) + 1);
	rest = step->text;
	while (dockerfile_next(&rest, p->file->escape, &piece))
		if (add_word(step, piece, err) < 0)
			return -1;
	return 0;
}

/* ---- here-documents ---- */

/* "<<EOF", "<<-EOF", "3<<'EOF'"; not "<<<". */
static bool is_doc(struct str word, struct str *ret_name, bool *ret_is_literal, bool *ret_strips)
{
	while (word.len && word.ptr[0] >= '0' && word.ptr[0] <= '9')
		word = str_skip(word, 1);
	if (!str_starts(word, STR("<<")) || str_starts(word, STR("<<<")))
		return false;
	word = str_skip(word, 2);
	*ret_strips = word.len && word.ptr[0] == '-';
	word = str_skip(word, *ret_strips);
	*ret_is_literal = word.len > 2 && (word.ptr[0] == '\'' || word.ptr[0] == '"') &&
		word.ptr[word.len - 1] == word.ptr[0];
	if (*ret_is_literal)
		word = str_from_len(word.ptr + 1, word.len - 2);
	for (size_t i = 0; i < word.len; i++)
		if (strchr("<>|&;()'\"$`\\", word.ptr[i]))
			return false;
	*ret_name = word;
	return word.len > 0;
}

/* Up to the line that ends it; -1 if there is none. */
static ptrdiff_t join_doc(struct parsing *p, struct str name, bool strips, char *out)
{
	struct str line;
	ptrdiff_t n = 0;
	while (take_line(p, &line)) {
		while (strips && line.len && line.ptr[0] == '\t')
			line = str_skip(line, 1);
		if (str_eq(line, name))
			return n;
		if (out) {
			memcpy(out + n, line.ptr, line.len);
			out[n + (ptrdiff_t)line.len] = '\n';
		}
		n += (ptrdiff_t)line.len + 1;
	}
	return -1;
}

static int take_doc(struct parsing *p, struct dockerfile_step *step, struct str name,
	bool is_literal, bool strips, struct error *err)
{
	struct parsing ahead = *p;
	ptrdiff_t n = join_doc(&ahead, name, strips, NULL);
	if (n < 0)
		return error_set(err, ERROR_INVALID, "line %d: the here-document %.*s has no end",
			step->line, STR_ARG(str_first(name, 60)));
	if (step->n_docs == DOCKERFILE_DOCS_MAX)
		return error_set(err, ERROR_LIMIT, "line %d: over %d here-documents", step->line,
			DOCKERFILE_DOCS_MAX);
	char *text = arena_alloc(p->arena, (size_t)n + 1);
	join_doc(p, name, strips, text);
	step->docs[step->n_docs++] = (struct dockerfile_doc){ name, { text, (size_t)n },
		is_literal };
	return 0;
}

static int take_docs(struct parsing *p, struct dockerfile_step *step, struct error *err)
{
	struct str rest = step->text, piece, name;
	bool is_literal, strips;
	while (dockerfile_next(&rest, p->file->escape, &piece))
		if (is_doc(piece, &name, &is_literal, &strips) &&
			take_doc(p, step, name, is_literal, strips, err) < 0)
			return -1;
	return 0;
}

static int take_rest(struct parsing *p, struct dockerfile_step *step, struct error *err)
{
	enum form form = rows[step->kind].form;
	const char *word = rows[step->kind].word;
	if (!step->text.len)
		return error_set(err, ERROR_INVALID, "line %d: %s requires arguments", step->line,
			word);
	bool is_json = form != FORM_WORDS && form != FORM_TEXT && take_json(p, step);
	if (form == FORM_JSON && (!is_json || step->n_words == 0))
		return error_set(err, ERROR_INVALID,
			"line %d: %s takes a JSON array of strings: [\"/bin/bash\",\"-c\"]",
			step->line, word);
	if ((form == FORM_COMMAND || form == FORM_FILES) && !is_json &&
		(step->kind == DOCKERFILE_RUN || form == FORM_FILES) && take_docs(p, step, err) < 0)
		return -1;
	if (is_json || form == FORM_TEXT || form == FORM_COMMAND)
		return 0;
	return cut_words(p, step, err);
}

static int take_step(struct parsing *p, struct str text, int line, struct error *err)
{
	struct dockerfile *file = p->file;
	size_t n = 0;
	if (file->n == DOCKERFILE_STEPS_MAX)
		return error_set(err, ERROR_LIMIT, "line %d: over %d instructions", line,
			DOCKERFILE_STEPS_MAX);
	struct dockerfile_step *step = &file->steps[file->n++];
	step->line = line;
	while (n < text.len && !is_blank(text.ptr[n]))
		n++;
	if (find_kind(str_first(text, n), line, &step->kind, err) < 0)
		return -1;
	text = trim_front(str_skip(text, n));
	if (take_flags(step, file->escape, &text, err) < 0)
		return -1;
	step->text = text;
	return take_rest(p, step, err);
}

int dockerfile_parse(struct str text, struct arena *arena, struct dockerfile *ret,
	struct error *err)
{
	*ret = (struct dockerfile){ .escape = '\\' };
	if (text.len > DOCKERFILE_MAX)
		return error_set(err, ERROR_TOO_LARGE, "a Dockerfile of %zu bytes", text.len);
	if (str_has_nul(text))
		return error_set(err, ERROR_INVALID, "a Dockerfile with a NUL in it");
	if (str_starts(text, STR("\xef\xbb\xbf")))
		text = str_skip(text, 3);
	struct parsing p = { arena, text, 0, ret };
	ret->steps = arena_new_n(arena, struct dockerfile_step, DOCKERFILE_STEPS_MAX);
	if (take_directives(&p, err) < 0)
		return -1;
	for (;;) {
		int line = 0;
		if (!arena_has_room(arena, 3 * p.rest.len + 64 * 1024))
			return error_set(err, ERROR_TOO_LARGE, "line %d: too much to take in",
				p.line);
		struct str logical = take_logical(&p, &line);
		if (!logical.ptr)
			break;
		if (take_step(&p, logical, line, err) < 0)
			return -1;
	}
	if (ret->n == 0)
		return error_set(err, ERROR_INVALID, "the Dockerfile holds no instruction");
	return 0;
}
