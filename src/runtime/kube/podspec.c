/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/kube/podspec.h"

#include "base/auto.h"
#include "runtime/engine/body.h"
#include "wire/door.h"

#define AGENT_ID 1000

/* ---- what cannot be had ---- */

static int refuse(struct error *err, const char *what)
{
	return error_set(err, ERROR_UNSUPPORTED, "backend kubernetes: %s", what);
}

int pod_check(const struct pod_wish *wish, struct error *err)
{
	const struct spec *spec = wish->spec;
	if (spec->n_mounts)
		return refuse(err, "a pod has no directories of this machine; cay cp copies");
	if (spec->image != IMAGE_HOST)
		return refuse(err, "an image is one of a registry's, not a path");
	if (!wish->image[0] || strcmp(wish->image, "host") == 0)
		return error_set(err, ERROR_INVALID,
			"backend kubernetes: name an image (there is no view of this machine in a pod); a standard one is sandbox.runtime_container_image");
	if (engine_check_name(str_from(wish->image), err) < 0)
		return -1;
	if (spec->network != NETWORK_LOOPBACK && spec->network != NETWORK_NONE &&
		spec->network != NETWORK_HOST)
		return refuse(err,
			"no network with a list of what is allowed: loopback, none, or host (what the cluster lets a pod reach)");
	if (spec->limits.pids > 0)
		return refuse(err,
			"no limit on processes of one pod; its node has one for all (podPidsLimit)");
	if (spec->limits.disk_inodes > 0)
		return refuse(err, "no limit on inodes");
	return 0;
}

/* ---- what holds ---- */

static uint64_t bit(enum control control, bool is_there)
{
	return is_there ? UINT64_C(1) << control : 0;
}

/*
 * Not the network's: whether a policy holds is known to who runs the cluster alone. Nor a pids
 * limit.
 */
void pod_promise(const struct pod_wish *wish, struct enforced *ret)
{
	const struct spec_limits *asked = &wish->spec->limits;
	struct spec_limits limits = {
		.memory_bytes = asked->memory_bytes ?: wish->settings->memory_limit_bytes,
		.pids = SPEC_UNLIMITED,
		.cpu_milli = asked->cpu_milli ?: SPEC_UNLIMITED,
		.disk_bytes = asked->disk_bytes ?: SPEC_UNLIMITED,
		.disk_inodes = SPEC_UNLIMITED,
	};
	ret->limits = limits;
	ret->controls = bit(CONTROL_MOUNT_NS, true) | bit(CONTROL_PID_NS, true) |
		bit(CONTROL_IPC_NS, true) | bit(CONTROL_UTS_NS, true) | bit(CONTROL_OVERLAY, true) |
		bit(CONTROL_SECCOMP, true) | bit(CONTROL_NO_NEW_PRIVS, true) |
		bit(CONTROL_CAPS, true) | bit(CONTROL_MEMORY, limits.memory_bytes > 0) |
		bit(CONTROL_CPU, limits.cpu_milli > 0);
}

int pod_check_promise(const struct pod_wish *wish, const struct enforced *promise,
	struct error *err)
{
	uint64_t missing = wish->spec->required & ~promise->controls;
	for (int i = 0; i < CONTROL_MAX; i++)
		if (missing & UINT64_C(1) << i)
			return error_set(err, ERROR_UNSUPPORTED,
				"backend kubernetes: '%s' is required and not enforced",
				control_name((enum control)i));
	return 0;
}

/* ---- small parts ---- */

static void open_member(struct jsonw *w, const char *key)
{
	jsonw_key(w, key);
	jsonw_open(w);
}

static void put_number(struct jsonw *w, const char *key, int64_t n, const char *unit)
{
	auto_buf struct buf text = BUF_INIT(64);
	buf_printf(&text, "%lld%s", (long long)n, unit);
	jsonw_key_str(w, key, buf_str(&text));
}

static void put_labels(struct jsonw *w, const char *id, const char *server_id)
{
	jsonw_key_str(w, KUBE_LABEL_SANDBOX, str_from(id));
	jsonw_key_str(w, KUBE_LABEL_SERVER, str_from(server_id));
}

static void put_name(struct jsonw *w, const char *id)
{
	auto_buf struct buf name = BUF_INIT(64);
	buf_printf(&name, "cay-%s", id);
	jsonw_key_str(w, "name", buf_str(&name));
}

static void begin(struct jsonw *w, const char *version, const char *kind)
{
	jsonw_open(w);
	jsonw_key_str(w, "apiVersion", str_from(version));
	jsonw_key_str(w, "kind", str_from(kind));
	open_member(w, "metadata");
}

/* ---- a container ---- */

static bool is_agent(const struct pod_wish *wish)
{
	return wish->spec->user == USER_AGENT;
}

static int64_t cpu_request_milli(const struct pod_wish *wish, int64_t limit)
{
	int64_t wholes = 0, milli;
	auto_buf struct buf b = BUF_INIT(64);
	struct str text = str_from(wish->settings->cpu_request);
	/* In thousandths: "500m" is 500, "2" is 2000. */
	bool is_milli = str_ends(text, STR("m"));
	buf_put(&b, is_milli ? str_first(text, text.len - 1) : text);
	buf_puts(&b, is_milli ? "" : "k");
	kube_parse_quantity(buf_str(&b), &wholes, NULL);
	milli = wholes;
	return limit > 0 ? MIN(milli, limit) : milli;
}

static void put_resources(struct jsonw *w, const struct pod_wish *wish,
	const struct spec_limits *limits)
{
	int64_t request = wish->settings->memory_request_bytes;
	open_member(w, "resources");
	open_member(w, "limits");
	if (limits->memory_bytes > 0)
		put_number(w, "memory", limits->memory_bytes, "");
	if (limits->cpu_milli > 0)
		put_number(w, "cpu", limits->cpu_milli, "m");
	if (limits->disk_bytes > 0)
		put_number(w, "ephemeral-storage", limits->disk_bytes, "");
	jsonw_close(w);
	open_member(w, "requests");
	put_number(w, "memory",
		limits->memory_bytes > 0 ? MIN(request, limits->memory_bytes) : request, "");
	put_number(w, "cpu", cpu_request_milli(wish, limits->cpu_milli), "m");
	jsonw_close(w);
	jsonw_close(w);
}

static void put_privileges(struct jsonw *w, const struct pod_wish *wish, bool is_sandbox)
{
	static const char *const all[] = { "ALL", NULL };
	static const char *const root[] = { "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL",
		"NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT", NULL };
	open_member(w, "securityContext");
	jsonw_key_bool(w, "allowPrivilegeEscalation", false);
	jsonw_key_bool(w, "privileged", false);
	if (!is_sandbox)
		jsonw_key_bool(w, "readOnlyRootFilesystem", true);
	open_member(w, "capabilities");
	engine_put_strings(w, "drop", all);
	if (is_sandbox && !is_agent(wish))
		engine_put_strings(w, "add", root);
	jsonw_close(w);
	jsonw_close(w);
}

static void put_mount(struct jsonw *w, const char *name, const char *path, bool is_read_only)
{
	jsonw_open(w);
	jsonw_key_str(w, "name", str_from(name));
	jsonw_key_str(w, "mountPath", str_from(path));
	if (is_read_only)
		jsonw_key_bool(w, "readOnly", true);
	jsonw_close(w);
}

static void put_installer(struct jsonw *w, const struct pod_wish *wish,
	const struct spec_limits *limits)
{
	static const char *const command[] = { "/cay-executor", "--install", "/.cay", NULL };
	jsonw_key(w, "initContainers");
	jsonw_open_array(w);
	jsonw_open(w);
	jsonw_key_str(w, "name", STR("executor"));
	jsonw_key_str(w, "image", str_from(wish->settings->executor_image));
	engine_put_strings(w, "command", command);
	put_resources(w, wish, limits);
	put_privileges(w, wish, false);
	jsonw_key(w, "volumeMounts");
	jsonw_open_array(w);
	put_mount(w, "cay", "/.cay", false);
	jsonw_close_array(w);
	jsonw_close(w);
	jsonw_close_array(w);
}

static void put_environment(struct jsonw *w, const struct pod_wish *wish)
{
	jsonw_key(w, "env");
	jsonw_open_array(w);
	jsonw_open(w);
	jsonw_key_str(w, "name", STR("CAY_POD"));
	jsonw_key_str(w, "value", STR("1"));
	jsonw_close(w);
	jsonw_open(w);
	jsonw_key_str(w, "name", STR("CAY_DOOR_SECRET"));
	open_member(w, "valueFrom");
	open_member(w, "secretKeyRef");
	put_name(w, wish->spec->id);
	jsonw_key_str(w, "key", STR("secret"));
	jsonw_close(w);
	jsonw_close(w);
	jsonw_close(w);
	jsonw_close_array(w);
}

static void put_command(struct jsonw *w, const struct pod_wish *wish)
{
	auto_buf struct buf port = BUF_INIT(32), lease = BUF_INIT(32);
	const char *workdir = wish->spec->workdir;
	buf_printf(&port, "%d", DOOR_PORT);
	buf_printf(&lease, "%d", KUBE_LEASE_MS);
	const char *const command[] = { "/.cay/cay-executor", "--listen", port.ptr, "--lease-ms",
		lease.ptr, workdir[0] ? "--workdir" : NULL, workdir, NULL };
	engine_put_strings(w, "command", command);
	jsonw_key(w, "ports");
	jsonw_open_array(w);
	jsonw_open(w);
	jsonw_key_int(w, "containerPort", DOOR_PORT);
	jsonw_close(w);
	jsonw_close_array(w);
}

/* The agent's home is where images have no home for it. */
static void put_container(struct jsonw *w, const struct pod_wish *wish,
	const struct spec_limits *limits)
{
	jsonw_key(w, "containers");
	jsonw_open_array(w);
	jsonw_open(w);
	jsonw_key_str(w, "name", STR("sandbox"));
	jsonw_key_str(w, "image", str_from(wish->image));
	put_command(w, wish);
	put_environment(w, wish);
	put_resources(w, wish, limits);
	put_privileges(w, wish, true);
	jsonw_key(w, "volumeMounts");
	jsonw_open_array(w);
	put_mount(w, "cay", "/.cay", true);
	put_mount(w, "workspace", wish->settings->workspace, false);
	if (is_agent(wish))
		put_mount(w, "home", "/home/agent", false);
	jsonw_close_array(w);
	jsonw_close(w);
	jsonw_close_array(w);
}

/* ---- volumes ---- */

static void put_empty_volume(struct jsonw *w, const char *name, int64_t size_limit)
{
	jsonw_open(w);
	jsonw_key_str(w, "name", str_from(name));
	open_member(w, "emptyDir");
	if (size_limit > 0)
		put_number(w, "sizeLimit", size_limit, "");
	jsonw_close(w);
	jsonw_close(w);
}

/* A claim that belongs to the pod and goes with it. */
static void put_claim(struct jsonw *w, const struct pod_wish *wish)
{
	static const char *const modes[] = { "ReadWriteOnce", NULL };
	const struct kube_settings *s = wish->settings;
	jsonw_open(w);
	jsonw_key_str(w, "name", STR("workspace"));
	open_member(w, "ephemeral");
	open_member(w, "volumeClaimTemplate");
	open_member(w, "metadata");
	open_member(w, "labels");
	put_labels(w, wish->spec->id, wish->server_id);
	jsonw_close(w);
	jsonw_close(w);
	open_member(w, "spec");
	engine_put_strings(w, "accessModes", modes);
	if (s->volume_class)
		jsonw_key_str(w, "storageClassName", str_from(s->volume_class));
	open_member(w, "resources");
	open_member(w, "requests");
	jsonw_key_str(w, "storage", str_from(s->volume_size));
	for (int i = 0; i < 6; i++)
		jsonw_close(w);
}

static void put_volumes(struct jsonw *w, const struct pod_wish *wish,
	const struct spec_limits *limits)
{
	jsonw_key(w, "volumes");
	jsonw_open_array(w);
	put_empty_volume(w, "cay", 0);
	if (wish->settings->volume_size)
		put_claim(w, wish);
	else
		put_empty_volume(w, "workspace", limits->disk_bytes);
	if (is_agent(wish))
		put_empty_volume(w, "home", limits->disk_bytes);
	jsonw_close_array(w);
}

/* ---- the pod ---- */

static void put_identity(struct jsonw *w, const struct pod_wish *wish)
{
	open_member(w, "securityContext");
	jsonw_key_bool(w, "runAsNonRoot", is_agent(wish));
	jsonw_key_int(w, "runAsUser", is_agent(wish) ? AGENT_ID : 0);
	jsonw_key_int(w, "runAsGroup", is_agent(wish) ? AGENT_ID : 0);
	if (is_agent(wish))
		jsonw_key_int(w, "fsGroup", AGENT_ID);
	open_member(w, "seccompProfile");
	jsonw_key_str(w, "type", STR("RuntimeDefault"));
	jsonw_close(w);
	jsonw_close(w);
}

static void put_place(struct jsonw *w, const struct kube_settings *s)
{
	if (s->runtime_class)
		jsonw_key_str(w, "runtimeClassName", str_from(s->runtime_class));
	if (s->pull_secret) {
		jsonw_key(w, "imagePullSecrets");
		jsonw_open_array(w);
		jsonw_open(w);
		jsonw_key_str(w, "name", str_from(s->pull_secret));
		jsonw_close(w);
		jsonw_close_array(w);
	}
	if (s->node_key && s->node_value) {
		open_member(w, "nodeSelector");
		jsonw_key_dyn(w, str_from(s->node_key));
		jsonw_str(w, str_from(s->node_value));
		jsonw_close(w);
	}
	if (s->tolerations) {
		jsonw_key(w, "tolerations");
		jsonw_raw(w, str_from(s->tolerations));
	}
}

static void put_spec(struct jsonw *w, const struct pod_wish *wish, const struct spec_limits *limits)
{
	const struct spec *spec = wish->spec;
	open_member(w, "spec");
	jsonw_key_str(w, "restartPolicy", STR("Never"));
	jsonw_key_bool(w, "automountServiceAccountToken", false);
	jsonw_key_bool(w, "enableServiceLinks", false);
	jsonw_key_int(w, "terminationGracePeriodSeconds", 1);
	jsonw_key_str(w, "hostname", str_from(spec->hostname[0] ? spec->hostname : "cay"));
	put_identity(w, wish);
	put_place(w, wish->settings);
	put_installer(w, wish, limits);
	put_container(w, wish, limits);
	put_volumes(w, wish, limits);
	jsonw_close(w);
}

void pod_put(const struct pod_wish *wish, const struct enforced *promise, struct buf *b)
{
	struct jsonw w = JSONW(b);
	auto_buf struct buf note = BUF_INIT(1024);
	bool is_open = wish->spec->network == NETWORK_HOST;
	engine_put_enforced(promise, &note);
	begin(&w, "v1", "Pod");
	put_name(&w, wish->spec->id);
	open_member(&w, "labels");
	put_labels(&w, wish->spec->id, wish->server_id);
	jsonw_key_str(&w, KUBE_LABEL_NETWORK, is_open ? STR("open") : STR("closed"));
	jsonw_close(&w);
	open_member(&w, "annotations");
	jsonw_key_str(&w, KUBE_NOTE_ENFORCED, buf_str(&note));
	jsonw_close(&w);
	jsonw_close(&w);
	put_spec(&w, wish, &promise->limits);
	jsonw_close(&w);
}

void pod_put_secret(const char *id, const char *server_id, struct str secret, struct buf *b)
{
	struct jsonw w = JSONW(b);
	begin(&w, "v1", "Secret");
	put_name(&w, id);
	open_member(&w, "labels");
	put_labels(&w, id, server_id);
	jsonw_close(&w);
	jsonw_close(&w);
	jsonw_key_str(&w, "type", STR("Opaque"));
	open_member(&w, "stringData");
	jsonw_key_str(&w, "secret", secret);
	jsonw_close(&w);
	jsonw_close(&w);
}

void pod_put_policy(const char *server_id, struct buf *b)
{
	struct jsonw w = JSONW(b);
	begin(&w, "networking.k8s.io/v1", "NetworkPolicy");
	put_name(&w, server_id);
	open_member(&w, "labels");
	jsonw_key_str(&w, KUBE_LABEL_SERVER, str_from(server_id));
	jsonw_close(&w);
	jsonw_close(&w);
	open_member(&w, "spec");
	open_member(&w, "podSelector");
	open_member(&w, "matchLabels");
	jsonw_key_str(&w, KUBE_LABEL_SERVER, str_from(server_id));
	jsonw_key_str(&w, KUBE_LABEL_NETWORK, STR("closed"));
	jsonw_close(&w);
	jsonw_close(&w);
	jsonw_key(&w, "policyTypes");
	jsonw_raw(&w, STR("[\"Ingress\",\"Egress\"]"));
	jsonw_key(&w, "ingress");
	jsonw_open_array(&w);
	jsonw_open(&w);
	jsonw_key(&w, "ports");
	jsonw_open_array(&w);
	jsonw_open(&w);
	jsonw_key_str(&w, "protocol", STR("TCP"));
	jsonw_key_int(&w, "port", DOOR_PORT);
	jsonw_close(&w);
	jsonw_close_array(&w);
	jsonw_close(&w);
	jsonw_close_array(&w);
	jsonw_key(&w, "egress");
	jsonw_raw(&w, STR("[]"));
	jsonw_close(&w);
	jsonw_close(&w);
}
