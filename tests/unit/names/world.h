/* SPDX-License-Identifier: Apache-2.0
 *
 * State files of a small world, as seen from host h1: two stacks in VNI 1000 and one in 2000, peers with stacks of the
 * same name, mapped subnets, names that are not theirs to give.
 */
#ifndef TEST_NAMES_WORLD_H
#define TEST_NAMES_WORLD_H

#include "names/table.h"

#define HOST_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" /* h1, ourselves */
#define HOST_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" /* nas.lan */
#define HOST_C "cccccccccccccccccccccccccccccccc"
#define HOST_D "dddddddddddddddddddddddddddddddd" /* whom discovery has lost */

struct world {
	struct inventory inventory;
	struct names names;
	struct discovery discovery;
	struct router_state router; /* refuses nothing at first */
	struct table *table;
};

/* JSON with ' for " */
static inline json_t *world_json(const char *text)
{
	char *copy = xstrdup(text);
	json_t *root;

	for (char *c = copy; *c; c++)
		if (*c == '\'')
			*c = '"';
	root = json_parse_bounded(copy, strlen(copy), NULL);
	free(copy);
	if (!root)
		abort();
	return root;
}

/* A line for each thing in the world */
/* clang-format off */
#define WORLD_NETWORK(id, subnet) \
	"{'name':'" id "','id':'" id "','bridge':'br-" id "','endpoint':'unix:///d','subnets':['" subnet \
	"'],'gateways':[],'internal':false,'icc':true,'mtu':1500}"
#define WORLD_CONTAINER(id, name, service, health, network, addresses, aliases) \
	"{'id':'" id "','name':'" name "','service':'" service "','pid':7,'sandbox':'','health':'" health \
	"','interfaces':[{'network':'" network "','mac':'02:00:00:00:00:01','addresses':[" addresses \
	"],'aliases':[" aliases "]}]}"

static const char world_inventory[] =
	"{'version':1,'last_update':'2024-01-15T10:30:00Z','engines':[],'stacks':["
	"{'stack_id':'blog','vni':1000,'networks':[" WORLD_NETWORK("n2", "172.18.0.0/16") "],'containers':["
	WORLD_CONTAINER("c3", "wp", "", "none", "n2", "'172.18.0.2'", "") "]},"
	"{'stack_id':'Shop','vni':1000,'networks':[" WORLD_NETWORK("n1", "10.71.0.0/24") "],'containers':["
	WORLD_CONTAINER("c1", "shop_web_1", "web", "healthy", "n1", "'10.71.0.2','fd71::2'", "'web','blog2'") ","
	WORLD_CONTAINER("c2", "shop_db_1", "db", "none", "n1", "'10.71.0.3'", "'db','database'") ","
	WORLD_CONTAINER("c5", "shop_bad_1", "bad", "unhealthy", "n1", "'10.71.0.9'", "") "]},"
	"{'stack_id':'lab','vni':2000,'networks':[" WORLD_NETWORK("n3", "10.90.0.0/24") "],'containers':["
	WORLD_CONTAINER("c4", "box", "", "none", "n3", "'10.90.0.2'", "") "]}],'problems':[]}";

#define WORLD_STACK(host, host_name, stack, vni) \
	"{'host_id':'" host "','host_name':'" host_name "','stack_id':'" stack "','vni':" vni ",'names':["
#define WORLD_NAME(name, kind, addresses) "{'name':'" name "','kind':'" kind "','addresses':[" addresses "]}"
static const char world_names[] =
	"{'version':1,'last_update':'2024-01-15T10:30:00Z','stacks':["
	WORLD_STACK(HOST_B, "nas.lan", "blog2", "1000") WORLD_NAME("x", "service", "'10.82.0.2'") "]},"
	WORLD_STACK(HOST_B, "nas.lan", "com", "1000") WORLD_NAME("google", "service", "'10.80.0.2'") "]},"
	WORLD_STACK(HOST_B, "nas.lan", "my.shop", "1000") WORLD_NAME("a.b", "service", "'10.83.0.2'") "]},"
	WORLD_STACK(HOST_B, "nas.lan", "shop", "1000")
		WORLD_NAME("cache", "service", "'172.18.0.9'") ","
		WORLD_NAME("evil", "service", "'192.0.2.1'") ","
		WORLD_NAME("shop_web_1", "container", "'172.18.0.2'") ","
		WORLD_NAME("web", "service", "'172.18.0.2'") "]},"
	WORLD_STACK(HOST_D, "gone", "shop", "1000") WORLD_NAME("web", "service", "'10.84.0.2'") "]},"
	WORLD_STACK(HOST_C, "c", "secret", "2000") WORLD_NAME("key", "service", "'10.91.0.2'") "]}],'problems':[]}";

#define WORLD_PEER(host, stack, vni, subnets, mapped) \
	"{'stack_id':'" stack "','host_ip':'192.0.2.2','vxlan_endpoint':'192.0.2.2:4789','vni':" vni \
	",'last_seen':'2024-01-15T10:30:00Z','status':'active','subnets':[" subnets "],'mapped':[" mapped \
	"],'host_id':'" host "'}"
#define WORLD_MAPPED(from, to) "{'subnet':'" from "','as':'" to "'}"
static const char world_discovery[] =
	"{'version':1,'last_update':'2024-01-15T10:30:00Z','self':{'host_id':'" HOST_A "','host_name':'h1',"
	"'host_ip':'192.0.2.1','vxlan_port':4789,'seq':1,'modes':['multicast'],'stacks':["
	"{'stack_id':'blog','vni':1000,'subnets':['172.18.0.0/16'],'mapped':["
	WORLD_MAPPED("172.18.0.0/16", "241.1.0.0/16") "]},"
	"{'stack_id':'Shop','vni':1000,'subnets':['10.71.0.0/24'],'mapped':[]},"
	"{'stack_id':'lab','vni':2000,'subnets':['10.90.0.0/24']}]},'peers':["
	WORLD_PEER(HOST_B, "blog2", "1000", "'10.82.0.0/24'", "") ","
	WORLD_PEER(HOST_B, "com", "1000", "'10.80.0.0/24'", "") ","
	WORLD_PEER(HOST_B, "my.shop", "1000", "'10.83.0.0/24'", "") ","
	WORLD_PEER(HOST_B, "shop", "1000", "'172.18.0.0/16'", WORLD_MAPPED("172.18.0.0/16", "241.2.0.0/16")) ","
	WORLD_PEER(HOST_C, "secret", "2000", "'10.91.0.0/24'", "") "],'problems':[]}";
/* clang-format on */

static inline void world_init(struct world *w)
{
	json_t *inventory = world_json(world_inventory), *names = world_json(world_names),
	       *discovery = world_json(world_discovery);

	*w = (struct world){0};
	if (inventory_from_json(inventory, &w->inventory, NULL) < 0 || names_from_json(names, &w->names, NULL) < 0 ||
	    discovery_from_json(discovery, &w->discovery, NULL) < 0 || w->inventory.problems.n || w->names.problems.n ||
	    w->discovery.problems.n)
		abort();
	json_decref(inventory);
	json_decref(names);
	json_decref(discovery);
	w->table = table_new(&w->inventory, &w->names, &w->discovery, &w->router, "docker-router.internal");
}

/* Build the table again, after something was changed */
static inline void world_again(struct world *w)
{
	table_free(w->table);
	w->table = table_new(&w->inventory, &w->names, &w->discovery, &w->router, "docker-router.internal");
}

static inline void world_done(struct world *w)
{
	table_free(w->table);
	inventory_done(&w->inventory);
	names_done(&w->names);
	discovery_done(&w->discovery);
	router_state_done(&w->router);
}

#endif
