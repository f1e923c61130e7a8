/* SPDX-License-Identifier: BSD-2-Clause */
#include "probe_read.h"

#include <msproto/msg/edns.h>
#include <msproto/msg/msg.h>

#define RECORDS_MAX 256 /* of one RRset, signatures apart; nobody honest comes near */

static enum msp_err add(struct msp_rrset **set, const struct msp_rr *rr, const struct msp_name *owner)
{
	enum msp_err err = MSP_OK;

	if (*set == NULL)
		err = msp_rrset_new(owner, rr->type, rr->ttl, set);
	else if ((*set)->count >= RECORDS_MAX)
		err = MSP_ELIMIT;
	if (err == MSP_OK && rr->ttl < (*set)->ttl)
		(*set)->ttl = rr->ttl;
	return err == MSP_OK ? msp_rrset_add(*set, rr->rdata) : err;
}

static enum msp_err take_record(const struct msp_rr *rr, const struct msp_name *name, uint16_t type,
				struct prt_answer *out)
{
	/* Whoever answers with other names, classes or types (a CNAME is one) has not said what there is here. */
	if (rr->cls != MSP_CLASS_IN || !msp_name_equal(&rr->owner, name))
		return MSP_EFORMAT;
	if (rr->type == type)
		return add(&out->set, rr, name);
	if (rr->type != MSP_TYPE_RRSIG)
		return MSP_EFORMAT;
	if (((unsigned)rr->rdata.ptr[0] << 8 | rr->rdata.ptr[1]) != type) /* RDATA was checked: it is longer */
		return MSP_OK;
	return add(&out->sigs, rr, name);
}

/* RFC 9567 5 and 6.2: one option at most, in it a whole name; at the root there is nobody to report to. */
static void read_agent(const struct msp_msg *m, struct msp_name *agent)
{
	struct msp_option o;
	struct msp_name name;

	if (msp_name_is_set(agent) || !m->edns.present || msp_edns_count(&m->edns, MSP_OPT_REPORT_CHANNEL) != 1)
		return;
	if (msp_edns_find(&m->edns, MSP_OPT_REPORT_CHANNEL, &o) && msp_name_from_wire(o.data, &name) == MSP_OK &&
	    !msp_name_is_root(&name))
		*agent = name;
}

static enum msp_err read_answer(struct msp_span raw, const struct msp_name *name, uint16_t type,
				struct msp_rr_scratch *scratch, struct prt_answer *out, struct msp_name *agent)
{
	struct msp_msg m;
	enum msp_err err = msp_msg_frame(raw, scratch, &m, NULL);
	struct msp_msg_it it;
	struct msp_rr rr;

	if (err != MSP_OK)
		return MSP_EFORMAT;
	read_agent(&m, agent);
	out->is_authoritative = (m.flags & MSP_FLAG_AA) != 0;
	if ((m.flags & MSP_FLAG_TC) != 0)
		return MSP_ETRUNC;
	if (m.rcode != MSP_RCODE_NOERROR && m.rcode != MSP_RCODE_NXDOMAIN)
		return MSP_ERCODE;
	msp_msg_it_init(&it, &m, MSP_SEC_ANSWER, scratch);
	while (err == MSP_OK && msp_msg_next(&it, &rr))
		err = take_record(&rr, name, type, out);
	if (err == MSP_OK && it.rd.err != MSP_OK)
		err = MSP_EFORMAT;
	/* Only who is authoritative can say that there is nothing: others refer to somebody else. */
	if (err == MSP_OK && out->set == NULL && !out->is_authoritative)
		err = MSP_ENOTAUTH;
	return err;
}

void prt_answer_read(struct msp_span raw, const struct msp_name *name, uint16_t type, struct msp_rr_scratch *scratch,
		     struct prt_answer *out, struct msp_name *agent)
{
	out->is_asked = true;
	out->err = read_answer(raw, name, type, scratch, out, agent);
	if (out->err == MSP_OK && out->set != NULL)
		return;
	msp_rrset_free(&out->set);
	msp_rrset_free(&out->sigs);
}
