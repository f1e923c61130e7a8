/* SPDX-License-Identifier: BSD-2-Clause */
/* PROTOCOL D.7 and D.8: what is accepted from a peer for a zone. */
#include "support.h"

#include <msproto/auth/digest.h>
#include <msproto/auth/dnssec.h>
#include <msproto/auth/key.h>

#include "contribution.h"

static struct msp_name zone;

static void add_key(struct msp_rrset *set, uint16_t flags)
{
	struct msp_key *k = NULL;

	T_OK(msp_key_generate(&zone, MSP_ALG_ED25519, flags, &k));
	T_OK(msp_rrset_add(set, msp_key_rdata(k)));
	msp_key_free(&k);
}

/** A KSK, a ZSK, the CDS, two NS: good as it is. */
static void good(struct msa_contribution *c)
{
	struct msp_name ns = t_name("ns.b.test.");

	*c = (struct msa_contribution){ .version = 3 };
	T_OK(msp_rrset_new(&zone, MSP_TYPE_DNSKEY, 300, &c->dnskey));
	add_key(c->dnskey, 257);
	add_key(c->dnskey, 256);
	T_OK(msa_cds_of(&zone, c->dnskey, 300, &c->cds));
	T_OK(msp_rrset_new(&zone, MSP_TYPE_NS, 300, &c->ns));
	T_OK(msp_rrset_add(c->ns, msp_name_span(&ns)));
	T_OK(msa_contribution_digest(&zone, c, c->digest));
}

static void refuse_with(struct msa_contribution *c, bool may_sign, const struct msa_foreign *others, size_t count,
			const char *rule)
{
	struct msp_why why = { "" };

	T_ERR(msa_contribution_check(&zone, c, may_sign, others, count, &why), MSP_EREFUSED);
	if (strstr(why.text, rule) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why.text, rule);
}

static void a_good_contribution_is_accepted_and_survives_the_store(void **state)
{
	struct msa_contribution c, back;
	struct msp_buf b;
	struct msp_why why = { "" };

	(void)state;
	good(&c);
	assert_int_equal(c.cds->count, 1); /* of the SEP key only */
	T_OK(msa_contribution_check(&zone, &c, true, NULL, 0, &why));
	msp_buf_init(&b, 1 << 16);
	T_OK(msa_contribution_write(&c, &b));
	T_OK(msa_contribution_read(msp_buf_span(&b), &back));
	assert_int_equal(back.version, 3);
	assert_memory_equal(back.digest, c.digest, 32);
	assert_true(msp_rrset_equal(back.dnskey, c.dnskey) && msp_rrset_equal(back.cds, c.cds) &&
		    msp_rrset_equal(back.ns, c.ns));
	msa_contribution_fini(&back);
	for (size_t len = 0; len < b.len; len++) /* cut anywhere: damaged, never a crash */
		T_ERR(msa_contribution_read(msp_span(b.ptr, len), &back), MSP_ECORRUPT);
	msp_buf_fini(&b);
	msa_contribution_fini(&c);
}

static void the_digest_is_over_sorted_canonical_records_with_ttl(void **state)
{
	struct msp_name upper = t_name("ZONE.example."), ns = t_name("NS.b.test.");
	struct msa_contribution c = { 0 };
	uint8_t got[32], want[32];
	struct msp_buf b;
	struct msp_span part;

	(void)state;
	T_OK(msp_rrset_new(&upper, MSP_TYPE_NS, 3600, &c.ns));
	T_OK(msp_rrset_add(c.ns, msp_name_span(&ns)));
	T_OK(msa_contribution_digest(&upper, &c, got));
	t_hex("047a6f6e65076578616d706c6500 0002 0001 00000e10 000b 026e7301620474657374 00", &b);
	part = msp_buf_span(&b);
	T_OK(msp_sha256(&part, 1, want));
	assert_memory_equal(got, want, 32);
	c.ns->ttl = 3601;
	T_OK(msa_contribution_digest(&upper, &c, got));
	assert_memory_not_equal(got, want, 32);
	msp_buf_fini(&b);
	msa_contribution_fini(&c);
}

static void a_key_tag_of_somebody_else_is_refused(void **state)
{
	struct msa_contribution c;
	struct msp_name other = t_name("msa.c.test.");
	struct msa_foreign foreign = { .identity = &other };

	(void)state;
	good(&c);
	foreign.dnskey = c.dnskey; /* the very same key claimed by two */
	refuse_with(&c, true, &foreign, 1, "is used by msa.c.test.");
	msa_contribution_fini(&c);
}

static void keys_must_be_zone_keys_of_known_algorithms(void **state)
{
	static const struct {
		const char *hex, *rule;
	} row[] = {
		{ "0100 02 0f", "protocol" },
		{ "0000 03 0f", "zone flag" },
		{ "0180 03 0f", "REVOKE" },
		{ "0100 03 63", "unknown algorithm" },
		{ "0100 03 0d", "no usable public key" },
		{ "0101 03 08", "no usable public key" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct msa_contribution c = { 0 };
		struct msp_buf b;
		char hex[200];

		snprintf(hex, sizeof(hex), "%s 97 4d 96 a2 22 d2", row[i].hex);
		t_hex(hex, &b);
		T_OK(msp_rrset_new(&zone, MSP_TYPE_DNSKEY, 300, &c.dnskey));
		T_OK(msp_rrset_add(c.dnskey, msp_buf_span(&b)));
		refuse_with(&c, true, NULL, 0, row[i].rule);
		msp_buf_fini(&b);
		msa_contribution_fini(&c);
	}
}

static void numbers_and_ttls_have_limits(void **state)
{
	struct msa_contribution c;

	(void)state;
	good(&c);
	while (c.dnskey->count <= MSA_KEYS_MAX)
		add_key(c.dnskey, 256);
	refuse_with(&c, true, NULL, 0, "more than 16");
	msa_contribution_fini(&c);
	good(&c);
	for (unsigned i = 0; i < 13; i++) {
		char text[40];
		struct msp_name n;

		snprintf(text, sizeof(text), "ns%u.test.", i);
		n = t_name(text);
		T_OK(msp_rrset_add(c.ns, msp_name_span(&n)));
	}
	refuse_with(&c, true, NULL, 0, "more than 13");
	msa_contribution_fini(&c);
	good(&c);
	c.dnskey->ttl = 0;
	refuse_with(&c, true, NULL, 0, "TTL");
	c.dnskey->ttl = 86401;
	refuse_with(&c, true, NULL, 0, "TTL");
	msa_contribution_fini(&c);
}

static void cds_must_be_the_digest_of_a_contributed_ksk(void **state)
{
	struct msa_contribution c, stranger;
	uint8_t ds[MSP_DS_MAX];
	size_t len = sizeof(ds);

	(void)state;
	good(&c);
	good(&stranger);
	T_OK(msp_rrset_merge(c.cds, stranger.cds));
	refuse_with(&c, true, NULL, 0, "no contributed KSK");
	msa_contribution_fini(&c);
	good(&c);
	for (size_t i = 0; i < c.dnskey->count; i++) { /* digest type 4; and of the ZSK */
		struct msp_dnskey k;
		bool is_ksk;

		T_OK(msp_dnskey_parse(c.dnskey->rdata[i], &k));
		is_ksk = (k.flags & MSP_DNSKEY_SEP) != 0;
		len = sizeof(ds);
		T_OK(msp_ds_from_dnskey(&zone, c.dnskey->rdata[i], is_ksk ? MSP_DIGEST_SHA384 : MSP_DIGEST_SHA256, ds,
					&len));
		T_OK(msp_rrset_add(c.cds, msp_span(ds, len)));
		refuse_with(&c, true, NULL, 0, is_ksk ? "digest type" : "no contributed KSK");
		msp_rrset_del(c.cds, msp_span(ds, len));
	}
	T_OK(msp_rrset_add(c.cds, msp_span("\0\0\0\0\0", 5))); /* the delete sentinel */
	refuse_with(&c, true, NULL, 0, "digest type");
	msa_contribution_fini(&c);
	msa_contribution_fini(&stranger);
}

/* D.8. */
static void who_is_no_signer_contributes_ns_only(void **state)
{
	struct msa_contribution c;
	struct msp_why why = { "" };

	(void)state;
	good(&c);
	refuse_with(&c, false, NULL, 0, "not a signer");
	msp_rrset_free(&c.dnskey);
	refuse_with(&c, false, NULL, 0, "not a signer");
	msp_rrset_free(&c.cds);
	T_OK(msa_contribution_check(&zone, &c, false, NULL, 0, &why));
	msa_contribution_fini(&c);
}

static void another_owner_or_type_is_refused(void **state)
{
	struct msa_contribution c;

	(void)state;
	good(&c);
	c.dnskey->owner = t_name("xzone.example.");
	refuse_with(&c, true, NULL, 0, "another type or owner");
	msa_contribution_fini(&c);
	good(&c);
	c.ns->type = MSP_TYPE_CNAME;
	refuse_with(&c, true, NULL, 0, "another type or owner");
	msa_contribution_fini(&c);
}

static void cdnskey_follow_the_ksks(void **state)
{
	struct msa_contribution c;
	struct msp_rrset *cdnskey = NULL;

	(void)state;
	good(&c);
	T_OK(msa_cdnskey_of(&zone, c.dnskey, 300, &cdnskey));
	assert_int_equal(cdnskey->count, 1);
	assert_true(msp_rrset_has(c.dnskey, cdnskey->rdata[0]));
	msp_rrset_free(&cdnskey);
	msa_contribution_fini(&c);
}

static int set_up(void **state)
{
	(void)state;
	zone = t_name("zone.example.");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_contribution_is_accepted_and_survives_the_store),
		cmocka_unit_test(the_digest_is_over_sorted_canonical_records_with_ttl),
		cmocka_unit_test(a_key_tag_of_somebody_else_is_refused),
		cmocka_unit_test(keys_must_be_zone_keys_of_known_algorithms),
		cmocka_unit_test(numbers_and_ttls_have_limits),
		cmocka_unit_test(cds_must_be_the_digest_of_a_contributed_ksk),
		cmocka_unit_test(who_is_no_signer_contributes_ns_only),
		cmocka_unit_test(another_owner_or_type_is_refused),
		cmocka_unit_test(cdnskey_follow_the_ksks),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
