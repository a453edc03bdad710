/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/remote/form.h"

#include "base/auto.h"
#include "base/bug.h"
#include "wire/frame.h"

enum { QUEUE_MAX = 2 * FRAME_PAYLOAD_MAX, FOREVER = 0 /* as long as it moves */ };

void form_init(struct form *form, struct far *far)
{
	*form = (struct form){ .far = far };
	id_make(form->boundary);
	buf_init(&form->queue, QUEUE_MAX);
}

void form_fini(struct form *form)
{
	buf_fini(&form->queue);
}

static ssize_t pull(void *arg, char *to, size_t size, struct error *err)
{
	struct far *far = arg;
	struct form *form = far->form;
	size_t n = MIN(size, form->queue.len - form->at);
	memcpy(to, form->queue.ptr + form->at, n);
	form->at += n;
	if (form->at == form->queue.len) {
		buf_reset(&form->queue);
		form->at = 0;
		channel_pause(far->channel, false);
	}
	return n || form->has_all ? (ssize_t)n : FETCH_WAIT;
}

void form_begin(struct form *form, const char *path, far_fn *then)
{
	auto_free char *type = mem_printf("multipart/form-data; boundary=%s", form->boundary);
	struct ask_plan plan = {
		.method = "POST",
		.timeout_ms = FOREVER,
		.pull = pull,
		.content_type = arena_str(&form->far->arena, str_from(type)),
	};
	form->far->form = form;
	far_stream(form->far, &plan, path, then);
}

void form_feed(struct form *form, struct str bytes)
{
	struct far *far = form->far;
	if (form->at > FORM_HIGH) {
		buf_drop_front(&form->queue, form->at);
		form->at = 0;
	}
	buf_put(&form->queue, bytes);
	if (form->queue.len - form->at > FORM_HIGH && !form->has_all)
		channel_pause(far->channel, true);
	if (far->ask)
		ask_wake(far->ask);
}

void form_end(struct form *form)
{
	auto_buf struct buf tail = BUF_INIT(1024);
	buf_printf(&tail, "\r\n--%s--\r\n", form->boundary);
	form->has_all = true;
	form_feed(form, buf_str(&tail));
}
