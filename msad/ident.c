/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "request.h"

bool msa_ident_zone(const struct msp_name *name, const struct msp_name *identity, struct msp_name *zone)
{
	size_t len;

	if (!msp_name_is_under(name, identity) || name->len <= identity->len)
		return false;
	len = (size_t)name->len - identity->len; /* whole labels: is_under compares those */
	memcpy(zone->oct, name->oct, len);
	zone->oct[len] = 0;
	zone->len = (uint8_t)(len + 1);
	return true;
}

/** Whether some peer of the zone could be the sender and is not known well enough yet. */
static bool any_unlocated(const struct msa_zone *z)
{
	for (size_t i = 0; i < z->member_count; i++)
		if (z->member[i]->is_listed && !z->member[i]->peer->is_located)
			return true;
	return false;
}

void msa_ident_query(struct msa_core *c, struct msa_request *r)
{
	const struct msp_question *q = &r->msg.question;
	struct msp_name name;
	struct msa_zone *z;
	struct msa_member *m;

	if (!msa_ident_zone(&q->name, &c->identity, &name)) {
		msa_refuse(c, r, MSP_RCODE_REFUSED, MSP_EDE_MSA_ZONE_UNKNOWN);
		return;
	}
	z = msa_core_find_zone(c, &name);
	if (z == NULL || !z->group.has_hsync || z->group.self == z->group.count || !z->has_own) {
		msa_refuse(c, r, MSP_RCODE_REFUSED, MSP_EDE_MSA_ZONE_UNKNOWN);
		return;
	}
	if (q->type != MSP_TYPE_DNSKEY && q->type != MSP_TYPE_CDS && q->type != MSP_TYPE_NS &&
	    q->type != MSP_TYPE_KEY) {
		r->rcode = MSP_RCODE_REFUSED;
		r->ede = MSP_EDE_NOT_SUPPORTED;
		r->ede_text = "only DNSKEY, CDS, NS and KEY";
		return;
	}
	if (r->msg.sig0_at == 0) {
		msa_refuse(c, r, MSP_RCODE_REFUSED, MSP_EDE_SIG0_REQUIRED);
		return;
	}
	m = msa_request_signer(z, &r->msg);
	if (m == NULL) {
		msa_refuse(c, r, MSP_RCODE_REFUSED,
			   any_unlocated(z) ? MSP_EDE_MSA_NOT_READY : MSP_EDE_MSA_NOT_DESIGNATED);
		return;
	}
	if (!msa_request_verify(c, r, m))
		return;
	r->rcode = MSP_RCODE_NOERROR;
	r->answer = q->type == MSP_TYPE_DNSKEY ? z->own.dnskey
		    : q->type == MSP_TYPE_CDS  ? z->own.cds
		    : q->type == MSP_TYPE_KEY  ? z->own.key
					       : z->own.ns;
}
