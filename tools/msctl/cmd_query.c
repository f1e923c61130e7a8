/* SPDX-License-Identifier: BSD-2-Clause */
/* What anyone may ask over DNS, in clear text: HSYNC, DSYNC, KeyState, HELLO. */
#include "ask.h"

#include <string.h>

#include <msproto/base/clock.h>
#include <msproto/base/enc.h>
#include <msproto/msg/keystate.h>
#include <msproto/msg/msopt.h>
#include <msproto/wire/hsync.h>
#include <msproto/wire/rdata.h>
#include <msproto/wire/text.h>

#define RDATA_TEXT_MAX (1u << 18)

/* ---- records ---- */

/** Adds members to the row of one record. *is_good: false when the record is of no use. */
typedef enum msp_err row_fn(const struct ctl_ask *a, const struct msp_rr *rr, const json_t *before, json_t *row,
			    bool *is_good);

static bool has_identity(const json_t *rows, const char *identity)
{
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row)
	{
		const char *other = msp_json_str(row, "identity");

		if (other != NULL && strcmp(other, identity) == 0)
			return true;
	}
	return false;
}

/* PROTOCOL A.1 rules 2, 3 and 8: what an agent makes of the record. */
static enum msp_err hsync_row(const struct ctl_ask *a, const struct msp_rr *rr, const json_t *before, json_t *row,
			      bool *is_good)
{
	const char *valid = "yes";
	struct msp_hsync h;
	struct msp_buf text;
	enum msp_err err = MSP_OK, bad = msp_hsync_parse(rr->rdata, a->o->numbers.hsync_compat_zero, &h);

	msp_buf_init(&text, RDATA_TEXT_MAX);
	if (bad != MSP_OK) {
		valid = msp_err_text(bad);
		msp_buf_printf(&text, "\\# %zu ", rr->rdata.len);
		msp_hex_write(&text, rr->rdata);
	} else {
		msp_hsync_print(&text, &h);
		msp_name_lower(&h.identity);
		if (!msp_hsync_valid(&h))
			valid = msp_err_text(MSP_EVALUE);
		else if (has_identity(before, MSP_NAME(&h.identity)))
			valid = "identity listed twice";
		err = msp_json_set_str(row, "identity", MSP_NAME(&h.identity));
	}
	if (err == MSP_OK)
		err = text.err == MSP_OK ? msp_json_set_str(row, "hsync", msp_buf_text(&text)) : text.err;
	if (err == MSP_OK)
		err = msp_json_set_int(row, "ttl", rr->ttl);
	if (err == MSP_OK)
		err = msp_json_set_str(row, "valid", valid);
	*is_good = strcmp(valid, "yes") == 0;
	msp_buf_fini(&text);
	return err;
}

/* PROTOCOL G.2: of the RRset use what has a known scheme and a port. */
static enum msp_err dsync_row(const struct ctl_ask *a, const struct msp_rr *rr, const json_t *before, json_t *row,
			      bool *is_good)
{
	const struct msp_numbers *n = &a->o->numbers;
	const char *use = "no: malformed";
	struct msp_dsync d;
	struct msp_buf text;
	enum msp_err err;

	(void)before;
	if (msp_dsync_parse(rr->rdata, &d) == MSP_OK) {
		if (d.scheme == 0)
			use = "no: scheme 0";
		else if (d.scheme == n->dsync_scanner)
			use = msp_name_is_root(&d.target) ? "no scanner here" : "scanner";
		else if (d.port == 0)
			use = "no: port 0";
		else if (d.scheme == MSP_DSYNC_NOTIFY)
			use = "notify";
		else if (d.scheme == n->dsync_update)
			use = "update";
		else if (d.scheme == n->dsync_api)
			use = "api";
		else
			use = "no: scheme not known";
	}
	*is_good = true; /* what is not known here may be known elsewhere */
	msp_buf_init(&text, RDATA_TEXT_MAX);
	msp_rdata_print(&text, n, rr->type, rr->rdata);
	err = msp_json_set_str(row, "owner", MSP_NAME(&rr->owner));
	if (err == MSP_OK)
		err = msp_json_set_int(row, "ttl", rr->ttl);
	if (err == MSP_OK)
		err = text.err == MSP_OK ? msp_json_set_str(row, "rdata", msp_buf_text(&text)) : text.err;
	if (err == MSP_OK)
		err = msp_json_set_str(row, "use", use);
	msp_buf_fini(&text);
	return err;
}

/* Answer records of one type, each turned into a row. *good: some, and none of no use. */
static enum msp_err add_records(struct ctl_ask *a, json_t *o, uint16_t type, row_fn *fill, size_t *found, bool *good)
{
	struct msp_msg_it it;
	struct msp_rr rr;
	json_t *rows = json_array();
	enum msp_err err = rows != NULL ? MSP_OK : MSP_ENOMEM;
	size_t bad = 0;

	*found = 0;
	msp_msg_it_init(&it, &a->msg, MSP_SEC_ANSWER, &a->scratch);
	while (err == MSP_OK && msp_msg_next(&it, &rr)) {
		bool is_good = false;
		json_t *row;

		if (rr.type != type || rr.cls != MSP_CLASS_IN)
			continue;
		row = json_object();
		err = fill(a, &rr, rows, row, &is_good);
		if (err == MSP_OK)
			err = msp_json_append(rows, row);
		else
			json_decref(row);
		(*found)++;
		bad += !is_good;
	}
	*good = *found > 0 && bad == 0;
	if (err == MSP_OK)
		return msp_json_set(o, "records", rows);
	json_decref(rows);
	return err;
}

enum ctl_exit ctl_conclude(struct ctl_ask *a, const struct ctl_command *cmd, enum msp_err err, json_t *o, bool is_good)
{
	enum ctl_exit e;

	if (err != MSP_OK) {
		json_decref(o);
		e = ctl_fail(cmd->words, err, &a->why);
	} else {
		e = ctl_out(a->o, cmd->columns, o);
		if (e == CTL_OK && !is_good)
			e = CTL_REFUSED;
	}
	ctl_ask_free(&a);
	return e;
}

enum ctl_exit ctl_query_hsync(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv)
{
	struct ctl_ask *a;
	json_t *out;
	size_t found = 0;
	bool good = false;
	enum msp_err err;
	enum ctl_exit e = ctl_ask_new(o, cmd, argv[0], CTL_SYSTEM_RESOLVER, &a);

	(void)argc;
	if (e != CTL_OK)
		return e;
	out = json_object();
	err = ctl_ask_lookup(a, &a->name, o->numbers.type_hsync);
	if (err == MSP_OK)
		err = msp_json_set_str(out, "zone", MSP_NAME(&a->name));
	if (err == MSP_OK)
		err = msp_json_set_bool(out, "dnssec", (a->msg.flags & MSP_FLAG_AD) != 0);
	if (err == MSP_OK)
		err = ctl_ask_outcome(a, out);
	if (err == MSP_OK)
		err = add_records(a, out, o->numbers.type_hsync, hsync_row, &found, &good);
	return ctl_conclude(a, cmd, err, out, good);
}

/* ---- query dsync ---- */

/* `count` labels from the front of `name`, the root behind them. */
static struct msp_name first_labels(const struct msp_name *name, unsigned count)
{
	struct msp_name front = { 0 };
	size_t len = 0;

	for (unsigned i = 0; i < count; i++)
		len += (size_t)name->oct[len] + 1;
	memcpy(front.oct, name->oct, len);
	front.len = (uint8_t)(len + 1); /* at most name->len: `count` labels are there, and a root */
	return front;
}

/* `_dsync` between the first `before` labels of the child and the labels of `below`. */
static enum msp_err dsync_name(const struct msp_name *child, unsigned before, const struct msp_name *below,
			       struct msp_name *out)
{
	struct msp_name tail, front = first_labels(child, before);
	enum msp_err err = msp_name_prepend("_dsync", below, &tail);

	return err == MSP_OK ? msp_name_concat(&front, &tail, out) : err;
}

/* The zone that said no, as far as it can be the parent; else the name directly above the child. */
static unsigned parent_labels(struct ctl_ask *a, unsigned child_labels)
{
	struct msp_msg_it it;
	struct msp_rr rr;

	msp_msg_it_init(&it, &a->msg, MSP_SEC_AUTHORITY, &a->scratch);
	while (msp_msg_next(&it, &rr))
		if (rr.type == MSP_TYPE_SOA && msp_name_is_under(&a->name, &rr.owner) &&
		    msp_name_labels(&rr.owner) < child_labels)
			return msp_name_labels(&rr.owner);
	return child_labels - 1;
}

/* One form of the search. An answer that is no denial ends it: a name server in trouble does not mean "no". */
static enum msp_err dsync_try(struct ctl_ask *a, const struct msp_name *name, json_t *asked, json_t *out, size_t *found)
{
	bool good;
	enum msp_err err = msp_json_append(asked, json_string(MSP_NAME(name)));

	if (err == MSP_OK)
		err = ctl_ask_lookup(a, name, MSP_TYPE_DSYNC);
	if (err == MSP_OK && a->msg.rcode != MSP_RCODE_NOERROR && a->msg.rcode != MSP_RCODE_NXDOMAIN)
		err = msp_fail(&a->why, MSP_ERCODE, "%s: %s is no denial, so the search ends", MSP_NAME(name),
			       msp_rcode_name(a->msg.rcode));
	return err == MSP_OK ? add_records(a, out, MSP_TYPE_DSYNC, dsync_row, found, &good) : err;
}

/* PROTOCOL G.2: `_dsync` after the first label; before the parent's labels; at the parent. Each form once. */
static enum msp_err dsync_search(struct ctl_ask *a, json_t *asked, json_t *out, size_t *found)
{
	unsigned labels = msp_name_labels(&a->name), above;
	struct msp_name name, parent;
	enum msp_err err = msp_name_parent(&a->name, 1, &parent);

	if (err == MSP_OK)
		err = dsync_name(&a->name, 1, &parent, &name);
	if (err == MSP_OK)
		err = dsync_try(a, &name, asked, out, found);
	if (err != MSP_OK || *found > 0)
		return err;
	above = parent_labels(a, labels);
	err = msp_name_parent(&a->name, labels - above, &parent);
	if (err == MSP_OK && labels - above > 1) { /* else it is the same name as before */
		err = dsync_name(&a->name, labels - above, &parent, &name);
		if (err == MSP_OK)
			err = dsync_try(a, &name, asked, out, found);
	}
	if (err != MSP_OK || *found > 0)
		return err;
	err = dsync_name(&a->name, 0, &parent, &name);
	return err == MSP_OK ? dsync_try(a, &name, asked, out, found) : err;
}

enum ctl_exit ctl_query_dsync(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv)
{
	struct ctl_ask *a;
	json_t *out, *asked;
	size_t found = 0;
	enum msp_err err;
	enum ctl_exit e = ctl_ask_new(o, cmd, argv[0], CTL_SYSTEM_RESOLVER, &a);

	(void)argc;
	if (e != CTL_OK)
		return e;
	if (msp_name_is_root(&a->name)) {
		ctl_ask_free(&a);
		return ctl_misuse(argv[0], "the root has no parent");
	}
	out = json_object();
	asked = json_array();
	err = dsync_search(a, asked, out, &found);
	if (err == MSP_OK)
		err = msp_json_set(out, "asked", json_incref(asked));
	if (err == MSP_OK)
		err = msp_json_set_bool(out, "dnssec", (a->msg.flags & MSP_FLAG_AD) != 0);
	if (err == MSP_OK)
		err = ctl_ask_outcome(a, out);
	json_decref(asked);
	return ctl_conclude(a, cmd, err, out, found > 0);
}

/* ---- query keystate ---- */

/* Why a child would not believe the answer (PROTOCOL B.2), or NULL. */
static const char *keystate_flaw(const struct ctl_ask *a, bool is_signed, enum msp_err parsed,
				 const struct msp_keystate *ks)
{
	if (!is_signed)
		return "not signed, or not by --peer-key: the state must not be believed";
	if (parsed == MSP_EVALUE)
		return "state not assigned";
	if (parsed != MSP_OK)
		return msp_err_text(parsed);
	if (ks->key_id != msp_key_id(a->key))
		return "about another key";
	if (ks->state == MSP_KEYSTATE_INQUIRE)
		return "a question, not an answer";
	return a->msg.rcode != MSP_RCODE_NOERROR ? "the question was refused" : NULL;
}

enum msp_err ctl_add_keystate(const struct ctl_ask *a, bool is_signed, json_t *out, bool *good)
{
	struct msp_keystate ks = { 0 };
	struct msp_option found;
	const char *flaw;
	enum msp_err err = MSP_OK, parsed;

	*good = false;
	if (!a->msg.edns.present || !msp_edns_find(&a->msg.edns, a->o->numbers.opt_keystate, &found))
		return msp_json_set_str(out, "note", "no KeyState in the answer: the receiver cannot tell, or may not");
	parsed = msp_keystate_parse(found.data, &ks);
	if (parsed == MSP_OK || parsed == MSP_EVALUE) {
		err = msp_json_set_str(out, "state", parsed == MSP_OK ? msp_keystate_name(ks.state) : "?");
		if (err == MSP_OK)
			err = msp_json_set_int(out, "state_code", ks.state);
		if (err == MSP_OK)
			err = msp_json_set_int(out, "key_id", ks.key_id);
		if (err == MSP_OK)
			err = msp_json_set_int(out, "key_data", ks.data);
		if (err == MSP_OK && ks.text.len > 0)
			err = ctl_set_text(out, "text", ks.text);
	}
	flaw = keystate_flaw(a, is_signed, parsed, &ks);
	*good = flaw == NULL;
	return err == MSP_OK && flaw != NULL ? msp_json_set_str(out, "note", flaw) : err;
}

enum ctl_exit ctl_query_keystate(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv)
{
	struct msp_keystate ks = { .state = MSP_KEYSTATE_INQUIRE };
	struct msp_optw opt;
	struct ctl_ask *a;
	json_t *out;
	bool is_signed = false, good = false;
	enum msp_err err;
	enum ctl_exit e = ctl_ask_new(o, cmd, argv[0], CTL_NAMED_SERVER, &a);

	(void)argc;
	if (e != CTL_OK)
		return e;
	out = json_object();
	ks.key_id = msp_key_id(a->key);
	opt = ctl_ask_begin(a, &a->name, MSP_TYPE_KEY, MSP_OPCODE_QUERY, 0);
	msp_optw_keystate(&opt, &o->numbers, &ks);
	err = ctl_ask_send(a, &opt);
	if (err == MSP_OK)
		err = ctl_ask_outcome(a, out);
	if (err == MSP_OK)
		err = ctl_ask_signature(a, out, &is_signed);
	if (err == MSP_OK)
		err = ctl_add_keystate(a, is_signed, out, &good);
	return ctl_conclude(a, cmd, err, out, good);
}

/* ---- query hello ---- */

struct bit {
	unsigned bit;
	const char *name;
};

static enum msp_err set_bits(json_t *o, const char *key, unsigned value, const struct bit *bits)
{
	json_t *list = json_array();
	enum msp_err err = list != NULL ? MSP_OK : MSP_ENOMEM;

	for (; err == MSP_OK && bits->name != NULL; bits++)
		if ((value & bits->bit) != 0)
			err = msp_json_append(list, json_string(bits->name));
	if (err == MSP_OK)
		return msp_json_set(o, key, list);
	json_decref(list);
	return err;
}

static enum msp_err add_tlvs(const struct msp_msopt *ms, json_t *out)
{
	static const struct bit caps[] = { { MSP_CAP_PEER_SCOPE, "peer-scope" },
					   { MSP_CAP_PUSH, "push" },
					   { MSP_CAP_PULL, "pull" },
					   { MSP_CAP_EXTERNAL_CLOCK, "external-clock" },
					   { MSP_CAP_SHARE_KSK, "share-ksk" },
					   { 0, NULL } };
	struct msp_buf hex;
	enum msp_err err = MSP_OK;

	if (ms->has[MSP_TLV_IDENTITY])
		err = msp_json_set_str(out, "identity", MSP_NAME(&ms->identity));
	if (err == MSP_OK && ms->has[MSP_TLV_INTERVAL])
		err = msp_json_set_int(out, "interval", ms->interval_s);
	if (err == MSP_OK && ms->has[MSP_TLV_GROUP]) {
		msp_buf_init(&hex, 128);
		msp_hex_write(&hex, msp_span(ms->group, sizeof(ms->group)));
		err = msp_json_set_str(out, "group", msp_buf_text(&hex));
		msp_buf_fini(&hex);
	}
	if (err == MSP_OK && ms->has[MSP_TLV_DATA_VERSION])
		err = msp_json_set_int(out, "data_version", (int64_t)ms->data_version);
	if (err == MSP_OK && ms->has[MSP_TLV_CAPS])
		err = set_bits(out, "capabilities", ms->caps, caps);
	if (err == MSP_OK && ms->has[MSP_TLV_TIMING])
		err = msp_json_set_int(out, "dnskey_ttl", ms->timing.dnskey_ttl);
	if (err == MSP_OK && ms->has[MSP_TLV_RESULT])
		err = msp_json_set_int(out, "result", ms->result_code);
	if (err == MSP_OK && ms->has[MSP_TLV_RESULT])
		err = ctl_set_text(out, "result_text", ms->result_text);
	return err;
}

static enum msp_err add_msopt(const struct ctl_ask *a, json_t *out, bool *good)
{
	static const struct bit transports[] = { { MSP_TRANSPORT_DNS, "DNS" },
						 { MSP_TRANSPORT_API, "API" },
						 { 0, NULL } };
	static const struct bit syncs[] = { { MSP_SYNC_LEADER, "leader-follower" },
					    { MSP_SYNC_PEER, "peer-to-peer" },
					    { 0, NULL } };
	struct msp_option found;
	struct msp_msopt ms;
	enum msp_err err;

	*good = false;
	if (!a->msg.edns.present || !msp_edns_find(&a->msg.edns, a->o->numbers.opt_multisigner, &found))
		return MSP_OK;
	if (msp_msopt_parse(found.data, &ms) != MSP_OK)
		return msp_json_set_str(out, "operation", "malformed");
	*good = ms.operation == MSP_OP_HELLO;
	err = msp_json_set_str(out, "operation", msp_op_name(&a->o->numbers, ms.operation));
	if (err == MSP_OK)
		err = set_bits(out, "transports", ms.transports, transports);
	if (err == MSP_OK)
		err = set_bits(out, "synchronization", ms.syncs, syncs);
	return err == MSP_OK ? add_tlvs(&ms, out) : err;
}

/* The one refusal that this command brings upon itself. */
static enum msp_err add_replay_note(const struct ctl_ask *a, json_t *out)
{
	struct msp_option opt;
	struct msp_ede ede;

	if (a->msg.edns.present && msp_edns_find(&a->msg.edns, MSP_OPT_EDE, &opt) &&
	    msp_ede_parse(opt.data, &ede) == MSP_OK && ede.code == msp_ede_code(&a->o->numbers, MSP_EDE_SIG0_REPLAY))
		return msp_json_set_str(out, "note",
					"they verified the signature, and know this identity's running agent already");
	return MSP_OK;
}

/*
 * A HELLO as an agent would send it (PROTOCOL D.4), for finding out what the other side says to it. Its TLV 4 has the
 * oldest boot epoch there is: with today's, the other side would take every later message of the real agent for a
 * replay.
 */
enum ctl_exit ctl_query_hello(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv)
{
	struct msp_msopt ms = { .operation = MSP_OP_HELLO,
				.transports = MSP_TRANSPORT_DNS,
				.syncs = MSP_SYNC_LEADER | MSP_SYNC_PEER,
				.epoch = 1 };
	struct msp_optw opt;
	struct ctl_ask *a;
	json_t *out;
	bool is_signed = false, good = false;
	enum msp_err err;
	enum ctl_exit e;

	(void)argc;
	if (o->identity != NULL && msp_name_from_text(o->identity, &ms.identity) != MSP_OK)
		return ctl_misuse(o->identity, msp_err_text(MSP_ENAME));
	e = ctl_ask_new(o, cmd, argv[0], CTL_NAMED_SERVER, &a);
	if (e != CTL_OK)
		return e;
	out = json_object();
	ms.has[MSP_TLV_IDENTITY] = o->identity != NULL;
	ms.has[MSP_TLV_INSTANCE] = true;
	ms.sequence = (uint64_t)msp_wall_now().s;
	opt = ctl_ask_begin(a, &a->name, MSP_TYPE_SOA, MSP_OPCODE_NOTIFY, MSP_FLAG_AA);
	msp_optw_msopt(&opt, &o->numbers, &ms);
	err = ctl_ask_send(a, &opt);
	if (err == MSP_OK)
		err = ctl_ask_outcome(a, out);
	if (err == MSP_OK)
		err = ctl_ask_signature(a, out, &is_signed);
	if (err == MSP_OK)
		err = add_msopt(a, out, &good);
	if (err == MSP_OK)
		err = add_replay_note(a, out);
	return ctl_conclude(a, cmd, err, out, err == MSP_OK && good && is_signed && a->msg.rcode == MSP_RCODE_NOERROR);
}
