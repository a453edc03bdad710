/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/answers.h"

#include "base/bug.h"
#include "event/loop.h"

struct answer {
	struct list link; /* answers::list */
	struct loop *loop;
	backend_fn *done;
	void *arg;
	struct backend_reply reply;
};

static void answer_free(struct answer *one)
{
	list_remove(&one->link);
	loop_undefer(one->loop, one);
	free(one);
}

static void say(void *arg)
{
	struct answer *one = arg;
	struct answer copy = *one;
	answer_free(one); /* before the call, which may free the backend */
	copy.done(copy.arg, &copy.reply);
}

struct backend_reply *answers_add(struct answers *a, const char *id, backend_fn *done, void *arg)
{
	struct answer *one = mem_new(struct answer);
	one->loop = a->loop;
	one->done = done;
	one->arg = arg;
	one->reply = (struct backend_reply){
		.enforced.limits = { SPEC_UNLIMITED, SPEC_UNLIMITED, SPEC_UNLIMITED, SPEC_UNLIMITED,
			SPEC_UNLIMITED },
		.fd = -1,
	};
	snprintf(one->reply.id, sizeof(one->reply.id), "%s", id);
	list_append(&a->list, &one->link);
	loop_defer(a->loop, say, one);
	return &one->reply;
}

void answers_init(struct answers *a, struct loop *loop)
{
	a->loop = loop;
	list_init(&a->list);
}

void answers_fini(struct answers *a)
{
	while (!list_is_empty(&a->list))
		answer_free(list_get_first(&a->list, struct answer, link));
}
