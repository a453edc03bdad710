/* SPDX-License-Identifier: Apache-2.0 */
/* /vscode/connection_token. There is no editor yet: null, which clients know as such. */
#include "face/openhands/handlers.h"

void connection_token(struct http_request *r)
{
	http_reply(r, 200, "application/json", STR("{\"token\":null}"));
}
