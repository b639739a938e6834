/* SPDX-License-Identifier: Apache-2.0
 *
 * Packet sockets; see packet.h.
 */
#include "driver/packet.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#define FRAMES_A_TURN 32

struct packet {
	int fd, index;
	struct fdwatch *watch;
	packet_fn *fn;
	loop_fn *down;
	void *arg;
	bool busy, freed;
};

/* UDP over IPv4 to port 68, no later fragment: what a container gets else costs it no wake-up of ours */
static struct sock_filter dhcp_only[] = {
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 8),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 6),
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 20),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, 4, 0),
	BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 14),
	BPF_STMT(BPF_LD | BPF_H | BPF_IND, 16),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 68, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, 65535),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

static void on_frame(void *arg, int events)
{
	struct packet *p = arg;
	uint8_t frame[2048];
	bool down = false;

	p->busy = true;
	for (int i = 0; i < FRAMES_A_TURN && !p->freed; i++) {
		ssize_t n = recv(p->fd, frame, sizeof(frame), MSG_DONTWAIT);

		if (n < 0) {
			down = errno == ENETDOWN || errno == ENXIO;
			break;
		}
		p->fn(p->arg, frame, (size_t)n);
	}
	p->busy = false;
	if (p->freed)
		free(p);
	else if (down)
		p->down(p->arg);
}

int packet_new(uv_loop_t *loop, int fd, int index, packet_fn *fn, loop_fn *down, void *arg, struct packet **ret,
	       struct err *err)
{
	struct sock_fprog filter = {.len = ARRAY_LEN(dhcp_only), .filter = dhcp_only};
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = index};
	struct packet *p;
	autoclose int taken = fd;

	if (taken < 0)
		taken = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (taken < 0 || setsockopt(taken, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0 ||
	    bind(taken, (struct sockaddr *)&at, sizeof(at)) < 0)
		return err_errno(err, -errno, "packet socket");
	p = xcalloc(1, sizeof(*p));
	p->fd = steal_fd(taken);
	p->index = index;
	p->fn = fn;
	p->down = down;
	p->arg = arg;
	p->watch = fdwatch_new(loop, "dhcp", p->fd, UV_READABLE, on_frame, p);
	*ret = p;
	return 0;
}

void packet_free(struct packet *p)
{
	if (!p)
		return;
	fdwatch_free(p->watch);
	close(p->fd);
	p->freed = true;
	if (!p->busy)
		free(p);
}

int packet_send(struct packet *p, const void *frame, size_t len)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = p->index};

	return sendto(p->fd, frame, len, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}
