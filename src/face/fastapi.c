/* SPDX-License-Identifier: Apache-2.0 */
#include "face/fastapi.h"

#include "wire/json.h"

void fastapi_render_error(const struct http_face *face, const struct error *e, int *status,
	struct buf *body)
{
	struct jsonw w = JSONW(body);
	jsonw_open(&w);
	if (e->code == ERROR_NOT_FOUND)
		jsonw_key_str(&w, "detail", STR("Not Found"));
	else if (e->code == ERROR_METHOD)
		jsonw_key_str(&w, "detail", STR("Method Not Allowed"));
	else
		jsonw_key_str(&w, "detail", str_from(e->text));
	jsonw_close(&w);
}
