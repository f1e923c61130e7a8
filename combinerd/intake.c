/* SPDX-License-Identifier: BSD-2-Clause */
/* The owner's records on their way in: the apex RRsets that are set apart here, everything else into pages as it comes.
 */
#include "shell.h"

#include <msproto/base/mem.h>

#include <string.h>

enum msp_err cmb_intake_open(struct cmb_intake *in, struct cmb_pages *pages, const struct msp_name *apex,
			     const struct msp_numbers *numbers)
{
	enum msp_err err;

	memset(in, 0, sizeof(*in));
	in->apex = *apex;
	in->numbers = numbers;
	in->owner = msp_alloc(1, sizeof(*in->owner));
	err = in->owner != NULL ? cmb_build_new(pages, &in->build) : MSP_ENOMEM;
	if (err != MSP_OK)
		cmb_intake_close(in);
	return err;
}

void cmb_intake_close(struct cmb_intake *in)
{
	cmb_build_free(&in->build);
	cmb_owner_free(&in->owner);
}

static enum msp_err take_soa(void *arg, const struct msp_rr *soa, bool is_full)
{
	struct cmb_intake *in = arg;

	if (!is_full)
		return msp_fail(&in->why, MSP_EFORMAT, "differences in answer to AXFR");
	return cmb_apex_add(&in->owner->apex, soa, &in->ttl_differs);
}

static enum msp_err add_hsync(struct cmb_intake *in, const struct msp_rr *rr)
{
	struct msp_rrset **set = &in->owner->hsync;
	enum msp_err err = *set == NULL ? msp_rrset_new(&rr->owner, rr->type, rr->ttl, set) : MSP_OK;

	return err == MSP_OK ? msp_rrset_add(*set, rr->rdata) : err;
}

/* PROTOCOL E.4 fence 1 */
static void note_signature(struct cmb_intake *in, const struct msp_rr *rr)
{
	struct msp_rrsig sig;

	if (msp_rrsig_parse(rr->rdata, &sig) == MSP_OK &&
	    (sig.covered == MSP_TYPE_SOA || sig.covered == MSP_TYPE_DNSKEY))
		in->owner->is_signed = true;
}

static enum msp_err take_record(void *arg, const struct msp_rr *rr)
{
	struct cmb_intake *in = arg;
	bool is_apex = msp_name_equal(&rr->owner, &in->apex);
	enum cmb_slot slot;
	enum msp_err err;

	if (rr->type == MSP_TYPE_SOA)
		return msp_fail(&in->why, MSP_EFORMAT, "SOA at %s inside the zone", MSP_NAME(&rr->owner));
	if (msp_type_is_meta(rr->type) || rr->cls != MSP_CLASS_IN)
		return msp_fail(&in->why, MSP_EFORMAT, "%s %s class %u has no place in a zone", MSP_NAME(&rr->owner),
				MSP_TYPE(rr->type), rr->cls);
	if (is_apex && cmb_slot_of(rr->type, &slot))
		return cmb_apex_add(&in->owner->apex, rr, &in->ttl_differs);
	if (is_apex && rr->type == in->numbers->type_hsync) {
		err = add_hsync(in, rr);
		if (err != MSP_OK)
			return err;
	}
	if (is_apex && rr->type == MSP_TYPE_RRSIG)
		note_signature(in, rr);
	err = cmb_build_add(in->build, rr);
	if (err == MSP_ELIMIT)
		return msp_fail(&in->why, err, "%s %s: too large to be passed on with TSIG", MSP_NAME(&rr->owner),
				MSP_TYPE(rr->type));
	return err;
}

const struct msp_xfrin_ops cmb_intake_ops = { .begin = take_soa, .record = take_record };

enum msp_err cmb_intake_finish(struct cmb_intake *in)
{
	if (cmb_rrset_empty(in->owner->apex.soa))
		return msp_fail(&in->why, MSP_EFORMAT, "no SOA");
	if (cmb_rrset_empty(in->owner->apex.set[CMB_NS]))
		return msp_fail(&in->why, MSP_EFORMAT, "no NS RRset at the apex");
	return cmb_build_seal(in->build, in->owner);
}
