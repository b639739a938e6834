/* SPDX-License-Identifier: Apache-2.0
 *
 * Recorded answers of real engines (data/ENGINE/), read as the engine's state machine would.
 */
#ifndef TESTS_RECORDED_H
#define TESTS_RECORDED_H

#include <assert.h>
#include <fcntl.h>

#include "inventory/model.h"
#include "io/file.h"

static inline void recorded_read(const char *engine, const char *file, struct buf *ret)
{
	char path[512];
	struct err err = {0};

	snprintf(path, sizeof(path), DATA "/%s/%s", engine, file);
	if (file_read(AT_FDCWD, path, 1 << 20, NULL, ret, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
}

static inline json_t *recorded_json(const char *engine, const char *file)
{
	autobuf struct buf b = {0};
	struct err err = {0};
	json_t *o;

	recorded_read(engine, file, &b);
	o = docker_json(b.data, b.len, &err);
	assert(o);
	return o;
}

/* networks.json, and of inspected.json what runs */
static inline void recorded_set(const char *engine, struct docker_set *ret)
{
	json_t *networks = recorded_json(engine, "networks.json"),
	       *containers = recorded_json(engine, "inspected.json"), *o;
	size_t i;

	json_array_foreach(networks, i, o)
	{
		struct docker_network *n = docker_network_parse(o, NULL);

		assert(n);
		docker_set_put_network(ret, n);
	}
	json_array_foreach(containers, i, o)
	{
		struct docker_container *c = docker_container_parse(o, NULL);

		assert(c);
		if (c->running)
			docker_set_put_container(ret, c);
		else
			docker_container_free(c);
	}
	json_decref(networks);
	json_decref(containers);
}

#endif
