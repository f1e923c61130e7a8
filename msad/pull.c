/* SPDX-License-Identifier: BSD-2-Clause */
#include "pull.h"

#include <stdio.h>
#include <string.h>

#include <msproto/base/mem.h>

#include "actions.h"
#include "message.h"
#include "peer.h"

#define PULL_RETRY_S     2
#define PULL_RETRY_MAX_S 600
#define PULL_PACE_MS                                                                                                   \
	1000 /* what a peer announces anew at every turn costs the store and the signer no more than this */
#define PULL_RECORDS_MAX 64 /* per type; the checks allow fewer */

static const uint16_t pull_type[MSA_PULLS] = { MSP_TYPE_DNSKEY, MSP_TYPE_CDS, MSP_TYPE_NS, MSP_TYPE_KEY };

static bool is_running(const struct msa_member *m)
{
	return m->pull[0].id != 0 || m->pull[1].id != 0 || m->pull[2].id != 0 || m->pull[3].id != 0;
}

static bool is_wanted(const struct msa_member *m)
{
	return m->has_announced && m->state != MSA_MEMBER_UNSEEN && msa_member_is_active(m) &&
	       (m->held.version == 0 || !msa_same_digest(m->announced, m->held.digest));
}

/** When a pull may start: not right after another, whatever the peer announces. */
static struct msp_mono due(const struct msa_member *m)
{
	struct msp_mono paced = msp_mono_add_ms(m->pull[0].since, PULL_PACE_MS);

	return m->pull[0].since.ms == 0 || paced.ms < m->pull_next.ms ? m->pull_next : paced;
}

struct msp_mono msa_pull_next(const struct msa_member *m)
{
	struct msp_mono since = MSP_MONO_NEVER;

	if (!is_running(m))
		return is_wanted(m) ? due(m) : MSP_MONO_NEVER;
	for (size_t i = 0; i < MSA_PULLS; i++)
		if (m->pull[i].id != 0)
			since = msp_mono_min(since, m->pull[i].since);
	return msp_mono_add_ms(since, MSA_OVERDUE_MS + 1);
}

static void stop(struct msa_core *c, struct msa_member *m)
{
	for (size_t i = 0; i < MSA_PULLS; i++)
		msa_pend_stop(c, &m->pull[i]);
	msa_contribution_fini(&m->pulled);
}

static void fail(struct msa_core *c, struct msa_member *m, const char *why)
{
	bool is_news = strcmp(why, m->pull_why) != 0;

	stop(c, m);
	snprintf(m->pull_why, sizeof(m->pull_why), "%s", why);
	m->pull_next =
		msp_mono_add_ms(c->now, msa_core_backoff_ms(c, &m->pull_backoff_s, PULL_RETRY_S, PULL_RETRY_MAX_S));
	msp_log(c->log, is_news ? MSP_LOG_NOTICE : MSP_LOG_INFO, "pull-failed",
		MSP_F_STR("zone", MSP_NAME(&m->zone->name)), MSP_F_STR("peer", MSP_NAME(&m->peer->identity)),
		MSP_F_STR("reason", m->pull_why));
	msa_core_touch_zone(c, m->zone);
}

static bool send_query(struct msa_core *c, struct msa_member *m, size_t i)
{
	struct msa_peer *p = m->peer;
	struct msp_span message;
	enum msp_err err;

	if (!msa_pend_start(c, &m->pull[i], MSA_PEND_PULL, m))
		return false;
	m->pull[i].type = pull_type[i];
	err = msa_query_build(c, m, pull_type[i], &message);
	if (err != MSP_OK) {
		if (err == MSP_ENOMEM || err == MSP_ECRYPTO)
			msa_core_note(c, err);
		fail(c, m, err == MSP_ENAME ? "{zone}.{identity} is longer than 255 octets" : msp_err_text(err));
		return false;
	}
	msa_act_send(c, &m->pull[i], &p->addr[p->addr_best % p->addr_count], true, message);
	return m->pull[i].id != 0;
}

void msa_pull_look(struct msa_core *c, struct msa_member *m)
{
	if (is_running(m) || !is_wanted(m) || !msp_mono_reached(c->now, due(m)))
		return;
	msa_contribution_fini(&m->pulled);
	memcpy(m->pull_digest, m->announced, sizeof(m->pull_digest));
	m->pulled.version = m->announced_version == 0 ? 1 : m->announced_version;
	/* KEY is asked only of those who say that they have it. */
	for (size_t i = 0; i < ((m->peer->caps & MSA_CAP_SHARE_KEY) != 0 ? MSA_PULLS : MSA_PULLS - 1); i++)
		if (!send_query(c, m, i))
			return;
}

/** Only what was asked for counts: exactly this owner and type. Anything else is not an answer to the question. */
static enum msp_err collect(struct msa_core *c, struct msa_member *m, uint16_t type, const struct msp_msg *msg,
			    struct msp_rrset **out)
{
	struct msp_name name;
	struct msp_msg_it it;
	struct msp_rr rr;
	struct msp_rrset *set = NULL;
	enum msp_err err = msa_contribution_name(&m->zone->name, &m->peer->identity, &name);

	if (err == MSP_OK && (!msp_name_equal(&msg->question.name, &name) || msg->question.type != type))
		err = MSP_EMISMATCH;
	if (err == MSP_OK && msg->count[MSP_SEC_ANSWER] > PULL_RECORDS_MAX)
		err = MSP_ELIMIT;
	if (err != MSP_OK)
		return err;
	msp_msg_it_init(&it, msg, MSP_SEC_ANSWER, c->scratch);
	while (err == MSP_OK && msp_msg_next(&it, &rr)) {
		if (rr.type != type || rr.cls != MSP_CLASS_IN || !msp_name_equal(&rr.owner, &name)) {
			err = MSP_EMISMATCH;
			break;
		}
		if (set == NULL)
			err = msp_rrset_new(&m->zone->name, type, rr.ttl, &set);
		if (err == MSP_OK && rr.ttl < set->ttl)
			set->ttl = rr.ttl;
		if (err == MSP_OK)
			err = msp_rrset_add(set, rr.rdata);
	}
	if (err != MSP_OK)
		msp_rrset_free(&set);
	*out = set;
	return err;
}

/** D.8: who is no signer may withdraw what it has here, and nothing else. */
static enum msp_err check_rights(const struct msa_member *m, const struct msa_contribution *new, struct msp_why *why)
{
	bool is_signer = m->role == MSA_ROLE_PARTICIPANT && m->signs;

	if (is_signer || m->role == MSA_ROLE_STAGER)
		return MSP_OK;
	if (!msp_rrset_contains(m->held.dnskey, new->dnskey) || !msp_rrset_contains(m->held.cds, new->cds))
		return msp_fail(why, MSP_EREFUSED, "new DNSKEY or CDS from an identity that is no signer any more");
	if (m->role == MSA_ROLE_LEAVER &&
	    (!msp_rrset_contains(m->held.ns, new->ns) || !msp_rrset_contains(m->held.key, new->key)))
		return msp_fail(why, MSP_EREFUSED, "new NS or KEY from a leaver");
	return MSP_OK;
}

static enum msp_err check(struct msa_core *c, struct msa_member *m, const struct msa_contribution *new,
			  struct msp_why *why)
{
	struct msa_zone *z = m->zone;
	struct msa_foreign *others = msp_alloc(z->member_count + 1, sizeof(*others));
	bool may_sign = m->signs || m->history.ever_signed;
	size_t count = 0;
	enum msp_err err;

	if (others == NULL)
		return MSP_ENOMEM;
	others[count++] = (struct msa_foreign){ .dnskey = z->own.dnskey, .identity = &c->identity };
	for (size_t i = 0; i < z->member_count; i++)
		if (z->member[i] != m && z->member[i]->role != MSA_ROLE_STAGER)
			others[count++] = (struct msa_foreign){ .dnskey = z->member[i]->held.dnskey,
								.identity = &z->member[i]->peer->identity };
	err = msa_contribution_check(&z->name, new, may_sign, others, count, why);
	msp_free(others);
	return err == MSP_OK ? check_rights(m, new, why) : err;
}

/** What the verified contribution no longer has is to leave the zone: the only reason why a foreign key ever does
 * (I10). */
static enum msp_err note_dropped(struct msa_zone *z, const struct msa_contribution *old,
				 const struct msa_contribution *new)
{
	enum msp_err err = MSP_OK;

	for (size_t i = 0; old->dnskey != NULL && i < old->dnskey->count && err == MSP_OK; i++) {
		struct msp_span key = old->dnskey->rdata[i];

		if ((new->dnskey != NULL &&msp_rrset_has(new->dnskey, key)) || z->put_dnskey == NULL ||
		    !msp_rrset_has(z->put_dnskey, key))
			continue;
		if (z->dropping == NULL)
			err = msp_rrset_new(&z->name, MSP_TYPE_DNSKEY, z->ttl_s, &z->dropping);
		if (err == MSP_OK)
			err = msp_rrset_add(z->dropping, key);
	}
	return err;
}

static void accept(struct msa_core *c, struct msa_member *m)
{
	enum msp_err err = note_dropped(m->zone, &m->held, &m->pulled);

	if (err != MSP_OK) {
		msa_core_note(c, err);
		fail(c, m, msp_err_text(err));
		return;
	}
	if (m->zone->dropping != NULL)
		m->zone->put_stored = msa_store_put(c, m->zone);
	msa_contribution_fini(&m->held);
	m->held = m->pulled;
	memcpy(m->held.digest, m->pull_digest, sizeof(m->held.digest));
	m->pulled = (struct msa_contribution){ 0 };
	m->pull_why[0] = '\0';
	m->pull_backoff_s = 0;
	msa_store_held(c, m);
	msp_log(c->log, MSP_LOG_NOTICE, "contribution", MSP_F_STR("zone", MSP_NAME(&m->zone->name)),
		MSP_F_STR("peer", MSP_NAME(&m->peer->identity)), MSP_F_U64("version", m->held.version),
		MSP_F_U64("dnskey", m->held.dnskey == NULL ? 0 : m->held.dnskey->count),
		MSP_F_U64("cds", m->held.cds == NULL ? 0 : m->held.cds->count),
		MSP_F_U64("ns", m->held.ns == NULL ? 0 : m->held.ns->count));
	msa_core_touch_zone(c, m->zone);
}

static void judge(struct msa_core *c, struct msa_member *m)
{
	uint8_t digest[32];
	struct msp_why why = { "" };
	char text[MSA_TEXT_MAX];
	enum msp_err err = msa_contribution_digest(&m->zone->name, &m->pulled, digest);

	if (err == MSP_OK && !msa_same_digest(digest, m->pull_digest)) {
		fail(c, m, "digest differs from the announced one");
		return;
	}
	if (err == MSP_OK)
		err = check(c, m, &m->pulled, &why);
	if (err == MSP_OK) {
		accept(c, m);
		return;
	}
	if (err != MSP_EREFUSED) {
		msa_core_note(c, err);
		fail(c, m, msp_err_text(err));
		return;
	}
	msp_log(c->log, MSP_LOG_WARNING, "contribution-refused", MSP_F_STR("zone", MSP_NAME(&m->zone->name)),
		MSP_F_STR("peer", MSP_NAME(&m->peer->identity)), MSP_F_STR("rule", why.text));
	snprintf(text, sizeof(text), "refused: %.180s", why.text);
	fail(c, m, text);
}

void msa_pull_answer(struct msa_core *c, struct msa_member *m, uint16_t type, enum msp_err err,
		     const struct msp_msg *msg)
{
	struct msp_rrset **into = type == MSP_TYPE_DNSKEY ? &m->pulled.dnskey
				  : type == MSP_TYPE_CDS  ? &m->pulled.cds
				  : type == MSP_TYPE_KEY  ? &m->pulled.key
							  : &m->pulled.ns;
	char text[MSA_TEXT_MAX];

	if (err == MSP_OK && msg->rcode != MSP_RCODE_NOERROR) {
		msa_answer_text(c, msg, text);
		fail(c, m, text);
		return;
	}
	if (err == MSP_OK) {
		msp_rrset_free(into);
		err = collect(c, m, type, msg, into);
	}
	if (err != MSP_OK) {
		if (err == MSP_ENOMEM)
			msa_core_note(c, err);
		if (m->peer->addr_count > 1)
			m->peer->addr_best = (m->peer->addr_best + 1) % m->peer->addr_count;
		fail(c, m, msp_err_text(err));
		return;
	}
	if (!is_running(m))
		judge(c, m);
}
