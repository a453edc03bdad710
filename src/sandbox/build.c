/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/step.h"

#include "base/auto.h"

static const struct {
	const char *word;
	enum step_stage stage;
	int (*walk)(struct build *b, const struct step *s, struct error *err);
} kinds[STEP_MAX] = {
#define STEP(name, word, stage, function) { word, stage, function },
#include "sandbox/step.def"
#undef STEP
};

const char *step_word(enum step_kind kind)
{
	return kinds[kind].word;
}

enum step_stage step_stage(enum step_kind kind)
{
	return kinds[kind].stage;
}

void build_init(struct build *b, const struct plan *plan)
{
	*b = (struct build){ .plan = plan, .cgroup = CGROUP_INIT };
	b->slot_fd = b->etc_fd = b->work_fd = b->root_fd = b->proc_fd = b->dev_fd = b->net_fd = -1;
	b->second_pidfd = b->second_sock = b->layer_fd = -1;
	for (int i = 0; i < BUILD_OWNERS_MAX; i++)
		b->image_userns[i] = -1;
	for (int i = 0; i < PLAN_TREES_MAX; i++)
		b->tree_fds[i] = -1;
	if (plan->parts)
		b->cgroup.driver = cgroup_driver(plan->host.cgroup.kind);
	if (!plan->host.is_root)
		b->uid_base = plan->host.uid;
}

void build_fini(struct build *b)
{
	for (int i = 0; i < PLAN_TREES_MAX; i++)
		b->tree_fds[i] = close_fd(b->tree_fds[i]);
	for (int i = 0; i < BUILD_OWNERS_MAX; i++)
		b->image_userns[i] = close_fd(b->image_userns[i]);
	b->layer_fd = close_fd(b->layer_fd);
	b->work_fd = close_fd(b->work_fd);
	b->root_fd = close_fd(b->root_fd);
	b->proc_fd = close_fd(b->proc_fd);
	b->dev_fd = close_fd(b->dev_fd);
	b->net_fd = close_fd(b->net_fd);
	b->second_pidfd = close_fd(b->second_pidfd);
	b->second_sock = close_fd(b->second_sock);
}

int build_walk(struct build *b, enum step_stage stage, struct error *err)
{
	const struct plan *plan = b->plan;
	for (uint32_t i = 0; i < plan->n_steps; i++) {
		const struct step *s = &plan->steps[i];
		if (s->stage != stage || kinds[s->kind].walk(b, s, err) == 0)
			continue;
		const char *object = s->path ? s->path : s->source;
		return error_wrap(err, "%s%s%s", kinds[s->kind].word, object ? " " : "",
			object ? object : "");
	}
	return 0;
}
