/* SPDX-License-Identifier: BSD-2-Clause */
#include "update.h"

#include <string.h>

#define TTL_MAX   0x7fffffffu /* RFC 2181 8 */
#define EQUAL_MAX 32          /* RRsets that value-dependent prerequisites name */

bool prt_may_be_child(const struct msp_name *parent, const struct msp_name *name)
{
	return msp_name_is_under(name, parent) && !msp_name_equal(name, parent);
}

/* --- step 4 ---------------------------------------------------------------------------------------------------------
 */

/* Name and type of a record of either section. */
static bool classify_rr(const struct msp_name *child, const struct msp_rr *rr, enum prt_update_class *out,
			struct prt_refusal *no)
{
	bool is_delegation;

	if (!msp_name_is_under(&rr->owner, child))
		return prt_refuse_own(no, MSP_EDE_UPDATE_NAME, "G.5 step 6: the name that signed, and no other",
				      "%s is not %s", MSP_NAME(&rr->owner), MSP_NAME(child));
	is_delegation = prt_delegation_has_place(child, &rr->owner, rr->type);
	if (!is_delegation && !(rr->type == MSP_TYPE_KEY && msp_name_equal(&rr->owner, child)))
		return prt_refuse_own(no, MSP_EDE_UPDATE_TYPE, "G.5 step 4: NS, DS, addresses and KEY only",
				      "%s %s is no part of a delegation", MSP_NAME(&rr->owner), MSP_TYPE(rr->type));
	*out = is_delegation ? PRT_UPDATE_DELEGATION : PRT_UPDATE_KEY;
	return true;
}

static bool join(enum prt_update_class *all, enum prt_update_class one, struct prt_refusal *no)
{
	if (*all != PRT_UPDATE_NOTHING && *all != one)
		return prt_refuse_own(no, MSP_EDE_KEY_MIXED, "G.5 step 4: one class of change in an UPDATE",
				      "KEY beside NS, DS or addresses");
	*all = one;
	return true;
}

static bool classify_update(const struct msp_name *child, const struct msp_rr *rr, enum prt_update_class *all,
			    struct prt_refusal *no)
{
	enum prt_update_class one = PRT_UPDATE_DELEGATION;
	struct msp_why why = { "" };
	enum msp_upd kind;

	if (msp_upd_classify(rr, &kind, &why) != MSP_OK)
		return prt_refuse(no, MSP_RCODE_FORMERR, "RFC 2136 3.4.1: malformed update record", "%s", why.text);
	if (kind == MSP_UPD_ADD && rr->ttl > TTL_MAX)
		return prt_refuse(no, MSP_RCODE_FORMERR, "RFC 2181 8: TTL over 2^31-1", "TTL %u", (unsigned)rr->ttl);
	if (kind != MSP_UPD_DEL_NAME)
		return classify_rr(child, rr, &one, no) && join(all, one, no);
	if (!msp_name_is_under(&rr->owner, child))
		return prt_refuse_own(no, MSP_EDE_UPDATE_NAME, "G.5 step 6: the name that signed, and no other",
				      "%s is not %s", MSP_NAME(&rr->owner), MSP_NAME(child));
	if (msp_name_equal(&rr->owner, child))
		return prt_refuse_own(no, MSP_EDE_UPDATE_TYPE, "G.5 step 4: NS, DS, addresses and KEY only",
				      "deletion of all types at %s: name them", MSP_NAME(child));
	return join(all, one, no);
}

static bool classify_prereq(const struct msp_name *child, const struct msp_rr *rr, struct prt_refusal *no)
{
	enum prt_update_class one;
	struct msp_why why = { "" };
	enum msp_prereq kind;

	if (msp_prereq_classify(rr, &kind, &why) != MSP_OK)
		return prt_refuse(no, MSP_RCODE_FORMERR, "RFC 2136 3.2: malformed prerequisite", "%s", why.text);
	if (kind != MSP_PREREQ_NAME_IN_USE && kind != MSP_PREREQ_NAME_UNUSED)
		return classify_rr(child, rr, &one, no);
	if (!msp_name_is_under(&rr->owner, child))
		return prt_refuse_own(no, MSP_EDE_UPDATE_NAME, "G.5 step 6: the name that signed, and no other",
				      "%s is not %s", MSP_NAME(&rr->owner), MSP_NAME(child));
	return true;
}

bool prt_update_classify(const struct msp_msg *m, const struct msp_name *child, struct msp_rr_scratch *scratch,
			 enum prt_update_class *out, struct prt_refusal *no)
{
	struct msp_msg_it it;
	struct msp_rr rr;

	*out = PRT_UPDATE_NOTHING;
	msp_msg_it_init(&it, m, MSP_SEC_PREREQ, scratch);
	while (msp_msg_next(&it, &rr))
		if (!classify_prereq(child, &rr, no))
			return false;
	msp_msg_it_init(&it, m, MSP_SEC_UPDATE, scratch);
	while (msp_msg_next(&it, &rr))
		if (!classify_update(child, &rr, out, no))
			return false;
	return true;
}

/* --- prerequisites --------------------------------------------------------------------------------------------------
 */

struct registered {
	const struct prt_delegation *delegation;
	const struct msp_rrset *keys;
	struct msp_rrset *equal[EQUAL_MAX]; /* owned: RRsets that value-dependent prerequisites build up */
	size_t equals;
};

static const struct msp_rrset *look(const struct registered *r, const struct msp_name *owner, uint16_t type)
{
	if (type == MSP_TYPE_KEY)
		return r->keys != NULL && r->keys->count > 0 ? r->keys : NULL;
	return prt_delegation_get(r->delegation, owner, type);
}

static bool in_use(const struct registered *r, const struct msp_name *owner)
{
	for (size_t i = 0; i < r->delegation->count; i++)
		if (msp_name_equal(&r->delegation->set[i]->owner, owner))
			return true;
	return msp_name_equal(owner, &r->delegation->child) && look(r, owner, MSP_TYPE_KEY) != NULL;
}

static enum msp_err unmet(struct prt_refusal *no, unsigned rcode, const struct msp_rr *rr)
{
	(void)prt_refuse(no, rcode, "RFC 2136 3.2: prerequisite not met", "prerequisite about %s %s not met",
			 MSP_NAME(&rr->owner), MSP_TYPE(rr->type));
	return MSP_EREFUSED;
}

/* RFC 2136 3.2.3: records of one owner and type are one RRset, compared as a whole at the end. */
static enum msp_err gather(struct registered *r, const struct msp_rr *rr, struct prt_refusal *no)
{
	size_t i = 0;
	enum msp_err err = MSP_OK;

	while (i < r->equals && (r->equal[i]->type != rr->type || !msp_name_equal(&r->equal[i]->owner, &rr->owner)))
		i++;
	if (i == EQUAL_MAX) {
		(void)prt_refuse(no, MSP_RCODE_REFUSED, "limit of prerequisites", "more than %d RRsets", EQUAL_MAX);
		return MSP_EREFUSED;
	}
	if (i == r->equals) {
		err = msp_rrset_new(&rr->owner, rr->type, 0, &r->equal[i]);
		r->equals += err == MSP_OK;
	}
	return err == MSP_OK ? msp_rrset_add(r->equal[i], rr->rdata) : err;
}

static enum msp_err check_prereq(struct registered *r, const struct msp_rr *rr, struct prt_refusal *no)
{
	enum msp_prereq kind;

	if (msp_prereq_classify(rr, &kind, NULL) != MSP_OK)
		return MSP_EFORMAT; /* cannot be: it was classified before */
	switch (kind) {
	case MSP_PREREQ_NAME_IN_USE:
		return in_use(r, &rr->owner) ? MSP_OK : unmet(no, MSP_RCODE_NXDOMAIN, rr);
	case MSP_PREREQ_NAME_UNUSED:
		return !in_use(r, &rr->owner) ? MSP_OK : unmet(no, MSP_RCODE_YXDOMAIN, rr);
	case MSP_PREREQ_RRSET_EXISTS:
		return look(r, &rr->owner, rr->type) != NULL ? MSP_OK : unmet(no, MSP_RCODE_NXRRSET, rr);
	case MSP_PREREQ_RRSET_ABSENT:
		return look(r, &rr->owner, rr->type) == NULL ? MSP_OK : unmet(no, MSP_RCODE_YXRRSET, rr);
	case MSP_PREREQ_RRSET_EQUALS:
		return gather(r, rr, no);
	}
	return MSP_EFORMAT;
}

static enum msp_err compare(const struct registered *r, struct prt_refusal *no)
{
	for (size_t i = 0; i < r->equals; i++) {
		struct msp_rr rr = { .owner = r->equal[i]->owner, .type = r->equal[i]->type };

		if (!msp_rrset_equal(r->equal[i], look(r, &rr.owner, rr.type)))
			return unmet(no, MSP_RCODE_NXRRSET, &rr);
	}
	return MSP_OK;
}

enum msp_err prt_update_prerequisites(const struct msp_msg *m, const struct prt_delegation *now,
				      const struct msp_rrset *keys, struct msp_rr_scratch *scratch,
				      struct prt_refusal *no)
{
	struct registered r = { .delegation = now, .keys = keys };
	enum msp_err err = MSP_OK;
	struct msp_msg_it it;
	struct msp_rr rr;

	msp_msg_it_init(&it, m, MSP_SEC_PREREQ, scratch);
	while (err == MSP_OK && msp_msg_next(&it, &rr))
		err = check_prereq(&r, &rr, no);
	if (err == MSP_OK)
		err = compare(&r, no);
	for (size_t i = 0; i < r.equals; i++)
		msp_rrset_free(&r.equal[i]);
	return err;
}

/* --- step 9 ---------------------------------------------------------------------------------------------------------
 */

static enum msp_err apply_rr(struct prt_delegation *d, const struct msp_rr *rr)
{
	enum msp_upd kind;

	if (msp_upd_classify(rr, &kind, NULL) != MSP_OK)
		return MSP_EFORMAT; /* cannot be: it was classified before */
	switch (kind) {
	case MSP_UPD_ADD:
		return prt_delegation_add(d, rr);
	case MSP_UPD_DEL_RRSET:
	case MSP_UPD_DEL_NAME:
		(void)prt_delegation_del_set(d, &rr->owner, kind == MSP_UPD_DEL_NAME ? MSP_TYPE_ANY : rr->type);
		return MSP_OK; /* RFC 2136 3.4.2.4: what is not there need not be deleted */
	case MSP_UPD_DEL_RR:
		(void)prt_delegation_del(d, &rr->owner, rr->type, rr->rdata);
		return MSP_OK;
	}
	return MSP_EFORMAT;
}

enum msp_err prt_update_apply(const struct msp_msg *m, const struct prt_delegation *now, struct msp_rr_scratch *scratch,
			      struct prt_delegation *out, struct prt_refusal *no)
{
	enum msp_err err = prt_delegation_dup(now, out);
	struct msp_msg_it it;
	struct msp_rr rr;

	if (err != MSP_OK)
		return err;
	msp_msg_it_init(&it, m, MSP_SEC_UPDATE, scratch);
	while (err == MSP_OK && msp_msg_next(&it, &rr))
		err = apply_rr(out, &rr);
	if (err == MSP_ELIMIT || err == MSP_EVALUE) {
		(void)prt_refuse_own(no, MSP_EDE_DELEGATION_CHECK, "G.4: limits of a delegation", "%s %s: %s",
				     MSP_NAME(&rr.owner), MSP_TYPE(rr.type), msp_err_text(err));
		err = MSP_EREFUSED;
	} else if (err == MSP_OK && prt_delegation_ns(out) == NULL && prt_delegation_ns(now) != NULL) {
		(void)prt_refuse_own(no, MSP_EDE_DELEGATION_CHECK, "G.5 step 9: NS does not become empty",
				     "no NS would be left");
		err = MSP_EREFUSED;
	}
	if (err == MSP_OK)
		prt_delegation_drop_idle_glue(out);
	else
		prt_delegation_clear(out);
	return err;
}
