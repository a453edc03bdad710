/* SPDX-License-Identifier: Apache-2.0 */
/* What an engine answers, whatever it is: believed only as far as it has the right form. */
#include "base/auto.h"
#include "base/bug.h"
#include "runtime/engine/body.h"
#include "runtime/engine/said.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_label(struct str text)
{
	struct enforced e, again;
	auto_buf struct buf b = BUF_INIT(1024);
	engine_parse_enforced(text, &e);
	engine_put_enforced(&e, &b);
	engine_parse_enforced(buf_str(&b), &again);
	BUG_IF(e.controls != again.controls || e.limits.pids != again.limits.pids,
		"a label that reads otherwise the second time");
}

/* In one piece and in two it is the same. */
static void take_said(struct str text)
{
	struct said whole, halves;
	said_init(&whole, NULL, NULL);
	said_init(&halves, NULL, NULL);
	said_take(&whole, text);
	said_end(&whole);
	said_take(&halves, str_first(text, text.len / 2));
	said_take(&halves, str_skip(text, text.len / 2));
	said_end(&halves);
	BUG_IF(whole.n_made != halves.n_made || whole.error.code != halves.error.code,
		"what is said depends on how it comes");
	said_fini(&whole);
	said_fini(&halves);
}

static void take_answer(const struct json *json)
{
	static struct spec spec;
	struct engine_facts facts;
	struct engine_image image;
	struct enforced promise = { 0 };
	auto_json struct json *body = NULL;
	auto_buf struct buf b = BUF_INIT(ENGINE_BODY_MAX);
	const struct engine_wish wish = { .spec = &spec,
		.image = "a",
		.gpus = "",
		.network = "",
		.server_id = "",
		.state_dir = "",
		.program = "/p",
		.run_dir = "/r" };
	struct jsonw w = JSONW(&b);
	said_put_image(json, &w);
	BUG_IF(json_parse(buf_str(&b), &body, NULL) < 0, "an image that is no JSON");
	json_free(body);
	body = NULL;
	buf_reset(&b);
	engine_take_facts(json, &facts);
	if (engine_take_image(json, &facts, &image, NULL) < 0)
		return;
	engine_promise(&wish, &facts, &promise);
	engine_put_body(&wish, &image, &facts, &promise, &b);
	BUG_IF(json_parse(buf_str(&b), &body, NULL) < 0, "a body that is no JSON");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_from_len((const char *)data, size);
	auto_json struct json *json = NULL;
	auto_buf struct buf reference = BUF_INIT(1024);
	take_label(text);
	take_said(text);
	engine_put_reference(text, &reference);
	if (json_parse_loose(text, &json, NULL) == 0)
		take_answer(json);
	return 0;
}
