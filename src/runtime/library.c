/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/library.h"

#include "base/bug.h"
#include "runtime/internal.h"

static const struct library *library_of(struct runtime *rt)
{
	const struct library *library = rt->backend->ops->library;
	BUG_IF(!library, "a backend without images of its own is asked for them");
	return library;
}

void library_ask(struct runtime *rt, const struct library_question *question, library_fn *done,
	void *arg)
{
	library_of(rt)->ask(rt->backend, question, done, arg);
}

struct library_work *library_open(struct runtime *rt, const struct library_wish *wish,
	const struct library_ops *ops, void *arg)
{
	return library_of(rt)->open(rt->backend, wish, ops, arg);
}

void library_send(struct library_work *w, struct str bytes)
{
	w->library->send(w, bytes);
}

void library_eof(struct library_work *w)
{
	w->library->eof(w);
}

bool library_is_full(const struct library_work *w)
{
	return w->library->is_full(w);
}

void library_cancel(struct library_work *w)
{
	if (w)
		w->library->cancel(w);
}
