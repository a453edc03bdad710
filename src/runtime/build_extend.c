/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/build_extend.h"

#include "base/auto.h"
#include "runtime/image_names.h"
#include "runtime/runtime.h"
#include "version.h"

#include <stdio.h>

enum { HEX_MAX = 128, BASE_SHOWN_MAX = 96, BASE = 36 };

static unsigned digit(char c)
{
	return c >= 'a' ? (unsigned)(c - 'a') + 10 : (unsigned)(c - '0');
}

/* Long division, digit by digit of the hex text, once for each digit of the result. */
void tag_hash(struct str hex, char ret[TAG_HASH_SIZE])
{
	unsigned char number[HEX_MAX] = { 0 };
	size_t n = MIN(hex.len, (size_t)HEX_MAX);
	for (size_t i = 0; i < n; i++)
		number[i] = (unsigned char)digit(hex.ptr[i]);
	for (int k = 0; k < TAG_HASH_SIZE - 1; k++) {
		unsigned rest = 0;
		for (size_t i = 0; i < n; i++) {
			unsigned value = rest * 16 + number[i];
			number[i] = (unsigned char)(value / BASE);
			rest = value % BASE;
		}
		ret[k] = "0123456789abcdefghijklmnopqrstuvwxyz"[rest];
	}
	ret[TAG_HASH_SIZE - 1] = '\0';
}

/* "nikolaik/python-nodejs:3.12" → "nikolaik_s_python-nodejs_t_3.12" */
static const char *base_in_tag(struct str base, struct arena *arena)
{
	auto_buf struct buf out = BUF_INIT(4 * IMAGE_NAME_MAX + 8);
	for (size_t i = 0; i < base.len; i++) {
		char c = base.ptr[i];
		if (c == '/')
			buf_puts(&out, "_s_");
		else if (c == ':')
			buf_puts(&out, "_t_");
		else if (c == '@')
			buf_putc(&out, '_');
		else
			buf_putc(&out, c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c);
	}
	size_t skip = out.len > BASE_SHOWN_MAX ? out.len - BASE_SHOWN_MAX : 0;
	return arena_str(arena, str_skip(buf_str(&out), skip));
}

static void add_part(struct sha256 *h, struct str part)
{
	char size[24];
	snprintf(size, sizeof(size), "%zu:", part.len);
	sha256_add(h, str_from(size));
	sha256_add(h, part);
}

static void add_map(struct sha256 *h, const struct field_map *map)
{
	for (size_t i = 0; i < map->n; i++) {
		add_part(h, map->keys[i]);
		add_part(h, map->values[i]);
	}
}

static const char *digest_tag(const struct extend_base *base, const struct field_strings *commands,
	const struct build_wish *wish, struct arena *arena)
{
	char hex[SHA256_HEX_SIZE], hash[TAG_HASH_SIZE];
	struct sha256 h;
	sha256_init(&h);
	add_part(&h, base->id);
	for (size_t i = 0; i < commands->n; i++)
		add_part(&h, commands->items[i]);
	add_map(&h, &wish->args);
	add_map(&h, &wish->labels);
	sha256_end(&h, hex);
	tag_hash(str_from(hex), hash);
	return arena_printf(arena, BUILD_REPOSITORY ":cay_v" CAY_VERSION "_%s", hash);
}

/* In the JSON form: whatever a command holds, it is one argument of the shell. */
static void put_command(struct buf *text, struct str command)
{
	struct jsonw w = JSONW(text);
	buf_puts(text, "RUN ");
	jsonw_open_array(&w);
	jsonw_str(&w, STR("/bin/sh"));
	jsonw_str(&w, STR("-c"));
	jsonw_str(&w, command);
	jsonw_close_array(&w);
	buf_puts(text, "\n");
}

static struct str make_text(const struct extend_base *base, const struct field_strings *commands,
	const struct build_wish *wish, struct arena *arena, struct error *err)
{
	auto_buf struct buf text = BUF_INIT(512 * 1024);
	buf_printf(&text, "FROM %.*s\nUSER root\n", STR_ARG(base->from));
	for (size_t i = 0; i < wish->args.n; i++)
		buf_printf(&text, "ARG %.*s\n", STR_ARG(wish->args.keys[i]));
	for (size_t i = 0; i < commands->n; i++)
		put_command(&text, commands->items[i]);
	if (base->user.len)
		buf_printf(&text, "USER %.*s\n", STR_ARG(base->user));
	if (text.is_full || !arena_has_room(arena, text.len + 64)) {
		error_set(err, ERROR_TOO_LARGE, "the commands are too long");
		return STR_NONE;
	}
	return str_from_len(arena_str(arena, buf_str(&text)), text.len);
}

int extend_plan(const struct extend_base *base, const struct field_strings *commands,
	struct arena *arena, struct build_wish *wish, struct error *err)
{
	if (commands->n < 1 || commands->n > BUILD_EXTRAS_MAX)
		return error_set(err, ERROR_INVALID, "%zu commands; 1 to %d are offered",
			commands->n, BUILD_EXTRAS_MAX);
	struct str *tags = arena_new_n(arena, struct str, 2);
	tags[0] = str_from(digest_tag(base, commands, wish, arena));
	tags[1] = str_from(arena_printf(arena, BUILD_REPOSITORY ":cay_v" CAY_VERSION "_%s",
		base_in_tag(base->name, arena)));
	wish->tags = (struct field_strings){ tags, 2 };
	wish->text = make_text(base, commands, wish, arena, err);
	wish->has_context = false;
	return wish->text.ptr ? 0 : -1;
}

int build_extend(struct images *images, struct str base, const struct field_strings *commands,
	struct arena *arena, struct build_wish *wish, struct image **ret_there, struct error *err)
{
	const struct image *image = images_find(images, base, err);
	if (!image)
		return -1;
	const struct extend_base plan = { .name = base,
		.from = str_from(arena_printf(arena, "sha256:%s", image->id)),
		.id = str_from(image->id) };
	if (extend_plan(&plan, commands, arena, wish, err) < 0)
		return -1;
	*ret_there = images_find(images, wish->tags.items[0], NULL);
	return 0;
}
