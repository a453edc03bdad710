/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: toml-decode < FILE: prints the tagged JSON of toml-lang/toml-test, exits 1 for what is no
 * TOML.
 */
#include "wire/toml.h"

#include "base/auto.h"
#include "base/file.h"
#include "wire/json.h"

#include <fcntl.h>
#include <math.h>

static void put(struct jsonw *w, const struct toml *t);

static void put_parts(struct jsonw *w, const struct toml *t)
{
	bool is_table = t->kind == TOML_TABLE;
	if (is_table)
		jsonw_open(w);
	else
		jsonw_open_array(w);
	for (const struct toml *part = t->first; part; part = part->next) {
		if (is_table)
			jsonw_key_dyn(w, part->key);
		put(w, part);
	}
	if (is_table)
		jsonw_close(w);
	else
		jsonw_close_array(w);
}

static void put_scalar(struct buf *b, const struct toml *t)
{
	if (t->kind == TOML_INT)
		buf_printf(b, "%lld", (long long)t->number);
	else if (t->kind == TOML_BOOL)
		buf_puts(b, t->number ? "true" : "false");
	else if (t->kind == TOML_FLOAT && isnan(t->real))
		buf_puts(b, "nan");
	else if (t->kind == TOML_FLOAT)
		buf_printf(b, "%.17g", t->real);
	else
		buf_put(b, t->text);
}

static void put(struct jsonw *w, const struct toml *t)
{
	static const char *const types[] = { "", "string", "integer", "float", "bool", "datetime",
		"datetime-local", "date-local", "time-local" };
	if (t->kind == TOML_ARRAY || t->kind == TOML_TABLE) {
		put_parts(w, t);
		return;
	}
	auto_buf struct buf value = BUF_INIT(TOML_TEXT_MAX);
	put_scalar(&value, t);
	jsonw_open(w);
	jsonw_key_str(w, "type", str_from(types[t->kind]));
	jsonw_key_str(w, "value", buf_str(&value));
	jsonw_close(w);
}

int main(void)
{
	auto_buf struct buf text = BUF_INIT(TOML_TEXT_MAX), out = BUF_INIT(64 << 20);
	auto_arena struct arena arena = ARENA_INIT(TOML_ARENA_MAX);
	struct jsonw w = JSONW(&out);
	struct toml *root;
	struct error err;
	if (file_read(AT_FDCWD, "/dev/stdin", &text, &err) < 0 ||
		toml_parse(buf_str(&text), &arena, &root, &err) < 0) {
		fprintf(stderr, "toml-decode: %s\n", err.text);
		return 1;
	}
	put(&w, root);
	buf_putc(&out, '\n');
	return file_write_all(STDOUT_FILENO, buf_str(&out), &err) < 0 ? 2 : 0;
}
