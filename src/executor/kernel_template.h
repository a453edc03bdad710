/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_template: the guests that kernels are forked from, and those for Jupyter kernels
 * (executor/kernel.h).
 */
#pragma once

#include "executor/guest.h"

/* Whether the spec names Python: "", "python", "python3.11", "/opt/x/bin/python". */
bool kernel_spec_is_python(struct str spec);
/* A new guest for the kernel of that spec; arguments and cwd are the plan's. */
int kernel_guest_start(struct executor *e, const char *spec, const struct guest_plan *plan,
	const struct guest_ops *ops, void *arg, struct guest **ret, struct error *err);
/* At the end of the executor. */
void templates_free_all(struct executor *e);
