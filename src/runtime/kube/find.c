/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/kube/find.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/str.h"

#include <sys/stat.h>

static bool is_file(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool is_in_pod(void)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	return host && host[0] && port && port[0] && is_file(KUBE_OWN_DIR "/token");
}

int kube_find(const char *given, char **ret_path, struct error *err)
{
	const char *list = getenv("KUBECONFIG"), *home = getenv("HOME");
	if (!given || !given[0])
		given = list;
	if (given && given == list && strchr(list, ':'))
		return error_set(err, ERROR_UNSUPPORTED,
			"KUBECONFIG names several files; name one, or --backend kubernetes=FILE");
	*ret_path = NULL;
	if (given && given[0]) {
		*ret_path = mem_strdup(given);
		return 0;
	}
	if (is_in_pod())
		return 0;
	auto_free char *usual = mem_printf("%s/.kube/config", home ?: "");
	if (!home || !is_file(usual))
		return error_set(err, ERROR_UNAVAILABLE,
			"no cluster: neither KUBECONFIG nor ~/.kube/config, and this is no pod of one; name a kubeconfig with --backend kubernetes=FILE");
	*ret_path = take_ptr(usual);
	return 0;
}
