/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/kube/access.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/num.h"
#include "runtime/kube/find.h"
#include "wire/base64.h"
#include "wire/json.h"
#include "wire/yaml.h"

#include <fcntl.h>
#include <limits.h>

void access_fini(struct access *a)
{
	char **const texts[] = { &a->name, &a->server, &a->namespace, &a->authorities,
		&a->certificate, &a->authorities_file, &a->certificate_file, &a->key_file,
		&a->token_file };
	char **const secrets[] = { &a->key, &a->token };
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		free(take_ptr(*texts[i]));
	for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
		if (*secrets[i])
			explicit_bzero(*secrets[i], strlen(*secrets[i]));
		free(take_ptr(*secrets[i]));
	}
}

/* ---- a kubeconfig ---- */

/* Its list of { name: …, KIND: {…} }. */
static const struct json *find_named(const struct json *root, const char *list, struct str name,
	const char *kind, struct error *err)
{
	const struct json *items = json_find(root, list);
	for (size_t i = 0; i < json_len(items); i++)
		if (name.len && str_eq(json_str(json_find(json_at(items, i), "name")), name))
			return json_find(json_at(items, i), kind);
	error_set(err, ERROR_INVALID, "there is no %s '%.*s'", kind, STR_ARG(str_first(name, 60)));
	return NULL;
}

static int take_text(const struct json *from, const char *key, char **ret, struct error *err)
{
	struct str text = json_str(json_find(from, key));
	if (text.len && str_has_nul(text))
		return error_set(err, ERROR_INVALID, "%s: it has a NUL", key);
	if (text.len)
		*ret = str_dup(text);
	return 0;
}

/* KEY-data, in base64, counts before KEY, which is a file. */
static int take_data(const struct json *from, const char *key, const char *dir, char **ret,
	char **ret_file, struct error *err)
{
	auto_free char *data_key = mem_printf("%s-data", key);
	struct str data = json_str(json_find(from, data_key));
	struct str file = json_str(json_find(from, key));
	if (data.len) {
		struct buf b = BUF_INIT(ACCESS_FILE_MAX);
		if (base64_decode(data, &b, err) < 0 || str_has_nul(buf_str(&b))) {
			buf_fini(&b);
			return error_set(err, ERROR_INVALID, "%s is no base64 of a text", data_key);
		}
		*ret = buf_take(&b);
	} else if (file.len) {
		if (str_has_nul(file) || file.len >= PATH_MAX)
			return error_set(err, ERROR_INVALID, "%s is no path", key);
		*ret_file = file.ptr[0] == '/' ? str_dup(file)
					       : mem_printf("%s/%.*s", dir, STR_ARG(file));
	}
	return 0;
}

static int refuse_keys(const struct json *from, const char *const *keys, const char *why,
	struct error *err)
{
	for (; *keys; keys++)
		if (json_find(from, *keys))
			return error_set(err, ERROR_UNSUPPORTED, "'%s': %s", *keys, why);
	return 0;
}

static int take_cluster(const struct json *cluster, const char *dir, struct access *a,
	struct error *err)
{
	static const char *const no[] = { "tls-server-name", "proxy-url", NULL };
	struct str server = json_str(json_find(cluster, "server"));
	if (refuse_keys(cluster, no, "it cannot be had here", err) < 0)
		return -1;
	while (server.len && server.ptr[server.len - 1] == '/')
		server.len--;
	if ((!str_starts(server, STR("https://")) && !str_starts(server, STR("http://"))) ||
		str_has_nul(server) || str_find_char(server, '@') >= 0)
		return error_set(err, ERROR_INVALID, "its server is no http:// or https:// URL");
	a->server = str_dup(server);
	a->believes_anybody = json_bool(json_find(cluster, "insecure-skip-tls-verify"));
	return take_data(cluster, "certificate-authority", dir, &a->authorities,
		&a->authorities_file, err);
}

static int take_user(const struct json *user, const char *dir, struct access *a, struct error *err)
{
	static const char *const programs[] = { "exec", "auth-provider", NULL };
	static const char *const others[] = { "username", "password", "as", "as-groups", "as-uid",
		NULL };
	if (refuse_keys(user, programs,
		    "the server starts no program for its credentials; give it a token, a tokenFile or a certificate",
		    err) < 0 ||
		refuse_keys(user, others, "it cannot be had here", err) < 0 ||
		take_data(user, "client-certificate", dir, &a->certificate, &a->certificate_file,
			err) < 0 ||
		take_data(user, "client-key", dir, &a->key, &a->key_file, err) < 0 ||
		take_text(user, "token", &a->token, err) < 0)
		return -1;
	struct str file = json_str(json_find(user, "tokenFile"));
	if (file.len && !str_has_nul(file) && !a->token)
		a->token_file = file.ptr[0] == '/' ? str_dup(file)
						   : mem_printf("%s/%.*s", dir, STR_ARG(file));
	return 0;
}

/* "http://127.0.0.1:8001": of this machine. */
static bool is_here(struct str server)
{
	struct str rest = str_skip(server, strlen("http://"));
	if (!str_starts(server, STR("http://")))
		return false;
	if (str_starts(rest, STR("[::1]")))
		return rest.len == 5 || strchr(":/", rest.ptr[5]);
	struct str host = str_first(rest, strcspn(rest.ptr, ":/"));
	return str_is(host, "localhost") ||
		(str_starts(host, STR("127.")) && strspn(host.ptr, "0123456789.") == host.len);
}

/* Without TLS whoever is on the way reads what is shown. */
static int check_secrecy(const struct access *a, struct error *err)
{
	struct str server = str_from(a->server);
	if (str_starts(server, STR("https://")) || (!a->token && !a->token_file) || is_here(server))
		return 0;
	return error_set(err, ERROR_INVALID,
		"its server is http://: the token would be shown to whoever is on the way; use https://");
}

static int take_context(const struct json *root, const char *dir, struct access *a,
	struct error *err)
{
	struct str name = json_str(json_find(root, "current-context"));
	if (!name.len)
		return error_set(err, ERROR_INVALID, "it has no current-context");
	const struct json *context = find_named(root, "contexts", name, "context", err);
	const struct json *cluster = context
		? find_named(root, "clusters", json_str(json_find(context, "cluster")), "cluster",
			  err)
		: NULL;
	const struct json *user = cluster
		? find_named(root, "users", json_str(json_find(context, "user")), "user", err)
		: NULL;
	if (!user)
		return -1;
	if (take_text(context, "namespace", &a->namespace, err) < 0 ||
		take_cluster(cluster, dir, a, err) < 0 || take_user(user, dir, a, err) < 0)
		return -1;
	return check_secrecy(a, err);
}

int access_parse(struct str yaml, const char *dir, struct access *ret, struct error *err)
{
	auto_buf struct buf text = BUF_INIT(4 * ACCESS_FILE_MAX);
	auto_json struct json *root = NULL;
	*ret = (struct access){ 0 };
	if (yaml_to_json(yaml, &text, err) < 0 || json_parse(buf_str(&text), &root, err) < 0)
		return -1;
	if (take_context(root, dir, ret, err) < 0) {
		access_fini(ret);
		return -1;
	}
	return 0;
}

/* ---- files ---- */

static int read_text(const char *path, char **ret, struct error *err)
{
	struct buf b = BUF_INIT(ACCESS_FILE_MAX);
	if (!path)
		return 0;
	if (file_read(AT_FDCWD, path, &b, err) < 0) {
		buf_fini(&b);
		return -1;
	}
	*ret = buf_take(&b);
	return 0;
}

static int read_kubeconfig(const char *path, struct access *ret, struct error *err)
{
	auto_free char *text = NULL;
	auto_free char *dir = mem_strdup(path);
	char *slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = '\0';
	if (read_text(path, &text, err) < 0)
		return -1;
	if (access_parse(str_from(text), slash ? dir : ".", ret, err) < 0)
		return error_wrap(err, "%s", path);
	ret->name = mem_strdup(path);
	if (read_text(ret->authorities_file, &ret->authorities, err) < 0 ||
		read_text(ret->certificate_file, &ret->certificate, err) < 0 ||
		read_text(ret->key_file, &ret->key, err) < 0) {
		error_wrap(err, "%s", path);
		access_fini(ret);
		return -1;
	}
	return 0;
}

/* In a pod: its own account. */
static int read_own(const char *host, const char *port, struct access *ret, struct error *err)
{
	bool is_six = strchr(host, ':') != NULL;
	auto_free char *namespace = NULL;
	*ret = (struct access){ 0 };
	if (read_text(KUBE_OWN_DIR "/ca.crt", &ret->authorities, err) < 0 ||
		read_text(KUBE_OWN_DIR "/namespace", &namespace, err) < 0) {
		access_fini(ret);
		return error_wrap(err, "the account of this pod");
	}
	ret->name = mem_strdup("this cluster");
	ret->server = mem_printf("https://%s%s%s:%s", is_six ? "[" : "", host, is_six ? "]" : "",
		port);
	ret->namespace = str_dup(str_trim(str_from(namespace)));
	ret->token_file = mem_strdup(KUBE_OWN_DIR "/token");
	return 0;
}

int access_load(const char *given, struct access *ret, struct error *err)
{
	auto_free char *path = NULL;
	if (kube_find(given, &path, err) < 0)
		return -1;
	return path ? read_kubeconfig(path, ret, err)
		    : read_own(getenv("KUBERNETES_SERVICE_HOST"), getenv("KUBERNETES_SERVICE_PORT"),
			      ret, err);
}

int access_find_files(const char *given, char *ret[ACCESS_FILES], struct error *err)
{
	auto_free char *config = NULL;
	struct access access;
	int n = 0;
	if (kube_find(given, &config, err) < 0 || access_load(given, &access, err) < 0)
		return -1;
	char *slash = access.token_file ? strrchr(access.token_file, '/') : NULL;
	if (slash)
		slash[slash == access.token_file] = '\0';
	const char *const paths[ACCESS_FILES] = { config ?: KUBE_OWN_DIR, access.authorities_file,
		access.certificate_file, access.key_file, access.token_file };
	for (int i = 0; i < ACCESS_FILES; i++)
		if (paths[i] && (ret[n] = realpath(paths[i], NULL)))
			n++;
	access_fini(&access);
	return 0;
}
