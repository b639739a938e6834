/* SPDX-License-Identifier: Apache-2.0
 *
 * What a Docker Engine (or Podman) says, as structs: networks, containers, events, versions. Pure: JSON in, structs
 * out. An engine is root's own, yet names and labels in its answers are anybody's who may start a container: everything
 * is bounded, and what is malformed in one object costs that object only.
 */
#ifndef INVENTORY_DOCKER_H
#define INVENTORY_DOCKER_H

#include <jansson.h>

#include "base/addr.h"
#include "base/base.h"
#include "state/limits.h"

#define DOCKER_LABELS	   128 /* of ours, kept per object: 16 NICs have up to 10 each, and some are left out */
#define DOCKER_ATTACHMENTS 64  /* networks of one container */

/** struct docker_label - One label below "docker-router." */
struct docker_label {
	char *key, *value;
};

struct docker_labels {
	struct docker_label *v;
	size_t n, cap;
};

struct docker_network {
	char id[LIMIT_ID], name[LIMIT_NAME];
	char driver[32];
	char bridge[16];	  /* "": it has none, or its name does not fit an interface */
	char project[LIMIT_NAME]; /* Compose project, or "" */
	struct docker_labels labels;
	struct prefix subnets[LIMIT_SUBNETS];
	size_t n_subnets;
	struct ip gateways[8]; /* addresses that the bridge has */
	size_t n_gateways;
	bool internal, icc;
	uint32_t mtu;
};

struct docker_attachment {
	char network_id[LIMIT_ID];
	char network_name[LIMIT_NAME]; /* Podman before 5 gives the name where Docker gives the id */
	struct mac mac;
	struct ip addresses[4];
	size_t n_addresses;
	char **aliases; /* as the engine says, but the container's own id and name; at most LIMIT_ALIASES */
	size_t n_aliases, cap_aliases;
};

enum docker_health {
	DOCKER_HEALTH_NONE,
	DOCKER_HEALTH_STARTING,
	DOCKER_HEALTH_HEALTHY,
	DOCKER_HEALTH_UNHEALTHY,
};

struct docker_container {
	char id[LIMIT_ID], name[LIMIT_NAME], service[LIMIT_NAME];
	char sandbox[256]; /* "" unknown */
	int32_t pid;	   /* 0 unknown: it was listed, not inspected */
	bool running, paused;
	bool host_network, shares_network; /* network_mode: host, container:... */
	bool wants_flag;		   /* NETWORKWAIT is set in its environment */
	char project[LIMIT_NAME];	   /* Compose project, or "" */
	uint32_t number;		   /* of the service's containers, 0 unknown */
	enum docker_health health;
	struct ip dns[LIMIT_DNS]; /* HostConfig.Dns; what is no address is passed over */
	size_t n_dns;
	struct docker_labels labels;
	struct docker_attachment *attachments;
	size_t n_attachments, cap_attachments;
};

/** struct docker_set - What one engine has; both arrays sorted by id */
struct docker_set {
	struct docker_network **networks;
	size_t n_networks, cap_networks;
	struct docker_container **containers;
	size_t n_containers, cap_containers;
};

enum docker_event_kind {
	DOCKER_EVENT_OTHER, /* nothing of interest */
	DOCKER_EVENT_CONTAINER_CHANGED,
	DOCKER_EVENT_CONTAINER_STOPPED,
	DOCKER_EVENT_CONTAINER_REMOVED,
	DOCKER_EVENT_NETWORK_CHANGED,
	DOCKER_EVENT_NETWORK_REMOVED,
	DOCKER_EVENT_CONNECTED,
	DOCKER_EVENT_DISCONNECTED,
	DOCKER_EVENT_UNCLEAR, /* of a kind that matters, but it does not say whom: look at everything */
	DOCKER_EVENT_KIND_N_
};

struct docker_event {
	enum docker_event_kind kind;
	char container[LIMIT_ID], network[LIMIT_ID]; /* ids, "" where it names none */
	int64_t time_ns;			     /* the engine's clock, 0 unknown */
};

struct docker_version {
	char api[16];	 /* what to speak */
	char engine[64]; /* its release */
	bool podman;
};

void docker_network_free(struct docker_network *n);
void docker_container_free(struct docker_container *c);
void docker_set_done(struct docker_set *s);
/** docker_container_detach() - Forget its attachment to a network, if it has one */
void docker_container_detach(struct docker_container *c, const char *network_id);

/** docker_json() - Parse an answer. U+0000, which jansson refuses, becomes U+FFFD in @data. Return: reference or NULL
 */
json_t *docker_json(char *data, size_t len, struct err *err);

/** docker_version_parse() - Choose the API version: the highest that both speak. -EPROTONOSUPPORT when there is none */
int docker_version_parse(const json_t *o, struct docker_version *ret, struct err *err) MUST_USE;
/** docker_network_parse() - Docker's form, and that of Podman's own API. Return: NULL when it is no network */
struct docker_network *docker_network_parse(const json_t *o, struct err *err);
/** docker_container_parse() - An inspected or a listed container. Return: NULL when it is none */
struct docker_container *docker_container_parse(const json_t *o, struct err *err);
int docker_event_parse(const json_t *o, struct docker_event *ret, struct err *err) MUST_USE;

/** docker_set_put_network() and its kin - Insert or replace; takes the object */
void docker_set_put_network(struct docker_set *s, struct docker_network *n);
void docker_set_put_container(struct docker_set *s, struct docker_container *c);
bool docker_set_remove_network(struct docker_set *s, const char *id);
bool docker_set_remove_container(struct docker_set *s, const char *id);
/** docker_set_take_container() - Remove and hand over. Return: NULL when it is not there */
struct docker_container *docker_set_take_container(struct docker_set *s, const char *id);
struct docker_container *docker_set_container(const struct docker_set *s, const char *id);
/** docker_set_network() - By id, else (Podman) by name */
struct docker_network *docker_set_network(const struct docker_set *s, const char *id, const char *name);

#endif
