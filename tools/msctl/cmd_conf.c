/* SPDX-License-Identifier: BSD-2-Clause */
/* A daemon knows its settings best: `conf check` runs it with -n. No shell in between. */
#include "ctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const daemons[] = { "msad", "combinerd", "parentd" };

/* The daemon that belongs to this msctl: of the same build tree, of the same installation, then where it was configured
 * to be. */
static bool find_daemon(const char *name, char *path, size_t len)
{
	static const char *const beside[] = { "", "/../sbin" };
	static const char in_tree[] = "/tools/msctl";
	char self[2048];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;
	size_t dir_len;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash == NULL) /* no /proc */
		self[0] = '\0';
	else
		*slash = '\0';
	dir_len = strlen(self);
	if (dir_len >= strlen(in_tree) && strcmp(self + dir_len - strlen(in_tree), in_tree) == 0) {
		snprintf(path, len, "%s/../../%s/%s", self, name, name);
		if (access(path, X_OK) == 0)
			return true;
	}
	for (size_t i = 0; slash != NULL && i < sizeof(beside) / sizeof(beside[0]); i++) {
		snprintf(path, len, "%s%s/%s", self, beside[i], name);
		if (access(path, X_OK) == 0)
			return true;
	}
	snprintf(path, len, MSP_SBINDIR "/%s", name);
	return access(path, X_OK) == 0;
}

enum ctl_exit ctl_conf_check(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv)
{
	char path[4096];
	struct msp_why why;
	enum msp_err err;

	(void)o;
	(void)cmd;
	(void)argc;
	for (size_t d = 0; d < sizeof(daemons) / sizeof(daemons[0]); d++) {
		if (strcmp(argv[0], daemons[d]) != 0)
			continue;
		if (!find_daemon(argv[0], path, sizeof(path))) {
			err = msp_fail(&why, MSP_ENOTFOUND, "the program is not installed: looked for %.200s", path);
			return ctl_fail(argv[0], err, &why);
		}
		execl(path, argv[0], "-n", "-c", argv[1], (char *)NULL);
		err = msp_fail(&why, MSP_EIO, "%s", strerror(errno));
		return ctl_fail(path, err, &why);
	}
	return ctl_misuse("conf check", "the daemon is one of msad, combinerd, parentd");
}
