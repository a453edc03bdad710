/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The text is parsed into a tree of nodes, and the tree written out as a
 * program of an automaton: bytes that are looked for, and ways that part. Looking is done by all
 * threads at once, each a place in the program and where its match began; a place that one thread
 * has is not given to a second, and as the elder go first, the one that is kept began first.
 */
#include "wire/pattern.h"

#include "base/auto.h"
#include "base/bug.h"

#include <stdint.h>

enum { NODES_MAX = 4 * PATTERN_TEXT_MAX, REPEATS_MAX = 1000, NO_NODE = -1, WITHOUT_END = -1 };

struct set {
	uint64_t bits[4];
};

enum node_kind { NODE_EMPTY, NODE_SET, NODE_CAT, NODE_ALT, NODE_REPEAT, NODE_BEGIN, NODE_END };

struct node {
	enum node_kind kind;
	int a, b;     /* nodes; of NODE_SET: a is its set */
	int min, max; /* NODE_REPEAT; max WITHOUT_END: any number */
};

enum op { OP_SET, OP_SPLIT, OP_JUMP, OP_BEGIN, OP_END, OP_MATCH };

struct step {
	enum op op;
	int x, y; /* where it goes on; of OP_SET: x is its set */
};

struct thread {
	int at;
	size_t start;
};

struct threads {
	struct thread list[PATTERN_STATES_MAX];
	int n;
	uint32_t seen[PATTERN_STATES_MAX]; /* == generation: it is in the list */
	uint32_t generation;
};

struct pattern {
	struct step steps[PATTERN_STATES_MAX];
	int n_steps;
	struct set *sets;
	struct threads *now, *next;
	size_t at;    /* bytes since the beginning */
	size_t start; /* of the match that was found */
	int stack[2 * PATTERN_STATES_MAX];
};

struct parser {
	struct str text;
	size_t at;
	struct node *nodes;
	int n_nodes;
	struct set *sets;
	int n_sets;
	int depth;
	struct error *err;
};

/* ---- the tree ---- */

static int refuse(struct parser *p, enum error_code code, const char *what)
{
	return error_set(p->err, code, "pattern '%.*s': %s", STR_ARG(str_first(p->text, 60)), what);
}

static int node(struct parser *p, enum node_kind kind, int a, int b)
{
	BUG_IF(p->n_nodes == NODES_MAX, "a pattern has more nodes than its text allows");
	p->nodes[p->n_nodes] = (struct node){ .kind = kind, .a = a, .b = b };
	return p->n_nodes++;
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

static void set_add(struct set *s, int c)
{
	s->bits[c >> 6] |= (uint64_t)1 << (c & 63);
}

static bool set_has(const struct set *s, unsigned char c)
{
	return s->bits[c >> 6] >> (c & 63) & 1;
}

static void set_add_range(struct set *s, int from, int to)
{
	for (int c = from; c <= to; c++)
		set_add(s, c);
}

static void set_invert(struct set *s)
{
	for (size_t i = 0; i < ARRAY_LEN(s->bits); i++)
		s->bits[i] = ~s->bits[i];
}

static int set_node(struct parser *p, const struct set *set)
{
	p->sets[p->n_sets] = *set;
	return node(p, NODE_SET, p->n_sets++, NO_NODE);
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
static bool class_of(int letter, struct set *ret)
{
	struct set s = { 0 };
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
static int set_member(struct parser *p, struct set *set)
{
	struct set class;
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
	struct set set = { 0 };
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
	struct set set = { 0 };
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
	struct set set = { 0 };
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
	p->nodes[n].min = min;
	p->nodes[n].max = max;
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

/* ---- the program ---- */

/* -1: there is no room for more. */
static int emit(struct pattern *out, enum op op, int x, int y)
{
	if (out->n_steps == PATTERN_STATES_MAX)
		return -1;
	out->steps[out->n_steps] = (struct step){ op, x, y };
	return out->n_steps++;
}

static int write_node(struct pattern *out, const struct node *nodes, int n);

static int write_alternatives(struct pattern *out, const struct node *nodes, const struct node *n)
{
	int split = emit(out, OP_SPLIT, 0, 0);
	if (split < 0 || write_node(out, nodes, n->a) < 0)
		return -1;
	int jump = emit(out, OP_JUMP, 0, 0);
	if (jump < 0)
		return -1;
	out->steps[split] = (struct step){ OP_SPLIT, split + 1, out->n_steps };
	int r = write_node(out, nodes, n->b);
	out->steps[jump].x = out->n_steps;
	return r;
}

static int write_repeat(struct pattern *out, const struct node *nodes, const struct node *n)
{
	for (int i = 0; i < n->min; i++) {
		int before = out->n_steps;
		if (write_node(out, nodes, n->a) < 0)
			return -1;
		if (out->n_steps == before)
			break; /* nothing, however often */
	}
	for (int i = n->min; n->max == WITHOUT_END ? i == n->min : i < n->max; i++) {
		int split = emit(out, OP_SPLIT, 0, 0);
		if (split < 0 || write_node(out, nodes, n->a) < 0)
			return -1;
		if (n->max == WITHOUT_END && emit(out, OP_JUMP, split, 0) < 0)
			return -1;
		out->steps[split] = (struct step){ OP_SPLIT, split + 1, out->n_steps };
	}
	return 0;
}

static int write_node(struct pattern *out, const struct node *nodes, int at)
{
	const struct node *n = &nodes[at];
	switch (n->kind) {
	case NODE_EMPTY:
		return 0;
	case NODE_SET:
		return emit(out, OP_SET, n->a, 0);
	case NODE_BEGIN:
		return emit(out, OP_BEGIN, 0, 0);
	case NODE_END:
		return emit(out, OP_END, 0, 0);
	case NODE_ALT:
		return write_alternatives(out, nodes, n);
	case NODE_REPEAT:
		return write_repeat(out, nodes, n);
	case NODE_CAT:
		return write_node(out, nodes, n->a) < 0 ? -1 : write_node(out, nodes, n->b);
	}
	return -1;
}

static int compile(struct parser *p, struct pattern *out)
{
	int root = parse_alternatives(p);
	if (root < 0)
		return -1;
	if (peek(p) >= 0)
		return refuse(p, ERROR_INVALID, "a ) without its (");
	if (write_node(out, p->nodes, root) < 0 || emit(out, OP_MATCH, 0, 0) < 0)
		return refuse(p, ERROR_LIMIT, "too many repetitions");
	return 0;
}

int pattern_new(struct str text, struct pattern **ret, struct error *err)
{
	if (text.len > PATTERN_TEXT_MAX)
		return error_set(err, ERROR_TOO_LARGE, "a pattern of %zu bytes; the limit is %d",
			text.len, PATTERN_TEXT_MAX);
	struct pattern *out = mem_new(struct pattern);
	out->sets = mem_new_n(struct set, text.len + 1);
	out->now = mem_new(struct threads);
	out->next = mem_new(struct threads);
	struct parser p = { .text = text, .sets = out->sets, .err = err };
	p.nodes = mem_new_n(struct node, NODES_MAX);
	int r = compile(&p, out);
	free(p.nodes);
	if (r < 0) {
		pattern_free(out);
		return -1;
	}
	pattern_reset(out);
	*ret = out;
	return 0;
}

void pattern_free(struct pattern *p)
{
	if (!p)
		return;
	free(p->sets);
	free(p->now);
	free(p->next);
	free(p);
}

/* ---- looking ---- */

static void clear(struct threads *t)
{
	t->n = 0;
	if (++t->generation == 0) { /* after four thousand million bytes */
		memset(t->seen, 0, sizeof(t->seen));
		t->generation = 1;
	}
}

void pattern_reset(struct pattern *p)
{
	clear(p->now);
	p->at = 0;
}

/* A thread, and all that it goes on to without a byte. True: to the end of the program. */
static bool spread(struct pattern *p, struct threads *t, int at, size_t start, bool is_at_end)
{
	int n = 0;
	p->stack[n++] = at;
	while (n) {
		int i = p->stack[--n];
		if (t->seen[i] == t->generation)
			continue;
		t->seen[i] = t->generation;
		const struct step *s = &p->steps[i];
		switch (s->op) {
		case OP_MATCH:
			p->start = start;
			return true;
		case OP_SPLIT:
			p->stack[n++] = s->y;
			p->stack[n++] = s->x;
			break;
		case OP_JUMP:
			p->stack[n++] = s->x;
			break;
		case OP_BEGIN:
			if (p->at == 0)
				p->stack[n++] = i + 1;
			break;
		case OP_END:
			if (is_at_end)
				p->stack[n++] = i + 1;
			else
				t->list[t->n++] = (struct thread){ i, start };
			break;
		case OP_SET:
			t->list[t->n++] = (struct thread){ i, start };
		}
	}
	return false;
}

static bool step(struct pattern *p, unsigned char c)
{
	struct threads *next = p->next;
	clear(next);
	p->next = p->now;
	p->now = next;
	p->at++;
	for (int i = 0; i < p->next->n; i++) {
		const struct thread *t = &p->next->list[i];
		const struct step *s = &p->steps[t->at];
		if (s->op == OP_SET && set_has(&p->sets[s->x], c) &&
			spread(p, next, t->at + 1, t->start, false))
			return true;
	}
	return false;
}

/* Whether one that waits for the end is through if this is it. */
static bool ends_here(struct pattern *p)
{
	clear(p->next);
	for (int i = 0; i < p->now->n; i++) {
		const struct thread *t = &p->now->list[i];
		if (p->steps[t->at].op == OP_END && spread(p, p->next, t->at, t->start, true))
			return true;
	}
	return false;
}

static bool look(struct pattern *p, struct str bytes, size_t *ret_end)
{
	for (size_t i = 0;; i++) {
		*ret_end = i;
		if (spread(p, p->now, 0, p->at, false))
			return true;
		if (i == bytes.len)
			return ends_here(p);
		if (step(p, (unsigned char)bytes.ptr[i])) {
			*ret_end = i + 1;
			return true;
		}
	}
}

bool pattern_feed(struct pattern *p, struct str bytes, size_t *ret_end)
{
	bool is_found = look(p, bytes, ret_end);
	if (is_found)
		pattern_reset(p);
	return is_found;
}

bool pattern_find(struct pattern *p, struct str text, size_t *ret_start, size_t *ret_end)
{
	pattern_reset(p);
	bool is_found = look(p, text, ret_end);
	*ret_start = p->start;
	pattern_reset(p);
	return is_found;
}
