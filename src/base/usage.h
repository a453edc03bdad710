/* SPDX-License-Identifier: Apache-2.0 */
/* usage: what this process uses of the host, and what the host has. */
#pragma once

#include "base/error.h"

#include <stdint.h>

struct usage {
	int64_t cpu_us;                    /* user and system, since the process began */
	int64_t rss_bytes, vms_bytes;      /* memory in use, address space */
	int64_t memory_bytes;              /* of the host */
	int64_t read_bytes, written_bytes; /* from and to disks; 0 where the kernel does not tell */
	int64_t disk_bytes, disk_used,
		disk_free; /* of the file system at /; free: for ordinary users */
};

int usage_read(struct usage *ret, struct error *err);
