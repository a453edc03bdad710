/* SPDX-License-Identifier: Apache-2.0 */
/* Values as TOML. */
#include "config/config.h"

#include "base/auto.h"
#include "base/num.h"

static void put_quoted(struct buf *b, struct str text)
{
	buf_putc(b, '"');
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			buf_printf(b, "\\u%04x", c);
		else
			buf_putc(b, (char)c);
	}
	buf_putc(b, '"');
}

static void put_value(struct buf *b, const struct toml *t)
{
	char real[NUM_REAL_SIZE];
	bool is_table = t->kind == TOML_TABLE;
	switch (t->kind) {
	case TOML_ARRAY:
	case TOML_TABLE:
		buf_puts(b, is_table ? "{" : "[");
		for (const struct toml *part = t->first; part; part = part->next) {
			buf_puts(b, is_table ? " " : "");
			if (is_table) {
				put_quoted(b, part->key);
				buf_puts(b, " = ");
			}
			put_value(b, part);
			buf_puts(b, part->next ? "," : "");
			buf_puts(b, part->next && !is_table ? " " : "");
		}
		buf_puts(b, is_table ? (t->first ? " }" : "}") : "]");
		break;
	case TOML_INT:
		buf_printf(b, "%lld", (long long)t->number);
		break;
	case TOML_BOOL:
		buf_puts(b, t->number ? "true" : "false");
		break;
	case TOML_FLOAT:
		num_print_real(real, t->real);
		buf_puts(b, real);
		break;
	case TOML_STRING:
		put_quoted(b, t->text);
		break;
	default:
		buf_put(b, t->text);
	}
}

/* Of variables that sandboxes get, the names; they may be secrets. */
static void put_names(struct buf *b, const struct toml *t)
{
	buf_puts(b, "{");
	for (const struct toml *part = t->first; part; part = part->next) {
		buf_putc(b, ' ');
		put_quoted(b, part->key);
		buf_printf(b, " = \"***\"%s", part->next ? "," : " ");
	}
	buf_puts(b, "}");
}

void config_put_value(struct buf *b, const struct config *c, enum config_key key)
{
	const struct toml *t = c->values[key].value;
	if (!t)
		return;
	if (config_rows[key].type == CONFIG_SECRET)
		buf_puts(b, "\"***\"");
	else if (key == KEY_SANDBOX_STARTUP_ENV)
		put_names(b, t);
	else
		put_value(b, t);
}
