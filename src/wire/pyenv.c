/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/pyenv.h"

#include "base/auto.h"

enum { ENV_MAX = 512 * 1024 };

/* {"A":"1"} as a literal of Python's: JSON's strings are that, too. */
void pyenv_put_set(const struct json *env, struct buf *code)
{
	auto_buf struct buf text = BUF_INIT(ENV_MAX);
	buf_puts(code,
		"import os as __cay_os, json as __cay_json\n__cay_env = dict(__cay_os.environ)\n"
		"__cay_os.environ.update(__cay_json.loads(r'''");
	json_write(env, &text);
	/* No quote of Python's can end the literal: JSON can write it otherwise. */
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] == '\'')
			buf_puts(code, "\\u0027");
		else
			buf_putc(code, text.ptr[i]);
	buf_puts(code, "'''))\n");
}

const char pyenv_restore[] = "__cay_os.environ.clear()\n__cay_os.environ.update(__cay_env)\n"
			     "del __cay_os, __cay_json, __cay_env\n";
