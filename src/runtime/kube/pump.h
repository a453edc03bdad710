/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pump: a call socket whose other end is in a pod. Who asks for one has his end at once; what he
 * sends waits in it until the executor has been reached, and then bytes go both ways as they are.
 * If it cannot be reached, he finds the error as a frame. Private to runtime/kube.
 *
 * Each way holds PUMP_BYTES at most: who does not take makes the other side wait. A way that ends
 * is emptied first.
 */
#pragma once

#include "base/error.h"
#include "base/list.h"
#include "runtime/kube/knock.h"

enum { PUMP_BYTES = 64 * 1024 };

struct pump_house {
	struct loop *loop;
	struct list pumps; /* pump::link */
};

void pump_house_init(struct pump_house *h, struct loop *loop);
void pump_house_fini(struct pump_house *h); /* ends all of them */
/* ret_fd: the caller's end, non-blocking. */
int pump_open(struct pump_house *h, const struct reach *reach, const char *secret, int *ret_fd,
	struct error *err);
