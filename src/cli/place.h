/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place: where a server keeps its socket, state and token, unless it is told otherwise. Said once, for
 * who starts it and for who looks for it.
 *
 *	root     /run/cay/cay.sock              /var/lib/cay
 *	others   $XDG_RUNTIME_DIR/cay/cay.sock  $XDG_STATE_HOME/cay, else ~/.local/state/cay
 *	         (without XDG_RUNTIME_DIR: cay.sock in the state directory)
 */
#pragma once

#include "base/buf.h"

void place_put_socket(struct buf *b);
void place_put_state(struct buf *b);
