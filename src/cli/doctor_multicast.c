/* SPDX-License-Identifier: Apache-2.0
 *
 * The chain from the LAN to what was discovered in containers, link by link: are there legs, are their groups joined,
 * does somebody ask for listeners, do devices speak, does this host's firewall let the LAN in, is the way of a routed
 * network open, and does each device give its description from here and by its port on the LAN?
 */
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include "cli/doctor.h"
#include "state/multicast.h"

#define CONNECT_MS   500
#define SERVICES_MAX 4	   /* that are tried */
#define PORT_FIRST   61900 /* of the role's HTTP relay */
#define PORT_LAST    61999
#define PORTS	     "61900:61999"
#define PROC_BYTES   (1u << 20)
#define TABLE	     "docker-router-multicast"

/* A descriptor, or -errno */
static int connect_to(const struct doctor *d, const struct endpoint *to)
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
		return steal_fd(fd);
	if (errno != EINPROGRESS)
		return -errno;
	if (poll(&p, 1, left) <= 0)
		return -ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		return -errno;
	return error ? -error : steal_fd(fd);
}

/* Fetch what is at @url by way of @to. Return: the status of HTTP; 0: it is no HTTP; -errno */
static int fetch(const struct doctor *d, const struct endpoint *to, const char *url)
{
	const char *path = strstr(url, "://") ? strchr(strstr(url, "://") + 3, '/') : NULL;
	char at[ENDPOINT_STRLEN], text[640], reply[64] = "";
	autoclose int fd = connect_to(d, to);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t status;
	ssize_t n;

	if (fd < 0)
		return fd;
	for (const char *c = path; c && *c; c++)
		if (*c <= ' ' || *c >= 0x7f)
			path = NULL;
	str_print(text, "GET %.256s HTTP/1.0\r\nHost: %s\r\n\r\n", path ? path : "/", endpoint_format(to, at));
	if (send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return -errno;
	if (poll(&p, 1, doctor_left_ms(d, CONNECT_MS)) <= 0)
		return -ETIMEDOUT;
	n = recv(fd, reply, sizeof(reply) - 1, MSG_DONTWAIT);
	if (n < 12 || strncmp(reply, "HTTP/1.", 7) != 0)
		return n < 0 ? -errno : 0;
	reply[12] = '\0';
	return parse_u64(reply + 9, 100, 599, &status) < 0 ? 0 : (int)status;
}

/* What was announced that leads there */
static const char *location_of(const struct multicast_state *s, const struct mcs_service *v)
{
	char at[ENDPOINT_STRLEN];

	endpoint_format(&v->inside, at);
	for (size_t i = 0; i < s->n_devices; i++)
		if (s->devices[i].leg == v->from && strstr(s->devices[i].location, at))
			return s->devices[i].location;
	return "";
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

/* --- joined? --- */

bool igmp_has(const char *proc, const char *interface, const struct ip *group)
{
	char hex[9], device[32] = "";
	uint32_t number;

	memcpy(&number, group->b, 4);
	str_print(hex, "%08X", number); /* as the kernel prints it, whatever the byte order */
	while (*proc) {
		size_t len = strcspn(proc, "\n");
		autofree char *line = xstrndup(proc, len);
		char word[32];

		proc += len + (proc[len] == '\n');
		if (line[0] != '\t' && sscanf(line, "%*s %31[^: \t]", word) == 1)
			str_copy(device, word); /* a colon follows, and no blank before it where the name is long */
		else if (line[0] == '\t' && sscanf(line, "%31s", word) == 1 && str_eq(device, interface) &&
			 str_eq(word, hex))
			return true;
	}
	return false;
}

/* A table of the kernel's, "" when it is not there */
static void proc_read(const char *path, struct buf *ret)
{
	FILE *in = fopen(path, "re");
	char chunk[4096];
	size_t n;

	buf_puts(ret, "");
	while (in && ret->len < PROC_BYTES && (n = fread(chunk, 1, sizeof(chunk), in)) > 0)
		buf_append(ret, chunk, n);
	if (in)
		fclose(in);
	buf_puts(ret, "");
}

static void check_joined(struct doctor *d, const struct multicast_state *s)
{
	static const struct {
		const char *want;
		struct ip group;
	} groups[] = {{"ssdp", {AF_INET, {239, 255, 255, 250}}}, {"mdns", {AF_INET, {224, 0, 0, 251}}}};
	autobuf struct buf proc = {0};
	size_t missing = 0;

	if (d->other_ns)
		return;
	proc_read("/proc/net/igmp", &proc);
	for (size_t i = 0; i < s->n_legs; i++)
		for (size_t k = 0; k < ARRAY_LEN(groups); k++) {
			char ip[IP_STRLEN];

			if (!strstr(s->legs[i].wants, groups[k].want) || !s->legs[i].n_addresses ||
			    s->legs[i].addresses[0].family != AF_INET ||
			    igmp_has(proc.data, s->legs[i].interface, &groups[k].group))
				continue;
			missing++;
			doctor_add(d, "multicast", CHECK_WARNING,
				   "docker-router status tells whether the role multicast runs.",
				   "%s is not joined on %s: switches do not send it here",
				   ip_format(&groups[k].group, ip), s->legs[i].interface);
		}
	if (!missing && s->n_legs)
		doctor_add(d, "multicast", CHECK_OK, NULL,
			   "groups are joined on all %zu interfaces; searches pass whatever their TTL", s->n_legs);
}

/* --- this host's firewall --- */

/* "--dport 61900:61999" or a list of them that holds all of our ports; none: all ports */
static bool ports_in(const char *line)
{
	const char *at = strstr(line, " --dport ");
	unsigned first, last;

	if (!at)
		at = strstr(line, " --dports ");
	if (!at)
		return true;
	at = strchr(at + 3, ' ') + 1;
	for (; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
		int n = sscanf(at, "%u:%u", &first, &last);

		if (n == 2 && first <= PORT_FIRST && last >= PORT_LAST)
			return true;
		if (memchr(at, ' ', strcspn(at, ",")))
			break;
	}
	return false;
}

static bool lets_in(const char *line, const char *interface)
{
	autofree char *padded = xasprintf("%s ", line), *here = xasprintf(" -i %s ", interface);

	if (strncmp(line, "-A ", 3) != 0 || !strstr(padded, " -j ACCEPT ") || strstr(line, "state ") ||
	    strstr(line, "--ctstate") || strncmp(line, "-A FORWARD", 10) == 0 || strncmp(line, "-A OUTPUT", 9) == 0 ||
	    strncmp(line, "-A DOCKER", 9) == 0)
		return false;
	if (strstr(line, " -i ") && !strstr(padded, here))
		return false;
	if (strstr(line, " -p ") && !strstr(line, " -p tcp "))
		return false;
	return ports_in(padded);
}

void firewall_input_parse(const char *save, const char *interface, struct firewall_input *ret)
{
	struct firewall_input v = {0};

	while (*save) {
		size_t len = strcspn(save, "\n");
		autofree char *line = xstrndup(save, len);

		save += len + (save[len] == '\n');
		v.drops |= strncmp(line, ":INPUT DROP", 11) == 0 || str_eq(line, "-A INPUT -j DROP") ||
			   strncmp(line, "-A INPUT -j REJECT", 18) == 0;
		v.lets_in |= lets_in(line, interface);
	}
	*ret = v;
}

/* Another table than those of iptables that drops what no rule lets in */
static bool nft_drops(const char *chains, char ret[static 96])
{
	json_error_t e;
	json_t *root = json_loads(chains, 0, &e);
	const json_t *list = json_object_get(root, "nftables");
	bool found = false;

	for (size_t i = 0; i < json_array_size(list) && !found; i++) {
		const json_t *c = json_object_get(json_array_get(list, i), "chain");
		const char *hook = json_string_value(json_object_get(c, "hook")),
			   *policy = json_string_value(json_object_get(c, "policy")),
			   *table = json_string_value(json_object_get(c, "table")),
			   *family = json_string_value(json_object_get(c, "family"));

		if (!hook || !policy || !table || !family || !str_eq(hook, "input") || !str_eq(policy, "drop") ||
		    (str_eq(table, "filter") && strncmp(family, "ip", 2) == 0))
			continue;
		snprintf(ret, 96, "%s %s", family, table);
		found = true;
	}
	json_decref(root);
	return found;
}

static const struct mcs_leg *lan_of(const struct multicast_state *s)
{
	for (size_t i = 0; i < s->n_legs; i++)
		if (s->legs[i].lan)
			return &s->legs[i];
	return NULL;
}

static void check_firewall(struct doctor *d, const struct multicast_state *s)
{
	static const char *const save[] = {"iptables-save", "-t", "filter", NULL}, *const chains[] = {"nft", "-j",
												      "list", "chains",
												      NULL};
	const struct mcs_leg *lan = lan_of(s);
	struct firewall_input v = {0};
	struct run_result r;
	char table[96] = "";
	struct err err;

	if (!lan || !s->n_services || !d->root || d->other_ns)
		return;
	if (doctor_run(d, save, -1, NULL, &r, &err) == 0) {
		firewall_input_parse(r.out.data, lan->interface, &v);
		run_result_done(&r);
	}
	if (doctor_run(d, chains, -1, NULL, &r, &err) == 0) {
		if (!nft_drops(r.out.data, table))
			table[0] = '\0';
		run_result_done(&r);
	}
	autofree char *cure =
		xasprintf("iptables -I INPUT -i %s -p tcp --dport " PORTS " -j ACCEPT, or the same with the "
			  "tool that you use (ufw, firewalld); see docker-router explain multicast",
			  lan->interface);
	if (v.drops && !v.lets_in)
		doctor_add(d, "multicast", CHECK_WARNING, cure,
			   "this host's firewall (INPUT) lets nobody in to TCP " PORTS
			   ", where the LAN reaches what it found");
	else if (table[0])
		doctor_add(d, "multicast", CHECK_INFO, cure,
			   "the nft table \"%s\" drops by default; whether it lets in TCP " PORTS " was not looked at",
			   table);
	else
		doctor_add(d, "multicast", CHECK_OK, NULL, "this host's firewall lets %s in to TCP " PORTS,
			   lan->interface);
}

/* --- networks that the LAN has a route to --- */

static void check_routed(struct doctor *d, const struct multicast_state *s)
{
	static const char *const list[] = {"nft", "list", "table", "netdev", TABLE, NULL};
	const struct mcs_leg *lan = lan_of(s);
	autobuf struct buf text = {0};
	struct run_result r;
	struct err err;

	if (d->root && !d->other_ns && doctor_run(d, list, -1, NULL, &r, &err) == 0) {
		buf_puts(&text, r.out.data);
		run_result_done(&r);
	}
	for (size_t i = 0; i < d->files.inventory.n_multicast; i++) {
		const struct inv_multicast *m = &d->files.inventory.multicast[i];
		autofree char *way = xasprintf("daddr device \"%s\"", m->network.bridge);
		char net[PREFIX_STRLEN], via[IP_STRLEN] = "this host";

		if (!m->label.routed || !m->network.n_subnets)
			continue;
		if (lan && lan->n_addresses)
			ip_format(&lan->addresses[0], via);
		if (text.data && !strstr(text.data, way))
			doctor_add(d, "multicast", CHECK_WARNING, "docker-router groups tells why.",
				   "network %s is routed, and there is no way past this host's firewall to it",
				   m->network.name);
		else
			doctor_add(d, "multicast", CHECK_INFO, NULL,
				   "network %s is routed: the home router must have %s via %s; from here it cannot be "
				   "seen",
				   m->network.name, prefix_format(&m->network.subnets[0], net), via);
	}
}

/* --- is it there? --- */

static void check_service(struct doctor *d, const struct multicast_state *s, const struct mcs_service *v)
{
	char inside[ENDPOINT_STRLEN], outside[ENDPOINT_STRLEN];
	const char *location = location_of(s, v);
	int rc = fetch(d, &v->inside, location);

	endpoint_format(&v->inside, inside);
	endpoint_format(&v->outside, outside);
	if (rc == -ETIME)
		return;
	if (rc < 0) {
		doctor_add(d, "multicast", CHECK_WARNING, "Look at the log of the server.",
			   "a device announced %s, and nobody answers there: %s", inside, strerror(-rc));
		return;
	}
	if (rc >= 400) {
		doctor_add(d, "multicast", CHECK_WARNING, "Look at the log of the server.",
			   "a device announced %s, and answers %d when that is fetched", location, rc);
		return;
	}
	rc = fetch(d, &v->outside, location);
	if (rc < 0 && rc != -ETIME)
		doctor_add(d, "multicast", CHECK_WARNING, "docker-router status tells whether the role multicast runs.",
			   "the port for %s is not open at %s: %s", inside, outside, strerror(-rc));
	else
		doctor_add(d, "multicast", CHECK_OK, NULL, "%s answers, the LAN reaches it at %s; %lld connections%s%s",
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
	check_joined(d, &s);
	check_firewall(d, &s);
	check_routed(d, &s);
	for (size_t i = 0; i < s.n_services && i < SERVICES_MAX && !d->other_ns; i++)
		check_service(d, &s, &s.services[i]);
	for (size_t i = 0; i < s.problems.n; i++)
		doctor_add(d, "multicast", CHECK_WARNING, s.problems.v[i].cure[0] ? s.problems.v[i].cure : NULL,
			   "%s: %s", s.problems.v[i].object, s.problems.v[i].text);
	multicast_state_done(&s);
}
