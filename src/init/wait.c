/* SPDX-License-Identifier: Apache-2.0
 *
 * What is missing is looked for in order. An event of netlink, or of the flag's folder, means "look again".
 */
#include "init/wait.h"

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/log.h"

#define LOOK_MS	     1000 /* also without an event, should one be lost */
#define CONNECT_MS   3000
#define RETRY_MIN_MS 50
#define RETRY_MAX_MS 1000
#define SAY_US	     (2 * USEC_PER_SEC)

/* --- interfaces
 * ------------------------------------------------------------------------------------------------------- */

static bool address_is_usable(const struct nlmsghdr *h, unsigned index)
{
	const struct ifaddrmsg *a = NLMSG_DATA(h);
	uint32_t flags = a->ifa_flags;

	if (h->nlmsg_type != RTM_NEWADDR || h->nlmsg_len < NLMSG_LENGTH(sizeof(*a)) || a->ifa_index != index)
		return false;
	int len = (int)IFA_PAYLOAD(h);
	for (const struct rtattr *r = IFA_RTA(a); RTA_OK(r, len); r = RTA_NEXT(r, len))
		if (r->rta_type == IFA_FLAGS && RTA_PAYLOAD(r) >= sizeof(flags))
			memcpy(&flags, RTA_DATA(r), sizeof(flags));
	/* a link-local one leads nowhere; a tentative one may still turn out to be somebody else's */
	return a->ifa_scope < RT_SCOPE_LINK && !(flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED));
}

static bool address_dump(int fd, unsigned index)
{
	struct {
		struct nlmsghdr h;
		struct ifaddrmsg a;
	} ask = {.h = {.nlmsg_len = sizeof(ask), .nlmsg_type = RTM_GETADDR, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
	union {
		struct nlmsghdr h;
		char bytes[8192];
	} in;
	bool found = false;

	if (send(fd, &ask, sizeof(ask), 0) < 0)
		return false;
	for (;;) {
		ssize_t n = recv(fd, &in, sizeof(in), 0);
		if (n <= 0)
			return false;
		unsigned left = (unsigned)n;
		for (const struct nlmsghdr *h = &in.h; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
				return found;
			found = found || address_is_usable(h, index);
		}
	}
}

static bool has_address(unsigned index)
{
	autoclose int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	return fd >= 0 && address_dump(fd, index);
}

const char *interface_missing(const char *name, bool address)
{
	struct ifreq r = {0};
	autoclose int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	static char text[64];

	str_copy(r.ifr_name, name);
	str_print(text, "interface %s", name);
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &r) < 0)
		return text;
	if (!(r.ifr_flags & IFF_UP) || !(r.ifr_flags & IFF_RUNNING)) {
		str_print(text, "interface %s to be up", name);
		return text;
	}
	if (!address || (ioctl(fd, SIOCGIFINDEX, &r) == 0 && has_address((unsigned)r.ifr_ifindex)))
		return NULL;
	str_print(text, "an address of %s", name);
	return text;
}

/* --- targets
 * ---------------------------------------------------------------------------------------------------------- */

static bool connects(int family, int type, const void *address, socklen_t len, int timeout_ms)
{
	autoclose int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int why = 0;
	socklen_t why_len = sizeof(why);

	if (fd < 0)
		return false;
	if (connect(fd, address, len) == 0)
		return true;
	if (errno != EINPROGRESS)
		return false;
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	return poll(&p, 1, timeout_ms) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &why_len) == 0 && why == 0;
}

static bool answers_unix(const struct target *t, int timeout_ms)
{
	static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t len = strlen(t->host);

	if (len >= sizeof(a.sun_path))
		return false;
	memcpy(a.sun_path, t->host, len);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
	if (a.sun_path[0] == '@') {
		a.sun_path[0] = '\0'; /* abstract: the length of its name counts */
		size--;
	}
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (connects(AF_UNIX, types[i], &a, size, timeout_ms))
			return true;
	return false;
}

bool target_answers(const struct target *t, int timeout_ms)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *list = NULL;
	bool answers = false;

	if (t->is_unix)
		return answers_unix(t, timeout_ms);
	if (getaddrinfo(t->host, t->port, &hints, &list) != 0)
		return false;
	for (const struct addrinfo *a = list; a && !answers; a = a->ai_next)
		answers = connects(a->ai_family, SOCK_STREAM, a->ai_addr, a->ai_addrlen, timeout_ms);
	freeaddrinfo(list);
	return answers;
}

/* --- waiting
 * ---------------------------------------------------------------------------------------------------------- */

/* what the handler below tells when the time is up: a name may be looked up just then, which cannot be broken off */
static volatile sig_atomic_t missing_ready;
static char missing_text[512];

static void on_alarm(int number)
{
	static const char head[] = "docker-router-init: the time is up: still waiting for ";
	struct {
		const char *p;
		size_t n;
	} parts[] = {{head, sizeof(head) - 1}, {missing_text, missing_ready ? strlen(missing_text) : 0}, {"\n", 1}};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (write(STDERR_FILENO, parts[i].p, parts[i].n) < 0)
			break;
	_exit(1);
}

struct waiting {
	mono_t begun;
	bool said;
};

static void missing_set(struct waiting *w, const char *what)
{
	if (!missing_ready || !str_eq(missing_text, what)) {
		missing_ready = 0;
		str_copy(missing_text, what);
		missing_ready = 1;
	}
	if (!w->said && mono_now().us - w->begun.us >= SAY_US) {
		log_info("waiting", kv_str("for", what));
		w->said = true;
	}
}

static bool flag_is_wanted(void)
{
	const char *v = getenv("NETWORKWAIT");
	return v && *v && !str_eq(v, "0");
}

static const char *network_missing(const struct wait_options *o)
{
	for (size_t i = 0; i < o->n_ifs; i++) {
		const char *missing = interface_missing(o->ifs[i], o->address);
		if (missing)
			return missing;
	}
	return flag_is_wanted() && access(WAIT_FLAG, F_OK) < 0 ? WAIT_FLAG : NULL;
}

static void events_read(int fd)
{
	char in[8192];

	while (read(fd, in, sizeof(in)) > 0)
		;
}

static void network_wait(const struct wait_options *o, struct waiting *w)
{
	struct sockaddr_nl a = {.nl_family = AF_NETLINK,
				.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
	autoclose int nl = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	autoclose int folder = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct pollfd polls[] = {{.fd = nl, .events = POLLIN}, {.fd = folder, .events = POLLIN}};
	const char *missing;

	/* first the ears, then the eyes: nothing falls in between. Without ears it looks once a second. */
	if (nl >= 0 && bind(nl, (struct sockaddr *)&a, sizeof(a)) < 0)
		polls[0].fd = -1;
	if (folder >= 0 && flag_is_wanted())
		inotify_add_watch(folder, "/tmp", IN_CREATE | IN_MOVED_TO);
	while ((missing = network_missing(o))) {
		missing_set(w, missing);
		poll(polls, ARRAY_LEN(polls), LOOK_MS);
		if (polls[0].fd >= 0)
			events_read(nl);
		if (folder >= 0)
			events_read(folder);
	}
}

static void target_wait(const struct target *t, struct waiting *w)
{
	for (int ms = RETRY_MIN_MS; !target_answers(t, CONNECT_MS);
	     ms = ms * 2 < RETRY_MAX_MS ? ms * 2 : RETRY_MAX_MS) {
		autobuf struct buf safe = {0};
		str_safe(&safe, t->text);
		missing_set(w, safe.data);
		poll(NULL, 0, ms);
	}
}

bool wait_is_needed(const struct wait_options *o)
{
	return o->n_ifs || o->n_targets || flag_is_wanted();
}

int wait_run(const struct wait_options *o)
{
	struct waiting w = {.begun = mono_now()};
	struct itimerval timer = {.it_value.tv_sec = o->timeout_s};
	struct sigaction act = {.sa_handler = on_alarm};

	if (o->timeout_s && (sigaction(SIGALRM, &act, NULL) < 0 || setitimer(ITIMER_REAL, &timer, NULL) < 0))
		return -errno;
	if (o->n_ifs || flag_is_wanted())
		network_wait(o, &w);
	for (size_t i = 0; i < o->n_targets; i++)
		target_wait(&o->targets[i], &w);
	timer.it_value.tv_sec = 0;
	setitimer(ITIMER_REAL, &timer, NULL);
	return 0;
}
