/* SPDX-License-Identifier: Apache-2.0
 *
 * Explains "A VXLAN device with the specified VNI already exists". The kernel counts devices by the namespace that they
 * were made in: one of ours that was moved into a router namespace is not seen by `ip link`. host removes those of an
 * earlier host_id when it starts; what is left then is somebody else's, or lies where host does not look.
 */
#include "router/occupied.h"

#include <dirent.h>
#include <unistd.h>

#define PINS_NAMED 4

static void pins_name(const char *ns_dir, const char *vni, struct buf *out)
{
	const char *slash = strrchr(ns_dir, '/');
	struct dirent **names = NULL;
	size_t named = 0;

	if (!slash)
		return;
	autofree char *run_dir = xasprintf("%.*s", (int)(slash - ns_dir), ns_dir);
	int n = scandir(run_dir, &names, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		autofree char *pin = xasprintf("%s/%s/vni-%s", run_dir, names[i]->d_name, vni);
		bool other = names[i]->d_name[0] != '.' && !str_eq(names[i]->d_name, slash + 1);

		if (other && access(pin, F_OK) == 0 && named++ < PINS_NAMED)
			buf_printf(out, "%s%s", out->len ? ", " : "", pin);
		free(names[i]);
	}
	free(names);
}

char *occupied_explain(const char *ns_dir, const char *op, const char *why, int code)
{
	autobuf struct buf pins = {0};
	char vni[16];

	if (code != -EEXIST || sscanf(op, "vni:%15[0-9] link add vx", vni) != 1 || !strstr(op, " link add vx"))
		return xstrdup(why);
	pins_name(ns_dir, vni, &pins);
	if (pins.len)
		return xasprintf("%s; in %s perhaps: when no host runs that uses it, restart this one, or `umount -l` "
				 "and remove "
				 "that file",
				 why, pins.data);
	return xasprintf(
		"%s; it was made in this network namespace, by somebody else or with another RUN_DIR: `ip -d link show "
		"type vxlan` here and in the namespaces that it may be in, or another VNI",
		why);
}
