/* SPDX-License-Identifier: BSD-2-Clause */
/* What anyone may ask over DNS, in clear text: HSYNC, DSYNC, KeyState, HELLO. */
#include "ctl.h"

#include <stdio.h>
#include <string.h>

#include <msproto/auth/sig0.h>
#include <msproto/base/clock.h>
#include <msproto/base/enc.h>
#include <msproto/base/mem.h>
#include <msproto/base/rand.h>
#include <msproto/io/xchg.h>
#include <msproto/msg/keystate.h>
#include <msproto/msg/msopt.h>
#include <msproto/msg/notify.h>
#include <msproto/wire/hsync.h>
#include <msproto/wire/text.h>

/* One question and its answer, run to the end on a loop of its own. */
struct ask {
	const struct ctl_opts *o;
	uint8_t query[MSP_MSG_MAX], reply[MSP_MSG_MAX];
	size_t query_len, reply_len;
	enum msp_err err;
	bool done;
	struct msp_msg msg; /* the parsed answer */
	struct msp_rr_scratch scratch;
	struct msp_why why;
};

static void answered(void *arg, enum msp_err err, struct msp_span answer)
{
	struct ask *a = arg;

	a->err = err;
	if (err == MSP_OK) {
		memcpy(a->reply, answer.ptr, answer.len);
		a->reply_len = answer.len;
	}
	a->done = true;
}

static bool is_done(void *arg)
{
	return ((struct ask *)arg)->done;
}

/* The server: @ADDRESS, or the system's first name server. */
static enum msp_err server_addr(const struct ctl_opts *o, struct msp_addr *out, struct msp_why *why)
{
	char line[256], addr[128] = "";
	FILE *f;

	if (o->server != NULL) {
		enum msp_err err = msp_addr_parse(o->server, o->port, out);

		return err == MSP_OK ? MSP_OK : msp_fail(why, err, "%s is not an address", o->server);
	}
	f = fopen("/etc/resolv.conf", "r");
	while (f != NULL && addr[0] == '\0' && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, " nameserver %127s", addr) != 1)
			addr[0] = '\0';
	if (f != NULL)
		fclose(f);
	if (addr[0] == '\0')
		return msp_fail(why, MSP_ENOTFOUND, "no server: give @ADDRESS");
	return msp_addr_parse(addr, o->port, out);
}

static enum msp_err exchange(struct ask *a)
{
	struct msp_xchg_params p = { .transport = a->o->tcp ? MSP_TCP_ONLY : MSP_UDP_THEN_TCP,
				     .message = msp_span(a->query, a->query_len) };
	struct msp_loop *loop = NULL;
	struct msp_xchg *x = NULL;
	struct msp_log log;
	enum msp_err err;

	msp_log_init_null(&log);
	p.timeout_ms[0] = p.timeout_ms[1] = a->o->timeout_ms / 2 + 1;
	err = server_addr(a->o, &p.server, &a->why);
	if (err == MSP_OK)
		err = msp_loop_new(&log, &loop);
	if (err != MSP_OK)
		return err;
	a->done = false;
	err = msp_xchg_start(loop, &p, answered, a, &x);
	if (err == MSP_OK) {
		if (!msp_loop_run_until(loop, is_done, a, (uint64_t)a->o->timeout_ms * 2 + 1000)) {
			msp_xchg_cancel(&x);
			a->err = MSP_ETIMEOUT;
		}
		err = a->err;
	}
	msp_loop_free(&loop);
	if (err != MSP_OK)
		return err;
	return msp_msg_parse(msp_span(a->reply, a->reply_len), &a->scratch, &a->msg, &a->why);
}

static void start_query(struct ask *a, struct msp_msgw *w, const struct msp_name *name, uint16_t type, enum msp_opcode opcode, uint16_t flags)
{
	struct msp_rand rand;

	msp_rand_init_system(&rand);
	msp_msgw_init(w, a->query, sizeof(a->query), msp_rand_u16(&rand), opcode, flags);
	msp_msgw_question(w, name, type, MSP_CLASS_IN);
}

static enum msp_err finish_query(struct ask *a, struct msp_msgw *w, const struct msp_key *key)
{
	struct msp_span s;
	enum msp_err err = msp_msgw_finish(w, &s);

	a->query_len = s.len;
	if (err == MSP_OK && key != NULL)
		err = msp_sig0_sign(key, msp_wall_now(), msp_span(NULL, 0), a->query, &a->query_len, sizeof(a->query));
	return err;
}

/* RCODE and extended errors of an answer. */
static enum msp_err add_outcome(const struct ask *a, json_t *o)
{
	json_t *list = json_array();
	struct msp_option opt;
	enum msp_err err = MSP_OK;
	size_t pos = 0;

	if (list == NULL)
		return MSP_ENOMEM;
	while (err == MSP_OK && a->msg.edns.present && msp_edns_next(&a->msg.edns, &pos, &opt)) {
		struct msp_ede ede;
		const char *name;
		char text[320];

		if (opt.code != MSP_OPT_EDE || msp_ede_parse(opt.data, &ede) != MSP_OK)
			continue;
		name = msp_ede_name(&a->o->numbers, ede.code);
		snprintf(text, sizeof(text), "%u %s %.*s", ede.code, name != NULL ? name : "", (int)(ede.text.len < 200 ? ede.text.len : 200),
			 (const char *)ede.text.ptr);
		for (char *c = text; *c != '\0'; c++)
			if ((unsigned char)*c < 0x20 || (unsigned char)*c == 0x7f)
				*c = '?'; /* from the network: keep it off the terminal */
		json_t *s = json_object();

		if (s == NULL) {
			err = MSP_ENOMEM;
			break;
		}
		err = msp_json_set_int(s, "code", ede.code);
		if (err == MSP_OK)
			err = msp_json_set_str(s, "text", text);
		if (err == MSP_OK)
			err = msp_json_append(list, s);
		else
			json_decref(s);
	}
	if (err == MSP_OK)
		err = msp_json_set_str(o, "rcode", msp_rcode_name(a->msg.rcode));
	if (err == MSP_OK && json_array_size(list) > 0)
		err = msp_json_set(o, "errors", json_incref(list));
	json_decref(list);
	return err;
}

/* "verified", or why not. */
static enum msp_err add_signature(const struct ask *a, json_t *o)
{
	struct msp_sig0_claim claim;
	struct msp_key *key = NULL;
	struct msp_buf rdata;
	struct msp_rr rr;
	struct msp_why why = { "" };
	char line[4096] = "";
	const char *verdict;
	enum msp_err err;
	FILE *f;

	if (msp_sig0_claim(&a->msg, &claim) != MSP_OK)
		return msp_json_set_str(o, "signature", "none");
	err = msp_json_set_str(o, "signer", MSP_NAME(&claim.sig.signer));
	if (err != MSP_OK)
		return err;
	if (a->o->peer_key == NULL)
		return msp_json_set_str(o, "signature", "not checked: no --peer-key");
	msp_buf_init(&rdata, MSP_RDATA_MAX);
	f = fopen(a->o->peer_key, "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL && line[0] == ';')
		;
	if (f != NULL)
		fclose(f);
	err = msp_rr_scan(msp_span_str(line), NULL, NULL, 0, &rdata, &rr, &why);
	if (err == MSP_OK)
		err = msp_key_from_rdata(&rr.owner, rr.rdata, &key);
	if (err == MSP_OK)
		err = msp_sig0_check_time(&claim, &msp_sig0_policy_default, msp_wall_now());
	if (err == MSP_OK)
		err = msp_sig0_verify(&a->msg, &claim, key, msp_span(a->query, a->query_len), &msp_sig0_policy_default);
	verdict = err == MSP_OK ? "verified" : msp_err_text(err);
	msp_key_free(&key);
	msp_buf_fini(&rdata);
	return msp_json_set_str(o, "signature", verdict);
}

static enum msp_err hsync_row(const struct ask *a, const struct msp_rr *rr, json_t **out)
{
	struct msp_hsync h;
	struct msp_buf text;
	json_t *row = json_object();
	enum msp_err err = row != NULL ? MSP_OK : MSP_ENOMEM, bad;

	msp_buf_init(&text, 4096);
	bad = msp_hsync_parse(rr->rdata, a->o->numbers.hsync_compat_zero, &h);
	if (bad == MSP_OK) {
		msp_hsync_print(&text, &h);
		if (!msp_hsync_valid(&h))
			bad = MSP_EVALUE;
		if (err == MSP_OK)
			err = msp_json_set_str(row, "identity", MSP_NAME(&h.identity));
	}
	if (err == MSP_OK && text.len > 0)
		err = msp_json_set_str(row, "hsync", msp_buf_text(&text));
	if (err == MSP_OK)
		err = msp_json_set_int(row, "ttl", rr->ttl);
	if (err == MSP_OK)
		err = msp_json_set_str(row, "valid", bad == MSP_OK ? "yes" : msp_err_text(bad));
	msp_buf_fini(&text);
	if (err != MSP_OK)
		json_decref(row);
	else
		*out = row;
	return err;
}

static enum msp_err text_row(const struct ask *a, const struct msp_rr *rr, json_t **out)
{
	struct msp_buf text;
	json_t *row = json_object();
	enum msp_err err = row != NULL ? MSP_OK : MSP_ENOMEM;

	msp_buf_init(&text, 1 << 18);
	msp_rdata_print(&text, &a->o->numbers, rr->type, rr->rdata);
	if (err == MSP_OK)
		err = msp_json_set_str(row, "owner", MSP_NAME(&rr->owner));
	if (err == MSP_OK)
		err = msp_json_set_str(row, "type", MSP_TYPE(rr->type));
	if (err == MSP_OK)
		err = msp_json_set_int(row, "ttl", rr->ttl);
	if (err == MSP_OK)
		err = msp_json_set_str(row, "rdata", msp_buf_text(&text));
	msp_buf_fini(&text);
	if (err != MSP_OK)
		json_decref(row);
	else
		*out = row;
	return err;
}

typedef enum msp_err row_fn(const struct ask *a, const struct msp_rr *rr, json_t **out);

/* Answer records of one type, each turned into a row. */
static enum msp_err add_records(struct ask *a, json_t *o, uint16_t type, row_fn *row_of, size_t *found)
{
	struct msp_msg_it it;
	struct msp_rr rr;
	json_t *rows = json_array();
	enum msp_err err = rows != NULL ? MSP_OK : MSP_ENOMEM;

	*found = 0;
	msp_msg_it_init(&it, &a->msg, MSP_SEC_ANSWER, &a->scratch);
	while (err == MSP_OK && msp_msg_next(&it, &rr)) {
		json_t *row = NULL;

		if (rr.type != type)
			continue;
		err = row_of(a, &rr, &row);
		if (err == MSP_OK)
			err = msp_json_append(rows, row);
		(*found)++;
	}
	if (err == MSP_OK)
		err = msp_json_set(o, "records", json_incref(rows));
	json_decref(rows);
	return err;
}

/* The common end of the query commands: print what there is, or the failure. */
static enum ctl_exit conclude(struct ask *a, const char *what, enum msp_err err, json_t *o, bool is_good)
{
	enum ctl_exit e;

	if (err != MSP_OK || o == NULL) {
		json_decref(o);
		e = ctl_fail(what, err != MSP_OK ? err : MSP_ENOMEM, &a->why);
	} else {
		e = ctl_out(a->o, o);
		if (e == CTL_OK && !is_good)
			e = CTL_REFUSED;
	}
	msp_free(a);
	return e;
}

static struct ask *ask_new(const struct ctl_opts *o, const char *name_text, struct msp_name *name)
{
	struct ask *a = msp_alloc(1, sizeof(*a));

	if (a == NULL) {
		ctl_fail(name_text, MSP_ENOMEM, NULL);
		return NULL;
	}
	a->o = o;
	if (msp_name_from_text(name_text, name) != MSP_OK) {
		ctl_fail(name_text, MSP_ENAME, NULL);
		msp_free(a);
		return NULL;
	}
	return a;
}

static enum msp_err plain_lookup(struct ask *a, const struct msp_name *name, uint16_t type)
{
	struct msp_msgw w;
	struct msp_optw opt;
	enum msp_err err;

	start_query(a, &w, name, type, MSP_OPCODE_QUERY, MSP_FLAG_RD | MSP_FLAG_AD);
	opt = msp_optw_open(&w, MSP_EDNS_PAYLOAD, 0, true);
	msp_optw_close(&opt);
	err = finish_query(a, &w, NULL);
	return err == MSP_OK ? exchange(a) : err;
}

enum ctl_exit ctl_query_hsync(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv)
{
	struct msp_name zone;
	struct ask *a = ask_new(o, argv[0], &zone);
	json_t *out = json_object();
	size_t found = 0;
	enum msp_err err;

	(void)argc;
	if (a == NULL) {
		json_decref(out);
		return CTL_USAGE;
	}
	err = plain_lookup(a, &zone, o->numbers.type_hsync);
	if (err == MSP_OK)
		err = msp_json_set_str(out, "zone", MSP_NAME(&zone));
	if (err == MSP_OK)
		err = msp_json_set_bool(out, "dnssec", (a->msg.flags & MSP_FLAG_AD) != 0);
	if (err == MSP_OK)
		err = add_outcome(a, out);
	if (err == MSP_OK)
		err = add_records(a, out, o->numbers.type_hsync, hsync_row, &found);
	return conclude(a, cmd->words, err, out, found > 0);
}

/* PROTOCOL G.2: `_dsync` after the first label; before the parent's labels; at the parent. Each form once. */
static enum msp_err dsync_names(const struct msp_name *child, unsigned parent_labels, unsigned form, struct msp_name *out)
{
	unsigned labels = msp_name_labels(child), keep = form == 0 ? 1 : labels - parent_labels;
	struct msp_name tail;
	enum msp_err err = msp_name_parent(child, keep, &tail);

	if (err == MSP_OK)
		err = msp_name_prepend("_dsync", &tail, out);
	for (unsigned i = keep; form < 2 && err == MSP_OK && i > 0; i--) {
		struct msp_name label = { 0 };
		size_t at = 0;

		for (unsigned skip = 1; skip < i; skip++)
			at += (size_t)child->oct[at] + 1;
		label.len = (uint8_t)(child->oct[at] + 2);
		memcpy(label.oct, child->oct + at, (size_t)child->oct[at] + 1);
		err = msp_name_concat(&label, out, out);
	}
	return err;
}

enum ctl_exit ctl_query_dsync(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv)
{
	struct msp_name child, name;
	struct ask *a = ask_new(o, argv[0], &child);
	unsigned parent_labels, labels;
	json_t *out = json_object();
	size_t found = 0;
	enum msp_err err = MSP_OK;

	(void)argc;
	if (a == NULL || (labels = msp_name_labels(&child)) == 0) {
		json_decref(out);
		msp_free(a);
		return CTL_USAGE;
	}
	parent_labels = labels - 1;
	for (unsigned form = 0; form < 3 && found == 0 && err == MSP_OK; form++) {
		struct msp_msg_it it;
		struct msp_rr rr;

		if (form == 1 && labels - parent_labels == 1)
			continue; /* the same name as the first form */
		err = dsync_names(&child, parent_labels, form, &name);
		if (err == MSP_OK)
			err = plain_lookup(a, &name, MSP_TYPE_DSYNC);
		if (err == MSP_OK && a->msg.rcode != MSP_RCODE_NOERROR && a->msg.rcode != MSP_RCODE_NXDOMAIN)
			err = msp_fail(&a->why, MSP_ERCODE, "%s: %s is no denial, so the search ends", MSP_NAME(&name),
				       msp_rcode_name(a->msg.rcode));
		if (err == MSP_OK)
			err = msp_json_set_str(out, "name", MSP_NAME(&name));
		if (err == MSP_OK)
			err = add_records(a, out, MSP_TYPE_DSYNC, text_row, &found);
		if (err != MSP_OK || found > 0)
			break;
		msp_msg_it_init(&it, &a->msg, MSP_SEC_AUTHORITY, &a->scratch);
		while (msp_msg_next(&it, &rr))
			if (rr.type == MSP_TYPE_SOA && form == 0 && msp_name_is_under(&child, &rr.owner) &&
			    msp_name_labels(&rr.owner) < labels)
				parent_labels = msp_name_labels(&rr.owner);
	}
	if (err == MSP_OK)
		err = msp_json_set_bool(out, "dnssec", (a->msg.flags & MSP_FLAG_AD) != 0);
	if (err == MSP_OK)
		err = add_outcome(a, out);
	return conclude(a, cmd->words, err, out, found > 0);
}

static enum ctl_exit need_key(const struct ctl_opts *o, const struct ctl_command *cmd, struct msp_key **key)
{
	struct msp_why why = { "" };
	enum msp_err err;

	if (o->key_file == NULL) {
		fprintf(stderr, "msctl: %s: --key FILE is needed: the message is signed with it\n", cmd->words);
		return CTL_USAGE;
	}
	err = msp_key_load(o->key_file, key, &why);
	return err == MSP_OK ? CTL_OK : ctl_fail(o->key_file, err, &why);
}

enum ctl_exit ctl_query_keystate(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv)
{
	struct msp_keystate ask_ks = { .state = MSP_KEYSTATE_INQUIRE }, ks;
	struct msp_key *key = NULL;
	struct msp_name child;
	struct msp_option found;
	struct msp_optw opt;
	struct msp_msgw w;
	struct ask *a;
	json_t *out;
	bool has = false;
	enum msp_err err;
	enum ctl_exit e = need_key(o, cmd, &key);

	(void)argc;
	if (e != CTL_OK)
		return e;
	a = ask_new(o, argv[0], &child);
	if (a == NULL) {
		msp_key_free(&key);
		return CTL_USAGE;
	}
	out = json_object();
	ask_ks.key_id = msp_key_id(key);
	start_query(a, &w, &child, MSP_TYPE_KEY, MSP_OPCODE_QUERY, 0);
	opt = msp_optw_open(&w, MSP_EDNS_PAYLOAD, 0, false);
	msp_optw_keystate(&opt, &o->numbers, &ask_ks);
	msp_optw_close(&opt);
	err = finish_query(a, &w, key);
	if (err == MSP_OK)
		err = exchange(a);
	if (err == MSP_OK)
		err = add_outcome(a, out);
	if (err == MSP_OK)
		err = add_signature(a, out);
	if (err == MSP_OK && a->msg.edns.present && msp_edns_find(&a->msg.edns, o->numbers.opt_keystate, &found)) {
		enum msp_err bad = msp_keystate_parse(found.data, &ks);

		if (bad == MSP_OK || bad == MSP_EVALUE) {
			has = bad == MSP_OK;
			err = msp_json_set_str(out, "state", msp_keystate_name(ks.state));
			if (err == MSP_OK)
				err = msp_json_set_int(out, "key_id", ks.key_id);
			if (err == MSP_OK)
				err = msp_json_set_int(out, "key_data", ks.data);
		}
	}
	msp_key_free(&key);
	return conclude(a, cmd->words, err, out, has);
}

static enum msp_err add_msopt(const struct ask *a, json_t *out, bool *has)
{
	struct msp_option found;
	struct msp_msopt ms;
	struct msp_buf hex;
	enum msp_err err;

	if (!a->msg.edns.present || !msp_edns_find(&a->msg.edns, a->o->numbers.opt_multisigner, &found))
		return MSP_OK;
	if (msp_msopt_parse(found.data, &ms) != MSP_OK)
		return msp_json_set_str(out, "option", "malformed");
	*has = true;
	msp_buf_init(&hex, 128);
	err = msp_json_set_str(out, "operation", msp_op_name(&a->o->numbers, ms.operation));
	if (err == MSP_OK)
		err = msp_json_set_str(out, "transports", ms.transports == 3 ? "DNS,API" : ms.transports == 2 ? "API" : "DNS");
	if (err == MSP_OK)
		err = msp_json_set_str(out, "synchronization",
				       ms.syncs == 3 ? "leader-follower,peer-to-peer" : ms.syncs == 2 ? "peer-to-peer" : "leader-follower");
	if (err == MSP_OK && ms.has[MSP_TLV_IDENTITY])
		err = msp_json_set_str(out, "identity", MSP_NAME(&ms.identity));
	if (err == MSP_OK && ms.has[MSP_TLV_INTERVAL])
		err = msp_json_set_int(out, "interval", ms.interval_s);
	if (err == MSP_OK && ms.has[MSP_TLV_GROUP]) {
		msp_hex_write(&hex, msp_span(ms.group, sizeof(ms.group)));
		err = msp_json_set_str(out, "group", msp_buf_text(&hex));
	}
	if (err == MSP_OK && ms.has[MSP_TLV_DATA_VERSION])
		err = msp_json_set_int(out, "data_version", (int64_t)ms.data_version);
	if (err == MSP_OK && ms.has[MSP_TLV_CAPS])
		err = msp_json_set_int(out, "capabilities", ms.caps);
	if (err == MSP_OK && ms.has[MSP_TLV_TIMING])
		err = msp_json_set_int(out, "dnskey_ttl", ms.timing.dnskey_ttl);
	msp_buf_fini(&hex);
	return err;
}

/* A HELLO as an agent would send it (PROTOCOL D.4), for finding out what the other side says to it. */
enum ctl_exit ctl_query_hello(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv)
{
	struct msp_msopt ms = { .operation = MSP_OP_HELLO, .transports = MSP_TRANSPORT_DNS, .syncs = MSP_SYNC_LEADER | MSP_SYNC_PEER };
	struct msp_key *key = NULL;
	struct msp_name zone;
	struct msp_optw opt;
	struct msp_msgw w;
	struct ask *a;
	json_t *out;
	bool has = false;
	enum msp_err err = MSP_OK;
	enum ctl_exit e = need_key(o, cmd, &key);

	(void)argc;
	if (e != CTL_OK)
		return e;
	a = ask_new(o, argv[0], &zone);
	if (a == NULL) {
		msp_key_free(&key);
		return CTL_USAGE;
	}
	out = json_object();
	if (o->identity != NULL) {
		err = msp_name_from_text(o->identity, &ms.identity);
		ms.has[MSP_TLV_IDENTITY] = err == MSP_OK;
	}
	ms.has[MSP_TLV_INSTANCE] = true;
	ms.epoch = (uint64_t)msp_wall_now().s;
	ms.sequence = 1;
	start_query(a, &w, &zone, MSP_TYPE_SOA, MSP_OPCODE_NOTIFY, MSP_FLAG_AA);
	opt = msp_optw_open(&w, MSP_EDNS_PAYLOAD, 0, false);
	msp_optw_msopt(&opt, &o->numbers, &ms);
	msp_optw_close(&opt);
	if (err == MSP_OK)
		err = finish_query(a, &w, key);
	if (err == MSP_OK)
		err = exchange(a);
	if (err == MSP_OK)
		err = add_outcome(a, out);
	if (err == MSP_OK)
		err = add_signature(a, out);
	if (err == MSP_OK)
		err = add_msopt(a, out, &has);
	msp_key_free(&key);
	return conclude(a, cmd->words, err, out, err == MSP_OK && has && a->msg.rcode == MSP_RCODE_NOERROR);
}
