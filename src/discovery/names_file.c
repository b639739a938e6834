/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes and reads names.json; see names_file.h. A change that comes alone is written at once, many are gathered for
 * some milliseconds, and longer where writing takes long.
 */
#include "discovery/names_file.h"

#include "base/log.h"

#define WRITE_US       (5 * USEC_PER_MSEC)
#define WRITE_PAUSE_US (25 * USEC_PER_MSEC) /* a change so long after the last write is alone */
#define WRITE_MAX_US   (80 * USEC_PER_MSEC)
#define WRITE_RETRY_US (2 * USEC_PER_SEC)

struct names_file {
	const struct state_dir *dir;
	struct core *core;
	struct timer *timer;
	struct file_mark mark; /* of the file as we wrote it */
	int64_t wrote_us, took_us;
	bool failed;
};

static void names_file_write(void *arg)
{
	struct names_file *f = arg;
	int64_t begin_us = mono_now().us;
	struct names n;
	struct err err = {0};
	int r;

	timer_stop(f->timer);
	core_names_export(f->core, (struct core_now){.mono = mono_now(), .wall = wall_now()}, &n);
	r = names_write(f->dir->fd, &n, &err);
	names_done(&n);
	f->wrote_us = mono_now().us;
	f->took_us = f->wrote_us - begin_us;
	if (r < 0) {
		if (!f->failed)
			log_error("names.json cannot be written, the old one stays", kv_str("why", err.text));
		f->failed = true;
		timer_start(f->timer, WRITE_RETRY_US);
		return;
	}
	if (f->failed)
		log_info("names.json is written again");
	f->failed = false;
	f->mark = file_mark_get(f->dir->fd, STATE_NAMES);
	log_debug("names.json written", kv_int("took_us", f->took_us));
}

struct names_file *names_file_new(uv_loop_t *loop, const struct state_dir *dir, struct core *core)
{
	struct names_file *f = xcalloc(1, sizeof(*f));

	f->dir = dir;
	f->core = core;
	f->timer = timer_new(loop, "write names.json", names_file_write, f);
	return f;
}

void names_file_free(struct names_file *f)
{
	if (!f)
		return;
	timer_free(f->timer);
	free(f);
}

void names_file_load(struct names_file *f)
{
	struct file_owner owner = owner_of_discovery(f->dir);
	struct names n = {0};
	struct err err = {0};
	int r = names_read(f->dir->fd, &owner, &n, &err);

	if (r == -ENOENT)
		return;
	if (r < 0) {
		log_warning("names.json cannot be used, starting with no names", kv_str("why", err.text));
		return;
	}
	problems_log_new(&(struct problems){0}, &n.problems, NULL);
	core_names_load(f->core, (struct core_now){.mono = mono_now(), .wall = wall_now()}, &n);
	names_done(&n);
}

void names_file_soon(struct names_file *f, int64_t delay_us)
{
	int64_t gather_us = 2 * f->took_us;

	if (timer_is_set(f->timer))
		return;
	gather_us = gather_us < WRITE_US ? WRITE_US : gather_us > WRITE_MAX_US ? WRITE_MAX_US : gather_us;
	if (mono_now().us - f->wrote_us > (gather_us > WRITE_PAUSE_US ? gather_us : WRITE_PAUSE_US))
		gather_us = 0;
	timer_start(f->timer, delay_us > gather_us ? delay_us : gather_us);
}

void names_file_seen(struct names_file *f)
{
	struct file_mark now;

	if (!f->wrote_us || f->failed)
		return;
	now = file_mark_get(f->dir->fd, STATE_NAMES);
	if (!file_mark_same(&now, &f->mark))
		names_file_soon(f, 0);
}

void names_file_flush(struct names_file *f)
{
	if (timer_is_set(f->timer))
		names_file_write(f);
}
