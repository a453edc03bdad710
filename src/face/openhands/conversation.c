/* SPDX-License-Identifier: Apache-2.0 */
#include "face/openhands/conversation.h"

#include "base/bug.h"
#include "face/openhands/bash_id.h"
#include "http/server.h"

struct conversation {
	struct list link; /* openhands::conversations */
	char id[CONVERSATION_ID_SIZE];
	char sandbox[ID_SIZE];
};

static bool read_id(struct str text, char ret[CONVERSATION_ID_SIZE])
{
	return uuid_parse(text, ret);
}

static void forget(struct openhands *oh, struct conversation *c)
{
	list_remove(&c->link);
	oh->n_conversations--;
	free(c);
}

void conversations_drop_all(struct openhands *oh)
{
	while (!list_is_empty(&oh->conversations))
		forget(oh, list_get_first(&oh->conversations, struct conversation, link));
}

/* Of what is at a ceiling the oldest goes. */
static void make_room(struct openhands *oh, const char *sandbox)
{
	struct conversation *c, *oldest = NULL;
	int n = 0;
	list_for_each(c, &oh->conversations, link) {
		if (strcmp(c->sandbox, sandbox) != 0)
			continue;
		oldest = oldest ?: c;
		n++;
	}
	if (n >= CONVERSATIONS_OF_SANDBOX_MAX)
		forget(oh, oldest);
	else if (oh->n_conversations >= CONVERSATIONS_MAX)
		forget(oh, list_get_first(&oh->conversations, struct conversation, link));
}

/* "/api/conversations/ID…" */
static struct str id_in(struct str path)
{
	struct str id;
	if (!str_starts(path, STR("/api/conversations/")))
		return STR_NONE;
	path = str_skip(path, 19);
	return str_split(&path, '/', &id) ? id : STR_NONE;
}

void conversation_note(struct openhands *oh, struct str path, const struct sandbox *s)
{
	char id[CONVERSATION_ID_SIZE];
	struct conversation *c;
	if (!read_id(id_in(path), id))
		return;
	list_for_each(c, &oh->conversations, link)
		if (strcmp(c->id, id) == 0 && strcmp(c->sandbox, s->id) == 0)
			return;
	make_room(oh, s->id);
	c = mem_new(struct conversation);
	memcpy(c->id, id, sizeof(id));
	snprintf(c->sandbox, sizeof(c->sandbox), "%s", s->id);
	list_append(&oh->conversations, &c->link);
	oh->n_conversations++;
}

struct sandbox *conversation_find(struct http_request *r)
{
	struct openhands *oh = openhands_of(r);
	struct sandbox *found = NULL;
	struct conversation *c;
	char id[CONVERSATION_ID_SIZE];
	if (!read_id(http_param(r, "conversation"), id) || !http_header(r, "Upgrade").ptr)
		return NULL;
	list_for_each(c, &oh->conversations, link) {
		if (strcmp(c->id, id) != 0)
			continue;
		struct sandbox *s = runtime_find(oh->rt, str_from(c->sandbox), NULL);
		if (!s || sandbox_state_is_final(s->state))
			continue;
		if (found)
			return NULL;
		found = s;
	}
	return found;
}
