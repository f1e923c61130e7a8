/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Three machines, as tables: the link to an identity, its health, and its membership in one zone. Independent
 * properties, hence separate machines.
 * @source PROTOCOL D.3
 */
#ifndef MSAD_PEER_FSM_H
#define MSAD_PEER_FSM_H

#include <stdint.h>

enum msa_link { MSA_LINK__NONE, MSA_LINK_NEEDED, MSA_LINK_KNOWN, MSA_LINK_OPERATIONAL, MSA_LINK_LEGACY, MSA_LINK__N };
enum msa_link_event {
	MSA_LEV_LOCATED,  /* discovery complete, all of it secure */
	MSA_LEV_LOST,     /* what was discovered has expired */
	MSA_LEV_GREETED,  /* a HELLO was answered NOERROR, in either direction */
	MSA_LEV_DEAF,     /* the peer does not speak the option: FORMERR, NOTIMP */
	MSA_LEV_SILENT,   /* health became INTERRUPTED */
	MSA_LEV_SHARED,   /* one more zone has it in HSYNC */
	MSA_LEV_UNSHARED, /* no zone has it any more */
	MSA_LEV__N
};
enum msa_link_action {
	MSA_LACT_STOP = 0x01,       /* no message to the peer any more */
	MSA_LACT_DISCOVER = 0x02,   /* look the identity up now */
	MSA_LACT_GREET = 0x04,      /* HELLO in every shared zone that has not been greeted */
	MSA_LACT_GREET_ALL = 0x08,  /* HELLO in every shared zone, again */
	MSA_LACT_BEAT = 0x10,       /* heartbeats run */
	MSA_LACT_KEEP = 0x20,       /* keep the record for 7 days, then forget it */
	MSA_ACT_UNEXPECTED = 0x8000 /* no such cell: counted, nothing else */
};

enum msa_health {
	MSA_HEALTH__NONE,
	MSA_HEALTH_UNKNOWN,
	MSA_HEALTH_GREEN,
	MSA_HEALTH_DEGRADED,
	MSA_HEALTH_INTERRUPTED,
	MSA_HEALTH__N
};
enum msa_health_event {
	MSA_HEV_ALIVE,  /* heartbeats received and answered within 2 intervals */
	MSA_HEV_LATE,   /* not within 2 */
	MSA_HEV_SILENT, /* not within 10 */
	MSA_HEV_DOWN,   /* the link left OPERATIONAL */
	MSA_HEV__N
};
enum msa_health_action { MSA_HACT_SEARCH = 0x01 /* tell the link: MSA_LEV_SILENT */ };

enum msa_member_state {
	MSA_MEMBER__NONE,
	MSA_MEMBER_UNSEEN,
	MSA_MEMBER_GREETED_OUT,
	MSA_MEMBER_GREETED_IN,
	MSA_MEMBER_MEMBER,
	MSA_MEMBER__N
};
enum msa_member_event {
	MSA_MEV_OUT,         /* they answered our HELLO NOERROR */
	MSA_MEV_IN,          /* we answered theirs NOERROR */
	MSA_MEV_SAME_GROUP,  /* their group digest equals ours */
	MSA_MEV_OTHER_GROUP, /* it does not */
	MSA_MEV_REFUSED,     /* a heartbeat was refused: they do not know us (any more) */
	MSA_MEV_GONE,        /* not in HSYNC any more, or the link was lost */
	MSA_MEV__N
};
enum msa_member_action {
	MSA_MACT_REGREET = 0x01, /* our HELLO again */
	MSA_MACT_JOINED = 0x02   /* remember that it has been a member; look at the zone */
};

struct msa_link_cell {
	enum msa_link next;
	uint32_t actions;
};
struct msa_health_cell {
	enum msa_health next;
	uint32_t actions;
};
struct msa_member_cell {
	enum msa_member_state next;
	uint32_t actions;
};
extern const struct msa_link_cell msa_link_table[MSA_LINK__N][MSA_LEV__N];
extern const struct msa_health_cell msa_health_table[MSA_HEALTH__N][MSA_HEV__N];
extern const struct msa_member_cell msa_member_table[MSA_MEMBER__N][MSA_MEV__N];

/* Pure: no clock, no I/O. The caller performs the returned actions in bit order. */
uint32_t msa_link_step(enum msa_link *s, enum msa_link_event ev);
uint32_t msa_health_step(enum msa_health *s, enum msa_health_event ev);
uint32_t msa_member_step(enum msa_member_state *s, enum msa_member_event ev);

const char *msa_link_name(enum msa_link s);
const char *msa_link_event_name(enum msa_link_event ev);
const char *msa_health_name(enum msa_health s);
const char *msa_health_event_name(enum msa_health_event ev);
const char *msa_member_name(enum msa_member_state s);
const char *msa_member_event_name(enum msa_member_event ev);

#endif
