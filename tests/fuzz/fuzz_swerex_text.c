/* SPDX-License-Identifier: Apache-2.0 */
/* What a file may hold, in every encoding and with every handler: valid UTF-8 comes out. */
#include "face/swerex/text.h"

#include "base/auto.h"
#include "base/bug.h"
#include "wire/utf8.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const encodings[] = { NULL, "ascii", "latin-1" };
	static const char *const errors[] = { NULL, "ignore", "replace", "backslashreplace" };
	struct str text = { (const char *)data, size };
	for (size_t i = 0; i < ARRAY_LEN(encodings); i++)
		for (size_t k = 0; k < ARRAY_LEN(errors); k++) {
			auto_buf struct buf b = BUF_INIT(16 * 1024 * 1024);
			struct error err;
			int r = text_decode(text, str_from(encodings[i]), str_from(errors[k]), &b,
				&err);
			BUG_IF(r < 0 && k > 0, "only strict refuses");
			BUG_IF(!utf8_is_valid(buf_str(&b)), "it is no UTF-8");
			BUG_IF(str_find_char(buf_str(&b), '\r') >= 0, "a newline of another kind");
		}
	return 0;
}
