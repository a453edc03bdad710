/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/layer_owners.h"

static uint32_t keep_uid(struct layer_owners *o, uint32_t uid)
{
	for (int i = 0; i < o->n_uids; i++)
		if (o->uids[i] == uid)
			return uid;
	if (uid == 0 || o->is_closed || o->n_uids == LAYER_UIDS_MAX)
		return 0;
	o->uids[o->n_uids++] = uid;
	return uid;
}

struct layer_part layer_below(struct layer_owners *o, struct layer_part above, uint32_t uid)
{
	uid = keep_uid(o, uid);
	return (struct layer_part){ above.level + (uid != above.uid), uid };
}

int layer_note(struct layer_owners *o, struct layer_part part, struct error *err)
{
	int i = 0;
	while (i < o->n_parts && (o->parts[i].level != part.level || o->parts[i].uid != part.uid))
		i++;
	if (i < o->n_parts)
		return 0;
	if (i == LAYER_PARTS_MAX)
		return error_set(err, ERROR_LIMIT,
			"files and directories are given to others within one another over %d times",
			LAYER_PARTS_MAX);
	while (i > 0 && o->parts[i - 1].level > part.level) {
		o->parts[i] = o->parts[i - 1];
		i--;
	}
	o->parts[i] = part;
	o->n_parts++;
	return 0;
}
