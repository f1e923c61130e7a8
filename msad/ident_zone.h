/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * The identity zone's records: where we are found and what key verifies us. Pure.
 * @source PROTOCOL D.2 (what each MSA must publish about itself), A.7
 */
#ifndef MSAD_IDENT_ZONE_H
#define MSAD_IDENT_ZONE_H

#include <msproto/base/addr.h>
#include <msproto/wire/rrset.h>

struct msa_ident_conf {
	struct msp_name apex, identity, host;
	struct msp_name mname, rname;
	const struct msp_name *ns; /* borrowed */
	size_t ns_count;
	const struct msp_addr *publish; /* addresses for the SVCB hints; borrowed */
	size_t publish_count;
	uint16_t port;               /* of the agent, for the URI */
	const struct msp_span *keys; /* KEY RDATAs; borrowed */
	size_t key_count;
	uint32_t ttl_s;
};
#define MSA_IDENT_SETS 6
struct msa_ident_zone {
	struct msp_rrset *soa;
	struct msp_rrset *set[MSA_IDENT_SETS]; /* NS, URI, SVCB, A, AAAA, KEY; NULL = none */
};
MSP_CHECKED enum msp_err msa_ident_build(const struct msa_ident_conf *c, uint32_t serial, struct msa_ident_zone *out);
void msa_ident_fini(struct msa_ident_zone *z);

#endif
