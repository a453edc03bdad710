/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/serve.h"

#include "base/auto.h"
#include "cli/options.h"
#include "cli/out.h"
#include "config/settings.h"
#include "wire/json.h"

enum { TEXT_MAX = 1024 * 1024, VALUE_COLUMN = 48 };

extern char **environ;

static bool is_shown(const struct config *c, enum config_key key, bool all)
{
	return all || config_is_set(c, key) || config_rows[key].status != CONFIG_THEIRS;
}

/* "name = value   # origin"; a key without a value is a comment. */
static void put_line(struct buf *b, const struct config *c, enum config_key key)
{
	const struct config_row *row = &config_rows[key];
	auto_buf struct buf line = BUF_INIT(TEXT_MAX);
	bool has_value = config_value(c, key) != NULL;
	buf_printf(&line, "%s%s =", has_value ? "" : "# ", row->name);
	if (has_value) {
		buf_putc(&line, ' ');
		config_put_value(&line, c, key);
	}
	while (line.len < VALUE_COLUMN)
		buf_putc(&line, ' ');
	buf_printf(b, "%s  # %s", line.ptr,
		has_value ? config_origin_name(c->values[key].origin) : "not set");
	if (config_is_set(c, key) && row->status == CONFIG_REFUSED)
		buf_puts(b, "; refused");
	else if (config_is_set(c, key) && row->status == CONFIG_THEIRS)
		buf_puts(b, "; means nothing to a server");
	buf_putc(b, '\n');
}

static void put_text(struct buf *b, const struct config *c, bool all)
{
	const char *section = "";
	buf_printf(b, "# %s\n", c->file ? c->file : "there is no file");
	for (int i = 0; i < KEY_MAX; i++) {
		if (!is_shown(c, (enum config_key)i, all))
			continue;
		if (strcmp(section, config_rows[i].section) != 0)
			buf_printf(b, "\n[%s]\n", config_rows[i].section);
		section = config_rows[i].section;
		put_line(b, c, (enum config_key)i);
	}
}

static void put_json(struct buf *b, const struct config *c, bool all)
{
	static const char *const words[] = { "honoured", "refused", "not_ours" };
	struct jsonw w = JSONW(b);
	jsonw_open_array(&w);
	for (int i = 0; i < KEY_MAX; i++) {
		enum config_key key = (enum config_key)i;
		auto_buf struct buf value = BUF_INIT(TEXT_MAX), name = BUF_INIT(256);
		if (!is_shown(c, key, all))
			continue;
		config_put_value(&value, c, key);
		config_put_variable(&name, key);
		jsonw_open(&w);
		jsonw_key_str(&w, "section", str_from(config_rows[i].section));
		jsonw_key_str(&w, "key", str_from(config_rows[i].name));
		jsonw_key(&w, "toml");
		if (value.len)
			jsonw_str(&w, buf_str(&value));
		else
			jsonw_null(&w);
		jsonw_key_str(&w, "origin", str_from(config_origin_name(c->values[i].origin)));
		jsonw_key_str(&w, "variable", buf_str(&name));
		jsonw_key_str(&w, "status", str_from(words[config_rows[i].status]));
		jsonw_close(&w);
	}
	jsonw_close_array(&w);
	buf_putc(b, '\n');
}

int config_main(struct invocation *in, struct error *err)
{
	const struct config_options *o = in->values;
	auto_config struct config c = CONFIG_INIT;
	auto_buf struct buf b = BUF_INIT(TEXT_MAX), settings = BUF_INIT(TEXT_MAX);
	if (config_load(&c, o->config, (const char *const *)environ, err) < 0 ||
		config_put_settings(&c, NULL, &settings, err) < 0)
		return -1;
	for (int i = 0; i < c.n_warnings; i++)
		fprintf(stderr, "cay: warning: %s\n", c.warnings[i]);
	if (o->common.json)
		put_json(&b, &c, o->all);
	else
		put_text(&b, &c, o->all);
	return out_text(buf_str(&b), err);
}
