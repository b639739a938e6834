/* SPDX-License-Identifier: Apache-2.0
 *
 * names.json: written soon after the core says that names have changed, read once at the start.
 */
#ifndef DISCOVERY_NAMES_FILE_H
#define DISCOVERY_NAMES_FILE_H

#include "discovery/core.h"
#include "io/loop.h"
#include "state/identity.h"

struct names_file;

/** names_file_new() - @dir and @core are borrowed */
struct names_file *names_file_new(uv_loop_t *loop, const struct state_dir *dir, struct core *core);
void names_file_free(struct names_file *f);

/** names_file_load() - Give the core what an earlier run wrote; after core_load(). What is broken costs a line */
void names_file_load(struct names_file *f);
/** names_file_soon() - Write it; not before @delay_us, for who has just started and knows nobody */
void names_file_soon(struct names_file *f, int64_t delay_us);
/** names_file_seen() - Somebody may have touched it: put it right */
void names_file_seen(struct names_file *f);
/** names_file_flush() - Write now what would be written soon */
void names_file_flush(struct names_file *f);

#endif
