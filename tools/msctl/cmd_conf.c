/* SPDX-License-Identifier: BSD-2-Clause */
/* A daemon knows its settings best: `conf check` runs it with -n. No shell in between. */
#include "ctl.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const daemons[] = { "msad", "combinerd" };

enum ctl_exit ctl_conf_check(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv)
{
	char self[4096], path[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	(void)o;
	(void)cmd;
	(void)argc;
	if (len < 0)
		return ctl_fail("/proc/self/exe", MSP_EIO, NULL);
	self[len] = '\0';
	*strrchr(self, '/') = '\0';
	for (size_t d = 0; d < sizeof(daemons) / sizeof(daemons[0]); d++) {
		if (strcmp(argv[0], daemons[d]) != 0)
			continue;
		for (unsigned place = 0; place < 3; place++) {
			if (place == 0) /* a build tree */
				snprintf(path, sizeof(path), "%.3000s/../../%s/%s", self, argv[0], argv[0]);
			else if (place == 1) /* beside msctl */
				snprintf(path, sizeof(path), "%.3000s/%s", self, argv[0]);
			else /* installed */
				snprintf(path, sizeof(path), MSP_SBINDIR "/%s", argv[0]);
			if (access(path, X_OK) == 0) {
				execl(path, argv[0], "-n", "-c", argv[1], (char *)NULL);
				return ctl_fail(path, MSP_EIO, NULL);
			}
		}
		return ctl_fail(argv[0], MSP_ENOTFOUND, NULL);
	}
	fprintf(stderr, "msctl: conf check: the daemon is one of msad, combinerd\n");
	return CTL_USAGE;
}
