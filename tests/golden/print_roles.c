/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docs/roles.md, printed from the rows of every face: who may call what. Who adds a route sees in
 * the diff whom it lets in; tests/e2e/test_roles.py takes the same table for what a running server
 * must do, and sees to it that no table of routes is missing here.
 */
#include "base/auto.h"
#include "face/camel/camel.h"
#include "face/daytona/handlers.h"
#include "face/docker/handlers.h"
#include "face/e2b/handlers.h"
#include "face/mcp/mcp.h"
#include "face/openhands/handlers.h"
#include "face/opensandbox/handlers.h"
#include "face/rest/ports.h"
#include "face/rest/rest.h"
#include "face/swerex/swerex.h"

static const char text[] =
	"# Who may call what\n"
	"\n"
	"A request shows a token. Three kinds of bearers come in with one (`src/http/role.h`):\n"
	"\n"
	"* **admin** shows the server's own token and may call everything but the two routes that approve, if the approver has a\n"
	"  token of its own ([guard](guard.md)).\n"
	"* **sandbox** shows a token made by `cay token SANDBOX`. It is good for that sandbox alone: whatever else it asks for, a\n"
	"  sandbox that there is, one that there is not, a route that there is not, it is told `forbidden`.\n"
	"* **read** and **write** show a link made by `cay token SANDBOX PATH`. It is good for one method on one file until a time.\n"
	"\n"
	"A route that names no role is for admin alone: what nobody has thought about is closed. *nobody* asks for no token at\n"
	"all. OpenHands' session keys (a key made for one sandbox) open what is `sandbox` or bare in its table and not of the fleet;\n"
	"tickets open one port of one sandbox to a browser, OpenSandbox's headers one endpoint, E2B's traffic token all ports; those of a sandbox that was asked to\n"
	"be public (E2B's `allowPublicTraffic`, Daytona's `public`) want none. What asks whether an agent server\n"
	"is there, and WebSockets to one, want no key here but the whole id of the sandbox or of the conversation: the agent server asks\n"
	"for the key ([OpenHands](openhands.md#version-1)). The Docker face listens on a Unix socket of its own; who may\n"
	"open that file is admin, and no token is asked for. SWE-ReX's routes without a sandbox in their path are about the one that\n"
	"the token is for.\n"
	"\n"
	"A token for a sandbox ends at its time, and with it what goes on under it (streams, upgrades, calls that are waited for)\n"
	"and the links to ports that were got with it. What was begun in the sandbox goes on there.\n"
	"\n"
	"What is let in by anything but the server's own token has a share of the server, by sandbox (`src/http/places.c`): 512\n"
	"requests and upgrades under way, 128 MiB in bodies that come and answers that wait, 100,000 values in the JSON of a body.\n"
	"All such sandboxes together have 1,536 requests and 512 MiB; of requests fewer, where the server may open few files. What\n"
	"is beyond is told `limit_reached`, or cut. Who has shown no token yet is cut first when the server's places run out.\n"
	"\n"
	"Requests with bodies of 64 KiB and more, and changes of a policy, are handled one at a time, sandbox by sandbox, with pauses in which everybody\n"
	"else has the server ([why](decisions/0046-large-bodies-take-turns.md)).\n"
	"\n"
	"This table is printed from the routes themselves, and `tests/e2e/test_roles.py` walks it against a running server.\n"
	"\n"
	"| face | method | route | role |\n"
	"|---|---|---|---|\n";

static const struct {
	const char *face;
	const char *name; /* of the table in the source */
	const struct http_route *routes;
} tables[] = {
	{ "rest", "rest_routes", rest_routes },
	{ "camel", "camel_routes", camel_routes },
	{ "mcp", "mcp_routes", mcp_routes },
	{ "openhands", "openhands_routes", openhands_routes },
	{ "opensandbox", "osb_routes", osb_routes },
	{ "daytona", "daytona_routes", daytona_routes },
	{ "swerex", "swerex_routes", swerex_routes },
	{ "docker", "docker_routes", docker_routes },
	{ "e2b", "e2b_routes", e2b_routes },
};

static void put_row(const char *face, const struct http_route *row, const char *pattern)
{
	const char *role = row->flags & HTTP_NO_AUTH ? "nobody" : role_name(row->role);
	printf("| %s | %s | `%s` | %s |\n", face, row->method, pattern, role);
}

/* --tables: the names of the tables that are printed, for the test that looks for more. */
int main(int argc, char **argv)
{
	if (argc > 1) {
		for (size_t i = 0; i < ARRAY_LEN(tables); i++)
			puts(tables[i].name);
		return 0;
	}
	fputs(text, stdout);
	put_row("ports", &ports_host_route, "http://{port}-{sandbox}.localhost/{path*}");
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		for (const struct http_route *row = tables[i].routes; row->method; row++)
			put_row(tables[i].face, row, row->pattern);
	return 0;
}
