/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Builders for parentd's tests: delegations from text. */
#ifndef TEST_PRT_BUILD_H
#define TEST_PRT_BUILD_H

#include "update_text.h"

#include "delegation.h"

#define P        "example."
#define C        "child.example."
#define DIGEST_1 "D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A"
#define DIGEST_2 "A4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50B"
#define USUAL                                                                                                          \
	C " 300 NS ns1." C "\n" C " 300 NS ns.other.test.\n"                                                           \
	  "ns1." C " 300 A 198.41.0.4\nns1." C " 300 AAAA 2001:503:ba3e::2:30\n" C " 300 DS 1 13 2 " DIGEST_1 "\n"

static inline void t_delegation(struct prt_delegation *d, const char *lines)
{
	struct msp_name parent = t_name(P), child = t_name(C);
	struct msp_buf rdata;

	msp_buf_init(&rdata, MSP_RDATA_MAX);
	prt_delegation_init(d, &parent, &child);
	while (*lines != '\0') {
		size_t len = strcspn(lines, "\n");
		struct msp_why why = { "" };
		struct msp_rr rr;

		if (msp_rr_scan(msp_span(lines, len), NULL, NULL, 300, &rdata, &rr, &why) != MSP_OK)
			fail_msg("%.*s: %s", (int)len, lines, why.text);
		T_OK(prt_delegation_add(d, &rr));
		lines += len + (lines[len] == '\n');
	}
	msp_buf_fini(&rdata);
}

static inline bool t_is(const struct prt_delegation *d, const char *lines)
{
	struct prt_delegation want;
	bool same;

	t_delegation(&want, lines);
	same = prt_delegation_equal(d, &want);
	prt_delegation_clear(&want);
	return same;
}

#endif
