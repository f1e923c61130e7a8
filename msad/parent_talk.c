/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>

#include "actions.h"
#include "parent.h"

#define TRIES          6    /* one, and five retries (C.7, G.3) */
#define UPDATE_S       5    /* first time limit; doubled with each retry */
#define NOTIFY_S       60   /* RFC 1996 */
#define UPLOAD_AGAIN_S 1200 /* three bootstraps an hour is what a receiver takes (G.6) */
#define REFUSED_MAX    5    /* in REFUSED_S (G.5) */
#define REFUSED_S      (24 * 3600)
#define KEY_TTL_S      3600

/* ---- building
 * -------------------------------------------------------------------------------------------------------- */

static enum msp_err build(struct msa_core *c, struct msa_parent *p, struct msp_span *out)
{
	struct msa_parent_run *r = p->run;
	struct msa_draft d = { .mem = c->message, .id = msp_rand_u16(c->rand), .numbers = &c->numbers };
	struct msa_records want = { 0 }, any = { 0 }, all = { 0 };
	enum msp_err err = MSP_OK;
	size_t changes;

	switch (p->phase) {
	case MSA_PHASE_INQUIRE:
		return msa_ask_keystate(&d, p->key, c->wall, out);
	case MSA_PHASE_ROLL_PROVE:
		return msa_ask_keystate(&d, p->next_key, c->wall, out);
	case MSA_PHASE_UPLOAD:
		return msa_ask_upload(&d, &p->seen.parent, KEY_TTL_S, p->key, c->wall, out);
	case MSA_PHASE_ROLL_ADD:
		return msa_ask_roll(&d, &p->seen.parent, KEY_TTL_S, p->next_key, NULL, p->key, c->wall, out);
	case MSA_PHASE_ROLL_DEL:
		return msa_ask_roll(&d, &p->seen.parent, KEY_TTL_S, NULL, p->next_key, p->key, c->wall, out);
	case MSA_PHASE_NOTIFY:
		return msa_ask_notify(&d, &p->zone->name, r->kind == MSA_DSYNC_CDS ? MSP_TYPE_CDS : MSP_TYPE_CSYNC,
				      out);
	default:
		break;
	}
	for (size_t i = 0; i < MSA_SHOWN__N && err == MSP_OK; i++) {
		if (!(i == MSA_SHOWN_DS ? p->seen.has_ds : p->seen.has_ns))
			continue;
		err = msa_records_merge(&want, &p->seen.want[i]);
		if (err == MSP_OK)
			err = msa_records_merge(&any, &p->seen.any[i]);
		if (err == MSP_OK)
			err = msa_records_merge(&all, &p->seen.all[i]);
	}
	if (err == MSP_OK)
		err = msa_ask_update(&d, &p->seen.parent, &want, &any, &all, p->key, c->wall, &changes, out);
	if (err == MSP_OK && changes == 0)
		err = MSP_ENOTFOUND;
	msa_records_fini(&want);
	msa_records_fini(&any);
	msa_records_fini(&all);
	return err;
}

/* ---- sending
 * --------------------------------------------------------------------------------------------------------- */

/** Known before it is sent: a restart neither floods the parent nor forgets what it waits for. */
static void note_sent(struct msa_core *c, struct msa_parent *p)
{
	if (p->run->talk_tries > 0)
		return;
	if (p->phase == MSA_PHASE_UPDATE || p->phase == MSA_PHASE_NOTIFY) {
		p->confirm_backoff_s = 0;
		if (p->phase == MSA_PHASE_UPDATE || p->run->after_notify == MSA_PHASE_CONFIRM) {
			p->sent_s = c->wall.s;
			p->sends++;
		}
		if (p->sends > 1)
			msp_log(c->log, MSP_LOG_WARNING, "parent-slow", MSP_F_STR("zone", MSP_NAME(&p->zone->name)),
				MSP_F_U64("sends", p->sends), MSP_F_STR("reason", p->why));
	} else if (p->phase == MSA_PHASE_UPLOAD) {
		p->uploaded_s = c->wall.s;
	}
	msa_store_parent(c, p);
}

/** Not accepted: it need not be given time. */
static void note_unsent(struct msa_core *c, struct msa_parent *p)
{
	if (p->phase == MSA_PHASE_UPLOAD)
		p->uploaded_s = 0;
	else if (p->phase == MSA_PHASE_UPDATE && p->sends > 0)
		p->sends--;
	else
		return;
	msa_store_parent(c, p);
}

static int64_t talk_limit_ms(const struct msa_parent *p, unsigned tries)
{
	return 1000 * (int64_t)(p->phase == MSA_PHASE_NOTIFY && tries > 0 ? NOTIFY_S : UPDATE_S << tries);
}

static void send(struct msa_core *c, struct msa_parent *p)
{
	struct msa_parent_run *r = p->run;
	bool is_notify = p->phase == MSA_PHASE_NOTIFY;
	struct msp_span message;
	enum msp_err err = build(c, p, &message);

	if (err == MSP_ENOTFOUND) { /* every server that was asked shows it: only the silent ones are missing */
		msa_parent_enter(c, p, MSA_PHASE_CONFIRM);
		msa_parent_again(c, p, (int64_t)c->parent.poll_s * 1000);
		return;
	}
	if (err != MSP_OK) {
		msa_core_note(c, err == MSP_ENOMEM || err == MSP_ECRYPTO ? err : MSP_OK);
		msa_parent_hold(c, p, msp_err_text(err));
		return;
	}
	note_sent(c, p);
	r->talk_at = c->now;
	if (!msa_pend_start(c, &r->talk, MSA_PEND_PARENT_TALK, p))
		return;
	/* UPDATE goes by TCP (C.7); so does an inquiry: its answer is signed, and large. */
	msa_act_send_once(c, &r->talk, &r->target[r->target_at % r->target_count], !is_notify,
			  (uint32_t)talk_limit_ms(p, r->talk_tries), message);
	msp_log(c->log, MSP_LOG_INFO, "parent-send", MSP_F_STR("zone", MSP_NAME(&p->zone->name)),
		MSP_F_STR("what", msa_phase_name(p->phase)),
		MSP_F_STR("to", MSP_ADDR(&r->target[r->target_at % r->target_count])),
		MSP_F_U64("try", r->talk_tries + 1));
}

void msa_parent_begin_talk(struct msa_core *c, struct msa_parent *p)
{
	p->run->talk_tries = 0;
	send(c, p);
}

void msa_parent_talk_due(struct msa_core *c, struct msa_parent *p)
{
	send(c, p);
}

/** Sent again with a fresh signature, to the next address; in the end from the top. */
static void retry(struct msa_core *c, struct msa_parent *p, const char *why, bool at_once)
{
	struct msa_parent_run *r = p->run;
	char text[MSA_TEXT_MAX];

	r->target_at++;
	if (++r->talk_tries < TRIES) {
		int64_t left = talk_limit_ms(p, r->talk_tries - 1) - (c->now.ms - r->talk_at.ms);

		/* An address that says no at once is no reason to hurry: the pauses are those of silence, but for
		 * another address. */
		if (!at_once && left > 0 && r->target_at % r->target_count == 0)
			msa_parent_again(c, p, left);
		else
			send(c, p);
	} else if (p->phase == MSA_PHASE_NOTIFY) {
		msa_parent_next_notify(c, p); /* the parent scans now and then, even so */
	} else {
		note_unsent(c, p);
		snprintf(text, sizeof(text), "the receiver %.120s: %.80s",
			 MSP_NAME(&r->dsync.kind[r->kind].at[r->endpoint].target), why);
		if (r->endpoint + 1 < r->dsync.kind[r->kind].count) {
			r->endpoint++;
			msa_parent_enter(c, p, MSA_PHASE_TARGET);
		} else {
			r->endpoint = 0;
			msa_parent_hold(c, p, text);
		}
	}
}

/* ---- what the answers lead to
 * ----------------------------------------------------------------------------------------- */

/** Wait for trust; where the parent takes NOTIFY too, that may be quicker. */
static void wait_for_trust(struct msa_core *c, struct msa_parent *p, bool is_person)
{
	if (is_person) {
		if (p->state_backoff_s < c->parent.state_max_s)
			p->state_backoff_s = c->parent.state_max_s;
		msp_log(c->log, MSP_LOG_WARNING, "parent-key-waits-for-person",
			MSP_F_STR("zone", MSP_NAME(&p->zone->name)), MSP_F_U64("key_tag", msp_key_id(p->key)),
			MSP_F_STR("answer", p->answer));
	}
	if (msa_parent_can_notify(c, p) && p->roll == MSA_ROLL_NONE) {
		msa_parent_start_notify(c, p, MSA_PHASE_TRUST);
		return;
	}
	msa_parent_enter(c, p, MSA_PHASE_TRUST);
	msa_parent_wait(c, p, &p->state_backoff_s, c->parent.state_s, c->parent.state_max_s);
}

void msa_parent_trust_due(struct msa_core *c, struct msa_parent *p)
{
	p->run->kind = MSA_DSYNC_UPDATE;
	p->run->endpoint = 0;
	msa_parent_enter(c, p, MSA_PHASE_TARGET); /* its key may have changed meanwhile */
}

/** Publication is waited for where it is what the parent looks at. */
static void upload(struct msa_core *c, struct msa_parent *p)
{
	struct msa_parent_run *r = p->run;
	bool is_looked_at = r->methods == 0 || (r->methods & (MSA_METHOD_APEX | MSA_METHOD_UNSIGNED)) != 0;

	if (!r->is_settled)
		p->state_backoff_s = 0;
	msa_parent_enter(c, p, is_looked_at ? MSA_PHASE_KEY_PUBLISHED : MSA_PHASE_UPLOAD);
}

static void bootstrap(struct msa_core *c, struct msa_parent *p)
{
	if (p->uploaded_s != 0 && c->wall.s >= p->uploaded_s && c->wall.s - p->uploaded_s < UPLOAD_AGAIN_S)
		wait_for_trust(c, p, false); /* handed in a moment ago */
	else
		upload(c, p);
}

static void refused(struct msa_core *c, struct msa_parent *p)
{
	char text[MSA_TEXT_MAX];

	if (p->run->is_settled) { /* five times are for what is urgent */
		msa_parent_hold(c, p, p->answer);
		return;
	}
	if (p->refused_s == 0 || c->wall.s - p->refused_s > REFUSED_S || c->wall.s < p->refused_s) {
		p->refused_s = c->wall.s;
		p->refused = 0;
	}
	p->refused++;
	msa_store_parent(c, p);
	if (p->refused >= REFUSED_MAX) {
		snprintf(text, sizeof(text), "refused five times in a day: %.200s", p->answer);
		msa_parent_stop(c, p, text);
	} else {
		msa_parent_hold(c, p, p->answer);
	}
}

static void clock_is_wrong(struct msa_core *c, struct msa_parent *p)
{
	char text[MSA_TEXT_MAX];

	msp_log(c->log, MSP_LOG_ERROR, "parent-clock", MSP_F_STR("zone", MSP_NAME(&p->zone->name)),
		MSP_F_I64("our_time", c->wall.s), MSP_F_STR("answer", p->answer));
	snprintf(text, sizeof(text), "check the clock of this machine: %.200s", p->answer);
	msa_parent_hold(c, p, text);
}

static void stop(struct msa_core *c, struct msa_parent *p)
{
	char text[MSA_TEXT_MAX];

	snprintf(text, sizeof(text), "%.230s", p->answer);
	if (p->run->is_settled) {
		msa_parent_key_done(c, p, text);
		return;
	}
	if (msa_parent_can_notify(c, p)) { /* what a NOTIFY needs is not what was refused here */
		snprintf(p->why, sizeof(p->why), "%s", text);
		p->is_stopped = true;
		msa_store_parent(c, p);
		msp_log(c->log, MSP_LOG_WARNING, "parent-update-stopped", MSP_F_STR("zone", MSP_NAME(&p->zone->name)),
			MSP_F_STR("reason", text));
		msa_parent_start_notify(c, p, MSA_PHASE_CONFIRM);
		return;
	}
	msa_parent_stop(c, p, text);
}

/** What all kinds of answers have in common. */
static void common(struct msa_core *c, struct msa_parent *p, enum msa_meaning meaning)
{
	switch (meaning) {
	case MSA_MEANS_WAIT:
		wait_for_trust(c, p, false);
		break;
	case MSA_MEANS_PERSON:
		wait_for_trust(c, p, true);
		break;
	case MSA_MEANS_LIMITED:
		refused(c, p);
		break;
	case MSA_MEANS_CLOCK:
		clock_is_wrong(c, p);
		break;
	case MSA_MEANS_RESIGN:
		retry(c, p, p->answer, true);
		break;
	case MSA_MEANS_STOP:
		stop(c, p);
		break;
	default:
		msa_parent_hold(c, p, p->answer);
		break;
	}
}

/** Our key is trusted: first the keys, then the delegation (G.6). */
static void trusted(struct msa_core *c, struct msa_parent *p)
{
	if (p->roll != MSA_ROLL_NONE)
		msa_parent_enter(c, p, MSA_PHASE_ROLL_MAKE);
	else
		msa_parent_key_done(c, p, NULL);
}

static void inquired(struct msa_core *c, struct msa_parent *p, const struct msa_reading *r)
{
	enum msa_meaning meaning = r->has_state ? msa_state_meaning(r->state) : msa_update_meaning(r, &c->numbers);

	if (!r->has_state && meaning == MSA_MEANS_ACCEPTED) { /* a receiver without KeyState: the UPDATE will tell */
		if (p->uploaded_s == 0)
			bootstrap(c, p);
		else
			trusted(c, p);
		return;
	}
	if (meaning == MSA_MEANS_ACCEPTED)
		trusted(c, p);
	else if (meaning == MSA_MEANS_NO_KEY ||
		 (r->has_state && r->state == MSP_KEYSTATE_VALIDATION_FAILED && p->uploaded_s == 0))
		bootstrap(c, p); /* the second: a person has asked for a new try */
	else
		common(c, p, meaning);
}

static void updated(struct msa_core *c, struct msa_parent *p, enum msa_meaning meaning)
{
	if (meaning != MSA_MEANS_ACCEPTED && meaning != MSA_MEANS_RESIGN)
		note_unsent(c, p);
	if (meaning == MSA_MEANS_ACCEPTED) {
		p->uploaded_again = false;
		msp_log(c->log, MSP_LOG_NOTICE, "parent-accepted", MSP_F_STR("zone", MSP_NAME(&p->zone->name)),
			MSP_F_STR("parent", MSP_NAME(&p->seen.parent)));
		msa_parent_enter(c, p, MSA_PHASE_CONFIRM);
		msa_parent_wait(c, p, &p->confirm_backoff_s, c->parent.poll_s, c->parent.poll_max_s);
	} else if (meaning == MSA_MEANS_NO_KEY && !p->uploaded_again) {
		p->uploaded_again = true; /* exactly once; after that KeyState decides */
		upload(c, p);
	} else if (meaning == MSA_MEANS_NO_KEY) {
		bootstrap(c, p);
	} else {
		common(c, p, meaning);
	}
}

static void uploaded(struct msa_core *c, struct msa_parent *p, enum msa_meaning meaning)
{
	char text[MSA_TEXT_MAX];

	/* Whoever says that it has to wait has got it, and is given time. */
	if (meaning != MSA_MEANS_ACCEPTED && meaning != MSA_MEANS_RESIGN && meaning != MSA_MEANS_WAIT &&
	    meaning != MSA_MEANS_PERSON)
		note_unsent(c, p);
	if (meaning == MSA_MEANS_ACCEPTED) {
		msp_log(c->log, MSP_LOG_NOTICE, "parent-key-handed-in", MSP_F_STR("zone", MSP_NAME(&p->zone->name)),
			MSP_F_U64("key_tag", msp_key_id(p->key)));
		wait_for_trust(c, p, false);
	} else if (meaning == MSA_MEANS_STOP || meaning == MSA_MEANS_NO_KEY) {
		/* H.3: a receiver with room for one key per child. Never DEL ANY: that would evict the others' keys. */
		snprintf(text, sizeof(text), "the parent does not take one more key for this zone: %.170s", p->answer);
		snprintf(p->answer, sizeof(p->answer), "%s", text);
		stop(c, p);
	} else {
		common(c, p, meaning);
	}
}

static void rolled(struct msa_core *c, struct msa_parent *p, const struct msa_reading *r, enum msa_meaning meaning)
{
	if (p->phase == MSA_PHASE_ROLL_PROVE && r->has_state)
		meaning = msa_state_meaning(r->state);
	if (meaning != MSA_MEANS_ACCEPTED) {
		if (p->phase == MSA_PHASE_ROLL_PROVE && meaning == MSA_MEANS_NO_KEY)
			msa_parent_hold(c, p, p->answer); /* handed in again from the top */
		else
			common(c, p, meaning);
	} else if (p->phase == MSA_PHASE_ROLL_ADD) {
		p->roll = MSA_ROLL_ADDED;
		msa_store_parent(c, p);
		msa_parent_enter(c, p, MSA_PHASE_ROLL_PROVE);
	} else if (p->phase == MSA_PHASE_ROLL_PROVE) {
		msa_parent_switch_key(c, p);
		msa_parent_enter(c, p, MSA_PHASE_ROLL_DEL);
	} else {
		msa_parent_drop_old_key(c, p);
		if (msa_parent_is_shown(p))
			msa_parent_done(c, p);
		else
			msa_parent_enter(c, p, MSA_PHASE_COMPARE);
	}
}

/** Whoever has no key of the receiver believes nothing but that something was accepted. */
static bool is_believed(const struct msa_core *c, struct msa_reading *r)
{
	if (r->belief != MSA_UNVERIFIED)
		return true;
	if (!c->parent.accept_unsigned)
		return false;
	r->belief = MSA_VERIFIED;
	r->has_state = false;
	return true;
}

void msa_parent_talked(struct msa_core *c, struct msa_pend *pend, enum msp_err err, struct msp_span octets)
{
	struct msa_parent *p = pend->owner;
	struct msa_parent_run *run = p->run;
	const struct msp_key *key = p->phase == MSA_PHASE_ROLL_PROVE ? p->next_key : p->key;
	struct msa_reading r = { .belief = MSA_UNSIGNABLE };
	enum msa_meaning meaning;

	if (err == MSP_OK && p->phase != MSA_PHASE_NOTIFY)
		err = msa_ask_read(run->ring, &run->dsync.kind[run->kind].at[run->endpoint].target, &c->numbers,
				   msp_span(pend->request, pend->request_len), octets, msp_key_id(key), c->wall,
				   c->scratch, &r);
	msa_pend_stop(c, pend);
	if (p->is_outdated && p->phase == MSA_PHASE_UPDATE) {
		msa_parent_touch(c, p->zone); /* whatever came of it: what is wanted is something else now */
		return;
	}
	if (err != MSP_OK) {
		if (err == MSP_ENOMEM || err == MSP_ECRYPTO)
			msa_core_note(c, err);
		retry(c, p, msp_err_text(err), false);
		return;
	}
	if (p->phase == MSA_PHASE_NOTIFY) {
		msa_parent_next_notify(c, p);
		return;
	}
	if (!is_believed(c, &r)) {
		c->count.failed_answers++;
		msp_log(c->log, MSP_LOG_WARNING, "parent-answer-not-believed",
			MSP_F_STR("zone", MSP_NAME(&p->zone->name)), MSP_F_STR("rcode", msp_rcode_name(r.rcode)),
			MSP_F_STR("why", r.why_not));
		retry(c, p, "its answers are not signed by its key", false);
		return;
	}
	p->answer_at = c->now;
	msa_reading_text(&r, &c->numbers, p->answer, sizeof(p->answer));
	p->has_state = p->has_state || r.has_state;
	if (r.has_state)
		p->key_state = r.state;
	meaning = msa_update_meaning(&r, &c->numbers);
	msp_log(c->log, MSP_LOG_NOTICE, "parent-answer", MSP_F_STR("zone", MSP_NAME(&p->zone->name)),
		MSP_F_STR("to", msa_phase_name(p->phase)), MSP_F_STR("answer", p->answer),
		MSP_F_STR("meaning", msa_meaning_text(r.has_state ? msa_state_meaning(r.state) : meaning)));
	switch (p->phase) {
	case MSA_PHASE_INQUIRE:
		inquired(c, p, &r);
		break;
	case MSA_PHASE_UPLOAD:
		uploaded(c, p, meaning);
		break;
	case MSA_PHASE_UPDATE:
		updated(c, p, meaning);
		break;
	default:
		rolled(c, p, &r, meaning);
		break;
	}
}
