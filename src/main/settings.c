/* SPDX-License-Identifier: Apache-2.0 */
#include "main/settings.h"

#include "base/auto.h"

static struct json *settings;

int settings_load(struct error *err)
{
	const char *text = getenv("CAY_SETTINGS");
	if (!text || !text[0])
		return 0;
	if (json_parse(str_from(text), &settings, err) < 0)
		return error_wrap(err, "CAY_SETTINGS");
	unsetenv("CAY_SETTINGS");
	return 0;
}

void settings_drop(void)
{
	json_free(take_ptr(settings));
}

const struct json *settings_of_server(const char *part)
{
	return json_find(settings, part);
}
