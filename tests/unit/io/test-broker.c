/* SPDX-License-Identifier: Apache-2.0
 *
 * The broker from both ends of a socket pair: every operation, and clients that mean harm.
 */
#include "help.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "io/broker_wire.h"
#include "io/child.h"
#include "io/nic_conf.h"
#include "io/ns.h"

struct fixture {
	uv_loop_t loop;
	char dir[64];
	char run_dir[96];
	struct broker *broker;
	int raw; /* a client of its own making, over a server of its own */
	int code, fd, calls;
	char text[BROKER_TEXT_BYTES + 1];
	int order[8];
	bool done;
};

static struct broker *client_new(struct fixture *f, unsigned ops)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	assert_non_null(broker_serve(&f->loop, pair[0], f->run_dir, ops));
	return broker_connect(&f->loop, pair[1]);
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	int pair[2];

	loop_init(&f->loop);
	help_mkdir(f->dir);
	str_print(f->run_dir, "%s/run/89abcdef", f->dir);
	f->broker = client_new(f, BROKER_OPS_ROUTER);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	assert_non_null(broker_serve(&f->loop, pair[0], f->run_dir, BROKER_OPS_ROUTER));
	f->raw = pair[1];
	f->fd = -1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char path[160];

	for (int vni = 1; vni <= 8; vni++) {
		str_print(path, "%s/vni-%d", f->run_dir, vni);
		assert_int_equal(ns_unpin(path, NULL), 0);
	}
	broker_free(f->broker);
	close(f->raw);
	help_spin(&f->loop); /* the servers free themselves */
	loop_done(&f->loop);
	autoclose_(&f->fd);
	help_rm(f->dir);
	free(f);
	return 0;
}

static void on_answer(void *arg, int code, int fd, const char *text)
{
	struct fixture *f = arg;

	autoclose_(&f->fd);
	f->calls++;
	f->code = code;
	f->fd = fd;
	str_copy(f->text, text);
	f->done = true;
}

static int call_ns(struct fixture *f, enum broker_op op, const struct broker_ns *ns, int arg, int send_fd)
{
	f->done = false;
	broker_call(f->broker, op, ns, arg, send_fd, on_answer, f);
	assert_false(f->done); /* from the loop, never at once */
	assert_true(help_wait(&f->loop, &f->done));
	return f->code;
}

static int call(struct fixture *f, enum broker_op op, const char *name, int arg, int send_fd)
{
	struct broker_ns ns = {0};

	str_copy(ns.name, name);
	return call_ns(f, op, &ns, arg, send_fd);
}

static int sysctl_read(int ns, const char *name)
{
	char path[128], c = '?';
	struct ns_guard g;
	int fd;

	str_print(path, "/proc/sys/net/%s", name);
	assert_int_equal(ns_enter(ns, &g, NULL), 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, &c, 1) != 1)
		fail_msg("cannot read %s", path);
	close(fd);
	ns_leave(&g);
	return c - '0';
}

static void test_router_namespace(void **state)
{
	static const struct {
		const char *name;
		int value;
	} want[] = {
		{"ipv4/ip_forward", 1},
		{"ipv4/conf/all/rp_filter", 0},
		{"ipv4/conf/default/send_redirects", 0},
		{"ipv4/conf/all/accept_redirects", 0},
		{"ipv6/conf/all/forwarding", 1},
		{"ipv6/conf/default/accept_ra", 0},
		{"ipv6/conf/default/addr_gen_mode", 1},
	};
	struct ifreq ifr = {.ifr_name = "lo"};
	struct fixture *f = *state;
	int ns, fd;

	assert_int_equal(call(f, BROKER_OPEN, "vni:1", 0, -1), -ENOENT);
	assert_int_equal(f->fd, -1);
	assert_non_null(strstr(f->text, "vni-1"));
	assert_int_equal(call(f, BROKER_OPEN, "vni:1", BROKER_CREATE, -1), 0);
	ns = steal_fd(f->fd);
	assert_true(ns >= 0);
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		if (sysctl_read(ns, want[i].name) != want[i].value)
			fail_msg("%s is not %d", want[i].name, want[i].value);
	fd = ns_socket(ns, AF_INET, SOCK_DGRAM, 0, NULL);
	assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &ifr), 0);
	assert_true(ifr.ifr_flags & IFF_UP);
	close(fd);
	/* what somebody turned off is on again with the next open, and it is the same namespace */
	assert_int_equal(ns_sysctl(ns, "ipv4/ip_forward", "0", NULL), 0);
	assert_int_equal(call(f, BROKER_OPEN, "vni:1", 0, -1), 0);
	assert_true(ns_same(ns, f->fd));
	assert_int_equal(sysctl_read(ns, "ipv4/ip_forward"), 1);
	close(ns);
}

static void test_list_and_remove(void **state)
{
	struct fixture *f = *state;
	autofree char *stale = NULL;

	assert_int_equal(call_ns(f, BROKER_LIST, NULL, 0, -1), 0);
	assert_string_equal(f->text, "");
	assert_int_equal(call(f, BROKER_OPEN, "vni:7", BROKER_CREATE, -1), 0);
	assert_int_equal(call_ns(f, BROKER_LIST, NULL, 0, -1), 0);
	assert_string_equal(f->text, "7\n");
	/* a file that is no pin (any more): not listed, replaced when the namespace is wanted, removed when not */
	stale = xasprintf("%s/vni-8", f->run_dir);
	close(open(stale, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	assert_int_equal(call_ns(f, BROKER_LIST, NULL, 0, -1), 0);
	assert_string_equal(f->text, "7\n");
	assert_int_equal(call(f, BROKER_OPEN, "vni:8", 0, -1), -EINVAL);
	assert_int_equal(call(f, BROKER_OPEN, "vni:8", BROKER_CREATE, -1), 0);
	assert_int_equal(call(f, BROKER_REMOVE, "vni:8", 0, -1), 0);
	assert_int_equal(call(f, BROKER_REMOVE, "vni:8", 0, -1), 0);
	assert_int_equal(call(f, BROKER_REMOVE, "vni:7", 0, -1), 0);
	assert_int_equal(call_ns(f, BROKER_LIST, NULL, 0, -1), 0);
	assert_string_equal(f->text, "");
	assert_int_equal(call(f, BROKER_OPEN, "vni:7", 0, -1), -ENOENT);
}

static void test_host_and_netlink(void **state)
{
	struct fixture *f = *state;
	int home = ns_open("/proc/self/ns/net", NULL), protocol = -1;
	socklen_t len = sizeof(protocol);

	assert_int_equal(call(f, BROKER_OPEN, "host", 0, -1), 0);
	assert_true(ns_same(home, f->fd));
	close(home);
	assert_int_equal(call(f, BROKER_OPEN, "vni:2", BROKER_CREATE, -1), 0);
	assert_int_equal(call(f, BROKER_NETLINK, "vni:2", NETLINK_NETFILTER, -1), 0);
	assert_int_equal(getsockopt(f->fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len), 0);
	assert_int_equal(protocol, NETLINK_NETFILTER);
	assert_int_equal(fcntl(f->fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(call(f, BROKER_NETLINK, "vni:3", NETLINK_ROUTE, -1), -ENOENT);
}

static int memfd(const char *text)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	return fd; /* left at its end: the broker rewinds */
}

static void test_nft(void **state)
{
	struct fixture *f = *state;
	int good = memfd("{\"nftables\":[{\"add\":{\"table\":{\"family\":\"inet\",\"name\":\"docker-router\"}}}]}");
	int bad =
		memfd("{\"nftables\":[{\"add\":{\"chain\":{\"family\":\"inet\",\"table\":\"none\",\"name\":\"c\"}}}]}");
	int pipe_ends[2];

	if (system("nft --version >/dev/null 2>&1") != 0)
		skip();
	assert_int_equal(call(f, BROKER_OPEN, "vni:3", BROKER_CREATE, -1), 0);
	assert_int_equal(call(f, BROKER_NFT, "vni:3", 0, good), 0);
	assert_int_equal(call(f, BROKER_NFT, "vni:3", 0, bad), -EINVAL);
	assert_non_null(strstr(f->text, "No such file or directory"));
	/* it was there that it ran, and not here */
	assert_int_not_equal(system("nft list table inet docker-router 2>/dev/null"), 0);
	autofree char *list =
		xasprintf("nsenter --net=%s/vni-3 nft list table inet docker-router >/dev/null", f->run_dir);
	assert_int_equal(system(list), 0);
	assert_int_equal(call(f, BROKER_NFT, "vni:4", 0, good), -ENOENT);
	assert_int_equal(call(f, BROKER_NFT, "vni:3", 0, -1), -EINVAL);
	assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
	assert_int_equal(call(f, BROKER_NFT, "vni:3", 0, pipe_ends[0]), -EINVAL); /* would not end */
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	close(good);
	close(bad);
}

struct ordered {
	struct fixture *f;
	int n;
};

static void on_ordered(void *arg, int code, int fd, const char *text)
{
	struct ordered *o = arg;

	(void)text;
	assert_int_equal(fd, -1);
	if (code != 0)
		fail_msg("transaction %d: %s", o->n, text);
	o->f->order[o->f->calls++] = o->n;
	o->f->done = o->f->calls == 6;
}

/* Of one namespace in the order they were asked; six at once are more than run at a time */
static void test_nft_keeps_the_order(void **state)
{
	struct fixture *f = *state;
	struct broker_ns ns = {.name = "vni:3"};
	struct ordered o[6];
	char text[200];

	if (system("nft --version >/dev/null 2>&1") != 0)
		skip();
	assert_int_equal(call(f, BROKER_OPEN, "vni:3", BROKER_CREATE, -1), 0);
	f->calls = 0;
	f->done = false;
	for (int i = 0; i < 6; i++) { /* each needs what the one before it made */
		if (i == 0)
			str_print(text, "{\"nftables\":[{\"create\":{\"table\":{\"family\":\"ip\",\"name\":\"t\"}}}]}");
		else if (i % 2)
			str_print(text, "{\"nftables\":[{\"delete\":{\"table\":{\"family\":\"ip\",\"name\":\"t\"}}}]}");
		else
			str_print(text, "{\"nftables\":[{\"create\":{\"table\":{\"family\":\"ip\",\"name\":\"t\"}}}]}");
		int fd = memfd(text);
		o[i] = (struct ordered){.f = f, .n = i};
		broker_call(f->broker, BROKER_NFT, &ns, 0, fd, on_ordered, &o[i]);
		close(fd);
	}
	assert_true(help_wait(&f->loop, &f->done));
	for (int i = 0; i < 6; i++)
		assert_int_equal(f->order[i], i);
}

static void on_child_end(void *arg, const struct child_result *r)
{
	(void)arg;
	(void)r;
}

static void test_container(void **state)
{
	struct fixture *f = *state;
	struct broker_ns ns = {.name = "ct:0123abcd"};
	char folder[96], pin[128], link[128];
	struct child_spec spec = {.argv = (const char *const[]){"sleep", "1000", NULL}, .stdin_fd = -1};
	struct child *child;
	int ct;

	str_print(folder, "%s/netns", f->dir);
	assert_int_equal(mkdir(folder, 0755), 0);
	str_print(pin, "%s/0123abcd", folder);
	ct = ns_create(pin, NULL);
	assert_true(ct >= 0);
	/* by its sandbox key */
	str_copy(ns.sandbox, pin);
	assert_int_equal(call_ns(f, BROKER_OPEN, &ns, 0, -1), 0);
	assert_true(ns_same(f->fd, ct));
	/* by its pid, when the key is stale */
	spec.ns_fd = ct;
	assert_int_equal(child_spawn(&f->loop, &spec, on_child_end, f, &child, NULL), 0);
	ns.pid = child_pid(child);
	str_print(ns.sandbox, "%s/gone", folder);
	assert_int_equal(call_ns(f, BROKER_OPEN, &ns, 0, -1), 0);
	assert_true(ns_same(f->fd, ct));
	/* a pid that is used again: of a container whose whole id is known, only a process in its control group counts
	 */
	str_print(ns.name, "ct:%064d", 7);
	assert_int_equal(call_ns(f, BROKER_OPEN, &ns, 0, -1), -ENOENT);
	assert_int_equal(f->fd, -1);
	str_copy(ns.name, "ct:0123abcd");
	child_signal(child, SIGKILL);
	child_forget(child);
	while (kill(ns.pid, 0) == 0)
		uv_run(&f->loop, UV_RUN_ONCE);
	/* what uses the host's own network is nobody to be touched */
	ns.pid = getpid();
	assert_int_equal(call_ns(f, BROKER_OPEN, &ns, 0, -1), -EPERM);
	assert_int_equal(f->fd, -1);
	/* a key that leads elsewhere by a symlink, the last one or one on the way; a key that is a file */
	ns.pid = 0;
	str_print(link, "%s/link", folder);
	assert_int_equal(symlink(pin, link), 0);
	str_copy(ns.sandbox, link);
	assert_int_equal(call_ns(f, BROKER_OPEN, &ns, 0, -1), -ELOOP);
	str_print(link, "%s/deep", f->dir);
	assert_int_equal(mkdir(link, 0755), 0);
	str_print(link, "%s/deep/netns", f->dir);
	assert_int_equal(symlink("/etc", link), 0);
	str_print(ns.sandbox, "%s/deep/netns/passwd", f->dir);
	assert_int_equal(call_ns(f, BROKER_OPEN, &ns, 0, -1), -EPERM);
	str_print(ns.sandbox, "%s/file", folder);
	close(open(ns.sandbox, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	assert_int_equal(call_ns(f, BROKER_OPEN, &ns, 0, -1), -EINVAL);
	/* nothing known at all */
	ns.sandbox[0] = '\0';
	assert_int_equal(call_ns(f, BROKER_OPEN, &ns, 0, -1), -ENOENT);
	close(ct);
	assert_int_equal(ns_unpin(pin, NULL), 0);
}

static void test_ipv6_on(void **state)
{
	struct fixture *f = *state;
	struct broker_ns ns = {.name = "ct:0123abcd", .iface = "dr1"};
	char folder[96];
	int ct;

	str_print(folder, "%s/netns", f->dir);
	assert_int_equal(mkdir(folder, 0755), 0);
	str_print(ns.sandbox, "%s/0123abcd", folder);
	ct = ns_create(ns.sandbox, NULL);
	autofree char *add = xasprintf("nsenter --net=%s ip link add dev dr1 type veth", ns.sandbox);
	if (system(add) != 0)
		fail_msg("cannot make a veth");
	assert_int_equal(ns_sysctl(ct, "ipv6/conf/dr1/disable_ipv6", "1", NULL), 0);
	assert_int_equal(call_ns(f, BROKER_IPV6_ON, &ns, 0, -1), 0);
	assert_int_equal(sysctl_read(ct, "ipv6/conf/dr1/disable_ipv6"), 0);
	assert_int_equal(sysctl_read(ct, "ipv6/conf/dr1/addr_gen_mode"), 1);
	str_copy(ns.iface, "dr2");
	assert_int_equal(call_ns(f, BROKER_IPV6_ON, &ns, 0, -1), -ENOENT);
	close(ct);
	assert_int_equal(ns_unpin(ns.sandbox, NULL), 0);
}

/* /sys shows another namespace than that of the device */
static void test_gather(void **state)
{
	struct fixture *f = *state;
	struct broker_ns ns = {.name = "vni:9", .iface = "vx9wg"};
	char pin[128];

	assert_int_equal(call_ns(f, BROKER_OPEN, &ns, BROKER_CREATE, -1), -EINVAL); /* takes no interface */
	assert_int_equal(call(f, BROKER_OPEN, "vni:9", BROKER_CREATE, -1), 0);
	assert_int_equal(call_ns(f, BROKER_GATHER, &ns, 0, -1), -ENOENT);
	str_print(pin, "%s/vni-9", f->run_dir);
	autofree char *in = xasprintf("nsenter --net=%s ip link add dev vx9wg type veth", pin);
	if (system(in) != 0)
		fail_msg("cannot make a device");
	assert_int_equal(call_ns(f, BROKER_GATHER, &ns, 0, -1), 0);
	autofree char *read =
		xasprintf("test $(nsenter --net=%s unshare --mount sh -c 'mount -t sysfs sysfs /sys && cat "
			  "/sys/class/net/vx9wg/gro_flush_timeout') = 100000",
			  pin);
	assert_int_equal(system(read), 0);
	assert_int_equal(call(f, BROKER_REMOVE, "vni:9", 0, -1), 0);
}

static void conf_try(int conf, int ct, const char *sandbox)
{
	autofree char *add = xasprintf("nsenter --net=%s ip link add dev drconf1 type veth peer name drconf2", sandbox);
	struct err err = {0};

	if (system(add) != 0)
		fail_msg("cannot make a veth");
	assert_int_equal(nic_conf_write(conf, "drconf1", BROKER_NIC_NO_IPV6, &err), 0);
	assert_int_equal(sysctl_read(ct, "ipv6/conf/drconf1/disable_ipv6"), 1);
	assert_int_equal(sysctl_read(ct, "ipv6/conf/drconf1/accept_ra"), 0);
	assert_int_equal(sysctl_read(ct, "ipv6/conf/drconf1/autoconf"), 0);
	assert_int_equal(nic_conf_write(conf, "drconf1", BROKER_NIC_RA | BROKER_NIC_AUTOCONF, &err), 0);
	assert_int_equal(sysctl_read(ct, "ipv6/conf/drconf1/disable_ipv6"), 0);
	assert_int_equal(sysctl_read(ct, "ipv6/conf/drconf1/accept_ra"), 2);
	assert_int_equal(sysctl_read(ct, "ipv6/conf/drconf1/autoconf"), 1);
	assert_int_equal(sysctl_read(ct, "ipv6/conf/drconf2/accept_ra"), 1);
	assert_int_equal(nic_conf_write(conf, "drconf3", 0, &err), -ENOENT);
	assert_non_null(strstr(err.text, "drconf3"));
}

/* The directory is that of the container also for us, who never were in it; and has an interface that came later */
static void test_nic_conf(void **state)
{
	struct fixture *f = *state;
	struct broker_ns ns = {.name = "ct:0123abcd"};
	char folder[96];
	int ct, code;

	str_print(folder, "%s/netns", f->dir);
	assert_int_equal(mkdir(folder, 0755), 0);
	str_print(ns.sandbox, "%s/0123abcd", folder);
	ct = ns_create(ns.sandbox, NULL);
	assert_int_equal(call_ns(f, BROKER_NIC_CONF, &ns, 0, -1), -EPERM); /* not for the router */
	broker_free(f->broker);
	f->broker = client_new(f, BROKER_OPS_ATTACH);
	code = call_ns(f, BROKER_NIC_CONF, &ns, 0, -1);
	if (code != -EROFS) { /* in a container there is none, and BROKER_NIC_SYSCTL does it */
		assert_int_equal(code, 0);
		conf_try(f->fd, ct, ns.sandbox);
	}
	close(ct);
	assert_int_equal(ns_unpin(ns.sandbox, NULL), 0);
}

/* --- what names asks for --- */

static struct sockaddr_in inet(const char *address, uint16_t port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};

	assert_int_equal(inet_pton(AF_INET, address, &sin.sin_addr), 1);
	return sin;
}

static int udp_bound(int ns, const char *address, uint16_t port)
{
	struct sockaddr_in sin = inet(address, port);
	int fd = ns_socket(ns, AF_INET, SOCK_DGRAM, 0, NULL);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	return fd;
}

/* On the loopback a datagram is there when sendto() returns. Return: its length, or -1; who sent it */
static ssize_t udp_receive(int fd, struct sockaddr_in *ret_from)
{
	socklen_t len = sizeof(*ret_from);
	char in[64];

	return recvfrom(fd, in, sizeof(in), MSG_DONTWAIT, (struct sockaddr *)ret_from, &len);
}

static void must_be(const struct sockaddr_in *got, const char *address, uint16_t port)
{
	struct sockaddr_in want = inet(address, port);

	assert_int_equal(got->sin_addr.s_addr, want.sin_addr.s_addr);
	if (port)
		assert_int_equal(got->sin_port, want.sin_port);
}

static void test_dns(void **state)
{
	struct sockaddr_in resolver = inet("127.0.0.11", 53), from;
	struct fixture *f = *state;
	struct broker_ns ns = {.name = "ct:0123abcd"};
	int ct, docker, client, listener, ask, rule, port;
	socklen_t len = sizeof(from);
	char folder[96];

	str_print(folder, "%s/netns", f->dir);
	assert_int_equal(mkdir(folder, 0755), 0);
	str_print(ns.sandbox, "%s/0123abcd", folder);
	ct = ns_create(ns.sandbox, NULL);
	/* not for the router; and names gets nothing else */
	assert_int_equal(call_ns(f, BROKER_DNS_RULE, &ns, 1, -1), -EPERM);
	broker_free(f->broker);
	f->broker = client_new(f, BROKER_OPS_NAMES);
	assert_int_equal(call_ns(f, BROKER_OPEN, &ns, 0, -1), -EPERM);
	assert_int_equal(call_ns(f, BROKER_LIST, NULL, 0, -1), -EPERM);
	assert_int_equal(call_ns(f, BROKER_DNS, &ns, 2, -1), -EINVAL);

	/* a container so young that it has no loopback */
	assert_int_equal(call_ns(f, BROKER_DNS, &ns, BROKER_DNS_ASK, -1), -ENETUNREACH);
	autofree char *up = xasprintf("nsenter --net=%s ip link set lo up", ns.sandbox);
	assert_int_equal(system(up), 0);
	docker = udp_bound(ct, "127.0.0.11", 53);
	client = udp_bound(ct, "127.0.0.1", 0);

	assert_int_equal(call_ns(f, BROKER_DNS, &ns, BROKER_DNS_LISTEN, -1), 0);
	listener = steal_fd(f->fd);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&from, &len), 0);
	port = ntohs(from.sin_port);
	assert_int_equal(call_ns(f, BROKER_DNS, &ns, BROKER_DNS_ASK, -1), 0);
	ask = steal_fd(f->fd);
	assert_int_equal(call_ns(f, BROKER_DNS_RULE, &ns, port, -1), 0);
	rule = steal_fd(f->fd);
	assert_int_equal(call_ns(f, BROKER_DNS_RULE, &ns, port, -1), -EPERM);

	/* a query of the container comes to us, what we ask goes to Docker, and each sees who it expects */
	assert_int_equal(sendto(client, "q", 1, 0, (struct sockaddr *)&resolver, sizeof(resolver)), 1);
	assert_int_equal(udp_receive(docker, &from), -1);
	assert_int_equal(udp_receive(listener, &from), 1);
	must_be(&from, "127.0.0.1", 0);
	assert_int_equal(send(ask, "qq", 2, 0), 2);
	assert_int_equal(sendto(listener, "a", 1, 0, (struct sockaddr *)&from, sizeof(from)), 1);
	assert_int_equal(udp_receive(client, &from), 1);
	must_be(&from, "127.0.0.11", 53);
	assert_int_equal(udp_receive(docker, &from), 2);
	must_be(&from, DNS_ADDRESS, 0);
	assert_int_equal(sendto(docker, "aa", 2, 0, (struct sockaddr *)&from, sizeof(from)), 2);
	assert_int_equal(udp_receive(ask, &from), 2);
	must_be(&from, "127.0.0.11", 53);

	/* without the descriptor there is no rule: Docker's resolver is asked again, by whoever asks anew */
	close(rule);
	close(client);
	client = udp_bound(ct, "127.0.0.1", 0);
	assert_int_equal(sendto(client, "q", 1, 0, (struct sockaddr *)&resolver, sizeof(resolver)), 1);
	assert_int_equal(udp_receive(listener, &from), -1);
	assert_int_equal(udp_receive(docker, &from), 1);
	assert_int_equal(call_ns(f, BROKER_DNS_RULE, &ns, port, -1), 0);
	close(client);
	close(docker);
	close(listener);
	close(ask);
	close(ct);
	assert_int_equal(ns_unpin(ns.sandbox, NULL), 0);
}

/* --- clients that mean harm --- */

static int raw_answer(struct fixture *f, uint32_t *ret_id)
{
	_Alignas(struct broker_reply) char in[sizeof(struct broker_reply) + BROKER_TEXT_BYTES];
	int64_t end_us = mono_now().us + DEADLINE_US;
	const struct broker_reply *r = (void *)in;
	ssize_t n;

	while ((n = recv(f->raw, in, sizeof(in), 0)) < 0 && mono_now().us < end_us)
		uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_true(n >= (ssize_t)sizeof(*r));
	assert_int_equal(n, sizeof(*r) + r->text_len);
	*ret_id = r->id;
	return r->code;
}

static void test_garbage(void **state)
{
	struct fixture *f = *state;
	struct broker_request r = {.magic = BROKER_MAGIC, .id = 77, .op = 99};
	autofree char *big = xcalloc(1, 60000);
	uint32_t id;

	assert_int_equal(send(f->raw, "x", 1, 0), 1);
	assert_int_equal(raw_answer(f, &id), -EBADMSG);
	assert_int_equal(send(f->raw, big, 60000, 0), 60000);
	assert_int_equal(raw_answer(f, &id), -EBADMSG);
	assert_int_equal(send(f->raw, &r, sizeof(r), 0), sizeof(r));
	assert_int_equal(raw_answer(f, &id), -EINVAL);
	assert_int_equal(id, 77);
	/* and after all that it serves */
	r.op = BROKER_LIST;
	str_copy(r.ns.name, "host");
	assert_int_equal(send(f->raw, &r, sizeof(r), 0), sizeof(r));
	assert_int_equal(raw_answer(f, &id), 0);
}

static size_t open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void raw_send_fds(struct fixture *f, const struct broker_request *r, size_t n_fds)
{
	char control[CMSG_SPACE(16 * sizeof(int))] __attribute__((aligned(8))) = {0};
	struct iovec iov = {.iov_base = (void *)r, .iov_len = sizeof(*r)};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = CMSG_SPACE(n_fds * sizeof(int))};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int fds[16];

	for (size_t i = 0; i < n_fds; i++)
		fds[i] = f->raw;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
	memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	assert_int_equal(sendmsg(f->raw, &m, 0), sizeof(*r));
}

static void test_descriptors_do_not_pile_up(void **state)
{
	struct fixture *f = *state;
	struct broker_request r = {.magic = BROKER_MAGIC, .op = BROKER_LIST, .ns.name = "host"};
	size_t before = open_fds();
	uint32_t id;

	for (int i = 0; i < 50; i++) {
		raw_send_fds(f, &r, 1);
		assert_int_equal(raw_answer(f, &id), -EINVAL); /* takes none */
		raw_send_fds(f, &r, 8);
		assert_int_equal(raw_answer(f, &id), 0); /* several count as none */
		raw_send_fds(f, &r, 16);
		assert_int_equal(raw_answer(f, &id), 0);
	}
	assert_int_equal(open_fds(), before);
}

/* One that asks and does not listen must not make the server keep its answers without bound */
static void test_flood(void **state)
{
	struct fixture *f = *state;
	struct broker_request r = {.magic = BROKER_MAGIC, .op = BROKER_LIST, .ns.name = "host"};
	unsigned sent = 0, refused = 0;
	uint32_t id;

	while (refused < 50 && sent < 100000) {
		r.id = sent;
		if (send(f->raw, &r, sizeof(r), 0) == sizeof(r)) {
			sent++;
			refused = 0;
		} else {
			refused++;
			help_spin(&f->loop);
		}
	}
	assert_int_equal(refused, 50); /* it stopped reading, and did not begin again */
	assert_true(sent > 10);
	/* the other client is served meanwhile, and in the end no answer is missing */
	assert_int_equal(call_ns(f, BROKER_LIST, NULL, 0, -1), 0);
	for (unsigned i = 0; i < sent; i++) {
		assert_int_equal(raw_answer(f, &id), 0);
		assert_int_equal(id, i);
	}
}

static void test_broker_goes_away(void **state)
{
	struct fixture *f = *state;
	struct broker_ns ns = {.name = "host"};
	struct broker *b;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	b = broker_connect(&f->loop, pair[0]);
	broker_call(b, BROKER_OPEN, &ns, 0, -1, on_answer, f);
	broker_call(b, BROKER_LIST, NULL, 0, -1, on_answer, f);
	close(pair[1]);
	while (f->calls < 2) {
		f->done = false;
		assert_true(help_wait(&f->loop, &f->done));
		assert_int_equal(f->code, -ECONNRESET);
	}
	/* and who calls after that is told too */
	f->done = false;
	broker_call(b, BROKER_OPEN, &ns, 0, -1, on_answer, f);
	assert_false(f->done);
	assert_true(help_wait(&f->loop, &f->done));
	assert_int_equal(f->code, -ECONNRESET);
	broker_free(b);
}

static void on_answer_free(void *arg, int code, int fd, const char *text)
{
	struct fixture *f = arg;

	(void)text;
	autoclose_(&fd);
	f->code = code;
	f->calls++;
	broker_free(f->broker);
	f->broker = NULL;
	f->done = true;
}

static void test_freed_in_its_callback(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 3; i++)
		broker_call(f->broker, BROKER_LIST, NULL, 0, -1, on_answer_free, f);
	assert_true(help_wait(&f->loop, &f->done));
	help_spin(&f->loop);
	assert_int_equal(f->calls, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_router_namespace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_list_and_remove, setup, teardown),
		cmocka_unit_test_setup_teardown(test_host_and_netlink, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nft, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nft_keeps_the_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_container, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ipv6_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gather, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nic_conf, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dns, setup, teardown),
		cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_descriptors_do_not_pile_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flood, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broker_goes_away, setup, teardown),
		cmocka_unit_test_setup_teardown(test_freed_in_its_callback, setup, teardown),
	};

	if (!help_own_namespaces())
		return help_skip_all("needs root");
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
