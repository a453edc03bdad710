/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Two lists of blocks. The first fills up to its half of the limit and then
 * stays; the second loses its first blocks whenever it holds more than its half without them. A
 * block of a stream has at most BLOCK bytes and is one write or several; an empty one costs ITEM
 * bytes, so that many small ones have a ceiling too.
 */
#include "executor/outputs.h"

#include "action/kernel_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "executor/mask.h"

enum { BLOCK = 64 * 1024, ITEM = 128 };

struct output {
	struct list link;
	uint8_t channel; /* 0: a display */
	struct buf text; /* what was printed, or the display as text */
	char *json;      /* of a display */
	size_t json_len;
};

static void output_free(struct output *out)
{
	list_remove(&out->link);
	buf_fini(&out->text);
	free(out->json);
	free(out);
}

static struct output *output_new(struct list *list, uint8_t channel)
{
	struct output *out = mem_new(struct output);
	out->channel = channel;
	buf_init(&out->text, SIZE_MAX / 2);
	list_append(list, &out->link);
	return out;
}

static void free_all(struct list *list)
{
	struct output *out;
	while ((out = list_first(list, struct output, link)))
		output_free(out);
}

void outputs_init(struct outputs *o, size_t limit)
{
	*o = (struct outputs){ .limit = limit };
	list_init(&o->head);
	list_init(&o->tail);
}

void outputs_fini(struct outputs *o)
{
	free_all(&o->head);
	free_all(&o->tail);
}

static size_t cost(const struct output *out)
{
	return ITEM + out->text.len;
}

static void drop(struct outputs *o, struct output *out)
{
	o->dropped_bytes += out->channel ? out->text.len : out->json_len;
	o->display_bytes -= out->json_len;
	o->tail_bytes -= cost(out);
	output_free(out);
}

static void trim(struct outputs *o)
{
	struct output *out;
	while ((out = list_first(&o->tail, struct output, link)) &&
		o->tail_bytes - cost(out) >= o->limit / 2)
		drop(o, out);
}

/* Adds what fits into the block that is being filled, or a new one; how much that was. */
static size_t fill(struct list *list, size_t *bytes, size_t room, uint8_t channel, struct str s)
{
	struct output *out = list_is_empty(list) ? NULL
						 : list_entry(list->prev, struct output, link);
	if (!out || out->channel != channel || out->text.len >= BLOCK) {
		out = output_new(list, channel);
		*bytes += ITEM;
	}
	struct str piece = str_first(s, MIN(room, BLOCK - out->text.len));
	buf_put(&out->text, piece);
	*bytes += piece.len;
	return piece.len;
}

void outputs_add(struct outputs *o, uint8_t channel, struct str s)
{
	size_t half = o->limit / 2;
	while (s.len && list_is_empty(&o->tail) && o->head_bytes < half)
		s = str_skip(s, fill(&o->head, &o->head_bytes, half - o->head_bytes, channel, s));
	while (s.len) {
		s = str_skip(s, fill(&o->tail, &o->tail_bytes, MAX(half, 1), channel, s));
		trim(o);
	}
}

/* ---- displays ---- */

static void put_plain(struct buf *text, const struct json *output)
{
	const struct json *traceback = json_find(output, "traceback");
	struct str plain = json_str(json_find(json_find(output, "data"), "text/plain"));
	for (size_t i = 0; i < json_len(traceback); i++) {
		buf_puts(text, i ? "\n" : "");
		buf_put(text, json_str(json_at(traceback, i)));
	}
	buf_put(text, plain);
	if (traceback || plain.ptr)
		buf_putc(text, '\n');
}

void outputs_add_display(struct outputs *o, const struct json *output)
{
	auto_buf struct buf json = BUF_INIT(CELL_DISPLAYS_MAX);
	if (!json_str(json_find(output, "type")).ptr)
		return;
	json_write(output, &json);
	bool is_head = list_is_empty(&o->tail) && o->head_bytes < o->limit / 2;
	struct output *out = output_new(is_head ? &o->head : &o->tail, 0);
	if (json.is_full || json.len > CELL_DISPLAYS_MAX - o->display_bytes) {
		buf_puts(&out->text,
			"[... a display is too large for the result and is left out here ...]\n");
		out->channel = 1;
	} else {
		put_plain(&out->text, output);
		out->json_len = json.len;
		out->json = buf_take(&json);
	}
	o->display_bytes += out->json_len;
	*(is_head ? &o->head_bytes : &o->tail_bytes) += cost(out);
	trim(o);
}

/* ---- out ---- */

/* One after the other; the gap comes before the first of the tail. */
static const struct output *next_of(const struct outputs *o, const struct output *out, bool *is_gap)
{
	struct list *link = out ? out->link.next : o->head.next;
	*is_gap = false;
	if (link == &o->head) {
		link = o->tail.next;
		*is_gap = o->dropped_bytes > 0;
	}
	return link == &o->tail ? NULL : list_entry(link, struct output, link);
}

static void put_stream(struct buf *text, uint8_t channel, const struct executor *e, struct jsonw *w)
{
	if (text->len == 0)
		return;
	if (e)
		mask_secrets(e, text);
	jsonw_open(w);
	jsonw_key_str(w, "type", STR("stream"));
	jsonw_key_str(w, "name", channel == 2 ? STR("stderr") : STR("stdout"));
	jsonw_key_str(w, "text", buf_str(text));
	jsonw_close(w);
	buf_reset(text);
}

static void put_gap(const struct outputs *o, struct jsonw *w)
{
	jsonw_open(w);
	jsonw_key_str(w, "type", STR("gap"));
	jsonw_key_int(w, "bytes", (int64_t)o->dropped_bytes);
	jsonw_close(w);
}

static void put_display(const struct output *out, const struct executor *e, struct jsonw *w)
{
	auto_buf struct buf json = BUF_INIT(SIZE_MAX / 2);
	buf_add(&json, out->json, out->json_len);
	if (e)
		mask_secrets(e, &json);
	jsonw_raw(w, buf_str(&json));
}

void outputs_put(const struct outputs *o, const struct executor *e, struct jsonw *w)
{
	auto_buf struct buf text = BUF_INIT(SIZE_MAX / 2); /* of blocks that belong together */
	const struct output *out = NULL;
	uint8_t channel = 0;
	bool is_gap;
	jsonw_open_array(w);
	while ((out = next_of(o, out, &is_gap))) {
		if (is_gap || out->channel != channel)
			put_stream(&text, channel, e, w);
		if (is_gap)
			put_gap(o, w);
		channel = out->channel;
		if (channel)
			buf_put(&text, buf_str(&out->text));
		else
			put_display(out, e, w);
	}
	put_stream(&text, channel, e, w);
	jsonw_close_array(w);
}

void outputs_put_text(const struct outputs *o, const struct executor *e, struct buf *text)
{
	const struct output *out = NULL;
	bool is_gap;
	while ((out = next_of(o, out, &is_gap))) {
		if (is_gap)
			buf_printf(text, "%s[... %llu bytes are left out here ...]\n",
				text->len && text->ptr[text->len - 1] != '\n' ? "\n" : "",
				(unsigned long long)o->dropped_bytes);
		buf_put(text, buf_str(&out->text));
	}
	if (e)
		mask_secrets(e, text);
}
