/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/kube/settings.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/num.h"
#include "wire/yaml.h"

#define MEMORY_REQUEST "128Mi"
#define MEMORY_LIMIT   "1Gi"
#define CPU_REQUEST    "100m"
#define SCHEDULE_S     10

enum { TOLERATIONS_MAX = 64 * 1024, NAME_MAX_LEN = 253 };

bool kube_is_name(struct str name)
{
	bool is_start = true;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		bool is_plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
		if (!is_plain && (is_start || (c != '-' && c != '.')))
			return false;
		is_start = c == '.';
	}
	return name.len > 0 && name.len <= NAME_MAX_LEN && !is_start &&
		name.ptr[name.len - 1] != '-';
}

int kube_parse_quantity(struct str text, int64_t *ret, struct error *err)
{
	return num_parse_quantity(text, 1, ret, err);
}

static int take_text(const struct json *from, const char *key, char **ret, struct error *err)
{
	struct str text = json_str(json_find(from, key));
	if (text.len && str_has_nul(text))
		return error_set(err, ERROR_INVALID, "%s: it has a NUL", key);
	*ret = text.len ? str_dup(text) : NULL;
	return 0;
}

static int take_name(const struct json *from, const char *key, char **ret, struct error *err)
{
	struct str text = json_str(json_find(from, key));
	if (text.len && !kube_is_name(text))
		return error_set(err, ERROR_INVALID, "%s: '%.*s' is no name of an object", key,
			STR_ARG(str_first(text, 60)));
	return take_text(from, key, ret, err);
}

static int take_bytes(const struct json *from, const char *key, const char *standard, int64_t *ret,
	struct error *err)
{
	struct str text = json_str(json_find(from, key));
	return kube_parse_quantity(text.len ? text : str_from(standard), ret, err) < 0
		? error_wrap(err, "%s", key)
		: 0;
}

/* It stays text: only its form is looked at. */
static int take_quantity(const struct json *from, const char *key, const char *standard, char **ret,
	struct error *err)
{
	int64_t value;
	if (take_text(from, key, ret, err) < 0)
		return -1;
	if (!*ret && standard)
		*ret = mem_strdup(standard);
	return *ret && kube_parse_quantity(str_from(*ret), &value, err) < 0
		? error_wrap(err, "%s", key)
		: 0;
}

static int take_tolerations(const struct json *from, struct kube_settings *s, struct error *err)
{
	struct str yaml = json_str(json_find(from, "tolerations_yaml"));
	auto_buf struct buf text = BUF_INIT(TOLERATIONS_MAX);
	auto_json struct json *list = NULL;
	if (!yaml.len)
		return 0;
	if (yaml_to_json(yaml, &text, err) < 0 || json_parse(buf_str(&text), &list, err) < 0)
		return error_wrap(err, "tolerations_yaml");
	if (json_kind(list) != JSON_KIND_ARRAY)
		return error_set(err, ERROR_INVALID, "tolerations_yaml: it is no list");
	s->tolerations = buf_take(&text);
	return 0;
}

static int read_all(const struct json *from, struct kube_settings *s, struct error *err)
{
	const struct json *schedule = json_find(from, "schedule_wait");
	if (take_name(from, "namespace", &s->namespace, err) < 0 ||
		take_text(from, "executor_image", &s->executor_image, err) < 0 ||
		take_name(from, "image_pull_secret", &s->pull_secret, err) < 0 ||
		take_name(from, "runtime_class", &s->runtime_class, err) < 0 ||
		take_text(from, "node_selector_key", &s->node_key, err) < 0 ||
		take_text(from, "node_selector_val", &s->node_value, err) < 0 ||
		take_quantity(from, "pvc_storage_size", NULL, &s->volume_size, err) < 0 ||
		take_name(from, "pvc_storage_class", &s->volume_class, err) < 0 ||
		take_text(from, "workspace", &s->workspace, err) < 0 ||
		take_quantity(from, "resource_cpu_request", CPU_REQUEST, &s->cpu_request, err) <
			0 ||
		take_bytes(from, "resource_memory_request", MEMORY_REQUEST,
			&s->memory_request_bytes, err) < 0 ||
		take_bytes(from, "resource_memory_limit", MEMORY_LIMIT, &s->memory_limit_bytes,
			err) < 0 ||
		take_tolerations(from, s, err) < 0)
		return -1;
	s->forwards = json_bool(json_find(from, "port_forward"));
	s->schedule_ms = 1000 *
		(json_kind(schedule) == JSON_KIND_INT ? json_int(schedule) : SCHEDULE_S);
	if (!s->workspace)
		s->workspace = mem_strdup("/workspace");
	if (!s->executor_image)
		return error_set(err, ERROR_INVALID,
			"executor_image is not set: the name of an image that the cluster can fetch and that holds /cay-executor (`cay executor-image` makes it)");
	return 0;
}

int kube_settings_read(const struct json *from, struct kube_settings *ret, struct error *err)
{
	*ret = (struct kube_settings){ 0 };
	if (read_all(from, ret, err) == 0)
		return 0;
	kube_settings_fini(ret);
	return error_wrap(err, "kubernetes");
}

void kube_settings_fini(struct kube_settings *s)
{
	char *const texts[] = { s->namespace, s->executor_image, s->pull_secret, s->runtime_class,
		s->node_key, s->node_value, s->volume_size, s->volume_class, s->workspace,
		s->tolerations, s->cpu_request };
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		free(texts[i]);
	*s = (struct kube_settings){ 0 };
}
