/* SPDX-License-Identifier: Apache-2.0
 *
 * The state machine of the mode dns: what is asked, and what follows from the answers. Messages are read in
 * dns_wire.c, records in dns_text.c.
 */
#include "discovery/dns_state.h"

#include <assert.h>

#define TTL_MIN_S     2u
#define TTL_MAX_S     300u
#define NOTHING_MAX_S 30u /* so long it is believed that there is nothing: somebody is about to write it */
#define PAUSE_US      USEC_PER_SEC
#define PAUSE_MAX_US  (15 * USEC_PER_SEC)
#define GRACE_US      (90 * USEC_PER_SEC)

enum { ID_SRV, ID_TEXT, ID_ADDRESS, ID_KINDS }; /* an id is uid * ID_KINDS + one of these */

void dns_say(struct dns *d, enum log_level level, const char *text, const char *why)
{
	d->events.say(d->events.arg, level, text, why);
}

int64_t dns_pause_us(struct dns *d, unsigned nth, int64_t max_us)
{
	int64_t us = PAUSE_US << (nth < 8 ? nth : 8);

	us = us < max_us ? us : max_us;
	d->random++;
	return us / 4 * 3 + (int64_t)(hash64(&d->random, sizeof(d->random), 1) % (uint64_t)(us / 2));
}

struct dns *dns_new(const struct dns_config *config, const struct dns_events *events)
{
	struct dns *d = xcalloc(1, sizeof(*d));

	assert(config->domain[0] && config->ttl_s > 0);
	d->config = *config;
	d->events = *events;
	d->random = config->random;
	str_print(d->listing, "_docker-router._udp.%.230s", config->domain);
	str_print(d->own, "dr-%s.%.210s", config->host_id, config->domain);
	d->update_us = INT64_MAX;
	return d;
}

/* --- hosts --- */

static void peers_clear(struct peer *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		peer_done(&v[i]);
	free(v);
}

static void host_free(struct dns_host *h)
{
	peers_clear(h->peers, h->n_peers);
	free(h);
}

void dns_free(struct dns *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->n_hosts; i++)
		host_free(d->hosts[i]);
	free(d->hosts);
	free(d->told);
	free(d->trouble.text);
	free(d->update_trouble.text);
	own_done(d);
	free(d);
}

static struct dns_host *host_find(const struct dns *d, uint64_t uid)
{
	for (size_t i = 0; i < d->n_hosts; i++) {
		if (d->hosts[i]->uid == uid)
			return d->hosts[i];
	}
	return NULL;
}

static bool peer_is(const struct peer *a, const struct peer *b)
{
	return a->vni == b->vni && str_eq(a->stack_id, b->stack_id) && str_eq(a->host_id, b->host_id);
}

static bool peer_in(const struct peer *v, size_t n, const struct peer *p)
{
	for (size_t i = 0; i < n; i++) {
		if (peer_is(&v[i], p))
			return true;
	}
	return false;
}

/* Those of @v that are at no host are no more */
static void peers_drop(struct dns *d, const struct peer *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool there = false;

		for (size_t j = 0; j < d->n_hosts && !there; j++)
			there = peer_in(d->hosts[j]->peers, d->hosts[j]->n_peers, &v[i]);
		if (!there)
			d->events.drop(d->events.arg, &v[i]);
	}
}

static void told_add(struct dns *d, struct endpoint *v, size_t *n, const struct ip *ip, uint16_t port)
{
	bool there = ip->family != d->config.family || ip_is_unspecified(ip) || ip_is_multicast(ip);

	for (size_t i = 0; i < *n && !there; i++)
		there = v[i].port == port && ip_cmp(&v[i].ip, ip) == 0;
	if (!there && *n < DNS_HOSTS_MAX)
		v[(*n)++] = (struct endpoint){.ip = *ip, .port = port};
}

/* Who is to be spoken to, when it has changed */
static void hosts_tell(struct dns *d)
{
	struct endpoint *v = xcalloc(DNS_HOSTS_MAX, sizeof(*v));
	size_t n = 0;
	bool same;

	for (size_t i = 0; i < d->n_hosts; i++) {
		const struct dns_host *h = d->hosts[i];

		if (str_eq(h->name, d->own))
			continue;
		for (size_t j = 0; j < h->n_peers; j++)
			told_add(d, v, &n, &h->peers[j].host_ip, h->port);
		for (size_t j = 0; j < h->n_ips && h->n_peers == 0; j++)
			told_add(d, v, &n, &h->ips[j], h->port);
	}
	same = n == d->n_told;
	for (size_t i = 0; i < n && same; i++)
		same = v[i].port == d->told[i].port && ip_cmp(&v[i].ip, &d->told[i].ip) == 0;
	if (same) {
		free(v);
		return;
	}
	free(d->told);
	d->told = v;
	d->n_told = n;
	d->events.hosts(d->events.arg, v, n);
}

/* --- troubles --- */

void trouble_set(struct dns *d, struct dns_trouble *t, const char *what, uint64_t about, const char *cure, char *text)
{
	if (!t->text || !str_eq(t->text, text))
		dns_say(d, LOG_LEVEL_INFO, what, text);
	free(t->text);
	*t = (struct dns_trouble){.text = text, .cure = cure, .about = about};
}

void trouble_clear(struct dns *d, struct dns_trouble *t, const char *what)
{
	if (!t->text)
		return;
	free(t->text);
	*t = (struct dns_trouble){0};
	dns_say(d, LOG_LEVEL_INFO, what, NULL);
}

static void ask_trouble(struct dns *d, uint64_t id, const char *name, int code, const char *why)
{
	const char *cure =
		"Is DNS_SERVER (without it /etc/resolv.conf) right, does the server run, and does a firewall "
		"let UDP and TCP port 53 through?";
	char *text;

	if (code == -EACCES) {
		cure = "Let this host ask there (allow-query, acl), or name the server of the zone in DNS_SERVER.";
		text = xasprintf("the DNS server refuses to tell about %s", name);
	} else if (code == -EAGAIN) {
		cure = "Look at the log of the DNS server: is the zone of DNS_DOMAIN loaded, and can it be reached?";
		text = xasprintf("the DNS server cannot tell about %s: %s", name, why);
	} else if (code == -ENOENT || code == -ENODATA) {
		cure = "Is DNS_DOMAIN right, and DNS_SERVER the one that knows it? Then write an SRV record for each "
		       "host, "
		       "or let the hosts do so: DNS_UPDATE.";
		text = xasprintf("there is no SRV record of the name %s", name);
	} else if (code == -EBADMSG) {
		text = xasprintf("the DNS server's answer about %s cannot be read: %s", name, why);
	} else {
		text = xasprintf("no DNS server answers: %s", why);
	}
	trouble_set(d, &d->trouble,
		    code == -ENOENT || code == -ENODATA ? "nobody is in DNS"
							: "DNS cannot be used, peers stay as they are",
		    id, cure, text);
}

void dns_problems(const struct dns *d, struct problems *ret)
{
	unsigned unreadable = 0;

	if (d->trouble.text)
		problems_add(ret, "dns", d->trouble.cure, "%s", d->trouble.text);
	if (d->update_trouble.text)
		problems_add(ret, "dns update", d->update_trouble.cure, "%s", d->update_trouble.text);
	for (size_t i = 0; i < d->n_hosts; i++)
		unreadable += d->hosts[i]->unreadable;
	if (unreadable)
		problems_add(ret, "dns", "All hosts need the same CLUSTER_KEY_FILE: docker-router key list.",
			     "%u records in DNS cannot be read: they are not sealed with a key of ours", unreadable);
	if (d->n_left_out)
		problems_add(ret, "dns update", "Stacks that share a subnet's VNI and host may be joined.",
			     "%zu of our stacks do not fit into DNS (48 kB): others hear of them by datagrams only",
			     d->n_left_out);
}

/* --- asking --- */

static bool ask_due(const struct dns_ask *a, mono_t now)
{
	return !a->asked && a->due_us <= now.us;
}

static bool ask_begin(struct dns *d, mono_t now, struct dns_ask *a, uint64_t id, const char *name, enum dns_type type,
		      struct dns_question *ret)
{
	a->asked = true;
	a->since_us = now.us;
	d->n_asked++;
	*ret = (struct dns_question){.id = id, .name = name, .type = type};
	return true;
}

bool dns_ask(struct dns *d, mono_t now, struct dns_question *ret)
{
	enum dns_type address = d->config.family == AF_INET6 ? DNS_TYPE_AAAA : DNS_TYPE_A;

	if (d->stopping || d->n_asked >= DNS_PARALLEL_MAX)
		return false;
	if (ask_due(&d->srv, now))
		return ask_begin(d, now, &d->srv, ID_SRV, d->listing, DNS_TYPE_SRV, ret);
	for (size_t i = 0; i < d->n_hosts; i++) {
		struct dns_host *h = d->hosts[i];

		if (h->missing)
			continue;
		if (ask_due(&h->text, now))
			return ask_begin(d, now, &h->text, h->uid * ID_KINDS + ID_TEXT, h->name, DNS_TYPE_TXT, ret);
		if (ask_due(&h->address, now))
			return ask_begin(d, now, &h->address, h->uid * ID_KINDS + ID_ADDRESS, h->name, address, ret);
	}
	return false;
}

/* --- answers --- */

static uint32_t ttl_bounded(uint32_t ttl_s, uint32_t max_s)
{
	return ttl_s < TTL_MIN_S ? TTL_MIN_S : ttl_s > max_s ? max_s : ttl_s;
}

static void ask_answered(struct dns_ask *a, mono_t now, uint32_t ttl_s, int code)
{
	a->known = true;
	a->failures = 0;
	a->due_us = now.us + ttl_bounded(ttl_s, code ? NOTHING_MAX_S : TTL_MAX_S) * USEC_PER_SEC;
}

static void ask_failed(struct dns *d, mono_t now, struct dns_ask *a)
{
	a->due_us = now.us + dns_pause_us(d, a->failures, PAUSE_MAX_US);
	a->failures++;
}

/* All that the first listing leads to is known: who is not in it is no more */
static void listing_end(struct dns *d)
{
	if (d->ended || !d->srv.known)
		return;
	for (size_t i = 0; i < d->n_hosts; i++) {
		if (!d->hosts[i]->text.known && !d->hosts[i]->missing)
			return;
	}
	d->ended = true;
	d->events.end(d->events.arg, d->grace_us > 0 ? GRACE_US : 0);
}

static void srv_found(void *arg, const struct dns_found *f)
{
	struct dns *d = arg;
	struct dns_host *h = NULL;

	for (size_t i = 0; i < d->n_hosts; i++) {
		/* of two for one name the first one counts */
		if (str_eq(d->hosts[i]->name, f->target) && (d->hosts[i]->kept || d->hosts[i]->port == f->port))
			h = d->hosts[i];
	}
	if (!h && d->n_hosts >= DNS_HOSTS_MAX) {
		if (!d->many)
			dns_say(d, LOG_LEVEL_WARNING, "more hosts in DNS than are taken", f->target);
		d->many = true;
		return;
	}
	if (!h) {
		h = xcalloc(1, sizeof(*h));
		h->uid = ++d->uid;
		str_copy(h->name, f->target);
		h->port = f->port;
		h->address.due_us = INT64_MAX;
		*xgrow(&d->hosts, d->n_hosts, &d->cap_hosts) = h;
		d->n_hosts++;
	}
	h->kept = true;
}

static void hosts_sweep(struct dns *d, mono_t now)
{
	size_t kept = 0, n_gone = 0;
	struct dns_host **gone = xcalloc(d->n_hosts + 1, sizeof(struct dns_host *));

	for (size_t i = 0; i < d->n_hosts; i++) {
		struct dns_host *h = d->hosts[i];

		h->missing = !h->kept;
		if (h->kept || now.us < d->grace_us)
			d->hosts[kept++] = h;
		else
			gone[n_gone++] = h;
	}
	d->n_hosts = kept;
	for (size_t i = 0; i < n_gone; i++) {
		struct dns_host *h = gone[i];

		d->n_asked -= (size_t)h->text.asked + h->address.asked;
		if (d->trouble.text && d->trouble.about / ID_KINDS == h->uid)
			trouble_clear(d, &d->trouble, "DNS can be used again");
		peers_drop(d, h->peers, h->n_peers);
		host_free(h);
	}
	free(gone);
}

/* Servers that were away may have lost what was written there: who is missing has the time to write it again */
static bool away_judge(struct dns *d, mono_t now, unsigned failures)
{
	if (failures > 0 || d->srv.failures > 0)
		d->grace_us = now.us + GRACE_US;
	return now.us < d->grace_us;
}

static void srv_answer(struct dns *d, mono_t now, const uint8_t *data, size_t len, struct err *err, int *ret_code)
{
	uint32_t ttl_s;
	bool own = false;

	for (size_t i = 0; i < d->n_hosts; i++)
		d->hosts[i]->kept = false;
	*ret_code = dns_message_read(data, len, d->listing, DNS_TYPE_SRV, srv_found, d, &ttl_s, err);
	if (*ret_code < 0 && *ret_code != -ENOENT && *ret_code != -ENODATA) {
		/* then nothing was told */
		for (size_t i = 0; i < d->n_hosts; i++)
			d->hosts[i]->kept = true;
		ask_failed(d, now, &d->srv);
		return;
	}
	if (!d->begun)
		d->events.begin(d->events.arg);
	d->begun = true;
	away_judge(d, now, d->srv.failures);
	ask_answered(&d->srv, now, ttl_s, *ret_code);
	hosts_sweep(d, now);
	for (size_t i = 0; i < d->n_hosts; i++)
		own = own || (str_eq(d->hosts[i]->name, d->own) && !d->hosts[i]->missing);
	own_seen(d, now, d->srv.since_us, own);
}

struct text_read {
	struct dns *d;
	struct dns_host *h;
	struct peer *peers;
	size_t n, cap;
};

static void text_found(void *arg, const struct dns_found *f)
{
	struct text_read *t = arg;
	struct dns *d = t->d;
	autobuf struct buf sealed = {0}, opened = {0};
	struct err err = {0};
	struct peer p;
	int r;

	if (t->n >= DNS_HOST_PEERS || f->text_len > DNS_TEXT_BYTES || !dns_text_is_ours(f->text, f->text_len))
		return;
	if (dns_sealed_get(f->text, f->text_len, &sealed)) {
		r = d->events.unseal(d->events.arg, t->h->name, sealed.data, sealed.len, &opened, &err);
		if (r == 0)
			r = dns_text_get((const uint8_t *)opened.data, opened.len, &p, &err);
	} else if (d->config.sealed) {
		r = -ENOKEY; /* in clear, and we have a key: a stranger's */
	} else {
		r = dns_text_get(f->text, f->text_len, &p, &err);
		if (r == 0) /* anybody could put his own there */
			p.wireguard = (struct wg_say){0};
	}
	if (r == -ENOKEY)
		t->h->unreadable++;
	if (r < 0) {
		dns_say(d, LOG_LEVEL_DEBUG, "a record in DNS is no peer", err.text[0] ? err.text : t->h->name);
		return;
	}
	if (peer_in(t->peers, t->n, &p)) {
		peer_done(&p);
		return;
	}
	*xgrow(&t->peers, t->n, &t->cap) = p;
	t->n++;
}

static int text_answer(struct dns *d, mono_t now, struct dns_host *h, const uint8_t *data, size_t len, struct err *err)
{
	struct text_read t = {.d = d, .h = h};
	unsigned unreadable = h->unreadable;
	struct peer *old = h->peers;
	size_t n_old = h->n_peers;
	uint32_t ttl_s;
	bool patient;
	int code;

	h->unreadable = 0;
	code = dns_message_read(data, len, h->name, DNS_TYPE_TXT, text_found, &t, &ttl_s, err);
	if (code < 0 && code != -ENOENT && code != -ENODATA) {
		h->unreadable = unreadable;
		peers_clear(t.peers, t.n);
		ask_failed(d, now, &h->text);
		return code;
	}
	patient = code < 0 && n_old > 0 && away_judge(d, now, h->text.failures);
	ask_answered(&h->text, now, ttl_s, code);
	if (patient) {
		h->unreadable = unreadable;
		return 0;
	}
	h->peers = t.peers;
	h->n_peers = t.n;
	for (size_t i = 0; i < t.n; i++)
		d->events.put(d->events.arg, &t.peers[i]);
	peers_drop(d, old, n_old);
	peers_clear(old, n_old);
	if (str_eq(h->name, d->own))
		own_text_seen(d, now, h);
	else if (h->n_peers > 0)
		h->address.due_us = INT64_MAX;
	else if (h->address.due_us == INT64_MAX)
		h->address.due_us = now.us;
	return 0;
}

static void address_found(void *arg, const struct dns_found *f)
{
	struct dns_host *h = arg;

	if (h->n_ips < DNS_HOST_IPS)
		h->ips[h->n_ips++] = f->ip;
}

static int address_answer(struct dns *d, mono_t now, struct dns_host *h, const uint8_t *data, size_t len,
			  struct err *err)
{
	struct dns_host read = {0};
	uint32_t ttl_s;
	int code = dns_message_read(data, len, h->name, d->config.family == AF_INET6 ? DNS_TYPE_AAAA : DNS_TYPE_A,
				    address_found, &read, &ttl_s, err);

	if (code < 0 && code != -ENOENT && code != -ENODATA) {
		ask_failed(d, now, &h->address);
		return code;
	}
	ask_answered(&h->address, now, ttl_s, code);
	if (h->n_peers > 0)
		h->address.due_us = INT64_MAX;
	memcpy(h->ips, read.ips, sizeof(h->ips));
	h->n_ips = read.n_ips;
	return 0;
}

static struct dns_ask *ask_of(struct dns *d, uint64_t id, struct dns_host **ret_host)
{
	*ret_host = id == ID_SRV ? NULL : host_find(d, id / ID_KINDS);
	if (id == ID_SRV)
		return &d->srv;
	if (!*ret_host)
		return NULL;
	return id % ID_KINDS == ID_TEXT ? &(*ret_host)->text : &(*ret_host)->address;
}

void dns_answer(struct dns *d, mono_t now, uint64_t id, int code, const uint8_t *data, size_t len,
		const struct err *err)
{
	struct dns_host *h;
	struct dns_ask *a = ask_of(d, id, &h);
	struct err why = {0};

	if (!a || !a->asked || d->stopping)
		return;
	a->asked = false;
	d->n_asked--;
	if (code < 0) {
		why = *err;
		ask_failed(d, now, a);
	} else if (!h) {
		srv_answer(d, now, data, len, &why, &code);
	} else if (a == &h->text) {
		code = text_answer(d, now, h, data, len, &why);
	} else {
		code = address_answer(d, now, h, data, len, &why);
	}
	if (code == 0 || ((code == -ENOENT || code == -ENODATA) && (d->config.update && !d->update_trouble.text))) {
		if (d->trouble.text && (d->trouble.about == id || id == ID_SRV))
			trouble_clear(d, &d->trouble, "DNS can be used again");
	} else {
		ask_trouble(d, id, h ? h->name : d->listing, code, why.text);
	}
	if (code == 0 || code == -ENOENT || code == -ENODATA)
		d->events.seen(d->events.arg);
	hosts_tell(d);
	listing_end(d);
}

/* --- the rest --- */

void dns_keys(struct dns *d, mono_t now, bool sealed)
{
	d->config.sealed = sealed;
	for (size_t i = 0; i < d->n_hosts; i++)
		d->hosts[i]->text.due_us = now.us;
	d->changed = d->want || d->there;
	if (d->changed)
		d->update_us = now.us;
}

void dns_stop(struct dns *d, mono_t now)
{
	d->stopping = true;
	own_stop(d, now);
}

bool dns_stopped(const struct dns *d)
{
	return d->stopped;
}

static void due_take(int64_t *due_us, const struct dns_ask *a)
{
	if (!a->asked && a->due_us < *due_us)
		*due_us = a->due_us;
}

int64_t dns_due(const struct dns *d)
{
	int64_t due_us = own_due(d);

	if (d->stopping || d->n_asked >= DNS_PARALLEL_MAX)
		return due_us;
	due_take(&due_us, &d->srv);
	for (size_t i = 0; i < d->n_hosts; i++) {
		if (d->hosts[i]->missing)
			continue;
		due_take(&due_us, &d->hosts[i]->text);
		due_take(&due_us, &d->hosts[i]->address);
	}
	return due_us;
}
