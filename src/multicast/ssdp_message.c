/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines in, lines out.
 */
#include <strings.h>

#include "multicast/ssdp_message.h"

const char *const ssdp_bad_names[SSDP_BAD_N_] = {
	"ok", "too long", "no start line", "broken header", "header twice", "wrong MX", "wrong MAN", "wrong path",
};

static enum ssdp_bad start_parse(struct http_text line, struct ssdp_message *ret)
{
	struct http_text whole = line;

	line = http_text_trim(line);
	if (line.s != whole.s)
		return SSDP_BAD_START;
	ret->start = line;
	if (http_text_is(line, "M-SEARCH * HTTP/1.1") || http_text_is(line, "M-SEARCH * HTTP/1.0"))
		ret->kind = SSDP_SEARCH;
	else if (http_text_is(line, "NOTIFY * HTTP/1.1") || http_text_is(line, "NOTIFY * HTTP/1.0"))
		ret->kind = SSDP_NOTIFY;
	else if (line.len >= 12 && line.len < 40 &&
		 (!strncasecmp(line.s, "HTTP/1.1 200", 12) || !strncasecmp(line.s, "HTTP/1.0 200", 12)) &&
		 (line.len == 12 || line.s[12] == ' '))
		ret->kind = SSDP_RESPONSE;
	else
		return SSDP_BAD_START;
	return SSDP_OK;
}

static enum ssdp_bad mx_parse(struct http_text v, struct ssdp_message *ret)
{
	int n = 0;

	if (ret->mx >= 0)
		return SSDP_BAD_TWICE;
	if (!v.len || v.len > 20)
		return SSDP_BAD_MX;
	for (size_t i = 0; i < v.len; i++) {
		if (v.s[i] < '0' || v.s[i] > '9')
			return SSDP_BAD_MX;
		n = n > SSDP_MX_MAX ? n : n * 10 + (v.s[i] - '0');
	}
	ret->mx = n > SSDP_MX_MAX ? SSDP_MX_MAX : n;
	return SSDP_OK;
}

/* "0123456789abcdef,..." */
static enum ssdp_bad path_parse(struct http_text v, struct ssdp_message *ret)
{
	if (ret->n_path)
		return SSDP_BAD_TWICE;
	for (size_t at = 0; at < v.len || !at;) {
		uint64_t id = 0;

		if (v.len - at < 16 || ret->n_path >= SSDP_PATH)
			return SSDP_BAD_PATH;
		for (size_t i = 0; i < 16; i++) {
			char c = v.s[at + i];

			if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
				return SSDP_BAD_PATH;
			id = id << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
		}
		ret->path[ret->n_path++] = id;
		at += 16;
		if (at < v.len && v.s[at++] != ',')
			return SSDP_BAD_PATH;
	}
	return SSDP_OK;
}

static enum ssdp_bad header_parse(struct http_text line, struct ssdp_message *ret)
{
	struct http_header h = {.name = {line.s, http_token_len(line)}};

	/* some put blanks in front of the colon */
	h.value = http_text_trim((struct http_text){line.s + h.name.len, line.len - h.name.len});
	if (!h.name.len || !h.value.len || h.value.s[0] != ':')
		return SSDP_BAD_HEADER;
	h.value = http_text_trim((struct http_text){h.value.s + 1, h.value.len - 1});

	if (http_text_is(h.name, SSDP_PATH_HEADER))
		return path_parse(h.value, ret);
	if (ret->n >= SSDP_HEADERS)
		return SSDP_BAD_HEADER;
	if (http_text_is(h.name, "LOCATION")) {
		if (ret->location >= 0)
			return SSDP_BAD_TWICE;
		ret->location = (int)ret->n;
	}
	if (http_text_is(h.name, "MX") && ret->kind == SSDP_SEARCH) {
		enum ssdp_bad bad = mx_parse(h.value, ret);

		if (bad != SSDP_OK)
			return bad;
	}
	ret->headers[ret->n++] = h;
	return SSDP_OK;
}

enum ssdp_bad ssdp_parse(const void *data, size_t len, struct ssdp_message *ret)
{
	struct http_text rest = {data, len}, line;
	enum ssdp_bad bad;

	ret->n = ret->n_path = 0;
	ret->mx = ret->location = -1;
	if (len > SSDP_BYTES)
		return SSDP_BAD_LONG;
	if (!len || !http_line_next(&rest, &line))
		return SSDP_BAD_START;
	bad = start_parse(line, ret);
	while (bad == SSDP_OK && rest.len) {
		if (!http_line_next(&rest, &line))
			return SSDP_BAD_HEADER;
		if (!line.len)
			break; /* no message of SSDP has a body */
		bad = header_parse(line, ret);
	}
	if (bad != SSDP_OK)
		return bad;
	if (ret->kind == SSDP_SEARCH) {
		const struct http_header *man = ssdp_find(ret, "MAN");

		if (!man ||
		    (!http_text_is(man->value, "\"ssdp:discover\"") && !http_text_is(man->value, "ssdp:discover")))
			return SSDP_BAD_MAN;
	}
	return SSDP_OK;
}

const struct http_header *ssdp_find(const struct ssdp_message *m, const char *name)
{
	for (size_t i = 0; i < m->n; i++)
		if (http_text_is(m->headers[i].name, name))
			return &m->headers[i];
	return NULL;
}

bool ssdp_location(const struct ssdp_message *m, struct endpoint *ret, struct http_text *ret_path)
{
	char text[ENDPOINT_STRLEN];
	struct http_text v;
	size_t n;

	if (m->location < 0)
		return false;
	v = m->headers[m->location].value;
	if (v.len < 8 || strncasecmp(v.s, "http://", 7) != 0)
		return false;
	v.s += 7;
	v.len -= 7;
	for (n = 0; n < v.len && v.s[n] != '/' && v.s[n] != '?' && v.s[n] != '#'; n++)
		;
	if (n >= sizeof(text))
		return false;
	memcpy(text, v.s, n);
	text[n] = '\0';
	if (endpoint_parse(text, 80, ret))
		return false;
	*ret_path = (struct http_text){v.s + n, v.len - n};
	return true;
}

static void text_put(struct buf *b, struct http_text t)
{
	buf_append(b, t.s, t.len);
}

void ssdp_text_write(const struct ssdp_message *m, struct buf *b)
{
	text_put(b, m->start);
	for (size_t i = 0; i < m->n; i++) {
		/* a relay may have changed these */
		if ((int)i == m->location || http_text_is(m->headers[i].name, "MX"))
			continue;
		buf_puts(b, "\n");
		text_put(b, m->headers[i].name);
		buf_puts(b, ":");
		text_put(b, m->headers[i].value);
	}
}

void ssdp_write(const struct ssdp_message *m, uint64_t router, const char *location, struct buf *b)
{
	text_put(b, m->start);
	buf_puts(b, "\r\n");
	for (size_t i = 0; i < m->n; i++) {
		text_put(b, m->headers[i].name);
		buf_puts(b, ": ");
		if ((int)i == m->location && location)
			buf_puts(b, location);
		else if (m->kind == SSDP_SEARCH && http_text_is(m->headers[i].name, "MX"))
			buf_printf(b, "%d", m->mx < 1 ? 1 : m->mx);
		else
			text_put(b, m->headers[i].value);
		buf_puts(b, "\r\n");
	}
	buf_puts(b, SSDP_PATH_HEADER ": ");
	for (size_t i = 0; i < m->n_path; i++)
		buf_printf(b, "%016llx,", (unsigned long long)m->path[i]);
	buf_printf(b, "%016llx\r\n\r\n", (unsigned long long)router);
}

void ssdp_notify_write(const struct ssdp_message *m, const struct endpoint *group, struct buf *b)
{
	static const char *const left_out[] = {"EXT", "DATE", "HOST", "NTS", "NT"};
	char host[ENDPOINT_STRLEN];

	buf_printf(b, "NOTIFY * HTTP/1.1\r\nHOST: %s\r\nNTS: ssdp:alive\r\n", endpoint_format(group, host));
	for (size_t i = 0; i < m->n; i++) {
		bool out = false;

		for (size_t k = 0; k < ARRAY_LEN(left_out); k++)
			out |= http_text_is(m->headers[i].name, left_out[k]);
		if (out)
			continue;
		if (http_text_is(m->headers[i].name, "ST"))
			buf_puts(b, "NT");
		else
			text_put(b, m->headers[i].name);
		buf_puts(b, ": ");
		text_put(b, m->headers[i].value);
		buf_puts(b, "\r\n");
	}
	buf_puts(b, "\r\n");
}
