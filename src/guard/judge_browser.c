/* SPDX-License-Identifier: Apache-2.0 */
/* A program for a browser: where it goes, and which files it takes along. */
#include "guard/judges.h"

#include "wire/pycall.h"

static void judge_strings(struct judging *j, const struct py_value *v, bool is_url)
{
	if (v->kind == PY_STR && is_url)
		judge_url(j, v->text);
	else if (v->kind == PY_STR)
		judge_path(j, v->text, PATH_READ);
	for (size_t i = 0; i < v->n; i++)
		judge_strings(j, &v->items[i], is_url);
}

static void judge_call(struct judging *j, const struct py_call *call)
{
	bool is_url = str_is(call->name, "goto");
	if (!is_url && !str_is(call->name, "upload_file"))
		return;
	/* Of upload_file the first is an element's id, which is no path of anything. */
	for (size_t i = 0; i < call->n; i++)
		judge_strings(j, &call->arguments[i].value, is_url);
}

void judge_browser(struct judging *j, struct str program)
{
	struct py_call *calls;
	size_t n;
	if (pycall_parse(program, j->arena, &calls, &n, NULL) < 0) {
		judge_hit(j, RULE_TOO_LARGE);
		return;
	}
	for (size_t i = 0; i < n; i++)
		judge_call(j, &calls[i]);
}
