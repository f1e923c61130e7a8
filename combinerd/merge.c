/* SPDX-License-Identifier: BSD-2-Clause */
#include "merge.h"

#include <msproto/wire/hsync.h>

#include <string.h>

static const struct {
	const char *name, *text;
} notes_table[CMB_NOTE__N] = {
#define NOTE_ROW(name, text) [CMB_NOTE_##name] = { #name, text },
	CMB_NOTE_MAP(NOTE_ROW)
#undef NOTE_ROW
};

const char *cmb_note_name(enum cmb_note n)
{
	return notes_table[n].name;
}

const char *cmb_note_text(enum cmb_note n)
{
	return notes_table[n].text;
}

static uint64_t print_octets(uint64_t h, struct msp_span s)
{
	for (size_t i = 0; i < s.len; i++) /* FNV-1a */
		h = (h ^ s.ptr[i]) * UINT64_C(0x100000001b3);
	return h;
}

uint64_t cmb_rules_fingerprint(const struct cmb_rules *r)
{
	uint8_t fixed[8];
	struct msp_name identity = r->identity;
	struct msp_wr wr;

	msp_name_lower(&identity);
	msp_wr_init(&wr, fixed, sizeof(fixed));
	msp_wr_u8(&wr, 1); /* another number when the rules of this file change */
	msp_wr_u16(&wr, r->numbers->type_hsync);
	msp_wr_u8(&wr, r->numbers->hsync_compat_zero);
	msp_wr_u8(&wr, r->extra_cdnskey);
	msp_wr_u8(&wr, r->extra_key);
	msp_wr_u8(&wr, (uint8_t)r->zonemd);
	return print_octets(print_octets(UINT64_C(0xcbf29ce484222325), msp_wr_span(&wr)), msp_name_span(&identity));
}

bool cmb_rules_permit(const struct cmb_rules *r, enum cmb_slot slot)
{
	if (slot == CMB_CDNSKEY)
		return r->extra_cdnskey;
	if (slot == CMB_KEY)
		return r->extra_key;
	return slot < CMB_CONTRIB_SLOTS;
}

/* --- the HSYNC RRset -------------------------------------------------------------------------------------------- */

static bool read_hsync(const struct msp_rrset *set, size_t i, const struct cmb_rules *rules, struct msp_hsync *out)
{
	return msp_hsync_parse(set->rdata[i], rules->numbers->hsync_compat_zero, out) == MSP_OK && msp_hsync_valid(out);
}

/* A.1 rule 3: of two records with one identity OFF wins over ON and NO over YES. Folds later twins into h; false when
 * an earlier record has spoken for this identity already. */
static bool fold_twins(const struct msp_rrset *set, size_t at, const struct cmb_rules *rules, struct msp_hsync *h,
		       uint32_t *notes)
{
	struct msp_hsync other;

	for (size_t i = 0; i < set->count; i++) {
		if (i == at || !read_hsync(set, i, rules, &other) || !msp_name_equal(&other.identity, &h->identity))
			continue;
		*notes |= CMB_NOTE_BIT(CMB_NOTE_HSYNC_DUPLICATE);
		if (i < at)
			return false;
		if (other.state == MSP_HSYNC_OFF)
			h->state = MSP_HSYNC_OFF;
		if (other.sign == MSP_HSYNC_NO)
			h->sign = MSP_HSYNC_NO;
		if (other.nsmgmt == MSP_HSYNC_OWNER)
			h->nsmgmt = MSP_HSYNC_OWNER;
	}
	return true;
}

static void read_hsync_rrset(const struct msp_rrset *set, const struct cmb_rules *rules, struct cmb_policy *p)
{
	bool any_agent = false, any_owner = false;

	for (size_t i = 0; i < set->count; i++) {
		struct msp_hsync h;

		if (!read_hsync(set, i, rules, &h)) {
			p->notes |= CMB_NOTE_BIT(CMB_NOTE_HSYNC_MALFORMED);
			continue;
		}
		p->has_hsync = true;
		if (!fold_twins(set, i, rules, &h, &p->notes))
			continue;
		if (h.state == MSP_HSYNC_ON) {
			any_agent = any_agent || h.nsmgmt == MSP_HSYNC_AGENT;
			any_owner = any_owner || h.nsmgmt == MSP_HSYNC_OWNER;
			p->any_signer = p->any_signer || h.sign == MSP_HSYNC_YES;
		}
		if (msp_name_equal(&h.identity, &rules->identity))
			p->own = h.sign == MSP_HSYNC_YES ? CMB_SIGN_YES : CMB_SIGN_NO;
	}
	/* A.1 rule 4: a property of the zone, AGENT only when everybody who is ON agrees */
	p->ns_agent = any_agent && !any_owner;
	if (any_agent && any_owner)
		p->notes |= CMB_NOTE_BIT(CMB_NOTE_NSMGMT_MIXED);
}

void cmb_policy_derive(const struct cmb_owner *owner, const struct cmb_rules *rules, bool ns_before,
		       struct cmb_policy *out)
{
	struct cmb_policy p = { .pass_through = owner->is_signed };

	if (!cmb_rrset_empty(owner->hsync))
		read_hsync_rrset(owner->hsync, rules, &p);
	/* E.5: a provider that does not sign leaves NS to those who do, unless nobody signs. E.4 fence 4: without HSYNC
	 * things stay as they are. */
	p.ns_applied = p.has_hsync ? p.ns_agent && (p.own == CMB_SIGN_YES || !p.any_signer) : ns_before;
	if (p.pass_through) {
		p.ns_applied = false;
		p.notes |= CMB_NOTE_BIT(CMB_NOTE_PASS_THROUGH);
	} else if (!cmb_rrset_empty(owner->apex.set[CMB_DNSKEY])) {
		p.notes |= CMB_NOTE_BIT(CMB_NOTE_STRAY_DNSKEY);
	}
	if (!p.has_hsync)
		p.notes |= CMB_NOTE_BIT(CMB_NOTE_NO_HSYNC);
	else if (p.own == CMB_SIGN_ABSENT)
		p.notes |= CMB_NOTE_BIT(CMB_NOTE_NOT_LISTED);
	*out = p;
}

bool cmb_policy_lists(const struct cmb_owner *owner, const struct cmb_rules *rules, const struct msp_name *identity)
{
	const struct msp_rrset *set = owner->hsync;
	struct msp_hsync h;

	for (size_t i = 0; !cmb_rrset_empty(set) && i < set->count; i++)
		if (read_hsync(set, i, rules, &h) && msp_name_equal(&h.identity, identity))
			return true;
	return false;
}

/* --- E.3 -------------------------------------------------------------------------------------------------------- */

static bool is_delete(enum cmb_slot slot, struct msp_span rdata)
{
	return slot == CMB_CDS ? msp_cds_is_delete(rdata) : slot == CMB_CDNSKEY && msp_cdnskey_is_delete(rdata);
}

/* RFC 8078 4: the delete record stands alone or not at all. instruct.c lets no such mix in; what two originators set at
 * different times may still meet here. */
static void drop_mixed_delete(enum cmb_slot slot, struct msp_rrset *set, uint32_t *notes)
{
	uint8_t oct[5]; /* both delete records are this long; a copy, since the set's own octets go away */

	for (size_t i = 0; set->count > 1 && i < set->count; i++) {
		if (!is_delete(slot, set->rdata[i]) || set->rdata[i].len != sizeof(oct))
			continue;
		memcpy(oct, set->rdata[i].ptr, sizeof(oct));
		(void)msp_rrset_del(set, msp_span(oct, sizeof(oct)));
		*notes |= CMB_NOTE_BIT(CMB_NOTE_CDS_MIXED);
		return;
	}
}

static enum msp_err copy(const struct msp_rrset *from, struct msp_rrset **out)
{
	*out = NULL;
	return cmb_rrset_empty(from) ? MSP_OK : msp_rrset_dup(from, out);
}

static enum msp_err merge_slot(enum cmb_slot slot, const struct msp_rrset *owner, const struct cmb_contrib *contrib,
			       struct msp_rrset **out, uint32_t *notes)
{
	struct msp_rrset *c = NULL;
	enum msp_err err = cmb_contrib_union(contrib, slot, &c);

	if (err == MSP_OK && c == NULL)
		return copy(owner, out);
	if (err == MSP_OK && slot == CMB_DNSKEY && !cmb_rrset_empty(owner)) {
		err = msp_rrset_merge(c, owner); /* united; the TTL is that of the contributions */
		c->owner = owner->owner;
	}
	if (err == MSP_OK && c != NULL)
		drop_mixed_delete(slot, c, notes);
	if (err != MSP_OK)
		msp_rrset_free(&c);
	*out = c;
	return err;
}

enum msp_err cmb_merge(const struct cmb_owner *owner, const struct cmb_contrib *contrib,
		       const struct cmb_policy *policy, const struct cmb_rules *rules, struct cmb_apex *out,
		       uint32_t *notes)
{
	struct cmb_apex r = { 0 };
	enum msp_err err = MSP_OK;

	for (unsigned i = 0; err == MSP_OK && i < CMB_CONTRIB_SLOTS; i++) {
		enum cmb_slot slot = (enum cmb_slot)i;
		bool applied = !policy->pass_through && cmb_rules_permit(rules, slot) &&
			       (slot != CMB_NS || policy->ns_applied);

		if (applied) {
			err = merge_slot(slot, owner->apex.set[i], contrib, &r.set[i], notes);
			continue;
		}
		err = copy(owner->apex.set[i], &r.set[i]);
		for (size_t k = 0; k < contrib->count; k++)
			if (contrib->entry[k].slot == slot)
				*notes |= CMB_NOTE_BIT(CMB_NOTE_HELD_BACK);
	}
	if (err != MSP_OK) {
		cmb_apex_fini(&r);
		return err;
	}
	*out = r;
	return MSP_OK;
}
