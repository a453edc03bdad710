/* SPDX-License-Identifier: Apache-2.0 */
/* What can be changed of a sandbox that is there: labels, intervals, who may look at its ports. */
#include "face/daytona/handlers.h"

#include "base/auto.h"
#include "base/num.h"

enum { MINUTES_MAX = 10 * 366 * 24 * 60 };

void labels_put(struct http_request *r)
{
	struct box *b = box_of_request(r);
	auto_json struct json *body = b ? daytona_body(r) : NULL;
	auto_buf struct buf text = BUF_INIT(DAYTONA_BODY_MAX);
	struct json *copy = NULL;
	struct error err;
	if (!body)
		return;
	const struct json *labels = json_find(body, "labels"), *value;
	struct str key;
	void *it = NULL;
	if (json_kind(labels) != JSON_KIND_OBJECT || json_len(labels) > CREATE_LABELS_MAX) {
		daytona_fail(r, 400, NULL, "labels must be an object of at most %d strings",
			CREATE_LABELS_MAX);
		return;
	}
	while ((value = json_next(labels, &it, &key))) {
		if (json_kind(value) == JSON_KIND_STR)
			continue;
		daytona_fail(r, 400, NULL, "labels.%.*s is no string", STR_ARG(str_first(key, 80)));
		return;
	}
	json_write(labels, &text);
	if (json_parse(buf_str(&text), &copy, &err) < 0) {
		daytona_fail_error(r, &err);
		return;
	}
	json_free(b->labels);
	b->labels = copy;
	if (box_save(b, &err) < 0) {
		daytona_fail_error(r, &err);
		return;
	}
	auto_buf struct buf reply = BUF_INIT(DAYTONA_BODY_MAX + 64);
	struct jsonw w = JSONW(&reply);
	jsonw_open(&w);
	daytona_key_json(&w, "labels", b->labels);
	jsonw_close(&w);
	http_reply_json(r, 200, &reply);
}

/* The number at the end of the path; NULL: answered. */
static struct box *box_and_minutes(struct http_request *r, int64_t min, int64_t *ret)
{
	struct box *b = box_of_request(r);
	struct error err;
	if (!b || num_parse_i64(http_param(r, "minutes"), min, MINUTES_MAX, ret, &err) == 0)
		return b;
	daytona_fail(r, 400, NULL, "interval: %s", err.text);
	return NULL;
}

static void reply_changed(struct box *b, struct http_request *r)
{
	struct error err;
	box_touch(b);
	int result = box_save(b, &err);
	box_schedule(b);
	if (result < 0)
		daytona_fail_error(r, &err);
	else
		box_reply(b, r);
}

void autostop_post(struct http_request *r)
{
	int64_t minutes;
	struct box *b = box_and_minutes(r, 0, &minutes);
	if (!b)
		return;
	b->auto_stop = minutes;
	reply_changed(b, r);
}

void autoarchive_post(struct http_request *r)
{
	int64_t minutes;
	struct box *b = box_and_minutes(r, 0, &minutes);
	if (!b)
		return;
	b->auto_archive = minutes;
	reply_changed(b, r);
}

void autodelete_post(struct http_request *r)
{
	int64_t minutes;
	struct box *b = box_and_minutes(r, -1, &minutes);
	if (!b)
		return;
	b->auto_delete = minutes;
	reply_changed(b, r);
}

void autopause_post(struct http_request *r)
{
	int64_t minutes;
	struct box *b = box_and_minutes(r, 0, &minutes);
	if (b && minutes)
		daytona_fail(r, 400, NULL, "auto-pause is not offered: use auto-stop");
	else if (b)
		box_reply(b, r);
}

void ttl_post(struct http_request *r)
{
	int64_t minutes;
	struct box *b = box_and_minutes(r, 0, &minutes);
	if (!b)
		return;
	box_set_ttl(b, minutes);
	reply_changed(b, r);
}

void public_post(struct http_request *r)
{
	struct str word = http_param(r, "public");
	struct box *b = box_of_request(r);
	if (!b)
		return;
	if (!str_is(word, "true") && !str_is(word, "false")) {
		daytona_fail(r, 400, NULL, "public is true or false");
		return;
	}
	b->is_public = str_is(word, "true");
	reply_changed(b, r);
}

void activity_post(struct http_request *r)
{
	struct box *b = box_of_request(r);
	if (!b)
		return;
	box_touch(b);
	daytona_empty(r, 201);
}
