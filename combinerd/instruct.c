/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The UPDATE acts on the contribution store, not on the zone: RFC 2136's protection of the apex SOA and NS, the CNAME
 * rules and the serial bump have no meaning here (PROTOCOL E.2). A refusal is a return of MSP_EREFUSED with the verdict
 * filled in.
 */
#include "instruct.h"

#include <msproto/auth/key.h>
#include <msproto/msg/msopt.h>

#include <stdio.h>
#include <string.h>

#define ALG_RSASHA512     10          /* we do not verify with it, but signers use it */
#define TTL_MAX           0x7fffffffu /* RFC 2181 8 */
#define HOST_NAME_LEN_MIN 3
#define SET_MAX           256 /* records of one set at any point of an UPDATE: more would only cost time */

static const char contents_rule[] = "E.4 fence 5: contents of a contribution";

struct work {
	const struct cmb_instruct *in;
	struct cmb_verdict *v;
	struct cmb_contrib next; /* owned until it becomes the result */
};

static enum msp_err refuse(struct work *w, unsigned rcode, const char *rule)
{
	w->v->rcode = rcode;
	w->v->rule = rule;
	return MSP_EREFUSED;
}

static enum msp_err refuse_std(struct work *w, unsigned rcode, const char *rule, enum msp_ede_std ede)
{
	w->v->has_ede = true;
	w->v->ede = (uint16_t)ede;
	return refuse(w, rcode, rule);
}

static enum msp_err refuse_own(struct work *w, const char *rule, enum msp_ede_own ede)
{
	w->v->has_ede = true;
	w->v->ede = msp_ede_code(w->in->rules->numbers, ede);
	if (w->v->why.text[0] == '\0')
		(void)msp_fail(&w->v->why, MSP_EREFUSED, "%s", msp_ede_text(ede));
	return refuse(w, MSP_RCODE_REFUSED, rule);
}

/* --- step 3: every record, before anything is done ---------------------------------------------------------------- */

static bool in_scope(const struct work *w, enum cmb_slot slot)
{
	return (w->in->scope >> slot & 1) != 0;
}

static enum msp_err out_of_scope(struct work *w, enum cmb_slot slot)
{
	(void)msp_fail(&w->v->why, MSP_EREFUSED, "this key may not change %s", MSP_TYPE(cmb_slot_type(slot)));
	return refuse_own(w, "E.7: type not in the scope of the key", MSP_EDE_UPDATE_TYPE);
}

/* Type and name of a record of either section. *slot is CMB_SLOT__N when the type is ANY. */
static enum msp_err prescan_rr(struct work *w, const struct msp_rr *rr, enum cmb_slot *slot)
{
	const struct cmb_rules *r = w->in->rules;

	*slot = CMB_SLOT__N;
	if (!msp_name_is_under(&rr->owner, &r->zone)) {
		(void)msp_fail(&w->v->why, MSP_ENOTZONE, "%s is not under %s", MSP_NAME(&rr->owner),
			       MSP_NAME(&r->zone));
		return refuse(w, MSP_RCODE_NOTZONE, "E.2 step 3: name outside the zone");
	}
	if (!msp_name_equal(&rr->owner, &r->zone)) {
		(void)msp_fail(&w->v->why, MSP_EREFUSED, "%s is not the apex", MSP_NAME(&rr->owner));
		return refuse_own(w, "E.2 step 3: name not the apex", MSP_EDE_UPDATE_NAME);
	}
	if (rr->type == MSP_TYPE_ANY)
		return MSP_OK;
	if (!cmb_slot_of(rr->type, slot) || !cmb_rules_permit(r, *slot)) {
		(void)msp_fail(&w->v->why, MSP_EREFUSED, "type %s may not be contributed", MSP_TYPE(rr->type));
		return refuse_own(w, "E.2 step 3: type not permitted", MSP_EDE_UPDATE_TYPE);
	}
	return MSP_OK;
}

static enum msp_err prescan(struct work *w)
{
	struct msp_msg_it it;
	enum msp_prereq prereq;
	enum msp_upd upd;
	enum cmb_slot slot;
	enum msp_err err = MSP_OK;
	struct msp_rr rr;

	msp_msg_it_init(&it, w->in->msg, MSP_SEC_PREREQ, w->in->scratch);
	while (err == MSP_OK && msp_msg_next(&it, &rr)) {
		if (msp_prereq_classify(&rr, &prereq, &w->v->why) != MSP_OK)
			return refuse(w, MSP_RCODE_FORMERR, "RFC 2136 3.2: malformed prerequisite");
		err = prescan_rr(w, &rr, &slot);
	}
	msp_msg_it_init(&it, w->in->msg, MSP_SEC_UPDATE, w->in->scratch);
	while (err == MSP_OK && msp_msg_next(&it, &rr)) {
		if (msp_upd_classify(&rr, &upd, &w->v->why) != MSP_OK)
			return refuse(w, MSP_RCODE_FORMERR, "RFC 2136 3.4.1: malformed update record");
		if (upd == MSP_UPD_ADD && rr.ttl > TTL_MAX) {
			(void)msp_fail(&w->v->why, MSP_EFORMAT, "TTL %u", (unsigned)rr.ttl);
			return refuse(w, MSP_RCODE_FORMERR, "RFC 2181 8: TTL over 2^31-1");
		}
		err = prescan_rr(w, &rr, &slot);
		if (err == MSP_OK && slot != CMB_SLOT__N && !in_scope(w, slot))
			err = out_of_scope(w, slot);
	}
	return err;
}

/* --- the originator ------------------------------------------------------------------------------------------------
 */

static enum msp_err find_originator(struct work *w)
{
	const struct cmb_rules *r = w->in->rules;
	struct msp_option opt;
	struct msp_msopt ms;

	w->v->originator = cmb_originator_local();
	if (!w->in->msg->edns.present || !msp_edns_find(&w->in->msg->edns, r->numbers->opt_multisigner, &opt))
		return MSP_OK;
	if (msp_msopt_parse(opt.data, &ms) != MSP_OK) {
		(void)msp_fail(&w->v->why, MSP_EFORMAT, "Multi-Signer option malformed");
		return refuse(w, MSP_RCODE_FORMERR, "B.3: malformed option");
	}
	if (ms.has[MSP_TLV_IDENTITY])
		w->v->originator = ms.identity;
	return MSP_OK;
}

/* --- step 4: prerequisites, against what this originator has set ----------------------------------------------------
 */

static enum msp_err unmet(struct work *w, unsigned rcode, const struct msp_rr *rr)
{
	(void)msp_fail(&w->v->why, MSP_EREFUSED, "prerequisite about %s %s not met", MSP_NAME(&rr->owner),
		       MSP_TYPE(rr->type));
	return refuse(w, rcode, "E.2 step 4: prerequisite not met");
}

static enum msp_err check_prereq(struct work *w, const struct msp_rr *rr, struct msp_rrset **wanted)
{
	const struct cmb_contrib *held = w->in->held;
	const struct msp_name *who = &w->v->originator;
	enum cmb_slot slot = CMB_SLOT__N;
	enum msp_prereq kind;
	bool exists;

	if (msp_prereq_classify(rr, &kind, NULL) != MSP_OK)
		return MSP_EFORMAT; /* cannot be: prescan was here */
	exists = cmb_slot_of(rr->type, &slot) && cmb_contrib_get(held, who, slot) != NULL;
	switch (kind) {
	case MSP_PREREQ_NAME_IN_USE:
		return cmb_contrib_has(held, who) ? MSP_OK : unmet(w, MSP_RCODE_NXDOMAIN, rr);
	case MSP_PREREQ_NAME_UNUSED:
		return cmb_contrib_has(held, who) ? unmet(w, MSP_RCODE_YXDOMAIN, rr) : MSP_OK;
	case MSP_PREREQ_RRSET_EXISTS:
		return exists ? MSP_OK : unmet(w, MSP_RCODE_NXRRSET, rr);
	case MSP_PREREQ_RRSET_ABSENT:
		return exists ? unmet(w, MSP_RCODE_YXRRSET, rr) : MSP_OK;
	case MSP_PREREQ_RRSET_EQUALS:
		break;
	}
	if (wanted[slot] == NULL) {
		enum msp_err err = msp_rrset_new(&rr->owner, rr->type, 0, &wanted[slot]);

		if (err != MSP_OK)
			return err;
	}
	if (wanted[slot]->count == SET_MAX) /* no set is as large */
		return unmet(w, MSP_RCODE_NXRRSET, rr);
	return msp_rrset_add(wanted[slot], rr->rdata);
}

static enum msp_err check_prereqs(struct work *w)
{
	struct msp_rrset *wanted[CMB_SLOT__N] = { NULL };
	enum msp_err err = MSP_OK;
	struct msp_msg_it it;
	struct msp_rr rr;

	msp_msg_it_init(&it, w->in->msg, MSP_SEC_PREREQ, w->in->scratch);
	while (err == MSP_OK && msp_msg_next(&it, &rr))
		err = check_prereq(w, &rr, wanted);
	/* RFC 2136 3.2.3: the whole RRset is compared, TTLs are not */
	for (unsigned i = 0; err == MSP_OK && i < CMB_SLOT__N; i++) {
		if (wanted[i] == NULL)
			continue;
		if (!msp_rrset_equal(wanted[i], cmb_contrib_get(w->in->held, &w->v->originator, (enum cmb_slot)i))) {
			rr.owner = wanted[i]->owner;
			rr.type = wanted[i]->type;
			err = unmet(w, MSP_RCODE_NXRRSET, &rr);
		}
	}
	for (unsigned i = 0; i < CMB_SLOT__N; i++)
		msp_rrset_free(&wanted[i]);
	return err;
}

/* --- step 6, on a copy ----------------------------------------------------------------------------------------------
 */

static enum msp_err apply_rr(struct work *w, const struct msp_rr *rr)
{
	const struct msp_name *who = &w->v->originator;
	struct msp_rrset *set = NULL;
	enum cmb_slot slot = CMB_SLOT__N;
	enum msp_err err = MSP_OK;
	enum msp_upd kind;

	if (msp_upd_classify(rr, &kind, NULL) != MSP_OK)
		return MSP_EFORMAT; /* cannot be: prescan was here */
	if (kind == MSP_UPD_DEL_NAME) {
		for (unsigned i = 0; err == MSP_OK && i < CMB_CONTRIB_SLOTS; i++) {
			set = NULL;
			err = cmb_contrib_set(&w->next, who, (enum cmb_slot)i, &set);
		}
		return err;
	}
	if (!cmb_slot_of(rr->type, &slot))
		return MSP_EFORMAT;
	if (kind != MSP_UPD_DEL_RRSET && cmb_contrib_get(&w->next, who, slot) != NULL)
		err = msp_rrset_dup(cmb_contrib_get(&w->next, who, slot), &set);
	if (err == MSP_OK && kind == MSP_UPD_DEL_RR && set != NULL)
		(void)msp_rrset_del(set, rr->rdata);
	if (err == MSP_OK && kind == MSP_UPD_ADD) {
		if (set == NULL)
			err = msp_rrset_new(&w->in->rules->zone, rr->type, rr->ttl, &set);
		if (err == MSP_OK) {
			set->ttl = rr->ttl; /* RFC 2136 3.4.2.2: the latest TTL is the RRset's */
			err = msp_rrset_add(set, rr->rdata);
		}
		if (err == MSP_OK && set->count > SET_MAX) {
			(void)msp_fail(&w->v->why, MSP_ELIMIT, "over %d %s records", SET_MAX, MSP_TYPE(rr->type));
			err = refuse_std(w, MSP_RCODE_REFUSED, contents_rule, MSP_EDE_INVALID_DATA);
		}
	}
	if (err != MSP_OK) {
		msp_rrset_free(&set);
		return err;
	}
	return cmb_contrib_set(&w->next, who, slot, &set);
}

static enum msp_err apply(struct work *w)
{
	enum msp_err err = cmb_contrib_dup(w->in->held, &w->next);
	struct msp_msg_it it;
	struct msp_rr rr;

	msp_msg_it_init(&it, w->in->msg, MSP_SEC_UPDATE, w->in->scratch);
	while (err == MSP_OK && msp_msg_next(&it, &rr))
		err = apply_rr(w, &rr);
	if (err == MSP_ELIMIT) {
		(void)msp_fail(&w->v->why, err, "over %u originators", CMB_ORIGINATORS_MAX);
		return refuse_std(w, MSP_RCODE_REFUSED, "limit of originators", MSP_EDE_PROHIBITED);
	}
	return err;
}

/* --- step 5: fences, on what would come out --------------------------------------------------------------------------
 */

static enum msp_err check_key(struct msp_span rdata, bool is_zone_key, struct msp_why *why)
{
	struct msp_dnskey k;
	enum msp_err err = msp_dnskey_parse(rdata, &k);

	if (err != MSP_OK)
		return msp_fail(why, err, "malformed key record");
	if (k.protocol != 3)
		return msp_fail(why, MSP_EVALUE, "protocol %u, not 3", k.protocol);
	if (is_zone_key && (k.flags & MSP_DNSKEY_ZONE) == 0)
		return msp_fail(why, MSP_EVALUE, "flags %u: not a zone key", k.flags);
	if (is_zone_key && (k.flags & MSP_DNSKEY_REVOKE) != 0)
		return msp_fail(why, MSP_EVALUE, "flags %u: revoked", k.flags);
	if (!msp_alg_known(k.algorithm) && k.algorithm != ALG_RSASHA512)
		return msp_fail(why, MSP_EALG, "algorithm %u not known", k.algorithm);
	return k.key.len != 0 ? MSP_OK : msp_fail(why, MSP_EVALUE, "empty key");
}

static enum msp_err check_cds(struct msp_span rdata, struct msp_why *why)
{
	static const struct {
		uint8_t type;
		size_t len;
	} digests[] = { { 1, 20 }, { 2, 32 }, { 4, 48 } };
	struct msp_ds ds;
	enum msp_err err = msp_ds_parse(rdata, &ds);

	if (err != MSP_OK)
		return msp_fail(why, err, "malformed CDS");
	if (msp_cds_is_delete(rdata))
		return MSP_OK;
	if (ds.algorithm == 0 || ds.digest.len == 0)
		return msp_fail(why, MSP_EVALUE,
				"CDS with algorithm 0 that is not the delete record, or without digest");
	for (size_t i = 0; i < sizeof(digests) / sizeof(digests[0]); i++)
		if (digests[i].type == ds.digest_type && digests[i].len != ds.digest.len)
			return msp_fail(why, MSP_EVALUE, "CDS digest type %u with %zu octets", ds.digest_type,
					ds.digest.len);
	return MSP_OK;
}

static enum msp_err check_csync(struct msp_span rdata, struct msp_why *why)
{
	struct msp_csync c;
	enum msp_err err = msp_csync_parse(rdata, &c);

	if (err != MSP_OK)
		return msp_fail(why, err, "malformed CSYNC");
	if ((c.flags & ~(unsigned)(MSP_CSYNC_IMMEDIATE | MSP_CSYNC_SOAMINIMUM)) != 0)
		return msp_fail(why, MSP_EVALUE, "CSYNC with unknown flags %u", c.flags);
	return MSP_OK;
}

static bool is_host_octet(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

static enum msp_err check_host(struct msp_span rdata, struct msp_why *why)
{
	struct msp_name n;
	enum msp_err err = msp_rdata_name_parse(rdata, &n);

	if (err != MSP_OK)
		return msp_fail(why, err, "malformed name");
	if (msp_name_is_root(&n) || n.len < HOST_NAME_LEN_MIN)
		return msp_fail(why, MSP_EVALUE, "%s is not a host name", MSP_NAME(&n));
	for (size_t at = 0; n.oct[at] != 0; at += 1u + n.oct[at]) {
		size_t len = n.oct[at];

		if (n.oct[at + 1] == '-' || n.oct[at + len] == '-')
			return msp_fail(why, MSP_EVALUE, "%s is not a host name", MSP_NAME(&n));
		for (size_t i = 1; i <= len; i++)
			if (!is_host_octet(n.oct[at + i]))
				return msp_fail(why, MSP_EVALUE, "%s is not a host name", MSP_NAME(&n));
	}
	return MSP_OK;
}

enum msp_err cmb_contribution_check(enum cmb_slot slot, struct msp_span rdata, struct msp_why *why)
{
	switch (slot) {
	case CMB_NS:
		return check_host(rdata, why);
	case CMB_DNSKEY:
		return check_key(rdata, true, why);
	case CMB_CDNSKEY:
		return msp_cdnskey_is_delete(rdata) ? MSP_OK : check_key(rdata, true, why);
	case CMB_KEY:
		return check_key(rdata, false, why);
	case CMB_CDS:
		return check_cds(rdata, why);
	case CMB_CSYNC:
		return check_csync(rdata, why);
	default:
		return msp_fail(why, MSP_EVALUE, "type may not be contributed");
	}
}

static size_t count_max(enum cmb_slot slot)
{
	if (slot == CMB_CSYNC)
		return 1;
	if (slot == CMB_NS)
		return CMB_NS_MAX;
	return slot == CMB_DNSKEY ? CMB_DNSKEY_MAX : CMB_OTHER_MAX;
}

/* The records themselves, and what they make together with those of other originators. */
static enum msp_err check_set(struct work *w, enum cmb_slot slot, const struct msp_rrset *before,
			      const struct msp_rrset *after)
{
	struct msp_rrset *sum = NULL;
	enum msp_err err;
	bool deletes = false, is_good = false;

	for (size_t i = 0; !cmb_rrset_empty(after) && i < after->count; i++) {
		if (before != NULL && msp_rrset_has(before, after->rdata[i]))
			continue;
		if (cmb_contribution_check(slot, after->rdata[i], &w->v->why) != MSP_OK)
			return refuse_std(w, MSP_RCODE_REFUSED, contents_rule, MSP_EDE_INVALID_DATA);
	}
	err = cmb_contrib_union(&w->next, slot, &sum);
	if (err != MSP_OK || sum == NULL)
		return err;
	for (size_t i = 0; i < sum->count; i++)
		deletes = deletes || (slot == CMB_CDS && msp_cds_is_delete(sum->rdata[i])) ||
			  (slot == CMB_CDNSKEY && msp_cdnskey_is_delete(sum->rdata[i]));
	if (sum->count > count_max(slot))
		(void)msp_fail(&w->v->why, MSP_ELIMIT, "%zu %s records, at most %zu", sum->count, MSP_TYPE(sum->type),
			       count_max(slot));
	else if (deletes && sum->count > 1)
		(void)msp_fail(&w->v->why, MSP_EVALUE, "%s delete record beside others", MSP_TYPE(sum->type));
	else
		is_good = true;
	msp_rrset_free(&sum);
	return is_good ? MSP_OK : refuse_std(w, MSP_RCODE_REFUSED, contents_rule, MSP_EDE_INVALID_DATA);
}

/* Something is added: are we to accept that of this provider, for this zone, now? */
static enum msp_err check_add(struct work *w, enum cmb_slot slot)
{
	const struct cmb_policy *p = w->in->policy;
	struct msp_name local = cmb_originator_local();

	if (w->in->owner == NULL) {
		(void)msp_fail(&w->v->why, MSP_ESTATE, "the owner's zone has not been transferred yet");
		return refuse_std(w, MSP_RCODE_SERVFAIL, "owner's zone not held", MSP_EDE_NOT_READY);
	}
	if (!p->has_hsync)
		return refuse_own(w, "E.4 fence 4: no HSYNC RRset", MSP_EDE_MSA_ZONE_UNKNOWN);
	if (p->own == CMB_SIGN_ABSENT)
		return refuse_own(w, "A.1 rule 5: own identity not listed", MSP_EDE_MSA_NOT_DESIGNATED);
	if (!msp_name_equal(&w->v->originator, &local) &&
	    !cmb_policy_lists(w->in->owner, w->in->rules, &w->v->originator)) {
		(void)msp_fail(&w->v->why, MSP_EREFUSED, "originator %s is not in the HSYNC RRset",
			       MSP_NAME(&w->v->originator));
		return refuse_own(w, "E.2: originator not listed", MSP_EDE_MSA_NOT_DESIGNATED);
	}
	if (slot == CMB_NS)
		return p->ns_applied ? MSP_OK : refuse_own(w, "E.4 fence 2: NSMGMT", MSP_EDE_COMBINER_NSMGMT_OWNER);
	if (p->own == CMB_SIGN_NO) {
		(void)msp_fail(&w->v->why, MSP_EREFUSED, "this provider is SIGN=NO");
		return refuse_own(w, "E.4 fence 6: SIGN=NO", MSP_EDE_MSA_NOT_DESIGNATED);
	}
	return MSP_OK;
}

static enum msp_err check_result(struct work *w)
{
	struct cmb_apex merged = { 0 };
	uint32_t notes = 0;
	bool empty;
	enum msp_err err;

	if (w->in->owner == NULL)
		return MSP_OK;
	err = cmb_merge(w->in->owner, &w->next, w->in->policy, w->in->rules, &merged, &notes);
	if (err != MSP_OK)
		return err;
	empty = cmb_rrset_empty(merged.set[CMB_NS]);
	cmb_apex_fini(&merged);
	return empty ? refuse_own(w, "E.4 fence 3: NS would be empty", MSP_EDE_COMBINER_EMPTY_NS) : MSP_OK;
}

static enum msp_err fences(struct work *w)
{
	if (w->in->owner != NULL && w->in->policy->pass_through && w->in->msg->count[MSP_SEC_UPDATE] != 0)
		return refuse_own(w, "E.4 fence 1: signed input", MSP_EDE_COMBINER_ZONE_SIGNED);
	for (unsigned i = 0; i < CMB_CONTRIB_SLOTS; i++) {
		enum cmb_slot slot = (enum cmb_slot)i;
		const struct msp_rrset *before = cmb_contrib_get(w->in->held, &w->v->originator, slot);
		const struct msp_rrset *after = cmb_contrib_get(&w->next, &w->v->originator, slot);
		enum msp_err err = MSP_OK;

		if (cmb_rrset_same(before, after))
			continue;
		w->v->changed = true;
		if (!in_scope(w, slot)) /* "delete all at the name" reaches it */
			return out_of_scope(w, slot);
		if (!cmb_rrset_empty(after) &&
		    (before == NULL || !msp_rrset_contains(before, after))) /* deletes are always allowed */
			err = check_add(w, slot);
		if (err == MSP_OK)
			err = check_set(w, slot, before, after);
		if (err != MSP_OK)
			return err;
	}
	return check_result(w);
}

enum msp_err cmb_instruct(const struct cmb_instruct *in, struct cmb_verdict *out)
{
	struct work w = { .in = in, .v = out };
	enum msp_err err;

	memset(out, 0, sizeof(*out));
	err = find_originator(&w);
	if (err == MSP_OK)
		err = prescan(&w);
	if (err == MSP_OK)
		err = check_prereqs(&w);
	if (err == MSP_OK)
		err = apply(&w);
	if (err == MSP_OK)
		err = fences(&w);
	if (err == MSP_OK && out->changed) {
		out->result = w.next;
		return MSP_OK;
	}
	cmb_contrib_fini(&w.next);
	if (err == MSP_EREFUSED) {
		out->changed = false;
		err = MSP_OK;
	}
	return err;
}

/* --- for people --------------------------------------------------------------------------------------------------- */

static size_t count_missing(const struct msp_rrset *from, const struct msp_rrset *in)
{
	size_t count = 0;

	for (size_t i = 0; !cmb_rrset_empty(in) && i < in->count; i++)
		count += cmb_rrset_empty(from) || !msp_rrset_has(from, in->rdata[i]);
	return count;
}

static int tell_set(const struct msp_rrset *before, const struct msp_rrset *after, const char *type, char *out,
		    size_t size)
{
	size_t added = count_missing(before, after), gone = count_missing(after, before);

	if (cmb_rrset_empty(after))
		return snprintf(out, size, "%s deleted", type);
	if (cmb_rrset_empty(before) || gone == before->count)
		return snprintf(out, size, "%s set (%zu)", type, after->count);
	if (added == 0 && gone == 0)
		return snprintf(out, size, "%s TTL %u", type, (unsigned)after->ttl);
	if (gone == 0)
		return snprintf(out, size, "%s +%zu", type, added);
	if (added == 0)
		return snprintf(out, size, "%s -%zu", type, gone);
	return snprintf(out, size, "%s +%zu -%zu", type, added, gone);
}

void cmb_instruct_tell(const struct cmb_contrib *before, const struct cmb_contrib *after,
		       const struct msp_name *originator, char *out, size_t size)
{
	size_t at = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < CMB_CONTRIB_SLOTS; i++) {
		enum cmb_slot slot = (enum cmb_slot)i;
		const struct msp_rrset *old = cmb_contrib_get(before, originator, slot);
		const struct msp_rrset *new = cmb_contrib_get(after, originator, slot);

		if (cmb_rrset_same(old, new))
			continue;
		if (at > 0 && at + 2 < size) {
			memcpy(out + at, ", ", 3);
			at += 2;
		}
		at += (size_t)tell_set(old, new, MSP_TYPE(cmb_slot_type(slot)), out + at, size - at);
		if (at >= size)
			return; /* cut off */
	}
}
