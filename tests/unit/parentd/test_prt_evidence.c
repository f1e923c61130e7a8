/* SPDX-License-Identifier: BSD-2-Clause */
#include "prt_world.h"

static enum prt_ask cds(struct world *w)
{
	memset(&w->found, 0, sizeof(w->found));
	prt_delegation_clear(&w->asked);
	T_OK(prt_ask_cds(&w->e, &w->present, &w->rules, w->before, NOW, &w->ask, &w->asked, &w->inception, &w->found));
	return w->ask;
}

static enum prt_ask csync(struct world *w)
{
	memset(&w->found, 0, sizeof(w->found));
	prt_delegation_clear(&w->asked);
	T_OK(prt_ask_csync(&w->e, &w->present, &w->rules, NOW, &w->ask, &w->asked, &w->found));
	return w->ask;
}

static bool says(const struct world *w, const char *text)
{
	for (size_t i = 0; i < w->found.count && i < PRT_FINDINGS_MAX; i++)
		if (strstr(w->found.item[i].why.text, text) != NULL)
			return true;
	return false;
}

/* --- a proposed delegation ------------------------------------------------------------------------------------------
 */

static size_t check(struct world *w)
{
	memset(&w->found, 0, sizeof(w->found));
	prt_check_delegation(&w->e, &w->present, &w->rules, NOW, &w->found);
	return w->found.fatal;
}

static void what_is_there_works(void **state)
{
	struct world w = begin();

	(void)state;
	if (check(&w) != 0)
		fail_msg("%s", w.found.item[0].why.text);
	end(&w);
}

static void each_server_needs_a_ds_of_its_own_signing_key(void **state)
{
	struct world w = begin();
	struct msp_rrset *ds = ds_set(&w, MSP_TYPE_DS, a_only, 1);

	(void)state;
	T_OK(prt_delegation_put(&w.present, &w.child, MSP_TYPE_DS, ds));
	assert_int_equal(check(&w), 1); /* B's server signs with B alone */
	assert_int_equal(w.found.item[0].ede, MSP_EDE_CHAIN_WOULD_BREAK);
	assert_true(says(&w, "ns.other.test."));
	msp_rrset_free(&ds);
	end(&w);
}

/* A DS with this digest type; nobody validates what is left of a set that has a stronger one for another key. */
static void add_ds(struct world *w, struct msp_rrset *set, unsigned key, uint8_t digest)
{
	uint8_t mem[MSP_DS_MAX];
	size_t len = sizeof(mem);

	T_OK(msp_ds_from_dnskey(&w->child, msp_key_rdata(w->key[key]), digest, mem, &len));
	T_OK(msp_rrset_add(set, msp_span(mem, len)));
}

static void a_weaker_digest_than_that_of_another_provider_does_not_count(void **state)
{
	struct world w = begin();
	struct msp_rrset *ds = ds_set(&w, MSP_TYPE_DS, a_only, 1);

	(void)state;
	add_ds(&w, ds, B, MSP_DIGEST_SHA384);
	T_OK(prt_delegation_put(&w.present, &w.child, MSP_TYPE_DS, ds));
	assert_int_equal(check(&w), 1);
	assert_int_equal(w.found.item[0].ede, MSP_EDE_CHAIN_WOULD_BREAK);
	assert_true(says(&w, "weaker digest") && says(&w, "ns1.child.example."));
	add_ds(&w, ds, A, MSP_DIGEST_SHA384);
	T_OK(prt_delegation_put(&w.present, &w.child, MSP_TYPE_DS, ds));
	assert_int_equal(check(&w), 0);
	msp_rrset_free(&ds);
	end(&w);
}

static void a_revoked_key_begins_no_chain(void **state)
{
	static const unsigned revoked[] = { B, NEW };
	struct world w = begin();
	struct msp_rrset *ds;

	(void)state;
	msp_key_free(&w.key[NEW]);
	T_OK(msp_key_generate(&w.child, MSP_ALG_ED25519, 257 | 0x80, &w.key[NEW]));
	serve_keys(&w, 0, revoked, 2, NEW);
	ds = ds_set(&w, MSP_TYPE_DS, revoked, 2);
	T_OK(prt_delegation_put(&w.present, &w.child, MSP_TYPE_DS, ds));
	assert_int_equal(check(&w), 1);
	assert_int_equal(w.found.item[0].ede, MSP_EDE_CHAIN_WOULD_BREAK);
	msp_rrset_free(&ds);
	end(&w);
}

static void signatures_that_are_over_prove_nothing(void **state)
{
	struct world w = begin();
	struct prt_answer *a = &w.e.server[0].answer[PRT_Q_DNSKEY];

	(void)state;
	msp_rrset_free(&a->sigs);
	a->sigs = sign_at(a->set, w.key[A], &w.child, INCEPTION - 30 * 86400);
	assert_int_equal(check(&w), 1);
	end(&w);
}

static void a_server_that_is_not_authoritative_or_silent_breaks_it(void **state)
{
	struct world w = begin();

	(void)state;
	w.e.server[0].answer[PRT_Q_SOA].is_authoritative = false;
	assert_int_equal(check(&w), 1);
	w.e.server[0].answer[PRT_Q_SOA].is_authoritative = true;
	w.e.server[1].answer[PRT_Q_SOA].err = MSP_ETIMEOUT;
	assert_int_equal(check(&w), 1);
	w.rules.min_servers = 1;
	assert_int_equal(check(&w), 0);
	w.e.server[0].answer[PRT_Q_SOA].err = MSP_ENET;
	assert_true(check(&w) > 0); /* nobody is left */
	end(&w);
}

static void a_name_server_without_address_breaks_it(void **state)
{
	struct world w = begin();

	(void)state;
	w.e.count = 1; /* ns.other.test. was not found */
	assert_true(check(&w) > 0 && says(&w, "ns.other.test. has no address"));
	w.e.count = 2;
	end(&w);
}

static void a_name_server_elsewhere_is_not_in_our_own_network(void **state)
{
	struct world w = begin();

	(void)state;
	T_OK(msp_addr_parse("127.0.0.1", 53, &w.e.server[1].addr));
	assert_int_equal(check(&w), 1);
	assert_true(says(&w, "ns.other.test. 127.0.0.1") && says(&w, "leads nowhere"));
	w.e.server[1].answer[PRT_Q_SOA].err = MSP_ETIMEOUT; /* nor is it told what is there */
	assert_int_equal(check(&w), 1);
	assert_true(says(&w, "leads nowhere") && !says(&w, msp_err_text(MSP_ETIMEOUT)));
	w.rules.shape.private_addresses = true;
	w.e.server[1].answer[PRT_Q_SOA].err = MSP_OK;
	assert_int_equal(check(&w), 0);
	end(&w);
}

static void another_ns_rrset_at_a_server_is_fatal_only_when_strict(void **state)
{
	struct world w = begin();

	(void)state;
	serve(&w, 1, PRT_Q_NS, C " 300 NS ns.other.test.", B);
	assert_int_equal(check(&w), 1);
	w.rules.strict_ns = false;
	assert_int_equal(check(&w), 0);
	assert_int_equal(w.found.count, 1);
	end(&w);
}

static void many_signatures_with_one_tag_cost_little(void **state)
{
	struct world w = begin();
	struct prt_answer *a = &w.e.server[0].answer[PRT_Q_DNSKEY];
	uint64_t before;

	(void)state;
	for (unsigned i = 0; i < 1000;
	     i++) { /* each differs, all are wrong, and sort before the good one or after it */
		uint8_t mem[256];
		struct msp_span good = a->sigs->rdata[0];

		assert_true(good.len <= sizeof(mem));
		memcpy(mem, good.ptr, good.len);
		mem[good.len - 1] ^= (uint8_t)(1 + i % 255);
		mem[good.len - 2] ^= (uint8_t)(1 + i / 255);
		T_OK(msp_rrset_add(a->sigs, msp_span(mem, good.len)));
	}
	before = msp_key_verify_count();
	(void)check(&w);
	assert_true(msp_key_verify_count() - before <= 40);
	end(&w);
}

static void a_new_server_answers_over_udp_too(void **state)
{
	static const struct {
		enum msp_err err;
		bool is_authoritative, has_soa;
		size_t fatal, passing;
	} row[] = {
		{ MSP_OK, true, true, 0, 0 },        { MSP_ETRUNC, true, false, 0, 0 }, /* it has answered */
		{ MSP_ETRUNC, false, false, 0, 0 },  { MSP_OK, false, true, 1, 0 },
		{ MSP_OK, true, false, 1, 0 },       { MSP_ERCODE, false, false, 1, 0 },
		{ MSP_EFORMAT, false, false, 1, 0 }, { MSP_ETIMEOUT, false, false, 1, 1 }, /* a datagram may get lost */
		{ MSP_ENET, false, false, 1, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct world w = begin();
		struct prt_answer *a = &w.e.server[1].udp;

		put_answer(&w, a, row[i].has_soa ? t_rrset(SOA_SET) : NULL, KEYS);
		a->err = row[i].err;
		a->is_authoritative = row[i].is_authoritative;
		(void)check(&w);
		/* without the one that is silent all the others still answer */
		assert_int_equal(w.found.fatal, row[i].fatal);
		assert_int_equal(w.found.passing, row[i].passing);
		assert_true(w.found.fatal == 0 || (says(&w, "ns.other.test. 198.41.0.5") && says(&w, "over UDP")));
		w.rules.min_servers = 1;
		assert_int_equal(check(&w), row[i].fatal - row[i].passing); /* out of reach, as over TCP */
		assert_true(row[i].passing == 0 || says(&w, "over UDP"));
		w.rules.min_servers = 2;
		assert_int_equal(check(&w), row[i].fatal);
		end(&w);
	}
}

/* A server with the same answers as server i. */
static void copy_server(const struct world *w, size_t i, struct prt_server *out)
{
	const struct prt_server *s = &w->e.server[i];

	out->host = s->host;
	out->addr = s->addr;
	for (size_t q = 0; q < PRT_Q__N; q++) {
		out->answer[q] = s->answer[q];
		out->answer[q].set = out->answer[q].sigs = NULL;
		if (s->answer[q].set != NULL)
			T_OK(msp_rrset_dup(s->answer[q].set, &out->answer[q].set));
		if (s->answer[q].sigs != NULL)
			T_OK(msp_rrset_dup(s->answer[q].sigs, &out->answer[q].sigs));
	}
}

/* Each of the two providers has so many addresses, all of them with the same answers. */
static void multiply(struct world *w, size_t addresses)
{
	struct prt_evidence e;

	T_OK(prt_evidence_new(&w->child, 2 * addresses, &e));
	for (size_t i = 0; i < 2 * addresses; i++)
		copy_server(w, i % 2, &e.server[i]);
	prt_evidence_fini(&w->e);
	w->e = e;
}

static uint64_t verifications(struct world *w, enum prt_ask (*what)(struct world *), enum prt_ask want)
{
	uint64_t before = msp_key_verify_count();

	assert_int_equal(what(w), want);
	return msp_key_verify_count() - before;
}

static void what_many_addresses_show_alike_is_verified_once(void **state)
{
	for (size_t addresses = 1; addresses <= 16; addresses *= 4) {
		struct world w = begin();

		(void)state;
		for (size_t i = 0; i < 2; i++) {
			serve_cds(&w, i, all_three, 3, i == 0 ? A : B);
			serve_cdnskey(&w, i, all_three, 3, i == 0 ? A : B);
		}
		multiply(&w, addresses);
		/* DNSKEY, CDS, CDNSKEY of each provider; the same DNSKEY again with the DS that would be */
		assert_int_equal(verifications(&w, cds, PRT_ASK_CHANGE), 6);
		assert_int_equal(w.inception, INCEPTION);
		end(&w);
	}
}

static void csync_that_many_addresses_show_alike_is_verified_once(void **state)
{
	struct world w = begin();

	(void)state;
	serve_all(&w, PRT_Q_CSYNC, C " 300 CSYNC 7 1 A NS AAAA");
	serve_all(&w, PRT_Q_NS, NS_SET "\n" C " 300 NS ns9.other.test.");
	address(&w, 0, "ns1." C, "ns1." C " 300 A 198.41.0.4", NULL);
	address(&w, 1, "ns1." C, "ns1." C " 300 A 198.41.0.4", NULL);
	/* DNSKEY, CSYNC, SOA, NS, A of each */
	assert_int_equal(verifications(&w, csync, PRT_ASK_REFUSED), 10);
	end(&w);
}

/* One octet of the record, of the signature, of the key: another thing, whatever was believed elsewhere. */
static void what_differs_in_one_octet_is_judged_by_itself(void **state)
{
	enum { RECORD, SIGNATURE, INCEPTION_TIME, CASES };

	(void)state;
	for (int what = 0; what < CASES; what++) {
		struct world w = begin();
		struct prt_answer *a;

		serve_cds(&w, 0, all_three, 3, A);
		serve_cds(&w, 1, all_three, 3, B);
		multiply(&w, 2);
		a = &w.e.server[2].answer[PRT_Q_CDS]; /* A's second address; its first one is good */
		if (what == RECORD) {
			msp_rrset_free(&a->set);
			a->set = ds_set(&w, MSP_TYPE_CDS, both, 2);
		} else {
			struct msp_rrset *sigs = NULL;
			uint8_t mem[256];

			assert_true(a->sigs->rdata[0].len <= sizeof(mem));
			memcpy(mem, a->sigs->rdata[0].ptr, a->sigs->rdata[0].len);
			mem[what == SIGNATURE ? a->sigs->rdata[0].len - 1 : 15] ^= 1;
			T_OK(msp_rrset_new(&w.child, MSP_TYPE_RRSIG, 300, &sigs));
			T_OK(msp_rrset_add(sigs, msp_span(mem, a->sigs->rdata[0].len)));
			msp_rrset_free(&a->sigs);
			a->sigs = sigs;
		}
		assert_int_equal(verifications(&w, cds, PRT_ASK_REFUSED), 5); /* DNSKEY twice, three CDS */
		assert_true(says(&w, "ns1." C));
		end(&w);
	}
}

static void signatures_that_fail_count_at_each_server_and_are_tried_once(void **state)
{
	struct world w = begin();
	struct prt_answer *a = &w.e.server[0].answer[PRT_Q_DNSKEY];
	uint64_t before;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		uint8_t mem[256];
		struct msp_span good = a->sigs->rdata[0];

		memcpy(mem, good.ptr, good.len);
		mem[good.len - 64] = 0; /* in front of the good one */
		mem[good.len - 1] = (uint8_t)i;
		T_OK(msp_rrset_add(a->sigs, msp_span(mem, good.len)));
	}
	multiply(&w, 8);
	before = msp_key_verify_count();
	(void)check(&w);
	assert_int_equal(w.found.fatal, 8); /* the good one is behind too many, at every address */
	assert_int_equal(msp_key_verify_count() - before, 16 + 1);
	end(&w);
}

/* --- CDS ------------------------------------------------------------------------------------------------------------
 */

static void silence_is_no_wish(void **state)
{
	struct world w = begin();

	(void)state;
	assert_int_equal(cds(&w), PRT_ASK_NOTHING);
	assert_int_equal(w.found.count, 0);
	end(&w);
}

static void the_same_cds_everywhere_is_a_wish(void **state)
{
	struct world w = begin();
	struct msp_rrset *want = ds_set(&w, MSP_TYPE_DS, all_three, 3);

	(void)state;
	serve_cds(&w, 0, all_three, 3, A);
	serve_cds(&w, 1, all_three, 3, B);
	assert_int_equal(cds(&w), PRT_ASK_CHANGE); /* a DS for a key that is not there yet is welcome */
	assert_true(msp_rrset_equal(prt_delegation_ds(&w.asked), want));
	assert_int_equal(w.inception, INCEPTION);
	assert_true(msp_rrset_equal(prt_delegation_ns(&w.asked), prt_delegation_ns(&w.present)));
	msp_rrset_free(&want);
	end(&w);
}

static void a_cds_of_what_is_there_asks_for_nothing(void **state)
{
	struct world w = begin();

	(void)state;
	serve_cds(&w, 0, both, 2, A);
	serve_cds(&w, 1, both, 2, B);
	assert_int_equal(cds(&w), PRT_ASK_NOTHING);
	end(&w);
}

static void cdnskey_alone_is_a_wish_too(void **state)
{
	struct world w = begin();
	struct msp_rrset *want = ds_set(&w, MSP_TYPE_DS, all_three, 3);

	(void)state;
	serve_cdnskey(&w, 0, all_three, 3, A);
	serve_cdnskey(&w, 1, all_three, 3, B);
	assert_int_equal(cds(&w), PRT_ASK_CHANGE);
	assert_true(msp_rrset_equal(prt_delegation_ds(&w.asked), want));
	msp_rrset_free(&want);
	end(&w);
}

static void cds_and_cdnskey_about_different_keys_must_wait(void **state)
{
	struct world w = begin();

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		serve_cds(&w, i, all_three, 3, i == 0 ? A : B);
		serve_cdnskey(&w, i, both, 2, i == 0 ? A : B);
	}
	assert_int_equal(cds(&w), PRT_ASK_WAIT);
	assert_int_equal(w.found.item[0].ede, MSP_EDE_CDS_INCONSISTENT);
	end(&w);
}

static void a_digest_that_nobody_takes_says_nothing_about_cdnskey(void **state)
{
	struct world w = begin();

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct msp_rrset *cds = ds_set(&w, MSP_TYPE_CDS, all_three, 3);
		uint8_t sha1[24] = { 0, 1, MSP_ALG_ED25519, 1 };

		T_OK(msp_rrset_add(cds, msp_span(sha1, sizeof(sha1))));
		put_answer(&w, &w.e.server[i].answer[PRT_Q_CDS], cds, i == 0 ? A : B);
		serve_cdnskey(&w, i, all_three, 3, i == 0 ? A : B);
	}
	assert_int_equal(cds(&w), PRT_ASK_CHANGE);
	assert_int_equal(prt_delegation_ds(&w.asked)->count, 3);
	end(&w);
}

static void servers_that_differ_must_wait(void **state)
{
	struct world w = begin();

	(void)state;
	serve_cds(&w, 0, all_three, 3, A);
	serve_cds(&w, 1, both, 2, B);
	assert_int_equal(cds(&w), PRT_ASK_WAIT);
	serve(&w, 1, PRT_Q_CDS, NULL, B);
	assert_int_equal(cds(&w), PRT_ASK_WAIT);
	end(&w);
}

static void a_server_that_does_not_answer_must_be_waited_for(void **state)
{
	struct world w = begin();

	(void)state;
	serve_cds(&w, 0, all_three, 3, A);
	w.e.server[1].answer[PRT_Q_CDS].err = MSP_ETIMEOUT;
	assert_int_equal(cds(&w), PRT_ASK_WAIT);
	end(&w);
}

static void unsigned_or_wrongly_signed_cds_are_refused(void **state)
{
	struct world w = begin();
	struct prt_answer *a = &w.e.server[0].answer[PRT_Q_CDS];

	(void)state;
	serve_cds(&w, 1, all_three, 3, B);
	serve_cds(&w, 0, all_three, 3, KEYS);
	assert_int_equal(cds(&w), PRT_ASK_REFUSED);
	serve_cds(&w, 0, all_three, 3, NEW); /* a key that no DS names */
	assert_int_equal(cds(&w), PRT_ASK_REFUSED);
	serve_cds(&w, 0, all_three, 3, A);
	a->sigs->rdata[0].len--; /* cut */
	assert_int_equal(cds(&w), PRT_ASK_REFUSED);
	a->sigs->rdata[0].len++;
	assert_int_equal(cds(&w), PRT_ASK_CHANGE);
	end(&w);
}

static void the_last_usable_ds_of_a_provider_stays(void **state)
{
	struct world w = begin();

	(void)state;
	serve_cds(&w, 0, a_only, 1, A);
	serve_cds(&w, 1, a_only, 1, B); /* B would cut off its own branch */
	assert_int_equal(cds(&w), PRT_ASK_REFUSED);
	assert_true(says(&w, "ns.other.test."));
	serve_cds(&w, 0, b_only, 1, A);
	serve_cds(&w, 1, b_only, 1, B);
	assert_int_equal(cds(&w), PRT_ASK_REFUSED);
	assert_true(says(&w, "ns1."));
	end(&w);
}

static void a_provider_that_is_out_of_reach_keeps_its_ds(void **state)
{
	struct world w = begin();
	struct msp_rrset *ds;

	(void)state;
	w.rules.min_servers = 1;
	for (unsigned q = 0; q < PRT_Q__N; q++)
		w.e.server[1].answer[q].err = MSP_ETIMEOUT;
	serve_cds(&w, 0, a_only, 1, A); /* who has made B silent would like it to be bogus, too */
	assert_int_equal(cds(&w), PRT_ASK_WAIT);
	assert_true(says(&w, "ns.other.test. is out of reach"));
	serve_cds(&w, 0, all_three, 3, A); /* what is added hurts nobody */
	assert_int_equal(cds(&w), PRT_ASK_CHANGE);
	serve(&w, 0, PRT_Q_CDS, C " 300 CDS 0 0 0 00", A);
	assert_int_equal(cds(&w), PRT_ASK_DELETE);
	/* the same for what an UPDATE asks for */
	ds = ds_set(&w, MSP_TYPE_DS, a_only, 1);
	prt_delegation_clear(&w.asked);
	T_OK(prt_delegation_dup(&w.present, &w.asked));
	T_OK(prt_delegation_put(&w.asked, &w.child, MSP_TYPE_DS, ds));
	memset(&w.found, 0, sizeof(w.found));
	prt_check_unseen(&w.e, &w.present, &w.asked, &w.found);
	assert_int_equal(w.found.passing, 1);
	assert_int_equal(w.found.fatal, 1);
	msp_rrset_free(&ds);
	end(&w);
}

static void older_signatures_than_those_acted_on_must_wait(void **state)
{
	struct world w = begin();

	(void)state;
	serve_cds(&w, 0, all_three, 3, A);
	serve_cds(&w, 1, all_three, 3, B);
	w.before = INCEPTION + 1;
	assert_int_equal(cds(&w), PRT_ASK_WAIT);
	w.before = INCEPTION;
	assert_int_equal(cds(&w), PRT_ASK_CHANGE);
	end(&w);
}

static void the_delete_sentinel_must_be_alone_and_everywhere(void **state)
{
	struct world w = begin();

	(void)state;
	serve_all(&w, PRT_Q_CDS, C " 300 CDS 0 0 0 00");
	assert_int_equal(cds(&w), PRT_ASK_DELETE);
	assert_null(prt_delegation_ds(&w.asked));
	serve(&w, 1, PRT_Q_CDS, NULL, B);
	assert_int_equal(cds(&w), PRT_ASK_WAIT);
	serve_all(&w, PRT_Q_CDS, C " 300 CDS 0 0 0 00\n" C " 300 CDS 1 13 2 " DIGEST_1);
	assert_int_equal(cds(&w), PRT_ASK_REFUSED);
	serve_all(&w, PRT_Q_CDS, C " 300 CDS 0 0 0 00");
	serve_all(&w, PRT_Q_CDNSKEY, C " 300 CDNSKEY 0 3 0 AA==");
	assert_int_equal(cds(&w), PRT_ASK_DELETE);
	serve_cdnskey(&w, 0, both, 2, A);
	serve_cdnskey(&w, 1, both, 2, B);
	assert_int_equal(cds(&w), PRT_ASK_REFUSED);
	serve_all(&w, PRT_Q_CDNSKEY, NULL);
	serve_all(&w, PRT_Q_CDS, C " 300 CDS 0 0 0 0000"); /* nearly */
	assert_int_equal(cds(&w), PRT_ASK_REFUSED);
	end(&w);
}

static void digests_that_are_not_taken_are_left_out(void **state)
{
	struct world w = begin();

	(void)state;
	serve_all(&w, PRT_Q_CDS, C " 300 CDS 1 13 1 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4");
	assert_int_equal(cds(&w), PRT_ASK_REFUSED);
	assert_true(says(&w, "no digest"));
	end(&w);
}

static void a_child_without_ds_only_agrees_with_itself(void **state)
{
	struct world w = begin();

	(void)state;
	T_OK(prt_delegation_put(&w.present, &w.child, MSP_TYPE_DS, NULL));
	serve_cds(&w, 0, both, 2, A);
	serve_cds(&w, 1, both, 2, B);
	assert_int_equal(cds(&w), PRT_ASK_CHANGE);
	assert_int_equal(prt_delegation_ds(&w.asked)->ttl, 3600);
	serve_cds(&w, 0, a_only, 1, A);
	serve_cds(&w, 1, a_only, 1, B);
	assert_int_equal(cds(&w), PRT_ASK_REFUSED); /* B's server would be bogus at once */
	end(&w);
}

/* --- CSYNC ----------------------------------------------------------------------------------------------------------
 */

#define NEW_NS C " 300 NS ns1." C "\n" C " 300 NS ns2." C "\n" C " 300 NS ns.other.test."

/* The child names a third server, below itself; all answer for it. */
static struct world begin_sync(const char *csync_rdata)
{
	struct world w = begin();
	struct prt_evidence more;
	char line[256];

	snprintf(line, sizeof(line), C " 300 CSYNC %s", csync_rdata);
	T_OK(prt_evidence_new(&w.child, 3, &more));
	memcpy(more.server, w.e.server, 2 * sizeof(*more.server));
	w.e.count = 0;
	prt_evidence_fini(&w.e);
	w.e = more;
	w.e.server[2].host = t_name("ns2." C);
	T_OK(msp_addr_parse("198.41.0.6", 53, &w.e.server[2].addr));
	serve_keys(&w, 2, both, 2, B);
	for (size_t i = 0; i < 3; i++) {
		unsigned key = i == 0 ? A : B;

		serve(&w, i, PRT_Q_SOA, SOA_SET, key);
		serve(&w, i, PRT_Q_SOA_AGAIN, SOA_SET, key);
		serve(&w, i, PRT_Q_NS, NEW_NS, key);
		serve(&w, i, PRT_Q_CSYNC, line, key);
		address(&w, i, "ns1." C, "ns1." C " 300 A 198.41.0.4", NULL);
		address(&w, i, "ns2." C, "ns2." C " 300 A 198.41.0.6", "ns2." C " 300 AAAA 2001:503:ba3e::2:30");
	}
	return w;
}

static void csync_brings_servers_and_their_addresses(void **state)
{
	struct world w = begin_sync("0 1 NS A AAAA");
	struct msp_name ns1 = t_name("ns1." C), ns2 = t_name("ns2." C);

	(void)state;
	if (csync(&w) != PRT_ASK_CHANGE)
		fail_msg("%d %s", w.ask, w.found.item[0].why.text);
	assert_int_equal(prt_delegation_ns(&w.asked)->count, 3);
	assert_non_null(prt_delegation_get(&w.asked, &ns2, MSP_TYPE_A));
	assert_non_null(prt_delegation_get(&w.asked, &ns2, MSP_TYPE_AAAA));
	assert_non_null(prt_delegation_get(&w.asked, &ns1, MSP_TYPE_A));
	assert_true(msp_rrset_equal(prt_delegation_ds(&w.asked), prt_delegation_ds(&w.present)));
	end(&w);
}

static void a_server_below_the_child_needs_the_address_bits(void **state)
{
	struct world w = begin_sync("0 1 NS");

	(void)state;
	assert_int_equal(csync(&w), PRT_ASK_REFUSED);
	assert_true(says(&w, "ns2.child.example. is below"));
	end(&w);
}

static void glue_is_not_lost_by_a_denial_that_nobody_proved(void **state)
{
	struct world w = begin_sync("0 1 A AAAA");
	struct msp_name ns1 = t_name("ns1." C);

	(void)state;
	w.rules.strict_ns = false;
	for (size_t i = 0; i < 3; i++)
		put_answer(&w, &w.e.server[i].at[0].a, NULL, A);
	assert_int_equal(csync(&w), PRT_ASK_NOTHING);
	assert_non_null(prt_delegation_get(&w.present, &ns1, MSP_TYPE_A));
	end(&w);
}

static void what_csync_may_not_say_is_refused(void **state)
{
	static const char *const bad[] = { "0 5 NS", "0 8 NS", "0 1 NS MX", "0 1 DNSKEY", "0 32769 NS" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct world w = begin_sync(bad[i]);

		if (csync(&w) != PRT_ASK_REFUSED)
			fail_msg("%s", bad[i]);
		end(&w);
	}
}

static void without_immediate_a_human_decides(void **state)
{
	struct world w = begin_sync("0 0 NS A AAAA");

	(void)state;
	assert_int_equal(csync(&w), PRT_ASK_HUMAN);
	assert_int_equal(prt_delegation_ns(&w.asked)->count, 3);
	end(&w);
}

static void soaminimum_waits_for_every_server(void **state)
{
	struct world w = begin_sync("8 3 NS A AAAA");

	(void)state;
	assert_int_equal(csync(&w), PRT_ASK_WAIT);
	for (size_t i = 0; i < 3; i++) {
		serve(&w, i, PRT_Q_SOA, C " 300 SOA ns1." C " h.test. 8 1 2 3 4", i == 0 ? A : B);
		serve(&w, i, PRT_Q_SOA_AGAIN, C " 300 SOA ns1." C " h.test. 8 1 2 3 4", i == 0 ? A : B);
	}
	assert_int_equal(csync(&w), PRT_ASK_CHANGE);
	end(&w);
}

static void a_zone_that_changed_meanwhile_must_wait(void **state)
{
	struct world w = begin_sync("0 1 NS A AAAA");

	(void)state;
	serve(&w, 1, PRT_Q_SOA_AGAIN, C " 300 SOA ns1." C " h.test. 9 1 2 3 4", B);
	assert_int_equal(csync(&w), PRT_ASK_WAIT);
	end(&w);
}

static void unsigned_data_is_never_copied(void **state)
{
	struct world w = begin_sync("0 1 NS A AAAA");

	(void)state;
	serve(&w, 1, PRT_Q_NS, NEW_NS, KEYS);
	assert_int_equal(csync(&w), PRT_ASK_REFUSED);
	serve(&w, 1, PRT_Q_NS, NEW_NS, B);
	put_answer(&w, &w.e.server[2].at[1].a, t_rrset("ns2." C " 300 A 198.41.0.6"), KEYS);
	assert_int_equal(csync(&w), PRT_ASK_REFUSED);
	put_answer(&w, &w.e.server[2].at[1].a, t_rrset("ns2." C " 300 A 198.41.0.6"), B);
	serve(&w, 1, PRT_Q_CSYNC, C " 300 CSYNC 0 1 NS A AAAA", KEYS);
	assert_int_equal(csync(&w), PRT_ASK_REFUSED);
	end(&w);
}

/* Whoever stands between us and the servers could answer for a name that exists with what is signed for all others. */
static void what_was_made_from_a_wildcard_is_never_copied(void **state)
{
	struct world w = begin_sync("0 1 NS A AAAA");

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct prt_answer *a = &w.e.server[i].at[1].a;
		struct msp_rrset *wild = t_rrset("*." C " 300 A 198.41.0.6");
		struct msp_rrsig sig;

		msp_rrset_free(&a->sigs);
		a->sigs = sign_labels(wild, w.key[i == 0 ? A : B], &w.child, INCEPTION, msp_name_labels(&w.child));
		T_OK(msp_rrsig_parse(a->sigs->rdata[0], &sig));
		assert_int_equal(sig.labels, 2);
		T_OK(msp_rrsig_verify(a->set, a->sigs->rdata[0], &w.child, msp_key_rdata(w.key[i == 0 ? A : B]), NOW));
		msp_rrset_free(&wild);
	}
	assert_int_equal(csync(&w), PRT_ASK_REFUSED);
	assert_true(says(&w, "ns2.child.example. A is not signed"));
	end(&w);
}

static void servers_with_different_data_must_be_waited_for(void **state)
{
	struct world w = begin_sync("0 1 NS A AAAA");

	(void)state;
	serve(&w, 2, PRT_Q_NS, NS_SET, B);
	assert_int_equal(csync(&w), PRT_ASK_WAIT);
	serve(&w, 2, PRT_Q_NS, NEW_NS, B);
	put_answer(&w, &w.e.server[0].at[1].a, t_rrset("ns2." C " 300 A 198.41.0.7"), A);
	assert_int_equal(csync(&w), PRT_ASK_WAIT);
	serve(&w, 0, PRT_Q_CSYNC, C " 300 CSYNC 0 1 NS", A);
	assert_int_equal(csync(&w), PRT_ASK_WAIT);
	end(&w);
}

static void two_csync_or_none_ask_for_nothing_that_is_done(void **state)
{
	struct world w = begin_sync("0 1 NS A AAAA");

	(void)state;
	serve(&w, 0, PRT_Q_CSYNC, C " 300 CSYNC 0 1 NS\n" C " 300 CSYNC 0 1 A", A);
	assert_int_equal(csync(&w), PRT_ASK_REFUSED);
	serve(&w, 0, PRT_Q_CSYNC, NULL, A);
	assert_int_equal(csync(&w), PRT_ASK_REFUSED);
	end(&w);
}

static void no_csync_anywhere_asks_for_nothing(void **state)
{
	struct world w = begin();

	(void)state;
	assert_int_equal(csync(&w), PRT_ASK_NOTHING);
	assert_int_equal(w.found.count, 0);
	w.e.server[0].answer[PRT_Q_CSYNC].is_asked = w.e.server[1].answer[PRT_Q_CSYNC].is_asked = false;
	assert_int_equal(csync(&w), PRT_ASK_NOTHING);
	w.e.server[1].answer[PRT_Q_CSYNC].is_asked = true;
	w.e.server[1].answer[PRT_Q_CSYNC].err = MSP_ETIMEOUT;
	assert_int_equal(csync(&w), PRT_ASK_WAIT); /* it may have one */
	end(&w);
}

static void what_only_silence_speaks_against_is_waited_for(void **state)
{
	struct world w = begin();

	(void)state;
	w.rules.min_servers = 2;
	serve_cds(&w, 0, all_three, 3, A);
	serve_cds(&w, 1, all_three, 3, B);
	for (size_t q = 0; q < PRT_Q__N; q++)
		w.e.server[1].answer[q].err = MSP_ETIMEOUT;
	assert_int_equal(cds(&w), PRT_ASK_WAIT);
	assert_true(w.found.fatal > 0 && w.found.fatal == w.found.passing);
	w.rules.min_servers = 1;
	assert_int_equal(cds(&w), PRT_ASK_CHANGE);
	serve_cds(&w, 0, b_only, 1, A); /* that is no silence */
	assert_int_equal(cds(&w), PRT_ASK_REFUSED);
	end(&w);
}

static void signers_of_different_weeks_are_not_compared_with_each_other(void **state)
{
	struct world w = begin();
	struct prt_answer *b = &w.e.server[1].answer[PRT_Q_CDS];

	(void)state;
	serve_cds(&w, 0, all_three, 3, A);
	serve_cds(&w, 1, all_three, 3, B);
	msp_rrset_free(&b->sigs);
	b->sigs = sign_at(b->set, w.key[B], &w.child, INCEPTION - 86400);
	w.before = INCEPTION;
	assert_int_equal(cds(&w), PRT_ASK_CHANGE);
	assert_int_equal(w.inception, INCEPTION);
	w.before = INCEPTION + 1; /* nobody has signed since */
	assert_int_equal(cds(&w), PRT_ASK_WAIT);
	end(&w);
}

static void an_insecure_child_has_no_csync(void **state)
{
	struct world w = begin_sync("0 1 NS A AAAA");

	(void)state;
	T_OK(prt_delegation_put(&w.present, &w.child, MSP_TYPE_DS, NULL));
	assert_int_equal(csync(&w), PRT_ASK_REFUSED);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_there_works),
		cmocka_unit_test(each_server_needs_a_ds_of_its_own_signing_key),
		cmocka_unit_test(signatures_that_are_over_prove_nothing),
		cmocka_unit_test(a_server_that_is_not_authoritative_or_silent_breaks_it),
		cmocka_unit_test(a_name_server_without_address_breaks_it),
		cmocka_unit_test(another_ns_rrset_at_a_server_is_fatal_only_when_strict),
		cmocka_unit_test(many_signatures_with_one_tag_cost_little),
		cmocka_unit_test(a_new_server_answers_over_udp_too),
		cmocka_unit_test(what_many_addresses_show_alike_is_verified_once),
		cmocka_unit_test(csync_that_many_addresses_show_alike_is_verified_once),
		cmocka_unit_test(what_differs_in_one_octet_is_judged_by_itself),
		cmocka_unit_test(signatures_that_fail_count_at_each_server_and_are_tried_once),
		cmocka_unit_test(silence_is_no_wish),
		cmocka_unit_test(the_same_cds_everywhere_is_a_wish),
		cmocka_unit_test(a_cds_of_what_is_there_asks_for_nothing),
		cmocka_unit_test(cdnskey_alone_is_a_wish_too),
		cmocka_unit_test(cds_and_cdnskey_about_different_keys_must_wait),
		cmocka_unit_test(servers_that_differ_must_wait),
		cmocka_unit_test(a_server_that_does_not_answer_must_be_waited_for),
		cmocka_unit_test(unsigned_or_wrongly_signed_cds_are_refused),
		cmocka_unit_test(the_last_usable_ds_of_a_provider_stays),
		cmocka_unit_test(older_signatures_than_those_acted_on_must_wait),
		cmocka_unit_test(the_delete_sentinel_must_be_alone_and_everywhere),
		cmocka_unit_test(digests_that_are_not_taken_are_left_out),
		cmocka_unit_test(a_child_without_ds_only_agrees_with_itself),
		cmocka_unit_test(csync_brings_servers_and_their_addresses),
		cmocka_unit_test(a_server_below_the_child_needs_the_address_bits),
		cmocka_unit_test(glue_is_not_lost_by_a_denial_that_nobody_proved),
		cmocka_unit_test(what_csync_may_not_say_is_refused),
		cmocka_unit_test(without_immediate_a_human_decides),
		cmocka_unit_test(soaminimum_waits_for_every_server),
		cmocka_unit_test(a_zone_that_changed_meanwhile_must_wait),
		cmocka_unit_test(unsigned_data_is_never_copied),
		cmocka_unit_test(servers_with_different_data_must_be_waited_for),
		cmocka_unit_test(two_csync_or_none_ask_for_nothing_that_is_done),
		cmocka_unit_test(no_csync_anywhere_asks_for_nothing),
		cmocka_unit_test(what_only_silence_speaks_against_is_waited_for),
		cmocka_unit_test(signers_of_different_weeks_are_not_compared_with_each_other),
		cmocka_unit_test(an_insecure_child_has_no_csync),
		cmocka_unit_test(a_weaker_digest_than_that_of_another_provider_does_not_count),
		cmocka_unit_test(a_revoked_key_begins_no_chain),
		cmocka_unit_test(a_digest_that_nobody_takes_says_nothing_about_cdnskey),
		cmocka_unit_test(what_was_made_from_a_wildcard_is_never_copied),
		cmocka_unit_test(a_provider_that_is_out_of_reach_keeps_its_ds),
		cmocka_unit_test(a_name_server_elsewhere_is_not_in_our_own_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
