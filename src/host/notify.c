/* SPDX-License-Identifier: Apache-2.0
 *
 * The service manager's notification protocol. A datagram that cannot be sent is dropped: nothing we do waits for a
 * manager.
 */
#include "host/notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "base/log.h"

struct notify {
	int fd;
	struct sockaddr_un to;
	socklen_t to_len;
	struct timer *watchdog;
	int64_t watchdog_us;
};

static const char *env_get(char *const *env, const char *name)
{
	size_t len = strlen(name);

	for (; *env; env++)
		if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
			return *env + len + 1;
	return NULL;
}

static void notify_watchdog(void *arg)
{
	struct notify *n = arg;

	notify_send(n, "WATCHDOG=1");
	timer_start(n->watchdog, n->watchdog_us);
}

/* The manager kills us when nothing came for WATCHDOG_USEC: be there twice in that time */
static void notify_watchdog_setup(struct notify *n, uv_loop_t *loop, char *const *env)
{
	const char *every = env_get(env, "WATCHDOG_USEC"), *pid = env_get(env, "WATCHDOG_PID");
	uint64_t us, whom;

	if (!every || parse_u64(every, 2000, INT64_MAX, &us) < 0)
		return;
	if (pid && (parse_u64(pid, 1, INT32_MAX, &whom) < 0 || (pid_t)whom != getpid()))
		return;
	n->watchdog_us = (int64_t)us / 2;
	n->watchdog = timer_new(loop, "watchdog", notify_watchdog, n);
	timer_start(n->watchdog, n->watchdog_us);
}

struct notify *notify_new(uv_loop_t *loop, char *const *env)
{
	const char *path = env_get(env, "NOTIFY_SOCKET");
	struct notify *n = xcalloc(1, sizeof(*n));
	size_t len = path ? strlen(path) : 0;

	n->fd = -1;
	if (len < 2 || len >= sizeof(n->to.sun_path) || (path[0] != '/' && path[0] != '@'))
		return n;
	n->to.sun_family = AF_UNIX;
	memcpy(n->to.sun_path, path, len);
	if (path[0] == '@')
		n->to.sun_path[0] = '\0'; /* abstract: the name's length counts, not a NUL */
	n->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (path[0] == '/'));
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (n->fd >= 0)
		notify_watchdog_setup(n, loop, env);
	return n;
}

void notify_free(struct notify *n)
{
	if (!n)
		return;
	timer_free(n->watchdog);
	autoclose_(&n->fd);
	free(n);
}

void notify_send(struct notify *n, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int len;

	if (n->fd < 0)
		return;
	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (len >= (int)sizeof(text))
		len = sizeof(text) - 1;
	if (sendto(n->fd, text, (size_t)len, MSG_NOSIGNAL, (struct sockaddr *)&n->to, n->to_len) < 0)
		log_debug("service manager cannot be told", kv_str("why", strerror(errno)));
}

void notify_reloading(struct notify *n)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	notify_send(n, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)now.tv_sec * USEC_PER_SEC + now.tv_nsec / 1000);
}
