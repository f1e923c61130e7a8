/* SPDX-License-Identifier: BSD-2-Clause */
/* PROTOCOL G.5, sync-limit: answers that waited for the checks, and say something else than was remembered. */
#include "desk_priv.h"

void prt_desk_told(struct prt_child *c, const uint8_t digest[PRT_SEEN_DIGEST], const struct prt_refusal *no,
		   struct prt_outcome *out)
{
	struct msp_span wanted = msp_span(digest, PRT_SEEN_DIGEST);

	for (size_t i = 0; i < c->seen_count; i++) {
		struct prt_seen *s = &c->seen[i];

		if (!msp_span_equal(msp_span(s->digest, PRT_SEEN_DIGEST), wanted))
			continue;
		s->rcode = (uint16_t)no->rcode;
		s->ede = no->has_ede ? no->ede : 0;
		s->is_standard_ede = no->has_ede && no->is_standard;
		c->note[0] = '\0';
		out->is_changed = true;
	}
}

enum msp_err prt_desk_withdraw(const struct prt_rules *r, struct prt_child *c, const uint8_t digest[PRT_SEEN_DIGEST],
			       const struct prt_asker *asker, struct msp_wall now, struct prt_outcome *out)
{
	static const char why[] = "the servers could not be looked at in time";
	const struct prt_desk k = { r, c, now, out };
	struct prt_refusal no;

	if (c->pending.wait == PRT_WAIT_NONE)
		return MSP_OK;
	(void)prt_refuse_std(&no, (enum msp_ede_std)23, "G.5: sync-limit", "%s", why); /* RFC 8914: Network Error */
	no.rcode = MSP_RCODE_SERVFAIL;
	prt_desk_told(c, digest, &no, out);
	out->is_changed = true;
	return prt_desk_drop(&k, asker, no.rule, why, false);
}
