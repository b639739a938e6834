/* SPDX-License-Identifier: Apache-2.0
 *
 * Our own records: what they are, as commands of nsupdate, and when they have to be written.
 */
#include "discovery/dns_state.h"

#define PAUSE_MAX_US (15 * USEC_PER_SEC)
#define LOST_MAX     5 /* the wait before records that are not seen are written again is doubled so often */

static void own_changed(struct dns *d)
{
	d->changed = true;
	d->update_us = INT64_MIN;
}

/* --- our stacks --- */

void dns_self_begin(struct dns *d)
{
	for (size_t i = 0; i < d->n_stacks; i++)
		d->stacks[i].kept = false;
}

void dns_self(struct dns *d, const struct peer *peer)
{
	struct dns_stack *s = NULL;

	if (!d->config.update || d->stopping)
		return;
	if (ip_cmp(&d->host_ip, &peer->host_ip) != 0)
		own_changed(d);
	d->host_ip = peer->host_ip;
	for (size_t i = 0; !s && i < d->n_stacks; i++) {
		if (d->stacks[i].key.vni == peer->vni && str_eq(d->stacks[i].key.stack_id, peer->stack_id))
			s = &d->stacks[i];
	}
	if (!s) {
		s = xgrow(&d->stacks, d->n_stacks, &d->cap_stacks);
		d->n_stacks++;
		s->key.vni = peer->vni;
		str_copy(s->key.stack_id, peer->stack_id);
		str_copy(s->key.host_id, peer->host_id);
	} else if (s->seq == peer->seq && ip_cmp(&s->key.host_ip, &peer->host_ip) == 0) {
		s->kept = true;
		return;
	}
	s->kept = true;
	s->seq = peer->seq;
	s->key.host_ip = peer->host_ip;
	buf_clear(&s->text);
	dns_text_put(&s->text, peer);
	own_changed(d);
}

void dns_self_end(struct dns *d)
{
	size_t kept = 0;

	if (!d->config.update || d->stopping)
		return;
	for (size_t i = 0; i < d->n_stacks; i++) {
		if (d->stacks[i].kept) {
			d->stacks[kept++] = d->stacks[i];
			continue;
		}
		buf_done(&d->stacks[i].text);
		own_changed(d);
	}
	d->n_stacks = kept;
	d->want = kept > 0;
	/* nothing to take away, as far as is known */
	if (!d->want && !d->there)
		d->changed = false;
}

void own_done(struct dns *d)
{
	for (size_t i = 0; i < d->n_stacks; i++)
		buf_done(&d->stacks[i].text);
	free(d->stacks);
}

/* --- what is seen of them --- */

/* Can an answer that was asked for at @asked_us know what we wrote last, and is it said that it does not? */
static void own_judge(struct dns *d, mono_t now, int64_t asked_us, bool fine)
{
	int64_t patience_us = d->config.ttl_s * USEC_PER_SEC << (d->n_lost < LOST_MAX ? d->n_lost : LOST_MAX);

	if (!d->config.update || d->stopping || d->updating || d->changed)
		return;
	if (fine)
		return;
	if (d->written && asked_us < d->wrote_us + patience_us)
		return;
	d->n_lost++;
	dns_say(d, LOG_LEVEL_INFO,
		d->want ? "our records are not in DNS, writing them again"
			: "records of an earlier start are in DNS, taking them away",
		d->own);
	own_changed(d);
}

void own_seen(struct dns *d, mono_t now, int64_t asked_us, bool there)
{
	own_judge(d, now, asked_us, there == d->want);
}

void own_text_seen(struct dns *d, mono_t now, const struct dns_host *h)
{
	bool all = true;

	for (size_t i = 0; i + d->n_left_out < d->n_stacks; i++) {
		const struct dns_stack *s = &d->stacks[i];
		bool there = false;

		for (size_t j = 0; j < h->n_peers && !there; j++) {
			const struct peer *p = &h->peers[j];

			there = p->vni == s->key.vni && str_eq(p->stack_id, s->key.stack_id) &&
				str_eq(p->host_id, s->key.host_id) && p->seq >= s->seq &&
				ip_cmp(&p->host_ip, &d->host_ip) == 0;
		}
		all = all && there;
	}
	if (all)
		d->n_lost = 0;
	own_judge(d, now, h->text.since_us, all);
}

/* --- writing --- */

static void text_print(struct dns *d, struct buf *b, const struct dns_stack *s)
{
	autobuf struct buf sealed = {0}, text = {0};

	if (!d->config.sealed) {
		dns_text_print(b, (const uint8_t *)s->text.data, s->text.len);
		return;
	}
	d->events.seal(d->events.arg, d->own, s->text.data, s->text.len, &sealed);
	dns_sealed_put(&text, sealed.data, sealed.len);
	dns_text_print(b, (const uint8_t *)text.data, text.len);
}

static void own_print(struct dns *d, struct buf *b)
{
	char ip[IP_STRLEN];
	size_t bytes = 0;

	d->n_left_out = 0;
	buf_printf(b, "update add %s. %u %s %s\n", d->own, d->config.ttl_s,
		   d->host_ip.family == AF_INET6 ? "AAAA" : "A", ip_format(&d->host_ip, ip));
	for (size_t i = 0; i < d->n_stacks; i++) {
		/* sealed it is a third longer, and some */
		size_t more = d->stacks[i].text.len * (d->config.sealed ? 3 : 2) / 2 + 128;

		if (bytes + more > DNS_UPDATE_BYTES || d->n_left_out > 0) {
			d->n_left_out++;
			continue;
		}
		bytes += more;
		buf_printf(b, "update add %s. %u TXT ", d->own, d->config.ttl_s);
		text_print(d, b, &d->stacks[i]);
		buf_puts(b, "\n");
	}
	buf_printf(b, "update add %s. %u SRV 0 0 %u %s.\n", d->listing, d->config.ttl_s, d->config.port, d->own);
}

bool dns_update(struct dns *d, mono_t now, struct buf *ret)
{
	if (!d->changed || d->updating || d->stopped || now.us < d->update_us)
		return false;
	for (size_t i = 0; i < d->n_hosts; i++) {
		/* with the port of another time */
		if (str_eq(d->hosts[i]->name, d->own) && d->hosts[i]->port != d->config.port)
			buf_printf(ret, "update delete %s. SRV 0 0 %u %s.\n", d->listing, d->hosts[i]->port, d->own);
	}
	if (!d->want)
		buf_printf(ret, "update delete %s. SRV 0 0 %u %s.\n", d->listing, d->config.port, d->own);
	buf_printf(ret, "update delete %s.\n", d->own);
	if (d->want)
		own_print(d, ret);
	buf_puts(ret, "send\n");
	d->updating = true;
	d->changed = false;
	return true;
}

static void update_trouble(struct dns *d, int code, const struct err *err)
{
	const char *cure = "Is DNS_UPDATE the primary server of the zone, does it run, and does a firewall let UDP and "
			   "TCP port 53 through?";
	char *text;

	switch (code) {
	case -ENOENT:
		cure = "apt-get install bind9-dnsutils";
		text = xstrdup("our records cannot be written to DNS: nsupdate is not installed");
		break;
	case -EKEYREJECTED:
		cure = "The name of the key in DNS_TSIG_KEY_FILE and its algorithm must be those that the server has.";
		text = xstrdup("the DNS server does not know our TSIG key (BADKEY)");
		break;
	case -EBADE:
		cure = "The secret in DNS_TSIG_KEY_FILE must be that of the key on the server.";
		text = xstrdup("our TSIG key has another secret than the DNS server's of that name (BADSIG)");
		break;
	case -ETIME:
		cure = "Set the clocks of this host and of the DNS server: more than five minutes are between them.";
		text = xstrdup("the clocks of this host and of the DNS server differ too much for TSIG (BADTIME)");
		break;
	case -EACCES:
		cure = "Permit it: BIND allow-update or update-policy, knot acl with action: update. Where it is "
		       "permitted to "
		       "a key, set DNS_TSIG_KEY_FILE. DNS_UPDATE must be the primary server of the zone.";
		text = xasprintf("the DNS server refuses our update: %s", err->text);
		break;
	case -ENXIO:
		cure = "DNS_UPDATE must be the primary server of the zone that DNS_DOMAIN is in.";
		text = xasprintf("the server of DNS_UPDATE has no zone for DNS_DOMAIN: %s", err->text);
		break;
	default:
		text = xasprintf("our records cannot be written to DNS: %s", err->text);
		break;
	}
	trouble_set(d, &d->update_trouble, "our records cannot be written to DNS", 0, cure, text);
}

void dns_updated(struct dns *d, mono_t now, int code, const struct err *err)
{
	if (!d->updating)
		return;
	d->updating = false;
	if (d->forgetting && code == 0)
		d->stopped = true;
	if (d->stopping) {
		d->stopped = true;
		return;
	}
	if (code == 0) {
		trouble_clear(d, &d->update_trouble, "our records are written to DNS");
		d->update_failures = 0;
		d->there = d->want;
		d->written = true;
		d->wrote_us = now.us;
		return;
	}
	update_trouble(d, code, err);
	d->changed = true;
	d->update_us = now.us + dns_pause_us(d, d->update_failures, PAUSE_MAX_US);
	d->update_failures++;
}

int dns_update_code(const char *text, struct err *err)
{
	static const struct {
		const char *words;
		int code;
	} known[] = {
		{"connection refused", -ETIMEDOUT}, /* before REFUSED, which it holds */
		{"BADKEY", -EKEYREJECTED},
		{"BADSIG", -EBADE},
		{"tsig verify failure", -EBADE},
		{"BADTIME", -ETIME},
		{"clocks are unsynchronized", -ETIME},
		{"REFUSED", -EACCES},
		{"NOTZONE", -ENXIO},
		{"NOTAUTH", -EACCES},
		{"expected a TSIG", -ENXIO}, /* knot: a refusal that is not signed */
		{"NXDOMAIN", -ENXIO},
		{"did not find an enclosing", -ENXIO},
		{"timed out", -ETIMEDOUT},
		{"could not talk", -ETIMEDOUT},
		{"host unreachable", -ETIMEDOUT},
		{"network unreachable", -ETIMEDOUT},
	};
	autobuf struct buf line = {0};
	char first[120];
	size_t len;

	/* Its last line says most */
	len = strlen(text);
	while (len > 0 && text[len - 1] == '\n')
		len--;
	while (len > 0 && text[len - 1] != '\n')
		len--;
	str_print(first, "%.*s", (int)strcspn(text + len, "\n") < 110 ? (int)strcspn(text + len, "\n") : 110,
		  text + len);
	str_safe(&line, first);
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (strcasestr(text, known[i].words))
			return err_set(err, known[i].code, "%s", line.data ? line.data : known[i].words);
	}
	return err_set(err, -EIO, "%s", line.len ? line.data : "nsupdate says nothing");
}

/* --- the end --- */

void dns_forget(struct dns *d)
{
	d->want = false;
	d->there = d->forgetting = true;
	own_changed(d);
}

void own_stop(struct dns *d, mono_t now)
{
	/* what is under way may have been carried out */
	bool there = d->there || d->updating;

	d->updating = false;
	d->stopped = !d->config.update || !d->config.goodbye || !there;
	d->want = false;
	own_changed(d);
	d->changed = !d->stopped;
	d->update_us = now.us;
}

int64_t own_due(const struct dns *d)
{
	if (d->stopped || d->updating || !d->changed)
		return INT64_MAX;
	return d->update_us;
}
