/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include "base/auto.h"
#include "cli/wish.h"

#include <signal.h>

enum { WORD_MAX = 15 * 1024 * 1024 };

int client_put_env(struct jsonw *w, const struct option_texts *texts, struct error *err)
{
	jsonw_key(w, "env");
	jsonw_open(w);
	for (int i = 0; i < texts->n; i++) {
		struct str name, value;
		if (wish_variable(texts->items[i], &name, &value, err) < 0)
			return -1;
		if (!value.ptr)
			continue;
		jsonw_key_dyn(w, name);
		jsonw_str(w, value);
	}
	jsonw_close(w);
	return 0;
}

int client_exit_status(const struct json *process)
{
	struct json *code = json_find(process, "exit_code");
	if (json_kind(code) == JSON_KIND_INT)
		return (int)json_int(code) & 0xff;
	struct str name = json_str(json_find(process, "signal"));
	for (int n = 1; n < NSIG; n++) {
		const char *known = sigabbrev_np(n);
		if (known && str_is(name, known))
			return 128 + n;
	}
	return 128;
}

void client_put_word(struct jsonw *w, const char *word)
{
	auto_json struct json *json = NULL;
	auto_buf struct buf array = BUF_INIT(WORD_MAX);
	buf_printf(&array, "[%s]", word);
	if (json_parse(buf_str(&array), &json, NULL) == 0 && json_len(json) == 1)
		jsonw_raw(w, str_from(word));
	else
		jsonw_str(w, str_from(word));
}
