/* SPDX-License-Identifier: BSD-2-Clause */
/* Knot with `manual: on` and `cds-cdnskey-publish: rollover`: a KSK's own CDS is published while the key is "ready",
 * that is its `ready` time has passed and its `active` time has not (SIGNERS 2.2, 4.1). Signing of the DNSKEY RRset is
 * not affected. */
#include "signer.h"

#include <msproto/wire/rdata.h>

#include <stdio.h>

#define FAR_FUTURE "active=2100000000" /* below 2^31: later times come out negative in Knot 3.4's listing */

enum msp_err msa_signer_plan_knot(const struct msa_signer_tools *t, const struct msp_name *zone,
				  enum msa_signer_verb verb, const struct msp_rrset *keys, bool cdnskey,
				  struct msa_signer_plan *out)
{
	struct msp_name_text name = msa_signer_zone_text(zone);
	char tag[8];

	(void)cdnskey; /* Knot publishes CDNSKEY along with CDS */
	for (size_t i = 0; keys != NULL && i < keys->count; i++) {
		struct msa_signer_step *s;

		snprintf(tag, sizeof(tag), "%u", msp_key_tag(keys->rdata[i]));
		if (verb == MSA_SIGNER_CDS_ON)
			s = msa_signer_step_add(out, t->keymgr, "-c", t->knot_conf, name.s, "set", tag, "ready=+0",
						FAR_FUTURE, NULL);
		else
			s = msa_signer_step_add(out, t->keymgr, "-c", t->knot_conf, name.s, "set", tag, "active=+0",
						NULL);
		if (s == NULL)
			return MSP_ELIMIT;
	}
	if (msa_signer_step_add(out, t->knotc, "-c", t->knot_conf, "zone-keys-load", name.s, NULL) == NULL)
		return MSP_ELIMIT;
	return MSP_OK;
}
