/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Fetching a peer's contribution: three signed QUERYs, one digest. @source PROTOCOL D.7, D.8 */
#ifndef MSAD_PULL_H
#define MSAD_PULL_H

#include "state.h"

/** Start a pull when what is announced differs from what is held and it is time. */
void msa_pull_look(struct msa_core *c, struct msa_member *m);
/** When msa_pull_look has something to do; NEVER when not. */
struct msp_mono msa_pull_next(const struct msa_member *m);
/** What came of the query for one type. */
void msa_pull_answer(struct msa_core *c, struct msa_member *m, uint16_t type, enum msp_err err,
		     const struct msp_msg *msg);

#endif
