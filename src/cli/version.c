/* SPDX-License-Identifier: Apache-2.0
 *
 * docker-router version: what a bug report should begin with.
 */
#include "cli/cli.h"

#include <sys/utsname.h>
#include <uv.h>
#include <yaml.h>

#define FORMAT_STATE 1 /* "version" of the state files */
#define FORMAT_WIRE  1 /* "version" of a datagram of discovery */

int verb_version(struct cli *c)
{
	static const struct column columns[] = {{"name", "PART", 0}, {"version", "VERSION", 0}};
	struct table *t = table_new(columns, ARRAY_LEN(columns));
	struct utsname u;
	struct output o;
	char number[16];

	cell_str(t, "docker-router");
	cell_str(t, RELEASE);
	if (uname(&u) == 0) {
		cell_str(t, "kernel");
		cell_str(t, u.release);
		cell_str(t, "machine");
		cell_str(t, u.machine);
	}
	cell_str(t, "libuv");
	cell_str(t, uv_version_string());
	cell_str(t, "jansson");
	cell_str(t, jansson_version_str());
	cell_str(t, "libyaml");
	cell_str(t, yaml_get_version_string());
	str_print(number, "%d", FORMAT_STATE);
	cell_str(t, "state files");
	cell_str(t, number);
	str_print(number, "%d", FORMAT_WIRE);
	cell_str(t, "wire");
	cell_str(t, number);

	output_begin(&o, stdout, c->json, false);
	output_table(&o, "versions", NULL, NULL, t);
	return verb_end(c, &o, EXIT_DONE);
}
