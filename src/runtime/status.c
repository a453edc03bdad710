/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/status.h"

static const struct {
	const char *name;
	bool is_error;
} rows[] = {
#define STATUS(name, is_error) { #name, is_error },
#include "runtime/status.def"
#undef STATUS
};

const char *status_name(enum status status)
{
	return rows[status].name;
}

bool status_is_error(enum status status)
{
	return rows[status].is_error;
}
