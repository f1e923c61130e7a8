/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Identity -> host, keys and addresses; DNSSEC-secure or not at all. @source PROTOCOL D.2 */
#ifndef MSAD_DISCOVER_H
#define MSAD_DISCOVER_H

#include "state.h"

/** `dns://HOST[:PORT]/` and nothing else. Port 53 when absent. @return MSP_OK, MSP_EFORMAT, MSP_ENOTIMP (another
 * scheme) */
MSP_CHECKED enum msp_err msa_uri_parse(struct msp_span target, struct msp_name *host, uint16_t *port);

void msa_discover_start(struct msa_core *c, struct msa_peer *p);
void msa_discover_stop(struct msa_core *c, struct msa_peer *p);
/** The shell has not answered: as a failure. */
void msa_discover_abandon(struct msa_core *c, struct msa_peer *p);
/** Drop what was found. */
void msa_discover_forget(struct msa_core *c, struct msa_peer *p);
/** A signature did not verify: one refresh in 60 s, past the resolver's cache. */
void msa_discover_force(struct msa_core *c, struct msa_peer *p);
/** Somebody who may be this peer wrote, and its key is not known: do not wait for the back-off. */
void msa_discover_hurry(struct msa_core *c, struct msa_peer *p);
/** No address answered: another URI target first, from the next look-up on. */
void msa_discover_rotate(struct msa_core *c, struct msa_peer *p);
void msa_discover_answer(struct msa_core *c, struct msa_pend *pend, enum msp_lookup verdict,
			 const struct msp_secure_rrset *secure, const char *why);

#endif
