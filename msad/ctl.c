/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl.h"

#include "shell.h"

static struct msa_shell *shell_of(void *arg)
{
	return *(struct msa_shell **)arg;
}

static enum msp_err give(json_t *v, json_t **data)
{
	*data = v;
	return v != NULL ? MSP_OK : MSP_ENOMEM;
}

static enum msp_err name_arg(const json_t *args, const char *key, struct msp_name *out, struct msp_why *why)
{
	const char *text = msp_json_str(args, key);

	if (text == NULL)
		return msp_fail(why, MSP_EFORMAT, "argument %s is missing", key);
	return msp_name_from_text(text, out) == MSP_OK ? MSP_OK
						       : msp_fail(why, MSP_ENAME, "%s is not a domain name", key);
}

static enum msp_err status(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	json_t *core = msa_core_status(msa_shell_core(shell_of(arg)), msp_mono_now()),
	       *shell = msa_shell_status(shell_of(arg));

	(void)args;
	(void)why;
	if (core == NULL || shell == NULL || json_object_update(core, shell) != 0) {
		json_decref(core);
		core = NULL;
	}
	json_decref(shell);
	return give(core, data);
}

static enum msp_err zone_list(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	(void)args;
	(void)why;
	return give(msa_core_zones(msa_shell_core(shell_of(arg)), msp_mono_now()), data);
}

static enum msp_err peer_list(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	(void)args;
	(void)why;
	return give(msa_core_peers(msa_shell_core(shell_of(arg)), msp_mono_now()), data);
}

typedef json_t *one_fn(const struct msa_core *core, const struct msp_name *name, struct msp_mono now);

static enum msp_err one(void *arg, const json_t *args, const char *key, one_fn *fn, json_t **data, struct msp_why *why)
{
	struct msp_name name;
	enum msp_err err = name_arg(args, key, &name, why);

	if (err == MSP_OK)
		err = give(fn(msa_shell_core(shell_of(arg)), &name, msp_mono_now()), data);
	if (err == MSP_OK && json_is_null(*data)) {
		json_decref(*data);
		*data = NULL;
		err = msp_fail(why, MSP_ENOTFOUND, "%s %s is not known here", key, MSP_NAME(&name));
	}
	return err;
}

static enum msp_err zone_show(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	return one(arg, args, "zone", msa_core_zone, data, why);
}

static enum msp_err peer_show(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	return one(arg, args, "identity", msa_core_peer, data, why);
}

static enum msp_err zone_refresh(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	struct msp_name zone;
	enum msp_err err = name_arg(args, "zone", &zone, why);

	(void)data;
	if (err == MSP_OK)
		err = msa_shell_refresh(shell_of(arg), &zone);
	return err == MSP_ENOTFOUND ? msp_fail(why, err, "zone %s is not known here", MSP_NAME(&zone)) : err;
}

static enum msp_err parent_status(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	return one(arg, args, "zone", msa_core_parent, data, why);
}

static enum msp_err parent_act(void *arg, const json_t *args, bool is_roll, struct msp_why *why)
{
	struct msp_name zone;
	enum msp_err err = name_arg(args, "zone", &zone, why);

	if (err == MSP_OK)
		err = msa_shell_parent(shell_of(arg), &zone, is_roll);
	if (err == MSP_ENOTFOUND)
		return msp_fail(why, err, "zone %s is not known here", MSP_NAME(&zone));
	return err == MSP_ESTATE ? msp_fail(why, err, "parent-sync is off for %s", MSP_NAME(&zone)) : err;
}

static enum msp_err parent_sync(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	(void)data;
	return parent_act(arg, args, false, why);
}

static enum msp_err parent_roll(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	(void)data;
	return parent_act(arg, args, true, why);
}

const struct msp_command msa_commands[] = {
	{ "status", status, "", "what the agent is doing" },
	{ "zone list", zone_list, "", "its zones" },
	{ "zone show", zone_show, "ZONE", "one zone: group, keys and whose they are, what is waited for" },
	{ "zone refresh", zone_refresh, "ZONE", "fetch the zone from the signer now" },
	{ "parent status", parent_status, "ZONE",
	  "where the zone's parent stands: phase, key, answers, what is missing" },
	{ "parent sync", parent_sync, "ZONE", "look at the parent now, and tell it what is missing" },
	{ "parent roll", parent_roll, "ZONE", "replace our key towards the parent" },
	{ "peer list", peer_list, "", "the other providers' agents" },
	{ "peer show", peer_show, "IDENTITY", "one agent" },
	{ NULL, NULL, NULL, NULL },
};
