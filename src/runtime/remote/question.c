/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/remote/question.h"

#include "base/auto.h"
#include "base/bug.h"

struct question {
	struct list link; /* questions::list */
	struct questions *questions;
	int (*judge)(struct str body, struct error *err); /* NULL: it is JSON */
	answer_fn *done;                                  /* NULL: nobody wants to know */
	void *arg;
};

void questions_init(struct questions *questions, struct asker *asker, const char *kind)
{
	*questions = (struct questions){ .asker = asker, .kind = kind };
	list_init(&questions->list);
}

void questions_fini(struct questions *questions)
{
	while (!list_is_empty(&questions->list)) {
		struct question *q = list_get_first(&questions->list, struct question, link);
		list_remove(&q->link);
		free(q);
	}
}

void questions_forget(struct questions *questions, const void *arg)
{
	struct question *q;
	list_for_each(q, &questions->list, link)
		if (q->arg == arg)
			q->done = NULL;
}

void questions_name(const struct questions *questions, struct error *err)
{
	if (err->code == ERROR_DISCONNECTED || err->code == ERROR_UNAUTHORIZED)
		err->code = ERROR_UNAVAILABLE;
	error_wrap(err, "%s %s", questions->kind, questions->name);
}

static void on_answer(void *arg, int status, struct str body, const struct error *failure)
{
	struct question *q = arg;
	struct question copy = *q;
	auto_json struct json *json = NULL;
	struct error err = { 0 };
	list_remove(&q->link);
	free(q); /* first: who is told may end us all */
	if (status == 401 && copy.questions->on_401)
		copy.questions->on_401(copy.questions);
	if (!copy.done)
		return;
	if (failure)
		err = *failure;
	else if (copy.judge)
		copy.judge(body, &err);
	else if (str_trim(body).len && json_parse_loose(body, &json, &err) < 0)
		err.code = ERROR_PROTOCOL;
	if (err.code != ERROR_OK)
		questions_name(copy.questions, &err);
	copy.done(copy.arg, status, json, err.code == ERROR_OK ? NULL : &err);
}

void questions_ask(struct questions *questions, const struct ask_plan *plan,
	int (*judge)(struct str body, struct error *err), answer_fn *done, void *arg)
{
	struct question *q = mem_new(struct question);
	struct ask_plan ours = *plan;
	*q = (struct question){ .questions = questions, .judge = judge, .done = done, .arg = arg };
	list_append(&questions->list, &q->link);
	ours.is_harmless = true;
	ours.done = on_answer;
	ours.arg = q;
	ask_new(questions->asker, &ours);
}
