/* SPDX-License-Identifier: Apache-2.0
 *
 * docker-router-dhcp6 DHCPCD HANDLER IFACE DUID [HOSTNAME]: runs dhcpcd as DHCPv6 client of one interface, in the
 * network namespace that it is started in, for as long as it runs itself.
 *
 * dhcpcd has its paths compiled in, is several processes that outlive the first one's death by SIGKILL, and sets the
 * interface's way to make addresses even when told to configure nothing. So it gets
 *
 *	a mount namespace    with /run/dhcpcd and /var/lib/dhcpcd of its own: many run side by side, and nothing stays
 *	a pid namespace      whose first process is ours: when that ends, all of dhcpcd has ended
 *	no CAP_NET_ADMIN     so that it can only tell what it has heard, and changes nothing
 *
 * SIGTERM: the lease is given back, and all ends. SIGKILL: all ends. What it cannot do it says as the handler's
 * messages are said: "broken", and why (lease.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/dhcp_events.h"

#define RUN_DIR "/run/dhcpcd"
#define DB_DIR	"/var/lib/dhcpcd"
#define CONFIG	RUN_DIR "/docker-router.conf"

static void tell(const char *what, const char *why)
{
	char out[160] = "broken";
	size_t len = sizeof("broken"), room = sizeof(out) - len;
	int more = snprintf(out + len, room, "why=dhcp6: %s: %s", what, why);

	len += more < 0 ? 0 : (size_t)more < room ? (size_t)more + 1 : room;
	(void)!send(DHCP_EVENTS_FD, out, len, MSG_NOSIGNAL);
}

static int fail(const char *what)
{
	tell(what, strerror(errno));
	return 1;
}

static int dir_own(const char *path)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return -1;
	return mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=256k");
}

/* "0004aabb" as "00:04:aa:bb", as dhcpcd reads it */
static void duid_print(FILE *f, const char *hex)
{
	fputs("duid ", f);
	for (size_t i = 0; hex[i]; i++)
		fprintf(f, "%s%c", i && i % 2 == 0 ? ":" : "", hex[i]);
	fputc('\n', f);
}

/* The identity association's id is made of the MAC by dhcpcd, and that stays */
static int config_write(const char *duid, const char *hostname)
{
	FILE *f = fopen(CONFIG, "we");

	if (!f)
		return -1;
	fputs("ipv6only\nnoipv6rs\nnodelay\nrelease\ntimeout 0\nlogfile /dev/null\n"
	      "option dhcp6_name_servers, dhcp6_domain_search\nia_na\n",
	      f);
	duid_print(f, duid);
	if (hostname)
		fprintf(f, "hostname %s\nfqdn both\n", hostname);
	return fclose(f) == 0 ? 0 : -1;
}

static void capabilities_drop(void)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (cap != CAP_SETUID && cap != CAP_SETGID && cap != CAP_SYS_CHROOT && cap != CAP_KILL &&
		    cap != CAP_CHOWN && cap != CAP_NET_BIND_SERVICE && cap != CAP_NET_RAW)
			(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

/* Hand SIGTERM on to @pid, until it has ended. Return: what to exit with */
static int tend(pid_t pid, const sigset_t *set)
{
	for (;;) {
		int sig = sigwaitinfo(set, NULL), status;
		pid_t ended;

		if (sig == SIGTERM)
			kill(pid, SIGTERM);
		while ((ended = waitpid(-1, &status, WNOHANG)) > 0)
			if (ended == pid)
				return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
		if (ended < 0 && errno == ECHILD)
			return 1;
	}
}

/* The first process of the pid namespace: it is root all the time, so that the kernel's signal at @parent's end stays
 */
static int first(int parent, char **argv, const sigset_t *set)
{
	struct pollfd p = {.fd = parent, .events = POLLIN};
	pid_t pid;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || poll(&p, 1, 0) != 0)
		return 1; /* the other one has ended already */
	pid = fork();
	if (pid == 0) {
		sigprocmask(SIG_UNBLOCK, set, NULL);
		capabilities_drop();
		execl(argv[1], "dhcpcd", "-B", "--noconfigure", "--nodev", "-f", CONFIG, "-c", argv[2], "--", argv[3],
		      (char *)NULL);
		_exit(127);
	}
	return pid < 0 ? 1 : tend(pid, set);
}

int main(int argc, char **argv)
{
	int alive[2];
	char text[32];
	int status;
	sigset_t set;
	pid_t pid;

	if (argc < 5 || argc > 6)
		return 2;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (unshare(CLONE_NEWNS | CLONE_NEWPID) < 0)
		return fail("unshare");
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return fail("make mounts private");
	if (dir_own(RUN_DIR) < 0 || dir_own(DB_DIR) < 0 || config_write(argv[4], argv[5]) < 0)
		return fail(RUN_DIR " and " DB_DIR);
	if (pipe2(alive, O_CLOEXEC) < 0)
		return fail("pipe");
	pid = fork();
	if (pid < 0)
		return fail("fork");
	if (pid == 0) {
		close(alive[1]);
		_exit(first(alive[0], argv, &set));
	}
	status = tend(pid, &set);
	if (status) {
		snprintf(text, sizeof(text), "status %d", status);
		tell("dhcpcd has ended", text);
	}
	_exit(status); /* nothing is to be flushed, and no thread can be made here any more */
}
