/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A sequence of UPDATEs (each behind two octets of length) against combinerd's rules. Whatever comes: what is accepted
 * holds only permitted records, what is refused changes nothing, and the zone that comes out differs in the permitted
 * apex RRsets and nowhere else, and keeps its NS (S9; PROTOCOL E.2 to E.4).
 */
#include "instruct.h"

#include <msproto/base/mem.h>
#include <msproto/wire/text.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define CHECK(claim)                                                                                                   \
	do {                                                                                                           \
		if (!(claim))                                                                                          \
			abort();                                                                                       \
	} while (0)

static struct msp_rr_scratch scratch;

static const char *const lines[] = {
	"zone.test. 300 SOA ns.test. host.test. 1000 3600 600 86400 60",
	"zone.test. 300 NS ns1.owner.test.",
	"zone.test. 300 HSYNC ON AGENT YES msa.a.test.",
	"zone.test. 300 HSYNC ON AGENT YES msa.b.test.",
};

static struct cmb_owner *make_owner(void)
{
	struct cmb_owner *o = msp_alloc(1, sizeof(*o));
	struct msp_buf rdata;
	bool ttl_differs;

	CHECK(o != NULL);
	o->gen = 1;
	msp_buf_init(&rdata, MSP_RDATA_MAX);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct msp_rr rr;

		CHECK(msp_rr_scan(msp_span_str(lines[i]), NULL, NULL, 300, &rdata, &rr, NULL) == MSP_OK);
		if (rr.type != MSP_TYPE_HSYNC_DEFAULT) {
			CHECK(cmb_apex_add(&o->apex, &rr, &ttl_differs) == MSP_OK);
			continue;
		}
		if (o->hsync == NULL)
			CHECK(msp_rrset_new(&rr.owner, rr.type, rr.ttl, &o->hsync) == MSP_OK);
		CHECK(msp_rrset_add(o->hsync, rr.rdata) == MSP_OK);
	}
	msp_buf_fini(&rdata);
	return o;
}

static void check_held(const struct cmb_owner *owner, const struct cmb_contrib *held, const struct cmb_policy *policy,
		       const struct cmb_rules *rules)
{
	struct cmb_apex merged = { 0 };
	uint32_t notes = 0;

	for (size_t i = 0; i < held->count; i++) {
		const struct cmb_contrib_entry *e = &held->entry[i];

		CHECK(cmb_rules_permit(rules, e->slot) && e->set != NULL && e->set->count > 0);
		CHECK(msp_name_equal(&e->set->owner, &rules->zone) && e->set->type == cmb_slot_type(e->slot));
		for (size_t r = 0; r < e->set->count; r++)
			CHECK(cmb_contribution_check(e->slot, e->set->rdata[r], NULL) == MSP_OK);
	}
	CHECK(cmb_merge(owner, held, policy, rules, &merged, &notes) == MSP_OK);
	CHECK(!cmb_rrset_empty(merged.set[CMB_NS]));
	for (unsigned slot = 0; slot < CMB_CONTRIB_SLOTS; slot++)
		if (!cmb_rules_permit(rules, (enum cmb_slot)slot))
			CHECK(cmb_rrset_same(merged.set[slot], owner->apex.set[slot]));
	cmb_apex_fini(&merged);
}

/* Most keys may change everything; what the scope is comes from the message, so that the fuzzer finds both. */
static uint32_t scope_of(const struct msp_msg *m)
{
	return (m->id & 1) == 0 ? CMB_SCOPE_ALL : m->id >> 1;
}

static void check_scope(const struct cmb_contrib *before, const struct cmb_contrib *after, uint32_t scope)
{
	for (size_t i = 0; i < after->count; i++) {
		const struct cmb_contrib_entry *e = &after->entry[i];

		CHECK((scope >> e->slot & 1) != 0 ||
		      cmb_rrset_same(e->set, cmb_contrib_get(before, &e->originator, e->slot)));
	}
	for (size_t i = 0; i < before->count; i++) {
		const struct cmb_contrib_entry *e = &before->entry[i];

		CHECK((scope >> e->slot & 1) != 0 || cmb_contrib_get(after, &e->originator, e->slot) != NULL);
	}
}

static void one(struct msp_span octets, const struct cmb_owner *owner, const struct cmb_policy *policy,
		const struct cmb_rules *rules, struct cmb_contrib *held)
{
	struct msp_msg m;
	struct cmb_instruct in = {
		.msg = &m, .rules = rules, .owner = owner, .policy = policy, .held = held, .scratch = &scratch
	};
	struct cmb_verdict v;
	char line[64];

	if (msp_msg_parse(octets, &scratch, &m, NULL) != MSP_OK || m.opcode != MSP_OPCODE_UPDATE ||
	    msp_update_check(&m, NULL) != MSP_OK)
		return;
	in.scope = scope_of(&m);
	CHECK(cmb_instruct(&in, &v) == MSP_OK);
	CHECK((v.rcode == MSP_RCODE_NOERROR) == (v.rule == NULL));
	CHECK(v.rcode == MSP_RCODE_NOERROR || !v.changed);
	if (!v.changed) {
		CHECK(v.result.count == 0);
		return;
	}
	check_scope(held, &v.result, in.scope);
	cmb_instruct_tell(held, &v.result, &v.originator, line, sizeof(line));
	CHECK(line[0] != '\0' && strlen(line) < sizeof(line));
	cmb_contrib_fini(held);
	*held = v.result;
	check_held(owner, held, policy, rules);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cmb_rules rules = { .numbers = &msp_numbers_default };
	struct cmb_contrib held = { 0 };
	struct cmb_policy policy;
	struct cmb_owner *owner = make_owner();

	CHECK(msp_name_from_text("zone.test.", &rules.zone) == MSP_OK);
	CHECK(msp_name_from_text("msa.a.test.", &rules.identity) == MSP_OK);
	cmb_policy_derive(owner, &rules, false, &policy);
	while (len >= 2) {
		size_t n = (size_t)data[0] << 8 | data[1];

		if (n > len - 2)
			n = len - 2;
		one(msp_span(data + 2, n), owner, &policy, &rules, &held);
		data += 2 + n;
		len -= 2 + n;
	}
	cmb_contrib_fini(&held);
	cmb_owner_free(&owner);
	return 0;
}
