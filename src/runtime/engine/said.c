/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/engine/said.h"

#include "base/auto.h"
#include "base/clock.h"

void said_init(struct said *s, void (*show)(void *arg, struct str text), void *arg)
{
	*s = (struct said){ .show = show, .arg = arg };
	buf_init(&s->line, SAID_LINE_MAX);
}

void said_fini(struct said *s)
{
	buf_fini(&s->line);
}

/* ---- lines ---- */

static void take_made(struct said *s, struct str ref)
{
	if (!ref.len || ref.len >= SAID_REF_SIZE || str_has_nul(ref) || s->n_made == SAID_MADE_MAX)
		return;
	snprintf(s->made[s->n_made++], SAID_REF_SIZE, "%.*s", STR_ARG(ref));
}

static void take_words(struct said *s, struct str text)
{
	static const char *const before[] = { "Loaded image: ", "Loaded image ID: ",
		"Successfully built " };
	struct str words = str_trim(text);
	for (size_t i = 0; i < ARRAY_LEN(before); i++)
		if (str_starts(words, str_from(before[i])))
			take_made(s, str_skip(words, strlen(before[i])));
}

static void take_line(struct said *s, struct str line)
{
	auto_json struct json *json = NULL;
	if (!str_trim(line).len || json_parse_loose(line, &json, NULL) < 0)
		return;
	struct str text = json_str(json_find(json, "stream"));
	struct str status = json_str(json_find(json, "status"));
	struct str error = json_str(json_find(json, "error"));
	if (!error.len)
		error = json_str(json_find(json_find(json, "errorDetail"), "message"));
	if (error.len && s->error.code == ERROR_OK)
		error_set(&s->error, ERROR_BUILD, "%.*s", STR_ARG(str_first(error, 200)));
	take_made(s, json_str(json_find(json_find(json, "aux"), "ID")));
	if (str_starts(status, STR("sha256:")))
		take_made(s, status);
	take_words(s, text);
	if (text.len && s->show)
		s->show(s->arg, text);
}

static void end_line(struct said *s)
{
	if (!s->skips)
		take_line(s, buf_str(&s->line));
	s->skips = false;
	buf_reset(&s->line);
}

void said_take(struct said *s, struct str piece)
{
	struct str rest = piece;
	while (rest.len) {
		ptrdiff_t end = str_find_char(rest, '\n');
		struct str part = end < 0 ? rest : str_first(rest, (size_t)end);
		if (!s->skips && buf_put(&s->line, part) < 0)
			s->skips = true;
		rest = str_skip(rest, part.len + (end >= 0));
		if (end >= 0)
			end_line(s);
	}
}

void said_end(struct said *s)
{
	end_line(s);
}

int said_judge(struct str text, struct error *err)
{
	struct said s;
	said_init(&s, NULL, NULL);
	said_take(&s, text);
	said_end(&s);
	said_fini(&s);
	if (s.error.code == ERROR_OK)
		return 0;
	return error_set(err, ERROR_UNAVAILABLE, "%s", s.error.text);
}

/* ---- images ---- */

static void put_names(const struct json *names, struct jsonw *w)
{
	jsonw_key(w, "names");
	jsonw_open_array(w);
	for (size_t i = 0; i < json_len(names); i++)
		if (str_find(json_str(json_at(names, i)), STR("<none>")) < 0)
			jsonw_str(w, json_str(json_at(names, i)));
	jsonw_close_array(w);
}

/* Seconds, or a text that begins as ours does. */
static void put_created(const struct json *created, struct jsonw *w)
{
	char text[CLOCK_TEXT_MAX];
	int64_t seconds = json_int(created);
	clock_text(seconds > 0 && seconds < INT32_MAX ? seconds * 1000 : 0, text);
	jsonw_key(w, "created_at");
	if (json_kind(created) == JSON_KIND_STR)
		jsonw_str(w, json_str(created));
	else
		jsonw_str(w, str_from(text));
}

static void put_config(const struct json *config, struct jsonw *w)
{
	static const char *const keys[] = { "Env", "Cmd", "Entrypoint", "WorkingDir", "User",
		"Labels" };
	jsonw_key(w, "config");
	jsonw_open(w);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		auto_buf struct buf value = BUF_INIT(SAID_LINE_MAX);
		const struct json *found = json_find(config, keys[i]);
		if (json_kind(found) == JSON_KIND_NULL || json_write(found, &value) < 0)
			continue;
		jsonw_key(w, keys[i]);
		jsonw_raw(w, buf_str(&value));
	}
	jsonw_close(w);
}

void said_put_image(const struct json *image, struct jsonw *w)
{
	struct str id = json_str(json_find(image, "Id"));
	const struct json *layers = json_find(json_find(image, "RootFS"), "Layers");
	jsonw_open(w);
	jsonw_key_str(w, "id", str_starts(id, STR("sha256:")) ? str_skip(id, 7) : id);
	put_names(json_find(image, "RepoTags"), w);
	put_created(json_find(image, "Created"), w);
	jsonw_key_int(w, "size_bytes", json_int(json_find(image, "Size")));
	jsonw_key_str(w, "architecture", json_str(json_find(image, "Architecture")));
	jsonw_key(w, "layers");
	jsonw_open_array(w);
	for (size_t i = 0; i < json_len(layers); i++)
		jsonw_str(w, json_str(json_at(layers, i)));
	jsonw_close_array(w);
	put_config(json_find(image, "Config"), w);
	jsonw_close(w);
}
