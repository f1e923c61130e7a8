/* SPDX-License-Identifier: BSD-2-Clause */
#include "ask.h"

#include <stdio.h>
#include <string.h>

#include <msproto/auth/sig0.h>
#include <msproto/base/clock.h>
#include <msproto/base/mem.h>
#include <msproto/base/rand.h>
#include <msproto/io/xchg.h>
#include <msproto/wire/text.h>

#define TEXT_MAX (4u * MSP_MSG_MAX)

enum msp_err ctl_set_text(json_t *o, const char *key, struct msp_span text)
{
	struct msp_buf b;
	enum msp_err err;

	msp_buf_init(&b, TEXT_MAX);
	ctl_escape(&b, text);
	err = b.err == MSP_OK ? msp_json_set_str(o, key, msp_buf_text(&b)) : b.err;
	msp_buf_fini(&b);
	return err;
}

/* ---- the command line ---- */

static enum ctl_exit find_server(const struct ctl_opts *o, const struct ctl_command *cmd, enum ctl_asked asked,
				 struct msp_addr *out)
{
	char line[256], addr[128] = "";
	FILE *f;

	if (o->server != NULL)
		return msp_addr_parse(o->server, o->port, out) == MSP_OK ? CTL_OK
									 : ctl_misuse(o->server, "not an IP address");
	if (asked == CTL_NAMED_SERVER)
		return ctl_misuse(cmd->words, "whom to ask? give @ADDRESS");
	f = fopen("/etc/resolv.conf", "r");
	while (f != NULL && addr[0] == '\0' && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, " nameserver %127s", addr) != 1)
			addr[0] = '\0';
	if (f != NULL)
		fclose(f);
	if (addr[0] == '\0' || msp_addr_parse(addr, o->port, out) != MSP_OK)
		return ctl_misuse(cmd->words, "no name server in /etc/resolv.conf: give @ADDRESS");
	return CTL_OK;
}

/* The first record of a .key file. */
static enum msp_err read_public(const char *path, struct msp_key **out, struct msp_why *why)
{
	char line[8192];
	bool has = false;
	struct msp_buf rdata;
	struct msp_rr rr;
	enum msp_err err;
	FILE *f = fopen(path, "r");

	if (f == NULL)
		return msp_fail(why, MSP_ENOTFOUND, "cannot open");
	while (!has && fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\r\n")] = '\0';
		has = line[0] != ';' && line[strspn(line, " \t")] != '\0';
	}
	fclose(f);
	if (!has)
		return msp_fail(why, MSP_EFORMAT, "no record in it");
	msp_buf_init(&rdata, MSP_RDATA_MAX);
	err = msp_rr_scan(msp_span_str(line), NULL, NULL, 0, &rdata, &rr, why);
	if (err == MSP_OK && rr.type != MSP_TYPE_KEY)
		err = msp_fail(why, MSP_EVALUE, "its record is %s, not KEY", MSP_TYPE(rr.type));
	if (err == MSP_OK)
		err = msp_key_from_rdata(&rr.owner, rr.rdata, out);
	msp_buf_fini(&rdata);
	return err;
}

enum ctl_exit ctl_ask_new(const struct ctl_opts *o, const struct ctl_command *cmd, const char *name,
			  enum ctl_asked asked, struct ctl_ask **out)
{
	struct ctl_ask *a = msp_alloc(1, sizeof(*a));
	enum ctl_exit e = CTL_OK;
	enum msp_err err;

	*out = NULL;
	if (a == NULL)
		return ctl_fail(cmd->words, MSP_ENOMEM, NULL);
	a->o = o;
	if (msp_name_from_text(name, &a->name) != MSP_OK)
		e = ctl_misuse(name, msp_err_text(MSP_ENAME));
	if (e == CTL_OK && asked == CTL_NAMED_SERVER && o->key_file == NULL)
		e = ctl_misuse(cmd->words, "--key FILE is needed: the message is signed with it");
	if (e == CTL_OK)
		e = find_server(o, cmd, asked, &a->server);
	if (e == CTL_OK && asked == CTL_NAMED_SERVER) {
		err = msp_key_load(o->key_file, &a->key, &a->why);
		e = err == MSP_OK ? CTL_OK : ctl_fail(o->key_file, err, &a->why);
	}
	if (e == CTL_OK && asked == CTL_NAMED_SERVER && o->peer_key != NULL) {
		err = read_public(o->peer_key, &a->peer, &a->why);
		e = err == MSP_OK ? CTL_OK : ctl_fail(o->peer_key, err, &a->why);
	}
	if (e != CTL_OK)
		ctl_ask_free(&a);
	*out = a;
	return e;
}

void ctl_ask_free(struct ctl_ask **a)
{
	if (*a == NULL)
		return;
	msp_key_free(&(*a)->key);
	msp_key_free(&(*a)->peer);
	msp_free(*a);
	*a = NULL;
}

/* ---- there and back ---- */

struct msp_optw ctl_ask_begin(struct ctl_ask *a, const struct msp_name *name, uint16_t type, enum msp_opcode opcode,
			      uint16_t flags)
{
	struct msp_rand rand;

	msp_rand_init_system(&rand);
	msp_msgw_init(&a->w, a->query, sizeof(a->query), msp_rand_u16(&rand), opcode, flags);
	msp_msgw_question(&a->w, name, type, MSP_CLASS_IN);
	return msp_optw_open(&a->w, MSP_EDNS_PAYLOAD, 0, a->key == NULL);
}

static void answered(void *arg, enum msp_err err, struct msp_span answer)
{
	struct ctl_ask *a = arg;

	a->err = err;
	if (err == MSP_OK) {
		memcpy(a->reply, answer.ptr, answer.len);
		a->reply_len = answer.len;
	}
	a->done = true;
}

static bool is_done(void *arg)
{
	return ((struct ctl_ask *)arg)->done;
}

static enum msp_err exchange(struct ctl_ask *a)
{
	struct msp_xchg_params p = { .server = a->server,
				     .transport = a->o->tcp ? MSP_TCP_ONLY : MSP_UDP_THEN_TCP,
				     .message = msp_span(a->query, a->query_len) };
	struct msp_loop *loop = NULL;
	struct msp_xchg *x = NULL;
	struct msp_log log;
	enum msp_err err;

	msp_log_init_null(&log);
	/* Sent twice. --timeout is for everything, a second try over TCP included: the loop's limit sees to that. */
	p.timeout_ms[0] = a->o->timeout_ms / 3 + 1;
	p.timeout_ms[1] = a->o->timeout_ms - a->o->timeout_ms / 3;
	a->done = false;
	err = msp_loop_new(&log, &loop);
	if (err != MSP_OK)
		return err;
	err = msp_xchg_start(loop, &p, answered, a, &x);
	if (err == MSP_OK) {
		if (!msp_loop_run_until(loop, is_done, a, (uint64_t)a->o->timeout_ms + 100)) {
			msp_xchg_cancel(&x);
			a->err = MSP_ETIMEOUT;
		}
		err = a->err;
	}
	msp_loop_free(&loop);
	if (err != MSP_OK)
		return msp_fail(&a->why, err, "%s: %s", MSP_ADDR(&a->server), msp_err_text(err));
	return msp_msg_parse(msp_span(a->reply, a->reply_len), &a->scratch, &a->msg, &a->why);
}

enum msp_err ctl_ask_send(struct ctl_ask *a, struct msp_optw *opt)
{
	struct msp_span s;
	enum msp_err err;

	msp_optw_close(opt);
	err = msp_msgw_finish(&a->w, &s);
	a->query_len = s.len;
	if (err == MSP_OK && a->key != NULL)
		err = msp_sig0_sign(a->key, msp_wall_now(), msp_span(NULL, 0), a->query, &a->query_len,
				    sizeof(a->query));
	return err == MSP_OK ? exchange(a) : err;
}

enum msp_err ctl_ask_lookup(struct ctl_ask *a, const struct msp_name *name, uint16_t type)
{
	struct msp_optw opt = ctl_ask_begin(a, name, type, MSP_OPCODE_QUERY, MSP_FLAG_RD | MSP_FLAG_AD);

	return ctl_ask_send(a, &opt);
}

/* ---- what the answer says ---- */

static enum msp_err ede_row(const struct ctl_ask *a, const struct msp_ede *ede, json_t *list)
{
	const char *name = msp_ede_name(&a->o->numbers, ede->code);
	json_t *row = json_object();
	enum msp_err err = msp_json_set_int(row, "code", ede->code);

	if (err == MSP_OK)
		err = msp_json_set_str(row, "name", name != NULL ? name : "");
	if (err == MSP_OK)
		err = ctl_set_text(row, "text", ede->text);
	if (err != MSP_OK) {
		json_decref(row);
		return err;
	}
	return msp_json_append(list, row);
}

enum msp_err ctl_ask_outcome(const struct ctl_ask *a, json_t *o)
{
	json_t *list = json_array();
	struct msp_option opt;
	struct msp_ede ede;
	enum msp_err err = list != NULL ? msp_json_set_str(o, "rcode", msp_rcode_name(a->msg.rcode)) : MSP_ENOMEM;
	size_t pos = 0;

	while (err == MSP_OK && a->msg.edns.present && msp_edns_next(&a->msg.edns, &pos, &opt))
		if (opt.code == MSP_OPT_EDE && msp_ede_parse(opt.data, &ede) == MSP_OK)
			err = ede_row(a, &ede, list);
	if (err == MSP_OK && json_array_size(list) > 0)
		return msp_json_set(o, "errors", list);
	json_decref(list);
	return err;
}

enum msp_err ctl_ask_signature(const struct ctl_ask *a, json_t *o, bool *believable)
{
	struct msp_sig0_claim claim;
	enum msp_err err = msp_sig0_claim(&a->msg, &claim), told;

	*believable = false;
	if (err != MSP_OK)
		return msp_json_set_str(o, "signature", err == MSP_EUNSIGNED ? "none" : msp_err_text(err));
	told = msp_json_set_str(o, "signer", MSP_NAME(&claim.sig.signer));
	if (told == MSP_OK)
		told = msp_json_set_int(o, "signer_key_tag", claim.sig.tag);
	if (told != MSP_OK)
		return told;
	if (a->peer == NULL) {
		*believable = true;
		return msp_json_set_str(o, "signature", "not checked: no --peer-key");
	}
	err = msp_sig0_check_time(&claim, &msp_sig0_policy_default, msp_wall_now());
	if (err == MSP_OK)
		err = msp_sig0_verify(&a->msg, &claim, a->peer, msp_span(a->query, a->query_len),
				      &msp_sig0_policy_default);
	*believable = err == MSP_OK;
	return msp_json_set_str(o, "signature", err == MSP_OK ? "verified" : msp_err_text(err));
}
