/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Builders for combinerd's tests: owners, contributions and rules from text. */
#ifndef TEST_CMB_BUILD_H
#define TEST_CMB_BUILD_H

#include "support.h"

#include "core.h"

#include <msproto/base/mem.h>
#include <msproto/wire/text.h>

#define Z        "zone.test. "
#define SOA_LINE Z "300 SOA ns.test. host.test. 1000 3600 600 86400 60\n"
#define NS_LINES Z "300 NS ns1.owner.test.\n" Z "300 NS ns2.owner.test.\n"
#define US       "msa.a.test."
#define THEM     "msa.b.test."
#define KEY_A    "257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="
#define KEY_B    "256 3 13 oJMRESz5E4gYzS/q6XDrvU1qMPYIjCWzJaOau8XNEZeqCYKD5ar0IRd8KqXXFJkqmVfRvMGPmM1x8fGAa2XhSA=="
#define DIGEST   "D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A"

static inline struct cmb_rules t_rules(void)
{
	return (struct cmb_rules){ .zone = t_name("zone.test."),
				   .identity = t_name(US),
				   .numbers = &msp_numbers_default };
}

/** A line as t_rrset takes it; HSYNC by name. */
static inline void t_owner_add(struct cmb_owner *o, const char *lines)
{
	struct msp_buf rdata;

	msp_buf_init(&rdata, MSP_RDATA_MAX);
	while (*lines != '\0') {
		size_t len = strcspn(lines, "\n");
		struct msp_why why = { "" };
		bool ttl_differs = false;
		struct msp_rr rr;

		if (msp_rr_scan(msp_span(lines, len), NULL, NULL, 300, &rdata, &rr, &why) != MSP_OK)
			fail_msg("%.*s: %s", (int)len, lines, why.text);
		if (rr.type == MSP_TYPE_HSYNC_DEFAULT) {
			if (o->hsync == NULL)
				T_OK(msp_rrset_new(&rr.owner, rr.type, rr.ttl, &o->hsync));
			T_OK(msp_rrset_add(o->hsync, rr.rdata));
		} else {
			T_OK(cmb_apex_add(&o->apex, &rr, &ttl_differs));
		}
		lines += len + (lines[len] == '\n');
	}
	msp_buf_fini(&rdata);
}

/** SOA and NS, and the lines given. */
static inline struct cmb_owner *t_owner(const char *lines)
{
	struct cmb_owner *o = msp_alloc(1, sizeof(*o));

	assert_non_null(o);
	o->gen = 1;
	t_owner_add(o, SOA_LINE NS_LINES);
	t_owner_add(o, lines);
	return o;
}

static inline void t_contribute(struct cmb_contrib *c, const char *originator, const char *lines)
{
	struct msp_name who = originator ? t_name(originator) : cmb_originator_local();
	struct msp_rrset *set = t_rrset(lines);
	enum cmb_slot slot;

	assert_true(cmb_slot_of(set->type, &slot));
	T_OK(cmb_contrib_set(c, &who, slot, &set));
}

/** "KEY 10 DNSKEY ..." lines equal the set, TTL included; NULL: empty. */
static inline void t_assert_set(const struct msp_rrset *got, const char *lines)
{
	struct msp_rrset *want = lines ? t_rrset(lines) : NULL;
	bool same;

	if (want != NULL && got != NULL && got->count > 0)
		assert_int_equal(got->ttl, want->ttl);
	same = cmb_rrset_same(got, want);
	msp_rrset_free(&want);
	assert_true(same);
}

#endif
