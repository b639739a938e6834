/* SPDX-License-Identifier: Apache-2.0
 *
 * mping: streams and searches for the measurements of multicast. ADDRESS, one's own, tells the interface.
 *
 *	mping send ADDRESS GROUP RATE SECONDS BYTES TTL   numbered datagrams, evenly: "SENT"
 *	mping hear ADDRESS GROUP IDLE_MS                  JSON when nothing came for so long: what was lost, how late
 *	mping search ADDRESS TTL COUNT WAIT_MS            M-SEARCH until it is answered, again: JSON, us of each, or -1
 *	mping device ADDRESS                              answers searches at once, until killed
 *	mping alive ADDRESS                               one NOTIFY: when it was sent, CLOCK_MONOTONIC in us
 *	mping notified ADDRESS SECONDS                    waits for a NOTIFY: when it came
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PORT	   5000
#define SSDP_GROUP "239.255.255.250"
#define SSDP_PORT  1900
#define SEEN_MAX   4000000
#define FIRST_MS   20000 /* so long the first datagram is waited for */

struct stamp {
	uint64_t number;
	int64_t sent_us;
};

static int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000) + ts.tv_nsec / 1000;
}

static void check(int rc, const char *what)
{
	if (rc >= 0)
		return;
	perror(what);
	exit(1);
}

static struct in_addr ip(const char *text)
{
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) != 1) {
		fprintf(stderr, "mping: \"%s\" is no address\n", text);
		exit(2);
	}
	return a;
}

static struct sockaddr_in at(const char *text, int port)
{
	return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = ip(text), .sin_port = htons((uint16_t)port)};
}

/* A socket that sends by the interface of @address, bound to @bind_to and @port, and a member of @group */
static int opened(const char *address, const char *bind_to, int port, const char *group, int ttl)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), on = 1, room = 64 << 20;
	struct ip_mreqn m = {.imr_address = ip(address)};
	struct sockaddr_in me = at(bind_to, port);

	check(fd, "socket");
	check(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), "SO_REUSEADDR");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
		check(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)), "SO_RCVBUF");
	check(bind(fd, (struct sockaddr *)&me, sizeof(me)), "bind");
	check(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &m, sizeof(m)), "IP_MULTICAST_IF");
	check(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof(ttl)), "IP_MULTICAST_TTL");
	if (group) {
		m.imr_multiaddr = ip(group);
		check(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)), "IP_ADD_MEMBERSHIP");
	}
	return fd;
}

/* Return: whether something came in time */
static int waited(int fd, int64_t us)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct timespec ts = {us / 1000000, us % 1000000 * 1000};

	return us > 0 && ppoll(&p, 1, &ts, NULL) > 0;
}

static int send_all(const char *address, const char *group, double rate, double seconds, size_t bytes, int ttl)
{
	int fd = opened(address, address, 0, NULL, ttl);
	struct sockaddr_in to = at(group, PORT);
	uint64_t n = (uint64_t)(rate * seconds), sent = 0;
	int64_t begin = now_us();
	char data[65000] = {0};

	for (uint64_t i = 0; i < n; i++) {
		int64_t due = begin + (int64_t)((double)i * 1e6 / rate), ahead;
		struct stamp s = {i, 0};

		/* sleep when far ahead, else spin: a timer is too coarse for 50 us */
		while ((ahead = due - now_us()) > 0)
			if (ahead > 200)
				usleep((useconds_t)(ahead - 100));
		s.sent_us = now_us();
		memcpy(data, &s, sizeof(s));
		sent += sendto(fd, data, bytes < sizeof(s) ? sizeof(s) : bytes, 0, (struct sockaddr *)&to, sizeof(to)) >
			0;
	}
	printf("%llu\n", (unsigned long long)sent);
	return 0;
}

static int compare(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return (x > y) - (x < y);
}

static int hear(const char *address, const char *group, int idle_ms)
{
	static uint8_t seen[SEEN_MAX];
	static int32_t latencies[SEEN_MAX];
	int fd = opened(address, group, PORT, group, 1);
	int64_t joined = now_us(), first = 0;
	uint64_t received = 0, twice = 0, late = 0, highest = 0, lowest = UINT64_MAX;
	char data[65536];

	printf("ready\n");
	fflush(stdout);
	while (waited(fd, (received ? idle_ms : FIRST_MS) * INT64_C(1000))) {
		ssize_t len = recv(fd, data, sizeof(data), 0);
		struct stamp s;

		if (len < (ssize_t)sizeof(s))
			continue;
		memcpy(&s, data, sizeof(s));
		if (s.number >= SEEN_MAX)
			continue;
		if (!first)
			first = now_us();
		if (seen[s.number]++) {
			twice++;
			continue;
		}
		latencies[received++] = (int32_t)(now_us() - s.sent_us);
		late += s.number < highest;
		highest = s.number > highest ? s.number : highest;
		lowest = s.number < lowest ? s.number : lowest;
	}
	qsort(latencies, received, sizeof(latencies[0]), compare);
	printf("{\"received\":%llu,\"lost\":%llu,\"twice\":%llu,\"late\":%llu,\"first_us\":%lld,\"median_us\":%d,"
	       "\"slowest_us\":%d}\n",
	       (unsigned long long)received, (unsigned long long)(received ? highest - lowest + 1 - received : 0),
	       (unsigned long long)twice, (unsigned long long)late, (long long)(received ? first - joined : -1),
	       received ? latencies[received / 2] : -1, received ? latencies[received - 1] : -1);
	return 0;
}

static int search(const char *address, int ttl, int count, int wait_ms)
{
	static const char text[] =
		"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\n"
		"ST: upnp:rootdevice\r\n\r\n";
	struct sockaddr_in to = at(SSDP_GROUP, SSDP_PORT);

	printf("[");
	for (int i = 0; i < count; i++) {
		int fd = opened(address, address, 0, NULL, ttl);
		int64_t begin = now_us();

		check((int)sendto(fd, text, sizeof(text) - 1, 0, (struct sockaddr *)&to, sizeof(to)), "sendto");
		printf("%s%lld", i ? "," : "",
		       (long long)(waited(fd, wait_ms * INT64_C(1000)) ? now_us() - begin : -1));
		close(fd);
		if (i + 1 < count)
			usleep(250000); /* no relay should think that this is a storm */
	}
	printf("]\n");
	return 0;
}

static void device(const char *address)
{
	int fd = opened(address, "0.0.0.0", SSDP_PORT, SSDP_GROUP, 4);
	char data[65536], reply[512];
	int n = snprintf(reply, sizeof(reply),
			 "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=60\r\nEXT:\r\nST: upnp:rootdevice\r\n"
			 "USN: uuid:bench::upnp:rootdevice\r\nLOCATION: http://%s:8200/x.xml\r\n\r\n",
			 address);

	printf("ready\n");
	fflush(stdout);
	for (;;) {
		struct sockaddr_in from;
		socklen_t size = sizeof(from);
		ssize_t len = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from, &size);

		if (len > 8 && !memcmp(data, "M-SEARCH", 8))
			sendto(fd, reply, (size_t)n, 0, (struct sockaddr *)&from, size);
	}
}

static int alive(const char *address)
{
	int fd = opened(address, address, 0, NULL, 4);
	struct sockaddr_in to = at(SSDP_GROUP, SSDP_PORT);
	char text[512];
	int64_t now = now_us();
	int n = snprintf(text, sizeof(text),
			 "NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nCACHE-CONTROL: max-age=60\r\n"
			 "LOCATION: http://%s:8200/x.xml\r\nNT: upnp:rootdevice\r\nNTS: ssdp:alive\r\n"
			 "USN: uuid:bench%lld::upnp:rootdevice\r\n\r\n",
			 address, (long long)now);

	check((int)sendto(fd, text, (size_t)n, 0, (struct sockaddr *)&to, sizeof(to)), "sendto");
	printf("%lld\n", (long long)now);
	return 0;
}

static int notified(const char *address, double seconds)
{
	int fd = opened(address, "0.0.0.0", SSDP_PORT, SSDP_GROUP, 4);
	int64_t end = now_us() + (int64_t)(seconds * 1e6);
	char data[65536];

	printf("ready\n");
	fflush(stdout);
	while (waited(fd, end - now_us())) {
		ssize_t len = recv(fd, data, sizeof(data), 0);

		if (len > 6 && !memcmp(data, "NOTIFY", 6)) {
			printf("%lld\n", (long long)now_us());
			return 0;
		}
	}
	return 1;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (argc == 8 && !strcmp(verb, "send"))
		return send_all(argv[2], argv[3], atof(argv[4]), atof(argv[5]), (size_t)atoi(argv[6]), atoi(argv[7]));
	if (argc == 5 && !strcmp(verb, "hear"))
		return hear(argv[2], argv[3], atoi(argv[4]));
	if (argc == 6 && !strcmp(verb, "search"))
		return search(argv[2], atoi(argv[3]), atoi(argv[4]), atoi(argv[5]));
	if (argc == 3 && !strcmp(verb, "device"))
		device(argv[2]);
	if (argc == 3 && !strcmp(verb, "alive"))
		return alive(argv[2]);
	if (argc == 4 && !strcmp(verb, "notified"))
		return notified(argv[2], atof(argv[3]));
	fprintf(stderr, "usage: see the head of mping.c\n");
	return 2;
}
