/* SPDX-License-Identifier: Apache-2.0
 *
 * attach.json: what is written is read again as the same; what is malformed costs only the NIC that it is in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>

#include "state/attach.h"

static void test_round_trip(void **state)
{
	struct attach_state s = {0}, again = {0};
	struct att_nic *n = xgrow(&s.nics, s.n_nics, &s.cap_nics);
	struct err err = {0};
	json_t *o, *p;

	s.n_nics++;
	str_copy(n->container, "0123456789ab");
	str_copy(n->name, "web");
	str_copy(n->nic, "eth1");
	str_copy(n->parent, "br-lan");
	str_copy(n->host, "dra0123456789");
	n->kind = NIC_MACVLAN;
	n->state = NIC_WAITING;
	str_copy(n->why, "waits");
	n->since.ms = 1000;
	n->attach_us = 900;
	n->mac = (struct mac){{2, 0, 0, 0, 0, 1}};
	n->mtu = 1500;
	n->n_addresses = 1;
	assert_int_equal(prefix_parse("192.0.2.5/24", &n->addresses[0]), 0);
	n->n_leases = 1;
	n->leases[0].seconds = 3600;
	n->leases[0].since.ms = 2000;
	assert_int_equal(prefix_parse("192.0.2.5/24", &n->leases[0].address), 0);
	assert_int_equal(ip_parse("192.0.2.1", &n->leases[0].gateway), 0);
	assert_int_equal(ip_parse("192.0.2.53", &n->leases[0].dns[n->leases[0].n_dns++]), 0);
	assert_int_equal(prefix_parse("10.0.0.0/8", &n->leases[0].routes[n->leases[0].n_routes++].to), 0);
	o = attach_state_to_json(&s);
	assert_int_equal(attach_state_from_json(o, &again, &err), 0);
	assert_int_equal(again.n_nics, 1);
	assert_int_equal(again.nics[0].leases[0].address.ip.b[3], 5); /* host bits kept */
	p = attach_state_to_json(&again);
	assert_true(json_equal(o, p));
	json_decref(o);
	json_decref(p);
	attach_state_done(&s);
	attach_state_done(&again);
}

static void read_one(const char *nic, size_t n_nics, const char *words)
{
	autofree char *text = xasprintf("{\"version\":1,\"nics\":[%s]}", nic);
	json_t *o = json_loads(text, 0, NULL);
	struct attach_state s = {0};
	struct err err = {0};

	assert_non_null(o);
	assert_int_equal(attach_state_from_json(o, &s, &err), 0);
	assert_int_equal(s.n_nics, n_nics);
	assert_int_equal(s.problems.n, words ? 1 : 0);
	if (words && !strstr(s.problems.v[0].text, words))
		fail_msg("\"%s\" does not say \"%s\"", s.problems.v[0].text, words);
	json_decref(o);
	attach_state_done(&s);
}

#define HEAD "\"container\":\"a\",\"nic\":\"eth1\",\"state\":\"ready\",\"kind\":\"veth\""

static void test_malformed(void **state)
{
	struct attach_state s = {0};
	json_t *o = json_pack("{s:i,s:{}}", "version", 1, "nics");

	read_one("{" HEAD "}", 1, NULL);
	read_one("{}", 0, "container is missing");
	read_one("{" HEAD ",\"mtu\":-1}", 0, "mtu");
	read_one("{" HEAD ",\"addresses\":[1]}", 0, "addresses");
	read_one("{" HEAD ",\"addresses\":[\"192.0.2.1/24\"],\"leases\":[{\"kind\":\"x\"}]}", 0, "kind");
	read_one("{" HEAD ",\"leases\":[{\"kind\":\"dhcp\",\"address\":\"x\"}]}", 0, "address is none");
	read_one("{" HEAD ",\"leases\":[{},{},{}]}", 0, "more than 2 leases");
	assert_true(attach_state_from_json(o, &s, NULL) < 0);
	json_decref(o);
}

static void test_written_once(void **state)
{
	struct attach_state s = {0};
	char dir[] = "/tmp/docker-router-test-XXXXXX";
	uint64_t written = 0;
	struct err err = {0};
	int fd;

	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(attach_state_write(fd, &s, &written, &err), 0);
	assert_int_not_equal(written, 0);
	assert_int_equal(attach_state_write(fd, &s, &written, &err), 1);
	problems_add(&s.problems, "container web", "", "waits");
	assert_int_equal(attach_state_write(fd, &s, &written, &err), 0);
	assert_int_equal(unlinkat(fd, STATE_ATTACH, 0), 0);
	written = 0; /* who took it away wants it anew */
	assert_int_equal(attach_state_write(fd, &s, &written, &err), 0);
	assert_int_equal(unlinkat(fd, STATE_ATTACH, 0), 0);
	close(fd);
	assert_int_equal(rmdir(dir), 0);
	assert_true(attach_state_write(-1, &s, &(uint64_t){0}, &err) < 0);
	attach_state_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_written_once),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
