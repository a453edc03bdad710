/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/staging.h"

#include "base/auto.h"
#include "base/bug.h"
#include "runtime/disk.h"
#include "runtime/internal.h"

#include <stdio.h>
#include <sys/stat.h>

struct staging {
	struct list link; /* images_stagings */
	struct images *images;
	char name[ID_SIZE + 8];   /* of the directory: "new-ID" */
	char sandbox_id[ID_SIZE]; /* "": not made yet */
	bool is_making;           /* the sandbox; closed meanwhile it goes when that is done */
	bool is_closed;
	staging_fn *done;
	void *arg;
	struct error error; /* why there is no directory */
};

/* Not before: who still unpacks there would put more into what is being removed. */
static void on_destroyed(void *arg, const struct error *err)
{
	struct staging *st = arg;
	images_remove_dir(st->images, st->name);
	images_hold(st->images, false);
	list_remove(&st->link);
	free(st);
}

static void release(struct staging *st)
{
	struct sandbox *s = st->sandbox_id[0] ? staging_sandbox(st, NULL) : NULL;
	if (s)
		runtime_destroy(s, on_destroyed, st);
	else
		on_destroyed(st, NULL);
}

void staging_forget_all(struct list *stagings)
{
	while (!list_is_empty(stagings)) {
		struct staging *st = list_get_first(stagings, struct staging, link);
		list_remove(&st->link);
		free(st);
	}
}

void staging_close(struct staging *st)
{
	if (!st)
		return;
	st->is_closed = true;
	if (!st->is_making)
		release(st);
}

static void on_made(void *arg, struct sandbox *s, const struct error *err)
{
	struct staging *st = arg;
	st->is_making = false;
	if (s)
		memcpy(st->sandbox_id, s->id, sizeof(st->sandbox_id));
	if (st->is_closed)
		release(st);
	else
		st->done(st->arg, err);
}

static void on_refused(void *arg)
{
	struct staging *st = arg;
	on_made(st, NULL, &st->error);
}

static void make_sandbox(struct staging *st, const char *role, int64_t timeout_ms)
{
	static struct str keys[] = { { STAGING_LABEL, sizeof(STAGING_LABEL) - 1 } };
	struct str values[] = { str_from(role) };
	auto_free struct create *create = mem_new(struct create);
	struct spec *spec = &create->spec;
	create->said = UINT32_MAX; /* whatever is standard for others */
	spec->network = NETWORK_NONE;
	spec->n_mounts = 1;
	spec->mounts[0].mode = MOUNT_LAYER;
	snprintf(spec->mounts[0].source, SPEC_PATH_SIZE, "%s/%s", images_layers_dir(st->images),
		st->name);
	snprintf(spec->mounts[0].target, SPEC_PATH_SIZE, STAGING_DIR);
	create->labels = (struct field_map){ keys, values, 1 };
	create->timeout_ms = timeout_ms;
	runtime_create(images_runtime(st->images), create, on_made, st);
}

struct staging *staging_open(struct images *images, const char *role, int64_t timeout_ms,
	staging_fn *done, void *arg)
{
	struct staging *st = mem_new(struct staging);
	char id[ID_SIZE];
	id_make(id);
	st->images = images;
	st->done = done;
	st->arg = arg;
	st->is_making = true;
	snprintf(st->name, sizeof(st->name), "new-%s", id);
	list_init(&st->link);
	list_append(images_stagings(images), &st->link);
	images_hold(images, true);
	auto_free char *path = mem_printf("%s/%s", images_layers_dir(images), st->name);
	if (mkdir(path, 0755) < 0) {
		error_sys(&st->error, errno, "make a directory for the image");
		disk_blame(&st->error);
		loop_defer(images_runtime(images)->loop, on_refused, st);
	} else {
		make_sandbox(st, role, timeout_ms);
	}
	return st;
}

struct sandbox *staging_sandbox(const struct staging *st, struct error *err)
{
	return runtime_find(images_runtime(st->images), str_from(st->sandbox_id), err);
}

int staging_keep(const struct staging *st, const char *dir, const char *digest, struct error *err)
{
	const char *layers = images_layers_dir(st->images);
	auto_free char *from = mem_printf("%s/%s/%s", layers, st->name, dir);
	auto_free char *to = mem_printf("%s/%s", layers, digest);
	if (!images_has_layer(st->images, digest) && images_mark_fresh(st->images, digest, err) < 0)
		return disk_blame(err);
	if (rename(from, to) == 0 || errno == EEXIST || errno == ENOTEMPTY)
		return 0;
	error_sys(err, errno, "keep layer %.12s", digest);
	return disk_blame(err);
}
