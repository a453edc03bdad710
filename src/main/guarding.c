/* SPDX-License-Identifier: Apache-2.0 */
#include "main/guarding.h"

#include "base/auto.h"
#include "guard/guard.h"
#include "main/faces.h"
#include "main/settings.h"
#include "runtime/token.h"

static struct guard *guard;
static char *approver;

int guarding_open(struct loop *loop, const char *state_dir, struct gate **ret_gate,
	struct error *err)
{
	if (token_load_as(state_dir, "approver-token", "CAY_APPROVER_TOKEN", &approver, err) < 0)
		return -1;
	if (guard_new(loop, settings_of_server("guard"), &guard, err) < 0)
		return -1;
	faces_set_guard(guard, approver);
	*ret_gate = guard_gate(guard);
	return 0;
}

void guarding_close(void)
{
	guard_free(take_ptr(guard));
	free(take_ptr(approver));
}
