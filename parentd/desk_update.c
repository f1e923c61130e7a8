/* SPDX-License-Identifier: BSD-2-Clause */
/* UPDATE: PROTOCOL G.5 steps 4 to 9 and 11. */
#include "desk_priv.h"

#include <msproto/auth/key.h>

#include <assert.h>
#include <string.h>

#define CLOCKS_S 60 /* by so much the clocks of several parentds on one store may differ */

/* --- messages seen: PROTOCOL C.5 ------------------------------------------------------------------------------------
 */

static void forget_expired(struct prt_child *c, struct msp_wall now)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->seen_count; i++)
		if (c->seen[i].until.s >= now.s)
			c->seen[kept++] = c->seen[i];
	c->seen_count = kept;
}

/* What was refused changed nothing: it gives way to what would. *is_crowded: that was needed. */
static bool make_room(struct prt_child *c, bool *is_crowded)
{
	*is_crowded = c->seen_count == PRT_SEEN_MAX;
	if (!*is_crowded)
		return true;
	for (size_t i = 0; i < c->seen_count; i++) {
		if (c->seen[i].rcode == MSP_RCODE_NOERROR)
			continue;
		memmove(&c->seen[i], &c->seen[i + 1], (--c->seen_count - i) * sizeof(c->seen[0]));
		return true;
	}
	return false;
}

static void remember(const struct prt_desk *k, const struct prt_update_in *in)
{
	const struct prt_refusal *no = &k->out->refusal;
	struct prt_seen *s;

	if (k->c->seen_count == PRT_SEEN_MAX)
		return; /* a refusal: room was made for anything else */
	s = &k->c->seen[k->c->seen_count++];
	memset(s, 0, sizeof(*s));
	memcpy(s->digest, in->digest, sizeof(s->digest));
	prt_seen_source(&in->asker.peer, s->source);
	s->at = k->now;
	s->until.s = in->until.s + CLOCKS_S;
	s->rcode = (uint16_t)no->rcode;
	s->ede = no->has_ede ? no->ede : 0;
	s->is_standard_ede = no->has_ede && no->is_standard;
	k->out->is_changed = true;
}

/* The same message again: answered as before when it may be a retransmission, else refused. Never done again. */
static bool is_repeat(const struct prt_desk *k, const struct prt_update_in *in)
{
	const struct prt_seen *s = prt_child_seen(k->c, in->digest);
	struct prt_refusal *no = &k->out->refusal;
	uint8_t source[sizeof(s->source)];
	int64_t age;

	if (s == NULL)
		return false;
	prt_seen_source(&in->asker.peer, source);
	age = k->now.s - s->at.s;
	if (memcmp(source, s->source, sizeof(source)) != 0 || age > PRT_REPEAT_S || age < -PRT_REPEAT_S) {
		(void)prt_refuse_own(no, MSP_EDE_SIG0_REPLAY, "C.5: a message counts once", "%s",
				     msp_ede_text(MSP_EDE_SIG0_REPLAY));
		no->rcode = MSP_RCODE_NOTAUTH;
		return true;
	}
	*no = (struct prt_refusal){ .rcode = s->rcode, .rule = "C.5: retransmission" };
	no->has_ede = s->ede != 0 || s->is_standard_ede;
	no->ede = s->ede;
	no->is_standard = s->is_standard_ede;
	k->out->is_repeat = true;
	return true;
}

/* --- a change of the delegation -------------------------------------------------------------------------------------
 */

static bool waits_already(const struct prt_desk *k, const struct prt_delegation *wanted)
{
	return k->c->pending.wait != PRT_WAIT_NONE && prt_delegation_equal(wanted, &k->c->pending.wanted);
}

static enum msp_err ask_again(const struct prt_desk *k, struct prt_delegation *wanted, const struct prt_asker *by,
			      const char *rule)
{
	struct msp_wall end = { k->now.s + PRT_CONFIRM_KEEP_S };
	bool is_new = k->c->pending.wait != PRT_WAIT_CONFIRM || !waits_already(k, wanted);
	int64_t left = (int64_t)k->r->confirm_s - (is_new ? 0 : k->now.s - k->c->pending.since.s);
	enum msp_err err = MSP_OK;

	(void)prt_refuse_std(&k->out->refusal, MSP_EDE_NOT_READY, rule,
			     "deletion of all DS: ask again in %lld s to confirm it", (long long)left);
	if (is_new)
		err = prt_desk_wait(k, PRT_WAIT_CONFIRM, wanted, by, end, rule, "deletion of all DS: asked for once");
	return err == MSP_OK ? MSP_EREFUSED : err;
}

/* Granted: nothing is different, or it is again what was before the change that waits; nor does who says so confirm
 * that all DS are to go. */
static enum msp_err take_back(const struct prt_desk *k, const struct prt_asker *by)
{
	const struct prt_pending *p = &k->c->pending;

	if (!prt_desk_is_base(p) && !(p->wait == PRT_WAIT_CONFIRM && p->source != PRT_SRC_DSBOOT))
		return MSP_OK;
	return prt_desk_drop(k, by, "taken back", "the child asks for what is registered", false);
}

static enum msp_err grant(const struct prt_desk *k, struct prt_delegation *wanted, const struct prt_asker *by,
			  const struct prt_ruling *ruling)
{
	struct msp_wall next = { k->now.s + PRT_LEASE_S };

	if (ruling->decision == PRT_PROPOSE)
		return prt_desk_wait(k, PRT_WAIT_OPERATOR, wanted, by, (struct msp_wall){ 0 }, ruling->rule,
				     "an operator decides");
	if (k->r->no_checks)
		return prt_desk_accept(k, wanted, by, ruling->rule, "servers are not looked at here");
	return prt_desk_wait(k, PRT_WAIT_CHECKS, wanted, by, next, ruling->rule, "its servers are to be looked at");
}

/* The gates; what is refused is in out->refusal. */
static enum msp_err decide(const struct prt_desk *k, struct prt_delegation *wanted, const struct prt_asker *by)
{
	struct prt_refusal *no = &k->out->refusal;
	const struct prt_pending *p = &k->c->pending;
	struct prt_ruling ruling;
	struct msp_why why = { "" };

	prt_desk_judge(k->r, k->c, wanted, by->source, prt_desk_is_confirmed(k->r, k->c, wanted, k->now), k->now,
		       &ruling);
	if (ruling.decision == PRT_REFUSE || ruling.decision == PRT_LATER) {
		*no = ruling.refusal;
		return MSP_EREFUSED;
	}
	if (prt_touches(&k->c->registered, wanted) == 0)
		return take_back(k, by);
	if (!prt_desk_may_displace(k->c, by->source)) {
		(void)prt_refuse_std(no, MSP_EDE_BLOCKED, "one change at a time", "an operator's change waits");
		return MSP_EREFUSED;
	}
	if (prt_delegation_check(wanted, &k->r->check.shape, &why) != MSP_OK) {
		(void)prt_refuse_own(no, MSP_EDE_DELEGATION_CHECK, "G.4: shape of a delegation", "%s", why.text);
		return MSP_EREFUSED;
	}
	if (ruling.decision == PRT_CONFIRM)
		return ask_again(k, wanted, by, ruling.rule);
	if (waits_already(k, wanted) && prt_desk_is_base(p))
		return MSP_OK; /* sent again while it waits: it goes on waiting */
	return grant(k, wanted, by, &ruling);
}

static enum msp_err change(const struct prt_desk *k, const struct prt_update_in *in)
{
	const struct prt_pending *p = &k->c->pending;
	const struct prt_delegation *base = prt_desk_is_base(p) ? &p->wanted : &k->c->registered;
	struct prt_delegation wanted;
	enum msp_err err;

	err = prt_update_apply(in->msg, base, in->scratch, &wanted, &k->out->refusal);
	if (err != MSP_OK)
		return err;
	prt_desk_settle_ttl(k->r, k->c, &wanted);
	err = decide(k, &wanted, &in->asker);
	prt_delegation_clear(&wanted);
	return err;
}

/* --- the pipeline ---------------------------------------------------------------------------------------------------
 */

static enum msp_err prerequisites(const struct prt_desk *k, const struct prt_update_in *in)
{
	const struct prt_pending *p = &k->c->pending;
	const struct prt_delegation *base = prt_desk_is_base(p) ? &p->wanted : &k->c->registered;
	struct msp_rrset *keys = NULL;
	enum msp_err err;

	if (in->msg->count[MSP_SEC_PREREQ] == 0)
		return MSP_OK;
	err = prt_keyset_trusted(&k->c->keys, &k->c->name, &keys);
	if (err == MSP_OK)
		err = prt_update_prerequisites(in->msg, base, keys, in->scratch, &k->out->refusal);
	msp_rrset_free(&keys);
	return err;
}

/* *counts: the message is one that must not come a second time. */
static enum msp_err run(const struct prt_desk *k, const struct prt_update_in *in, const struct prt_key *key,
			bool is_trusted, bool *counts)
{
	struct prt_refusal *no = &k->out->refusal;
	enum prt_update_class class;
	enum msp_err err;

	*counts = is_trusted;
	if (!prt_desk_is_delegated(k->c)) {
		*counts = (k->c->flags & PRT_CHILD_GONE) != 0 && is_trusted; /* of what never was nothing is kept */
		(void)prt_refuse_own(no, MSP_EDE_NOT_A_DELEGATION, "G.5 step 3: an existing delegation",
				     "%s is not delegated", MSP_NAME(&k->c->name));
		return MSP_EREFUSED;
	}
	if (!prt_update_classify(in->msg, &k->c->name, in->scratch, &class, no))
		return MSP_EREFUSED;
	if (!is_trusted && class != PRT_UPDATE_KEY) {
		prt_key_refusal(key, in->msg->edns.present, no);
		return MSP_EREFUSED;
	}
	/* Anybody can upload a key: what is trusted here, and what waits, is not for him to find out by trying. */
	if (!is_trusted && in->msg->count[MSP_SEC_PREREQ] > 0) {
		(void)prt_refuse_own(no, MSP_EDE_KEY_NOT_TRUSTED, "G.6: an upload has no prerequisites",
				     "prerequisites are for trusted keys");
		return MSP_EREFUSED;
	}
	err = prerequisites(k, in);
	if (err != MSP_OK)
		return err;
	switch (class) {
	case PRT_UPDATE_DELEGATION:
		return change(k, in);
	case PRT_UPDATE_KEY:
		err = prt_desk_update_keys(k, in, is_trusted, counts);
		*counts |= is_trusted;
		return err;
	case PRT_UPDATE_NOTHING:
		break;
	}
	*counts = false; /* nothing was asked for: nothing can come of it a second time */
	return MSP_OK;
}

/* G.5: what became of a change that was accepted, and failed later. */
static void tell_note(const struct prt_desk *k)
{
	struct prt_child *c = k->c;
	struct prt_refusal *no = &k->out->refusal;

	if (c->note[0] == '\0')
		return;
	(void)prt_refuse_own(no, MSP_EDE_DELEGATION_CHECK, "G.5: the change before was not carried out", "%s", c->note);
	no->rcode = MSP_RCODE_NOERROR;
	c->note[0] = '\0';
	k->out->is_changed = true;
}

/* What waits to be asked for again is on record already. */
static enum msp_err record_refusal(const struct prt_desk *k, const struct prt_asker *by)
{
	return k->out->entries > 0 ? MSP_OK
				   : prt_desk_entry(k, PRT_VERDICT_REFUSED, by, k->out->refusal.rule,
						    k->out->refusal.why.text, NULL, NULL);
}

enum msp_err prt_desk_update(const struct prt_rules *r, struct prt_child *c, const struct prt_update_in *in,
			     struct msp_wall now, struct prt_outcome *out)
{
	const struct prt_desk k = { r, c, now, out };
	struct prt_key *key = in->is_tsig ? NULL : prt_keyset_find(&c->keys, in->key);
	bool is_trusted = in->is_tsig || (key != NULL && key->state == PRT_KEY_TRUSTED), counts = false, is_crowded;
	enum msp_err err = MSP_OK;

	assert(in->asker.source == (in->is_tsig ? PRT_SRC_TSIG : PRT_SRC_UPDATE));
	prt_desk_heal(&k);
	forget_expired(c, now);
	if (is_repeat(&k, in))
		goto out;
	/* Without room a message could come a second time. */
	if (!make_room(c, &is_crowded)) {
		(void)prt_refuse_std(&out->refusal, MSP_EDE_BLOCKED, "C.5: room for messages seen",
				     "%d messages within the validity of their signatures", PRT_SEEN_MAX);
		goto out;
	}
	err = run(&k, in, key, is_trusted, &counts);
	if (err == MSP_OK && is_trusted)
		tell_note(&k);
	if (err == MSP_EREFUSED) /* so many refusals are not worth a record each, which would be kept for a year */
		err = is_trusted && counts && !is_crowded ? record_refusal(&k, &in->asker) : MSP_OK;
	if (err != MSP_OK || !counts)
		goto out;
	remember(&k, in);
	key = prt_keyset_find(&c->keys, in->key);
	if (key != NULL && key->state == PRT_KEY_TRUSTED)
		key->used = now;
out:
	if (in->has_keystate && !in->is_tsig) {
		out->has_state = true;
		out->keystate = prt_desk_keystate(&c->keys, in->key);
	}
	return err;
}
