/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan as text: a headline per stage, a step per line, its members in one order whatever the
 * kind.
 */
#include "sandbox/plan.h"

#include "base/auto.h"
#include "sandbox/fence.h"
#include "sandbox/step.h"

#include <sched.h>

static const char *const stage_titles[] = {
	[STAGE_OWNER] = "before pid 1 exists",
	[STAGE_ATTACH] = "to pid 1",
	[STAGE_EARLY] = "pid 1, at the same time",
	[STAGE_SECOND] = "beside pid 1",
	[STAGE_BESIDE] = "while pid 1 builds",
	[STAGE_INSIDE] = "pid 1",
	[STAGE_LAST] = "pid 1, then",
};

static const struct {
	uint64_t flag;
	const char *word;
} namespaces[] = {
	{ CLONE_NEWUSER, "user" },
	{ CLONE_NEWNS, "mount" },
	{ CLONE_NEWPID, "pid" },
	{ CLONE_NEWNET, "net" },
	{ CLONE_NEWIPC, "ipc" },
	{ CLONE_NEWUTS, "uts" },
	{ CLONE_NEWCGROUP, "cgroup" },
	{ 0x80 /* CLONE_NEWTIME */, "time" },
};

static const struct {
	uint32_t flag;
	const char *word;
} flags[] = {
	{ STEP_RECURSIVE, "recursive" },
	{ STEP_READ_ONLY, "read-only" },
	{ STEP_IS_DIR, "directory" },
	{ STEP_IN_ROOT, "in-root" },
};

static void put_quoted(struct buf *b, const char *text)
{
	buf_putc(b, '"');
	for (; *text; text++) {
		if (*text == '\n')
			buf_puts(b, "\\n");
		else if (*text == '\t')
			buf_puts(b, "\\t");
		else
			buf_putc(b, *text);
	}
	buf_putc(b, '"');
}

static bool is_group(enum step_kind kind)
{
	return kind == STEP_CGROUP || kind == STEP_LIMIT;
}

static void put_step(struct buf *b, const struct step *s)
{
	size_t start = b->len;
	buf_printf(b, "  %-12s", step_word(s->kind));
	if (is_group(s->kind))
		buf_printf(b, " %s", host_part((enum cgroup_part)s->tree));
	else if (s->tree >= 0)
		buf_printf(b, " #%d", s->tree);
	if (s->count)
		buf_printf(b, "+%u", s->count);
	if (s->path)
		buf_printf(b, " %s", s->path);
	if (s->source)
		buf_printf(b, " from %s", s->source);
	if (s->data) {
		buf_putc(b, ' ');
		put_quoted(b, s->data);
	}
	if (s->mode)
		buf_printf(b, " mode=%04o", s->mode);
	if (s->uid)
		buf_printf(b, " uid=%u", s->uid);
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (s->flags & flags[i].flag)
			buf_printf(b, " %s", flags[i].word);
	while (b->len > start && b->ptr[b->len - 1] == ' ')
		buf_cut(b, b->len - 1);
	buf_putc(b, '\n');
}

static void put_stage(struct buf *b, const struct plan *plan, enum step_stage stage)
{
	buf_printf(b, "%s:\n", stage_titles[stage]);
	for (uint32_t i = 0; i < plan->n_steps; i++)
		if (plan->steps[i].stage == stage)
			put_step(b, &plan->steps[i]);
}

/* What is attached when it is built (uplink.h), with the rules that stand in the way then. */
static void put_uplink(struct buf *b, const struct plan *plan)
{
	const struct spec *spec = &plan->spec;
	auto_buf struct buf rules = BUF_INIT(64 * 1024);
	struct str rest, line;
	if (spec->network != NETWORK_BRIDGE && spec->network != NETWORK_PASTA)
		return;
	buf_printf(b, "after it is built:\n  uplink       %s%s%s\n",
		spec->network == NETWORK_BRIDGE ? "bridge" : "pasta",
		spec->net.name[0] ? " with " : "", spec->net.name);
	fence_put_rules(&spec->net, NULL, &rules);
	rest = str_trim(buf_str(&rules));
	while (str_split(&rest, '\n', &line))
		buf_printf(b, "  rule         %.*s\n", STR_ARG(line));
}

void plan_print(const struct plan *plan, struct buf *b)
{
	buf_puts(b, "namespaces:");
	for (size_t i = 0; i < ARRAY_LEN(namespaces); i++)
		if (plan->namespaces & namespaces[i].flag)
			buf_printf(b, " %s", namespaces[i].word);
	buf_putc(b, '\n');
	for (unsigned stage = STAGE_OWNER; stage <= STAGE_LAST; stage++)
		put_stage(b, plan, (enum step_stage)stage);
	put_uplink(b, plan);
	buf_puts(b, "controls:");
	for (unsigned i = 0; i < CONTROL_MAX; i++)
		if (plan->enforced.controls & UINT64_C(1) << i)
			buf_printf(b, " %s", control_name((enum control)i));
	buf_putc(b, '\n');
}
