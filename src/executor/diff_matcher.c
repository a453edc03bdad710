/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matching of Python's difflib.SequenceMatcher (Ratcliff and Obershelp), written from its
 * documentation and its observable results: the longest common block, the earliest of several, then
 * the same left and right of it. Lines that make up more than one percent of 200 or more do not
 * start a block ("popular"), but a block grows over them.
 * https://docs.python.org/3/library/difflib.html#difflib.SequenceMatcher
 */
#include "executor/diff_lines.h"

#include "base/auto.h"
#include "base/bug.h"

enum { WORK_MAX = 20 * 1000 * 1000, POPULAR_FROM = 200 };

struct box {
	int a0, a1, b0, b1;
};

struct matcher {
	const struct diff_lines *l;
	int *first;   /* id: index into `where`, n_ids + 1 of them */
	int *where;   /* positions in b, grouped by id, ascending */
	int *len_at;  /* j + 1: length of the block that ends in (i - 1, j) */
	int *len_new; /* the same for i */
	int *touched; /* which j of len_at are not zero */
	int *touched_new;
	int64_t work;
};

static void index_b(struct matcher *m)
{
	const struct diff_side *b = &m->l->b;
	int n_ids = m->l->n_ids;
	auto_free int *count = mem_new_n(int, (size_t)n_ids + 1);
	for (int j = 0; j < b->n; j++)
		count[b->ids[j]]++;
	int at = 0, limit = b->n >= POPULAR_FROM ? b->n / 100 + 1 : b->n;
	for (int id = 0; id < n_ids; id++) {
		m->first[id] = at;
		bool is_popular = count[id] > limit;
		at += is_popular ? 0 : count[id];
		count[id] = is_popular ? -1 : m->first[id];
	}
	m->first[n_ids] = at;
	for (int j = 0; j < b->n; j++)
		if (count[b->ids[j]] >= 0)
			m->where[count[b->ids[j]]++] = j;
}

/* One row of the search: extends the blocks that end in row i - 1 by row i. */
static int scan_row(struct matcher *m, const struct box *box, int i, int n_touched,
	struct box *best)
{
	int id = m->l->a.ids[i], n_new = 0;
	for (int at = m->first[id]; at < m->first[id + 1]; at++) {
		int j = m->where[at];
		m->work++;
		if (j < box->b0)
			continue;
		if (j >= box->b1)
			break;
		int k = m->len_at[j] + 1;
		m->len_new[j + 1] = k;
		m->touched_new[n_new++] = j + 1;
		if (k > best->a1 - best->a0)
			*best = (struct box){ i - k + 1, i + 1, j - k + 1, j + 1 };
	}
	for (int t = 0; t < n_touched; t++)
		m->len_at[m->touched[t]] = 0;
	int *swap = m->len_at;
	m->len_at = m->len_new;
	m->len_new = swap;
	swap = m->touched;
	m->touched = m->touched_new;
	m->touched_new = swap;
	m->work++;
	return n_new;
}

static struct box longest(struct matcher *m, const struct box *box)
{
	struct box best = { box->a0, box->a0, box->b0, box->b0 };
	int n_touched = 0;
	for (int i = box->a0; i < box->a1 && m->work < WORK_MAX; i++)
		n_touched = scan_row(m, box, i, n_touched, &best);
	for (int t = 0; t < n_touched; t++)
		m->len_at[m->touched[t]] = 0;
	const int *a = m->l->a.ids, *b = m->l->b.ids;
	while (best.a0 > box->a0 && best.b0 > box->b0 && a[best.a0 - 1] == b[best.b0 - 1])
		best.a0--, best.b0--;
	while (best.a1 < box->a1 && best.b1 < box->b1 && a[best.a1] == b[best.b1])
		best.a1++, best.b1++;
	return best;
}

static void mark_all(struct diff_lines *l, bool is_changed)
{
	memset(l->a.is_changed, is_changed, (size_t)l->a.n);
	memset(l->b.is_changed, is_changed, (size_t)l->b.n);
}

/* The order of the boxes does not matter: what is marked is the union of the blocks. */
static bool match_all(struct matcher *m, struct diff_lines *l)
{
	size_t room = (size_t)MIN(l->a.n, l->b.n) + 2, n = 0;
	auto_free struct box *todo = mem_new_n(struct box, room);
	todo[n++] = (struct box){ 0, l->a.n, 0, l->b.n };
	mark_all(l, true);
	while (n) {
		struct box box = todo[--n];
		struct box hit = longest(m, &box);
		if (m->work >= WORK_MAX)
			return false;
		if (hit.a1 == hit.a0)
			continue;
		memset(l->a.is_changed + hit.a0, false, (size_t)(hit.a1 - hit.a0));
		memset(l->b.is_changed + hit.b0, false, (size_t)(hit.b1 - hit.b0));
		if (box.a0 < hit.a0 && box.b0 < hit.b0)
			todo[n++] = (struct box){ box.a0, hit.a0, box.b0, hit.b0 };
		if (hit.a1 < box.a1 && hit.b1 < box.b1)
			todo[n++] = (struct box){ hit.a1, box.a1, hit.b1, box.b1 };
	}
	return true;
}

bool diff_matcher(struct diff_lines *l)
{
	size_t n_b = (size_t)l->b.n + 2;
	struct matcher m = {
		.l = l,
		.first = mem_new_n(int, (size_t)l->n_ids + 1),
		.where = mem_new_n(int, n_b),
		.len_at = mem_new_n(int, n_b),
		.len_new = mem_new_n(int, n_b),
		.touched = mem_new_n(int, n_b),
		.touched_new = mem_new_n(int, n_b),
	};
	index_b(&m);
	bool is_done = match_all(&m, l);
	if (!is_done)
		mark_all(l, false);
	free(m.first);
	free(m.where);
	free(m.len_at);
	free(m.len_new);
	free(m.touched);
	free(m.touched_new);
	return is_done;
}
