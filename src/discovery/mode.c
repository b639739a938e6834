/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of modes, and what is done with all of them.
 */
#include "discovery/mode.h"

#include <assert.h>
#include <limits.h>
#include <unistd.h>

static const struct mode *const table[] = {&mode_gossip, &mode_etcd, &mode_dns};
static_assert(sizeof(table) / sizeof(table[0]) <= MODES_MAX, "room for all");

int modes_become(const struct config *config, char **argv, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		const char *end = table[i]->elsewhere;
		char path[PATH_MAX];

		if (!end || !(config->modes & (int)table[i]->bit))
			continue;
		ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - strlen(end) - 1);
		if (len < 0)
			return err_errno(err, -errno, "/proc/self/exe");
		memcpy(path + len, end, strlen(end) + 1);
		execv(path, argv);
		return err_errno(err, -errno, "%s, which has a mode of DISCOVERY_MODE", path);
	}
	return 0;
}

int modes_open(struct modes *m, const struct config *config, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		const struct mode *mode = table[i];
		int rc;

		if (!(config->modes & (int)mode->bit))
			continue;
		if (mode->elsewhere)
			return err_set(err, -ENOSYS, "a mode is in docker-router-discovery%s", mode->elsewhere);
		rc = mode->open(config, &m->of[m->n].data, err);
		if (rc < 0)
			return rc;
		m->of[m->n++].mode = mode;
	}
	return 0;
}

unsigned modes_sandbox(const struct modes *m, const struct config *config)
{
	unsigned parts = SANDBOX_NET;

	for (size_t i = 0; i < m->n; i++) {
		if (m->of[i].mode->sandbox)
			parts |= m->of[i].mode->sandbox(config);
	}
	return parts;
}

int modes_start(struct modes *m, const struct mode_env *env, struct err *err)
{
	for (size_t i = 0; i < m->n; i++) {
		int rc = m->of[i].mode->start(m->of[i].data, env, err);

		if (rc < 0)
			return rc;
		m->n_started++;
	}
	return 0;
}

void modes_load(struct modes *m, const struct discovery *last)
{
	for (size_t i = 0; i < m->n; i++) {
		if (m->of[i].mode->load)
			m->of[i].mode->load(m->of[i].data, last);
	}
}

void modes_self(struct modes *m)
{
	for (size_t i = 0; i < m->n_started; i++) {
		if (m->of[i].mode->self)
			m->of[i].mode->self(m->of[i].data);
	}
}

void modes_keys(struct modes *m)
{
	for (size_t i = 0; i < m->n_started; i++) {
		if (m->of[i].mode->keys)
			m->of[i].mode->keys(m->of[i].data);
	}
}

void modes_file(struct modes *m, const char *name)
{
	for (size_t i = 0; i < m->n_started; i++) {
		if (m->of[i].mode->file)
			m->of[i].mode->file(m->of[i].data, name);
	}
}

void modes_export(const struct modes *m, struct discovery *ret)
{
	for (size_t i = 0; i < m->n_started; i++) {
		if (m->of[i].mode->export)
			m->of[i].mode->export(m->of[i].data, ret);
	}
}

void modes_stop(struct modes *m)
{
	for (size_t i = 0; i < m->n_started; i++) {
		if (m->of[i].mode->stop)
			m->of[i].mode->stop(m->of[i].data);
	}
}

bool modes_stopped(const struct modes *m)
{
	for (size_t i = 0; i < m->n_started; i++) {
		if (m->of[i].mode->stopped && !m->of[i].mode->stopped(m->of[i].data))
			return false;
	}
	return true;
}

void modes_problems(const struct modes *m, struct problems *ret)
{
	for (size_t i = 0; i < m->n_started; i++) {
		if (m->of[i].mode->problems)
			m->of[i].mode->problems(m->of[i].data, ret);
	}
}

int modes_goodbye(struct modes *m, const struct mode_env *env, const struct discovery *last, struct err *err)
{
	int failed = 0;

	for (size_t i = 0; i < m->n; i++) {
		struct err why = {0};
		int rc = m->of[i].mode->goodbye ? m->of[i].mode->goodbye(m->of[i].data, env, last, &why) : 0;

		if (rc < 0 && failed == 0) {
			failed = rc;
			*err = why;
		}
	}
	return failed;
}

void modes_done(struct modes *m)
{
	for (size_t i = 0; i < m->n; i++)
		m->of[i].mode->free(m->of[i].data);
	m->n = m->n_started = 0;
}
