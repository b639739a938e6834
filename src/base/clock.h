/* SPDX-License-Identifier: Apache-2.0
 *
 * Two clocks that cannot be mixed: mono_t for timeouts (CLOCK_BOOTTIME: goes on in suspend, never goes back), wall_t
 * for what people and files see. Protocol cores never read a clock; the role hands the time in.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/base.h"

typedef struct {
	int64_t us;
} mono_t;

typedef struct {
	int64_t ms; /* since 1970, UTC */
} wall_t;

mono_t mono_now(void);
wall_t wall_now(void);

#define USEC_PER_SEC  INT64_C(1000000)
#define USEC_PER_MSEC INT64_C(1000)

/** wall_format() - "2024-01-15T10:30:00Z" (seconds, as seed files have them) */
#define WALL_STRLEN 32
const char *wall_format(wall_t t, char out[static WALL_STRLEN]);
/** wall_parse() - RFC 3339 with Z or an offset, fractions cut. Return: 0 or -EINVAL */
int wall_parse(const char *s, wall_t *ret_t) MUST_USE;

#endif
