/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs at build time: turns seccomp.def into BPF programs and prints them as C arrays.
 *
 * libseccomp gives the numbers of the calls; the program is our own. libseccomp has no form for
 * "these values of the low 32 bits, else that errno" (its compares are 64 bits wide, which 1<<32|x
 * passes), and it emits one leaf per call, where neighbouring calls of the same verdict fold into
 * one here: about a third of the instructions, and the kernel's price for installing is by the
 * instruction.
 *
 * Shape: architecture, then the x32 bit, then a binary search over runs of call numbers with the
 * same verdict; a call with rules is a run of its own, and its rules are tried in order.
 */
#include "sandbox/seccomp-table.h"

#include <linux/filter.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS_MAX = 512, RUNS_MAX = 2 * CALLS_MAX, CODE_MAX = BPF_MAXINSNS, X32_BIT = 0x40000000 };

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

struct run {
	uint32_t first; /* call number; the run ends where the next begins */
	uint32_t verdict;
	const char *ruled; /* name, if rules decide */
};

struct code {
	struct sock_filter ins[CODE_MAX];
	size_t len;
};

static _Noreturn void die(const char *what, const char *name)
{
	fprintf(stderr, "seccomp-gen: %s: %s\n", what, name);
	exit(1);
}

/* The number of the call here; -1: this architecture has no such call. */
static int number_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(seccomp_numbers); i++)
		if (!strcmp(seccomp_numbers[i].name, name))
			return seccomp_numbers[i].nr;
	int nr = seccomp_syscall_resolve_name(name);
	if (nr == __NR_SCMP_ERROR)
		die("no such system call", name);
	return nr < 0 ? -1 : nr;
}

static void emit(struct code *c, uint16_t op, uint32_t k, uint8_t jt, uint8_t jf)
{
	if (c->len == CODE_MAX)
		die("the program is too long", "BPF_MAXINSNS");
	c->ins[c->len++] = (struct sock_filter){ op, jt, jf, k };
}

static void emit_return(struct code *c, uint32_t verdict)
{
	emit(c, BPF_RET | BPF_K, verdict, 0, 0);
}

/* What the accumulator holds, so that rules that look at the same thing load it once. */
struct loaded {
	uint32_t half, mask;
	bool is_valid;
};

static void emit_load(struct code *c, const struct seccomp_test *t, struct loaded *have)
{
	if (have->is_valid && have->half == t->half && have->mask == t->mask)
		return;
	size_t at = offsetof(struct seccomp_data, args) + 4UL * t->half;
	if (!have->is_valid || have->half != t->half || have->mask != UINT32_MAX)
		emit(c, BPF_LD | BPF_W | BPF_ABS, (uint32_t)at, 0, 0);
	if (t->mask != UINT32_MAX)
		emit(c, BPF_ALU | BPF_AND | BPF_K, t->mask, 0, 0);
	*have = (struct loaded){ t->half, t->mask, true };
}

/* One rule: falls out at its end when a test fails. */
static void emit_rule(struct code *c, const struct seccomp_row *r, struct loaded *have)
{
	size_t jumps[SECCOMP_TESTS_MAX] = { 0 };
	struct loaded after_first = { 0 };
	for (uint32_t i = 0; i < r->n_tests; i++) {
		emit_load(c, &r->tests[i], have);
		if (i == 0)
			after_first = *have;
		jumps[i] = c->len;
		emit(c, BPF_JMP | BPF_JEQ | BPF_K, r->tests[i].value, 0, 0);
	}
	emit_return(c, r->verdict);
	for (uint32_t i = 0; i < r->n_tests; i++)
		c->ins[jumps[i]].jf = (uint8_t)(c->len - jumps[i] - 1);
	/*
	 * Whoever comes here left at any of the tests: only with one test is it known what is
	 * loaded.
	 */
	*have = r->n_tests == 1 ? after_first : (struct loaded){ 0 };
}

static void emit_rules(struct code *c, const char *name, unsigned mode)
{
	struct loaded have = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(seccomp_rows); i++) {
		const struct seccomp_row *r = &seccomp_rows[i];
		if (strcmp(r->name, name) != 0 || !(r->modes & mode))
			continue;
		if (r->n_tests == 0) {
			emit_return(c, r->verdict);
			return;
		}
		emit_rule(c, r, &have);
	}
	die("no CALL row after the WHEN rows", name);
}

static void emit_tree(struct code *c, const struct run *runs, size_t n, unsigned mode)
{
	if (n == 1) {
		if (runs->ruled)
			emit_rules(c, runs->ruled, mode);
		else
			emit_return(c, runs->verdict);
		return;
	}
	size_t half = n / 2, at = c->len;
	emit(c, BPF_JMP | BPF_JGE | BPF_K, runs[half].first, 0, 0);
	emit(c, BPF_JMP | BPF_JA, 0, 0, 0); /* taken back if the jump is short */
	emit_tree(c, runs, half, mode);
	size_t skip = c->len - at - 2;
	if (skip <= UINT8_MAX) {
		memmove(&c->ins[at + 1], &c->ins[at + 2], skip * sizeof(c->ins[0]));
		c->len--;
		c->ins[at].jt = (uint8_t)skip;
	} else {
		c->ins[at].jf = 1;
		c->ins[at + 1].k = (uint32_t)skip;
	}
	emit_tree(c, runs + half, n - half, mode);
}

/* By number: the row that decides first in this mode. */
static void index_rows(const struct seccomp_row *by_nr[CALLS_MAX], unsigned mode)
{
	for (size_t i = 0; i < ARRAY_LEN(seccomp_rows); i++) {
		const struct seccomp_row *r = &seccomp_rows[i];
		int nr = number_of(r->name);
		if (nr < 0 || !(r->modes & mode))
			continue;
		if (nr >= CALLS_MAX)
			die("number beyond the table", r->name);
		if (!by_nr[nr])
			by_nr[nr] = r;
		else if (strcmp(by_nr[nr]->name, r->name) != 0)
			die("two names for one number", r->name);
	}
}

static size_t runs_make(struct run *runs, unsigned mode)
{
	const struct seccomp_row *by_nr[CALLS_MAX] = { 0 };
	index_rows(by_nr, mode);
	size_t n = 0;
	for (uint32_t nr = 0; nr < CALLS_MAX; nr++) {
		const struct seccomp_row *r = by_nr[nr];
		struct run run = { nr, r ? r->verdict : SECCOMP_UNLISTED, NULL };
		if (r && r->n_tests > 0)
			run.ruled = r->name;
		if (n > 0 && !run.ruled && !runs[n - 1].ruled && runs[n - 1].verdict == run.verdict)
			continue;
		runs[n++] = run;
	}
	return n;
}

static void emit_prologue(struct code *c)
{
	uint32_t arch = seccomp_arch_native();
	emit(c, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
	emit(c, BPF_JMP | BPF_JEQ | BPF_K, arch, 1, 0);
	emit_return(c, SECCOMP_RET_KILL_PROCESS);
	emit(c, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
	/* The x32 bit; -1 is no call but what some programs ask on purpose. */
	emit(c, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 3);
	emit(c, BPF_JMP | BPF_JEQ | BPF_K, UINT32_MAX, 0, 1);
	emit_return(c, SECCOMP_UNLISTED);
	emit_return(c, SECCOMP_RET_KILL_PROCESS);
}

static void print(const struct code *c, const char *name)
{
	printf("static const struct sock_filter %s[] = {\n", name);
	for (size_t i = 0; i < c->len; i++)
		printf("\t{ 0x%02x, %3u, %3u, 0x%08x },\n", c->ins[i].code, c->ins[i].jt,
			c->ins[i].jf, c->ins[i].k);
	printf("};\n");
}

static void program(const char *name, unsigned mode)
{
	static struct code c;
	static struct run runs[RUNS_MAX];
	c.len = 0;
	emit_prologue(&c);
	emit_tree(&c, runs, runs_make(runs, mode), mode);
	print(&c, name);
}

/* What lock_enter left open for the executor: every call whose verdict differs in SECCOMP_ENTER. */
static void program_child(void)
{
	static struct code c;
	c.len = 0;
	emit(&c, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
	for (size_t i = 0; i < ARRAY_LEN(seccomp_rows); i++) {
		const struct seccomp_row *r = &seccomp_rows[i];
		if (r->modes != SECCOMP_ENTER)
			continue;
		const unsigned children = SECCOMP_AGENT | SECCOMP_ROOT;
		for (const struct seccomp_row *o = r + 1; strcmp(o[-1].name, r->name) == 0; o++)
			if (strcmp(o->name, r->name) == 0 && o->modes != children)
				die("what follows a row for ENTER is for ALL", r->name);
		if (r->n_tests > 0)
			die("a row for ENTER is without tests", r->name);
		size_t at = c.len;
		emit(&c, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number_of(r->name), 0, 0);
		emit_rules(&c, r->name, children); /* all of which return */
		c.ins[at].jf = (uint8_t)(c.len - at - 1);
	}
	emit_return(&c, SECCOMP_RET_ALLOW);
	print(&c, "program_child");
}

int main(void)
{
	printf("/* Made from seccomp.def by seccomp-gen. */\n");
	program("program_agent", SECCOMP_AGENT | SECCOMP_PLAIN);
	program("program_root", SECCOMP_ROOT);
	program("program_root_plain", SECCOMP_ROOT | SECCOMP_PLAIN);
	program("program_agent_enter", SECCOMP_AGENT | SECCOMP_PLAIN | SECCOMP_ENTER);
	program("program_root_enter", SECCOMP_ROOT | SECCOMP_ENTER);
	program("program_root_plain_enter", SECCOMP_ROOT | SECCOMP_PLAIN | SECCOMP_ENTER);
	program("program_server", SECCOMP_AGENT | SECCOMP_PLAIN | SECCOMP_SERVER);
	program_child();
	return 0;
}
