/* SPDX-License-Identifier: Apache-2.0
 *
 * The broker itself. Every request has passed broker_request_check() before it comes here. All but BROKER_NFT is done
 * at once, in system calls that do not wait; nft runs as a child inside the namespace, a few at a time, and two
 * transactions for one namespace never change places.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/addr.h"
#include "base/log.h"
#include "io/broker_wire.h"
#include "io/child.h"
#include "io/ct_file.h"
#include "io/dhcp_child.h"
#include "io/dns_rule.h"
#include "io/file.h"
#include "io/forward_rule.h"
#include "io/forward_table.h"
#include "io/instance.h"
#include "io/nic_conf.h"
#include "io/ns.h"
#include "io/seqpacket.h"
#include "io/wireguard_child.h"

/* GRO holds a packet for so long, and lets go at once what its sender has marked (PSH) */
#define GATHER_NS "100000"

#define NFT_RUNNING_MAX	 4
#define NFT_WAITING_MAX	 256 /* more, and no request is read until some have run */
#define NFT_TIMEOUT_MS	 30000
#define NFT_BYTES_MAX	 (64 << 20)
#define NFT_STDERR_BYTES 1024

/* One nft transaction, waiting (child NULL) or running */
struct nft_job {
	struct broker_server *server;
	uint32_t id;
	char name[sizeof(((struct broker_ns *)0)->name)];
	int ns_fd, input_fd;
	bool as_text; /* nft's own language, made by us */
	struct child *child;
};

struct flag {
	char name[sizeof(((struct broker_ns *)0)->name)];
	int dir;
};

struct broker_server {
	uv_loop_t *loop;
	struct seqpacket *link;
	char run_dir[256];
	unsigned ops; /* that are done for this client */
	int host_ns;
	struct wireguard_child *wireguard;
	struct dhcp_children *dhcp;
	struct flag *flags; /* that were made: their directories, for when the container has stopped */
	size_t n_flags, cap_flags;
	struct nft_job **jobs; /* in the order they came */
	size_t n_jobs, cap_jobs;
};

static void server_reply(struct broker_server *s, uint32_t id, int code, int fd, const char *text)
{
	size_t len = strnlen(text, BROKER_TEXT_BYTES);
	autofree struct broker_reply *r = xcalloc(1, sizeof(*r) + len);

	r->magic = BROKER_MAGIC;
	r->id = id;
	r->code = code;
	r->text_len = (uint32_t)len;
	memcpy(r->text, text, len);
	seqpacket_send(s->link, r, sizeof(*r) + len, fd);
}

/* --- router namespaces --- */

/*
 * What makes a namespace a router: it forwards, believes asymmetric paths, and neither sends nor takes redirects or
 * addresses that strangers announce. Names are of this namespace only, values are those it must have at any time.
 */
static const char *const forward_sysctls[][2] = {{"ipv4/ip_forward", "1"}, {"ipv6/conf/all/forwarding", "1"}};
static const char *const router_sysctls[][2] = {
	{"ipv4/conf/all/rp_filter", "0"},	 {"ipv4/conf/default/rp_filter", "0"},
	{"ipv4/conf/all/send_redirects", "0"},	 {"ipv4/conf/default/send_redirects", "0"},
	{"ipv4/conf/all/accept_redirects", "0"}, {"ipv4/conf/default/accept_redirects", "0"},
	{"ipv6/conf/all/accept_ra", "0"},	 {"ipv6/conf/default/accept_ra", "0"},
	{"ipv6/conf/all/accept_redirects", "0"}, {"ipv6/conf/default/accept_redirects", "0"},
	{"ipv6/conf/default/autoconf", "0"},	 {"ipv6/conf/default/addr_gen_mode", "1"},
};

static int loopback_up(int ns_fd, struct err *err)
{
	struct ifreq ifr = {.ifr_name = "lo"};
	autoclose int fd = ns_socket(ns_fd, AF_INET, SOCK_DGRAM, 0, err);

	if (fd < 0)
		return fd;
	if (ioctl(fd, SIOCGIFFLAGS, &ifr) < 0)
		return err_errno(err, -errno, "lo");
	if (ifr.ifr_flags & IFF_UP)
		return 0;
	ifr.ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &ifr) < 0 ? err_errno(err, -errno, "set lo up") : 0;
}

static int sysctls_set(int ns_fd, const char *const (*v)[2], size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		int rc = ns_sysctl(ns_fd, v[i][0], v[i][1], err);
		if (rc < 0 && rc != -ENOENT) /* a kernel without IPv6 has no such names, and needs none */
			return rc;
	}
	return 0;
}

static int router_setup(int ns_fd, bool forwards, struct err *err)
{
	int rc = forwards ? sysctls_set(ns_fd, forward_sysctls, ARRAY_LEN(forward_sysctls), err) : 0;

	if (rc == 0)
		rc = sysctls_set(ns_fd, router_sysctls, ARRAY_LEN(router_sysctls), err);
	return rc < 0 ? rc : loopback_up(ns_fd, err);
}

static void pin_path(const struct broker_server *s, const struct broker_ask *ask, char ret[static 288])
{
	if (ask->target == TARGET_WIREGUARD)
		snprintf(ret, 288, "%s/" PIN_WIREGUARD, s->run_dir);
	else
		snprintf(ret, 288, "%s/vni-%u", s->run_dir, ask->vni);
}

static int open_pinned(const struct broker_server *s, const struct broker_ask *ask, struct err *err)
{
	char path[288];
	int fd, rc;

	pin_path(s, ask, path);
	fd = ns_open(path, err);
	if ((fd == -ENOENT || fd == -EINVAL) && ask->op == BROKER_OPEN && ask->arg & BROKER_CREATE) {
		/* -EINVAL: a pin whose mount went with the machine or the container that made it */
		rc = fd == -EINVAL ? ns_unpin(path, err) : dir_make(s->run_dir, 0755, err);
		if (rc < 0)
			return rc;
		fd = ns_create(path, err);
	}
	if (fd < 0 || ask->op != BROKER_OPEN)
		return fd;
	rc = router_setup(fd, ask->target == TARGET_VNI || ask->arg & BROKER_RELAY, err);
	if (rc < 0) {
		close(fd);
		return err_wrap(err, "%s", ask->ns.name);
	}
	return fd;
}

static int list_vnis(const struct broker_server *s, struct buf *out, struct err *err)
{
	DIR *dir = opendir(s->run_dir);

	if (!dir)
		return errno == ENOENT ? 0 : err_errno(err, -errno, "%s", s->run_dir);
	for (struct dirent *e; (e = readdir(dir));) {
		char path[576];
		uint64_t vni;
		int fd;

		bool wireguard = str_eq(e->d_name, PIN_WIREGUARD);
		if (!wireguard &&
		    (strncmp(e->d_name, "vni-", 4) != 0 || parse_u64(e->d_name + 4, 1, VNI_MAX, &vni) < 0))
			continue;
		str_print(path, "%s/%s", s->run_dir, e->d_name);
		fd = ns_open(path, NULL);
		if (fd < 0)
			continue;
		close(fd);
		if (out->len + 10 >= BROKER_TEXT_BYTES)
			continue;
		if (wireguard)
			buf_puts(out, PIN_WIREGUARD "\n");
		else
			buf_printf(out, "%llu\n", (unsigned long long)vni);
	}
	closedir(dir);
	return 0;
}

/* --- containers --- */

static int path_in_root(int root, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = {.flags = O_CLOEXEC | O_PATH | flags, .resolve = resolve | RESOLVE_NO_MAGICLINKS};
	int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/*
 * Open a sandbox key as seen from @root ("/" or "/proc/1/root"). Symlinks on the way are followed within that root
 * (/var/run is one), and where they lead is checked again; the last component must not be one.
 */
static int open_sandbox_in(const char *root, const char *sandbox, struct err *err)
{
	autoclose int root_fd = -1, dir_fd = -1, fd = -1;
	const char *base = strrchr(sandbox, '/') + 1;
	char dir[256], real[512], proc[40];
	ssize_t n;

	root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return err_errno(err, -errno, "%s", root);
	snprintf(dir, sizeof(dir), "%.*s", (int)(base - sandbox), sandbox);
	dir_fd = path_in_root(root_fd, dir, O_DIRECTORY, RESOLVE_IN_ROOT);
	if (dir_fd < 0)
		return err_errno(err, dir_fd, "%s", sandbox);
	str_print(proc, "/proc/self/fd/%d", dir_fd);
	n = readlink(proc, real, sizeof(real) - 1);
	if (n < 0)
		return err_errno(err, -errno, "%s", sandbox);
	real[n] = '\0';
	if (!broker_sandbox_dir_ok(real, base))
		return err_set(err, -EPERM, "%s: leads out of the places for sandbox keys", sandbox);
	fd = path_in_root(dir_fd, base, 0, RESOLVE_NO_SYMLINKS);
	if (fd < 0)
		return err_errno(err, fd, "%s", sandbox);
	str_print(proc, "/proc/self/fd/%d", fd);
	return ns_open(proc, err);
}

/* The reason for the first failure is the one to tell: the others are only what was tried next */
static int open_container(const struct broker_server *s, const struct broker_ask *ask, struct err *err)
{
	int fd = -ENOENT, rc;
	char path[48];

	if (ask->ns.sandbox[0]) {
		fd = rc = open_sandbox_in("/", ask->ns.sandbox, err);
		if (fd < 0) /* we may sit in a container of our own, with the host's processes in sight */
			fd = open_sandbox_in("/proc/1/root", ask->ns.sandbox, NULL);
	} else {
		rc = err_set(err, -ENOENT, "%s: neither sandbox nor pid is known", ask->ns.name);
	}
	/* a pid is used again: a process that is not in the container's control group is somebody else by now */
	if (fd < 0 && ask->ns.pid > 0 && ct_pid_is(ask->ns.pid, ask->ns.name + 3)) {
		str_print(path, "/proc/%d/ns/net", ask->ns.pid);
		fd = ns_open(path, ask->ns.sandbox[0] ? NULL : err);
		if (fd < 0 && !ask->ns.sandbox[0])
			rc = fd;
	}
	if (fd >= 0 && ns_same(fd, s->host_ns)) {
		close(fd);
		return err_set(err, -EPERM, "%s: uses the host's network", ask->ns.name);
	}
	return fd < 0 ? rc : fd;
}

static int open_target(const struct broker_server *s, const struct broker_ask *ask, struct err *err)
{
	int fd = -EINVAL;

	switch (ask->target) {
	case TARGET_HOST:
		fd = fcntl(s->host_ns, F_DUPFD_CLOEXEC, 3);
		return fd < 0 ? err_errno(err, -errno, "host") : fd;
	case TARGET_VNI:
	case TARGET_WIREGUARD:
		return open_pinned(s, ask, err);
	case TARGET_CONTAINER:
		return open_container(s, ask, err);
	case TARGET_N_:
		break;
	}
	return fd;
}

static int ipv6_on(int ns_fd, const char *iface, struct err *err)
{
	char name[64];
	int rc;

	str_print(name, "ipv6/conf/%s/addr_gen_mode", iface);
	rc = ns_sysctl(ns_fd, name, "1", err);
	if (rc < 0)
		return rc;
	str_print(name, "ipv6/conf/%s/disable_ipv6", iface);
	return ns_sysctl(ns_fd, name, "0", err);
}

static int dns_open(const struct broker_ask *ask, int ns_fd, struct err *err)
{
	if (ask->op == BROKER_DNS_RULE)
		return dns_rule_open(ns_fd, (uint16_t)ask->arg, err);
	return ask->arg == BROKER_DNS_ASK ? dns_ask_open(ns_fd, err) : dns_listen_open(ns_fd, err);
}

/* --- what attach wants of a container --- */

static int nic_sysctl(int ns_fd, const struct broker_ask *ask, struct err *err)
{
	struct nic_conf conf[NIC_CONF_N];
	char name[64];

	nic_conf_make(ask->arg, conf);
	for (size_t i = 0; i < NIC_CONF_N; i++) {
		str_print(name, "ipv6/conf/%s/%s", ask->ns.iface, conf[i].name);
		int rc = ns_sysctl(ns_fd, name, conf[i].value, err);
		if (rc < 0)
			return rc == -ENOENT && ask->arg & BROKER_NIC_NO_IPV6 ? 0 : rc;
	}
	return 0;
}

static struct flag *flag_find(struct broker_server *s, const char *name)
{
	for (size_t i = 0; i < s->n_flags; i++)
		if (str_eq(s->flags[i].name, name))
			return &s->flags[i];
	return NULL;
}

static void flag_forget(struct broker_server *s, struct flag *f)
{
	close(f->dir);
	*f = s->flags[--s->n_flags];
}

/* A stopped container has no process and no root any more; its directory, kept open, is still there */
static bool flag_remove_kept(struct broker_server *s, const char *name)
{
	struct flag *f = flag_find(s, name);

	if (!f)
		return false;
	ct_flag_remove(f->dir);
	flag_forget(s, f);
	return true;
}

static int flag_set(struct broker_server *s, const struct broker_ask *ask, int root, struct err *err)
{
	struct flag *f = flag_find(s, ask->ns.name);
	int dir = ask->arg ? ct_flag_make(root, err) : ct_flag_dir(root, err);

	if (dir < 0)
		return ask->arg || dir != -ENOENT ? dir : 0;
	if (!ask->arg) {
		ct_flag_remove(dir);
		close(dir);
		return 0;
	}
	if (f)
		flag_forget(s, f);
	f = xgrow(&s->flags, s->n_flags, &s->cap_flags);
	s->n_flags++;
	str_copy(f->name, ask->ns.name);
	f->dir = dir;
	return 0;
}

/* The text of a memfd, bounded. Return: its length or -errno */
static ssize_t text_read(int fd, char *ret, size_t max, struct err *err)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > (off_t)max)
		return err_set(err, -EINVAL, "the text must come as a memfd of at most %zu bytes", max);
	n = pread(fd, ret, max, 0);
	return n < 0 ? err_errno(err, -errno, "read the text") : n;
}

static int resolv_set(const struct broker_ask *ask, int root, int fd, struct err *err)
{
	char text[2048];
	ssize_t n = text_read(fd, text, sizeof(text), err);

	if (n < 0)
		return (int)n;
	/* nothing but what a resolver reads: words of printable characters */
	for (ssize_t i = 0; i < n; i++)
		if ((text[i] < ' ' && text[i] != '\n') || text[i] > '~')
			return err_set(err, -EINVAL, "resolv: byte %zd is not allowed", i);
	return ct_resolv_write(root, ask->ns.pid, ask->ns.name + 3, text, (size_t)n, ask->arg, err);
}

/* Return: what to answer, or -errno */
static int serve_ct_file(struct broker_server *s, const struct broker_ask *ask, int ns_fd, int fd, struct err *err)
{
	autoclose int root = ct_root(ask->ns.pid, ns_fd, err);

	if (root < 0)
		return root;
	return ask->op == BROKER_FLAG ? flag_set(s, ask, root, err) : resolv_set(ask, root, fd, err);
}

/* Return: the socket of a new client, its number in @text; or -errno */
static int serve_dhcp(struct broker_server *s, const struct broker_ask *ask, int ns_fd, int fd, char text[static 16],
		      struct err *err)
{
	char lines[DHCP_ARGS_BYTES];
	ssize_t n = text_read(fd, lines, sizeof(lines), err);
	struct dhcp_args args;
	int rc = n < 0 ? (int)n : dhcp_args_parse(lines, (size_t)n, &args, err), id;

	if (rc < 0)
		return rc;
	if (!s->dhcp)
		s->dhcp = dhcp_children_new(s->loop);
	rc = dhcp_child_start(s->dhcp, ns_fd, ask->ns.iface, &args, &id, err);
	snprintf(text, 16, "%d", rc < 0 ? 0 : id);
	return rc;
}

/* --- nft --- */

static void job_free(struct nft_job *j)
{
	autoclose_(&j->ns_fd);
	autoclose_(&j->input_fd);
	free(j);
}

static void jobs_run(struct broker_server *s);

/* Answer job @i and forget it */
static void job_done(struct broker_server *s, size_t i, int code, const char *text)
{
	struct nft_job *j = s->jobs[i];

	s->n_jobs--;
	for (; i < s->n_jobs; i++)
		s->jobs[i] = s->jobs[i + 1];
	server_reply(s, j->id, code, -1, text);
	job_free(j);
	seqpacket_pause(s->link, s->n_jobs >= NFT_WAITING_MAX);
}

static void job_ended(void *arg, const struct child_result *r)
{
	struct nft_job *j = arg;
	struct broker_server *s = j->server;
	char text[NFT_STDERR_BYTES + 1];
	size_t i = 0;

	while (s->jobs[i] != j)
		i++;
	str_print(text, "%s", r->err_out->data);
	if (r->status == 0)
		job_done(s, i, 0, text);
	else if (r->signal == SIGKILL)
		job_done(s, i, -ETIMEDOUT, "nft: did not end in time");
	else
		job_done(s, i, -EINVAL, text);
	jobs_run(s);
}

static int job_start(struct nft_job *j, struct err *err)
{
	static const char *const argv[] = {"nft", "-j", "-f", "-", NULL};
	static const char *const text_argv[] = {"nft", "-f", "-", NULL};
	static const char *const env[] = {"LC_ALL=C", NULL};
	struct child_spec spec = {
		.argv = j->as_text ? text_argv : argv,
		.env = env,
		.stdin_fd = j->input_fd,
		.ns_fd = j->ns_fd,
		.timeout_ms = NFT_TIMEOUT_MS,
		.flags = CHILD_COLLECT | CHILD_PDEATHSIG,
	};

	return child_spawn(j->server->loop, &spec, job_ended, j, &j->child, err);
}

/* May job @i start: is nobody before it in the same namespace? */
static bool job_is_first(const struct broker_server *s, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (str_eq(s->jobs[k]->name, s->jobs[i]->name))
			return false;
	return true;
}

static void jobs_run(struct broker_server *s)
{
	size_t running = 0;

	for (size_t i = 0; i < s->n_jobs; i++)
		running += s->jobs[i]->child != NULL;
	for (size_t i = 0; i < s->n_jobs && running < NFT_RUNNING_MAX;) {
		struct nft_job *j = s->jobs[i];
		struct err err;
		int rc;

		if (j->child || !job_is_first(s, i)) {
			i++;
			continue;
		}
		rc = job_start(j, &err);
		if (rc < 0) {
			job_done(s, i, rc, err.text); /* and the next is at i now */
			continue;
		}
		running++;
		i++;
	}
}

/* Queue a transaction. Takes both descriptors when it returns 0 */
static int job_add(struct broker_server *s, uint32_t id, const struct broker_ask *ask, int ns_fd, int input_fd,
		   struct err *err)
{
	struct nft_job *j;
	struct stat st;

	if (fstat(input_fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "nft: the transaction must come as a memfd");
	if (st.st_size > NFT_BYTES_MAX)
		return err_set(err, -E2BIG, "nft: a transaction of %lld bytes", (long long)st.st_size);
	if (lseek(input_fd, 0, SEEK_SET) < 0)
		return err_errno(err, -errno, "nft: rewind the transaction");
	j = xcalloc(1, sizeof(*j));
	j->server = s;
	j->id = id;
	str_copy(j->name, ask->ns.name);
	j->as_text = ask->op == BROKER_FORWARD;
	j->ns_fd = ns_fd;
	j->input_fd = input_fd;
	*xgrow(&s->jobs, s->n_jobs, &s->cap_jobs) = j; /* NOLINT(bugprone-sizeof-expression): it holds pointers */
	s->n_jobs++;
	if (s->n_jobs >= NFT_WAITING_MAX)
		seqpacket_pause(s->link, true);
	jobs_run(s);
	return 0;
}

/* In place of the lines that came, a descriptor with what nft is to read. Return: 1: that is in the kernel already */
static int forward_make(int *fd, struct err *err)
{
	autobuf struct buf out = {0};
	autofree char *text = xcalloc(1, FORWARD_BYTES_MAX + 1);
	autoclose int made = -1;
	struct stat st;
	ssize_t n;
	int rc;

	if (fstat(*fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "forward: the lines must come as a memfd");
	n = pread(*fd, text, FORWARD_BYTES_MAX + 1, 0);
	if (n < 0)
		return err_errno(err, -errno, "forward: read the lines");
	rc = forward_rule_make(text, (size_t)n, &out, err);
	if (rc < 0)
		return rc;
	if (forward_table_is(text, (size_t)n))
		return 1;
	forward_table_mark(text, (size_t)n, &out);
	made = memfd_create("multicast rules", MFD_CLOEXEC);
	if (made < 0 || write(made, out.data, out.len) != (ssize_t)out.len)
		return err_errno(err, -errno, "forward: keep the rules");
	close(*fd);
	*fd = steal_fd(made);
	return 0;
}

/* --- requests --- */

static int serve_list(struct broker_server *s, uint32_t id, struct err *err)
{
	autobuf struct buf text = {0};
	int rc = list_vnis(s, &text, err);

	if (rc == 0)
		server_reply(s, id, 0, -1, text.data ? text.data : "");
	return rc;
}

/* Carry out what needs a namespace, and reply. Return: -errno and no reply yet */
static int serve_in_ns(struct broker_server *s, uint32_t id, const struct broker_ask *ask, int *fd, struct err *err)
{
	autoclose int ns_fd = -1;
	char text[16] = "";
	int rc = 0;

	if (ask->op == BROKER_FLAG && !ask->arg && flag_remove_kept(s, ask->ns.name)) {
		server_reply(s, id, 0, -1, "");
		return 0;
	}
	ns_fd = open_target(s, ask, err);
	if (ns_fd < 0)
		return ns_fd;
	switch (ask->op) {
	case BROKER_OPEN:
		server_reply(s, id, 0, steal_fd(ns_fd), "");
		break;
	case BROKER_NETLINK:
		rc = ns_socket(ns_fd, AF_NETLINK, SOCK_RAW, ask->arg, err);
		if (rc < 0)
			return rc;
		server_reply(s, id, 0, rc, "");
		return 0;
	case BROKER_PACKET:
		rc = ns_socket(ns_fd, AF_PACKET, SOCK_RAW, 0, err);
		if (rc < 0)
			return rc;
		server_reply(s, id, 0, rc, "");
		return 0;
	case BROKER_NIC_CONF:
		rc = nic_conf_open(ns_fd, err);
		if (rc < 0)
			return rc;
		server_reply(s, id, 0, rc, "");
		return 0;
	case BROKER_FORWARD:
		rc = forward_make(fd, err);
		if (rc < 0)
			return rc;
		if (rc > 0) {
			server_reply(s, id, 0, -1, "");
			return 0;
		}
		/* fall through */
	case BROKER_NFT:
		rc = job_add(s, id, ask, ns_fd, *fd, err);
		if (rc == 0) {
			(void)steal_fd(ns_fd);
			(void)steal_fd(*fd);
		}
		break;
	case BROKER_IPV6_ON:
		rc = ipv6_on(ns_fd, ask->ns.iface, err);
		if (rc == 0)
			server_reply(s, id, 0, -1, "");
		break;
	case BROKER_DNS:
	case BROKER_DNS_RULE:
		rc = dns_open(ask, ns_fd, err);
		if (rc < 0)
			return rc;
		server_reply(s, id, 0, rc, "");
		return 0;
	case BROKER_GATHER:
		rc = ns_device(ns_fd, ask->ns.iface, "gro_flush_timeout", GATHER_NS, err);
		if (rc == 0)
			server_reply(s, id, 0, -1, "");
		break;
	case BROKER_NIC_SYSCTL:
		rc = nic_sysctl(ns_fd, ask, err);
		if (rc == 0)
			server_reply(s, id, 0, -1, "");
		break;
	case BROKER_FLAG:
	case BROKER_RESOLV:
		rc = serve_ct_file(s, ask, ns_fd, *fd, err);
		if (rc >= 0)
			server_reply(s, id, rc, -1, "");
		return rc < 0 ? rc : 0;
	case BROKER_DHCP:
		rc = serve_dhcp(s, ask, ns_fd, *fd, text, err);
		if (rc < 0)
			return rc;
		server_reply(s, id, 0, rc, text);
		return 0;
	case BROKER_DHCP_STOP:
		dhcp_child_stop(s->dhcp, ask->arg / 2, ask->arg % 2);
		server_reply(s, id, 0, -1, "");
		break;
	case BROKER_REMOVE:
	case BROKER_LIST:
	case BROKER_WIREGUARD:
	case BROKER_WIREGUARD_SOCKET:
	case BROKER_OP_N_:
		break;
	}
	return rc;
}

static int serve_remove(struct broker_server *s, uint32_t id, const struct broker_ask *ask, struct err *err)
{
	char path[288];
	int rc;

	pin_path(s, ask, path);
	rc = ns_unpin(path, err);
	if (rc == 0)
		server_reply(s, id, 0, -1, "");
	return rc;
}

static void wireguard_ended(void *arg, uint32_t id, int code, const char *text)
{
	server_reply(arg, id, code, -1, text);
}

static int serve_wireguard(struct broker_server *s, uint32_t id, const struct broker_ask *ask, struct err *err)
{
	if (!s->wireguard)
		s->wireguard = wireguard_child_new(s->loop, wireguard_ended, s);
	return wireguard_child_start(s->wireguard, id, ask->ns.iface, err);
}

static int serve_wireguard_socket(struct broker_server *s, uint32_t id, const struct broker_ask *ask, struct err *err)
{
	int fd = wireguard_connect(ask->ns.iface, err);

	if (fd >= 0)
		server_reply(s, id, 0, fd, "");
	return fd < 0 ? fd : 0;
}

static void serve(void *arg, const void *data, size_t len, int fd_taken)
{
	const struct broker_request *r = data;
	uint32_t id = len >= offsetof(struct broker_request, op) ? r->id : 0;
	struct broker_server *s = arg;
	autoclose int fd = fd_taken;
	struct broker_ask ask;
	struct err err = {0};
	int rc;

	rc = broker_request_check(data, len, fd >= 0, &ask, &err);
	if (rc == 0 && !(s->ops & 1u << ask.op))
		rc = err_set(&err, -EPERM, "operation %d: not for this role", (int)ask.op);
	if (rc == 0 && s->ops & BROKER_CONTAINERS && ask.target != TARGET_CONTAINER && ask.op != BROKER_DHCP_STOP)
		rc = err_set(&err, -EPERM, "%s: not for this role", ask.ns.name);
	if (rc == 0 && ask.op == BROKER_LIST)
		rc = serve_list(s, id, &err);
	else if (rc == 0 && ask.op == BROKER_WIREGUARD)
		rc = serve_wireguard(s, id, &ask, &err);
	else if (rc == 0 && ask.op == BROKER_WIREGUARD_SOCKET)
		rc = serve_wireguard_socket(s, id, &ask, &err);
	else if (rc == 0 && ask.op == BROKER_REMOVE)
		rc = serve_remove(s, id, &ask, &err);
	else if (rc == 0)
		rc = serve_in_ns(s, id, &ask, &fd, &err);
	if (rc < 0) {
		log_debug("broker: refused", kv_int("code", rc), kv_str("why", err.text));
		server_reply(s, id, rc, -1, err.text);
	}
}

static void server_closed(void *arg)
{
	broker_server_free(arg);
}

struct broker_server *broker_serve(uv_loop_t *loop, int fd, const char *run_dir, unsigned ops)
{
	struct broker_server *s;
	int host_ns = ns_open("/proc/self/ns/net", NULL);

	if (host_ns < 0) {
		close(fd);
		return NULL;
	}
	s = xcalloc(1, sizeof(*s));
	s->loop = loop;
	s->host_ns = host_ns;
	s->ops = ops;
	str_copy(s->run_dir, run_dir);
	if (dir_make(run_dir, 0755, NULL) < 0)
		log_debug("broker: cannot make the directory of the pins", kv_str("path", run_dir));
	s->link =
		seqpacket_new(loop, fd, sizeof(struct broker_request), SEQPACKET_ANSWER_FIRST, serve, server_closed, s);
	return s;
}

void broker_server_free(struct broker_server *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_jobs; i++) {
		/* what runs may end: half a transaction does not exist, and a whole one harms nobody */
		child_abandon(s->jobs[i]->child);
		job_free(s->jobs[i]);
	}
	free(s->jobs);
	wireguard_child_free(s->wireguard);
	dhcp_children_free(s->dhcp);
	while (s->n_flags)
		flag_forget(s, &s->flags[0]);
	free(s->flags);
	seqpacket_free(s->link);
	close(s->host_ns);
	free(s);
}
