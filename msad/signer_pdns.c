/* SPDX-License-Identifier: BSD-2-Clause */
/* PowerDNS switches the CDS of all its active KSKs of a zone at once, and tells nobody: the cache is purged and NOTIFY sent by
 * command (SIGNERS 4.2). Digest type 2 only (SIGNERS 2.2). */
#include "signer.h"

#include <stdio.h>
#include <string.h>

enum msp_err msa_signer_plan_pdns(const struct msa_signer_tools *t, const struct msp_name *zone, enum msa_signer_verb verb,
				  const struct msp_rrset *keys, bool cdnskey, struct msa_signer_plan *out)
{
	struct msp_name_text name = msp_name_text(zone);
	char dir[MSA_STEP_TEXT], purge[MSA_STEP_TEXT];
	bool is_on = verb == MSA_SIGNER_CDS_ON;
	size_t len = strlen(name.s);

	(void)keys; /* per zone, not per key */
	if (len > 1)
		name.s[len - 1] = '\0'; /* its tools write names without the final dot */
	snprintf(dir, sizeof(dir), "--config-dir=%.1000s", t->pdns_config_dir);
	snprintf(purge, sizeof(purge), "%.1030s$", name.s);
	if (is_on)
		msa_signer_step_add(out, t->pdnsutil, dir, "set-publish-cds", name.s, "2", NULL);
	else
		msa_signer_step_add(out, t->pdnsutil, dir, "unset-publish-cds", name.s, NULL);
	if (cdnskey)
		msa_signer_step_add(out, t->pdnsutil, dir, is_on ? "set-publish-cdnskey" : "unset-publish-cdnskey", name.s, NULL);
	msa_signer_step_add(out, t->pdns_control, dir, "purge", purge, NULL);
	msa_signer_step_add(out, t->pdns_control, dir, "notify", name.s, NULL);
	return MSP_OK;
}
