/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rootfs: the steps that make the file tree of a sandbox, and the curated /etc of the host image.
 */
#pragma once

#include "sandbox/plan.h"

void rootfs_add(struct plan *plan); /* the root and its layers */
void rootfs_add_dev(struct plan *plan);
void rootfs_add_mounts(struct plan *plan); /* the spec's mounts and the working directory */

/* For those who add steps to a plan (plan.c). */
struct step *plan_add(struct plan *plan, enum step_kind kind);
int32_t plan_add_tree(struct plan *plan, const char *source, const char *idmap, uint32_t flags);
const char *plan_text(struct plan *plan, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
uint32_t plan_agent(const struct plan *plan); /* the id inside that programs run as */
