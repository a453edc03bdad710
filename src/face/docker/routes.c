/* SPDX-License-Identifier: Apache-2.0 */
#include "face/docker/handlers.h"

/* With and without the version in front, which makes no difference. */
#define ROUTE(method, tail, ...)                       \
	{ method, tail, __VA_ARGS__ },                 \
	{                                              \
		method, "/{version}" tail, __VA_ARGS__ \
	}
#define ARCHIVE_MAX ((int64_t)64 << 30)
#define BODY        .body_max = DOCKER_BODY_MAX
#define C           "/containers/{id}"

/* clang-format off */
const struct http_route docker_routes[] = {
	ROUTE("GET", "/_ping", engine_ping, .summary = "tell the version of the API"),
	ROUTE("GET", "/version", engine_version, .summary = "tell the version"),
	ROUTE("GET", "/info", engine_info, .summary = "tell about the engine"),
	ROUTE("GET", "/events", engine_events, .summary = "follow what happens"),
	ROUTE("GET", "/system/df", engine_usage, .summary = "tell what takes room"),
	ROUTE("GET", "/distribution/{name*}", not_offered, .summary = "refused: there is no registry"),
	ROUTE("POST", "/session", not_offered, BODY, .summary = "refused: BuildKit's"),
	ROUTE("POST", "/auth", engine_auth, BODY, .summary = "refused: there is no registry"),

	ROUTE("GET", "/containers/json", containers_list, .summary = "list containers"),
	ROUTE("POST", "/containers/create", containers_create, BODY, .summary = "make a container"),
	ROUTE("POST", "/containers/prune", containers_prune, .summary = "remove what does not run"),
	ROUTE("GET", C "/json", containers_inspect, .summary = "tell all about a container"),
	ROUTE("GET", C "/top", containers_top, .summary = "list its processes"),
	ROUTE("GET", C "/stats", containers_stats, .summary = "tell what it uses"),
	ROUTE("GET", C "/export", not_offered, .summary = "refused"),
	ROUTE("GET", C "/attach/ws", not_offered, .summary = "refused"),
	ROUTE("POST", C "/update", not_offered, BODY, .summary = "refused"),
	ROUTE("GET", C "/changes", containers_changes, .summary = "refused"),
	ROUTE("GET", C "/logs", containers_logs, .summary = "read its output"),
	ROUTE("POST", C "/start", containers_start, BODY, .summary = "start its process"),
	ROUTE("POST", C "/stop", containers_stop, BODY, .summary = "end its processes"),
	ROUTE("POST", C "/restart", containers_restart, BODY, .summary = "stop, then start"),
	ROUTE("POST", C "/kill", containers_kill, BODY, .summary = "send a signal"),
	ROUTE("POST", C "/wait", containers_wait, BODY, .summary = "wait for its end"),
	ROUTE("POST", C "/pause", containers_pause, BODY, .summary = "freeze its processes"),
	ROUTE("POST", C "/unpause", containers_unpause, BODY, .summary = "let them go on"),
	ROUTE("POST", C "/rename", containers_rename, BODY, .summary = "give it another name"),
	ROUTE("POST", C "/resize", containers_resize, BODY, .summary = "set the size of its terminal"),
	ROUTE("POST", C "/attach", containers_attach, BODY, .summary = "join its input and output"),
	ROUTE("DELETE", C, containers_remove, .summary = "remove it"),
	ROUTE("GET", C "/archive", archive_get, .summary = "give a path as a tar archive"),
	ROUTE("PUT", C "/archive", archive_put, HTTP_STREAMS_BODY, .body_max = ARCHIVE_MAX,
		.summary = "unpack a tar archive"),
	ROUTE("POST", C "/exec", execs_create, BODY, .summary = "prepare a program"),

	ROUTE("POST", "/exec/{id}/start", execs_start, BODY, .summary = "start it"),
	ROUTE("POST", "/exec/{id}/resize", execs_resize, BODY, .summary = "set the size of its terminal"),
	ROUTE("GET", "/exec/{id}/json", execs_inspect, .summary = "tell what became of it"),

	ROUTE("GET", "/images/json", images_list, .summary = "list images"),
	ROUTE("POST", "/images/create", images_create, HTTP_STREAMS_BODY, .body_max = ARCHIVE_MAX,
		.summary = "pull (what is there), or import a tar archive"),
	ROUTE("POST", "/images/load", images_load, HTTP_STREAMS_BODY, .body_max = ARCHIVE_MAX,
		.summary = "load what docker save made"),
	ROUTE("POST", "/images/prune", images_prune, .summary = "remove images without a name"),
	ROUTE("GET", "/images/get", not_offered, .summary = "refused"),
	ROUTE("GET", "/images/search", not_offered, .summary = "refused: there is no registry"),
	ROUTE("GET", "/images/{name*}", images_get, .summary = "tell about an image"),
	ROUTE("POST", "/images/{name*}", images_post, BODY, .summary = "tag"),
	ROUTE("DELETE", "/images/{name*}", images_delete, .summary = "remove a name, or the image"),

	ROUTE("GET", "/networks", networks_list, .summary = "list networks"),
	ROUTE("GET", "/networks/{id}", networks_get, .summary = "tell about a network"),
	ROUTE("DELETE", "/networks/{id}", not_offered, .summary = "refused"),
	ROUTE("POST", "/networks/prune", networks_prune, .summary = "remove those that nothing uses: none"),
	ROUTE("POST", "/networks/create", not_offered, BODY, .summary = "refused"),
	ROUTE("POST", "/networks/{id}/connect", not_offered, BODY, .summary = "refused"),
	ROUTE("POST", "/networks/{id}/disconnect", not_offered, BODY, .summary = "refused"),
	ROUTE("GET", "/volumes", volumes_list, .summary = "list volumes: none"),
	ROUTE("GET", "/volumes/{name}", volumes_get, .summary = "refused: there are none"),
	ROUTE("DELETE", "/volumes/{name}", volumes_get, .summary = "refused: there are none"),
	ROUTE("POST", "/volumes/prune", volumes_prune, .summary = "remove those that nothing uses: none"),
	ROUTE("GET", "/plugins", not_offered, .summary = "refused"),
	ROUTE("GET", "/nodes", not_offered, .summary = "refused: swarm's"),
	ROUTE("GET", "/services", not_offered, .summary = "refused: swarm's"),
	ROUTE("GET", "/swarm", not_offered, .summary = "refused: swarm's"),
	ROUTE("GET", "/tasks", not_offered, .summary = "refused: swarm's"),
	ROUTE("GET", "/secrets", not_offered, .summary = "refused: swarm's"),
	ROUTE("GET", "/configs", not_offered, .summary = "refused: swarm's"),
	ROUTE("POST", "/volumes/create", not_offered, BODY, .summary = "refused"),
	ROUTE("POST", "/build", images_build, HTTP_STREAMS_BODY, .body_max = ARCHIVE_MAX,
		.summary = "build an image from a Dockerfile and its context"),
	ROUTE("POST", "/build/prune", builds_prune_docker, .summary = "forget what builds have cached"),
	ROUTE("POST", "/commit", containers_commit, BODY, .summary = "make an image of a container"),
	{ 0 },
};
/* clang-format on */
