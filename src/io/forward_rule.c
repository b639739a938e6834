/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines to an nft ruleset; see forward_rule.h.
 */
#include "io/forward_rule.h"

#include "base/addr.h"

#define WORD (FORWARD_LISTED * PREFIX_STRLEN + 8)

struct line {
	char in[16], out[16];
	bool copy;	  /* to is a group, else the prefix of a network */
	struct prefix to; /* its text goes into rules, so that what was given does not */
	struct {
		struct prefix v[FORWARD_LISTED];
		size_t n;
	} from, not, but;
	uint64_t ttl; /* 0: as it is */
};

static bool name_ok(const char *s)
{
	size_t n = strlen(s);

	if (n < 1 || n > 15 || str_eq(s, ".") || str_eq(s, ".."))
		return false;
	for (; *s; s++)
		if (!(*s >= '0' && *s <= '9') && !(*s >= 'a' && *s <= 'z') && !(*s >= 'A' && *s <= 'Z') &&
		    !strchr("_.-", *s))
			return false;
	return true;
}

static bool group_ok(const struct prefix *p)
{
	const struct ip *ip = &p->ip;

	if (!ip_is_multicast(ip) || p->len != ip_bits(ip->family))
		return false;
	if (ip->family == AF_INET)
		return !(ip->b[0] == 224 && ip->b[1] == 0 && ip->b[2] == 0);
	return (ip->b[1] & 0x0f) > 2;
}

/* One of a network that can be routed to */
static bool network_ok(const struct prefix *p)
{
	struct prefix masked = prefix_mask(*p);

	return p->len >= (p->ip.family == AF_INET ? 8 : 16) && prefix_cmp(&masked, p) == 0 &&
	       !ip_is_multicast(&p->ip) && !ip_is_link_local(&p->ip) && !ip_is_loopback(&p->ip) &&
	       !ip_is_unspecified(&p->ip);
}

/* Cut the next word out of a line. Return: false: there is none, or it is too long */
static bool word_next(const char **at, const char *end, char *ret, size_t size)
{
	size_t n = 0;

	while (*at < end && **at != ' ' && n < size - 1)
		ret[n++] = *(*at)++;
	ret[n] = '\0';
	if (*at < end && **at != ' ')
		return false;
	if (*at < end)
		(*at)++;
	return n > 0;
}

/* "192.0.2.0/24,192.0.2.9" of that family */
static bool list_parse(char *s, uint8_t family, struct prefix *v, size_t *n)
{
	char *save = NULL;

	if (*n || !*s || s[strlen(s) - 1] == ',')
		return false;
	for (char *word = strtok_r(s, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		struct prefix p;

		if (*n >= FORWARD_LISTED || strlen(word) >= PREFIX_STRLEN || prefix_parse(word, &p) < 0 ||
		    p.ip.family != family || ip_is_multicast(&p.ip))
			return false;
		v[(*n)++] = prefix_mask(p);
	}
	return *n > 0;
}

static bool option_parse(char *word, struct line *l)
{
	uint8_t family = l->to.ip.family;

	if (strncmp(word, "from=", 5) == 0)
		return list_parse(word + 5, family, l->from.v, &l->from.n);
	if (strncmp(word, "not=", 4) == 0)
		return list_parse(word + 4, family, l->not .v, &l->not .n);
	if (strncmp(word, "but=", 4) == 0)
		return !l->copy && list_parse(word + 4, family, l->but.v, &l->but.n);
	return strncmp(word, "ttl=", 4) == 0 && l->copy && !l->ttl && parse_u64(word + 4, 1, 255, &l->ttl) == 0;
}

static bool line_parse(const char *at, const char *end, struct line *l)
{
	char word[WORD];

	if (!word_next(&at, end, l->in, sizeof(l->in)) || !word_next(&at, end, l->out, sizeof(l->out)) ||
	    !word_next(&at, end, word, PREFIX_STRLEN) || !name_ok(l->in) || !name_ok(l->out) || str_eq(l->in, l->out) ||
	    prefix_parse(word, &l->to) < 0)
		return false;
	l->copy = group_ok(&l->to);
	if (!l->copy && !network_ok(&l->to))
		return false;
	while (at < end)
		if (!word_next(&at, end, word, sizeof(word)) || !option_parse(word, l))
			return false;
	/* a way in is for somebody, not for the whole world */
	for (size_t i = 0; !l->copy && i < l->from.n; i++)
		if (!network_ok(&l->from.v[i]))
			return false;
	return end[-1] != ' ' && (l->copy || l->from.n);
}

static void list_put(struct buf *b, const char *what, const struct prefix *v, size_t n)
{
	char text[PREFIX_STRLEN], ip[IP_STRLEN];

	if (!n)
		return;
	buf_printf(b, "%s{ ", what);
	for (size_t i = 0; i < n; i++) {
		bool whole = v[i].len == ip_bits(v[i].ip.family);

		buf_printf(b, "%s%s", i ? ", " : "", whole ? ip_format(&v[i].ip, ip) : prefix_format(&v[i], text));
	}
	buf_puts(b, " } ");
}

static void line_put(const struct line *l, struct buf *b)
{
	const char *ip = l->to.ip.family == AF_INET ? "ip" : "ip6";
	char text[PREFIX_STRLEN], group[IP_STRLEN], what[32];

	buf_puts(b, "\t\t");
	str_print(what, "%s saddr ", ip);
	list_put(b, what, l->from.v, l->from.n);
	str_print(what, "%s saddr != ", ip);
	list_put(b, what, l->not .v, l->not .n);
	str_print(what, "%s daddr != ", ip);
	list_put(b, what, l->but.v, l->but.n);
	if (!l->copy) {
		buf_printf(b, "%s daddr %s fwd %s to %s daddr device \"%s\"\n", ip, prefix_format(&l->to, text), ip, ip,
			   l->out);
		return;
	}
	buf_printf(b, "%s daddr %s meta l4proto udp ", ip, ip_format(&l->to.ip, group));
	if (l->ttl)
		buf_printf(b, "%s %s set %u ", ip, l->to.ip.family == AF_INET ? "ttl" : "hoplimit", (unsigned)l->ttl);
	buf_printf(b, "dup to \"%s\"\n", l->out);
}

static int line_make(const char *text, const char *end, char last_in[static 16], struct buf *ret, struct err *err)
{
	struct line l = {0};

	if (text == end || !line_parse(text, end, &l))
		return err_set(
			err, -EINVAL,
			"forward: a line must be two interfaces, and a group that can be routed or a prefix with "
			"from=, see forward_rule.h");
	if (!str_eq(l.in, last_in)) {
		buf_printf(ret,
			   "%s\tchain from-%s {\n\t\ttype filter hook ingress device \"%s\" priority -150; policy "
			   "accept;\n",
			   *last_in ? "\t}\n" : "", l.in, l.in);
		memcpy(last_in, l.in, sizeof(l.in));
	}
	line_put(&l, ret);
	return 0;
}

int forward_rule_make(const char *text, size_t len, struct buf *ret, struct err *err)
{
	char last_in[16] = "";
	const char *end = text + len;
	size_t n = 0;

	if (len > FORWARD_BYTES_MAX)
		return err_set(err, -E2BIG, "forward: more than %zu bytes", FORWARD_BYTES_MAX);
	buf_puts(ret, "table netdev " FORWARD_TABLE "\ndelete table netdev " FORWARD_TABLE "\n");
	for (const char *line = text; line < end; n++) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));
		int rc;

		if (!stop)
			return err_set(err, -EINVAL, "forward: a line that does not end");
		if (n >= FORWARD_RULES_MAX)
			return err_set(err, -E2BIG, "forward: more than %d rules", FORWARD_RULES_MAX);
		if (!n)
			buf_puts(ret, "table netdev " FORWARD_TABLE " {\n");
		rc = line_make(line, stop, last_in, ret, err);
		if (rc < 0)
			return rc;
		line = stop + 1;
	}
	if (n)
		buf_puts(ret, "\t}\n}\n");
	return 0;
}
