/* SPDX-License-Identifier: Apache-2.0 */
/* browse: browse for a URL alone, browse_interactive for everything else. */
#include "runtime/remote/verbs.h"

#include "action/browser_actions.h"
#include "base/auto.h"
#include "wire/frame.h"

enum { PROGRAM_MAX = BROWSE_PROGRAM_MAX + 16 * 1024 };

/* Of a text between two lines of the server's own; all of it if they are not there. */
static struct str between(struct str text, struct str begin, struct str end)
{
	ptrdiff_t from = str_find(text, begin), to = str_find(text, end);
	if (from < 0 || to < from)
		return text;
	from += (ptrdiff_t)begin.len;
	return str_trim(str_first(str_skip(text, (size_t)from), (size_t)(to - from)));
}

static struct str picture(const struct json *extras, const char *key)
{
	static const struct str prefix = { "base64,", 7 };
	struct str url = json_str(json_find(extras, key));
	ptrdiff_t at = str_find(str_first(url, 64), prefix);
	return at < 0 ? STR("") : str_skip(url, (size_t)at + prefix.len);
}

static void put_text(struct jsonw *w, const char *key, struct str text)
{
	jsonw_key_str(w, key, text.ptr ? text : STR(""));
}

static void put_pages(struct jsonw *w, const struct json *urls)
{
	jsonw_key(w, "pages");
	jsonw_open_array(w);
	for (size_t i = 0; i < json_len(urls); i++)
		jsonw_str(w, json_str(json_at(urls, i)));
	jsonw_close_array(w);
}

static void on_page(struct far *far, const struct json *observation)
{
	const struct browse_params *p = far->params;
	const struct json *extras = json_find(observation, "extras");
	struct str content = json_str(json_find(observation, "content"));
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	if (!str_is(json_str(json_find(observation, "observation")), "browse")) {
		far_fail_observation(far, observation);
		return;
	}
	jsonw_open(&w);
	put_text(&w, "url", json_str(json_find(extras, "url")));
	jsonw_key_str(&w, "title", STR(""));
	put_pages(&w, json_find(extras, "open_pages_urls"));
	jsonw_key_int(&w, "active", json_int(json_find(extras, "active_page_index")));
	put_text(&w, "focused", json_str(json_find(extras, "focused_element_bid")));
	put_text(&w, "error", json_str(json_find(extras, "last_browser_action_error")));
	if (p->program.len)
		put_text(&w, "axtree",
			between(content,
				STR("============== BEGIN accessibility tree ==============\n"),
				STR("============== END accessibility tree ==============")));
	else
		put_text(&w, "content",
			between(content,
				STR("============== BEGIN webpage content ==============\n"),
				STR("============== END webpage content ==============")));
	jsonw_key_str(&w, "screenshot", picture(extras, "screenshot"));
	jsonw_key_str(&w, "marks", picture(extras, "set_of_marks"));
	put_text(&w, "screenshot_path", json_str(json_find(extras, "screenshot_path")));
	jsonw_close(&w);
	far_finish(far, &b);
}

static void browse_start(struct far *far)
{
	const struct browse_params *p = far->params;
	auto_buf struct buf program = BUF_INIT(PROGRAM_MAX);
	if (!p->program.len && p->url.len) {
		struct jsonw w = far_args(far, "browse");
		jsonw_key_str(&w, "url", p->url);
		far_act(far, &w, p->timeout_ms, on_page);
		return;
	}
	if (p->url.len) {
		struct jsonw quoted = JSONW(&program);
		buf_puts(&program, "goto(");
		jsonw_str(&quoted, p->url);
		buf_puts(&program, ")\n");
	}
	buf_put(&program, p->program.len ? p->program : STR("noop()"));
	struct jsonw w = far_args(far, "browse_interactive");
	jsonw_key_str(&w, "browser_actions", buf_str(&program));
	far_act(far, &w, p->timeout_ms, on_page);
}

const struct far_verb far_browse = { .action = &browse_action, .start = browse_start };
