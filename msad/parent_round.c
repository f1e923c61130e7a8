/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>

#include "actions.h"
#include "parent.h"

#define SERVER_TIMEOUT_MS 5000
#define RECORDS_MAX       128 /* looked at in one section of one answer */
#define OBSERVE_ROUNDS    2   /* PROTOCOL F.1: OBS */
#define OBSERVE_MAX_S     900

static const int64_t resend_s[] = { 3600, 4 * 3600, 24 * 3600 }; /* PROTOCOL F.3 */

void msa_round_stop(struct msa_core *c, struct msa_round *r)
{
	for (size_t i = 0; i < MSA_ROUND_WIDTH; i++)
		msa_pend_stop(c, &r->slot[i].pend);
	r->is_running = false;
}

static void disagree(struct msa_round *r, const char *what, size_t addr)
{
	if (!r->disagrees)
		snprintf(r->why, sizeof(r->why), "%.90s (%.64s): %.80s",
			 MSP_NAME(&r->servers->ns[r->servers->addr_ns[addr]]), MSP_ADDR(&r->servers->addr[addr]), what);
	r->disagrees = true;
}

/* ---- what they say
 * ---------------------------------------------------------------------------------------------------- */

static bool is_address(uint16_t type)
{
	return type == MSP_TYPE_A || type == MSP_TYPE_AAAA;
}

/** Records of the child's delegation in one section. */
static enum msp_err collect(struct msa_core *c, const struct msp_name *child, const struct msp_msg *m,
			    enum msp_section section, uint16_t type, struct msa_records *out)
{
	enum msp_err err = MSP_OK;
	struct msp_msg_it it;
	struct msp_rr rr;
	size_t n = 0;

	msp_msg_it_init(&it, m, section, c->scratch);
	while (err == MSP_OK && n++ < RECORDS_MAX && msp_msg_next(&it, &rr)) {
		bool is_it = rr.type == type && msp_name_equal(&rr.owner, child);

		if (section == MSP_SEC_ADDITIONAL) /* glue, and only what is the child's own */
			is_it = is_address(rr.type) && msp_name_is_under(&rr.owner, child);
		if (is_it && rr.cls == MSP_CLASS_IN)
			err = msa_records_add(out, &rr.owner, rr.type, rr.ttl, rr.rdata);
	}
	return err;
}

/** One server of the parent: DS from its authority, NS and glue from its referral. */
static enum msp_err take_shown(struct msa_core *c, struct msa_parent *p, uint16_t type, const struct msp_msg *m,
			       bool *is_good)
{
	struct msa_parent_run *run = p->run;
	size_t set = type == MSP_TYPE_DS ? MSA_SHOWN_DS : MSA_SHOWN_NS;
	struct msa_records one = { 0 };
	enum msp_err err = collect(c, &p->zone->name, m, MSP_SEC_ANSWER, type, &one);

	if (err == MSP_OK && type == MSP_TYPE_NS)
		err = collect(c, &p->zone->name, m, MSP_SEC_AUTHORITY, type, &one);
	if (err == MSP_OK && type == MSP_TYPE_NS)
		err = collect(c, &p->zone->name, m, MSP_SEC_ADDITIONAL, type, &one);
	if (err == MSP_OK)
		err = msa_records_merge(&p->seen.any[set], &one);
	if (err == MSP_OK && run->round.has_shown[set])
		msa_records_intersect(&p->seen.all[set], &one);
	else if (err == MSP_OK)
		err = msa_records_merge(&p->seen.all[set], &one);
	*is_good = err == MSP_OK && msa_records_equal(&one, &p->seen.want[set]);
	run->round.has_shown[set] = run->round.has_shown[set] || err == MSP_OK;
	msa_records_fini(&one);
	return err;
}

static const struct msp_rrset *expected(const struct msa_parent *p, uint16_t type)
{
	const struct msa_zone *z = p->zone;

	return type == MSP_TYPE_CDS ? z->cds : type == MSP_TYPE_CSYNC ? z->csync : z->apex_ns;
}

/** One server of the zone itself: our KEY is there, or the RRset is the one that our own signer serves. */
static enum msp_err take_published(struct msa_core *c, struct msa_parent *p, uint16_t type, const struct msp_msg *m,
				   bool *is_good)
{
	struct msa_records have = { 0 }, want = { 0 };
	enum msp_err err = collect(c, &p->zone->name, m, MSP_SEC_ANSWER, type, &have);

	if (err == MSP_OK && type == MSP_TYPE_KEY) {
		err = msa_records_add_set(&want, p->pub);
		*is_good = true;
		for (size_t i = 0; i < want.count; i++)
			*is_good = *is_good && msa_records_has(&have, &want.item[i]);
	} else if (err == MSP_OK) {
		err = msa_records_add_set(&want, expected(p, type));
		*is_good = msa_records_equal(&have, &want);
	}
	msa_records_fini(&have);
	msa_records_fini(&want);
	return err;
}

/** A usable answer? From a server of the parent a referral is one; of the zone itself only an authoritative answer. */
static const char *useless(const struct msa_round *r, uint16_t type, const struct msp_msg *m)
{
	bool is_denied = m->rcode == MSP_RCODE_NXDOMAIN && (m->flags & MSP_FLAG_AA) != 0;

	if (m->rcode != MSP_RCODE_NOERROR && !(r->is_parent && is_denied))
		return msp_rcode_name(m->rcode);
	if ((m->flags & MSP_FLAG_AA) == 0 && (!r->is_parent || type == MSP_TYPE_DS))
		return "is not authoritative";
	return NULL;
}

static void take(struct msa_core *c, struct msa_parent *p, size_t slot, struct msp_span octets)
{
	struct msa_round *r = &p->run->round;
	size_t addr = r->slot[slot].addr;
	uint16_t type = r->type[r->slot[slot].type];
	bool is_good = true;
	struct msp_msg m;
	enum msp_err err = msp_msg_parse(octets, c->scratch, &m, NULL);
	const char *no = err == MSP_OK ? useless(r, type, &m) : msp_err_text(err);

	if (no != NULL) {
		disagree(r, no, addr);
		return;
	}
	err = r->is_parent ? take_shown(c, p, type, &m, &is_good) : take_published(c, p, type, &m, &is_good);
	if (err != MSP_OK) {
		msa_core_note(c, err == MSP_ENOMEM ? err : MSP_OK);
		disagree(r, msp_err_text(err), addr);
		return;
	}
	r->answers[r->servers->addr_ns[addr]]++;
	if (!is_good) {
		char text[64];

		snprintf(text, sizeof(text), r->is_parent ? "does not show the wanted %s" : "does not serve the %s yet",
			 type == MSP_TYPE_NS && r->is_parent ? "NS and glue" : MSP_TYPE(type));
		disagree(r, text, addr);
	}
}

/* ---- the end of a round
 * ----------------------------------------------------------------------------------------------- */

static void shown(struct msa_core *c, struct msa_parent *p)
{
	struct msa_parent_run *run = p->run;
	int64_t next_s = p->sent_s;

	if (!run->round.disagrees && msa_parent_is_shown(p) && (p->roll == MSA_ROLL_NONE || p->is_stopped)) {
		msa_parent_settle(c, p);
		return;
	}
	if (p->is_done && (run->round.disagrees || !msa_parent_is_shown(p))) {
		p->is_done = false;
		msa_store_parent(c, p);
		msp_log(c->log, MSP_LOG_NOTICE, "parent-differs", MSP_F_STR("zone", MSP_NAME(&p->zone->name)),
			MSP_F_STR("reason", p->run->round.why));
	}
	if (p->is_stopped) {
		msa_parent_stop(c, p, NULL);
		return;
	}
	if (!run->round.has_shown[MSA_SHOWN_DS] && !run->round.has_shown[MSA_SHOWN_NS]) {
		msa_parent_hold(c, p, run->round.why); /* nobody answered: what would the difference be to? */
		return;
	}
	/* Told already, a while ago: give it time; then tell it again. */
	if (p->sends > 0) {
		size_t n = p->sends - 1 < 2 ? p->sends - 1 : 2;

		next_s += resend_s[n];
	}
	if (p->sends > 0 && p->roll == MSA_ROLL_NONE && c->wall.s < next_s && c->wall.s >= p->sent_s) {
		snprintf(p->why, sizeof(p->why), "%s", run->round.why);
		msa_parent_enter(c, p, MSA_PHASE_CONFIRM);
		msa_parent_wait(c, p, &p->confirm_backoff_s, c->parent.poll_s, c->parent.poll_max_s);
		return;
	}
	run->good_rounds = 0;
	msa_parent_enter(c, p, MSA_PHASE_PUBLISHED);
}

/** Observing takes a while: another provider's sender may have been at it. */
static void compared(struct msa_core *c, struct msa_parent *p)
{
	const struct msa_round *r = &p->run->round;

	if (!r->disagrees && msa_parent_is_shown(p))
		msa_parent_done(c, p);
	else if (!r->has_shown[MSA_SHOWN_DS] && !r->has_shown[MSA_SHOWN_NS])
		msa_parent_hold(c, p, r->why);
	else
		msa_parent_enter(c, p, MSA_PHASE_UPDATE);
}

static void confirmed(struct msa_core *c, struct msa_parent *p)
{
	struct msa_parent_run *run = p->run;

	if (!run->round.disagrees && msa_parent_is_shown(p)) {
		msa_parent_done(c, p);
		return;
	}
	shown(c, p); /* the same question: time to tell it again? */
}

static void published(struct msa_core *c, struct msa_parent *p)
{
	struct msa_parent_run *run = p->run;

	if (run->round.disagrees) {
		/* A server that is behind is given time; addresses are looked up anew. */
		msa_parent_hold(c, p, run->round.why);
		return;
	}
	p->why[0] = '\0';
	if (++run->good_rounds >= OBSERVE_ROUNDS)
		msa_parent_enter(c, p, MSA_PHASE_DSYNC);
	else
		msa_parent_again(c, p, (int64_t)c->parent.observe_s * 1000);
}

static void key_published(struct msa_core *c, struct msa_parent *p)
{
	struct msa_parent_run *run = p->run;

	if (!run->round.disagrees) {
		p->why[0] = '\0';
		if (!run->is_settled || p->uploaded_s == 0)
			p->state_backoff_s = 0;
		msa_parent_enter(c, p, p->phase == MSA_PHASE_KEY_PUBLISHED ? MSA_PHASE_UPLOAD : MSA_PHASE_ROLL_ADD);
		return;
	}
	snprintf(p->why, sizeof(p->why), "%.200s%s", run->round.why,
		 p->combine_why[0] != '\0' ? "; the combiner does not take KEY (extra-types)"
		 : !p->publish_key         ? "; the owner has to publish our KEY"
					   : "");
	msp_log(c->log, MSP_LOG_NOTICE, "parent-key-not-published", MSP_F_STR("zone", MSP_NAME(&p->zone->name)),
		MSP_F_STR("reason", p->why));
	msa_parent_wait(c, p, &p->state_backoff_s, c->parent.observe_s, OBSERVE_MAX_S);
}

static void end_round(struct msa_core *c, struct msa_parent *p)
{
	struct msa_round *r = &p->run->round;

	r->is_running = false;
	for (size_t i = 0; i < r->servers->ns_count; i++) {
		if (r->answers[i] >= r->types || r->disagrees)
			continue;
		snprintf(r->why, sizeof(r->why), "%.150s: no address of it answers", MSP_NAME(&r->servers->ns[i]));
		r->disagrees = true;
	}
	if (r->servers->ns_count == 0) {
		snprintf(r->why, sizeof(r->why), "there are no servers to ask");
		r->disagrees = true;
	}
	switch (p->phase) {
	case MSA_PHASE_SHOWN:
		shown(c, p);
		break;
	case MSA_PHASE_COMPARE:
		compared(c, p);
		break;
	case MSA_PHASE_CONFIRM:
		confirmed(c, p);
		break;
	case MSA_PHASE_PUBLISHED:
		published(c, p);
		break;
	default:
		key_published(c, p);
		break;
	}
}

/* ---- asking
 * ----------------------------------------------------------------------------------------------------------- */

/** Hand out questions while there is room; the round ends with the last answer. */
static void go_on(struct msa_core *c, struct msa_parent *p)
{
	struct msa_round *r = &p->run->round;
	size_t jobs = r->servers->addr_count * r->types, outstanding = 0;

	for (size_t i = 0; i < MSA_ROUND_WIDTH; i++) {
		struct msa_draft d = { .mem = c->message, .id = msp_rand_u16(c->rand), .numbers = &c->numbers };
		struct msp_span message;

		if (r->slot[i].pend.id == 0 && r->next < jobs &&
		    msa_pend_start(c, &r->slot[i].pend, MSA_PEND_PARENT_ASK, p)) {
			r->slot[i].addr = (uint8_t)(r->next / r->types);
			r->slot[i].type = (uint8_t)(r->next % r->types);
			r->next++;
			if (msa_ask_server(&d, &p->zone->name, r->type[r->slot[i].type], &message) == MSP_OK)
				msa_act_send_once(c, &r->slot[i].pend, &r->servers->addr[r->slot[i].addr], true,
						  SERVER_TIMEOUT_MS, message);
			else
				msa_pend_stop(c, &r->slot[i].pend);
		}
		outstanding += r->slot[i].pend.id != 0;
	}
	if (outstanding == 0 && r->is_running)
		end_round(c, p);
}

void msa_parent_asked(struct msa_core *c, struct msa_pend *pend, enum msp_err err, struct msp_span octets)
{
	struct msa_parent *p = pend->owner;
	struct msa_round *r = &p->run->round;
	size_t slot = 0;

	while (slot < MSA_ROUND_WIDTH && &r->slot[slot].pend != pend)
		slot++;
	msa_pend_stop(c, pend);
	if (slot == MSA_ROUND_WIDTH || !r->is_running)
		return;
	if (err == MSP_OK)
		take(c, p, slot, octets);
	else
		r->unreachable++;
	go_on(c, p);
}

static void add_type(struct msa_round *r, uint16_t type)
{
	r->type[r->types++] = type;
}

void msa_parent_begin_round(struct msa_core *c, struct msa_parent *p)
{
	struct msa_parent_run *run = p->run;
	struct msa_round *r = &run->round;

	msa_round_stop(c, r);
	*r = (struct msa_round){ .is_running = true };
	p->due = MSP_MONO_NEVER;
	r->is_parent = p->phase == MSA_PHASE_SHOWN || p->phase == MSA_PHASE_COMPARE || p->phase == MSA_PHASE_CONFIRM;
	r->servers = r->is_parent ? &run->above : &run->below;
	if (p->phase == MSA_PHASE_KEY_PUBLISHED || p->phase == MSA_PHASE_ROLL_PUBLISHED) {
		add_type(r, MSP_TYPE_KEY);
	} else {
		if (p->seen.has_ds)
			add_type(r, r->is_parent ? MSP_TYPE_DS : MSP_TYPE_CDS);
		if (p->seen.has_ns)
			add_type(r, MSP_TYPE_NS);
		if (p->seen.has_ns && !r->is_parent && p->zone->csync != NULL)
			add_type(r, MSP_TYPE_CSYNC);
	}
	for (size_t i = 0; r->is_parent && i < MSA_SHOWN__N; i++) {
		msa_records_fini(&p->seen.any[i]);
		msa_records_fini(&p->seen.all[i]);
	}
	go_on(c, p);
}
