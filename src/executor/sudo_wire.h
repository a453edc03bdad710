/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sudo_wire: what the program `sudo` and the executor say to each other. Included by a program
 * without a C library.
 */
#pragma once

#define SUDO_SOCKET "/run/cay-sudo"

enum {
	SUDO_REQUEST_MAX = 96 *
		1024, /* one message: directory, argc, arguments, environment, each with its NUL */
	SUDO_TEXT_MAX = 1024,
};

/* One message, as long as its text. */
struct sudo_reply {
	int status; /* to end with */
	char text[SUDO_TEXT_MAX];
};
