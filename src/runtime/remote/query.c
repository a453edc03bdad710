/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/remote/query.h"

#include "base/auto.h"
#include "base/bug.h"

struct query {
	struct list link; /* queries::list */
	struct queries *queries;
	char id[ID_SIZE];
	query_fn *take;
	backend_fn *done;
	void *arg;
};

static void query_free(struct query *query)
{
	list_remove(&query->link);
	free(query);
}

static void on_answer(void *arg, int status, struct str body, const struct error *err)
{
	struct query *query = arg;
	struct query copy = *query;
	auto_json struct json *json = NULL;
	struct backend_reply reply = { .usage = USAGE_UNKNOWN, .fd = -1 };
	query_free(query); /* first: who is told may end us all */
	memcpy(reply.id, copy.id, sizeof(reply.id));
	if (err)
		reply.error = *err;
	else if (!body.len || ask_parse(body, &json, &reply.error) == 0)
		copy.take(copy.queries->owner, json, &reply);
	copy.done(copy.arg, &reply);
}

void queries_ask(struct queries *q, const char *id, const struct ask_plan *plan, query_fn *take,
	backend_fn *done, void *arg)
{
	struct query *query = mem_new(struct query);
	struct ask_plan ours = *plan;
	*query = (struct query){ .queries = q, .take = take, .done = done, .arg = arg };
	snprintf(query->id, sizeof(query->id), "%s", id);
	list_append(&q->list, &query->link);
	ours.done = on_answer;
	ours.arg = query;
	ask_new(q->asker, &ours);
}

int64_t query_number(const struct json *json, const char *key)
{
	const struct json *value = json_find(json, key);
	return json_kind(value) == JSON_KIND_INT ? json_int(value) : -1;
}

void queries_init(struct queries *q, struct asker *asker, void *owner)
{
	q->asker = asker;
	q->owner = owner;
	list_init(&q->list);
}

void queries_fini(struct queries *q)
{
	while (!list_is_empty(&q->list))
		query_free(list_get_first(&q->list, struct query, link));
}
