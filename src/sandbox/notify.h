/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify: tells who started us, systemd or another that knows its protocol, what we are at: a
 * datagram to the socket that NOTIFY_SOCKET names.
 * https://www.freedesktop.org/software/systemd/man/sd_notify.html
 */
#pragma once

void notify_init(void); /* takes the variable out of the environment: it is for no child of ours */
void notify_say(const char *state); /* "READY=1"; nothing where nobody asked for it */
