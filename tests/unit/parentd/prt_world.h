/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Two providers sign one child: the server of A answers with A's signatures, the server of B with B's, over the same
 * DNSKEY RRset. What each shows is changed, test by test.
 */
#ifndef TEST_PRT_WORLD_H
#define TEST_PRT_WORLD_H

#include "prt_build.h"

#include "evidence.h"

#include <msproto/auth/dnssec.h>
#include <msproto/auth/key.h>

#define NOW       ((struct msp_wall){ 1800000000 })
#define INCEPTION 1799990000u
#define NS_SET    C " 300 NS ns1." C "\n" C " 300 NS ns.other.test."
#define SOA_SET   C " 300 SOA ns1." C " h.test. 7 1 2 3 4"

enum { A, B, NEW, KEYS };

struct world {
	struct msp_name child;
	struct msp_key *key[KEYS];
	struct prt_delegation present, asked;
	struct prt_evidence e;
	struct prt_check_rules rules;
	struct prt_findings found;
	enum prt_ask ask;
	uint32_t inception, before;
};

/* --- signing --------------------------------------------------------------------------------------------------------
 */

static inline struct msp_rrset *sign_labels(const struct msp_rrset *set, const struct msp_key *key,
					    const struct msp_name *zone, uint32_t inception, unsigned labels)
{
	struct msp_rrsig sig = { .covered = set->type,
				 .algorithm = msp_key_alg(key),
				 .labels = (uint8_t)labels,
				 .original_ttl = set->ttl,
				 .expiration = inception + 2 * 86400,
				 .inception = inception,
				 .tag = msp_key_id(key),
				 .signer = *zone };
	struct msp_name owner = set->owner;
	uint8_t mem[1024], signature[MSP_SIGNATURE_MAX];
	size_t len = sizeof(signature);
	struct msp_rrset *out = NULL;
	struct msp_buf data;
	struct msp_wr wr;

	msp_buf_init(&data, 1 << 20);
	msp_wr_init(&wr, mem, sizeof(mem));
	msp_rrsig_write(&wr, &sig);
	msp_buf_add_span(&data, msp_wr_span(&wr));
	msp_name_lower(&owner);
	for (size_t i = 0; i < set->count; i++) {
		uint8_t canon[1024];

		msp_rdata_canon(set->type, set->rdata[i], canon);
		msp_wr_init(&wr, mem, sizeof(mem));
		msp_wr_octets(&wr, msp_name_span(&owner));
		msp_wr_u16(&wr, set->type);
		msp_wr_u16(&wr, MSP_CLASS_IN);
		msp_wr_u32(&wr, set->ttl);
		msp_wr_u16(&wr, (uint16_t)set->rdata[i].len);
		msp_wr_octets(&wr, msp_span(canon, set->rdata[i].len));
		msp_buf_add_span(&data, msp_wr_span(&wr));
	}
	T_OK(data.err);
	T_OK(msp_key_sign(key, msp_buf_span(&data), signature, &len));
	sig.signature = msp_span(signature, len);
	msp_wr_init(&wr, mem, sizeof(mem));
	msp_rrsig_write(&wr, &sig);
	T_OK(msp_rrset_new(&set->owner, MSP_TYPE_RRSIG, set->ttl, &out));
	T_OK(msp_rrset_add(out, msp_wr_span(&wr)));
	msp_buf_fini(&data);
	return out;
}

static inline struct msp_rrset *sign_at(const struct msp_rrset *set, const struct msp_key *key,
					const struct msp_name *zone, uint32_t inception)
{
	return sign_labels(set, key, zone, inception, msp_name_labels(&set->owner));
}

static inline void put_answer(struct world *w, struct prt_answer *a, struct msp_rrset *set, unsigned key)
{
	msp_rrset_free(&a->set);
	msp_rrset_free(&a->sigs);
	*a = (struct prt_answer){ .is_asked = true, .is_authoritative = true, .set = set };
	if (set != NULL && key < KEYS)
		a->sigs = sign_at(set, w->key[key], &w->child, INCEPTION);
}

/* What server i answers to a question: lines, signed by a key (KEYS = not signed); NULL = there is none. */
static inline void serve(struct world *w, size_t i, enum prt_question q, const char *lines, unsigned key)
{
	put_answer(w, &w->e.server[i].answer[q], lines != NULL ? t_rrset(lines) : NULL, key);
}

static inline void serve_all(struct world *w, enum prt_question q, const char *lines)
{
	serve(w, 0, q, lines, A);
	serve(w, 1, q, lines, B);
}

static inline struct msp_rrset *keys_set(const struct world *w, const unsigned *which, size_t count)
{
	struct msp_rrset *set = NULL;

	T_OK(msp_rrset_new(&w->child, MSP_TYPE_DNSKEY, 300, &set));
	for (size_t i = 0; i < count; i++)
		T_OK(msp_rrset_add(set, msp_key_rdata(w->key[which[i]])));
	return set;
}

/* DS or CDS of keys. */
static inline struct msp_rrset *ds_set(const struct world *w, uint16_t type, const unsigned *which, size_t count)
{
	struct msp_rrset *set = NULL;

	T_OK(msp_rrset_new(&w->child, type, 300, &set));
	for (size_t i = 0; i < count; i++) {
		uint8_t mem[MSP_DS_MAX];
		size_t len = sizeof(mem);

		T_OK(msp_ds_from_dnskey(&w->child, msp_key_rdata(w->key[which[i]]), MSP_DIGEST_SHA256, mem, &len));
		T_OK(msp_rrset_add(set, msp_span(mem, len)));
	}
	return set;
}

static const unsigned a_only[] = { A }, b_only[] = { B }, both[] = { A, B }, all_three[] = { A, B, NEW };

static inline void serve_keys(struct world *w, size_t i, const unsigned *which, size_t count, unsigned signer)
{
	put_answer(w, &w->e.server[i].answer[PRT_Q_DNSKEY], keys_set(w, which, count), signer);
}

static inline void serve_cds(struct world *w, size_t i, const unsigned *which, size_t count, unsigned signer)
{
	put_answer(w, &w->e.server[i].answer[PRT_Q_CDS], ds_set(w, MSP_TYPE_CDS, which, count), signer);
}

static inline void serve_cdnskey(struct world *w, size_t i, const unsigned *which, size_t count, unsigned signer)
{
	struct msp_rrset *set = keys_set(w, which, count);

	set->type = MSP_TYPE_CDNSKEY;
	put_answer(w, &w->e.server[i].answer[PRT_Q_CDNSKEY], set, signer);
}

static inline void address(struct world *w, size_t i, const char *host, const char *a, const char *aaaa)
{
	struct prt_server *s = &w->e.server[i];
	struct prt_host *h = &s->at[s->hosts++];

	h->name = t_name(host);
	put_answer(w, &h->a, a != NULL ? t_rrset(a) : NULL, i == 0 ? A : B);
	put_answer(w, &h->aaaa, aaaa != NULL ? t_rrset(aaaa) : NULL, i == 0 ? A : B);
}

/* --- the world as it should be --------------------------------------------------------------------------------------
 */

static inline struct world begin(void)
{
	static const char *const hosts[] = { "ns1." C, "ns.other.test." };
	struct world w = { .child = t_name(C), .rules = { .shape = { 0 }, .strict_ns = true, .ds_ttl = 3600 } };
	struct msp_rrset *ds;

	w.rules.shape = prt_shape_rules_default;
	for (unsigned i = 0; i < KEYS; i++)
		T_OK(msp_key_generate(&w.child, MSP_ALG_ED25519, 257, &w.key[i]));
	t_delegation(&w.present, C " 300 NS ns1." C "\n" C " 300 NS ns.other.test.\nns1." C " 300 A 198.41.0.4\n");
	ds = ds_set(&w, MSP_TYPE_DS, both, 2);
	T_OK(prt_delegation_put(&w.present, &w.child, MSP_TYPE_DS, ds));
	msp_rrset_free(&ds);
	T_OK(prt_evidence_new(&w.child, 2, &w.e));
	for (size_t i = 0; i < 2; i++) {
		w.e.server[i].host = t_name(hosts[i]);
		T_OK(msp_addr_parse(i == 0 ? "198.41.0.4" : "198.41.0.5", 53, &w.e.server[i].addr));
		serve_keys(&w, i, both, 2, i == 0 ? A : B);
	}
	serve_all(&w, PRT_Q_SOA, SOA_SET);
	serve_all(&w, PRT_Q_SOA_AGAIN, SOA_SET);
	serve_all(&w, PRT_Q_NS, NS_SET);
	serve_all(&w, PRT_Q_CDS, NULL);
	serve_all(&w, PRT_Q_CDNSKEY, NULL);
	serve_all(&w, PRT_Q_CSYNC, NULL);
	return w;
}

static inline void end(struct world *w)
{
	prt_delegation_clear(&w->asked);
	prt_delegation_clear(&w->present);
	prt_evidence_fini(&w->e);
	for (unsigned i = 0; i < KEYS; i++)
		msp_key_free(&w->key[i]);
}

#endif
