/* SPDX-License-Identifier: Apache-2.0 */
#include "face/e2b/state.h"

void e2b_watchers_drop(struct e2b_box *b)
{
}
