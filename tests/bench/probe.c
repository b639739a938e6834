/* SPDX-License-Identifier: Apache-2.0
 *
 * probe: the small client and server of the measurements; static, so that it runs in any container.
 *
 *	probe echo PORT                      TCP and UDP echo, until killed
 *	probe rr ADDRESS PORT SECONDS        one byte there and back over TCP: transactions per second
 *	probe first ADDRESS PORT SECONDS     UDP every 0.5 ms until the first answer: "START_NS FIRST_NS", wall clock
 *	probe pps ADDRESS PORT RATE SECONDS  UDP at a rate: "SENT RECEIVED LONGEST_GAP_MS"
 *	probe dns NAME SECONDS               asks 127.0.0.11 again and again: "QUERIES_PER_SECOND MEDIAN_US WORST_US"
 *	probe name NAME COUNT SECONDS        asks until there are so many addresses: wall clock in ns
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SEC    INT64_C(1000000000)
#define CLIENTS_MAX   64
#define ROUTE_WAIT_NS (10 * NS_PER_SEC)

static int64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

static socklen_t address(const char *text, const char *port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *four = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	four->sin_port = htons((uint16_t)atoi(port));
	if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		return sizeof(*four);
	}
	if (inet_pton(AF_INET6, text, &six->sin6_addr) != 1) {
		fprintf(stderr, "probe: \"%s\" is no address\n", text);
		exit(2);
	}
	six->sin6_family = AF_INET6;
	return sizeof(*six);
}

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static _Noreturn void echo(const char *port)
{
	struct pollfd p[2 + CLIENTS_MAX];
	struct sockaddr_storage ss;
	socklen_t len = address("::", port, &ss);
	const int one = 1, off = 0;
	nfds_t n = 2;
	char data[65536];

	for (int i = 0; i < 2; i++) {
		p[i] = (struct pollfd){.fd = socket(AF_INET6, i ? SOCK_DGRAM : SOCK_STREAM, 0), .events = POLLIN};
		if (p[i].fd < 0) { /* no IPv6 in this namespace's kernel */
			len = address("0.0.0.0", port, &ss);
			p[i].fd = socket(AF_INET, i ? SOCK_DGRAM : SOCK_STREAM, 0);
		} else {
			setsockopt(p[i].fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
		}
		setsockopt(p[i].fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		check(bind(p[i].fd, (struct sockaddr *)&ss, len) == 0, "bind");
	}
	check(listen(p[0].fd, 16) == 0, "listen");
	for (;;) {
		check(poll(p, n, -1) >= 0, "poll");
		if (p[0].revents && n < 2 + CLIENTS_MAX) {
			p[n] = (struct pollfd){.fd = accept(p[0].fd, NULL, NULL), .events = POLLIN};
			if (p[n].fd >= 0)
				setsockopt(p[n++].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		}
		while (p[1].revents) {
			len = sizeof(ss);
			ssize_t got = recvfrom(p[1].fd, data, sizeof(data), MSG_DONTWAIT, (struct sockaddr *)&ss, &len);
			if (got < 0)
				break;
			sendto(p[1].fd, data, (size_t)got, 0, (struct sockaddr *)&ss, len);
		}
		for (nfds_t i = 2; i < n; i++) {
			if (!p[i].revents)
				continue;
			ssize_t got = recv(p[i].fd, data, sizeof(data), 0);
			if (got > 0 && send(p[i].fd, data, (size_t)got, MSG_NOSIGNAL) == got)
				continue;
			close(p[i].fd);
			p[i--] = p[--n];
		}
	}
}

static int rr(const char *to, const char *port, int seconds)
{
	struct sockaddr_storage ss;
	socklen_t len = address(to, port, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM, 0);
	const int one = 1;
	uint64_t n = 0;
	char c = 'x';

	check(connect(fd, (struct sockaddr *)&ss, len) == 0, "connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	int64_t begin = now_ns(CLOCK_MONOTONIC), end = begin + seconds * NS_PER_SEC, now;
	do {
		check(send(fd, &c, 1, 0) == 1 && recv(fd, &c, 1, 0) == 1, "transaction");
		n++;
	} while ((now = now_ns(CLOCK_MONOTONIC)) < end);
	printf("%.1f\n", (double)n * 1e9 / (double)(now - begin));
	return 0;
}

static int udp_to(const char *to, const char *port)
{
	struct sockaddr_storage ss;
	socklen_t len = address(to, port, &ss);
	int fd = socket(ss.ss_family, SOCK_DGRAM, 0);
	int64_t end = now_ns(CLOCK_MONOTONIC) + ROUTE_WAIT_NS;

	/* No route yet is an answer that may come, and no reason to give up at once: asked again every half
	 * millisecond. */
	while (connect(fd, (struct sockaddr *)&ss, len) != 0) {
		check((errno == ENETUNREACH || errno == EADDRNOTAVAIL) && now_ns(CLOCK_MONOTONIC) < end, "connect");
		usleep(500);
	}
	return fd;
}

static int first(const char *to, const char *port, int seconds)
{
	int64_t start = now_ns(CLOCK_REALTIME), end = now_ns(CLOCK_MONOTONIC) + seconds * NS_PER_SEC;
	int fd = udp_to(to, port);
	char c = 'x';

	while (now_ns(CLOCK_MONOTONIC) < end) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		struct timespec half = {.tv_nsec = 500000};
		send(fd, &c, 1, 0); /* an ICMP error of an earlier one is told here, and is no answer */
		if (ppoll(&p, 1, &half, NULL) > 0 && recv(fd, &c, 1, MSG_DONTWAIT) == 1) {
			printf("%lld %lld\n", (long long)start, (long long)now_ns(CLOCK_REALTIME));
			return 0;
		}
	}
	return 1;
}

static int pps(const char *to, const char *port, int rate, int seconds)
{
	int fd = udp_to(to, port);
	uint64_t n = (uint64_t)rate * (uint64_t)seconds, sent = 0, received = 0;
	bool *seen = calloc(n + 1, sizeof(*seen));
	int64_t begin = now_ns(CLOCK_MONOTONIC), last = begin, gap = 0;

	while (now_ns(CLOCK_MONOTONIC) < begin + (seconds + 1) * NS_PER_SEC && (sent < n || received < n)) {
		int64_t now = now_ns(CLOCK_MONOTONIC), due = begin + (int64_t)sent * NS_PER_SEC / rate;
		if (sent < n && now >= due) {
			send(fd, &sent, sizeof(sent), 0);
			sent++;
			continue;
		}
		int64_t wait = sent < n ? due - now : begin + (seconds + 1) * NS_PER_SEC - now;
		struct timespec ts = {wait / NS_PER_SEC, wait % NS_PER_SEC};
		struct pollfd p = {.fd = fd, .events = POLLIN};
		uint64_t seq;
		if (wait < 0 || ppoll(&p, 1, &ts, NULL) <= 0)
			continue;
		while (recv(fd, &seq, sizeof(seq), MSG_DONTWAIT) == sizeof(seq)) {
			if (seq >= n || seen[seq])
				continue;
			seen[seq] = true;
			received++;
			now = now_ns(CLOCK_MONOTONIC);
			if (now - last > gap)
				gap = now - last;
			last = now;
		}
	}
	printf("%llu %llu %.1f\n", (unsigned long long)sent, (unsigned long long)received, (double)gap / 1e6);
	free(seen);
	return 0;
}

/* A query for the A records of a name: what it takes of @out, 512 bytes */
static size_t query(const char *name, uint16_t id, uint8_t *out)
{
	const uint8_t head[12] = {(uint8_t)(id >> 8), (uint8_t)id, 1, 0, 0, 1}, tail[5] = {0, 0, 1, 0, 1};
	size_t at = sizeof(head);

	memcpy(out, head, sizeof(head));
	while (*name) {
		size_t len = strcspn(name, ".");
		if (!len || len > 63 || at + len + 1 > 400) {
			fprintf(stderr, "probe: that is no name\n");
			exit(2);
		}
		out[at++] = (uint8_t)len;
		memcpy(out + at, name, len);
		at += len;
		name += len + (name[len] == '.');
	}
	memcpy(out + at, tail, sizeof(tail));
	return at + sizeof(tail);
}

/* Ask once. Return: number of answers, or -1 when none came within @wait_ms */
static int ask(int fd, const char *name, int wait_ms)
{
	static uint16_t id;
	uint8_t data[2048];
	size_t len = query(name, ++id, data);

	send(fd, data, len, 0);
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (poll(&p, 1, wait_ms) <= 0)
			return -1;
		ssize_t got = recv(fd, data, sizeof(data), MSG_DONTWAIT);
		if (got >= 12 && data[0] == (uint8_t)(id >> 8) && data[1] == (uint8_t)id)
			return (data[3] & 15) == 0 ? data[6] << 8 | data[7] : 0;
	}
}

static int time_cmp(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static int dns(const char *name, int seconds)
{
	enum { TIMES = 1 << 20 };
	int64_t *times = calloc(TIMES, sizeof(*times)), begin = now_ns(CLOCK_MONOTONIC), now = begin;
	int fd = udp_to("127.0.0.11", "53");
	size_t n = 0;

	while (now < begin + seconds * NS_PER_SEC && n < TIMES) {
		if (ask(fd, name, 1000) < 1) {
			fprintf(stderr, "probe: no answer for %s\n", name);
			return 1;
		}
		int64_t then = now;
		now = now_ns(CLOCK_MONOTONIC);
		times[n++] = now - then;
	}
	qsort(times, n, sizeof(*times), time_cmp);
	printf("%.1f %.1f %.1f\n", (double)n * 1e9 / (double)(now - begin), (double)times[n / 2] / 1e3,
	       (double)times[n - 1] / 1e3);
	free(times);
	return 0;
}

static int name_wait(const char *name, int count, int seconds)
{
	int64_t end = now_ns(CLOCK_MONOTONIC) + seconds * NS_PER_SEC;
	int fd = udp_to("127.0.0.11", "53");

	while (now_ns(CLOCK_MONOTONIC) < end) {
		int64_t asked = now_ns(CLOCK_REALTIME);
		int got = ask(fd, name, 100);
		/* Of a name that has gone there may be no answer at all: the lab has no world to ask. */
		if (got == count || (!count && got < 0)) {
			printf("%lld\n", (long long)(count ? now_ns(CLOCK_REALTIME) : asked));
			return 0;
		}
		usleep(1000);
	}
	return 1;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "echo") == 0)
		echo(argv[2]);
	if (argc == 5 && strcmp(argv[1], "rr") == 0)
		return rr(argv[2], argv[3], atoi(argv[4]));
	if (argc == 5 && strcmp(argv[1], "first") == 0)
		return first(argv[2], argv[3], atoi(argv[4]));
	if (argc == 6 && strcmp(argv[1], "pps") == 0)
		return pps(argv[2], argv[3], atoi(argv[4]), atoi(argv[5]));
	if (argc == 4 && strcmp(argv[1], "dns") == 0)
		return dns(argv[2], atoi(argv[3]));
	if (argc == 5 && strcmp(argv[1], "name") == 0)
		return name_wait(argv[2], atoi(argv[3]), atoi(argv[4]));
	fprintf(stderr, "usage: probe echo PORT | rr ADDRESS PORT SECONDS | first ADDRESS PORT SECONDS | "
			"pps ADDRESS PORT RATE SECONDS | dns NAME SECONDS | name NAME COUNT SECONDS\n");
	return 2;
}
