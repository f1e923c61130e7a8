/* SPDX-License-Identifier: BSD-2-Clause */
/* PowerDNS switches the CDS of all its active KSKs of a zone at once, and tells nobody: the cache is purged and NOTIFY
 * sent by command (SIGNERS 4.2). Digest type 2 only (SIGNERS 2.2). */
#include "signer.h"

#include <stdio.h>
#include <string.h>

enum msp_err msa_signer_plan_pdns(const struct msa_signer_tools *t, const struct msp_name *zone,
				  enum msa_signer_verb verb, const struct msp_rrset *keys, bool cdnskey,
				  struct msa_signer_plan *out)
{
	struct msp_name_text name = msa_signer_zone_text(zone);
	char dir[MSA_STEP_TEXT], purge[MSA_STEP_TEXT];
	bool is_on = verb == MSA_SIGNER_CDS_ON, fits = true;
	size_t len = strlen(name.s);

	(void)keys; /* per zone, not per key */
	if (len > 1)
		name.s[len - 1] = '\0'; /* its tools write names without the final dot */
	if (strlen(t->pdns_config_dir) > 1000)
		return MSP_ELIMIT;
	snprintf(dir, sizeof(dir), "--config-dir=%.1000s", t->pdns_config_dir);
	snprintf(purge, sizeof(purge), "%.1030s$", name.s);
	if (is_on)
		fits = msa_signer_step_add(out, t->pdnsutil, dir, "set-publish-cds", name.s, "2", NULL) != NULL;
	else
		fits = msa_signer_step_add(out, t->pdnsutil, dir, "unset-publish-cds", name.s, NULL) != NULL;
	if (cdnskey)
		fits = fits && msa_signer_step_add(out, t->pdnsutil, dir,
						   is_on ? "set-publish-cdnskey" : "unset-publish-cdnskey", name.s,
						   NULL) != NULL;
	fits = fits && msa_signer_step_add(out, t->pdns_control, dir, "purge", purge, NULL) != NULL;
	fits = fits && msa_signer_step_add(out, t->pdns_control, dir, "notify", name.s, NULL) != NULL;
	return fits ? MSP_OK : MSP_ELIMIT;
}
