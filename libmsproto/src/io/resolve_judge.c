/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/resolve_judge.h"

#include <msproto/msg/msg.h>

#include <stdio.h>

#define CNAME_HOPS_MAX 16

static void say(struct resolve_reply *r, enum msp_lookup verdict, const char *why)
{
	r->verdict = verdict;
	(void)snprintf(r->why, sizeof(r->why), "%s", why);
}

void resolve_judge(struct resolve_reply *r, enum msp_lookup verdict, const char *why)
{
	say(r, verdict, why);
	msp_rrset_free(&r->set);
	r->is_negative = false;
	r->soa_owner.len = 0;
}

/* The records at `at`, or where its CNAME points. */
static enum msp_err look_at(const struct msp_msg *m, const struct msp_name *at, uint16_t type,
			    struct msp_rr_scratch *scratch, struct msp_rrset **set, struct msp_name *target)
{
	enum msp_err err = MSP_OK;
	struct msp_msg_it it;
	struct msp_rr rr;

	msp_msg_it_init(&it, m, MSP_SEC_ANSWER, scratch);
	while (err == MSP_OK && msp_msg_next(&it, &rr)) {
		if (rr.cls != MSP_CLASS_IN || !msp_name_equal(&rr.owner, at))
			continue;
		if (rr.type == type) {
			if (*set == NULL)
				err = msp_rrset_new(&rr.owner, rr.type, rr.ttl, set);
			if (err == MSP_OK && rr.ttl < (*set)->ttl)
				(*set)->ttl = rr.ttl;
			if (err == MSP_OK)
				err = msp_rrset_add(*set, rr.rdata);
		} else if (rr.type == MSP_TYPE_CNAME) {
			err = msp_name_from_wire(rr.rdata, target);
		}
	}
	return err;
}

/* *set stays NULL when there are none; *end is the end of the CNAME chain. */
static enum msp_err collect(const struct msp_msg *m, const struct resolve_ask *ask, struct msp_rr_scratch *scratch,
			    struct msp_rrset **set, struct msp_name *end)
{
	*end = ask->name;
	for (int hop = 0; hop <= CNAME_HOPS_MAX; hop++) {
		struct msp_name target = { .len = 0 };
		enum msp_err err = look_at(m, end, ask->type, scratch, set, &target);

		if (err != MSP_OK || *set != NULL || !msp_name_is_set(&target))
			return err;
		*end = target;
	}
	return MSP_ELIMIT;
}

/* RFC 2308 2: of the zone that says no. One that does not hold the name says nothing about it. */
static void find_soa(const struct msp_msg *m, const struct msp_name *end, struct msp_rr_scratch *scratch,
		     struct msp_name *owner)
{
	struct msp_msg_it it;
	struct msp_rr rr;

	msp_msg_it_init(&it, m, MSP_SEC_AUTHORITY, scratch);
	while (msp_msg_next(&it, &rr)) {
		if (rr.type == MSP_TYPE_SOA && rr.cls == MSP_CLASS_IN && msp_name_is_under(end, &rr.owner)) {
			*owner = rr.owner;
			return;
		}
	}
}

static const char *denial(const struct msp_msg *m)
{
	return m->rcode == MSP_RCODE_NXDOMAIN ? "name does not exist" : "no records of this type";
}

void resolve_judge_answer(struct resolve_reply *r, const struct resolve_ask *ask, bool is_secure, struct msp_span raw,
			  struct msp_rr_scratch *scratch)
{
	struct msp_why why = { "" };
	struct msp_name end;
	struct msp_msg m;
	enum msp_err err;

	if (!is_secure && !r->is_open) {
		resolve_judge(r, MSP_LOOKUP_INSECURE, "insecure: the zone is not signed, or no DS leads to it");
		return;
	}
	err = msp_msg_parse(raw, scratch, &m, &why);
	if (err == MSP_OK)
		err = collect(&m, ask, scratch, &r->set, &end);
	if (err != MSP_OK) {
		resolve_judge(r, MSP_LOOKUP_FAILED, why.text[0] != '\0' ? why.text : msp_err_text(err));
		return;
	}
	if (is_secure)
		say(r, r->set == NULL && !r->is_open ? MSP_LOOKUP_NODATA : MSP_LOOKUP_SECURE, "secure");
	else
		say(r, MSP_LOOKUP_INSECURE, "insecure");
	if (r->set != NULL)
		return;
	say(r, r->verdict, denial(&m));
	r->is_negative = r->is_open;
	if (r->is_open)
		find_soa(&m, &end, scratch, &r->soa_owner);
}
