/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of a Daytona API for a sandbox. Labels of ours say what has no field: daytona.h. */
#include "base/auto.h"
#include "base/bug.h"
#include "runtime/remote/daytona_member.h"
#include "runtime/sandbox.h"

#define GIB ((int64_t)1 << 30)

static int refuse(struct error *err, const char *what)
{
	return error_set(err, ERROR_UNSUPPORTED, "a Daytona server takes no %s", what);
}

int daytona_check(const struct spec *spec, struct error *err)
{
	if (spec->required)
		return refuse(err, "required control");
	if (spec->n_mounts)
		return refuse(err, "mount");
	if (spec->image != IMAGE_HOST)
		return refuse(err,
			"image of this machine; the labels daytona_snapshot and daytona_image name one of its");
	if (spec->limits.pids > 0 || spec->limits.disk_inodes > 0)
		return refuse(err, "limit on processes or inodes");
	if (spec->network == NETWORK_HOST)
		return refuse(err, "host network");
	return 0;
}

static void put_text(struct jsonw *w, const char *key, const struct sandbox *s, const char *label)
{
	struct str value = sandbox_label(s, str_from(label));
	if (value.len)
		jsonw_key_str(w, key, value);
}

static void put_labels(struct jsonw *w, const struct sandbox *s, const struct spec *spec)
{
	jsonw_key(w, "labels");
	jsonw_open(w);
	jsonw_key_str(w, "code-toolbox-language", STR("python"));
	jsonw_key(w, DAYTONA_LABEL_ID);
	jsonw_str(w, str_from(s->id));
	if (spec->workdir[0]) {
		jsonw_key(w, DAYTONA_LABEL_WORKDIR);
		jsonw_str(w, str_from(spec->workdir));
	}
	for (size_t i = 0; i < s->n_labels; i++) {
		if (str_starts(str_from(s->label_keys[i]), STR("cay.")))
			continue;
		jsonw_key_dyn(w, str_from(s->label_keys[i]));
		jsonw_str(w, str_from(s->label_values[i]));
	}
	jsonw_close(w);
}

static void put_limit(struct jsonw *w, const char *key, int64_t value, int64_t unit)
{
	if (value > 0)
		jsonw_key_int(w, key, (value + unit - 1) / unit);
}

/* "a.org,b.org": what the proxy of a sandbox may let out. */
static void put_network(struct jsonw *w, const struct sandbox *s, const struct spec *spec)
{
	auto_json struct json *asked = NULL;
	auto_buf struct buf list = BUF_INIT(64 * 1024);
	if (spec->network == NETWORK_NONE)
		jsonw_key_bool(w, "networkBlockAll", true);
	if (spec->network != NETWORK_PROXY || json_parse(str_from(s->spec_json), &asked, NULL) < 0)
		return;
	const struct json *allow = json_find(asked, "allow");
	for (size_t i = 0; i < json_len(allow); i++) {
		if (i)
			buf_putc(&list, ',');
		buf_put(&list, json_str(json_at(allow, i)));
	}
	jsonw_key_str(w, "domainAllowList", buf_str(&list));
}

void daytona_put_wish(struct buf *b, const struct sandbox *s, const struct spec *spec)
{
	struct str image = sandbox_label(s, STR("daytona_image"));
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	if (s->name[0])
		jsonw_key_str(&w, "name", str_from(s->name));
	put_text(&w, "snapshot", s, "daytona_snapshot");
	put_text(&w, "target", s, "daytona_target");
	if (image.len) {
		auto_free char *dockerfile = mem_printf("FROM %.*s\n", STR_ARG(image));
		jsonw_key(&w, "buildInfo");
		jsonw_open(&w);
		jsonw_key_str(&w, "dockerfileContent", str_from(dockerfile));
		jsonw_close(&w);
	}
	if (spec->user == USER_ROOT)
		jsonw_key_str(&w, "user", STR("root"));
	put_labels(&w, s, spec);
	put_limit(&w, "cpu", spec->limits.cpu_milli, 1000);
	put_limit(&w, "memory", spec->limits.memory_bytes, GIB);
	put_limit(&w, "disk", spec->limits.disk_bytes, GIB);
	put_network(&w, s, spec);
	jsonw_key_int(&w, "autoStopInterval", 0);
	jsonw_key_int(&w, "autoDeleteInterval", -1);
	jsonw_close(&w);
}
