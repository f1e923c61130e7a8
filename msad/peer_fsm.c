/* SPDX-License-Identifier: BSD-2-Clause */
#include "peer_fsm.h"

#define STOP      MSA_LACT_STOP
#define DISCOVER  MSA_LACT_DISCOVER
#define GREET     MSA_LACT_GREET
#define GREET_ALL MSA_LACT_GREET_ALL
#define BEAT      MSA_LACT_BEAT
#define KEEP      MSA_LACT_KEEP

/* clang-format off */
const struct msa_link_cell msa_link_table[MSA_LINK__N][MSA_LEV__N] = {
	[MSA_LINK_NEEDED] = {
		[MSA_LEV_LOCATED]  = { MSA_LINK_KNOWN,       GREET },
		[MSA_LEV_SHARED]   = { MSA_LINK_NEEDED,      DISCOVER },
		[MSA_LEV_UNSHARED] = { MSA_LINK_LEGACY,      STOP | KEEP } },
	[MSA_LINK_KNOWN] = {
		/* A refresh: what changed is told by discover.c; a peer that does not answer is not to be hammered. */
		[MSA_LEV_LOCATED]  = { MSA_LINK_KNOWN,       0 },
		[MSA_LEV_LOST]     = { MSA_LINK_NEEDED,      STOP | DISCOVER },
		[MSA_LEV_GREETED]  = { MSA_LINK_OPERATIONAL, BEAT },
		[MSA_LEV_DEAF]     = { MSA_LINK_KNOWN,       0 },
		[MSA_LEV_SHARED]   = { MSA_LINK_KNOWN,       GREET },
		[MSA_LEV_UNSHARED] = { MSA_LINK_LEGACY,      STOP | KEEP } },
	[MSA_LINK_OPERATIONAL] = {
		[MSA_LEV_LOCATED]  = { MSA_LINK_OPERATIONAL, 0 },
		[MSA_LEV_LOST]     = { MSA_LINK_NEEDED,      STOP | DISCOVER },
		[MSA_LEV_GREETED]  = { MSA_LINK_OPERATIONAL, BEAT },
		[MSA_LEV_DEAF]     = { MSA_LINK_KNOWN,       0 },
		[MSA_LEV_SILENT]   = { MSA_LINK_OPERATIONAL, DISCOVER | GREET_ALL },
		[MSA_LEV_SHARED]   = { MSA_LINK_OPERATIONAL, GREET },
		[MSA_LEV_UNSHARED] = { MSA_LINK_LEGACY,      STOP | KEEP } },
	[MSA_LINK_LEGACY] = {
		[MSA_LEV_SHARED]   = { MSA_LINK_KNOWN,       GREET } },
};

const struct msa_health_cell msa_health_table[MSA_HEALTH__N][MSA_HEV__N] = {
	[MSA_HEALTH_UNKNOWN] = {
		[MSA_HEV_ALIVE]  = { MSA_HEALTH_GREEN,       0 },
		[MSA_HEV_LATE]   = { MSA_HEALTH_DEGRADED,    0 },
		[MSA_HEV_SILENT] = { MSA_HEALTH_INTERRUPTED, MSA_HACT_SEARCH },
		[MSA_HEV_DOWN]   = { MSA_HEALTH_UNKNOWN,     0 } },
	[MSA_HEALTH_GREEN] = {
		[MSA_HEV_ALIVE]  = { MSA_HEALTH_GREEN,       0 },
		[MSA_HEV_LATE]   = { MSA_HEALTH_DEGRADED,    0 },
		[MSA_HEV_SILENT] = { MSA_HEALTH_INTERRUPTED, MSA_HACT_SEARCH },
		[MSA_HEV_DOWN]   = { MSA_HEALTH_UNKNOWN,     0 } },
	[MSA_HEALTH_DEGRADED] = {
		[MSA_HEV_ALIVE]  = { MSA_HEALTH_GREEN,       0 },
		[MSA_HEV_LATE]   = { MSA_HEALTH_DEGRADED,    0 },
		[MSA_HEV_SILENT] = { MSA_HEALTH_INTERRUPTED, MSA_HACT_SEARCH },
		[MSA_HEV_DOWN]   = { MSA_HEALTH_UNKNOWN,     0 } },
	[MSA_HEALTH_INTERRUPTED] = {
		[MSA_HEV_ALIVE]  = { MSA_HEALTH_GREEN,       0 },
		/* One direction is back: late, not silent. */
		[MSA_HEV_LATE]   = { MSA_HEALTH_DEGRADED,    0 },
		[MSA_HEV_SILENT] = { MSA_HEALTH_INTERRUPTED, 0 },
		[MSA_HEV_DOWN]   = { MSA_HEALTH_UNKNOWN,     0 } },
};

const struct msa_member_cell msa_member_table[MSA_MEMBER__N][MSA_MEV__N] = {
	[MSA_MEMBER_UNSEEN] = {
		[MSA_MEV_OUT]         = { MSA_MEMBER_GREETED_OUT, 0 },
		[MSA_MEV_IN]          = { MSA_MEMBER_GREETED_IN,  0 },
		[MSA_MEV_GONE]        = { MSA_MEMBER_UNSEEN,      0 } },
	[MSA_MEMBER_GREETED_OUT] = {
		[MSA_MEV_OUT]         = { MSA_MEMBER_GREETED_OUT, 0 },
		[MSA_MEV_IN]          = { MSA_MEMBER_GREETED_OUT, 0 },
		[MSA_MEV_SAME_GROUP]  = { MSA_MEMBER_MEMBER,      MSA_MACT_JOINED },
		[MSA_MEV_OTHER_GROUP] = { MSA_MEMBER_GREETED_OUT, 0 },
		[MSA_MEV_REFUSED]     = { MSA_MEMBER_UNSEEN,      MSA_MACT_REGREET },
		[MSA_MEV_GONE]        = { MSA_MEMBER_UNSEEN,      0 } },
	[MSA_MEMBER_GREETED_IN] = {
		[MSA_MEV_OUT]         = { MSA_MEMBER_GREETED_OUT, 0 },
		[MSA_MEV_IN]          = { MSA_MEMBER_GREETED_IN,  0 },
		[MSA_MEV_SAME_GROUP]  = { MSA_MEMBER_MEMBER,      MSA_MACT_JOINED },
		[MSA_MEV_OTHER_GROUP] = { MSA_MEMBER_GREETED_IN,  0 },
		[MSA_MEV_REFUSED]     = { MSA_MEMBER_UNSEEN,      MSA_MACT_REGREET },
		[MSA_MEV_GONE]        = { MSA_MEMBER_UNSEEN,      0 } },
	[MSA_MEMBER_MEMBER] = {
		[MSA_MEV_OUT]         = { MSA_MEMBER_MEMBER,      0 },
		[MSA_MEV_IN]          = { MSA_MEMBER_MEMBER,      0 },
		[MSA_MEV_SAME_GROUP]  = { MSA_MEMBER_MEMBER,      0 },
		[MSA_MEV_OTHER_GROUP] = { MSA_MEMBER_GREETED_OUT, 0 },
		[MSA_MEV_REFUSED]     = { MSA_MEMBER_UNSEEN,      MSA_MACT_REGREET },
		[MSA_MEV_GONE]        = { MSA_MEMBER_UNSEEN,      0 } },
};
/* clang-format on */

uint32_t msa_link_step(enum msa_link *s, enum msa_link_event ev)
{
	const struct msa_link_cell *c = &msa_link_table[*s][ev];

	if (c->next == MSA_LINK__NONE)
		return MSA_ACT_UNEXPECTED;
	*s = c->next;
	return c->actions;
}

uint32_t msa_health_step(enum msa_health *s, enum msa_health_event ev)
{
	const struct msa_health_cell *c = &msa_health_table[*s][ev];

	if (c->next == MSA_HEALTH__NONE)
		return MSA_ACT_UNEXPECTED;
	*s = c->next;
	return c->actions;
}

uint32_t msa_member_step(enum msa_member_state *s, enum msa_member_event ev)
{
	const struct msa_member_cell *c = &msa_member_table[*s][ev];

	if (c->next == MSA_MEMBER__NONE)
		return MSA_ACT_UNEXPECTED;
	*s = c->next;
	return c->actions;
}

const char *msa_link_name(enum msa_link s)
{
	static const char *const name[MSA_LINK__N] = { "?", "NEEDED", "KNOWN", "OPERATIONAL", "LEGACY" };

	return s < MSA_LINK__N ? name[s] : "?";
}

const char *msa_link_event_name(enum msa_link_event ev)
{
	static const char *const name[MSA_LEV__N] = { "located", "lost",   "greeted", "deaf",
						      "silent",  "shared", "unshared" };

	return ev < MSA_LEV__N ? name[ev] : "?";
}

const char *msa_health_name(enum msa_health s)
{
	static const char *const name[MSA_HEALTH__N] = { "?", "UNKNOWN", "GREEN", "DEGRADED", "INTERRUPTED" };

	return s < MSA_HEALTH__N ? name[s] : "?";
}

const char *msa_health_event_name(enum msa_health_event ev)
{
	static const char *const name[MSA_HEV__N] = { "alive", "late", "silent", "down" };

	return ev < MSA_HEV__N ? name[ev] : "?";
}

const char *msa_member_name(enum msa_member_state s)
{
	static const char *const name[MSA_MEMBER__N] = { "?", "UNSEEN", "GREETED_OUT", "GREETED_IN", "MEMBER" };

	return s < MSA_MEMBER__N ? name[s] : "?";
}

const char *msa_member_event_name(enum msa_member_event ev)
{
	static const char *const name[MSA_MEV__N] = { "hello-answered", "hello-received",    "same-group",
						      "other-group",    "heartbeat-refused", "gone" };

	return ev < MSA_MEV__N ? name[ev] : "?";
}
