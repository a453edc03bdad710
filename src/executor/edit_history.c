/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/edit_history.h"

#include "base/auto.h"
#include "base/bug.h"

struct edit_past {
	struct list texts; /* edit_text::link_file, oldest first */
	int n;
	char *path;
};

struct edit_text {
	struct list link_all, link_file;
	struct edit_past *past;
	char *text;
	size_t len;
};

void edit_history_init(struct edit_history *h)
{
	*h = (struct edit_history){ 0 };
	list_init(&h->texts);
}

static void forget(struct edit_history *h, struct edit_text *t)
{
	struct edit_past *past = t->past;
	list_remove(&t->link_all);
	list_remove(&t->link_file);
	h->bytes -= t->len;
	free(t->text);
	free(t);
	if (--past->n)
		return;
	map_remove(&h->files, str_from(past->path));
	free(past->path);
	free(past);
}

/* There is one. */
static struct edit_text *oldest(const struct edit_history *h)
{
	return list_get_first(&h->texts, struct edit_text, link_all);
}

void edit_history_fini(struct edit_history *h)
{
	while (!list_is_empty(&h->texts))
		forget(h, oldest(h));
	map_fini(&h->files);
}

static struct edit_past *get_past(struct edit_history *h, struct str path)
{
	struct edit_past *past = map_find(&h->files, path);
	if (!past) {
		past = mem_new(struct edit_past);
		list_init(&past->texts);
		past->path = str_dup(path);
		map_put(&h->files, path, past);
	}
	return past;
}

void edit_history_push(struct edit_history *h, struct str path, struct str text)
{
	if (text.len > EDIT_HISTORY_BYTES)
		return;
	struct edit_text *t = mem_new(struct edit_text);
	t->text = str_dup(text);
	t->len = text.len;
	t->past = get_past(h, path);
	t->past->n++;
	h->bytes += text.len;
	list_append(&h->texts, &t->link_all);
	list_append(&t->past->texts, &t->link_file);
	if (t->past->n > EDIT_UNDO_MAX)
		forget(h, list_get_first(&t->past->texts, struct edit_text, link_file));
	while (h->bytes > EDIT_HISTORY_BYTES || h->files.count > EDIT_HISTORY_FILES)
		forget(h, oldest(h));
}

char *edit_history_pop(struct edit_history *h, struct str path, size_t *ret_len)
{
	struct edit_past *past = map_find(&h->files, path);
	if (!past)
		return NULL;
	struct edit_text *t = list_entry(past->texts.prev, struct edit_text, link_file);
	char *text = take_ptr(t->text);
	*ret_len = t->len;
	forget(h, t);
	return text;
}
