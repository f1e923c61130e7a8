/* SPDX-License-Identifier: BSD-2-Clause */
/* parentd: receives delegation changes for parent zones, decides, and has them carried out. */
#include "shell.h"

#include <msproto/kit/daemon.h>

int main(int argc, char **argv)
{
	static const struct msp_daemon_ops ops = {
		.name = "parentd",
		.check = prt_shell_check,
		.start = prt_shell_start,
		.reload = prt_shell_reload,
		.stop = prt_shell_stop,
		.free = prt_shell_free,
	};

	return msp_daemon_main(argc, argv, &ops);
}
