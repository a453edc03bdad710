/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eugene W. Myers, "An O(ND) Difference Algorithm and Its Variations" (1986), the greedy form: for
 * each number of edits d, how far each diagonal k = x - y is reached. The fronts of all d are kept
 * to walk back; that is d² numbers, hence the ceiling on d.
 */
#include "executor/diff_lines.h"

#include "base/auto.h"
#include "base/bug.h"

enum { EDITS_MAX = 1024 }; /* 4 MiB of fronts */

struct range {
	int from, to;
};

/* Front d holds 2d+1 numbers, for k = -d ... d, at offset d². */
static int *front(int *fronts, int d)
{
	return fronts + (size_t)d * (size_t)d + (size_t)d;
}

/* Whether the furthest path to diagonal k with d > 0 edits ends with an insertion. */
static bool comes_down(int *fronts, int d, int k)
{
	const int *prev = front(fronts, d - 1);
	return k == -d || (k != d && prev[k - 1] < prev[k + 1]);
}

static int start_of(int *fronts, int d, int k)
{
	if (d == 0)
		return 0;
	const int *prev = front(fronts, d - 1);
	return comes_down(fronts, d, k) ? prev[k + 1] : prev[k - 1] + 1;
}

/* The number of edits, or -1 beyond the ceiling. */
static int search(const int *a, int n, const int *b, int m, int *fronts)
{
	for (int d = 0; d <= EDITS_MAX; d++) {
		int *now = front(fronts, d);
		for (int k = -d; k <= d; k += 2) {
			int x = start_of(fronts, d, k);
			while (x < n && x - k < m && x - k >= 0 && a[x] == b[x - k])
				x++;
			now[k] = x;
			if (x >= n && x - k >= m)
				return d;
		}
	}
	return -1;
}

static void walk_back(struct diff_lines *l, struct range a, struct range b, int *fronts, int d)
{
	int x = a.to - a.from, y = b.to - b.from;
	for (; d > 0; d--) {
		int k = x - y;
		int start = start_of(fronts, d, k);
		if (comes_down(fronts, d, k)) {
			y = start - k - 1;
			x = start;
			l->b.is_changed[b.from + y] = true;
		} else {
			x = start - 1;
			y = start - k;
			l->a.is_changed[a.from + x] = true;
		}
	}
}

void diff_myers(struct diff_lines *l)
{
	struct range a = { 0, l->a.n }, b = { 0, l->b.n };
	while (a.from < a.to && b.from < b.to && l->a.ids[a.from] == l->b.ids[b.from])
		a.from++, b.from++;
	while (a.from < a.to && b.from < b.to && l->a.ids[a.to - 1] == l->b.ids[b.to - 1])
		a.to--, b.to--;
	int n = a.to - a.from, m = b.to - b.from, d = -1;
	auto_free int *fronts = NULL;
	if (n && m) {
		size_t most = (size_t)MIN(n + m, EDITS_MAX) + 1;
		fronts = mem_new_n(int, most *most);
		d = search(l->a.ids + a.from, n, l->b.ids + b.from, m, fronts);
	}
	if (d >= 0) {
		walk_back(l, a, b, fronts, d);
		return;
	}
	for (int i = a.from; i < a.to; i++)
		l->a.is_changed[i] = true;
	for (int i = b.from; i < b.to; i++)
		l->b.is_changed[i] = true;
}
