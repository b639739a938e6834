/* SPDX-License-Identifier: Apache-2.0
 *
 * /proc/PID/status, read for people.
 */
#include "cli/privileges.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>

/* linux/capability.h, in its order */
static const char *const capability_names[] = {
	"chown",
	"dac_override",
	"dac_read_search",
	"fowner",
	"fsetid",
	"kill",
	"setgid",
	"setuid",
	"setpcap",
	"linux_immutable",
	"net_bind_service",
	"net_broadcast",
	"net_admin",
	"net_raw",
	"ipc_lock",
	"ipc_owner",
	"sys_module",
	"sys_rawio",
	"sys_chroot",
	"sys_ptrace",
	"sys_pacct",
	"sys_admin",
	"sys_boot",
	"sys_nice",
	"sys_resource",
	"sys_time",
	"sys_tty_config",
	"mknod",
	"lease",
	"audit_write",
	"audit_control",
	"setfcap",
	"mac_override",
	"mac_admin",
	"syslog",
	"wake_alarm",
	"block_suspend",
	"audit_read",
	"perfmon",
	"bpf",
	"checkpoint_restore",
};

/* What stands behind @key at the begin of a line, as a number */
static bool field(const char *text, const char *key, int base, uint64_t *ret)
{
	const char *at = strstr(text, key);
	char *end;

	if (!at)
		return false;
	at += strlen(key);
	*ret = strtoull(at, &end, base);
	return end != at;
}

int privileges_parse(const char *text, struct privileges *ret)
{
	uint64_t uid, permitted, ambient = 0, inheritable = 0, bounding, no_new_privs, seccomp;

	/* a number may be somebody else's process by now; what a role does it is called by */
	if (strncmp(text, "Name:\tdocker-router", strlen("Name:\tdocker-router")) != 0)
		return -ENOENT;
	if (!field(text, "\nUid:\t", 10, &uid) || !field(text, "\nCapPrm:\t", 16, &permitted) ||
	    !field(text, "\nCapBnd:\t", 16, &bounding) || !field(text, "\nNoNewPrivs:\t", 10, &no_new_privs))
		return -EBADMSG;
	if (!field(text, "\nSeccomp:\t", 10, &seccomp)) /* a kernel without */
		seccomp = 0;
	(void)!field(text, "\nCapAmb:\t", 16, &ambient);
	(void)!field(text, "\nCapInh:\t", 16, &inheritable);
	*ret = (struct privileges){.uid = (uid_t)uid,
				   .capabilities = permitted | ambient | inheritable,
				   .bounding = bounding,
				   .no_new_privs = no_new_privs == 1,
				   .seccomp = seccomp != 0};
	return 0;
}

int privileges_read(pid_t pid, struct privileges *ret)
{
	char path[64], text[8192];
	ssize_t n;

	str_print(path, "/proc/%d/status", (int)pid);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	return privileges_parse(text, ret);
}

static void user_name(uid_t uid, char *ret, size_t size)
{
	const struct passwd *user = getpwuid(uid);

	if (user)
		snprintf(ret, size, "%s", user->pw_name);
	else
		snprintf(ret, size, "uid %u", (unsigned)uid);
}

#define FEW 8 /* so many that are lacking are told instead of those that are there */
/* the last few are younger than some kernels */
#define MOST ((UINT64_C(1) << (ARRAY_LEN(capability_names) - 5)) - 1)

void privileges_text(const struct privileges *p, struct buf *out)
{
	char user[64];
	uint64_t lacking = MOST & ~p->capabilities, tell = p->capabilities;
	const char *before = ", ";

	user_name(p->uid, user, sizeof(user));
	buf_puts(out, user);
	if (p->capabilities == 0)
		buf_puts(out, ", no capability");
	if (__builtin_popcountll(lacking) <= FEW) {
		buf_puts(out, ", all capabilities");
		before = " but ";
		tell = lacking;
	}
	for (size_t i = 0; i < ARRAY_LEN(capability_names); i++) {
		if (!(tell & UINT64_C(1) << i))
			continue;
		buf_printf(out, "%s%s", before, capability_names[i]);
		before = "+";
	}
	if (p->no_new_privs)
		buf_puts(out, ", no_new_privs");
	if (p->seccomp)
		buf_puts(out, ", seccomp");
}

static json_t *capabilities_json(uint64_t capabilities)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_LEN(capability_names); i++) {
		if (capabilities & UINT64_C(1) << i)
			json_array_append_new(list, json_string(capability_names[i]));
	}
	return list;
}

json_t *privileges_json(const struct privileges *p)
{
	json_t *o = json_object();
	char user[64];

	user_name(p->uid, user, sizeof(user));
	json_object_set_new(o, "user", json_string(user));
	json_object_set_new(o, "uid", json_integer((json_int_t)p->uid));
	json_object_set_new(o, "capabilities", capabilities_json(p->capabilities));
	json_object_set_new(o, "bounding", capabilities_json(p->bounding));
	json_object_set_new(o, "no_new_privs", json_boolean(p->no_new_privs));
	json_object_set_new(o, "seccomp", json_boolean(p->seccomp));
	return o;
}
