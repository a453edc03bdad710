/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: http NAME ADDRESS REQUESTS CLIENTS FILE [new]
 *
 * Sends the HTTP/1.1 request that FILE holds, byte for byte, REQUESTS times over CLIENTS keep-alive
 * connections to ADDRESS (a Unix socket's path, or PORT of 127.0.0.1), and prints the round trips
 * and the rate. Each connection has one request under way; an answer other than 2xx ends the run.
 * With `new` each request has a connection of its own, which is part of its time.
 */
#include "stats.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CLIENTS_MAX = 1024, ANSWER_MAX = 4 * 1024 * 1024, WARM_UP = 20 };

struct client {
	int fd;
	int64_t sent_ns;
	size_t len;
	char *answer;
};

static char request[1 << 20];
static size_t request_len;
static const char *address_of_each; /* NULL: connections are kept */

static int dial(const char *address)
{
	if (address[0] == '/') {
		struct sockaddr_un un = { .sun_family = AF_UNIX };
		snprintf(un.sun_path, sizeof(un.sun_path), "%s", address);
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		return connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0 ? -1 : fd;
	}
	struct sockaddr_in in = { .sin_family = AF_INET };
	in.sin_port = htons((uint16_t)strtol(address, NULL, 10));
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	return connect(fd, (struct sockaddr *)&in, sizeof(in)) < 0 ? -1 : fd;
}

static void send_request(struct client *c)
{
	c->len = 0;
	c->sent_ns = stats_now_ns();
	if (address_of_each) {
		close(c->fd);
		c->fd = dial(address_of_each);
	}
	if (send(c->fd, request, request_len, 0) != (ssize_t)request_len) {
		perror("http: send");
		exit(1);
	}
}

/* True when the answer in c is whole; leaves the program when it is no 2xx. */
static bool is_whole(const struct client *c)
{
	const char *end = memmem(c->answer, c->len, "\r\n\r\n", 4);
	if (!end)
		return false;
	if (memcmp(c->answer, "HTTP/1.1 2", 10) != 0) {
		fprintf(stderr, "http: %.*s\n", (int)(c->len < 600 ? c->len : 600), c->answer);
		exit(1);
	}
	size_t head = (size_t)(end - c->answer) + 4;
	const char *length = strcasestr(c->answer, "content-length:");
	if (length && length < end)
		return c->len >= head + (size_t)strtol(length + 15, NULL, 10);
	return c->len >= 5 && memcmp(c->answer + c->len - 5, "0\r\n\r\n", 5) == 0;
}

static bool receive(struct client *c)
{
	ssize_t n = recv(c->fd, c->answer + c->len, ANSWER_MAX - 1 - c->len, 0);
	if (n <= 0) {
		fprintf(stderr, "http: the server closed the connection\n");
		exit(1);
	}
	c->len += (size_t)n;
	c->answer[c->len] = '\0';
	return is_whole(c);
}

static size_t load(struct client *clients, int n_clients, int64_t *samples, size_t wanted)
{
	struct pollfd polls[CLIENTS_MAX];
	size_t started = 0, done = 0;
	for (int i = 0; i < n_clients; i++) {
		if (started < wanted) {
			send_request(&clients[i]);
			started++;
		}
		polls[i] = (struct pollfd){ clients[i].fd, POLLIN, 0 };
	}
	while (done < wanted) {
		poll(polls, (nfds_t)n_clients, -1);
		for (int i = 0; i < n_clients; i++) {
			if (!polls[i].revents || !receive(&clients[i]))
				continue;
			samples[done++] = stats_now_ns() - clients[i].sent_ns;
			if (started < wanted) {
				send_request(&clients[i]);
				polls[i].fd = clients[i].fd;
				started++;
			}
		}
	}
	return done;
}

int main(int argc, char **argv)
{
	if (argc != 6 && argc != 7) {
		fprintf(stderr, "usage: http NAME ADDRESS REQUESTS CLIENTS FILE [new]\n");
		return 2;
	}
	size_t requests = (size_t)strtol(argv[3], NULL, 10);
	int n_clients = (int)strtol(argv[4], NULL, 10);
	FILE *f = fopen(argv[5], "r");
	if (!f || n_clients < 1 || n_clients > CLIENTS_MAX)
		return 2;
	request_len = fread(request, 1, sizeof(request), f);
	fclose(f);

	static struct client clients[CLIENTS_MAX];
	for (int i = 0; i < n_clients; i++) {
		clients[i].fd = dial(argv[2]);
		clients[i].answer = malloc(ANSWER_MAX);
		if (clients[i].fd < 0) {
			perror("http: connect");
			return 1;
		}
	}
	address_of_each = argc == 7 ? argv[2] : NULL;
	int64_t *samples = stats_samples(requests + WARM_UP);
	load(clients, 1, samples, WARM_UP);
	int64_t begin = stats_now_ns();
	size_t n = load(clients, n_clients, samples, requests);
	double seconds = (double)(stats_now_ns() - begin) / 1e9;
	stats_print(argv[1], samples, n);
	printf("{\"name\":\"%s.rate\",\"per_second\":%.0f}\n", argv[1], (double)n / seconds);
	return 0;
}
