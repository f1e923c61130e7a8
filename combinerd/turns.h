/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Whose turn it is to speak to a primary, when many zones want to: two kinds of turns (SOA queries, transfers), limited
 * in all and for each address, given out fairly over the addresses. An address that does not answer is tried by one
 * zone at a time, with waits that double; everybody else stays in line. Pure; time is an argument.
 */
#ifndef CMB_TURNS_H
#define CMB_TURNS_H

#include "agenda.h"

#include <msproto/base/addr.h>
#include <msproto/base/map.h>

enum cmb_turn_kind { CMB_TURN_ASK, CMB_TURN_FETCH, CMB_TURN__N };
struct cmb_turns_limits {
	size_t max[CMB_TURN__N], per_peer[CMB_TURN__N];
};
#define CMB_TURNS_BACKOFF_FIRST_MS 1000
#define CMB_TURNS_BACKOFF_MAX_MS   60000
#define CMB_TURNS_PEERS_MAX        (1u << 20)

struct cmb_turns_peer;
enum cmb_turn_state { CMB_TURN_NONE, CMB_TURN_WAITING, CMB_TURN_RUNNING };
/** To be embedded; zeroed before use. */
struct cmb_turn {
	struct cmb_turn *prev, *next;
	struct cmb_turns_peer *peer;
	enum cmb_turn_state state;
	enum cmb_turn_kind kind;
	struct msp_mono began; /* running: since when */
};
struct cmb_turns_ring {
	struct cmb_turns_peer *first, *last;
};
struct cmb_turns {
	struct msp_map peers;                     /* owned struct cmb_turns_peer by address and port */
	struct cmb_turns_ring ready[CMB_TURN__N]; /* addresses with somebody whose turn may begin */
	size_t running[CMB_TURN__N], waiting[CMB_TURN__N];
	struct cmb_agenda backoff;
};
void cmb_turns_init(struct cmb_turns *t);
/** Nobody may be in line any more. */
void cmb_turns_fini(struct cmb_turns *t);

/** Get in line. is_first: in front of the others (it has had its turn, and needs another one to finish). MSP_ENOMEM,
 * MSP_ELIMIT */
MSP_CHECKED enum msp_err cmb_turns_join(struct cmb_turns *t, struct cmb_turn *turn, const struct msp_addr *addr,
					enum cmb_turn_kind kind, bool is_first, struct msp_mono now);
/** The next one, which is RUNNING now; NULL: nobody may begin. */
struct cmb_turn *cmb_turns_next(struct cmb_turns *t, const struct cmb_turns_limits *limits, struct msp_mono now);
enum cmb_turn_outcome {
	CMB_TURN_ANSWERED, /* the address is alive */
	CMB_TURN_SILENT,   /* no connection, or no answer in time */
	CMB_TURN_UNKNOWN   /* says nothing about the address */
};
/** A running turn is over, or one that waits leaves the line. Legal for one that does neither. */
void cmb_turns_end(struct cmb_turns *t, struct cmb_turn *turn, enum cmb_turn_outcome outcome, struct msp_mono now);

/** The address has not answered lately: whoever has a choice should go elsewhere. */
bool cmb_turns_is_silent(const struct cmb_turns *t, const struct msp_addr *addr, struct msp_mono now);
/** The first one in line for this address, the others behind it (next); NULL: nobody waits. */
struct cmb_turn *cmb_turns_waiting(const struct cmb_turns *t, const struct msp_addr *addr, enum cmb_turn_kind kind);
/** A sign of life from there: it may be tried at once. */
void cmb_turns_heard(struct cmb_turns *t, const struct msp_addr *addr, struct msp_mono now);
/** When cmb_turns_next must be asked again although nothing has happened. */
struct msp_mono cmb_turns_due(const struct cmb_turns *t);

#endif
