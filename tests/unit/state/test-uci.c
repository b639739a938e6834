/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenWrt's /etc/config/docker, as people write it and as they should not; and plugs.json.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>

#include "state/nic_request.h"

static int parse(const char *text, struct nic_requests *ret, struct problems *problems, struct err *err)
{
	*ret = (struct nic_requests){0};
	*problems = (struct problems){0};
	return uci_nics_parse("docker", text, strlen(text), ret, problems, err);
}

static void test_seed(void **state)
{
	static const char text[] = "config daemon\n"
				   "        option enable 1 # On a fresh install, this will be set to 0\n"
				   "        option datadir '/opt/docker' # This must be on a 'real' block device\n"
				   "        option bridge 'br-container'\n"
				   "\n"
				   "config container 'openwrt'\n"
				   "        option image 'registry.gitlab.com/mcbridematt/openwrt-docker/arm64'\n"
				   "        option network 'lan:eth1 containerlan:eth0'\n";
	struct nic_requests r;
	struct problems p;
	struct err err = {0};

	assert_int_equal(parse(text, &r, &p, &err), 0);
	assert_int_equal(p.n, 0);
	assert_int_equal(r.n, 1);
	assert_string_equal(r.v[0].container, "openwrt");
	assert_int_equal(r.v[0].n_nics, 2);
	assert_string_equal(r.v[0].nics[0].parent, "br-lan");
	assert_string_equal(r.v[0].nics[0].name, "eth1");
	assert_string_equal(r.v[0].nics[1].parent, "br-containerlan");
	nic_requests_done(&r);
}

static void test_more(void **state)
{
	static const char text[] =
		"package docker\r\n"
		"config container \"a\"\n\tlist network lan:eth1\n\tlist network 'guest:eth2'\n"
		"\toption eth1_address dhcp\n\toption eth2_address '192.0.2.5/24'; option eth2_mtu 1400\n"
		"config container 'b'\n\toption network 'lan:eth1' # no more\n"
		"config container\n\toption network 'lan:eth1'\n"
		"config container 'c'\n\toption network 'lan'\n"
		"config container 'd'\n\toption network 'lan:eth1'\n\toption eth1_mtu 0\n"
		"config container 'e'\n\toption image x\n"
		"config container 'f'\n\toption network 'l'\\''a\"n\":eth1'\n";
	struct nic_requests r;
	struct problems p;
	struct err err = {0};

	assert_int_equal(parse(text, &r, &p, &err), 0);
	assert_int_equal(r.n, 2);
	assert_int_equal(r.v[0].n_nics, 2);
	assert_true(r.v[0].nics[0].dhcp);
	assert_int_equal(r.v[0].nics[1].mtu, 1400);
	assert_string_equal(r.v[1].container, "b");
	assert_int_equal(p.n, 4); /* no name; no NIC; MTU; a bridge's name with quotes in it */
	assert_non_null(strstr(p.v[0].text, "line 9"));
	assert_non_null(strstr(p.v[2].text, "eth1_mtu"));
	nic_requests_done(&r);
	problems_done(&p);
}

static void broken(const char *text, const char *words)
{
	struct nic_requests r;
	struct problems p;
	struct err err = {0};

	assert_true(parse(text, &r, &p, &err) < 0);
	if (!strstr(err.text, words))
		fail_msg("\"%s\" does not say \"%s\"", err.text, words);
	nic_requests_done(&r);
	problems_done(&p);
}

static void test_broken(void **state)
{
	autofree char *big = xmalloc(LIMIT_UCI_BYTES + 2);
	struct nic_requests r;
	struct problems p;
	struct err err = {0};

	broken("config container 'x\n", "a quote that does not end");
	broken("{\"json\": 1}", "expected");
	memset(big, '\n', LIMIT_UCI_BYTES + 1);
	big[LIMIT_UCI_BYTES + 1] = '\0';
	broken(big, "more than");
	memset(big, 'x', 2000);
	big[2000] = '\0';
	broken(big, "a word of more than 1023 bytes");
	assert_int_equal(parse("", &r, &p, &err), 0);
	assert_int_equal(parse("# nothing", &r, &p, &err), 0);
	assert_int_equal(uci_nics_parse("x", "config\0x", 8, &r, &p, &err), -EINVAL);
}

static void test_plugs(void **state)
{
	struct nic_requests r = {0}, again = {0}, copy = {0};
	struct problems p = {0};
	struct nic_specs specs;
	char dir[] = "/tmp/test-plugs-XXXXXX", path[64];
	struct err err = {0};
	int fd;

	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(plugs_read(fd, NULL, &again, &p, &err), -ENOENT);
	assert_int_equal(nic_list_parse("br-lan:eth1 br-lan:eth2", "", &specs, NULL), 0);
	assert_int_equal(nic_request_put(nic_requests_for(&r, "web", "x"), &specs.v[0], NULL), 0);
	assert_int_equal(nic_request_put(nic_requests_for(&r, "web", "x"), &specs.v[1], NULL), 0);
	assert_int_equal(nic_request_put(nic_requests_for(&r, "web", "x"), &specs.v[1], NULL), 0);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.v[0].n_nics, 2);
	assert_int_equal(plugs_write(fd, &r, &err), 0);
	assert_int_equal(plugs_read(fd, NULL, &again, &p, &err), 0);
	assert_true(nic_requests_same(&r, &again));
	nic_requests_copy(&r, &copy);
	assert_true(nic_requests_same(&r, &copy));
	assert_true(nic_request_names(&r.v[0], "web", "0123456789abcdef"));
	assert_false(nic_request_names(&r.v[0], "webs", "0123456789abcdef"));
	assert_int_equal(nic_request_remove(&r.v[0], "eth1"), 1);
	assert_int_equal(nic_request_remove(&r.v[0], "eth1"), 0);
	assert_false(nic_requests_same(&r, &copy));
	assert_int_equal(nic_request_remove(&r.v[0], NULL), 1);
	str_copy(r.v[0].container, "0123456789ab");
	assert_true(nic_request_names(&r.v[0], "web", "0123456789abcdef"));
	str_copy(r.v[0].container, "0123456789"); /* too few digits to mean one container */
	assert_false(nic_request_names(&r.v[0], "web", "0123456789abcdef"));
	nic_requests_done(&r);
	nic_requests_done(&again);
	nic_requests_done(&copy);
	close(fd);
	str_print(path, "rm -r %s", dir);
	assert_int_equal(system(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seed),
		cmocka_unit_test(test_more),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_plugs),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
