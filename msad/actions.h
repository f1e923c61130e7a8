/* SPDX-License-Identifier: BSD-2-Clause */
/** @file What a step hands out, what is waited for, and what is stored. */
#ifndef MSAD_ACTIONS_H
#define MSAD_ACTIONS_H

#include "state.h"

/** A zeroed action at the end of the list; NULL when out of memory (noted in the core). */
struct msa_action *msa_act(struct msa_core *c, enum msa_action_kind kind);
void msa_act_reply(struct msa_core *c, uint64_t request_id, struct msp_span octets);
void msa_act_transfer(struct msa_core *c, const struct msp_name *zone);
/** Ask for the look-up and wait for it. */
void msa_act_lookup(struct msa_core *c, struct msa_pend *p, const struct msp_name *name, uint16_t type);
/** As above, for what may be believed unsigned. */
void msa_act_lookup_open(struct msa_core *c, struct msa_pend *p, const struct msp_name *name, uint16_t type);
/** Make, load (`file`) or remove (`file`) a key of the zone; p NULL: nothing is waited for. */
void msa_act_key(struct msa_core *c, struct msa_pend *p, const struct msp_name *zone, enum msa_key_verb verb,
		 const char *file);
/** As msa_act_send, once and for so long: whoever signs must sign again before it is sent again. */
void msa_act_send_once(struct msa_core *c, struct msa_pend *p, const struct msp_addr *to, bool tcp_only,
		       uint32_t timeout_ms, struct msp_span octets);
/** Send and wait; keeps a copy of the message. */
void msa_act_send(struct msa_core *c, struct msa_pend *p, const struct msp_addr *to, bool tcp_only,
		  struct msp_span octets);

/** Give `p` a fresh id under which its answer is found. False when out of memory. */
bool msa_pend_start(struct msa_core *c, struct msa_pend *p, enum msa_pend_kind kind, void *owner);
/** No longer waited for; a late answer is ignored. */
void msa_pend_stop(struct msa_core *c, struct msa_pend *p);
/** NULL when nobody waits for it. */
struct msa_pend *msa_pend_find(const struct msa_core *c, uint64_t id);

/* The stored entries: key = one letter, then names in lower-case wire form. */
void msa_store_epoch(struct msa_core *c);
void msa_store_own(struct msa_core *c, const struct msa_zone *z);
void msa_store_zone(struct msa_core *c, const struct msa_zone *z);
/** False when out of memory: nothing may then rely on it. */
bool msa_store_put(struct msa_core *c, const struct msa_zone *z);
void msa_store_self(struct msa_core *c, const struct msa_zone *z);
void msa_store_member(struct msa_core *c, const struct msa_member *m);
void msa_store_held(struct msa_core *c, const struct msa_member *m);

#endif
