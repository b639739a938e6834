/* SPDX-License-Identifier: Apache-2.0
 *
 * Starting wireguard-go, and connecting to it.
 */
#include "io/wireguard_child.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "io/child.h"

#define SOCKET_DIR "/var/run/wireguard"
#define WAIT_US	   (20 * USEC_PER_MSEC)
#define WAIT_TIMES 500
#define BUFFER	   (4 << 20)

struct wireguard_child {
	uv_loop_t *loop;
	wireguard_child_fn *fn;
	void *arg;
	struct child *child; /* under way; NULL also when it has ended, or ran before */
	struct timer *timer;
	bool starting;
	uint32_t id;
	char iface[16];
	unsigned left; /* looks at the socket */
};

/*
 * wireguard-go leaves its UDP sockets with the kernel's default buffer, some 90 packets: the segments of one or two
 * large writes of a container, which arrive together. Of a stream between two busy hosts a fifth was lost there.
 */
static void socket_widen(int pidfd, int number)
{
	autoclose int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
	int domain = 0, type = 0, size = 0, wanted = BUFFER;
	socklen_t len = sizeof(int);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_DGRAM ||
	    (domain != AF_INET && domain != AF_INET6) || getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, &len) < 0 ||
	    size >= BUFFER)
		return;
	(void)!setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &wanted, sizeof(wanted));
}

/* Of the process at the other end of @fd; on a kernel that cannot, or may not, all stays as it was */
static void sockets_widen(int fd)
{
	struct ucred who = {0};
	socklen_t len = sizeof(who);
	char path[40];
	uint64_t number;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 || who.pid <= 1 || who.uid != 0)
		return;
	autoclose int pidfd = (int)syscall(SYS_pidfd_open, who.pid, 0);
	str_print(path, "/proc/%d/fd", (int)who.pid);
	DIR *dir = pidfd < 0 ? NULL : opendir(path);
	for (struct dirent *e; dir && (e = readdir(dir));)
		if (parse_u64(e->d_name, 0, 4095, &number) == 0)
			socket_widen(pidfd, (int)number);
	if (dir)
		closedir(dir);
}

int wireguard_connect(const char *iface, struct err *err)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_errno(err, -errno, "socket");
	str_print(sun.sun_path, SOCKET_DIR "/%s.sock", iface);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		return err_errno(err, -errno, "%s", sun.sun_path);
	sockets_widen(fd);
	return steal_fd(fd);
}

static void start_ended(struct wireguard_child *w, int code, const char *text)
{
	w->starting = false;
	timer_stop(w->timer);
	w->fn(w->arg, w->id, code, text);
}

static void on_ended(void *arg, const struct child_result *r)
{
	struct wireguard_child *w = arg;

	w->child = NULL;
	if (w->starting)
		start_ended(w, -ECHILD, r->signal ? "it was killed" : "it ended at once: is there /dev/net/tun?");
}

static void on_timer(void *arg)
{
	struct wireguard_child *w = arg;
	int fd = wireguard_connect(w->iface, NULL);

	if (fd >= 0) {
		close(fd);
		start_ended(w, 0, "");
	} else if (--w->left == 0) {
		start_ended(w, -ETIMEDOUT, "it does not listen");
	} else {
		timer_start(w->timer, WAIT_US);
	}
}

struct wireguard_child *wireguard_child_new(uv_loop_t *loop, wireguard_child_fn *fn, void *arg)
{
	struct wireguard_child *w = xcalloc(1, sizeof(*w));

	w->loop = loop;
	w->fn = fn;
	w->arg = arg;
	w->timer = timer_new(loop, "wireguard-go", on_timer, w);
	return w;
}

void wireguard_child_free(struct wireguard_child *w)
{
	if (!w)
		return;
	child_abandon(w->child);
	timer_free(w->timer);
	free(w);
}

static int spawn(struct wireguard_child *w, struct err *err)
{
	const char *const argv[] = {"wireguard-go", "-f", w->iface, NULL};
	/* it warns people that a kernel module would be better, on a terminal that nobody has */
	static const char *const env[] = {"LOG_LEVEL=silent", "WG_PROCESS_FOREGROUND=1", NULL};
	struct child_spec spec = {.argv = argv, .env = env, .stdin_fd = -1, .ns_fd = -1, .flags = CHILD_DETACH};

	if (w->child)
		child_forget(steal_ptr(w->child));
	return child_spawn(w->loop, &spec, on_ended, w, &w->child, err);
}

int wireguard_child_start(struct wireguard_child *w, uint32_t id, const char *iface, struct err *err)
{
	int fd, rc = 0;

	if (w->starting)
		return err_set(err, -EBUSY, "wireguard-go is being started");
	str_copy(w->iface, iface);
	fd = wireguard_connect(iface, NULL);
	if (fd >= 0)
		close(fd);
	else
		rc = spawn(w, err);
	if (rc == -ENOENT)
		return err_set(err, rc, "it is not installed (Debian: wireguard-go)");
	if (rc < 0)
		return rc;
	w->id = id;
	w->starting = true;
	w->left = WAIT_TIMES;
	timer_start(w->timer, 0);
	return 0;
}
