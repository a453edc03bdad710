/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/egress_names.h"

#include "base/auto.h"
#include "base/bug.h"

void egress_names_fini(struct egress_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->names[i]);
	free(names->names);
	map_fini(&names->by_name);
	*names = (struct egress_names){ 0 };
}

uint32_t egress_names_address(struct egress_names *names, const char *name)
{
	uintptr_t known = (uintptr_t)map_find(&names->by_name, str_from(name));
	if (known)
		return EGRESS_POOL_FIRST + (uint32_t)(known - 1);
	if (names->n == EGRESS_NAMES_MAX)
		return 0;
	if (names->n == names->cap) {
		names->cap = MAX(2 * names->cap, 16);
		names->names = mem_realloc(names->names, names->cap * sizeof(names->names[0]));
	}
	names->names[names->n++] = mem_strdup(name);
	map_put(&names->by_name, str_from(name), (void *)(uintptr_t)names->n);
	return EGRESS_POOL_FIRST + (uint32_t)(names->n - 1);
}

const char *egress_names_find(const struct egress_names *names, uint32_t address)
{
	uint32_t i = address - EGRESS_POOL_FIRST;
	return address >= EGRESS_POOL_FIRST && i < names->n ? names->names[i] : NULL;
}
