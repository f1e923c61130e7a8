/* SPDX-License-Identifier: BSD-2-Clause */
/* The store is lost, the combiner is not: what it was given must not be taken for our signer's own (PROTOCOL F.2 I10,
 * F.3). */
#include "fixture.h"

static struct msp_rrset *foreign_keys(struct fx *f)
{
	struct msp_rrset *set = NULL;
	struct msp_key *k = NULL;

	T_OK(msp_rrset_new(&f->zone, MSP_TYPE_DNSKEY, 300, &set));
	for (uint16_t flags = 256; flags <= 257; flags++) {
		T_OK(msp_key_generate(&f->zone, MSP_ALG_ED25519, flags, &k));
		T_OK(msp_rrset_add(set, msp_key_rdata(k)));
		msp_key_free(&k);
	}
	return set;
}

static void read_back(struct fx *f, const struct msp_rrset *dnskey)
{
	struct msa_event ev = { .kind = MSA_EV_READBACK };

	ev.u.readback.zone = f->zone;
	ev.u.readback.dnskey = dnskey;
	fx_step(f, &ev);
}

static const struct msa_contribution *own(struct fx *f)
{
	return &msa_core_find_zone(f->core, &f->zone)->own;
}

static void view_with(struct fx *f, const struct msp_rrset *foreign)
{
	struct msp_rrset *ours = f->own, *all = NULL;

	T_OK(msp_rrset_dup(ours, &all));
	T_OK(msp_rrset_merge(all, foreign));
	f->own = all; /* what the signer serves */
	fx_view(f);
	f->own = ours;
	msp_rrset_free(&all);
}

static void keys_read_back_from_the_combiner_are_not_our_own(void **state)
{
	struct fx *f = fx_new_bare();
	struct msp_rrset *foreign = foreign_keys(f);

	(void)state;
	fx_hsync(f, "ON OWNER YES", FX_A);
	fx_hsync(f, "ON OWNER YES", FX_B);
	assert_false(msa_core_has_put(f->core, &f->zone));
	read_back(f, foreign);
	assert_true(msa_core_has_put(f->core, &f->zone));
	assert_true(fx_count(f, MSA_ACT_STORE) >= 1);
	view_with(f, foreign);
	assert_true(msp_rrset_equal(own(f)->dnskey, f->own));
	assert_int_equal(own(f)->cds->count, 1);
	msp_rrset_free(&foreign);
	fx_free(&f);
}

static void an_empty_combiner_tells_nothing(void **state)
{
	struct fx *f = fx_new_bare();

	(void)state;
	fx_hsync(f, "ON OWNER YES", FX_A);
	read_back(f, NULL);
	assert_false(msa_core_has_put(f->core, &f->zone));
	assert_int_equal(fx_count(f, MSA_ACT_COMBINE), 0);
	fx_view(f);
	assert_true(msp_rrset_equal(own(f)->dnskey, f->own));
	fx_free(&f);
}

static void what_is_stored_outranks_what_is_read_back(void **state)
{
	struct fx *f = fx_new_bare();
	struct msp_rrset *foreign = foreign_keys(f), *other = foreign_keys(f);

	(void)state;
	read_back(f, foreign);
	read_back(f, other);
	assert_true(msp_rrset_equal(msa_core_find_zone(f->core, &f->zone)->put_dnskey, foreign));
	msp_rrset_free(&foreign);
	msp_rrset_free(&other);
	fx_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_read_back_from_the_combiner_are_not_our_own),
		cmocka_unit_test(an_empty_combiner_tells_nothing),
		cmocka_unit_test(what_is_stored_outranks_what_is_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
