/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include "cli/wish.h"

#include <signal.h>

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
