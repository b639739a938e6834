/* SPDX-License-Identifier: Apache-2.0
 *
 * The YAML file of the settings; what config.c and config_file.c want of each other.
 */
#ifndef STATE_CONFIG_FILE_H
#define STATE_CONFIG_FILE_H

#include "state/config.h"

/**
 * config_set() - Set one option by its key in the file's spelling
 * @where: for the error: "docker-router.yaml line 3"
 */
int config_set(struct config *c, const char *key, const char *value, const char *where, struct err *err) MUST_USE;

/** config_file_load() - Read c->config_file into @c; missing is fine unless it was @named. 0 or -EINVAL */
int config_file_load(struct config *c, bool named, struct err *err) MUST_USE;
/** config_file_parse() - The same from memory; @name is for errors */
int config_file_parse(struct config *c, const char *name, const char *text, size_t len, struct err *err) MUST_USE;

#endif
