/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines to an nft ruleset; see forward_rule.h.
 */
#include "io/forward_rule.h"

#include "base/addr.h"

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

static bool group_ok(const struct ip *ip)
{
	if (!ip_is_multicast(ip))
		return false;
	if (ip->family == AF_INET)
		return !(ip->b[0] == 224 && ip->b[1] == 0 && ip->b[2] == 0);
	return (ip->b[1] & 0x0f) > 2;
}

/* Cut the next word of at most 63 bytes out of a line. Return: false: there is none, or it is too long */
static bool word_next(const char **at, const char *end, char ret[static 64])
{
	size_t n = 0;

	while (*at < end && **at != ' ' && n < 63)
		ret[n++] = *(*at)++;
	ret[n] = '\0';
	if (*at < end && **at != ' ')
		return false;
	if (*at < end)
		(*at)++;
	return n > 0;
}

static int line_make(const char *line, const char *end, char last_in[static 64], struct buf *ret, struct err *err)
{
	char in[64], out[64], group[64], text[IP_STRLEN];
	struct ip ip;

	if (!word_next(&line, end, in) || !word_next(&line, end, out) || !word_next(&line, end, group) || line != end ||
	    !name_ok(in) || !name_ok(out) || str_eq(in, out) || ip_parse(group, &ip) < 0 || !group_ok(&ip))
		return err_set(err, -EINVAL, "forward: a line must be two interfaces and a group that can be routed");
	if (!str_eq(in, last_in)) {
		buf_printf(ret,
			   "%s\tchain from-%s {\n\t\ttype filter hook ingress device \"%s\" priority -150; policy "
			   "accept;\n",
			   *last_in ? "\t}\n" : "", in, in);
		memcpy(last_in, in, sizeof(in));
	}
	buf_printf(ret, "\t\t%s daddr %s meta l4proto udp dup to \"%s\"\n", ip.family == AF_INET ? "ip" : "ip6",
		   ip_format(&ip, text), out);
	return 0;
}

int forward_rule_make(const char *text, size_t len, struct buf *ret, struct err *err)
{
	char last_in[64] = "";
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
