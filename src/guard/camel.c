/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/camel.h"

#include "base/auto.h"
#include "base/bug.h"
#include "wire/json.h"

const char camel_ignore_risk_schema[] =
	"{\"type\":\"function\",\"function\":{\"name\":\"ignore_risk\",\"description\":\"Force ignores the risk "
	"associated with named function. This ONLY ignores the RISK for the NEXT Function Call.\",\"strict\":true,"
	"\"parameters\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"description\":\"The name "
	"of the function to ignore.\"},\"reason\":{\"type\":\"string\",\"description\":\"A brief explanation of the "
	"reasoning behind the decision to ignore the risk.\"}},\"required\":[\"name\",\"reason\"],"
	"\"additionalProperties\":false}}}";

struct grant {
	struct list link; /* grants::list */
	int64_t until_ms;
	char name[];
};

static void put_error(struct buf *b, struct str text)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "error", text);
	jsonw_close(&w);
}

void camel_put_refusal(struct buf *b, struct str name, int score, int threshold, struct str reason)
{
	auto_buf struct buf text = BUF_INIT(16384);
	/* Without a space behind the full stop: as in the original. */
	buf_printf(&text,
		"Risk assessment not passed for %.*s.Score: %d > Threshold: %d\nReason: %.*s",
		STR_ARG(str_first(name, 200)), score, threshold, STR_ARG(str_first(reason, 8000)));
	put_error(b, buf_str(&text));
}

void camel_put_failed(struct buf *b)
{
	put_error(b, STR("Risk assessment failed. Disabling function."));
}

void camel_put_ignored(struct buf *b, struct str name)
{
	auto_buf struct buf text = BUF_INIT(1024);
	struct jsonw w = JSONW(b);
	buf_printf(&text, "Ignored risk for function %.*s!", STR_ARG(str_first(name, 200)));
	jsonw_str(&w, buf_str(&text));
}

void grants_init(struct grants *g)
{
	list_init(&g->list);
	g->n = 0;
}

static void drop(struct grants *g, struct grant *grant)
{
	list_remove(&grant->link);
	g->n--;
	free(grant);
}

void grants_reset(struct grants *g)
{
	while (!list_is_empty(&g->list))
		drop(g, list_get_first(&g->list, struct grant, link));
}

static struct grant *find(struct grants *g, struct str name, int64_t now_ms)
{
	struct grant *grant, *next;
	list_for_each_safe(grant, next, &g->list, link) {
		if (grant->until_ms <= now_ms)
			drop(g, grant);
		else if (str_is(name, grant->name))
			return grant;
	}
	return NULL;
}

int grants_add(struct grants *g, struct str name, bool is_known, int64_t now_ms, struct error *err)
{
	if (!is_known)
		return error_set(err, ERROR_INVALID, "Function %.*s not found in the toolkit.",
			STR_ARG(str_first(name, 200)));
	struct grant *grant = find(g, name, now_ms);
	if (!grant && g->n >= GRANTS_MAX)
		return error_set(err, ERROR_LIMIT, "%d risks are ignored already", g->n);
	if (!grant) {
		grant = mem_zalloc(sizeof(*grant) + name.len + 1);
		memcpy(grant->name, name.ptr, name.len);
		list_append(&g->list, &grant->link);
		g->n++;
	}
	grant->until_ms = now_ms + GRANT_MS;
	return 0;
}

bool grants_take(struct grants *g, struct str name, int64_t now_ms)
{
	struct grant *grant = find(g, name, now_ms);
	if (grant)
		drop(g, grant);
	return grant != NULL;
}
