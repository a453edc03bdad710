/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The tree of the text (wire/pattern_tree.h) is written out as a program of an
 * automaton: bytes that are looked for, and ways that part. Looking is done by all threads at once,
 * each a place in the program and where its match began; a place that one thread has is not given
 * to a second, and as the elder go first, the one that is kept began first.
 */
#include "wire/pattern.h"

#include "base/auto.h"
#include "base/bug.h"
#include "wire/pattern_tree.h"

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
	struct byte_set *sets;
	struct threads *now, *next;
	size_t at;    /* bytes since the beginning */
	size_t start; /* of the match that was found */
	int stack[2 * PATTERN_STATES_MAX];
};

/* ---- the program ---- */

/* -1: there is no room for more. */
static int emit(struct pattern *out, enum op op, int x, int y)
{
	if (out->n_steps == PATTERN_STATES_MAX)
		return -1;
	out->steps[out->n_steps] = (struct step){ op, x, y };
	return out->n_steps++;
}

static int write_node(struct pattern *out, const struct node *nodes, int at);

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

int pattern_new(struct str text, struct pattern **ret, struct error *err)
{
	struct pattern_tree tree;
	if (text.len > PATTERN_TEXT_MAX)
		return error_set(err, ERROR_TOO_LARGE, "a pattern of %zu bytes; the limit is %d",
			text.len, PATTERN_TEXT_MAX);
	if (pattern_tree_new(text, &tree, err) < 0)
		return -1;
	struct pattern *out = mem_new(struct pattern);
	bool fits = write_node(out, tree.nodes, tree.root) >= 0 && emit(out, OP_MATCH, 0, 0) >= 0;
	out->sets = take_ptr(tree.sets);
	out->now = mem_new(struct threads);
	out->next = mem_new(struct threads);
	pattern_tree_fini(&tree);
	if (!fits) {
		pattern_free(out);
		return pattern_refuse(text, ERROR_LIMIT, "too many repetitions", err);
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
		if (s->op == OP_SET && byte_set_has(&p->sets[s->x], c) &&
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
