/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/pattern_tree.h"

#include "base/auto.h"
#include "base/bug.h"
#include "wire/pattern.h"

enum { NODES_MAX = 4 * PATTERN_TEXT_MAX, REPEATS_MAX = 1000 };

struct parser {
	struct str text;
	size_t at;
	struct pattern_tree *tree;
	int depth;
	struct error *err;
};

int pattern_refuse(struct str text, enum error_code code, const char *what, struct error *err)
{
	return error_set(err, code, "pattern '%.*s': %s", STR_ARG(str_first(text, 60)), what);
}

static int refuse(struct parser *p, enum error_code code, const char *what)
{
	return pattern_refuse(p->text, code, what, p->err);
}

static int node(struct parser *p, enum node_kind kind, int a, int b)
{
	BUG_IF(p->tree->n_nodes == NODES_MAX, "a pattern has more nodes than its text allows");
	p->tree->nodes[p->tree->n_nodes] = (struct node){ .kind = kind, .a = a, .b = b };
	return p->tree->n_nodes++;
}

static int peek(const struct parser *p)
{
	return p->at < p->text.len ? (unsigned char)p->text.ptr[p->at] : -1;
}

static bool take(struct parser *p, char c)
{
	if (peek(p) != (unsigned char)c)
		return false;
	p->at++;
	return true;
}

static void set_add(struct byte_set *s, int c)
{
	s->bits[c >> 6] |= (uint64_t)1 << (c & 63);
}

static void set_add_range(struct byte_set *s, int from, int to)
{
	for (int c = from; c <= to; c++)
		set_add(s, c);
}

static void set_invert(struct byte_set *s)
{
	for (size_t i = 0; i < ARRAY_LEN(s->bits); i++)
		s->bits[i] = ~s->bits[i];
}

static int set_node(struct parser *p, const struct byte_set *set)
{
	p->tree->sets[p->tree->n_sets] = *set;
	return node(p, NODE_SET, p->tree->n_sets++, NO_NODE);
}

static int hex_digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* \d and its like: all it stands for. False: it is no class. */
static bool class_of(int letter, struct byte_set *ret)
{
	struct byte_set s = { 0 };
	switch (letter | 0x20) {
	case 'd':
		set_add_range(&s, '0', '9');
		break;
	case 's':
		set_add_range(&s, '\t', '\r');
		set_add(&s, ' ');
		break;
	case 'w':
		set_add_range(&s, '0', '9');
		set_add_range(&s, 'a', 'z');
		set_add_range(&s, 'A', 'Z');
		set_add(&s, '_');
		break;
	default:
		return false;
	}
	if (!(letter & 0x20))
		set_invert(&s);
	*ret = s;
	return true;
}

/* After a backslash: one byte; -1: refused. */
static int escaped_byte(struct parser *p)
{
	static const char letters[] = "ntrfva0", bytes[] = "\n\t\r\f\v\a";
	int c = peek(p);
	if (c < 0)
		return refuse(p, ERROR_INVALID, "ends with a backslash");
	p->at++;
	if (c == 'x') {
		int high = hex_digit(peek(p));
		p->at += high >= 0;
		int low = hex_digit(peek(p));
		p->at += low >= 0;
		return high < 0 || low < 0
			? refuse(p, ERROR_INVALID, "\\x wants two hexadecimal digits")
			: high * 16 + low;
	}
	for (size_t i = 0; letters[i]; i++)
		if (c == letters[i])
			return (unsigned char)bytes[i];
	bool is_word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
	if (is_word)
		return refuse(p, ERROR_UNSUPPORTED,
			"a backslash before this letter or digit is not offered");
	return c;
}

/* One byte, or a class, of a set in brackets: -1 refused, -2 a class, which is in *set. */
static int set_member(struct parser *p, struct byte_set *set)
{
	struct byte_set class;
	int c = peek(p);
	if (c < 0)
		return refuse(p, ERROR_INVALID, "a [ is not closed");
	p->at++;
	if (c >= 0x80)
		return refuse(p, ERROR_UNSUPPORTED, "in [ ] only ASCII is offered");
	if (c != '\\')
		return c;
	if (!class_of(peek(p), &class))
		return escaped_byte(p);
	p->at++;
	for (size_t i = 0; i < ARRAY_LEN(set->bits); i++)
		set->bits[i] |= class.bits[i];
	return -2;
}

static int parse_set(struct parser *p)
{
	struct byte_set set = { 0 };
	bool is_inverted = take(p, '^');
	bool is_first = true;
	while (is_first || peek(p) != ']') {
		is_first = false;
		int from = set_member(p, &set);
		if (from == -1)
			return -1;
		bool is_range = from >= 0 && peek(p) == '-' && p->at + 1 < p->text.len &&
			p->text.ptr[p->at + 1] != ']';
		int to = from;
		if (is_range) {
			p->at++;
			to = set_member(p, &set);
			if (to == -1)
				return -1;
		}
		if (is_range && to < from)
			return refuse(p, ERROR_INVALID, "a range in [ ] is the wrong way round");
		if (from >= 0)
			set_add_range(&set, from, to);
	}
	p->at++;
	if (is_inverted)
		set_invert(&set);
	return set_node(p, &set);
}

static int parse_alternatives(struct parser *p);

/* After "(?": a group without a number, or with a name; all else looks around, or sets flags. */
static int skip_group_kind(struct parser *p)
{
	if (take(p, ':'))
		return 0;
	if (take(p, 'P') && take(p, '<')) {
		ptrdiff_t end = str_find_char(str_skip(p->text, p->at), '>');
		if (end > 0) {
			p->at += (size_t)end + 1;
			return 0;
		}
	}
	return refuse(p, ERROR_UNSUPPORTED,
		"of what begins with (? only (?: and names are offered");
}

static int parse_group(struct parser *p)
{
	if (++p->depth > PATTERN_DEPTH_MAX)
		return refuse(p, ERROR_LIMIT, "too many groups in each other");
	if (take(p, '?') && skip_group_kind(p) < 0)
		return -1;
	int inner = parse_alternatives(p);
	p->depth--;
	if (inner >= 0 && !take(p, ')'))
		return refuse(p, ERROR_INVALID, "a ( is not closed");
	return inner;
}

static int parse_escape(struct parser *p)
{
	struct byte_set set = { 0 };
	int c = peek(p);
	if (c == 'A' || c == 'Z') {
		p->at++;
		return node(p, c == 'A' ? NODE_BEGIN : NODE_END, NO_NODE, NO_NODE);
	}
	if (class_of(c, &set)) {
		p->at++;
		return set_node(p, &set);
	}
	c = escaped_byte(p);
	if (c < 0)
		return -1;
	set_add(&set, c);
	return set_node(p, &set);
}

static int parse_atom(struct parser *p)
{
	struct byte_set set = { 0 };
	int c = peek(p);
	p->at++;
	switch (c) {
	case '(':
		return parse_group(p);
	case '[':
		return parse_set(p);
	case '\\':
		return parse_escape(p);
	case '^':
		return node(p, NODE_BEGIN, NO_NODE, NO_NODE);
	case '$':
		return node(p, NODE_END, NO_NODE, NO_NODE);
	case '*':
	case '+':
	case '?':
		return refuse(p, ERROR_INVALID, "nothing to repeat");
	case '.':
		set_invert(&set);
		break;
	default:
		set_add(&set, c);
	}
	return set_node(p, &set);
}

static int parse_count(struct parser *p)
{
	int n = 0, digits = 0;
	while (peek(p) >= '0' && peek(p) <= '9' && digits++ < 5)
		n = n * 10 + (p->text.ptr[p->at++] - '0');
	return digits ? n : -1;
}

/* "{2}", "{2,}", "{,3}", "{2,3}"; anything else is text, as in Python: false, and nothing taken. */
static bool take_braces(struct parser *p, int *min, int *max)
{
	size_t from = p->at++;
	int first = parse_count(p);
	bool has_comma = take(p, ',');
	int second = has_comma ? parse_count(p) : first;
	if (!take(p, '}') || (first < 0 && second < 0)) {
		p->at = from;
		return false;
	}
	*min = first < 0 ? 0 : first;
	*max = second < 0 ? WITHOUT_END : second;
	return true;
}

static bool take_repeat(struct parser *p, int *min, int *max)
{
	*min = 0;
	*max = WITHOUT_END;
	switch (peek(p)) {
	case '{':
		return take_braces(p, min, max);
	case '?':
		*max = 1;
		break;
	case '+':
		*min = 1;
		break;
	case '*':
		break;
	default:
		return false;
	}
	p->at++;
	return true;
}

static int parse_repeated(struct parser *p)
{
	int min, max;
	int inner = parse_atom(p);
	if (inner < 0 || !take_repeat(p, &min, &max))
		return inner;
	take(p, '?'); /* which of several matches is taken makes no difference here */
	if (min > REPEATS_MAX || max > REPEATS_MAX || (max != WITHOUT_END && max < min))
		return refuse(p, ERROR_INVALID, "a repetition of such numbers");
	if (peek(p) == '*' || peek(p) == '+' || peek(p) == '?')
		return refuse(p, ERROR_INVALID, "a repetition of a repetition");
	int n = node(p, NODE_REPEAT, inner, NO_NODE);
	p->tree->nodes[n].min = min;
	p->tree->nodes[n].max = max;
	return n;
}

static int parse_sequence(struct parser *p)
{
	int all = node(p, NODE_EMPTY, NO_NODE, NO_NODE);
	while (peek(p) >= 0 && peek(p) != '|' && peek(p) != ')') {
		int one = parse_repeated(p);
		if (one < 0)
			return -1;
		all = node(p, NODE_CAT, all, one);
	}
	return all;
}

static int parse_alternatives(struct parser *p)
{
	int all = parse_sequence(p);
	while (all >= 0 && take(p, '|')) {
		int other = parse_sequence(p);
		if (other < 0)
			return -1;
		all = node(p, NODE_ALT, all, other);
	}
	return all;
}

int pattern_tree_new(struct str text, struct pattern_tree *ret, struct error *err)
{
	struct parser p = { .text = text, .tree = ret, .err = err };
	*ret = (struct pattern_tree){ .nodes = mem_new_n(struct node, NODES_MAX),
		.sets = mem_new_n(struct byte_set, text.len + 1) };
	ret->root = parse_alternatives(&p);
	if (ret->root >= 0 && peek(&p) < 0)
		return 0;
	if (ret->root >= 0)
		refuse(&p, ERROR_INVALID, "a ) without its (");
	pattern_tree_fini(ret);
	return -1;
}

void pattern_tree_fini(struct pattern_tree *t)
{
	free(t->nodes);
	free(t->sets);
	*t = (struct pattern_tree){ 0 };
}
