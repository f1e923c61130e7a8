/* SPDX-License-Identifier: BSD-2-Clause */
/** @file HELLO: capabilities offered and learnt. @source PROTOCOL D.4, D.5 */
#ifndef MSAD_HELLO_H
#define MSAD_HELLO_H

#include "state.h"

/** Send our HELLO to the next address. */
void msa_hello_send(struct msa_core *c, struct msa_member *m);
/** What came of it. err: MSP_OK with a verified answer in `msg`, else why there is none. */
void msa_hello_answer(struct msa_core *c, struct msa_member *m, enum msp_err err, const struct msp_msg *msg);
/** A verified HELLO of the peer, TLV 4 checked. */
void msa_hello_received(struct msa_core *c, struct msa_member *m, const struct msp_msopt *ms);
/** Capabilities and values of a verified message of the peer, whichever way it came. */
void msa_learn(struct msa_core *c, struct msa_member *m, const struct msp_msopt *ms);

#endif
