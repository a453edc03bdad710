/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/lifecycle.h"

int main(void)
{
	auto_buf struct buf b = BUF_INIT(1 << 20);
	lifecycle_print(&b);
	fwrite(b.ptr, 1, b.len, stdout);
	return 0;
}
