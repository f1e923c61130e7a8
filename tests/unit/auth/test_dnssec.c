/* SPDX-License-Identifier: BSD-2-Clause */
#include "authkit.h"
#include "dnssec_vectors.h"

#include <msproto/auth/dnssec.h>

#define VECTORS (sizeof(dnssec_vectors) / sizeof(dnssec_vectors[0]))
#define IN_TIME ((struct msp_wall){ 1795492800 }) /* November 2026 */

struct zone {
	struct msp_name name;
	struct msp_rrset *dnskey, *soa, *ns, *txt, *sig;
};

static struct zone open_zone(const struct dnssec_vector *v)
{
	return (struct zone){ t_name("zone.example."), t_rrset(v->dnskey), t_rrset(vec_soa),
			      t_rrset(vec_ns),         t_rrset(vec_txt),   NULL };
}

static void close_zone(struct zone *z)
{
	msp_rrset_free(&z->dnskey);
	msp_rrset_free(&z->soa);
	msp_rrset_free(&z->ns);
	msp_rrset_free(&z->txt);
}

static enum msp_err check(const struct zone *z, const struct msp_rrset *set, const char *sig_text, struct msp_wall now)
{
	struct msp_rrset *sig = t_rrset(sig_text);
	enum msp_err err;

	err = msp_rrsig_verify(set, sig->rdata[0], &z->name, z->dnskey->rdata[0], now);
	msp_rrset_free(&sig);
	return err;
}

static void signatures_of_a_signed_zone_verify_for_all_algorithms(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		const struct dnssec_vector *v = &dnssec_vectors[i];
		struct zone z = open_zone(v);

		T_OK(check(&z, z.soa, v->sig_soa, IN_TIME));
		T_OK(check(&z, z.ns, v->sig_ns, IN_TIME)); /* mixed case, to be sorted in lower case */
		T_OK(check(&z, z.dnskey, v->sig_dnskey, IN_TIME));
		T_OK(check(&z, z.txt, v->sig_txt, IN_TIME));
		close_zone(&z);
	}
}

static void answers_made_from_a_wildcard_verify_under_their_own_name(void **state)
{
	static const char *const names[] = { "q.w.zone.example.", "a.B.q.W.zone.example.", "*.w.zone.example.",
					     "*.q.w.zone.example." };
	const struct dnssec_vector *v = &dnssec_vectors[3];
	struct zone z = open_zone(v);

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		z.txt->owner = t_name(names[i]);
		T_OK(check(&z, z.txt, v->sig_txt, IN_TIME));
	}
	z.txt->owner = t_name("q.v.zone.example.");
	T_ERR(check(&z, z.txt, v->sig_txt, IN_TIME), MSP_ESIG);
	z.txt->owner = t_name("zone.example."); /* fewer labels than were signed */
	T_ERR(check(&z, z.txt, v->sig_txt, IN_TIME), MSP_EFORMAT);
	close_zone(&z);
}

static void the_ttl_may_have_run_down_but_nothing_else_may_differ(void **state)
{
	const struct dnssec_vector *v = &dnssec_vectors[1];
	struct zone z = open_zone(v);
	struct msp_rrset *more = t_rrset("zone.example. 1 IN NS ns4.example.");

	(void)state;
	z.ns->ttl = 17;
	z.ns->owner = t_name("ZONE.EXAMPLE.");
	T_OK(check(&z, z.ns, v->sig_ns, IN_TIME));
	T_OK(msp_rrset_merge(z.ns, more));
	T_ERR(check(&z, z.ns, v->sig_ns, IN_TIME), MSP_ESIG);
	msp_rrset_subtract(z.ns, more);
	T_OK(check(&z, z.ns, v->sig_ns, IN_TIME));
	T_ERR(check(&z, z.ns, v->sig_soa, IN_TIME), MSP_EFORMAT); /* covers another type */
	z.soa->owner = t_name("other.example.");
	T_ERR(check(&z, z.soa, v->sig_soa, IN_TIME), MSP_EFORMAT); /* not in the zone */
	msp_rrset_free(&more);
	close_zone(&z);
}

static void signatures_hold_from_inception_to_expiration(void **state)
{
	const struct dnssec_vector *v = &dnssec_vectors[3];
	struct zone z = open_zone(v);
	int64_t from = 1767225600, to = 1798761600;

	(void)state;
	T_OK(check(&z, z.soa, v->sig_soa, (struct msp_wall){ from }));
	T_OK(check(&z, z.soa, v->sig_soa, (struct msp_wall){ to }));
	T_ERR(check(&z, z.soa, v->sig_soa, (struct msp_wall){ from - 1 }), MSP_ETIME);
	T_ERR(check(&z, z.soa, v->sig_soa, (struct msp_wall){ to + 1 }), MSP_ETIME);
	close_zone(&z);
}

static void only_the_zone_key_that_the_signature_names_is_tried(void **state)
{
	const struct dnssec_vector *v = &dnssec_vectors[3];
	struct zone z = open_zone(v), other = open_zone(&dnssec_vectors[1]);
	struct msp_rrset *sig = t_rrset(v->sig_soa);
	struct msp_name parent = t_name("example.");
	uint64_t before = msp_key_verify_count();
	uint8_t *rdata, flags;

	(void)state;
	T_ERR(msp_rrsig_verify(z.soa, sig->rdata[0], &z.name, other.dnskey->rdata[0], IN_TIME), MSP_ENOKEY);
	T_ERR(msp_rrsig_verify(z.soa, sig->rdata[0], &parent, z.dnskey->rdata[0], IN_TIME), MSP_ENOKEY);
	T_ERR(msp_rrsig_verify(z.soa, sig->rdata[0], &z.name, msp_span("\x01", 1), IN_TIME), MSP_EFORMAT);
	T_ERR(msp_rrsig_verify(z.soa, msp_span("\x00", 1), &z.name, z.dnskey->rdata[0], IN_TIME), MSP_EFORMAT);
	/* A key without the zone flag signs no zone data, even where the tag says otherwise. */
	rdata = msp_memdup(z.dnskey->rdata[0].ptr, z.dnskey->rdata[0].len);
	assert_non_null(rdata);
	flags = rdata[0];
	rdata[0] = 0;
	T_ERR(msp_rrsig_verify(z.soa, sig->rdata[0], &z.name, msp_span(rdata, z.dnskey->rdata[0].len), IN_TIME),
	      MSP_ENOKEY);
	rdata[0] = flags;
	T_OK(msp_rrsig_verify(z.soa, sig->rdata[0], &z.name, msp_span(rdata, z.dnskey->rdata[0].len), IN_TIME));
	assert_int_equal(msp_key_verify_count() - before, 1);
	msp_free(rdata);
	msp_rrset_free(&sig);
	close_zone(&z);
	close_zone(&other);
}

static void ds_digests_are_those_of_dnssec_dsfromkey(void **state)
{
	struct msp_name owner = t_name("ZONE.example.");

	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		const struct dnssec_vector *v = &dnssec_vectors[i];
		struct msp_rrset *key = t_rrset(v->dnskey), *ds256 = t_rrset(v->ds256), *ds384 = t_rrset(v->ds384);
		struct msp_rrset *stranger = t_rrset(dnssec_vectors[(i + 1) % VECTORS].dnskey);
		uint8_t out[MSP_DS_MAX];
		size_t len = 0;

		T_OK(msp_ds_from_dnskey(&owner, key->rdata[0], MSP_DIGEST_SHA256, out, &len));
		kit_assert_octets(msp_span(out, len), ds256->rdata[0]);
		T_OK(msp_ds_from_dnskey(&owner, key->rdata[0], MSP_DIGEST_SHA384, out, &len));
		kit_assert_octets(msp_span(out, len), ds384->rdata[0]);
		assert_true(msp_ds_matches(&owner, ds256->rdata[0], key->rdata[0]));
		assert_true(msp_ds_matches(&owner, ds384->rdata[0], key->rdata[0]));
		assert_false(msp_ds_matches(&owner, ds256->rdata[0], stranger->rdata[0]));
		out[len - 1] ^= 1;
		assert_false(msp_ds_matches(&owner, msp_span(out, len), key->rdata[0]));
		assert_false(msp_ds_matches(&owner, msp_span(out, 3), key->rdata[0]));
		T_ERR(msp_ds_from_dnskey(&owner, key->rdata[0], 1, out, &len), MSP_EVALUE); /* SHA-1 */
		T_ERR(msp_ds_from_dnskey(&owner, msp_span("\x01", 1), 2, out, &len), MSP_EVALUE);
		msp_rrset_free(&key);
		msp_rrset_free(&ds256);
		msp_rrset_free(&ds384);
		msp_rrset_free(&stranger);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signatures_of_a_signed_zone_verify_for_all_algorithms),
		cmocka_unit_test(answers_made_from_a_wildcard_verify_under_their_own_name),
		cmocka_unit_test(the_ttl_may_have_run_down_but_nothing_else_may_differ),
		cmocka_unit_test(signatures_hold_from_inception_to_expiration),
		cmocka_unit_test(only_the_zone_key_that_the_signature_names_is_tried),
		cmocka_unit_test(ds_digests_are_those_of_dnssec_dsfromkey),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
