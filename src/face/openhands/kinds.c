/* SPDX-License-Identifier: Apache-2.0 */
#include "face/openhands/kinds.h"

const struct job_kind *const job_kinds[] = {
	&browse_kind,
	&browse_interactive_kind,
	&edit_kind,
	&read_kind,
	&run_kind,
	&run_ipython_kind,
	&write_kind,
	NULL,
};

const struct job_kind *job_kind_find(struct str name)
{
	for (size_t i = 0; job_kinds[i]; i++)
		if (str_is(name, job_kinds[i]->name))
			return job_kinds[i];
	return NULL;
}
