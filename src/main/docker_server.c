/* SPDX-License-Identifier: Apache-2.0 */
#include "main/docker_server.h"

#include "base/auto.h"
#include "face/docker/docker.h"

static struct docker *docker;
static struct http_server *http;

int docker_server_open(struct loop *loop, struct runtime *rt, int fd, struct error *err)
{
	const struct http_config config = { .listen_fds = &fd, .n_listen_fds = 1 };
	if (http_server_new(loop, &config, &http, err) < 0)
		return -1;
	docker = docker_new(rt);
	http_server_add_face(http, docker_face(docker));
	return 0;
}

int docker_server_requests(void)
{
	return http ? http_server_stats(http).requests : 0;
}

void docker_server_stop(void)
{
	if (http)
		http_server_stop(http);
}

void docker_server_close(void)
{
	http_server_free(take_ptr(http));
	docker_free(take_ptr(docker));
}
