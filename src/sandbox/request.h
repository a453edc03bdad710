/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request: what the server may ask of the supervisor, checked before anything is done. The server
 * is believed to be hostile: it speaks HTTP to strangers.
 *
 * Two kinds of wrong are told apart. A message that no server of ours would send (its size, its
 * version, an unknown operation) makes request_parse fail: its sender is not to be talked to any
 * more. A request that cannot be granted (a bad id, a spec that makes no sense) is answered with an
 * error.
 */
#pragma once

#include "base/str.h"
#include "sandbox/monitor.h"

/* Negative: end the server. ret_request may be used only on success. */
int request_parse(struct str message, struct monitor_request *ret_request, struct error *err);
/* The parts that its operation uses. Negative: answer with *err. */
int request_check(const struct monitor_request *request, struct error *err);
