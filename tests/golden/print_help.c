/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "cli/help.h"

int main(void)
{
	auto_buf struct buf b = BUF_INIT(HELP_TEXT_MAX);
	buf_puts(&b, "$ cay help\n");
	help_put_overview(&b);
	for (const struct command *const *c = command_table; *c; c++) {
		buf_printf(&b, "\n$ cay %s --help\n", (*c)->name);
		help_put_command(&b, *c);
	}
	fwrite(b.ptr, 1, b.len, stdout);
	return b.is_full;
}
