/* SPDX-License-Identifier: Apache-2.0 */
/* [kubernetes], as runtime/kube/settings.h reads it: under the keys' own names. */
#include "config/parts.h"

#include "base/auto.h"

void config_put_kubernetes(const struct config *c, struct jsonw *w)
{
	static const enum config_key texts[] = { KEY_K8S_NAMESPACE, KEY_K8S_EXECUTOR_IMAGE,
		KEY_K8S_RUNTIME_CLASS, KEY_K8S_PVC_SIZE, KEY_K8S_PVC_CLASS, KEY_K8S_CPU,
		KEY_K8S_MEMORY, KEY_K8S_MEMORY_LIMIT, KEY_K8S_PULL_SECRET, KEY_K8S_NODE_KEY,
		KEY_K8S_NODE_VAL, KEY_K8S_TOLERATIONS };
	jsonw_key(w, "container");
	jsonw_open(w);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct str text = config_text(c, texts[i]);
		if (text.len)
			jsonw_key_str(w, config_rows[texts[i]].name, text);
	}
	jsonw_key_int(w, "schedule_wait", config_int(c, KEY_K8S_SCHEDULE_WAIT));
	jsonw_key_bool(w, "port_forward", config_bool(c, KEY_K8S_PORT_FORWARD));
	jsonw_key_str(w, "workspace", config_text(c, KEY_WORKSPACE_IN_SANDBOX));
	jsonw_close(w);
}
