/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP through the relay, cut at every byte: what is changed, what passes, and what ends the connection.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "io/http_message.h"
#include "multicast/didl.h"

#define IN  "172.30.0.2:8200"
#define OUT "192.0.2.1:48200"
#define GET "GET /rootDesc.xml HTTP/1.1\r\nHost: " OUT "\r\n\r\n"

static struct didl *relay(const char *inside)
{
	struct endpoint in, out;

	assert_int_equal(endpoint_parse(inside, 0, &in), 0);
	assert_int_equal(endpoint_parse(OUT, 0, &out), 0);
	return didl_new(&in, &out);
}

static void response_is_len(const char *inside, const char *request, const char *reply, size_t len, const char *wanted,
			    size_t n)
{
	/* whole, byte by byte, and in two parts of every length */
	for (size_t cut = 0; cut <= len; cut++) {
		struct didl *d = relay(inside);
		struct buf out = {0}, to_server = {0};
		size_t step = cut ? cut : 1;

		assert_int_equal(didl_request(d, request, strlen(request), &to_server), 0);
		for (size_t at = 0; at < len;) {
			size_t part = cut && at ? len - at : step;

			part = part > len - at ? len - at : part;
			char *copy = xmemdup(reply + at, part);
			assert_int_equal(didl_response(d, copy, part, &out), 0);
			free(copy);
			at += part;
		}
		assert_int_equal(didl_response_end(d, &out), 0);
		assert_int_equal(out.len, n);
		assert_memory_equal(out.data ? out.data : "", wanted, n);
		assert_int_equal(didl_kept(d), 0);
		buf_done(&out);
		buf_done(&to_server);
		didl_free(d);
	}
}

static void response_is(const char *request, const char *reply, const char *wanted)
{
	response_is_len(IN, request, reply, strlen(reply), wanted, strlen(wanted));
}

static int response_rc(const char *request, const char *reply, bool end)
{
	struct didl *d = relay(IN);
	struct buf out = {0};
	int rc;

	assert_int_equal(didl_request(d, request, strlen(request), &out), 0);
	rc = didl_response(d, reply, strlen(reply), &out);
	if (!rc && end)
		rc = didl_response_end(d, &out);
	buf_done(&out);
	didl_free(d);
	return rc;
}

static void request_is(const char *request, const char *wanted)
{
	for (size_t cut = 0; cut <= strlen(request); cut++) {
		struct didl *d = relay(IN);
		struct buf out = {0};

		assert_int_equal(didl_request(d, request, cut, &out), 0);
		assert_int_equal(didl_request(d, request + cut, strlen(request) - cut, &out), 0);
		assert_string_equal(out.data, wanted);
		assert_int_equal(didl_kept(d), 0);
		buf_done(&out);
		didl_free(d);
	}
}

static int request_rc(const char *request)
{
	struct didl *d = relay(IN);
	struct buf out = {0};
	int rc = didl_request(d, request, strlen(request), &out);

	buf_done(&out);
	didl_free(d);
	return rc;
}

static void test_requests(void **state)
{
	request_is("GET /a HTTP/1.1\r\nhost: " OUT "\r\nAccept-Encoding: gzip\r\nRange: bytes=0-\r\n\r\n",
		   "GET /a HTTP/1.1\r\nHost: " IN "\r\nRange: bytes=0-\r\n\r\n");
	/* a body with a length, in chunks, and the next request right behind */
	request_is("POST /ctl HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET /b HTTP/1.0\r\n\r\n",
		   "POST /ctl HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET /b HTTP/1.0\r\n\r\n");
	request_is("POST /ctl HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nT: x\r\n\r\nGET /b "
		   "HTTP/1.1\r\n\r\n",
		   "POST /ctl HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nT: x\r\n\r\nGET /b "
		   "HTTP/1.1\r\n\r\n");
	request_is("\r\nGET /a HTTP/1.1\n\n", "GET /a HTTP/1.1\r\n\r\n");
}

static void test_xml(void **state)
{
	response_is(GET,
		    "HTTP/1.1 200 OK\r\nContent-Type: text/xml; charset=\"utf-8\"\r\nContent-Length: 61\r\nServer: "
		    "x\r\n\r\n"
		    "<res>http://172.30.0.2:8200/1.mp3</res> http://172.30.0.2:820",
		    "HTTP/1.1 200 OK\r\nContent-Type: text/xml; charset=\"utf-8\"\r\nServer: x\r\nContent-Length: "
		    "61\r\n\r\n"
		    "<res>http://192.0.2.1:48200/1.mp3</res> http://172.30.0.2:820");
	/* chunks through the middle of an address; another port, another host, https */
	response_is(GET,
		    "HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\nTransfer-Encoding: chunked\r\n\r\n"
		    "d\r\n<a>http://172\r\n10\r\n.30.0.2:8200/</a\r\n1\r\n>\r\n0\r\nX: trailer\r\n\r\n",
		    "HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\nContent-Length: 30\r\n\r\n"
		    "<a>http://192.0.2.1:48200/</a>");
}

static void test_xml_addresses(void **state)
{
	static const struct {
		const char *inside, *text, *wanted;
	} cases[] = {
		{IN, "http://172.30.0.2:8200", "http://192.0.2.1:48200"},
		{IN, "http://172.30.0.2:82001/", "http://172.30.0.2:82001/"},
		{IN, "http://172.30.0.22:8200/", "http://172.30.0.22:8200/"},
		{IN, "https://172.30.0.2:8200/", "https://172.30.0.2:8200/"},
		{IN, "http://http://172.30.0.2:8200/", "http://http://192.0.2.1:48200/"},
		{IN, "http://172.30.0.2/", "http://172.30.0.2/"},
		{"172.30.0.2:80",
		 "http://172.30.0.2/ http://172.30.0.2:80/ http://172.30.0.2:8080/ http://172.30.0.25/",
		 "http://192.0.2.1:48200/ http://192.0.2.1:48200/ http://172.30.0.2:8080/ http://172.30.0.25/"},
		{"[2001:db8::2]:8200", "http://[2001:db8::2]:8200/", "http://192.0.2.1:48200/"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autofree char *reply =
			xasprintf("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %zu\r\n\r\n%s",
				  strlen(cases[i].text), cases[i].text);
		autofree char *wanted =
			xasprintf("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %zu\r\n\r\n%s",
				  strlen(cases[i].wanted), cases[i].wanted);

		response_is_len(cases[i].inside, GET, reply, strlen(reply), wanted, strlen(wanted));
	}
}

static void test_passes(void **state)
{
	/* not XML, compressed XML, a part of XML: as it came */
	static const char *const same[] = {
		"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: 23\r\n\r\nhttp://172.30.0.2:8200/",
		"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Encoding: gzip\r\nContent-Length: "
		"23\r\n\r\nhttp://172.30.0.2:8200/",
		"HTTP/1.1 206 Partial\r\nContent-Type: text/xml\r\nContent-Length: 23\r\n\r\nhttp://172.30.0.2:8200/",
		"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"HTTP/1.0 200 OK\r\nContent-Type: image/png\r\n\r\nuntil the end",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n",
		"HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n\x01\x02 anything",
	};

	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		response_is(GET, same[i], same[i]);
	/* until the end, and XML: now with a length */
	response_is(GET, "HTTP/1.0 200 OK\r\nContent-Type: text/xml\r\n\r\nhttp://172.30.0.2:8200",
		    "HTTP/1.0 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 22\r\n\r\nhttp://192.0.2.1:48200");
	response_is(GET, "HTTP/1.1 302 Found\r\nLocation: http://172.30.0.2:8200/x\r\nContent-Length: 0\r\n\r\n",
		    "HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1:48200/x\r\nContent-Length: 0\r\n\r\n");
	/* a reply to HEAD has no body, and the length that it tells would be wrong */
	response_is("HEAD /x HTTP/1.1\r\n\r\nGET /y HTTP/1.1\r\n\r\n",
		    "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 100\r\n\r\nHTTP/1.1 200 "
		    "OK\r\nContent-Length: 2\r\n\r\nok",
		    "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

/* More XML than is kept: it passes as it came, and nothing piles up */
static void long_xml(const char *head, bool chunked)
{
	struct didl *d = relay(IN);
	struct buf out = {0};
	char block[8192 + 16];
	size_t total = 0, n;

	memset(block, 'x', sizeof(block));
	assert_int_equal(didl_request(d, GET, strlen(GET), &out), 0);
	buf_clear(&out);
	assert_int_equal(didl_response(d, head, strlen(head), &out), 0);
	for (int i = 0; i < 1024; i++) {
		n = 8192;
		if (chunked) {
			memcpy(block, "1ff8\r\n", 6);
			memcpy(block + 6 + 0x1ff8, "\r\n", 2);
			n = 6 + 0x1ff8 + 2;
		}
		assert_int_equal(didl_response(d, block, n, &out), 0);
		total += n;
		assert_true(didl_kept(d) <= 2 * DIDL_XML_BYTES + 100000);
	}
	assert_true(out.len > DIDL_XML_BYTES);
	assert_int_equal(didl_kept(d), 0);
	if (chunked)
		assert_int_equal(didl_response(d, "0\r\n\r\n", 5, &out), 0);
	assert_int_equal(didl_response_end(d, &out), 0);
	assert_true(out.len >= total);
	assert_memory_equal(out.data + out.len - 5 - 3, chunked ? "x\r\n0\r\n\r\n" : "xxxxxxxx", 8);
	buf_done(&out);
	didl_free(d);
}

static void test_long_xml(void **state)
{
	long_xml("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n", true);
	long_xml("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n", false);
	long_xml("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 8388608\r\n\r\n", false);
}

static void test_bad_requests(void **state)
{
	static const char *const bad[] = {
		"GET  / HTTP/1.1\r\n\r\n",
		"GET / HTTP/2.0\r\n\r\n",
		"GET /\r\n\r\n",
		" / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nA : b\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\rB: c\r\n\r\n",
		"GET / HTTP/1.1\r\nno colon\r\n\r\n",
		"CONNECT a:1 HTTP/1.1\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\naa\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
	};
	struct buf b = {0};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (request_rc(bad[i]) != -EBADMSG)
			fail_msg("passed: %s", bad[i]);
	/* a head without end, too many headers, too many requests at once */
	buf_puts(&b, "GET / HTTP/1.1\r\nA: ");
	while (b.len < HTTP_HEAD_BYTES)
		buf_puts(&b, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	assert_int_equal(request_rc(b.data), -EBADMSG);
	buf_clear(&b);
	buf_puts(&b, "GET / HTTP/1.1\r\n");
	for (int i = 0; i <= HTTP_HEADERS; i++)
		buf_printf(&b, "H%d: x\r\n", i);
	buf_puts(&b, "\r\n");
	assert_int_equal(request_rc(b.data), -EBADMSG);
	buf_clear(&b);
	for (int i = 0; i < DIDL_REQUESTS; i++)
		buf_puts(&b, "GET / HTTP/1.1\r\n\r\n");
	assert_int_equal(request_rc(b.data), 0);
	buf_puts(&b, "GET / HTTP/1.1\r\n\r\n");
	assert_int_equal(request_rc(b.data), -EBADMSG);
	buf_done(&b);
}

static void test_bad_responses(void **state)
{
	assert_int_equal(response_rc(GET, "HTTP/1.1 20 OK\r\n\r\n", false), -EBADMSG);
	assert_int_equal(response_rc(GET, "ICY 200 OK\r\n\r\n", false), -EBADMSG);
	/* more replies than requests */
	assert_int_equal(response_rc(GET, "HTTP/1.1 204 x\r\n\r\nHTTP/1.1 204 x\r\n\r\n", false), -EBADMSG);
	/* the server closes in the middle */
	assert_int_equal(response_rc(GET, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", true), -EBADMSG);
	assert_int_equal(response_rc(GET, "HTTP/1.1 200", true), -EBADMSG);
	assert_int_equal(
		response_rc(GET,
			    "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
			    true),
		-EBADMSG);
	assert_int_equal(response_rc(GET, "", true), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),      cmocka_unit_test(test_xml),
		cmocka_unit_test(test_xml_addresses), cmocka_unit_test(test_passes),
		cmocka_unit_test(test_long_xml),      cmocka_unit_test(test_bad_requests),
		cmocka_unit_test(test_bad_responses),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
