/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/engine/body.h"

#include "base/auto.h"
#include "base/num.h"
#include "runtime/engine/find.h"

#define AGENT           "1000:1000"

#define MEMORY_STANDARD (INT64_C(1) << 30)
#define PIDS_STANDARD   512

/* ---- what there is ---- */

void engine_take_facts(const struct json *info, struct engine_facts *ret)
{
	const struct json *options = json_find(info, "SecurityOptions");
	*ret = (struct engine_facts){
		.has_memory = json_bool(json_find(info, "MemoryLimit")),
		.has_swap = json_bool(json_find(info, "SwapLimit")),
		.has_pids = json_bool(json_find(info, "PidsLimit")),
		.has_cpu = json_bool(json_find(info, "CpuCfsQuota")),
	};
	for (size_t i = 0; i < json_len(options); i++) {
		struct str option = json_str(json_at(options, i));
		ret->has_seccomp |= str_starts(option, STR("name=seccomp")) &&
			str_find(option, STR("profile=unconfined")) < 0;
		ret->has_userns |= str_starts(option, STR("name=userns")) ||
			str_starts(option, STR("name=rootless"));
	}
	snprintf(ret->architecture, sizeof(ret->architecture), "%.*s",
		STR_ARG(str_first(json_str(json_find(info, "Architecture")), 31)));
}

/* Images speak as Go does, machines as uname. */
static bool is_same_machine(struct str image, struct str machine)
{
	static const struct {
		const char *go, *uname;
	} names[] = { { "amd64", "x86_64" }, { "arm64", "aarch64" } };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_is(image, names[i].go) && str_is(machine, names[i].uname))
			return true;
	return !image.len || !machine.len || str_eq(image, machine);
}

static int take_path(struct str from, char *to, size_t size, const char *what, struct error *err)
{
	if (from.len >= size || str_has_nul(from))
		return error_set(err, ERROR_INVALID, "the image's %s is no good", what);
	memcpy(to, from.ptr ?: "", from.len);
	to[from.len] = '\0';
	return 0;
}

int engine_take_image(const struct json *inspected, const struct engine_facts *facts,
	struct engine_image *ret, struct error *err)
{
	const struct json *config = json_find(inspected, "Config");
	struct str os = json_str(json_find(inspected, "Os"));
	struct str machine = json_str(json_find(inspected, "Architecture"));
	struct str user = json_str(json_find(config, "User")), rest = user, name = STR_NONE;
	if ((os.len && !str_is(os, "linux")) ||
		!is_same_machine(machine, str_from(facts->architecture)))
		return error_set(err, ERROR_UNSUPPORTED, "the image is for %.*s on %.*s",
			STR_ARG(str_first(os, 20)), STR_ARG(str_first(machine, 20)));
	str_split(&rest, ':', &name);
	if (str_is(name, "root") || str_is(name, "0"))
		user = STR_NONE;
	if (take_path(user, ret->user, sizeof(ret->user), "user", err) < 0)
		return -1;
	return take_path(json_str(json_find(config, "WorkingDir")), ret->workdir,
		sizeof(ret->workdir), "working directory", err);
}

/* ---- what cannot be had ---- */

static int refuse(struct error *err, const char *what)
{
	return error_set(err, ERROR_UNSUPPORTED, "backend docker: %s", what);
}

static int check_spec(const struct spec *spec, struct error *err)
{
	for (uint32_t i = 0; i < spec->n_mounts; i++)
		if (spec->mounts[i].mode != MOUNT_READ_ONLY &&
			spec->mounts[i].mode != MOUNT_WRITABLE)
			return refuse(err,
				"a mount is ro or rw; an engine makes no copy of a directory (cay cp does)");
	if (spec->image != IMAGE_HOST)
		return refuse(err, "an image is one of the engine's, not a path (docker import)");
	if (spec->network != NETWORK_LOOPBACK && spec->network != NETWORK_NONE &&
		spec->network != NETWORK_HOST)
		return refuse(err,
			"no network with a list of what is allowed; the label engine_network names one of the engine's");
	if (spec->limits.disk_inodes > 0)
		return refuse(err, "no limit on inodes");
	return 0;
}

static bool is_name(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/:@+",
			    s.ptr[i]))
			return false;
	return s.len > 0 && s.ptr[0] != '-' && s.ptr[0] != '/' && str_find(s, STR("..")) < 0;
}

/* "device=0,1": names, also where they look like a number. */
static bool take_device(struct str *gpus)
{
	bool is_device = str_starts(*gpus, STR("device="));
	if (is_device)
		*gpus = str_skip(*gpus, 7);
	return is_device;
}

static int check_gpus(struct str gpus, struct error *err)
{
	take_device(&gpus);
	struct str rest = gpus, name;
	if (!gpus.len)
		return error_set(err, ERROR_INVALID, "gpus: no device is named");
	while (str_split(&rest, ',', &name))
		if (!is_name(name))
			return error_set(err, ERROR_INVALID,
				"gpus '%.*s': all, a number, or names with commas between",
				STR_ARG(str_first(gpus, 60)));
	return 0;
}

int engine_check_name(struct str name, struct error *err)
{
	if (is_name(name) && name.len < SPEC_PATH_SIZE)
		return 0;
	return error_set(err, ERROR_INVALID, "'%.*s' is no name of an image",
		STR_ARG(str_first(name, 100)));
}

/* It is put into a path. */
int engine_check_network(struct str name, struct error *err)
{
	if (is_name(name) && str_find_char(name, '/') < 0)
		return 0;
	return error_set(err, ERROR_INVALID, "'%.*s' is no name of a network",
		STR_ARG(str_first(name, 60)));
}

int engine_check(const struct engine_wish *wish, struct error *err)
{
	if (check_spec(wish->spec, err) < 0)
		return -1;
	if (!wish->image[0] || strcmp(wish->image, "host") == 0)
		return error_set(err, ERROR_INVALID,
			"backend docker: name an image of the engine's (there is no view of this machine in a container)");
	if (engine_check_name(str_from(wish->image), err) < 0)
		return -1;
	if (wish->network[0] && engine_check_network(str_from(wish->network), err) < 0)
		return -1;
	return wish->gpus[0] ? check_gpus(str_from(wish->gpus), err) : 0;
}

/* ---- what holds ---- */

static int64_t limit_or(int64_t asked, int64_t standard, bool can_be)
{
	if (!can_be || asked == SPEC_UNLIMITED)
		return SPEC_UNLIMITED;
	return asked ? asked : standard;
}

static uint64_t bit(enum control control, bool is_there)
{
	return is_there ? UINT64_C(1) << control : 0;
}

void engine_promise(const struct engine_wish *wish, const struct engine_facts *facts,
	struct enforced *ret)
{
	const struct spec *spec = wish->spec;
	const struct spec_limits *asked = &spec->limits;
	bool is_hosts = spec->network == NETWORK_HOST && !wish->network[0];
	struct spec_limits limits = {
		.memory_bytes = limit_or(asked->memory_bytes, MEMORY_STANDARD, facts->has_memory),
		.pids = limit_or(asked->pids, PIDS_STANDARD, facts->has_pids),
		.cpu_milli = limit_or(asked->cpu_milli, SPEC_UNLIMITED, facts->has_cpu),
		.disk_bytes = limit_or(asked->disk_bytes, SPEC_UNLIMITED, true),
		.disk_inodes = SPEC_UNLIMITED,
	};
	ret->limits = limits;
	ret->controls = bit(CONTROL_USER_NS, facts->has_userns) | bit(CONTROL_MOUNT_NS, true) |
		bit(CONTROL_PID_NS, true) | bit(CONTROL_NET_NS, !is_hosts) |
		bit(CONTROL_IPC_NS, true) | bit(CONTROL_UTS_NS, true) | bit(CONTROL_OVERLAY, true) |
		bit(CONTROL_SECCOMP, facts->has_seccomp) | bit(CONTROL_NO_NEW_PRIVS, true) |
		bit(CONTROL_CAPS, true) | bit(CONTROL_MEMORY, limits.memory_bytes > 0) |
		bit(CONTROL_PIDS, limits.pids > 0) | bit(CONTROL_CPU, limits.cpu_milli > 0);
}

int engine_check_promise(const struct engine_wish *wish, const struct enforced *promise,
	struct error *err)
{
	const struct spec_limits *asked = &wish->spec->limits, *got = &promise->limits;
	uint64_t missing = wish->spec->required & ~promise->controls;
	if ((asked->memory_bytes > 0 && got->memory_bytes < 0) ||
		(asked->pids > 0 && got->pids < 0) || (asked->cpu_milli > 0 && got->cpu_milli < 0))
		return refuse(err, "the engine says that it cannot set this limit");
	for (int i = 0; i < CONTROL_MAX; i++)
		if (missing & UINT64_C(1) << i)
			return error_set(err, ERROR_UNSUPPORTED,
				"backend docker: '%s' is required and not enforced",
				control_name((enum control)i));
	return 0;
}

/* ---- the body ---- */

void engine_put_strings(struct jsonw *w, const char *key, const char *const *items)
{
	jsonw_key(w, key);
	jsonw_open_array(w);
	for (; *items; items++)
		jsonw_str(w, str_from(*items));
	jsonw_close_array(w);
}

static void put_labels(struct jsonw *w, const struct engine_wish *wish,
	const struct enforced *promise)
{
	auto_buf struct buf enforced = BUF_INIT(1024);
	engine_put_enforced(promise, &enforced);
	jsonw_key(w, "Labels");
	jsonw_open(w);
	for (size_t i = 0; i < wish->n_labels; i++) {
		if (str_starts(str_from(wish->label_keys[i]), STR("cay.")))
			continue;
		jsonw_key_dyn(w, str_from(wish->label_keys[i]));
		jsonw_str(w, str_from(wish->label_values[i]));
	}
	jsonw_key_str(w, ENGINE_LABEL_SANDBOX, str_from(wish->spec->id));
	jsonw_key_str(w, ENGINE_LABEL_SERVER, str_from(wish->server_id));
	jsonw_key_str(w, ENGINE_LABEL_STATE, str_from(wish->state_dir));
	jsonw_key_str(w, ENGINE_LABEL_ENFORCED, buf_str(&enforced));
	jsonw_close(w);
}

const char *engine_workdir(const struct engine_wish *wish, const struct engine_image *image)
{
	if (wish->spec->workdir[0])
		return wish->spec->workdir;
	return image->workdir[0] && strcmp(image->workdir, "/") != 0 ? image->workdir
								     : "/workspace";
}

static void put_command(struct jsonw *w, const struct engine_wish *wish,
	const struct engine_image *image)
{
	const struct spec *spec = wish->spec;
	auto_buf struct buf lease = BUF_INIT(32);
	buf_printf(&lease, "%d", ENGINE_LEASE_MS);
	const char *const agent = image->user[0] ? image->user : AGENT;
	const char *const words[] = { "--dial", "/.cay/run/socket", "--workdir",
		engine_workdir(wish, image), "--lease-ms", lease.ptr,
		spec->user == USER_AGENT ? "--user" : NULL, agent, NULL };
	const char *const program[] = { "/.cay/executor", NULL };
	engine_put_strings(w, "Entrypoint", program);
	engine_put_strings(w, "Cmd", words);
}

static void put_mount(struct jsonw *w, const char *source, const char *target, bool is_read_only)
{
	jsonw_open(w);
	jsonw_key_str(w, "Type", STR("bind"));
	jsonw_key_str(w, "Source", str_from(source));
	jsonw_key_str(w, "Target", str_from(target));
	jsonw_key_bool(w, "ReadOnly", is_read_only);
	jsonw_close(w);
}

static void put_mounts(struct jsonw *w, const struct engine_wish *wish)
{
	jsonw_key(w, "Mounts");
	jsonw_open_array(w);
	put_mount(w, wish->program, "/.cay/executor", true);
	put_mount(w, wish->run_dir, "/.cay/run", true);
	for (uint32_t i = 0; i < wish->spec->n_mounts; i++) {
		const struct spec_mount *m = &wish->spec->mounts[i];
		put_mount(w, m->source, m->target, m->mode == MOUNT_READ_ONLY);
	}
	jsonw_close_array(w);
}

static void put_limits(struct jsonw *w, const struct engine_facts *facts,
	const struct spec_limits *limits)
{
	if (limits->memory_bytes > 0)
		jsonw_key_int(w, "Memory", limits->memory_bytes);
	if (limits->memory_bytes > 0 && facts->has_swap)
		jsonw_key_int(w, "MemorySwap", limits->memory_bytes);
	if (limits->pids > 0)
		jsonw_key_int(w, "PidsLimit", limits->pids);
	if (limits->cpu_milli > 0)
		jsonw_key_int(w, "NanoCpus", limits->cpu_milli * 1000000);
	if (limits->disk_bytes > 0) {
		auto_buf struct buf size = BUF_INIT(32);
		buf_printf(&size, "%lld", (long long)limits->disk_bytes);
		jsonw_key(w, "StorageOpt");
		jsonw_open(w);
		jsonw_key_str(w, "size", buf_str(&size));
		jsonw_close(w);
	}
}

static void put_gpus(struct jsonw *w, struct str gpus)
{
	int64_t count;
	bool is_device = take_device(&gpus);
	struct str rest = gpus, name;
	bool is_all = !is_device && str_is(gpus, "all");
	bool is_count = is_all ||
		(!is_device && num_parse_i64(gpus, 0, INT32_MAX, &count, NULL) == 0);
	jsonw_key(w, "DeviceRequests");
	jsonw_open_array(w);
	jsonw_open(w);
	jsonw_key_int(w, "Count", is_all ? -1 : is_count ? count : 0);
	if (!is_count) {
		jsonw_key(w, "DeviceIDs");
		jsonw_open_array(w);
		while (str_split(&rest, ',', &name))
			jsonw_str(w, name);
		jsonw_close_array(w);
	}
	jsonw_key(w, "Capabilities");
	jsonw_raw(w, STR("[[\"gpu\"]]"));
	jsonw_close(w);
	jsonw_close_array(w);
}

/*
 * As root it starts; what it needs to become somebody else goes with that, and what is left of it
 * in the bounding set can be had by nobody, since no program gains a privilege.
 */
static void put_privileges(struct jsonw *w, const struct spec *spec)
{
	static const char *const all[] = { "ALL", NULL };
	static const char *const start[] = { "CHOWN", "DAC_OVERRIDE", "SETGID", "SETUID", NULL };
	static const char *const root[] = { "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL",
		"NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT", NULL };
	static const char *const options[] = { "no-new-privileges", NULL };
	engine_put_strings(w, "CapDrop", all);
	engine_put_strings(w, "CapAdd", spec->user == USER_ROOT ? root : start);
	engine_put_strings(w, "SecurityOpt", options);
}

/* None that is above: which there may be is config/container.c's to say. */
static void put_more(struct jsonw *w, const char *more)
{
	auto_json struct json *members = NULL;
	const struct json *value;
	struct str key;
	void *it = NULL;
	json_parse(str_from(more), &members, NULL);
	while ((value = json_next(members, &it, &key))) {
		auto_buf struct buf text = BUF_INIT(ENGINE_BODY_MAX);
		json_write(value, &text);
		jsonw_key_dyn(w, key);
		jsonw_raw(w, buf_str(&text));
	}
}

static void put_host(struct jsonw *w, const struct engine_wish *wish,
	const struct engine_facts *facts, const struct enforced *promise)
{
	const char *network = wish->spec->network == NETWORK_HOST ? "host" : "none";
	jsonw_key(w, "HostConfig");
	jsonw_open(w);
	jsonw_key_bool(w, "AutoRemove", true);
	jsonw_key_bool(w, "Init", false);
	jsonw_key_str(w, "NetworkMode", str_from(wish->network[0] ? wish->network : network));
	put_limits(w, facts, &promise->limits);
	put_privileges(w, wish->spec);
	put_mounts(w, wish);
	if (wish->gpus[0])
		put_gpus(w, str_from(wish->gpus));
	if (wish->more)
		put_more(w, wish->more);
	jsonw_close(w);
}

void engine_put_body(const struct engine_wish *wish, const struct engine_image *image,
	const struct engine_facts *facts, const struct enforced *promise, struct buf *b)
{
	static const char *const no_check[] = { "NONE", NULL };
	struct jsonw w = JSONW(b);
	bool is_hosts = wish->spec->network == NETWORK_HOST && !wish->network[0];
	jsonw_open(&w);
	jsonw_key_str(&w, "Image", str_from(wish->image));
	jsonw_key_str(&w, "User", STR("0:0"));
	jsonw_key_str(&w, "WorkingDir", STR("/"));
	if (!is_hosts)
		jsonw_key_str(&w, "Hostname",
			str_from(wish->spec->hostname[0] ? wish->spec->hostname : "cay"));
	put_command(&w, wish, image);
	put_labels(&w, wish, promise);
	jsonw_key(&w, "Healthcheck");
	jsonw_open(&w);
	engine_put_strings(&w, "Test", no_check);
	jsonw_close(&w);
	put_host(&w, wish, facts, promise);
	jsonw_close(&w);
}

/* ---- small texts ---- */

void engine_put_enforced(const struct enforced *e, struct buf *b)
{
	buf_printf(b, "%llx %lld %lld %lld %lld %lld", (unsigned long long)e->controls,
		(long long)e->limits.memory_bytes, (long long)e->limits.pids,
		(long long)e->limits.cpu_milli, (long long)e->limits.disk_bytes,
		(long long)e->limits.disk_inodes);
}

static bool parse_hex(struct str s, uint64_t *ret)
{
	static const char digits[] = "0123456789abcdef";
	uint64_t value = 0;
	for (size_t i = 0; i < s.len; i++) {
		const char *at = s.ptr[i] ? strchr(digits, s.ptr[i]) : NULL;
		if (!at || i == 16)
			return false;
		value = value << 4 | (uint64_t)(at - digits);
	}
	*ret = value;
	return s.len > 0;
}

void engine_parse_enforced(struct str text, struct enforced *ret)
{
	struct enforced e = { 0 };
	int64_t *const numbers[] = { &e.limits.memory_bytes, &e.limits.pids, &e.limits.cpu_milli,
		&e.limits.disk_bytes, &e.limits.disk_inodes };
	struct str rest = text, word;
	bool is_good = str_split(&rest, ' ', &word) && parse_hex(word, &e.controls) &&
		e.controls >> CONTROL_MAX == 0;
	for (size_t i = 0; i < ARRAY_LEN(numbers) && is_good; i++)
		is_good = str_split(&rest, ' ', &word) &&
			num_parse_i64(word, SPEC_UNLIMITED, INT64_MAX, numbers[i], NULL) == 0;
	*ret = is_good && !rest.len ? e : (struct enforced){ 0 };
}

void engine_put_reference(struct str image, struct buf *b)
{
	ptrdiff_t slash = -1;
	for (size_t i = 0; i < image.len; i++)
		if (image.ptr[i] == '/')
			slash = (ptrdiff_t)i;
	struct str last = str_skip(image, (size_t)(slash + 1));
	buf_put(b, image);
	if (str_find_char(last, ':') < 0 && str_find_char(last, '@') < 0)
		buf_puts(b, ":latest");
}
