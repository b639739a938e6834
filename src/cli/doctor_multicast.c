/* SPDX-License-Identifier: Apache-2.0
 *
 * The chain from the LAN to what was discovered in containers, link by link: are there legs, do devices speak, does
 * somebody ask for listeners, does each device answer from here, and is its port on the LAN open?
 */
#include <poll.h>
#include <sys/socket.h>

#include "cli/doctor.h"
#include "state/multicast.h"

#define CONNECT_MS   500
#define SERVICES_MAX 4 /* that are tried */

/* 0 or -errno */
static int connects(const struct doctor *d, const struct endpoint *to)
{
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(to, &ss), size = sizeof(int);
	autoclose int fd = socket(to->ip.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int error = 0, left = doctor_left_ms(d, CONNECT_MS);

	if (fd < 0)
		return -errno;
	if (left <= 0)
		return -ETIME;
	if (connect(fd, (struct sockaddr *)&ss, len) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -errno;
	if (poll(&p, 1, left) <= 0)
		return -ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		return -errno;
	return -error;
}

static void check_leg(struct doctor *d, const struct multicast_state *s, const struct mcs_leg *l)
{
	size_t devices = 0;

	for (size_t i = 0; i < s->n_devices; i++)
		devices += s->devices[i].leg == l->leg;
	if (!l->lan && strstr(l->wants, "ssdp") && !devices)
		doctor_add(
			d, "multicast", CHECK_WARNING,
			"Look at the log of the server. Does it run in that network, and not with network_mode: host?",
			"network %s: no device has announced itself (SSDP), %lld datagrams heard", l->name,
			(long long)l->heard);
	else
		doctor_add(d, "multicast", CHECK_OK, NULL,
			   "%s %s: %s relayed, %lld datagrams heard, %lld sent, %zu devices",
			   l->lan ? "LAN" : "network", l->name, l->wants[0] ? l->wants : "nothing", (long long)l->heard,
			   (long long)l->sent, devices);
	if (l->lan && str_eq(l->querier[0], "silent"))
		doctor_add(d, "multicast", CHECK_INFO, "Set MULTICAST_QUERIER=auto.",
			   "LAN %s: nobody asks for listeners (IGMP), as far as is known; a switch may forget them",
			   l->name);
}

static void check_service(struct doctor *d, const struct mcs_service *v)
{
	char inside[ENDPOINT_STRLEN], outside[ENDPOINT_STRLEN];
	int rc = connects(d, &v->inside);

	endpoint_format(&v->inside, inside);
	endpoint_format(&v->outside, outside);
	if (rc == -ETIME)
		return;
	if (rc < 0) {
		doctor_add(d, "multicast", CHECK_WARNING, "Look at the log of the server.",
			   "a device announced %s, and nobody answers there: %s", inside, strerror(-rc));
		return;
	}
	rc = connects(d, &v->outside);
	if (rc < 0 && rc != -ETIME)
		doctor_add(d, "multicast", CHECK_WARNING, "docker-router status tells whether the role multicast runs.",
			   "the port for %s is not open at %s: %s", inside, outside, strerror(-rc));
	else
		doctor_add(d, "multicast", CHECK_OK, NULL,
			   "%s answers, the LAN reaches it at %s (a firewall of this host must let it in); %lld "
			   "connections%s%s",
			   inside, outside, (long long)v->connections, v->error[0] ? "; latest error: " : "", v->error);
}

void doctor_multicast(struct doctor *d)
{
	struct file_owner owner = owner_of_discovery(&d->cli->dir);
	struct multicast_state s;
	struct err err = {0};
	int rc;

	if (d->cli->dir.fd < 0 || !d->files.inventory.n_multicast)
		return;
	doctor_step(d, "multicast");
	if (!role_wanted(&d->files, "multicast")) {
		doctor_add(d, "multicast", CHECK_WARNING, "Add multicast to ROLES.",
			   "networks have the label docker-router.multicast, and ROLES has no multicast");
		return;
	}
	rc = multicast_state_read(d->cli->dir.fd, &owner, &s, &err);
	if (rc < 0) {
		doctor_add(d, "multicast", CHECK_ERROR, NULL, "%s",
			   rc == -ENOENT ? "the role multicast has written no multicast.json" : err.text);
		return;
	}
	for (size_t i = 0; i < s.n_legs; i++)
		check_leg(d, &s, &s.legs[i]);
	for (size_t i = 0; i < s.n_services && i < SERVICES_MAX && !d->other_ns; i++)
		check_service(d, &s.services[i]);
	for (size_t i = 0; i < s.problems.n; i++)
		doctor_add(d, "multicast", CHECK_WARNING, s.problems.v[i].cure[0] ? s.problems.v[i].cure : NULL,
			   "%s: %s", s.problems.v[i].object, s.problems.v[i].text);
	multicast_state_done(&s);
}
