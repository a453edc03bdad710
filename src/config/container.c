/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What OpenHands' configuration says of containers: GPUs, networks, and docker-py's arguments of a
 * container (docker_runtime_kwargs). Of these there is one row for each that is taken: as a limit
 * of the sandbox, whatever its backend, or as a member of the Engine API's HostConfig. What would
 * weaken the isolation, or is cay's own to say, is refused, by its name, like all that is not
 * known.
 */
#include "config/parts.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/num.h"

#include <glob.h>

enum { CPU_PERIOD = 100000 };
#define NUMBER_MAX (INT64_MAX / 1000000)

/* ---- docker-py's arguments ---- */

enum kind {
	KIND_LIMIT, /* of the sandbox */
	KIND_INT,
	KIND_BYTES, /* a number, or "512m" */
	KIND_TEXT,
	KIND_TEXTS,  /* an array, or one text */
	KIND_MAP,    /* of texts */
	KIND_HOSTS,  /* {"NAME":"ADDRESS"} → ["NAME:ADDRESS"] */
	KIND_LIMITS, /* [{"name","soft","hard"}] */
};

static const struct kwarg {
	const char *name;
	enum kind kind;
	const char *member; /* of HostConfig */
} kwargs[] = {
	{ "blkio_weight", KIND_INT, "BlkioWeight" },
	{ "cpu_period", KIND_LIMIT, NULL },
	{ "cpu_quota", KIND_LIMIT, NULL },
	{ "cpu_shares", KIND_INT, "CpuShares" },
	{ "cpuset_cpus", KIND_TEXT, "CpusetCpus" },
	{ "cpuset_mems", KIND_TEXT, "CpusetMems" },
	{ "dns", KIND_TEXTS, "Dns" },
	{ "dns_opt", KIND_TEXTS, "DnsOptions" },
	{ "dns_search", KIND_TEXTS, "DnsSearch" },
	{ "extra_hosts", KIND_HOSTS, "ExtraHosts" },
	{ "group_add", KIND_TEXTS, "GroupAdd" },
	{ "mem_limit", KIND_LIMIT, NULL },
	{ "mem_reservation", KIND_BYTES, "MemoryReservation" },
	{ "nano_cpus", KIND_LIMIT, NULL },
	{ "oom_score_adj", KIND_INT, "OomScoreAdj" },
	{ "pids_limit", KIND_LIMIT, NULL },
	{ "runtime", KIND_TEXT, "Runtime" },
	{ "shm_size", KIND_BYTES, "ShmSize" },
	{ "sysctls", KIND_MAP, "Sysctls" },
	{ "tmpfs", KIND_MAP, "Tmpfs" },
	{ "ulimits", KIND_LIMITS, "Ulimits" },
};

static const struct {
	const char *name, *why;
} refused[] = {
	{ "cap_add", "would weaken the isolation" },
	{ "cap_drop", "all are dropped already" },
	{ "cgroup_parent", "is the engine's to say" },
	{ "cgroupns", "would weaken the isolation" },
	{ "command", "is cay's executor" },
	{ "detach", "is so in any case" },
	{ "device_cgroup_rules", "would weaken the isolation" },
	{ "device_requests", "is said by sandbox.enable_gpu" },
	{ "devices", "would weaken the isolation" },
	{ "entrypoint", "is cay's executor" },
	{ "environment", "is said by sandbox.runtime_startup_env_vars" },
	{ "hostname", "is each sandbox's own" },
	{ "image", "is said by sandbox.runtime_container_image" },
	{ "ipc_mode", "would weaken the isolation" },
	{ "labels", "are each sandbox's own" },
	{ "memswap_limit", "is the memory limit: a sandbox does not swap" },
	{ "mounts", "are said by sandbox.volumes" },
	{ "name", "is each sandbox's own" },
	{ "network", "is said by sandbox.additional_networks" },
	{ "network_mode", "is said by sandbox.use_host_network and additional_networks" },
	{ "pid_mode", "would weaken the isolation" },
	{ "ports", "cannot be had: ports of a sandbox are reached through the server" },
	{ "privileged", "would end the isolation" },
	{ "remove", "is so in any case" },
	{ "restart_policy", "cannot be had: a sandbox that has ended is gone" },
	{ "security_opt", "would weaken the isolation" },
	{ "storage_opt", "is said by limits.disk" },
	{ "user", "is said by core.run_as_openhands" },
	{ "userns_mode", "would weaken the isolation" },
	{ "uts_mode", "would weaken the isolation" },
	{ "volumes", "are said by sandbox.volumes" },
	{ "working_dir", "is said by core.workspace_mount_path_in_sandbox" },
};

static const struct kwarg *find_kwarg(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(kwargs); i++)
		if (str_is(name, kwargs[i].name))
			return &kwargs[i];
	return NULL;
}

static int refuse_kwarg(struct str name, struct error *err)
{
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		if (str_is(name, refused[i].name))
			return error_set(err, ERROR_UNSUPPORTED, "'%s' %s", refused[i].name,
				refused[i].why);
	return error_set(err, ERROR_UNSUPPORTED,
		"'%.*s' is not among what is taken; see cay.toml(5)", STR_ARG(str_first(name, 60)));
}

static int bad_kwarg(const struct kwarg *k, const char *wanted, struct error *err)
{
	return error_set(err, ERROR_INVALID, "'%s' must be %s", k->name, wanted);
}

/* docker-py takes "512m" as well as a number. */
static bool bytes_of(const struct toml *t, int64_t *ret)
{
	if (t->kind == TOML_INT && t->number > 0) {
		*ret = t->number;
		return true;
	}
	auto_free char *text = t->kind == TOML_STRING ? str_dup(t->text) : NULL;
	for (char *c = text; c && *c; c++)
		if (*c >= 'a' && *c <= 'z')
			*c = (char)(*c - 'a' + 'A');
	return text && num_parse_size(str_from(text), ret, NULL) == 0 && *ret > 0;
}

static bool has_texts_alone(const struct toml *t)
{
	for (const struct toml *item = t->first; item; item = item->next)
		if (item->kind != TOML_STRING)
			return false;
	return true;
}

static int put_bytes(const struct kwarg *k, const struct toml *t, struct jsonw *w,
	struct error *err)
{
	int64_t bytes;
	if (!bytes_of(t, &bytes))
		return bad_kwarg(k, "a size", err);
	jsonw_int(w, bytes);
	return 0;
}

static int put_texts(const struct kwarg *k, const struct toml *t, struct jsonw *w,
	struct error *err)
{
	bool is_one = t->kind == TOML_STRING;
	if (!is_one && (t->kind != TOML_ARRAY || !has_texts_alone(t)))
		return bad_kwarg(k, "an array of strings", err);
	jsonw_open_array(w);
	if (is_one)
		jsonw_str(w, t->text);
	for (const struct toml *item = is_one ? NULL : t->first; item; item = item->next)
		jsonw_str(w, item->text);
	jsonw_close_array(w);
	return 0;
}

static int put_map(const struct kwarg *k, const struct toml *t, struct jsonw *w, struct error *err)
{
	if (t->kind != TOML_TABLE || !has_texts_alone(t))
		return bad_kwarg(k, "a table of strings", err);
	jsonw_open(w);
	for (const struct toml *item = t->first; item; item = item->next) {
		jsonw_key_dyn(w, item->key);
		jsonw_str(w, item->text);
	}
	jsonw_close(w);
	return 0;
}

static int put_hosts(const struct kwarg *k, const struct toml *t, struct jsonw *w,
	struct error *err)
{
	if (t->kind != TOML_TABLE || !has_texts_alone(t))
		return bad_kwarg(k, "a table of addresses by name", err);
	jsonw_open_array(w);
	for (const struct toml *item = t->first; item; item = item->next) {
		auto_free char *entry = mem_printf("%.*s:%.*s", STR_ARG(item->key),
			STR_ARG(item->text));
		jsonw_str(w, str_from(entry));
	}
	jsonw_close_array(w);
	return 0;
}

static int put_limits(const struct kwarg *k, const struct toml *t, struct jsonw *w,
	struct error *err)
{
	static const char wanted[] = "an array of { name, soft, hard }";
	if (t->kind != TOML_ARRAY)
		return bad_kwarg(k, wanted, err);
	jsonw_open_array(w);
	for (const struct toml *item = t->first; item; item = item->next) {
		const struct toml *name = toml_find(item, STR("name"));
		const struct toml *soft = toml_find(item, STR("soft"));
		const struct toml *hard = toml_find(item, STR("hard"));
		if (!name || name->kind != TOML_STRING || !soft || soft->kind != TOML_INT ||
			!hard || hard->kind != TOML_INT)
			return bad_kwarg(k, wanted, err);
		jsonw_open(w);
		jsonw_key_str(w, "Name", name->text);
		jsonw_key_int(w, "Soft", soft->number);
		jsonw_key_int(w, "Hard", hard->number);
		jsonw_close(w);
	}
	jsonw_close_array(w);
	return 0;
}

static int put_value(const struct kwarg *k, const struct toml *t, struct jsonw *w,
	struct error *err)
{
	switch (k->kind) {
	case KIND_INT:
		if (t->kind != TOML_INT)
			return bad_kwarg(k, "an integer", err);
		jsonw_int(w, t->number);
		return 0;
	case KIND_TEXT:
		if (t->kind != TOML_STRING)
			return bad_kwarg(k, "a string", err);
		jsonw_str(w, t->text);
		return 0;
	case KIND_BYTES:
		return put_bytes(k, t, w, err);
	case KIND_TEXTS:
		return put_texts(k, t, w, err);
	case KIND_MAP:
		return put_map(k, t, w, err);
	case KIND_HOSTS:
		return put_hosts(k, t, w, err);
	case KIND_LIMITS:
		return put_limits(k, t, w, err);
	case KIND_LIMIT:
		break;
	}
	return 0;
}

/* ---- those that are limits ---- */

static const struct toml *kwarg_value(const struct config *c, const char *name)
{
	const struct toml *table = config_value(c, KEY_SANDBOX_DOCKER_KWARGS);
	return table && table->kind == TOML_TABLE ? toml_find(table, str_from(name)) : NULL;
}

static int64_t number_of(const struct config *c, const char *name)
{
	const struct toml *t = kwarg_value(c, name);
	return t && t->kind == TOML_INT && t->number > 0 && t->number <= NUMBER_MAX ? t->number : 0;
}

int64_t config_container_limit(const struct config *c, const char *name)
{
	const struct toml *memory = kwarg_value(c, "mem_limit");
	int64_t bytes = 0, period = number_of(c, "cpu_period");
	if (!strcmp(name, "memory_bytes"))
		return memory && bytes_of(memory, &bytes) ? bytes : 0;
	if (!strcmp(name, "pids"))
		return number_of(c, "pids_limit");
	if (strcmp(name, "cpu_milli") != 0)
		return 0;
	if (number_of(c, "nano_cpus"))
		return number_of(c, "nano_cpus") / 1000000;
	return number_of(c, "cpu_quota") * 1000 / (period ? period : CPU_PERIOD);
}

static int check_limit(const struct kwarg *k, const struct toml *t, struct error *err)
{
	int64_t bytes;
	if (!strcmp(k->name, "mem_limit"))
		return bytes_of(t, &bytes) ? 0 : bad_kwarg(k, "a size", err);
	if (t->kind != TOML_INT || t->number <= 0 || t->number > NUMBER_MAX)
		return bad_kwarg(k, "a positive integer", err);
	return 0;
}

/* ---- the table of them ---- */

static int put_kwarg(enum config_backend backend, const struct toml *t, struct jsonw *w,
	struct error *err)
{
	const struct kwarg *k = find_kwarg(t->key);
	if (!k)
		return refuse_kwarg(t->key, err);
	if (k->kind == KIND_LIMIT)
		return check_limit(k, t, err);
	if (backend != BACKEND_DOCKER && backend != BACKEND_ANY)
		return error_set(err, ERROR_UNSUPPORTED,
			"'%s' is for containers of an engine: cay serve --backend docker", k->name);
	jsonw_key(w, k->member);
	return put_value(k, t, w, err);
}

int config_put_container(const struct config *c, enum config_backend backend, struct jsonw *w,
	struct error *err)
{
	const struct toml *table = config_value(c, KEY_SANDBOX_DOCKER_KWARGS);
	bool is_kubernetes = backend == BACKEND_KUBERNETES;
	if (is_kubernetes)
		config_put_kubernetes(c, w);
	if (!table)
		return 0;
	if (table->kind != TOML_TABLE)
		return error_set(err, ERROR_INVALID,
			"sandbox.docker_runtime_kwargs must be a table, not %s",
			toml_kind_name(table->kind));
	if (!is_kubernetes) { /* there limits alone are taken, which are the sandbox's */
		jsonw_key(w, "container");
		jsonw_open(w);
	}
	for (const struct toml *t = table->first; t; t = t->next)
		if (put_kwarg(backend, t, w, err) < 0)
			return error_wrap(err, "sandbox.docker_runtime_kwargs");
	if (!is_kubernetes)
		jsonw_close(w);
	return 0;
}

/* ---- GPUs ---- */

/* What there is, for the sentence that says why it is not handed out. */
static void put_gpus_there(struct buf *b)
{
	static const char *const places[] = { "/dev/nvidia[0-9]*", "/dev/kfd",
		"/dev/dri/renderD*" };
	glob_t found = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		glob(places[i], i ? GLOB_APPEND : 0, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc && i < 4; i++)
		buf_printf(b, "%s%s", i ? ", " : "", found.gl_pathv[i]);
	globfree(&found);
}

static int refuse_gpus(enum config_backend backend, struct error *err)
{
	auto_buf struct buf there = BUF_INIT(512);
	put_gpus_there(&there);
	return error_set(err, ERROR_UNSUPPORTED,
		"sandbox.enable_gpu: sandboxes %s get no device of the host. %s%s%s; an engine with the vendor's container toolkit hands one out: cay serve --backend docker",
		backend == BACKEND_NATIVE ? "of this machine (native)" : "of this backend",
		there.len ? "It has " : "It has no GPU, either", there.ptr ?: "",
		there.len ? "" : " (no /dev/nvidia0, /dev/kfd or /dev/dri/renderD128)");
}

static int put_gpus(const struct config *c, enum config_backend backend, struct jsonw *w,
	struct error *err)
{
	struct str ids = config_text(c, KEY_SANDBOX_CUDA);
	if (!config_bool(c, KEY_SANDBOX_GPU))
		return 0;
	if (backend == BACKEND_NATIVE || backend == BACKEND_OTHER || backend == BACKEND_KUBERNETES)
		return refuse_gpus(backend, err);
	auto_free char *wish = ids.len ? mem_printf("device=%.*s", STR_ARG(ids))
				       : str_dup(STR("all"));
	jsonw_key_str(w, "gpus", str_from(wish));
	return 0;
}

/* ---- networks ---- */

static bool is_bridge_name(struct str name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!(name.ptr[i] >= 'a' && name.ptr[i] <= 'z') &&
			!(name.ptr[i] >= '0' && name.ptr[i] <= '9'))
			return false;
	return name.len > 0;
}

static int put_bridge(const struct toml *list, struct jsonw *w, struct error *err)
{
	if (list->n > 1)
		return error_set(err, ERROR_UNSUPPORTED,
			"sandbox.additional_networks: a native sandbox is in one network, not in %d; cay serve --backend docker connects its containers to several",
			list->n);
	if (!is_bridge_name(list->first->text))
		return error_set(err, ERROR_INVALID,
			"sandbox.additional_networks: '%.*s': the name of a native network has a-z and 0-9 alone",
			STR_ARG(str_first(list->first->text, 60)));
	jsonw_key_str(w, "network", STR("bridge"));
	jsonw_key_str(w, "network_name", list->first->text);
	return 0;
}

static int put_networks(const struct config *c, enum config_backend backend, struct jsonw *w,
	struct error *err)
{
	const struct toml *list = config_value(c, KEY_SANDBOX_NETWORKS);
	if (!list || !list->n)
		return 0;
	if (config_bool(c, KEY_SANDBOX_HOST_NETWORK))
		return error_set(err, ERROR_INVALID,
			"sandbox.additional_networks: with use_host_network a sandbox has the host's, and no other");
	if (backend == BACKEND_NATIVE)
		return put_bridge(list, w, err);
	if (backend == BACKEND_OTHER || backend == BACKEND_KUBERNETES)
		return error_set(err, ERROR_UNSUPPORTED,
			"sandbox.additional_networks: sandboxes of this backend cannot be connected to networks; those of native (one) and docker can");
	jsonw_key(w, "networks");
	jsonw_open_array(w);
	for (const struct toml *item = list->first; item; item = item->next)
		jsonw_str(w, item->text);
	jsonw_close_array(w);
	return 0;
}

int config_put_devices(const struct config *c, enum config_backend backend, struct jsonw *w,
	struct error *err)
{
	return put_gpus(c, backend, w, err) < 0 ? -1 : put_networks(c, backend, w, err);
}
