/* SPDX-License-Identifier: BSD-2-Clause */
#include "evidence.h"

#include <msproto/auth/dnssec.h>
#include <msproto/base/mem.h>
#include <msproto/zone/serial.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TRIES_MAX    16  /* signatures verified for one RRset */
#define VERDICTS_MAX 128 /* remembered in one judgement */

enum msp_err prt_evidence_new(const struct msp_name *child, size_t servers, struct prt_evidence *out)
{
	out->child = *child;
	out->count = 0;
	out->server = NULL;
	if (servers > PRT_SERVERS_MAX)
		return MSP_ELIMIT;
	out->server = msp_alloc(servers ? servers : 1, sizeof(*out->server));
	if (out->server == NULL)
		return MSP_ENOMEM;
	out->count = servers;
	return MSP_OK;
}

static void answer_fini(struct prt_answer *a)
{
	msp_rrset_free(&a->set);
	msp_rrset_free(&a->sigs);
}

void prt_evidence_fini(struct prt_evidence *e)
{
	for (size_t i = 0; i < e->count; i++) {
		struct prt_server *s = &e->server[i];

		for (size_t k = 0; k < PRT_Q__N; k++)
			answer_fini(&s->answer[k]);
		answer_fini(&s->udp);
		for (size_t k = 0; k < s->hosts; k++) {
			answer_fini(&s->at[k].a);
			answer_fini(&s->at[k].aaaa);
		}
	}
	msp_free(e->server);
	e->server = NULL;
	e->count = 0;
}

/* --- findings -------------------------------------------------------------------------------------------------------
 */

enum weight { WARNING, FATAL, PASSING /* fatal, may be gone at the next look */ };

MSP_PRINTF(5, 6)
static void find(struct prt_findings *f, enum weight weight, enum msp_ede_own ede, const char *rule, const char *text,
		 ...)
{
	va_list ap;

	f->fatal += weight != WARNING;
	f->passing += weight == PASSING;
	if (f->count < PRT_FINDINGS_MAX) {
		struct prt_finding *item = &f->item[f->count];

		*item = (struct prt_finding){
			.is_fatal = weight != WARNING, .may_pass = weight == PASSING, .ede = ede, .rule = rule
		};
		va_start(ap, text);
		(void)vsnprintf(item->why.text, sizeof(item->why.text), text, ap);
		va_end(ap);
	}
	f->count++;
}

/* "ns1.child.example. 192.0.2.1" */
struct where {
	char s[1100];
};

static struct where where(const struct prt_server *s)
{
	struct where w;

	(void)snprintf(w.s, sizeof(w.s), "%s %s", MSP_NAME(&s->host), MSP_ADDR(&s->addr));
	return w;
}

static bool is_there(const struct prt_answer *a)
{
	return a->is_asked && a->err == MSP_OK && a->set != NULL && a->set->count > 0;
}

static bool is_silence(enum msp_err err)
{
	return err == MSP_ETIMEOUT || err == MSP_ENET || err == MSP_ECLOSED || err == MSP_EBUSY || err == MSP_ENOMEM;
}

/* It answered the first question at all. */
static bool is_reached(const struct prt_server *s)
{
	size_t q = 0;

	while (q < PRT_Q__N && !s->answer[q].is_asked)
		q++;
	return q < PRT_Q__N && !is_silence(s->answer[q].err);
}

/* --- signatures -----------------------------------------------------------------------------------------------------
 */

/* digest: by a DS with this digest type; 0 = with any. */
static bool names_by(const struct msp_rrset *ds, uint8_t digest, const struct msp_name *child, struct msp_span key)
{
	struct msp_ds parsed;

	for (size_t i = 0; ds != NULL && i < ds->count; i++)
		if (msp_ds_matches(child, ds->rdata[i], key) &&
		    (digest == 0 || (msp_ds_parse(ds->rdata[i], &parsed) == MSP_OK && parsed.digest_type == digest)))
			return true;
	return false;
}

static bool names(const struct msp_rrset *ds, const struct msp_name *child, struct msp_span key)
{
	return names_by(ds, 0, child, key);
}

/* RFC 5011 2.1: a revoked key begins no chain of trust. */
static bool is_revoked(struct msp_span key)
{
	return key.len >= 2 && (key.ptr[1] & 0x80) != 0;
}

/* Several validators look only at the DS with the strongest digest of the RRset, as RFC 4509 3 has it for SHA-1. */
static uint8_t strongest_digest(const struct msp_rrset *ds)
{
	struct msp_ds parsed;
	uint8_t best = 0;

	for (size_t i = 0; i < ds->count; i++)
		if (msp_ds_parse(ds->rdata[i], &parsed) == MSP_OK &&
		    (parsed.digest_type == MSP_DIGEST_SHA256 || parsed.digest_type == MSP_DIGEST_SHA384) &&
		    parsed.digest_type > best)
			best = parsed.digest_type;
	return best;
}

/*
 * Servers of one provider show the same, and each has several addresses: what was verified once in a judgement is not
 * verified again. The same means all octets that a signature is about, and its own, and the key's; the child and the
 * time are those of the judgement. All is borrowed from the evidence, which stays as it is that long.
 */
struct verdict {
	const struct msp_rrset *set;
	struct msp_span sig, key;
	enum msp_err err;
};
struct court {
	const struct msp_name *child;
	struct msp_wall now;
	size_t count;
	struct verdict verdict[VERDICTS_MAX]; /* the first ones; what comes later is verified each time */
};

static void court_init(struct court *c, const struct msp_name *child, struct msp_wall now)
{
	c->child = child;
	c->now = now;
	c->count = 0;
}

static enum msp_err verify(struct court *c, const struct msp_rrset *set, struct msp_span sig, struct msp_span key)
{
	enum msp_err err;

	for (size_t i = 0; i < c->count; i++) {
		const struct verdict *v = &c->verdict[i];

		if (msp_span_equal(v->sig, sig) && msp_span_equal(v->key, key) && msp_rrset_equal(v->set, set))
			return v->err;
	}
	err = msp_rrsig_verify(set, sig, c->child, key, c->now);
	if (c->count < VERDICTS_MAX && (err == MSP_OK || err == MSP_ESIG))
		c->verdict[c->count++] = (struct verdict){ set, sig, key, err };
	return err;
}

/*
 * A child may serve any number of keys and signatures that share one tag: `tries` bounds what they cost. What is known
 * already counts too, so that nothing hangs on the order of servers.
 */
static bool signs(struct court *c, const struct prt_answer *a, struct msp_span key, unsigned *tries,
		  uint32_t *inception)
{
	uint16_t tag = msp_key_tag(key);
	struct msp_rrsig sig;
	enum msp_err err;

	for (size_t i = 0; a->sigs != NULL && i<a->sigs->count && * tries> 0; i++) {
		/* Made from a wildcard: that there is no such name itself would have to be proved (RFC 4035 5.3.4). */
		if (msp_rrsig_parse(a->sigs->rdata[i], &sig) != MSP_OK || sig.tag != tag ||
		    sig.labels != msp_name_labels(&a->set->owner))
			continue;
		err = verify(c, a->set, a->sigs->rdata[i], key);
		*tries -= err == MSP_OK || err == MSP_ESIG;
		if (err != MSP_OK)
			continue;
		if (inception != NULL && (*inception == 0 || msp_serial_gt(sig.inception, *inception)))
			*inception = sig.inception;
		return true;
	}
	return false;
}

/* Some DS (with this digest type, 0 = any) names a key of the server's DNSKEY RRset that signs that RRset: *by, if that
 * is wanted. */
static bool has_chain_by(struct court *c, const struct prt_server *s, const struct msp_rrset *ds, uint8_t digest,
			 struct msp_span *by)
{
	const struct prt_answer *keys = &s->answer[PRT_Q_DNSKEY];
	unsigned tries = TRIES_MAX;

	for (size_t i = 0; is_there(keys) && i < keys->set->count; i++) {
		struct msp_span key = keys->set->rdata[i];

		if (is_revoked(key) || !names_by(ds, digest, c->child, key) || !signs(c, keys, key, &tries, NULL))
			continue;
		if (by != NULL)
			*by = key;
		return true;
	}
	return false;
}

static bool has_chain(struct court *c, const struct prt_server *s, const struct msp_rrset *ds)
{
	return has_chain_by(c, s, ds, 0, NULL);
}

/* Signed by a key of the server's DNSKEY RRset; by one that a DS names when `ds` is given. */
static bool is_signed(struct court *c, const struct prt_server *s, const struct prt_answer *a,
		      const struct msp_rrset *ds, uint32_t *inception)
{
	const struct prt_answer *keys = &s->answer[PRT_Q_DNSKEY];
	unsigned tries = TRIES_MAX;

	for (size_t i = 0; is_there(keys) && i < keys->set->count; i++) {
		if (is_revoked(keys->set->rdata[i]) || (ds != NULL && !names(ds, c->child, keys->set->rdata[i])))
			continue;
		if (signs(c, a, keys->set->rdata[i], &tries, inception))
			return true;
	}
	return false;
}

/* --- a proposed delegation ------------------------------------------------------------------------------------------
 */

static void prove(struct prt_findings *f, struct msp_span key)
{
	struct prt_proof p = { .tag = msp_key_tag(key), .algorithm = key.len > 3 ? key.ptr[3] : 0 };

	for (size_t i = 0; i < f->proofs; i++)
		if (f->proof[i].tag == p.tag && f->proof[i].algorithm == p.algorithm)
			return;
	if (f->proofs < PRT_PROOFS_MAX)
		f->proof[f->proofs++] = p;
}

static void check_server(struct court *c, const struct prt_server *s, const struct prt_delegation *d,
			 const struct prt_check_rules *rules, struct prt_findings *out)
{
	const struct prt_answer *soa = &s->answer[PRT_Q_SOA], *ns = &s->answer[PRT_Q_NS];
	const struct msp_rrset *ds = prt_delegation_ds(d);
	struct msp_span by = { 0 };

	if (!is_there(soa) || !soa->is_authoritative) {
		find(out, FATAL, MSP_EDE_DELEGATION_CHECK, "G.4: every server answers for the child",
		     "%s does not answer authoritatively for %s", where(s).s, MSP_NAME(&d->child));
		return;
	}
	if (!is_there(ns) || !msp_rrset_equal(ns->set, prt_delegation_ns(d)))
		find(out, rules->strict_ns ? FATAL : WARNING, MSP_EDE_DELEGATION_CHECK, "G.4: apex NS as proposed",
		     "%s has another NS RRset", where(s).s);
	if (ds != NULL && !has_chain(c, s, ds))
		find(out, is_silence(s->answer[PRT_Q_DNSKEY].err) ? PASSING : FATAL, MSP_EDE_CHAIN_WOULD_BREAK,
		     "G.4 check 5", "no proposed DS names a key that signs the DNSKEY RRset of %s", where(s).s);
	else if (ds != NULL && !has_chain_by(c, s, ds, strongest_digest(ds), &by))
		find(out, FATAL, MSP_EDE_CHAIN_WOULD_BREAK, "G.4 check 5",
		     "of the proposed DS only one with a weaker digest than others have is good at %s", where(s).s);
	else if (ds != NULL)
		prove(out, by);
}

/*
 * A new server that answers over TCP alone is lame for all who ask over UDP. Who cuts its answer short has answered:
 * what it says was seen over TCP. @return false: as if it were out of reach, and told
 */
static bool answers_by_udp(const struct prt_server *s, const struct prt_delegation *d,
			   const struct prt_check_rules *rules, struct prt_findings *out)
{
	static const char rule[] = "G.4: every new server answers over UDP";
	const struct prt_answer *soa = &s->udp;

	if (!soa->is_asked || soa->err == MSP_ETRUNC || (is_there(soa) && soa->is_authoritative))
		return true;
	if (!is_silence(soa->err)) {
		find(out, FATAL, MSP_EDE_DELEGATION_CHECK, rule, "%s does not answer authoritatively for %s over UDP",
		     where(s).s, MSP_NAME(&d->child));
		return true;
	}
	find(out, rules->min_servers == 0 ? PASSING : WARNING, MSP_EDE_DELEGATION_CHECK, rule,
	     "%s does not answer over UDP: %s", where(s).s, msp_err_text(soa->err));
	return false;
}

static bool is_asked(const struct prt_evidence *e, const struct msp_name *host)
{
	for (size_t i = 0; i < e->count; i++)
		if (msp_name_equal(&e->server[i].host, host))
			return true;
	return false;
}

static bool is_proposed(const struct prt_delegation *d, const struct msp_name *host)
{
	const struct msp_rrset *ns = prt_delegation_ns(d);

	for (size_t i = 0; ns != NULL && i < ns->count; i++) {
		struct msp_name name;

		if (msp_rdata_name_parse(ns->rdata[i], &name) == MSP_OK && msp_name_equal(&name, host))
			return true;
	}
	return false;
}

/* Addresses outside the child are anybody's to choose: our own network is nobody's to have looked at. */
static bool leads_somewhere(const struct prt_server *s, const struct prt_check_rules *rules)
{
	return s->addr.family == MSP_FAMILY_NONE ||
	       prt_address_is_usable(msp_span(s->addr.oct, s->addr.family == MSP_FAMILY_V4 ? 4 : 16),
				     rules->shape.private_addresses);
}

static void check_servers(struct court *c, const struct prt_evidence *e, const struct prt_delegation *d,
			  const struct prt_check_rules *rules, struct prt_findings *out)
{
	size_t reached = 0, wanted = 0;

	for (size_t i = 0; i < e->count; i++) {
		const struct prt_server *s = &e->server[i];

		if (!is_proposed(d, &s->host))
			continue; /* of the present delegation only */
		wanted++;
		if (!leads_somewhere(s, rules)) {
			find(out, FATAL, MSP_EDE_DELEGATION_CHECK, "G.4: usable addresses",
			     "%s: the address leads nowhere", where(s).s);
		} else if (is_reached(s)) {
			reached += answers_by_udp(s, d, rules, out);
			check_server(c, s, d, rules, out);
		} else {
			find(out, rules->min_servers == 0 ? PASSING : WARNING, MSP_EDE_DELEGATION_CHECK,
			     "G.4: every server answers for the child", "%s: %s", where(s).s,
			     msp_err_text(s->answer[PRT_Q_SOA].err));
		}
	}
	out->asked = wanted;
	out->answered = reached;
	if (reached == 0 || (rules->min_servers != 0 && reached < rules->min_servers && reached < wanted))
		find(out, PASSING, MSP_EDE_DELEGATION_CHECK, "G.4: min-servers", "%zu of %zu addresses answer", reached,
		     wanted);
}

static void check_delegation(struct court *c, const struct prt_evidence *e, const struct prt_delegation *proposed,
			     const struct prt_check_rules *rules, struct prt_findings *out)
{
	const struct msp_rrset *ns = prt_delegation_ns(proposed);
	struct msp_why why = { "" };

	if (prt_delegation_check(proposed, &rules->shape, &why) != MSP_OK)
		find(out, FATAL, MSP_EDE_DELEGATION_CHECK, "G.4: shape of a delegation", "%s", why.text);
	for (size_t i = 0; ns != NULL && i < ns->count; i++) {
		struct msp_name host;

		if (msp_rdata_name_parse(ns->rdata[i], &host) == MSP_OK && !is_asked(e, &host))
			find(out, FATAL, MSP_EDE_DELEGATION_CHECK, "G.4: each NS can be resolved", "%s has no address",
			     MSP_NAME(&host));
	}
	check_servers(c, e, proposed, rules, out);
}

void prt_check_delegation(const struct prt_evidence *e, const struct prt_delegation *proposed,
			  const struct prt_check_rules *rules, struct msp_wall now, struct prt_findings *out)
{
	struct court c;

	court_init(&c, &proposed->child, now);
	check_delegation(&c, e, proposed, rules, out);
}

static bool is_seen(const struct prt_evidence *e, const struct msp_name *host)
{
	for (size_t i = 0; i < e->count; i++)
		if (msp_name_equal(&e->server[i].host, host) && is_reached(&e->server[i]))
			return true;
	return false;
}

void prt_check_unseen(const struct prt_evidence *e, const struct prt_delegation *present,
		      const struct prt_delegation *proposed, struct prt_findings *out)
{
	unsigned losses = prt_delegation_losses(present, proposed);
	const struct msp_rrset *ns = prt_delegation_ns(proposed);

	if ((losses & PRT_LOSS_SOME_DS) == 0 || (losses & PRT_LOSS_LAST_DS) != 0)
		return;
	for (size_t i = 0; ns != NULL && i < ns->count; i++) {
		struct msp_name host;

		if (msp_rdata_name_parse(ns->rdata[i], &host) == MSP_OK && !is_seen(e, &host))
			find(out, PASSING, MSP_EDE_CHAIN_WOULD_BREAK, "G.4 check 5",
			     "%s is out of reach: it may need a DS that would go", MSP_NAME(&host));
	}
}

/* --- CDS and CDNSKEY ------------------------------------------------------------------------------------------------
 */

/* What one server asks for, as one set of DS. */
struct wish {
	bool is_silent, is_delete;
	struct msp_rrset *ds; /* owned */
	uint32_t inception;
};

static bool is_known_digest(const struct prt_check_rules *rules, struct msp_span rdata)
{
	struct msp_ds ds;

	return msp_ds_parse(rdata, &ds) == MSP_OK && ds.digest_type < 32 &&
	       (rules->shape.ds_digests & UINT32_C(1) << ds.digest_type) != 0;
}

static bool is_sentinel(const struct prt_answer *cds, const struct prt_answer *cdnskey)
{
	return (is_there(cds) && cds->set->count == 1 && msp_cds_is_delete(cds->set->rdata[0])) ||
	       (is_there(cdnskey) && cdnskey->set->count == 1 && msp_cdnskey_is_delete(cdnskey->set->rdata[0]));
}

/* RFC 8078 4: the sentinel stands alone. */
static bool has_mixed_sentinel(const struct prt_answer *cds, const struct prt_answer *cdnskey)
{
	bool alone_1 = !is_there(cds) || (cds->set->count == 1 && msp_cds_is_delete(cds->set->rdata[0]));
	bool alone_2 =
		!is_there(cdnskey) || (cdnskey->set->count == 1 && msp_cdnskey_is_delete(cdnskey->set->rdata[0]));

	return !alone_1 || !alone_2;
}

static bool holds_sentinel(const struct prt_answer *a, bool (*is)(struct msp_span))
{
	for (size_t i = 0; is_there(a) && i < a->set->count; i++)
		if (is(a->set->rdata[i]))
			return true;
	return false;
}

/* RFC 7344 4: where both exist they are about the same keys. */
static bool same_keys(const struct prt_answer *cds, const struct prt_answer *cdnskey, const struct msp_name *child,
		      const struct prt_check_rules *rules)
{
	for (size_t i = 0; i < cds->set->count; i++) {
		bool found = !is_known_digest(rules, cds->set->rdata[i]); /* PROTOCOL A.5: ignored */

		for (size_t k = 0; k < cdnskey->set->count; k++)
			found = found || msp_ds_matches(child, cds->set->rdata[i], cdnskey->set->rdata[k]);
		if (!found)
			return false;
	}
	for (size_t k = 0; k < cdnskey->set->count; k++)
		if (!names(cds->set, child, cdnskey->set->rdata[k]))
			return false;
	return true;
}

static enum msp_err ds_of_cds(const struct prt_answer *cds, const struct prt_check_rules *rules, struct msp_rrset *out)
{
	enum msp_err err = MSP_OK;

	for (size_t i = 0; err == MSP_OK && i < cds->set->count; i++)
		if (is_known_digest(rules, cds->set->rdata[i]))
			err = msp_rrset_add(out, cds->set->rdata[i]);
	return err;
}

static enum msp_err ds_of_cdnskey(const struct prt_answer *cdnskey, const struct msp_name *child, struct msp_rrset *out)
{
	enum msp_err err = MSP_OK;

	for (size_t i = 0; err == MSP_OK && i < cdnskey->set->count; i++) {
		uint8_t mem[MSP_DS_MAX];
		size_t len = sizeof(mem);

		err = msp_ds_from_dnskey(child, cdnskey->set->rdata[i], MSP_DIGEST_SHA256, mem, &len);
		if (err == MSP_OK)
			err = msp_rrset_add(out, msp_span(mem, len));
	}
	return err;
}

static uint32_t first_ttl(const struct prt_check_rules *rules)
{
	return rules->ds_ttl != 0 ? rules->ds_ttl : 3600;
}

static bool could_not_say(const struct prt_answer *a)
{
	return !a->is_asked || a->err != MSP_OK;
}

/* G.4 checks 1, 2, 3 and 6 at one server. *ask is WAIT or REFUSED when it stops there. */
static enum msp_err read_wish(struct court *c, const struct prt_server *s, const struct prt_delegation *present,
			      const struct prt_check_rules *rules, struct wish *w, enum prt_ask *ask,
			      struct prt_findings *why)
{
	const struct prt_answer *cds = &s->answer[PRT_Q_CDS], *cdnskey = &s->answer[PRT_Q_CDNSKEY];
	const struct msp_rrset *ds = prt_delegation_ds(present);
	enum msp_err err;

	memset(w, 0, sizeof(*w));
	if (could_not_say(cds) || could_not_say(cdnskey)) {
		find(why, FATAL, MSP_EDE_CDS_INCONSISTENT, "G.4 check 3", "%s did not answer", where(s).s);
		*ask = PRT_ASK_WAIT;
		return MSP_OK;
	}
	w->is_silent = !is_there(cds) && !is_there(cdnskey);
	if (w->is_silent)
		return MSP_OK;
	if (ds != NULL && (!has_chain(c, s, ds) || (is_there(cds) && !is_signed(c, s, cds, ds, &w->inception)) ||
			   (is_there(cdnskey) && !is_signed(c, s, cdnskey, ds, &w->inception)))) {
		find(why, FATAL, MSP_EDE_CHAIN_WOULD_BREAK, "G.4 check 1",
		     "%s: CDS or CDNSKEY is not signed by a key that DS and DNSKEY know", where(s).s);
		*ask = PRT_ASK_REFUSED;
		return MSP_OK;
	}
	if (holds_sentinel(cds, msp_cds_is_delete) || holds_sentinel(cdnskey, msp_cdnskey_is_delete)) {
		if (has_mixed_sentinel(cds, cdnskey)) {
			find(why, FATAL, MSP_EDE_DELEGATION_CHECK, "G.4 check 6", "%s: a delete record beside others",
			     where(s).s);
			*ask = PRT_ASK_REFUSED;
		}
		w->is_delete = is_sentinel(cds, cdnskey);
		return MSP_OK;
	}
	if (is_there(cds) && is_there(cdnskey) && !same_keys(cds, cdnskey, &present->child, rules)) {
		find(why, FATAL, MSP_EDE_CDS_INCONSISTENT, "G.4 check 3",
		     "%s: CDS and CDNSKEY are about different keys", where(s).s);
		*ask = PRT_ASK_WAIT;
		return MSP_OK;
	}
	err = msp_rrset_new(&present->child, MSP_TYPE_DS, ds != NULL ? ds->ttl : first_ttl(rules), &w->ds);
	if (err == MSP_OK)
		err = is_there(cds) ? ds_of_cds(cds, rules, w->ds) : ds_of_cdnskey(cdnskey, &present->child, w->ds);
	if (err == MSP_EVALUE || err == MSP_EFORMAT || (err == MSP_OK && w->ds->count == 0)) {
		find(why, FATAL, MSP_EDE_DELEGATION_CHECK, "G.4: DS digests", "%s: no digest that is taken here",
		     where(s).s);
		*ask = PRT_ASK_REFUSED;
		err = MSP_OK;
	}
	/* The first DS is believed for other reasons; how old the signatures are has to be known afterwards (check 4)
	 */
	if (err == MSP_OK && ds == NULL && is_there(cds))
		(void)is_signed(c, s, cds, w->ds, &w->inception);
	if (err == MSP_OK && ds == NULL && is_there(cdnskey))
		(void)is_signed(c, s, cdnskey, w->ds, &w->inception);
	return err;
}

static bool same_wish(const struct wish *a, const struct wish *b)
{
	return a->is_silent == b->is_silent && a->is_delete == b->is_delete && msp_rrset_equal(a->ds, b->ds);
}

/* The one wish of all servers. */
static enum msp_err common_wish(struct court *c, const struct prt_evidence *e, const struct prt_delegation *present,
				const struct prt_check_rules *rules, uint32_t inception, struct wish *all,
				enum prt_ask *ask, struct prt_findings *why)
{
	enum msp_err err = MSP_OK;
	size_t first = e->count;

	memset(all, 0, sizeof(*all));
	for (size_t i = 0; err == MSP_OK && *ask == PRT_ASK_NOTHING && i < e->count; i++) {
		const struct prt_server *s = &e->server[i];
		struct wish w;

		if (!is_reached(s) && rules->min_servers != 0)
			continue; /* how many may be out of reach is checked with the result */
		err = read_wish(c, s, present, rules, &w, ask, why);
		if (err == MSP_OK && *ask == PRT_ASK_NOTHING && first < e->count && !same_wish(all, &w)) {
			find(why, FATAL, MSP_EDE_CDS_INCONSISTENT, "G.4 check 3", "%s and %s differ",
			     where(&e->server[first]).s, where(s).s);
			*ask = PRT_ASK_WAIT;
		}
		if (err == MSP_OK && first == e->count) {
			first = i;
			*all = w;
		} else {
			if (w.inception != 0 && (all->inception == 0 || msp_serial_gt(w.inception, all->inception)))
				all->inception = w.inception;
			msp_rrset_free(&w.ds);
		}
	}
	if (err == MSP_OK && first == e->count && *ask == PRT_ASK_NOTHING) {
		find(why, FATAL, MSP_EDE_CDS_INCONSISTENT, "G.4 check 3", "no server was reached");
		*ask = PRT_ASK_WAIT;
	}
	if (err == MSP_OK && *ask == PRT_ASK_NOTHING && !all->is_silent && prt_delegation_ds(present) != NULL &&
	    inception != 0 && msp_serial_gt(inception, all->inception)) {
		find(why, FATAL, MSP_EDE_CDS_INCONSISTENT, "G.4 check 4", "older data than was acted on");
		*ask = PRT_ASK_WAIT;
	}
	return err;
}

/* What may be asked for, once the servers have been looked at: WAIT when nothing but silence speaks against it. */
static enum prt_ask checked(struct court *c, const struct prt_evidence *e, const struct prt_delegation *present,
			    const struct prt_delegation *d, const struct prt_check_rules *rules, enum prt_ask ask,
			    struct prt_findings *why)
{
	size_t fatal = why->fatal, passing = why->passing;

	check_delegation(c, e, d, rules, why);
	prt_check_unseen(e, present, d, why);
	fatal = why->fatal - fatal;
	passing = why->passing - passing;
	if (fatal == 0)
		return ask;
	return fatal == passing ? PRT_ASK_WAIT : PRT_ASK_REFUSED;
}

static enum msp_err propose(struct court *c, const struct prt_evidence *e, const struct prt_delegation *present,
			    const struct wish *w, const struct prt_check_rules *rules, enum prt_ask *ask,
			    struct prt_delegation *out, struct prt_findings *why)
{
	enum msp_err err = prt_delegation_dup(present, out);

	if (err != MSP_OK)
		return err;
	err = prt_delegation_put(out, &present->child, MSP_TYPE_DS, w->ds);
	*ask = w->is_delete ? PRT_ASK_DELETE : PRT_ASK_CHANGE;
	if (err == MSP_OK && prt_delegation_equal(out, present))
		*ask = PRT_ASK_NOTHING;
	else if (err == MSP_OK)
		*ask = checked(c, e, present, out, rules, *ask, why);
	if (err == MSP_ELIMIT)
		*ask = PRT_ASK_REFUSED;
	if (err != MSP_OK || (*ask != PRT_ASK_CHANGE && *ask != PRT_ASK_DELETE))
		prt_delegation_clear(out);
	return err == MSP_ELIMIT ? MSP_OK : err;
}

enum msp_err prt_ask_cds(const struct prt_evidence *e, const struct prt_delegation *present,
			 const struct prt_check_rules *rules, uint32_t inception, struct msp_wall now,
			 enum prt_ask *ask, struct prt_delegation *out, uint32_t *inception_now,
			 struct prt_findings *why)
{
	struct court c;
	struct wish w;
	enum msp_err err;

	court_init(&c, &present->child, now);
	prt_delegation_init(out, &present->parent, &present->child);
	*ask = PRT_ASK_NOTHING;
	err = common_wish(&c, e, present, rules, inception, &w, ask, why);
	*inception_now = w.inception;
	/* G.4 check 2: silence is never a wish */
	if (err == MSP_OK && *ask == PRT_ASK_NOTHING && !w.is_silent)
		err = propose(&c, e, present, &w, rules, ask, out, why);
	msp_rrset_free(&w.ds);
	return err;
}

/* --- CSYNC ----------------------------------------------------------------------------------------------------------
 */

struct sync {
	const struct prt_evidence *e;
	const struct prt_delegation *present;
	const struct prt_check_rules *rules;
	struct court *court;
	enum prt_ask *ask;
	struct prt_findings *why;
};

MSP_PRINTF(4, 5)
static bool stop(const struct sync *y, enum prt_ask ask, const char *rule, const char *text, ...)
{
	struct msp_why why;
	va_list ap;

	va_start(ap, text);
	(void)vsnprintf(why.text, sizeof(why.text), text, ap);
	va_end(ap);
	find(y->why, FATAL, MSP_EDE_DELEGATION_CHECK, rule, "%s", why.text);
	*y->ask = ask;
	return false;
}

/* RFC 7477 3: nothing is copied that is not validated. */
static bool is_secure(const struct sync *y, const struct prt_server *s, const struct prt_answer *a)
{
	return is_there(a) && is_signed(y->court, s, a, NULL, NULL);
}

/* No bit is set but those of NS, A and AAAA. The bitmap is well-formed: window, length, octets (RFC 4034 4.1.2). */
static bool knows_bits(struct msp_span bitmap)
{
	static const uint16_t types[] = { MSP_TYPE_NS, MSP_TYPE_A, MSP_TYPE_AAAA };
	unsigned known = 0, set = 0;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		known += msp_bitmap_has(bitmap, types[i]);
	for (size_t at = 0; at + 2 <= bitmap.len; at += 2 + (size_t)bitmap.ptr[at + 1])
		for (size_t i = at + 2; i < at + 2 + bitmap.ptr[at + 1] && i < bitmap.len; i++)
			for (unsigned octet = bitmap.ptr[i]; octet != 0; octet &= octet - 1)
				set++;
	return set == known;
}

static bool check_csync(const struct sync *y, const struct prt_server *s, struct msp_csync *out)
{
	static const char rule[] = "RFC 7477 3: CSYNC";
	const struct prt_answer *a = &s->answer[PRT_Q_CSYNC], *soa = &s->answer[PRT_Q_SOA];
	const struct prt_answer *again = &s->answer[PRT_Q_SOA_AGAIN];

	if (could_not_say(a) || !is_there(soa) || !is_there(again))
		return stop(y, PRT_ASK_WAIT, rule, "%s did not answer", where(s).s);
	if (!msp_rrset_equal(soa->set, again->set))
		return stop(y, PRT_ASK_WAIT, rule, "%s: the zone changed while it was looked at", where(s).s);
	if (!has_chain(y->court, s, prt_delegation_ds(y->present)))
		return stop(y, PRT_ASK_REFUSED, rule, "%s: DNSKEY RRset does not validate", where(s).s);
	if (!is_secure(y, s, a) || !is_secure(y, s, soa))
		return stop(y, PRT_ASK_REFUSED, rule, "%s: CSYNC or SOA is not signed", where(s).s);
	if (a->set->count != 1 || msp_csync_parse(a->set->rdata[0], out) != MSP_OK)
		return stop(y, PRT_ASK_REFUSED, rule, "%s: not one well-formed CSYNC", where(s).s);
	if ((out->flags & ~(MSP_CSYNC_IMMEDIATE | MSP_CSYNC_SOAMINIMUM)) != 0)
		return stop(y, PRT_ASK_REFUSED, rule, "%s: unknown flags %04x", where(s).s, out->flags);
	if (!knows_bits(out->bitmap))
		return stop(y, PRT_ASK_REFUSED, rule, "%s: asks for types that are not synchronised", where(s).s);
	if ((out->flags & MSP_CSYNC_SOAMINIMUM) != 0 && msp_serial_gt(out->serial, msp_soa_serial(soa->set->rdata[0])))
		return stop(y, PRT_ASK_WAIT, rule, "%s has not reached serial %u", where(s).s, (unsigned)out->serial);
	return true;
}

/* No server shows one, or was asked for one: nothing is asked for, whatever else they show. */
static bool has_no_csync(const struct prt_evidence *e)
{
	for (size_t i = 0; i < e->count; i++) {
		const struct prt_answer *a = &e->server[i].answer[PRT_Q_CSYNC];

		if (a->is_asked && (a->err != MSP_OK || is_there(a)))
			return false;
	}
	return true;
}

/* Same flags and bits everywhere; serials are judged server by server, several signers count each on their own. */
static bool common_csync(const struct sync *y, struct msp_csync *out)
{
	for (size_t i = 0; i < y->e->count; i++) {
		struct msp_csync c;

		if (!check_csync(y, &y->e->server[i], &c))
			return false;
		if (i > 0 && (c.flags != out->flags || !msp_span_equal(c.bitmap, out->bitmap)))
			return stop(y, PRT_ASK_WAIT, "G.4: CSYNC is the same everywhere", "%s and %s differ",
				    where(&y->e->server[0]).s, where(&y->e->server[i]).s);
		*out = c;
	}
	return y->e->count > 0 || stop(y, PRT_ASK_WAIT, "RFC 7477 3: CSYNC", "no server");
}

/* One RRset, the same and secure at every server. `pick` finds it in a server; NULL: the server was not asked. */
typedef const struct prt_answer *pick_fn(const struct prt_server *s, const struct msp_name *name, uint16_t type);

static const struct prt_answer *pick_ns(const struct prt_server *s, const struct msp_name *name, uint16_t type)
{
	(void)name;
	(void)type;
	return &s->answer[PRT_Q_NS];
}

static const struct prt_answer *pick_address(const struct prt_server *s, const struct msp_name *name, uint16_t type)
{
	for (size_t i = 0; i < s->hosts; i++)
		if (msp_name_equal(&s->at[i].name, name))
			return type == MSP_TYPE_A ? &s->at[i].a : &s->at[i].aaaa;
	return NULL;
}

/* *out NULL: every server says that there is none. */
static bool agreed(const struct sync *y, pick_fn *pick, const struct msp_name *name, uint16_t type,
		   const struct msp_rrset **out)
{
	static const char rule[] = "RFC 7477 3: data is the same and secure everywhere";

	*out = NULL;
	for (size_t i = 0; i < y->e->count; i++) {
		const struct prt_server *s = &y->e->server[i];
		const struct prt_answer *a = pick(s, name, type);

		if (a == NULL || could_not_say(a))
			return stop(y, PRT_ASK_WAIT, rule, "%s did not say %s %s", where(s).s, MSP_NAME(name),
				    MSP_TYPE(type));
		if (is_there(a) && !is_secure(y, s, a))
			return stop(y, PRT_ASK_REFUSED, rule, "%s: %s %s is not signed", where(s).s, MSP_NAME(name),
				    MSP_TYPE(type));
		if (i > 0 && !msp_rrset_equal(*out, a->set))
			return stop(y, PRT_ASK_WAIT, rule, "%s: another %s %s", where(s).s, MSP_NAME(name),
				    MSP_TYPE(type));
		*out = is_there(a) ? a->set : NULL;
	}
	return true;
}

/* RFC 7477 3: the data is copied; what TTL it has in the parent is the parent's matter. */
static enum msp_err put_data(struct prt_delegation *d, const struct msp_name *owner, uint16_t type,
			     const struct msp_rrset *set)
{
	const struct msp_rrset *before = prt_delegation_get(d, owner, type);
	uint32_t ttl = before != NULL ? before->ttl : set->ttl;
	enum msp_err err = prt_delegation_put(d, owner, type, set);

	for (size_t i = 0; err == MSP_OK && i < d->count; i++)
		if (d->set[i]->type == type && msp_name_equal(&d->set[i]->owner, owner))
			d->set[i]->ttl = ttl;
	return err;
}

/*
 * Addresses of a server below the child. That there is none of a family is a denial, which nobody has proved here: what
 * the parent has of it stays, so that glue is never lost by it.
 */
static enum msp_err take_addresses(const struct sync *y, const struct msp_csync *c, const struct msp_name *host,
				   struct prt_delegation *out)
{
	static const uint16_t types[] = { MSP_TYPE_A, MSP_TYPE_AAAA };
	enum msp_err err = MSP_OK;

	for (size_t i = 0; err == MSP_OK && i < 2; i++) {
		const struct msp_rrset *set;

		if (!msp_bitmap_has(c->bitmap, types[i]))
			continue;
		if (!agreed(y, pick_address, host, types[i], &set))
			return MSP_OK;
		if (set != NULL)
			err = put_data(out, host, types[i], set);
		else if (prt_delegation_get(out, host, types[i]) != NULL)
			find(y->why, WARNING, MSP_EDE_DELEGATION_CHECK, "RFC 7477 3.2.2", "%s: the %s RRset stays",
			     MSP_NAME(host), MSP_TYPE(types[i]));
	}
	return err;
}

static enum msp_err take_all(const struct sync *y, const struct msp_csync *c, struct prt_delegation *out)
{
	const struct msp_rrset *ns = prt_delegation_ns(out);
	struct msp_name hosts[PRT_NS_MAX];
	enum msp_err err = MSP_OK;
	size_t count = 0;

	if (msp_bitmap_has(c->bitmap, MSP_TYPE_NS)) {
		if (!agreed(y, pick_ns, &out->child, MSP_TYPE_NS, &ns))
			return MSP_OK;
		if (ns == NULL) {
			(void)stop(y, PRT_ASK_REFUSED, "G.4: never an empty NS RRset", "no NS RRset at the apex");
			return MSP_OK;
		}
		err = put_data(out, &out->child, MSP_TYPE_NS, ns);
	}
	ns = prt_delegation_ns(out);
	for (size_t i = 0; err == MSP_OK && ns != NULL && i < ns->count && i < PRT_NS_MAX; i++)
		if (msp_rdata_name_parse(ns->rdata[i], &hosts[count]) == MSP_OK &&
		    msp_name_is_under(&hosts[count], &out->child))
			count++;
	for (size_t i = 0; err == MSP_OK && *y->ask == PRT_ASK_NOTHING && i < count; i++)
		err = take_addresses(y, c, &hosts[i], out);
	prt_delegation_drop_idle_glue(out);
	return err;
}

enum msp_err prt_ask_csync(const struct prt_evidence *e, const struct prt_delegation *present,
			   const struct prt_check_rules *rules, struct msp_wall now, enum prt_ask *ask,
			   struct prt_delegation *out, struct prt_findings *why)
{
	struct court court;
	const struct sync y = { e, present, rules, &court, ask, why };
	struct msp_csync c = { 0 };
	enum msp_err err;

	court_init(&court, &present->child, now);
	*ask = PRT_ASK_NOTHING;
	prt_delegation_init(out, &present->parent, &present->child);
	if (has_no_csync(e))
		return MSP_OK;
	if (prt_delegation_ds(present) == NULL)
		return stop(&y, PRT_ASK_REFUSED, "RFC 7477 3: secure children only", "no DS") ? MSP_OK : MSP_OK;
	if (!common_csync(&y, &c))
		return MSP_OK;
	err = prt_delegation_dup(present, out);
	if (err != MSP_OK)
		return err;
	err = take_all(&y, &c, out);
	if (err == MSP_ELIMIT) {
		(void)stop(&y, PRT_ASK_REFUSED, "G.4: limits of a delegation",
			   "more records than a delegation has room for");
		err = MSP_OK;
	}
	if (err == MSP_OK && *ask == PRT_ASK_NOTHING && !prt_delegation_equal(out, present))
		*ask = checked(&court, e, present, out, rules,
			       (c.flags & MSP_CSYNC_IMMEDIATE) != 0 ? PRT_ASK_CHANGE : PRT_ASK_HUMAN, why);
	if (err != MSP_OK || (*ask != PRT_ASK_CHANGE && *ask != PRT_ASK_HUMAN))
		prt_delegation_clear(out);
	return err;
}
