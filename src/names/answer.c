/* SPDX-License-Identifier: Apache-2.0
 *
 * What the table says, in the words of DNS.
 */
#include "names/answer.h"

static enum verdict reply(const uint8_t *in, const struct dns_query *q, const struct dns_answer *a, uint8_t *out,
			  size_t *ret_len)
{
	*ret_len = dns_answer_build(in, q, a, out);
	return VERDICT_REPLY;
}

static enum verdict answer_ptr(const struct table *t, const struct viewer *v, const uint8_t *in,
			       const struct dns_query *q, const struct ip *ip, uint8_t *out, size_t *ret_len)
{
	char target[DNS_NAME_BYTES];
	struct dns_answer a = {.target = target};

	if (table_find_ip(t, v, ip, target, sizeof(target)) != FIND_NAME)
		return VERDICT_ASK_ON;
	return reply(in, q, &a, out, ret_len);
}

static enum verdict answer(const struct table *t, const struct viewer *v, uint32_t *turn, const uint8_t *in,
			   const struct dns_query *q, uint8_t *out, size_t *ret_len)
{
	uint8_t family = q->type == DNS_A ? AF_INET : q->type == DNS_AAAA ? AF_INET6 : 0;
	struct dns_answer a = {0};
	struct ip ips[FIND_MAX];

	if (q->type == DNS_PTR && dns_reverse_parse(q->name, &ips[0]) == 0)
		return answer_ptr(t, v, in, q, &ips[0], out, ret_len);
	switch (table_find(t, v, q->name, family, ips, &a.n_addresses)) {
	case FIND_NONE:
		return VERDICT_ASK_ON;
	case FIND_NAME:
		break;
	case FIND_ABSENT:
		a.rcode = DNS_NXDOMAIN;
		break;
	}
	if (!family && q->type != DNS_ANY)
		a.n_addresses = 0;
	a.addresses = ips;
	if (a.n_addresses)
		a.first = (*turn)++ % a.n_addresses;
	else if (table_below(t, q->name))
		a.zone = table_domain(t);
	a.soa = q->type == DNS_SOA && a.zone && str_eq(q->name, a.zone);
	return reply(in, q, &a, out, ret_len);
}

enum verdict answer_query(const struct table *t, const struct viewer *v, uint32_t *turn, const uint8_t *in, size_t len,
			  uint8_t out[static DNS_REPLY_BYTES], size_t *ret_len)
{
	struct dns_query q;
	int rc = dns_query_parse(in, len, &q);

	if (rc == -EBADMSG)
		return VERDICT_DROP;
	return rc < 0 || !v ? VERDICT_ASK_ON : answer(t, v, turn, in, &q, out, ret_len);
}

enum verdict answer_host(const struct table *t, uint32_t *turn, const uint8_t *in, size_t len,
			 uint8_t out[static DNS_REPLY_BYTES], size_t *ret_len)
{
	struct dns_answer refused = {.rcode = DNS_REFUSED};
	struct dns_query q;
	int rc = dns_query_parse(in, len, &q);
	enum verdict verdict;

	if (rc == -EBADMSG)
		return VERDICT_DROP;
	if (rc < 0) {
		*ret_len = dns_error_build(in, DNS_FORMERR, out);
		return VERDICT_REPLY;
	}
	verdict = answer(t, table_host(t), turn, in, &q, out, ret_len);
	return verdict == VERDICT_ASK_ON ? reply(in, &q, &refused, out, ret_len) : verdict;
}
