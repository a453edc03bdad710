/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certificates: where distributions keep the file of all certificate authorities that programs
 * believe.
 */
#pragma once

/* Of Debian, Fedora, Alpine and others; NULL-terminated. */
static const char *const certificate_files[] = { "/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem", 0 };
