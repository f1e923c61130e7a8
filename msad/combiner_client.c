/* SPDX-License-Identifier: BSD-2-Clause */
#include "combiner_client.h"

#include <msproto/base/mem.h>
#include <msproto/io/xchg.h>
#include <msproto/msg/edns.h>
#include <msproto/msg/update.h>

#include <stdio.h>

#define ANSWER_TIMEOUT_MS 10000
#define READ_TYPES        3

struct msa_combiner {
	struct msp_loop *loop;
	struct msp_name zone;
	struct msp_addr addr;
	const struct msp_tsig_key *tsig;
	struct msp_rand *rand;
	msa_combined_fn *done;
	void *arg;
	struct msp_xchg *xchg; /* under way */
	struct msp_tsig_ctx ctx;
	uint64_t id;
	uint8_t message[MSP_MSG_MAX];
	struct msp_rr_scratch scratch;
	/* reading back */
	msa_read_fn *read_done;
	struct msp_rrset *read[READ_TYPES]; /* owned */
	size_t read_at, read_count;
};

static const uint16_t read_types[READ_TYPES] = { MSP_TYPE_DNSKEY, MSP_TYPE_CDS, MSP_TYPE_CDNSKEY };

static enum msp_err judge(struct msa_combiner *c, struct msp_span answer, struct msp_msg *out, struct msp_why *why)
{
	enum msp_err err = msp_msg_parse(answer, &c->scratch, out, why);
	struct msp_option opt;
	struct msp_ede ede = { 0 };

	if (err == MSP_OK)
		err = msp_tsig_verify_response(&c->ctx, out, true, msp_wall_now(), why);
	if (err != MSP_OK)
		return err;
	if (out->rcode == MSP_RCODE_NOERROR)
		return MSP_OK;
	if (out->edns.present && msp_edns_find(&out->edns, MSP_OPT_EDE, &opt) &&
	    msp_ede_parse(opt.data, &ede) != MSP_OK)
		ede = (struct msp_ede){ 0 };
	return msp_fail(why, MSP_ERCODE, "%s answered %s (EDE %u %.*s)", MSP_ADDR(&c->addr), msp_rcode_name(out->rcode),
			ede.code, (int)(ede.text.len < 120 ? ede.text.len : 120),
			ede.text.len > 0 ? (const char *)ede.text.ptr : "");
}

/* The exchange is over: what is it worth? */
static enum msp_err conclude(struct msa_combiner *c, enum msp_err err, struct msp_span answer, struct msp_msg *out,
			     struct msp_why *why)
{
	c->xchg = NULL;
	if (err == MSP_OK)
		err = judge(c, answer, out, why);
	else
		(void)msp_fail(why, err, "no answer from %s: %s", MSP_ADDR(&c->addr), msp_err_text(err));
	msp_tsig_ctx_fini(&c->ctx);
	return err;
}

static void answered(void *arg, enum msp_err err, struct msp_span answer)
{
	struct msa_combiner *c = arg;
	struct msp_why why = { "" };
	struct msp_msg m;

	err = conclude(c, err, answer, &m, &why);
	c->done(c->arg, &c->zone, c->id, err, why.text);
}

static enum msp_err build(struct msa_combiner *c, const struct msa_combine_set *sets, size_t count, size_t *len)
{
	struct msp_msgw w;
	struct msp_optw opt;
	struct msp_span s;
	enum msp_err err;

	msp_updw_init(&w, c->message, sizeof(c->message), msp_rand_u16(c->rand), &c->zone);
	for (size_t i = 0; i < count; i++) {
		msp_updw_del_rrset(&w, &c->zone, sets[i].type);
		for (size_t j = 0; sets[i].set != NULL && j < sets[i].set->count; j++)
			msp_updw_add(&w, &c->zone, sets[i].type, sets[i].set->ttl, sets[i].set->rdata[j]);
	}
	opt = msp_optw_open(&w, MSP_EDNS_PAYLOAD, 0, false); /* an OPT, so that a refusal can carry its reason */
	msp_optw_close(&opt);
	err = msp_msgw_finish(&w, &s);
	*len = s.len;
	if (err == MSP_OK)
		err = msp_tsig_sign_request(c->tsig, msp_wall_now(), c->message, len, sizeof(c->message), &c->ctx);
	return err;
}

enum msp_err msa_combiner_send(struct msa_combiner *c, uint64_t id, const struct msa_combine_set *sets, size_t count)
{
	struct msp_xchg_params p = { .server = c->addr,
				     .transport = MSP_TCP_ONLY,
				     .timeout_ms = { ANSWER_TIMEOUT_MS } };
	enum msp_err err;
	size_t len;

	if (c->xchg != NULL)
		return MSP_EBUSY;
	err = build(c, sets, count, &len);
	p.message = msp_span(c->message, len);
	if (err == MSP_OK)
		err = msp_xchg_start(c->loop, &p, answered, c, &c->xchg);
	if (err != MSP_OK)
		msp_tsig_ctx_fini(&c->ctx);
	c->id = id;
	return err;
}

/* ---- reading back */

static enum msp_err ask_next(struct msa_combiner *c);

static void read_end(struct msa_combiner *c, enum msp_err err, const char *why)
{
	bool is_good = err == MSP_OK;

	c->read_done(c->arg, &c->zone, err, is_good ? c->read[0] : NULL, is_good ? c->read[1] : NULL,
		     is_good ? c->read[2] : NULL, why);
	for (size_t i = 0; i < READ_TYPES; i++)
		msp_rrset_free(&c->read[i]);
}

static enum msp_err collect(struct msa_combiner *c, const struct msp_msg *m)
{
	struct msp_rrset **set = &c->read[c->read_at];
	struct msp_msg_it it;
	enum msp_err err = MSP_OK;
	struct msp_rr rr;

	msp_msg_it_init(&it, m, MSP_SEC_ANSWER, &c->scratch);
	while (err == MSP_OK && msp_msg_next(&it, &rr)) {
		if (rr.type != read_types[c->read_at] || rr.cls != MSP_CLASS_IN || !msp_name_equal(&rr.owner, &c->zone))
			continue;
		if (*set == NULL)
			err = msp_rrset_new(&c->zone, rr.type, rr.ttl, set);
		if (err == MSP_OK)
			err = msp_rrset_add(*set, rr.rdata);
	}
	return err;
}

static void read_answered(void *arg, enum msp_err err, struct msp_span answer)
{
	struct msa_combiner *c = arg;
	struct msp_why why = { "" };
	struct msp_msg m;

	err = conclude(c, err, answer, &m, &why);
	if (err == MSP_OK)
		err = collect(c, &m);
	if (err == MSP_OK && ++c->read_at < c->read_count)
		err = ask_next(c);
	if (err != MSP_OK || c->read_at == c->read_count)
		read_end(c, err, why.text);
}

static enum msp_err ask_next(struct msa_combiner *c)
{
	struct msp_xchg_params p = { .server = c->addr,
				     .transport = MSP_TCP_ONLY,
				     .timeout_ms = { ANSWER_TIMEOUT_MS } };
	struct msp_msgw w;
	struct msp_optw opt;
	struct msp_span s;
	enum msp_err err;
	size_t len;

	msp_msgw_init(&w, c->message, sizeof(c->message), msp_rand_u16(c->rand), MSP_OPCODE_QUERY, 0);
	msp_msgw_question(&w, &c->zone, read_types[c->read_at], MSP_CLASS_IN);
	opt = msp_optw_open(&w, MSP_EDNS_PAYLOAD, 0, false);
	msp_optw_close(&opt);
	err = msp_msgw_finish(&w, &s);
	len = s.len;
	if (err == MSP_OK)
		err = msp_tsig_sign_request(c->tsig, msp_wall_now(), c->message, &len, sizeof(c->message), &c->ctx);
	p.message = msp_span(c->message, len);
	if (err == MSP_OK)
		err = msp_xchg_start(c->loop, &p, read_answered, c, &c->xchg);
	if (err != MSP_OK)
		msp_tsig_ctx_fini(&c->ctx);
	return err;
}

enum msp_err msa_combiner_read(struct msa_combiner *c, bool with_cdnskey, msa_read_fn *done)
{
	if (c->xchg != NULL)
		return MSP_EBUSY;
	c->read_done = done;
	c->read_at = 0;
	c->read_count = with_cdnskey ? READ_TYPES : READ_TYPES - 1;
	return ask_next(c);
}

enum msp_err msa_combiner_new(struct msp_loop *loop, const struct msp_name *zone, const struct msp_addr *addr,
			      const struct msp_tsig_key *tsig, struct msp_rand *rand, msa_combined_fn *done, void *arg,
			      struct msa_combiner **out)
{
	struct msa_combiner *c = msp_alloc(1, sizeof(*c));

	if (c == NULL)
		return MSP_ENOMEM;
	c->loop = loop;
	c->zone = *zone;
	c->addr = *addr;
	c->tsig = tsig;
	c->rand = rand;
	c->done = done;
	c->arg = arg;
	*out = c;
	return MSP_OK;
}

void msa_combiner_free(struct msa_combiner **c)
{
	if (*c == NULL)
		return;
	msp_xchg_cancel(&(*c)->xchg);
	msp_tsig_ctx_fini(&(*c)->ctx);
	for (size_t i = 0; i < READ_TYPES; i++)
		msp_rrset_free(&(*c)->read[i]);
	msp_free(*c);
	*c = NULL;
}
