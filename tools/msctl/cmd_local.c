/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands that a daemon answers on its control socket: the words are the daemon's, the argument goes along by name. */
#include "ctl.h"

#include <ctype.h>
#include <string.h>

#include <msproto/kit/control.h>

/* {"zone": "example."} from the row's "ZONE" and the command line. */
static json_t *args_object(const char *names, int argc, char **argv)
{
	json_t *args = json_object();

	for (int i = 0; i < argc && args != NULL; i++) {
		char key[32] = "";
		size_t len;

		names += strspn(names, " [");
		len = strcspn(names, " ]");
		for (size_t j = 0; j < len && j + 1 < sizeof(key); j++)
			key[j] = (char)tolower((unsigned char)names[j]);
		names += len;
		if (msp_json_set_str(args, key, argv[i]) != MSP_OK) {
			json_decref(args);
			args = NULL;
		}
	}
	return args;
}

enum ctl_exit ctl_local(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv)
{
	const char *path = o->socket != NULL ? o->socket : cmd->socket;
	json_t *args = args_object(cmd->args, argc, argv), *data = NULL;
	struct msp_why why = { "" };
	enum msp_err err;

	if (args == NULL)
		return ctl_fail(cmd->words, MSP_ENOMEM, NULL);
	err = msp_control_call(path, cmd->words, args, o->timeout_ms, &data, &why);
	if (err != MSP_OK)
		return ctl_fail(path, err, &why);
	return ctl_out(o, data);
}
