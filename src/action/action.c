/* SPDX-License-Identifier: Apache-2.0 */
#include "action/action.h"

#include "base/bug.h"
#include "base/num.h"

enum { PATH_BYTES_MAX = 4095 };

/* What is being decoded, for error texts. */
struct decoding {
	const char *what;
	struct arena *arena;
	struct error *err;
};

static int refuse(struct decoding *d, const struct field *f, const char *wants,
	const struct json *got)
{
	return error_set(d->err, ERROR_INVALID, "%s: '%s' must be %s, not %s", d->what, f->name,
		wants, json_kind_name(json_kind(got)));
}

static int check_words(struct decoding *d, const struct field *f, struct str s)
{
	auto_buf struct buf list = BUF_INIT(200);
	for (const char *const *word = f->words; *word; word++) {
		if (str_is(s, *word))
			return 0;
		buf_printf(&list, "%s%s", list.len ? ", " : "", *word);
	}
	return error_set(d->err, ERROR_INVALID, "%s: '%s' must be one of %s, not '%.*s'", d->what,
		f->name, list.ptr, STR_ARG(str_first(s, 40)));
}

static int check_string(struct decoding *d, const struct field *f, struct str s)
{
	if (!(f->flags & FIELD_BINARY) && str_has_nul(s))
		return error_set(d->err, ERROR_INVALID, "%s: '%s' holds a NUL byte", d->what,
			f->name);
	if (f->flags & FIELD_PATH && s.len == 0)
		return error_set(d->err, ERROR_INVALID, "%s: '%s' is empty", d->what, f->name);
	if (f->flags & FIELD_PATH && s.len > PATH_BYTES_MAX)
		return error_set(d->err, ERROR_INVALID,
			"%s: '%s' is a path of %zu bytes; the limit is %d", d->what, f->name, s.len,
			PATH_BYTES_MAX);
	return f->words ? check_words(d, f, s) : 0;
}

static int decode_string(struct decoding *d, const struct field *f, const struct json *j, void *at)
{
	if (json_kind(j) != JSON_KIND_STR)
		return refuse(d, f, "a string", j);
	struct str s = json_str(j);
	if (check_string(d, f, s) < 0)
		return -1;
	*(struct str *)at = s;
	return 0;
}

static int decode_int(struct decoding *d, const struct field *f, const struct json *j, void *at)
{
	bool is_whole = json_kind(j) == JSON_KIND_INT ||
		(json_kind(j) == JSON_KIND_REAL && json_double(j) == (double)json_int(j));
	if (!is_whole)
		return refuse(d, f, "a whole number", j);
	int64_t v = json_int(j);
	if ((f->min || f->max) && (v < f->min || v > f->max))
		return error_set(d->err, ERROR_INVALID,
			"%s: '%s' is %lld; it must be between %lld and %lld", d->what, f->name,
			(long long)v, (long long)f->min, (long long)f->max);
	*(int64_t *)at = v;
	return 0;
}

static int decode_bool(struct decoding *d, const struct field *f, const struct json *j, void *at)
{
	if (json_kind(j) != JSON_KIND_BOOL)
		return refuse(d, f, "true or false", j);
	*(bool *)at = json_bool(j);
	return 0;
}

/* What is decoded never takes the last of the arena: whoever has asked goes on with it. */
static bool has_room(const struct decoding *d, size_t size)
{
	return arena_has_room(d->arena, 2 * size);
}

static int decode_strings(struct decoding *d, const struct field *f, const struct json *j, void *at)
{
	if (json_kind(j) != JSON_KIND_ARRAY)
		return refuse(d, f, "an array of strings", j);
	size_t n = json_len(j);
	if (!has_room(d, n * sizeof(struct str)))
		return error_set(d->err, ERROR_TOO_LARGE, "%s: '%s' has %zu items", d->what,
			f->name, n);
	struct field_strings list = { arena_new_n(d->arena, struct str, n), n };
	for (size_t i = 0; i < n; i++)
		if (decode_string(d, f, json_at(j, i), &list.items[i]) < 0)
			return -1;
	*(struct field_strings *)at = list;
	return 0;
}

static int decode_map(struct decoding *d, const struct field *f, const struct json *j, void *at)
{
	if (json_kind(j) != JSON_KIND_OBJECT)
		return refuse(d, f, "an object of strings", j);
	size_t n = json_len(j);
	if (!has_room(d, 2 * n * sizeof(struct str)))
		return error_set(d->err, ERROR_TOO_LARGE, "%s: '%s' has %zu items", d->what,
			f->name, n);
	struct field_map map = { arena_new_n(d->arena, struct str, n),
		arena_new_n(d->arena, struct str, n), n };
	void *it = NULL;
	struct str key;
	struct json *v;
	for (size_t i = 0; (v = json_next(j, &it, &key)); i++) {
		map.keys[i] = key;
		if (decode_string(d, f, v, &map.values[i]) < 0)
			return -1;
	}
	*(struct field_map *)at = map;
	return 0;
}

static int decode_json(struct decoding *d, const struct field *f, const struct json *j, void *at)
{
	*(const struct json **)at = j;
	return 0;
}

typedef int decode_fn(struct decoding *d, const struct field *f, const struct json *j, void *at);

static const struct {
	decode_fn *decode;
	const char *schema; /* JSON Schema of the type, without the braces */
} types[] = {
	[FIELD_STRING] = { decode_string, "\"type\":\"string\"" },
	[FIELD_INT] = { decode_int, "\"type\":\"integer\"" },
	[FIELD_BOOL] = { decode_bool, "\"type\":\"boolean\"" },
	[FIELD_STRINGS] = { decode_strings, "\"type\":\"array\",\"items\":{\"type\":\"string\"}" },
	[FIELD_MAP] = { decode_map,
		"\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}" },
	[FIELD_JSON] = { decode_json, "\"description\":\"any JSON\"" },
};

/* The standard value of a field is a constant of ours: a wrong one is a bug. */
static void set_standard(const struct field *f, void *at)
{
	if (!f->standard)
		return;
	switch (f->type) {
	case FIELD_STRING:
		*(struct str *)at = str_from(f->standard);
		break;
	case FIELD_INT:
		BUG_IF(num_parse_i64(str_from(f->standard), INT64_MIN, INT64_MAX, at, NULL) < 0,
			"a standard value that is no number");
		break;
	case FIELD_BOOL:
		*(bool *)at = str_is(STR("true"), f->standard);
		break;
	default:
		BUG("this type of field has no standard value");
	}
}

const struct field *fields_find(const struct field *fields, struct str name)
{
	for (const struct field *f = fields; f->name; f++)
		if (str_is(name, f->name))
			return f;
	return NULL;
}

static int check_known(struct decoding *d, const struct field *fields, const struct json *object)
{
	void *it = NULL;
	struct str key;
	while (json_next(object, &it, &key)) {
		if (fields_find(fields, key))
			continue;
		auto_buf struct buf known = BUF_INIT(250);
		for (const struct field *f = fields; f->name; f++)
			buf_printf(&known, "%s%s", known.len ? ", " : "", f->name);
		return error_set(d->err, ERROR_INVALID, "%s: unknown field '%.*s'; known are: %s",
			d->what, STR_ARG(str_first(key, 60)), known.len ? known.ptr : "none");
	}
	return 0;
}

int fields_decode(const struct field *fields, size_t params_size, const char *what,
	const struct json *object, struct arena *arena, void **ret_params, struct error *err)
{
	struct decoding d = { what, arena, err };
	if (object && json_kind(object) != JSON_KIND_OBJECT && json_kind(object) != JSON_KIND_NULL)
		return error_set(err, ERROR_INVALID, "%s: an object is wanted, not %s", what,
			json_kind_name(json_kind(object)));
	if (check_known(&d, fields, object) < 0)
		return -1;

	char *params = arena_alloc(arena, params_size ? params_size : 1);
	for (const struct field *f = fields; f->name; f++) {
		const struct json *j = json_find(object, f->name);
		if (json_kind(j) == JSON_KIND_NULL) {
			if (f->flags & FIELD_REQUIRED)
				return error_set(err, ERROR_INVALID, "%s: '%s' is missing", what,
					f->name);
			set_standard(f, params + f->offset);
		} else if (types[f->type].decode(&d, f, j, params + f->offset) < 0) {
			return -1;
		}
	}
	*ret_params = params;
	return 0;
}

int action_decode(const struct action *a, const struct json *params, struct arena *arena,
	void **ret_params, struct error *err)
{
	return fields_decode(a->fields, a->params_size, a->name, params, arena, ret_params, err);
}

const struct action *action_find(struct str name)
{
	for (const struct action *const *a = action_table; *a; a++)
		if (str_is(name, (*a)->name))
			return *a;
	return NULL;
}

void field_schema(const struct field *f, struct jsonw *w)
{
	jsonw_open(w);
	buf_puts(w->b, types[f->type].schema);
	w->needs_comma = true;
	if (f->help && f->type != FIELD_JSON)
		jsonw_key_str(w, "description", str_from(f->help));
	if (f->min || f->max) {
		jsonw_key_int(w, "minimum", f->min);
		jsonw_key_int(w, "maximum", f->max);
	}
	if (f->words) {
		jsonw_key(w, "enum");
		jsonw_open_array(w);
		for (const char *const *word = f->words; *word; word++)
			jsonw_str(w, str_from(*word));
		jsonw_close_array(w);
	}
	if (f->standard) {
		jsonw_key(w, "default");
		if (f->type == FIELD_STRING)
			jsonw_str(w, str_from(f->standard));
		else
			jsonw_raw(w, str_from(f->standard));
	}
	jsonw_close(w);
}

void fields_schema(const struct field *fields, struct jsonw *w)
{
	jsonw_open(w);
	jsonw_key_str(w, "type", STR("object"));
	jsonw_key(w, "properties");
	jsonw_open(w);
	for (const struct field *f = fields; f->name; f++) {
		jsonw_key(w, f->name);
		field_schema(f, w);
	}
	jsonw_close(w);
	jsonw_key(w, "required");
	jsonw_open_array(w);
	for (const struct field *f = fields; f->name; f++)
		if (f->flags & FIELD_REQUIRED)
			jsonw_str(w, str_from(f->name));
	jsonw_close_array(w);
	jsonw_key_bool(w, "additionalProperties", false);
	jsonw_close(w);
}

bool action_has_field(const struct action *a, const char *name)
{
	return fields_find(a->fields, str_from(name)) != NULL;
}

bool action_can_be_whole(const struct action *a)
{
	return !(a->flags & ACTION_STREAMS_OUT) || action_has_field(a, "capture");
}

int action_put_whole(const struct action *a, struct str params_json, struct buf *ret,
	struct error *err)
{
	auto_json struct json *given = NULL;
	bool is_told = a->flags & ACTION_STREAMS_OUT;
	if (is_told && params_json.len && json_parse(params_json, &given, err) < 0)
		return error_wrap(err, "%s", a->name);
	if (!is_told || (given && json_kind(given) != JSON_KIND_OBJECT) ||
		json_find(given, "capture")) {
		buf_put(ret, params_json);
	} else {
		ptrdiff_t at = str_find_char(params_json, '{');
		buf_puts(ret, json_len(given) ? "{\"capture\":true," : "{\"capture\":true");
		buf_put(ret, at < 0 ? STR("}") : str_skip(params_json, (size_t)at + 1));
	}
	return ret->is_full ? error_set(err, ERROR_TOO_LARGE, "%s: over %zu bytes of parameters",
				      a->name, ret->limit)
			    : 0;
}
