/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest program with a first byte: what a cold start is measured with. */
#include <unistd.h>

int main(void)
{
	return write(STDOUT_FILENO, "x", 1) == 1 ? 0 : 1;
}
