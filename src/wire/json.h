/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json: reading through a tree, writing without one.
 *
 * Reading (jansson): json_parse gives an immutable tree that its caller frees. Duplicate keys,
 * trailing bytes, invalid UTF-8, "\u0000" in a key and depth above JSON_DEPTH_MAX are errors that
 * name line and column. Strings may hold NUL; who turns one into a C string checks with
 * str_has_nul.
 *
 * Writing: a struct jsonw appends to a buf and puts the commas; invalid UTF-8 becomes U+FFFD, so
 * what is written always is valid JSON in valid UTF-8. Check buf.is_full once, at the end.
 *
 *	struct jsonw w = JSONW(&b);
 *	jsonw_open(&w);
 *	jsonw_key_str(&w, "path", path);
 *	jsonw_key(&w, "lines"); jsonw_open_array(&w); jsonw_int(&w, 1); jsonw_close_array(&w);
 *	jsonw_close(&w);
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

enum { JSON_DEPTH_MAX = 64 };
#define JSON_COUNT_MAX (INT64_C(1) << 60)

struct json; /* a value inside a tree */

enum json_kind {
	JSON_KIND_NULL,
	JSON_KIND_BOOL,
	JSON_KIND_INT,
	JSON_KIND_REAL,
	JSON_KIND_STR,
	JSON_KIND_ARRAY,
	JSON_KIND_OBJECT,
};

int json_parse(struct str text, struct json **ret, struct error *err);
/*
 * ERROR_TOO_LARGE for a text whose tree would have more values: some hundred bytes of memory each.
 * Fast; says nothing else.
 */
int json_check_values(struct str text, size_t max, struct error *err);
/*
 * The same, but where an integer does not fit all are reals: for what other programs count wrongly.
 */
int json_parse_loose(struct str text, struct json **ret, struct error *err);
void json_free(struct json *root); /* only what json_parse gave; NULL is fine */
static inline void json_free_fn(struct json **root)
{
	json_free(*root);
}
#define auto_json __attribute__((cleanup(json_free_fn)))

/* Every reader takes NULL as JSON null. */
enum json_kind json_kind(const struct json *j);
const char *json_kind_name(enum json_kind kind); /* "object" */
struct json *json_find(const struct json *object,
	const char *key); /* NULL if absent or no object */
size_t json_len(const struct json *array_or_object);
struct json *json_at(const struct json *array, size_t i);
/* void *i = NULL; while ((value = json_next(object, &i, &key))) */
struct json *json_next(const struct json *object, void **i, struct str *ret_key);
struct str json_str(const struct json *j); /* STR_NONE if no string */
int64_t json_int(const struct json *j);    /* 0 if no number; a real is cut off */
double json_double(const struct json *j);  /* 0 if no number */
/*
 * A count, size or time as somebody tells it who is not believed: 0 … JSON_COUNT_MAX, so that some
 * of them can be added.
 */
int64_t json_count(const struct json *j);
bool json_bool(const struct json *j); /* false if no true */
/* Appends the value as compact JSON. */
int json_write(const struct json *j, struct buf *b);

struct jsonw {
	struct buf *b;
	bool needs_comma;
};
#define JSONW(buf) ((struct jsonw){ .b = (buf) })

void jsonw_open(struct jsonw *w);
void jsonw_close(struct jsonw *w);
void jsonw_open_array(struct jsonw *w);
void jsonw_close_array(struct jsonw *w);
void jsonw_key(struct jsonw *w, const char *key); /* a literal of ours: not escaped */
void jsonw_key_dyn(struct jsonw *w, struct str key);
void jsonw_str(struct jsonw *w, struct str s);
void jsonw_int(struct jsonw *w, int64_t v);
void jsonw_real(struct jsonw *w,
	double v); /* shortest that reads back; "2.0", never "2"; NaN is null */
void jsonw_bool(struct jsonw *w, bool v);
void jsonw_null(struct jsonw *w);
void jsonw_raw(struct jsonw *w, struct str json); /* one value that is JSON already */

static inline void jsonw_key_str(struct jsonw *w, const char *key, struct str s)
{
	jsonw_key(w, key);
	jsonw_str(w, s);
}
static inline void jsonw_key_int(struct jsonw *w, const char *key, int64_t v)
{
	jsonw_key(w, key);
	jsonw_int(w, v);
}
static inline void jsonw_key_bool(struct jsonw *w, const char *key, bool v)
{
	jsonw_key(w, key);
	jsonw_bool(w, v);
}
/* {"code":"not_found","message":"…"} */
void jsonw_error(struct jsonw *w, const struct error *e);
/* The reverse: fills *err from such an object, ERROR_PROTOCOL if it is none. Always returns -1. */
int json_to_error(const struct json *j, struct error *err);
