/* SPDX-License-Identifier: Apache-2.0 */
/*
 * home: where a server keeps state, token and socket, unless it is told otherwise. Said once, for
 * who starts it and for who looks for it.
 *
 *	root     /var/lib/cay                                /run/cay/cay.sock
 *	others   $XDG_STATE_HOME/cay, or ~/.local/state/cay  $XDG_RUNTIME_DIR/cay/cay.sock, or
 *	                                                     cay.sock in the state directory
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

/*
 * Where cay.toml of the user is looked for: $XDG_CONFIG_HOME/cay, or ~/.config/cay. False: nowhere.
 */
bool home_put_config(struct buf *b);
/* Append an absolute path. ERROR_INVALID if the environment names no directory. */
int home_put_state(struct buf *b, struct error *err);
int home_put_socket(struct buf *b, struct error *err);
/* The socket of a server with a state directory of its own. */
int home_put_socket_of(struct buf *b, const char *state_dir, struct error *err);
