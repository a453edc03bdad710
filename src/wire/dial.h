/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dial: how an executor and its server find each other where no descriptor can be handed over: in a
 * container of an engine. The server listens on a Unix socket (SOCK_SEQPACKET) that lies in a
 * read-only mount; the executor, pid 1 of its container, connects to it before anything else runs
 * there. Its first message is
 *
 *	'H' + the secret     nothing behind the H the first time
 *
 * and then
 *
 *	'R' + "UID:GID"      it is ready to serve, as that user
 *	'E' + text           it could not start, and this is why
 *
 * The server answers the first H with 'S' + DIAL_SECRET_SIZE bytes, which the executor keeps in its
 * memory and shows when it connects again: others in the container can open the socket too, and
 * have nothing to show. From then on the socket is the control socket of executor/executor.h.
 *
 * A server that was restarted sends the executor SIGHUP through the engine, and it connects again.
 */
#pragma once

enum dial_kind { DIAL_HELLO = 'H', DIAL_READY = 'R', DIAL_FAILED = 'E', DIAL_SECRET = 'S' };

enum { DIAL_SECRET_SIZE = 32, DIAL_TEXT_MAX = 240 };
