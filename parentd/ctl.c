/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands for msctl: their table, and what they have in common. */
#include "ctl.h"

#include "follow.h"
#include "receive.h"

#include <msproto/base/enc.h>
#include <msproto/kit/daemon.h>
#include <msproto/wire/text.h>

#include <stdio.h>
#include <string.h>

enum msp_err prt_ctl_child(struct prt_ctl_call *c, const struct prt_conf_parent **parent)
{
	enum msp_err err = msp_arg_name(c->args, "child", &c->child, &c->why);

	if (err != MSP_OK)
		return err;
	*parent = prt_settings_parent_of(c->settings, &c->child);
	return *parent != NULL
		       ? MSP_OK
		       : msp_fail(&c->why, MSP_ENOTFOUND, "%s is below no parent zone of ours", MSP_NAME(&c->child));
}

enum msp_err prt_ctl_peek(struct prt_ctl_call *c, struct prt_child *out, const struct prt_conf_parent **parent)
{
	enum msp_err err = prt_ctl_child(c, parent);

	if (err != MSP_OK)
		return err;
	err = prt_books_peek(c->books, &c->child, out);
	return err == MSP_ENOTFOUND ? msp_fail(&c->why, err, "no such child: %s", MSP_NAME(&c->child)) : err;
}

enum msp_err prt_ctl_digest(const struct prt_child *c, char out[PRT_DIGEST_DIGITS + 1])
{
	uint8_t print[PRT_HASH_LEN];
	struct msp_buf hex;
	enum msp_err err = prt_pending_print(c, print);

	if (err != MSP_OK)
		return err;
	msp_buf_init(&hex, 4 * PRT_HASH_LEN);
	msp_hex_write(&hex, msp_span(print, PRT_DIGEST_DIGITS / 2));
	(void)snprintf(out, PRT_DIGEST_DIGITS + 1, "%s", msp_buf_text(&hex));
	err = hex.err;
	msp_buf_fini(&hex);
	return err;
}

void prt_ctl_asker(const json_t *args, struct prt_asker *out)
{
	const char *name = msp_json_str(args, "operator");

	*out = (struct prt_asker){ .source = PRT_SRC_OPERATOR };
	(void)snprintf(out->who, sizeof(out->who), "operator %s", name != NULL && name[0] != '\0' ? name : "-");
}

enum msp_err prt_ctl_records(struct prt_ctl_call *c, const struct msp_name *parent, struct prt_delegation *out)
{
	const struct msp_numbers *numbers = &prt_settings_conf(c->settings)->numbers;
	const char *text = msp_json_str(c->args, "records"), *end;
	struct msp_buf rdata;
	enum msp_err err = text != NULL ? MSP_OK : msp_fail(&c->why, MSP_EVALUE, "which records?");
	unsigned line = 0;

	prt_delegation_init(out, parent, &c->child);
	msp_buf_init(&rdata, MSP_RDATA_MAX);
	for (; err == MSP_OK && *text != '\0'; text = *end == '\0' ? end : end + 1) {
		struct msp_rr rr;

		end = text + strcspn(text, "\n");
		line++;
		if (text + strspn(text, " \t\r") >= end || *text == ';')
			continue;
		msp_buf_reset(&rdata);
		err = msp_rr_scan(msp_span(text, (size_t)(end - text)), numbers, &c->child, 3600, &rdata, &rr, &c->why);
		if (err == MSP_OK)
			err = prt_delegation_add(out, &rr);
		if (err != MSP_OK) {
			struct msp_why inner = c->why;

			err = msp_fail(&c->why, MSP_EVALUE, "line %u: %.200s", line,
				       inner.text[0] != '\0' ? inner.text : "no part of this delegation");
		}
	}
	msp_buf_fini(&rdata);
	if (err != MSP_OK)
		prt_delegation_clear(out);
	return err;
}

static enum msp_err status(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	const struct prt_app *app = arg;
	struct msp_server_stats s = prt_listeners_stats(app);
	struct prt_books_stats b = prt_books_stats(app->books);
	struct prt_follow_stats f = prt_follow_stats(app->follow);
	struct msp_put o = msp_put_new(json_object());

	(void)args;
	(void)why;
	msp_put_str(&o, "daemon", "parentd");
	msp_put_str(&o, "version", MSP_VERSION);
	msp_put_int(&o, "uptime_s", msp_wall_now().s - app->started.s);
	msp_put_int(&o, "parents", (int64_t)app->conf->parents.count);
	msp_put_int(&o, "children", (int64_t)b.children);
	msp_put_int(&o, "requests_now", (int64_t)prt_receiver_load(app->receiver));
	msp_put_int(&o, "decisions_waiting", (int64_t)prt_books_load(app->books));
	msp_put_int(&o, "looks_running", (int64_t)f.running);
	msp_put_int(&o, "looks_waiting", (int64_t)f.waiting);
	msp_put_int(&o, "swept", (int64_t)f.swept);
	msp_put_int(&o, "audit_seq", (int64_t)b.last_seq);
#define STAT(name, help) msp_put_int(&o, #name, (int64_t)app->stats.name);
	PRT_STAT_MAP(STAT)
#undef STAT
	msp_put_int(&o, "udp_in", (int64_t)s.udp_in);
	msp_put_int(&o, "tcp_in", (int64_t)s.tcp_in);
	msp_put_int(&o, "replies", (int64_t)s.replies);
	return msp_put_end(&o, data);
}

const struct msp_command prt_commands[] = {
	{ "status", status, "", "State of the daemon" },
	{ "parent list", prt_ctl_parents, "", "Parent zones: policy, children, when they were read" },
	{ "parent children", prt_ctl_children, "[STATE] [AFTER] [LIMIT] [UNDER]",
	  "Children: all, or those that are locked, gone, waiting, unpublished, keyed; at most 1000: ask again with "
	  "`after`" },
	{ "parent keys", prt_ctl_keys, "[CHILD] [STATE] [AFTER] [LIMIT]",
	  "SIG(0) keys of a child, or of all; STATE: trusted, known, manual, failed, distrusted" },
	{ "parent show", prt_ctl_show, "CHILD", "One child: delegation, keys, what waits and for what, last scan" },
	{ "parent approve", prt_ctl_approve, "CHILD WHAT [HOW]",
	  "Trust the key with this fingerprint, or make the change that waits and has this digest; force: without "
	  "checks" },
	{ "parent reject", prt_ctl_reject, "CHILD [WHAT]", "Distrust the key, or drop the change that waits" },
	{ "parent forget", prt_ctl_forget, "CHILD WHAT", "Forget the key with this fingerprint" },
	{ "parent lock", prt_ctl_lock, "CHILD [WHY]", "Registry lock: nothing is accepted" },
	{ "parent unlock", prt_ctl_unlock, "CHILD", "Take it away" },
	{ "parent scan", prt_ctl_scan, "CHILD", "Look at its CDS and CSYNC now" },
	{ "parent add", prt_ctl_add, "CHILD RECORDS", "A child that no transfer of the parent zone brings" },
	{ "parent set", prt_ctl_set, "CHILD RECORDS [HOW]", "Set the delegation; force: without the gates" },
	{ "parent rollback", prt_ctl_rollback, "SEQ [HOW]",
	  "Set the delegation to what it was before an audit record" },
	{ "parent audit", prt_ctl_audit, "[CHILD] [FROM] [LIMIT]", "Every decision, from a number on" },
	{ "parent verify", prt_ctl_verify, "[FROM] [LINK]", "Whether the audit trail is whole" },
	{ "parent policy", prt_ctl_policy, "WHAT CHILD SOURCE RECORDS",
	  "test: what would happen to a change, and why" },
	{ "parent records", prt_ctl_published, "[PARENT]", "DSYNC, SVCB, KEY: what is to be published" },
	{ "parent backends", prt_ctl_backends, "", "Where changes go, how far each is" },
	{ "parent import", prt_ctl_import, "[PARENT] [HOW]",
	  "Read the parent zone now; force: believe it whatever it lost" },
	{ .name = NULL }
};
