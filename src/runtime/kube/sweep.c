/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a start: Secrets of a server before us, whose pods' executors have them already or are
 * being deleted; what our sandboxes are confined by. And what this backend says of images: they are
 * those of the registries that the cluster's nodes fetch from, of which we know nothing.
 */
#include "runtime/kube/internal.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/log.h"
#include "event/loop.h"

static void on_swept(void *arg, int status, const struct json *json, const struct error *err)
{
	struct kube *k = arg;
	struct backend_reply *reply = answers_add(&k->answers, "", k->started, k->started_arg);
	struct spec *standard = mem_new(struct spec);
	const struct pod_wish wish = { .spec = standard, .settings = &k->settings };
	if (err)
		log_warn("kube.sweep", "%s", err->text);
	pod_promise(&wish, &reply->enforced);
	free(standard);
}

void sweep_start(struct kube *k)
{
	auto_free char *path = mem_printf("%s?labelSelector=" KUBE_LABEL_SERVER "%%3D%s",
		k->secrets, k->id);
	k->has_started = true;
	kube_delete(k, path, on_swept, k);
}

/* ---- images ---- */

/* What is asked of images, until it is refused in a turn of its own. */
struct refusal {
	struct library_work work; /* first */
	struct list link;         /* kube::refusals */
	struct kube *kube;
	library_fn *answered;          /* of a question */
	const struct library_ops *ops; /* of a work */
	void *arg;
};

static void refusal_free(struct refusal *r)
{
	list_remove(&r->link);
	loop_undefer(r->kube->loop, r);
	free(r);
}

void refusals_free(struct kube *k)
{
	while (!list_is_empty(&k->refusals))
		refusal_free(list_get_first(&k->refusals, struct refusal, link));
}

static void on_refused(void *arg)
{
	struct refusal *r = arg;
	struct refusal copy = *r;
	struct error err;
	refusal_free(r);
	error_set(&err, ERROR_UNSUPPORTED,
		"backend kubernetes: images are the registries'; build and push them there, and name them");
	if (copy.ops)
		copy.ops->failed(copy.arg, &err);
	else
		copy.answered(copy.arg, STR_NONE, &err);
}

static struct refusal *refusal_new(struct kube *k, void *arg)
{
	struct refusal *r = mem_new(struct refusal);
	*r = (struct refusal){ .work.library = &kube_library, .kube = k, .arg = arg };
	list_append(&k->refusals, &r->link);
	loop_defer(k->loop, on_refused, r);
	return r;
}

static void refuse_question(struct backend *b, const struct library_question *question,
	library_fn *done, void *arg)
{
	refusal_new(kube_from(b), arg)->answered = done;
}

static struct library_work *refuse_work(struct backend *b, const struct library_wish *wish,
	const struct library_ops *ops, void *arg)
{
	struct refusal *r = refusal_new(kube_from(b), arg);
	r->ops = ops;
	return &r->work;
}

static void pass_over(struct library_work *w, struct str bytes)
{
}

static void pass_end_over(struct library_work *w)
{
}

static bool is_never_full(const struct library_work *w)
{
	return false;
}

static void cancel_work(struct library_work *w)
{
	refusal_free((struct refusal *)(void *)w);
}

const struct library kube_library = { refuse_question, refuse_work, pass_over, pass_end_over,
	is_never_full, cancel_work };
