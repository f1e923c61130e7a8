/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands that a daemon answers on its control socket: the words are the daemon's, the argument goes along by name. */
#include "ctl.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <msproto/kit/control.h>

/* {"zone": "example."} from the row's "ZONE" and the command line. */
json_t *ctl_args(const char *names, int argc, char **argv)
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

static void hint(const char *path)
{
	if (access(path, F_OK) != 0)
		fputs("msctl: is the daemon running? --socket PATH names another socket (the daemon's setting: "
		      "control)\n",
		      stderr);
	else if (access(path, W_OK) != 0)
		fputs("msctl: the socket is for its owner and group\n", stderr);
}

enum ctl_exit ctl_call(const struct ctl_opts *o, const struct ctl_command *cmd, json_t *args, json_t **data)
{
	const char *path = o->socket != NULL ? o->socket : cmd->socket;
	struct msp_why why = { "" };
	enum msp_err err;
	enum ctl_exit e;

	*data = NULL;
	if (args == NULL)
		return ctl_fail(cmd->words, MSP_ENOMEM, NULL);
	err = msp_control_call(path, cmd->words, args, o->timeout_ms, data, &why);
	if (err == MSP_OK)
		return CTL_OK;
	e = ctl_fail(err == MSP_ENET || err == MSP_ETIMEOUT ? path : cmd->words, err, &why);
	if (err == MSP_ENET)
		hint(path);
	return e;
}

static enum ctl_exit call(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv, json_t **data)
{
	json_t *args = ctl_args(cmd->args, argc, argv);
	enum ctl_exit e = ctl_call(o, cmd, args, data);

	json_decref(args);
	return e;
}

enum ctl_exit ctl_local(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv)
{
	json_t *data = NULL;
	enum ctl_exit e = call(o, cmd, argc, argv, &data);

	return e == CTL_OK ? ctl_out(o, cmd->columns, data) : e;
}

/* ---- status: of all daemons, unless one is named ---- */

static const struct {
	const char *name, *socket;
} daemons[] = { { "msad", CTL_MSAD_SOCKET }, { "combinerd", CTL_COMBINERD_SOCKET }, { "parentd", CTL_PARENTD_SOCKET } };

enum ctl_exit ctl_status(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv)
{
	json_t *all;
	enum ctl_exit e = CTL_UNREACHABLE;
	enum msp_err err = MSP_OK;

	if (o->socket != NULL)
		return ctl_local(o, cmd, argc, argv);
	all = json_object();
	for (size_t i = 0; err == MSP_OK && i < sizeof(daemons) / sizeof(daemons[0]); i++) {
		struct msp_why why = { "" };
		json_t *one = NULL;
		enum msp_err bad = msp_control_call(daemons[i].socket, cmd->words, NULL, o->timeout_ms, &one, &why);

		if (bad == MSP_OK) { /* one machine need not have all: an answer from any is an answer */
			e = e == CTL_UNREACHABLE ? CTL_OK : e;
		} else {
			e = bad != MSP_ENET && bad != MSP_ETIMEOUT ? CTL_REFUSED : e;
			one = json_object();
			err = msp_json_set_str(one, "error", why.text[0] != '\0' ? why.text : msp_err_text(bad));
		}
		if (err == MSP_OK)
			err = msp_json_set(all, daemons[i].name, one != NULL ? one : json_object());
		else
			json_decref(one);
	}
	if (err != MSP_OK) {
		json_decref(all);
		return ctl_fail(cmd->words, err, NULL);
	}
	err = ctl_out(o, cmd->columns, all) == CTL_OK ? MSP_OK : MSP_EIO;
	return err == MSP_OK ? e : CTL_REFUSED;
}

/* ---- combiner diff: as diff prints it ---- */

static bool has_text(const json_t *list, const char *text)
{
	size_t i;
	json_t *e;

	json_array_foreach(list, i, e)
	{
		if (json_is_string(e) && strcmp(json_string_value(e), text) == 0)
			return true;
	}
	return false;
}

static enum msp_err add_changes(json_t *rows, const char *sign, const json_t *these, const json_t *others)
{
	enum msp_err err = MSP_OK;
	size_t i;
	json_t *e;

	json_array_foreach(these, i, e)
	{
		json_t *row;

		if (!json_is_string(e) || has_text(others, json_string_value(e)))
			continue;
		row = json_object();
		err = msp_json_set_str(row, "change", sign);
		if (err == MSP_OK)
			err = msp_json_set_str(row, "record", json_string_value(e));
		if (err == MSP_OK)
			err = msp_json_append(rows, row);
		else
			json_decref(row);
		if (err != MSP_OK)
			break;
	}
	return err;
}

enum ctl_exit ctl_diff(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv)
{
	json_t *data = NULL, *rows, *one;
	enum ctl_exit e = call(o, cmd, argc, argv, &data);
	enum msp_err err;
	size_t i;

	if (e != CTL_OK)
		return e;
	if (o->json)
		return ctl_out(o, cmd->columns, data);
	rows = json_array();
	err = rows != NULL ? MSP_OK : MSP_ENOMEM;
	json_array_foreach(data, i, one)
	{
		const json_t *before = json_object_get(one, "owner"), *after = json_object_get(one, "served");

		if (err == MSP_OK)
			err = add_changes(rows, "-", before, after);
		if (err == MSP_OK)
			err = add_changes(rows, "+", after, before);
	}
	json_decref(data);
	if (err != MSP_OK) {
		json_decref(rows);
		return ctl_fail(cmd->words, err, NULL);
	}
	return ctl_out(o, cmd->columns, rows);
}

/* ---- combiner list: there may be many zones, and an answer has room for some ---- */

#define ROWS_MAX 1000 /* combinerd gives no more in one answer: so many mean that there are others */

/* The last row's zone as the next question's "after". False: there is nothing to go on from. */
static bool set_after(json_t *args, const json_t *rows)
{
	const char *last = msp_json_str(json_array_get(rows, json_array_size(rows) - 1), "zone");
	const char *before = msp_json_str(args, "after");

	if (last == NULL || (before != NULL && strcmp(before, last) == 0))
		return false;
	return msp_json_set_str(args, "after", last) == MSP_OK;
}

enum ctl_exit ctl_combiner_list(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv)
{
	json_t *args = ctl_args(cmd->args, argc, argv), *all = NULL, *some = NULL;
	enum ctl_exit e = ctl_call(o, cmd, args, &all);

	for (size_t got = json_array_size(all); e == CTL_OK && got >= ROWS_MAX && set_after(args, all);
	     got = json_array_size(some)) {
		json_decref(some);
		e = ctl_call(o, cmd, args, &some);
		if (e == CTL_OK && json_array_extend(all, some) != 0)
			e = ctl_fail(cmd->words, MSP_EFORMAT, NULL);
	}
	json_decref(some);
	json_decref(args);
	if (e == CTL_OK)
		return ctl_out(o, cmd->columns, all);
	json_decref(all);
	return e;
}
