/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Hidden primary of the identity zone: SOA, AXFR and IXFR (as AXFR) to the configured signers under TSIG, NOTIFY to
 * them.
 * @source DESIGN 3 (identity zone), RFC 1996
 */
#ifndef MSAD_IDENT_SERVE_H
#define MSAD_IDENT_SERVE_H

#include "conf.h"
#include "ident_zone.h"

#include <msproto/auth/tsig.h>
#include <msproto/io/server.h>
#include <msproto/kit/store.h>

struct msa_ident;
/**
 * Builds the zone from the configuration; its serial grows when the content differs from the one stored. Notifies at
 * once. Everything is borrowed for its lifetime except `conf`'s strings, which are copied.
 */
MSP_CHECKED enum msp_err msa_ident_new(struct msp_loop *loop, const struct msa_conf *conf,
				       const struct msp_tsig_ring *ring, const struct msp_key *key,
				       struct msp_store *store, struct msp_rand *rand, struct msa_ident **out,
				       struct msp_why *why);
/** A query for the identity zone. Takes the request. */
void msa_ident_answer(struct msa_ident *i, struct msp_req *req, const struct msp_msg *m);
const struct msp_name *msa_ident_apex(const struct msa_ident *i);
uint32_t msa_ident_serial(const struct msa_ident *i);
void msa_ident_free(struct msa_ident **i);

#endif
