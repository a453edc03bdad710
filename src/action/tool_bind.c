/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a call's arguments to one object, for tools whose implementation takes names only. What
 * Python says when arguments do not fit is said here in its words, so that an agent reads one
 * language.
 */
#include "action/tool_bind.h"

#include "base/auto.h"

struct binding {
	const char *name;
	const struct json *args, *kwargs, *properties, *required;
	bool is_closed; /* no further names are allowed */
};

static bool is_required(const struct binding *b, struct str name)
{
	for (size_t i = 0; i < json_len(b->required); i++)
		if (str_eq(json_str(json_at(b->required, i)), name))
			return true;
	return false;
}

static struct json *find_dyn(const struct json *object, struct str name)
{
	void *it = NULL;
	struct str key;
	struct json *value;
	while ((value = json_next(object, &it, &key)))
		if (str_eq(key, name))
			return value;
	return NULL;
}

static bool kind_is(enum json_kind kind, struct str type)
{
	switch (kind) {
	case JSON_KIND_NULL:
		return str_is(type, "null");
	case JSON_KIND_BOOL:
		return str_is(type, "boolean");
	case JSON_KIND_INT:
		return str_is(type, "integer") || str_is(type, "number");
	case JSON_KIND_REAL:
		return str_is(type, "number");
	case JSON_KIND_STR:
		return str_is(type, "string");
	case JSON_KIND_ARRAY:
		return str_is(type, "array");
	case JSON_KIND_OBJECT:
		return str_is(type, "object");
	}
	return false;
}

/*
 * "type" alone, as a word or an array of words; what else a schema may ask for is the tool's to
 * judge.
 */
static bool value_fits(const struct json *value, const struct json *schema)
{
	const struct json *type = json_find(schema, "type");
	if (json_kind(type) == JSON_KIND_STR)
		return kind_is(json_kind(value), json_str(type));
	for (size_t i = 0; i < json_len(type); i++)
		if (kind_is(json_kind(value), json_str(json_at(type, i))))
			return true;
	return json_len(type) == 0;
}

static int put(const struct binding *b, struct str name, const struct json *value,
	const struct json *schema, struct jsonw *w, struct error *err)
{
	bool may_be_null = !is_required(b, name);
	if (json_kind(value) == JSON_KIND_NULL && may_be_null)
		return 0; /* as if it were not there */
	if (!value_fits(value, schema))
		return error_set(err, ERROR_INVALID, "%s() argument '%.*s' must not be of type %s",
			b->name, STR_ARG(str_first(name, 60)), json_kind_name(json_kind(value)));
	jsonw_key_dyn(w, name);
	json_write(value, w->b);
	w->needs_comma = true;
	return 0;
}

static int put_known(const struct binding *b, struct jsonw *w, struct error *err)
{
	void *it = NULL;
	struct str name;
	const struct json *schema;
	for (size_t i = 0; (schema = json_next(b->properties, &it, &name)); i++) {
		const struct json *by_place = json_at(b->args, i),
				  *by_name = find_dyn(b->kwargs, name);
		const struct json *value = by_place ? by_place : by_name;
		if (by_place && by_name)
			return error_set(err, ERROR_INVALID,
				"%s() got multiple values for argument '%.*s'", b->name,
				STR_ARG(str_first(name, 60)));
		if (!value && is_required(b, name))
			return error_set(err, ERROR_INVALID,
				"%s() missing a required argument: '%.*s'", b->name,
				STR_ARG(str_first(name, 60)));
		if (value && put(b, name, value, schema, w, err) < 0)
			return -1;
	}
	return 0;
}

static int put_others(const struct binding *b, struct jsonw *w, struct error *err)
{
	void *it = NULL;
	struct str name;
	const struct json *value;
	while ((value = json_next(b->kwargs, &it, &name))) {
		if (find_dyn(b->properties, name))
			continue;
		if (b->is_closed)
			return error_set(err, ERROR_INVALID,
				"%s() got an unexpected keyword argument '%.*s'", b->name,
				STR_ARG(str_first(name, 60)));
		jsonw_key_dyn(w, name);
		json_write(value, w->b);
		w->needs_comma = true;
	}
	return 0;
}

int tool_bind(const char *name, const struct json *schema, struct str text, struct buf *ret_object,
	struct error *err)
{
	auto_json struct json *call = NULL;
	if (json_parse(text, &call, err) < 0)
		return error_wrap(err, "%s()", name);
	const struct json *parameters = json_find(json_find(schema, "function"), "parameters");
	const struct json *more = json_find(parameters, "additionalProperties");
	const struct binding b = {
		.name = name,
		.args = json_find(call, "args"),
		.kwargs = json_find(call, "kwargs"),
		.properties = json_find(parameters, "properties"),
		.required = json_find(parameters, "required"),
		.is_closed = json_kind(more) == JSON_KIND_BOOL && !json_bool(more),
	};
	if (json_kind(b.args) != JSON_KIND_ARRAY || json_kind(b.kwargs) != JSON_KIND_OBJECT)
		return error_set(err, ERROR_INVALID,
			"%s() takes an array of args and an object of kwargs", name);
	if (json_len(b.args) > json_len(b.properties))
		return error_set(err, ERROR_INVALID,
			"%s() takes %zu positional arguments but %zu were given", name,
			json_len(b.properties), json_len(b.args));
	struct jsonw w = JSONW(ret_object);
	jsonw_open(&w);
	if (put_known(&b, &w, err) < 0 || put_others(&b, &w, err) < 0)
		return -1;
	jsonw_close(&w);
	return ret_object->is_full
		? error_set(err, ERROR_TOO_LARGE, "%s(): the arguments are too large", name)
		: 0;
}
