/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members of a body as pydantic takes them; what is not asked for is passed over, so that a client
 * of tomorrow may say more.
 */
#include "face/swerex/state.h"

#include "base/auto.h"

enum { SECONDS_MAX = 86400 };

void body_refuse(struct turn *turn, const char *key, const char *type, const char *message)
{
	auto_buf struct buf b = BUF_INIT(4096);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key(&w, "detail");
	jsonw_open_array(&w);
	jsonw_open(&w);
	jsonw_key_str(&w, "type", str_from(type));
	jsonw_key(&w, "loc");
	jsonw_open_array(&w);
	jsonw_str(&w, STR("body"));
	if (key)
		jsonw_str(&w, str_from(key));
	jsonw_close_array(&w);
	jsonw_key_str(&w, "msg", str_from(message));
	jsonw_close(&w);
	jsonw_close_array(&w);
	jsonw_close(&w);
	turn_reply(turn, 422, buf_str(&b));
}

bool body_str(struct turn *turn, const char *key, const char *standard, struct str *ret)
{
	const struct json *value = json_find(turn->body, key);
	*ret = str_from(standard);
	if (!value && standard)
		return true;
	if (!value) {
		body_refuse(turn, key, "missing", "Field required");
		return false;
	}
	*ret = json_str(value);
	if (ret->ptr && !(standard && str_has_nul(*ret)))
		return true;
	body_refuse(turn, key, "string_type", "Input should be a valid string");
	return false;
}

bool body_bool(struct turn *turn, const char *key, bool *ret)
{
	const struct json *value = json_find(turn->body, key);
	*ret = json_bool(value);
	if (!value || json_kind(value) == JSON_KIND_BOOL)
		return true;
	body_refuse(turn, key, "bool_type", "Input should be a valid boolean");
	return false;
}

bool body_seconds(struct turn *turn, const char *key, double standard, double *ret)
{
	const struct json *value = json_find(turn->body, key);
	enum json_kind kind = json_kind(value);
	*ret = standard;
	if (!value || (kind == JSON_KIND_NULL && standard < 0))
		return true;
	*ret = json_double(value);
	bool is_number = kind == JSON_KIND_INT || kind == JSON_KIND_REAL;
	if (is_number && *ret >= 0 && *ret <= SECONDS_MAX)
		return true;
	body_refuse(turn, key, is_number ? "less_than_equal" : "float_type",
		is_number ? "Input should be 0 to 86400 seconds"
			  : "Input should be a valid number");
	return false;
}

bool body_int(struct turn *turn, const char *key, int64_t min, int64_t max, int64_t standard,
	int64_t *ret)
{
	const struct json *value = json_find(turn->body, key);
	*ret = standard;
	if (!value)
		return true;
	*ret = json_int(value);
	bool is_number = json_kind(value) == JSON_KIND_INT;
	if (is_number && *ret >= min && *ret <= max)
		return true;
	body_refuse(turn, key, is_number ? "less_than_equal" : "int_type",
		is_number ? "Input is out of range" : "Input should be a valid integer");
	return false;
}

bool body_strings(struct turn *turn, const char *key, const struct json **ret)
{
	const struct json *value = json_find(turn->body, key);
	bool is_list = !value || json_kind(value) == JSON_KIND_ARRAY;
	*ret = value;
	for (size_t i = 0; is_list && i < json_len(value); i++) {
		struct str text = json_str(json_at(value, i));
		is_list = text.ptr && !str_has_nul(text);
	}
	if (!is_list)
		body_refuse(turn, key, "list_type", "Input should be a valid list of strings");
	return is_list;
}

bool body_map(struct turn *turn, const char *key, const struct json **ret)
{
	const struct json *value = json_find(turn->body, key), *member;
	struct str name;
	void *it = NULL;
	*ret = json_kind(value) == JSON_KIND_NULL ? NULL : value;
	bool is_map = !*ret || json_kind(value) == JSON_KIND_OBJECT;
	while (is_map && *ret && (member = json_next(value, &it, &name)))
		is_map = json_kind(member) == JSON_KIND_STR;
	if (!is_map)
		body_refuse(turn, key, "dict_type",
			"Input should be a valid dictionary of strings");
	return is_map;
}
