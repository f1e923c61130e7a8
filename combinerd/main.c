/* SPDX-License-Identifier: BSD-2-Clause */
/* combinerd: takes the zone owner's zones in, hands them on with the agent's apex RRsets, changes nothing else. */
#include "shell.h"

#include <msproto/kit/daemon.h>

int main(int argc, char **argv)
{
	static const struct msp_daemon_ops ops = {
		.name = "combinerd",
		.check = cmb_shell_check,
		.start = cmb_shell_start,
		.reload = cmb_shell_reload,
		.stop = cmb_shell_stop,
		.free = cmb_shell_free,
	};

	return msp_daemon_main(argc, argv, &ops);
}
