/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>

#include "parent.h"
#include "sync.h"

static bool not_yet(char why[MSA_TEXT_MAX], const char *what, const struct msp_name *who)
{
	snprintf(why, MSA_TEXT_MAX, "%s%s%.150s", what, who == NULL ? "" : " ", who == NULL ? "" : MSP_NAME(who));
	return false;
}

/** S8: the CDS RRset that our signer serves is what every provider has asked for. */
static bool cds_agrees(const struct msa_zone *z, char why[MSA_TEXT_MAX])
{
	for (size_t i = 0; i < z->cds->count; i++)
		if (msp_cds_is_delete(z->cds->rdata[i]))
			return not_yet(why, "the CDS RRset asks for the removal of the DS: never done automatically",
				       NULL);
	if (z->group.signers > 1 && !z->gate_open)
		return not_yet(why, "not all providers have published all keys yet", NULL);
	if (z->own.cds == NULL || !msp_rrset_contains(z->cds, z->own.cds))
		return not_yet(why, "our signer does not serve the CDS of its own keys", NULL);
	for (size_t i = 0; i < z->member_count; i++) {
		const struct msa_member *m = z->member[i];

		if (!msa_member_is_signer(m))
			continue;
		if (m->held.cds == NULL)
			return not_yet(why, "no CDS received yet from", &m->peer->identity);
		if (!msp_rrset_contains(z->cds, m->held.cds))
			return not_yet(why, "our signer does not serve the CDS of", &m->peer->identity);
		if (m->has_announced && !msa_same_digest(m->announced, m->held.digest))
			return not_yet(why, "newer keys announced and not received yet from", &m->peer->identity);
	}
	return true;
}

static enum msp_err make_ds(const struct msa_zone *z, struct msp_rrset **out)
{
	enum msp_err err = msp_rrset_new(&z->name, MSP_TYPE_DS, z->cds->ttl, out);

	for (size_t i = 0; i < z->cds->count && err == MSP_OK; i++)
		err = msp_rrset_add(*out, z->cds->rdata[i]); /* RFC 7344 3.1: the format is that of a DS */
	return err;
}

/** Every provider's name servers, and nothing else, are what the zone shows. */
static enum msp_err make_ns(const struct msa_zone *z, struct msp_rrset **out, char why[MSA_TEXT_MAX])
{
	struct msp_rrset *all = NULL;
	enum msp_err err;

	why[0] = '\0';
	if (z->group.nsmgmt != MSP_HSYNC_AGENT) {
		not_yet(why, "the owner manages NS", NULL);
		return MSP_OK;
	}
	err = msp_rrset_new(&z->name, MSP_TYPE_NS, z->apex_ns == NULL ? z->ttl_s : z->apex_ns->ttl, &all);
	if (err == MSP_OK)
		err = msp_rrset_merge(all, z->own.ns);
	for (size_t i = 0; i < z->member_count && err == MSP_OK; i++) {
		const struct msa_member *m = z->member[i];

		if (m->role != MSA_ROLE_PARTICIPANT)
			continue;
		if (m->held.version == 0)
			not_yet(why, "name servers not received yet from", &m->peer->identity);
		err = msp_rrset_merge(all, m->held.ns);
	}
	if (err == MSP_OK && why[0] == '\0' && all->count == 0)
		not_yet(why, "no provider has named its name servers", NULL);
	if (err == MSP_OK && why[0] == '\0' && !msp_rrset_equal(all, z->apex_ns))
		not_yet(why, "the NS RRset in the zone is not the one that the providers name", NULL);
	if (err != MSP_OK || why[0] != '\0')
		msp_rrset_free(&all);
	*out = all;
	return err;
}

bool msa_parent_want(struct msa_core *c, const struct msa_zone *z, struct msp_rrset **ds, struct msp_rrset **ns,
		     char no_ns_why[MSA_TEXT_MAX], char why[MSA_TEXT_MAX])
{
	const struct msa_group_row *own;
	enum msp_err err = MSP_OK;

	*ds = *ns = NULL;
	no_ns_why[0] = why[0] = '\0';
	if (!z->has_view || z->waiting[0] != '\0') {
		snprintf(why, MSA_TEXT_MAX, "the zone is not in sync yet: %.200s", z->waiting);
		return false;
	}
	own = z->group.self < z->group.count ? &z->group.row[z->group.self] : NULL;
	if (own == NULL || own->role != MSA_ROLE_PARTICIPANT)
		return not_yet(why, "we are no provider of this zone", NULL);
	if (!z->group.is_certain)
		return not_yet(why, "HSYNC has malformed or duplicate records", NULL);
	if (msa_row_signs(own) && z->cds != NULL && z->cds->count > 0) {
		if (!cds_agrees(z, why))
			return false;
		err = make_ds(z, ds);
	}
	if (err == MSP_OK)
		err = make_ns(z, ns, no_ns_why);
	if (err != MSP_OK) {
		msa_core_note(c, err);
		msp_rrset_free(ds);
		msp_rrset_free(ns);
		return not_yet(why, msp_err_text(err), NULL);
	}
	if (*ds == NULL && *ns == NULL) {
		snprintf(why, MSA_TEXT_MAX, "%s", "no CDS is served, and about NS there is nothing to tell");
		return false;
	}
	return true;
}
