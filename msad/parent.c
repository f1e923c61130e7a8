/* SPDX-License-Identifier: BSD-2-Clause */
#include "parent.h"

#include <stdio.h>
#include <string.h>

#include <msproto/auth/digest.h>
#include <msproto/base/mem.h>

#include "actions.h"

#define HOLD_MAX_S 900
#define DAY_S      (24 * 3600)
#define RECHECK_MS (DAY_S * (int64_t)1000) /* what was brought about may be undone by others */
#define BY_HAND_MS (3600 * (int64_t)1000)  /* a person may have acted, the parent may have learnt to listen */
#define CROWDED_MS 5000

const char *msa_phase_name(enum msa_phase phase)
{
	static const char *const name[] = {
#define MSA_PHASE_WORD(n, word, text) word,
		MSA_PHASE_MAP(MSA_PHASE_WORD)
#undef MSA_PHASE_WORD
	};

	return name[phase];
}

const char *msa_phase_text(enum msa_phase phase)
{
	static const char *const what[] = {
#define MSA_PHASE_TEXT(n, word, text) text,
		MSA_PHASE_MAP(MSA_PHASE_TEXT)
#undef MSA_PHASE_TEXT
	};

	return what[phase];
}

/* ---- life
 * ------------------------------------------------------------------------------------------------------------ */

enum msp_err msa_parent_new(struct msa_core *c, struct msa_zone *z, const struct msa_zone_conf *conf)
{
	struct msa_parent *p = msp_alloc(1, sizeof(*p));

	(void)c;
	if (p == NULL)
		return MSP_ENOMEM;
	p->zone = z;
	p->mode = conf->parent_sync;
	p->publish_key = conf->publish_key;
	p->due = MSP_MONO_NEVER;
	msa_timer_init(&p->timer, MSA_TIMER_PARENT, p);
	z->parent = p;
	return MSP_OK;
}

static void forget_seen(struct msa_parent *p)
{
	for (size_t i = 0; i < MSA_SHOWN__N; i++) {
		msa_records_fini(&p->seen.want[i]);
		msa_records_fini(&p->seen.any[i]);
		msa_records_fini(&p->seen.all[i]);
	}
	p->seen = (struct msa_parent_seen){ 0 };
}

static void end_run(struct msa_core *c, struct msa_parent *p)
{
	struct msa_parent_run *r = p->run;

	if (r == NULL)
		return;
	for (size_t i = 0; i < sizeof(r->look) / sizeof(r->look[0]); i++)
		msa_pend_stop(c, &r->look[i]);
	msa_round_stop(c, &r->round);
	msa_pend_stop(c, &r->talk);
	msp_keyring_free(&r->ring);
	msp_rrset_free(&r->receiver);
	msp_free(r);
	p->run = NULL;
	c->parent_runs--;
}

void msa_parent_free(struct msa_core *c, struct msa_parent **parent)
{
	struct msa_parent *p = *parent;

	if (p == NULL)
		return;
	end_run(c, p);
	forget_seen(p);
	msa_pend_stop(c, &p->key_job);
	msa_pend_stop(c, &p->combine);
	msa_timer_cancel(&c->heap, &p->timer);
	msp_key_free(&p->key);
	msp_key_free(&p->next_key);
	msp_free(p->key_file);
	msp_free(p->next_file);
	msp_rrset_free(&p->pub);
	msp_rrset_free(&p->put_key);
	msp_free(p);
	*parent = NULL;
}

/* ---- going from phase to phase
 * ---------------------------------------------------------------------------------- */

static void set_why(struct msa_parent *p, const char *why)
{
	snprintf(p->why, sizeof(p->why), "%s", why);
}

static void set_phase(struct msa_core *c, struct msa_parent *p, enum msa_phase phase)
{
	if (p->phase != phase) {
		p->phase_since = c->now;
		msp_log(c->log, MSP_LOG_INFO, "parent-phase", MSP_F_STR("zone", MSP_NAME(&p->zone->name)),
			MSP_F_STR("phase", msa_phase_name(phase)), MSP_F_STR("why", p->why));
	}
	p->phase = phase;
	p->due = MSP_MONO_NEVER;
	msa_timer_soon(&c->heap, &p->timer, msp_mono_add_ms(c->now, 1));
}

/** begin: done on entry; due: when the phase's own deadline passes; NULL: then the phase begins anew. */
static const struct {
	void (*begin)(struct msa_core *c, struct msa_parent *p);
	void (*due)(struct msa_core *c, struct msa_parent *p);
} phases[MSA_PHASE__N] = {
	[MSA_PHASE_ZONE] = { msa_parent_begin_zone, NULL },
	[MSA_PHASE_SERVERS] = { msa_parent_begin_servers, NULL },
	[MSA_PHASE_ADDRESSES] = { msa_parent_begin_addresses, NULL },
	[MSA_PHASE_OWN_ADDRESSES] = { msa_parent_begin_addresses, NULL },
	[MSA_PHASE_SHOWN] = { msa_parent_begin_round, NULL },
	[MSA_PHASE_PUBLISHED] = { msa_parent_begin_round, NULL },
	[MSA_PHASE_DSYNC] = { msa_parent_begin_dsync, NULL },
	[MSA_PHASE_TARGET] = { msa_parent_begin_target, NULL },
	[MSA_PHASE_KEY] = { msa_parent_begin_key, NULL },
	[MSA_PHASE_INQUIRE] = { msa_parent_begin_talk, msa_parent_talk_due },
	[MSA_PHASE_KEY_PUBLISHED] = { msa_parent_begin_round, NULL },
	[MSA_PHASE_UPLOAD] = { msa_parent_begin_talk, msa_parent_talk_due },
	[MSA_PHASE_TRUST] = { NULL, msa_parent_trust_due },
	[MSA_PHASE_ROLL_MAKE] = { msa_parent_begin_roll_make, NULL },
	[MSA_PHASE_ROLL_PUBLISHED] = { msa_parent_begin_round, NULL },
	[MSA_PHASE_ROLL_ADD] = { msa_parent_begin_talk, msa_parent_talk_due },
	[MSA_PHASE_ROLL_PROVE] = { msa_parent_begin_talk, msa_parent_talk_due },
	[MSA_PHASE_ROLL_DEL] = { msa_parent_begin_talk, msa_parent_talk_due },
	[MSA_PHASE_COMPARE] = { msa_parent_begin_round, NULL },
	[MSA_PHASE_UPDATE] = { msa_parent_begin_talk, msa_parent_talk_due },
	[MSA_PHASE_NOTIFY] = { msa_parent_begin_talk, msa_parent_talk_due },
	[MSA_PHASE_CONFIRM] = { NULL, msa_parent_begin_round },
};

void msa_parent_enter(struct msa_core *c, struct msa_parent *p, enum msa_phase phase)
{
	set_phase(c, p, phase);
	if (phases[phase].begin != NULL)
		phases[phase].begin(c, p);
}

void msa_parent_again(struct msa_core *c, struct msa_parent *p, int64_t ms)
{
	p->due = msp_mono_add_ms(c->now, ms);
	msa_timer_soon(&c->heap, &p->timer, p->due);
}

static bool is_settled(const struct msa_parent *p)
{
	return p->run != NULL && p->run->is_settled;
}

void msa_parent_wait(struct msa_core *c, struct msa_parent *p, uint32_t *backoff_s, uint32_t first_s, uint32_t max_s)
{
	msa_parent_again(c, p, msa_core_backoff_ms(c, backoff_s, first_s, is_settled(p) ? DAY_S : max_s));
	if (*backoff_s >= max_s)
		end_run(c, p); /* a long time: others may have the place, and everything is looked up anew */
}

void msa_parent_hold(struct msa_core *c, struct msa_parent *p, const char *why)
{
	bool is_news = strncmp(why, p->why, sizeof(p->why) - 1) != 0;
	uint32_t max_s = is_settled(p) ? DAY_S : HOLD_MAX_S;

	set_why(p, why);
	end_run(c, p);
	set_phase(c, p, MSA_PHASE_HELD);
	msa_parent_again(c, p, msa_core_backoff_ms(c, &p->backoff_s, c->parent.observe_s, max_s));
	msp_log(c->log, is_news ? MSP_LOG_NOTICE : MSP_LOG_INFO, "parent-held",
		MSP_F_STR("zone", MSP_NAME(&p->zone->name)), MSP_F_STR("reason", p->why),
		MSP_F_I64("retry_s", msp_mono_until_ms(c->now, p->due) / 1000));
}

void msa_parent_stop(struct msa_core *c, struct msa_parent *p, const char *why)
{
	if (why == NULL) {
		if (p->why[0] == '\0')
			set_why(p, "stopped before the restart");
		end_run(c, p);
		set_phase(c, p, MSA_PHASE_STOPPED);
		msa_parent_again(c, p, BY_HAND_MS);
		return;
	}
	set_why(p, why);
	p->is_stopped = true;
	msa_store_parent(c, p);
	end_run(c, p);
	set_phase(c, p, MSA_PHASE_STOPPED);
	msa_parent_again(c, p, BY_HAND_MS);
	msp_log(c->log, MSP_LOG_WARNING, "parent-stopped", MSP_F_STR("zone", MSP_NAME(&p->zone->name)),
		MSP_F_STR("reason", p->why));
}

void msa_parent_by_hand(struct msa_core *c, struct msa_parent *p, const char *why)
{
	if (is_settled(p)) {
		msa_parent_key_done(c, p, NULL); /* no key is of use there */
		return;
	}
	set_why(p, why);
	end_run(c, p);
	set_phase(c, p, MSA_PHASE_BY_HAND);
	msa_parent_again(c, p, BY_HAND_MS);
	msp_log(c->log, MSP_LOG_WARNING, "parent-by-hand", MSP_F_STR("zone", MSP_NAME(&p->zone->name)),
		MSP_F_STR("parent", MSP_NAME(&p->seen.parent)), MSP_F_STR("reason", p->why),
		MSP_F_STR("records", "msctl parent status shows them"));
}

static void note_done(struct msa_core *c, struct msa_parent *p)
{
	if (!p->is_done || p->sent_s != 0)
		msp_log(c->log, MSP_LOG_NOTICE, "parent-in-sync", MSP_F_STR("zone", MSP_NAME(&p->zone->name)),
			MSP_F_STR("parent", MSP_NAME(&p->seen.parent)), MSP_F_U64("servers", p->seen.servers));
	if (!p->is_done || p->is_stopped || p->sends != 0 || p->refused != 0) {
		p->is_done = true;
		p->is_stopped = false;
		p->sends = p->refused = 0;
		p->sent_s = 0;
		msa_store_parent(c, p);
	}
	p->done_at = c->now;
}

void msa_parent_done(struct msa_core *c, struct msa_parent *p)
{
	note_done(c, p);
	p->backoff_s = p->confirm_backoff_s = p->state_backoff_s = 0;
	set_why(p, "");
	end_run(c, p);
	set_phase(c, p, MSA_PHASE_IDLE);
	msa_parent_again(c, p, RECHECK_MS);
}

void msa_parent_settle(struct msa_core *c, struct msa_parent *p)
{
	bool was_stopped = p->is_stopped; /* what a person was called for is past: not at once again */

	if (was_stopped || p->mode == MSA_PARENT_NOTIFY) {
		msa_parent_done(c, p);
		return;
	}
	note_done(c, p);
	p->run->is_settled = true;
	set_why(p, "");
	msa_parent_enter(c, p, MSA_PHASE_DSYNC);
}

void msa_parent_key_done(struct msa_core *c, struct msa_parent *p, const char *why)
{
	if (why != NULL && strncmp(why, p->key_why, sizeof(p->key_why) - 1) != 0)
		msp_log(c->log, MSP_LOG_WARNING, "parent-key-not-ready", MSP_F_STR("zone", MSP_NAME(&p->zone->name)),
			MSP_F_STR("reason", why));
	snprintf(p->key_why, sizeof(p->key_why), "%s", why == NULL ? "" : why);
	if (is_settled(p))
		msa_parent_done(c, p);
	else
		msa_parent_enter(c, p, MSA_PHASE_COMPARE);
}

bool msa_parent_is_shown(const struct msa_parent *p)
{
	bool is_shown = true;

	for (size_t i = 0; i < MSA_SHOWN__N; i++)
		if (i == MSA_SHOWN_DS ? p->seen.has_ds : p->seen.has_ns)
			is_shown = is_shown && msa_records_equal(&p->seen.any[i], &p->seen.want[i]) &&
				   msa_records_equal(&p->seen.all[i], &p->seen.want[i]);
	return is_shown;
}

/* ---- what is wanted
 * --------------------------------------------------------------------------------------------------- */

static enum msp_err digest_want(const struct msp_rrset *ds, const struct msp_rrset *ns, uint8_t out[32])
{
	struct msp_buf b;
	struct msp_span s;
	enum msp_err err = MSP_OK;

	msp_buf_init(&b, 256 * 1024);
	for (size_t i = 0; ds != NULL && i < ds->count; i++)
		msp_buf_add_span(&b, ds->rdata[i]);
	msp_buf_add_u8(&b, 0xff);
	for (size_t i = 0; ns != NULL && i < ns->count; i++)
		msp_buf_add_span(&b, ns->rdata[i]);
	err = b.err;
	s = msp_buf_span(&b);
	if (err == MSP_OK)
		err = msp_sha256(&s, 1, out);
	msp_buf_fini(&b);
	return err;
}

static void start_run(struct msa_core *c, struct msa_parent *p, const uint8_t digest[32], const struct msp_rrset *ds,
		      const struct msp_rrset *ns)
{
	struct msa_parent_run *r;
	enum msp_err err;

	if (c->parent_runs >= MSA_PARENT_RUNS_MAX) {
		set_why(p, "other zones are at it: waiting for a turn");
		msa_parent_again(c, p, msp_rand_jitter(c->rand, CROWDED_MS, 20));
		return;
	}
	r = msp_alloc(1, sizeof(*r));
	if (r == NULL) {
		msa_core_note(c, MSP_ENOMEM);
		msa_parent_again(c, p, CROWDED_MS);
		return;
	}
	p->run = r;
	p->is_outdated = false;
	forget_seen(p);
	c->parent_runs++;
	memcpy(r->digest, digest, sizeof(r->digest));
	p->seen.has_ds = ds != NULL;
	p->seen.has_ns = ns != NULL;
	err = msa_records_add_set(&p->seen.want[MSA_SHOWN_DS], ds);
	if (err == MSP_OK)
		err = msa_records_add_set(&p->seen.want[MSA_SHOWN_NS], ns);
	if (err != MSP_OK) {
		msa_core_note(c, err);
		end_run(c, p);
		msa_parent_again(c, p, CROWDED_MS);
		return;
	}
	p->is_forced = false;
	msa_parent_enter(c, p, MSA_PHASE_ZONE);
}

/** A wish that is not the last one: what was said about that one is past. */
static void new_wish(struct msa_core *c, struct msa_parent *p, const uint8_t digest[32])
{
	memcpy(p->digest, digest, sizeof(p->digest));
	p->is_done = p->is_stopped = false;
	p->sent_s = 0;
	p->sends = 0;
	p->backoff_s = p->confirm_backoff_s = p->state_backoff_s = 0;
	p->uploaded_again = false;
	msa_store_parent(c, p);
}

/** An UPDATE that may still arrive: nothing else is sent before it is over (C.5). */
static bool is_talking(const struct msa_parent *p)
{
	return p->run != NULL && p->run->talk.id != 0;
}

/** The first provider in the order of identities begins at once, the next ones a little later; all at random. */
static int64_t head_start_ms(struct msa_core *c, const struct msa_parent *p)
{
	const struct msa_group *g = &p->zone->group;
	int64_t step_ms = (int64_t)c->parent.delay_s * 1000, rank = 0;

	for (size_t i = 0; i < g->self && i < g->count; i++)
		rank += g->row[i].role == MSA_ROLE_PARTICIPANT;
	return 2 * rank * step_ms + (int64_t)msp_rand_below(c->rand, (uint64_t)step_ms + 1);
}

/** Whose turn it is: a new wish begins anew, a pause may be over; else what is under way goes on by itself. */
static void pursue(struct msa_core *c, struct msa_parent *p, const uint8_t digest[32], const struct msp_rrset *ds,
		   const struct msp_rrset *ns)
{
	bool is_same = msa_same_digest(digest, p->digest);
	bool is_new = !is_same || (p->run != NULL && !msa_same_digest(digest, p->run->digest));

	if (!is_same)
		new_wish(c, p, digest);
	if (is_new || p->is_forced)
		end_run(c, p);
	if (p->is_forced) {
		start_run(c, p, digest, ds, ns);
	} else if (is_new || (p->run == NULL && p->due.ms == INT64_MAX)) {
		/* Another provider's sender may be at it: not all at one time. */
		set_phase(c, p, MSA_PHASE_IDLE);
		msa_parent_again(c, p, head_start_ms(c, p));
	} else if (msp_mono_reached(c->now, p->due)) {
		p->due = MSP_MONO_NEVER;
		if (p->run == NULL)
			start_run(c, p, digest, ds, ns);
		else if (phases[p->phase].due != NULL)
			phases[p->phase].due(c, p);
		else
			msa_parent_enter(c, p, p->phase);
	}
}

static void look_at_want(struct msa_core *c, struct msa_parent *p)
{
	struct msp_rrset *ds = NULL, *ns = NULL;
	char why[MSA_TEXT_MAX];
	uint8_t digest[32];
	bool is_wanted = msa_parent_want(c, p->zone, &ds, &ns, p->no_ns_why, why);
	enum msp_err err = is_wanted ? digest_want(ds, ns, digest) : MSP_OK;

	if (err != MSP_OK) {
		msa_core_note(c, err);
		msa_parent_again(c, p, CROWDED_MS);
	} else if (is_talking(p)) { /* first its end */
		p->is_outdated = !is_wanted || !msa_same_digest(digest, p->run->digest);
	} else if (is_wanted) {
		pursue(c, p, digest, ds, ns);
	} else {
		end_run(c, p);
		set_why(p, why);
		if (p->phase != MSA_PHASE_IDLE)
			set_phase(c, p, MSA_PHASE_IDLE);
		p->due = MSP_MONO_NEVER; /* the zone's next look is ours */
		if (c->err != MSP_OK)    /* nothing was found out */
			msa_parent_again(c, p, CROWDED_MS);
	}
	msp_rrset_free(&ds);
	msp_rrset_free(&ns);
}

/* ---- looking
 * ---------------------------------------------------------------------------------------------------------- */

static bool is_overdue(const struct msa_core *c, const struct msa_pend *pend)
{
	return pend->id != 0 && c->now.ms - pend->since.ms > MSA_OVERDUE_MS;
}

/** What the shell should have answered long ago counts as failed. */
static void drop_overdue(struct msa_core *c, struct msa_parent *p)
{
	const struct msa_looked late = { .verdict = MSP_LOOKUP_TIMEOUT, .why = "no answer from the resolver" };

	if (is_overdue(c, &p->key_job))
		msa_parent_keyed(c, &p->key_job, MSP_ETIMEOUT, NULL, NULL, "no answer");
	if (is_overdue(c, &p->combine))
		msa_parent_combined(c, p, MSP_ETIMEOUT, "no answer");
	for (size_t i = 0; p->run != NULL && i < sizeof(p->run->look) / sizeof(p->run->look[0]); i++)
		if (is_overdue(c, &p->run->look[i]))
			msa_parent_looked(c, &p->run->look[i], &late);
	for (size_t i = 0; p->run != NULL && i < MSA_ROUND_WIDTH; i++)
		if (is_overdue(c, &p->run->round.slot[i].pend))
			msa_parent_asked(c, &p->run->round.slot[i].pend, MSP_ETIMEOUT, msp_span(NULL, 0));
	if (p->run != NULL && is_overdue(c, &p->run->talk))
		msa_parent_talked(c, &p->run->talk, MSP_ETIMEOUT, msp_span(NULL, 0));
}

static struct msp_mono overdue_at(struct msp_mono next, const struct msa_pend *pend)
{
	return pend->id == 0 ? next : msp_mono_min(next, msp_mono_add_ms(pend->since, MSA_OVERDUE_MS + 1));
}

static struct msp_mono next_look(const struct msa_parent *p, struct msp_mono next)
{
	const struct msa_parent_run *r = p->run;

	next = msp_mono_min(next, p->due);
	next = overdue_at(next, &p->key_job);
	next = overdue_at(next, &p->combine);
	for (size_t i = 0; r != NULL && i < sizeof(r->look) / sizeof(r->look[0]); i++)
		next = overdue_at(next, &r->look[i]);
	for (size_t i = 0; r != NULL && i < MSA_ROUND_WIDTH; i++)
		next = overdue_at(next, &r->round.slot[i].pend);
	return r == NULL ? next : overdue_at(next, &r->talk);
}

void msa_parent_look(struct msa_core *c, struct msa_parent *p)
{
	struct msp_mono next;

	drop_overdue(c, p);
	next = msa_parent_look_at_keys(c, p);
	look_at_want(c, p);
	if (p->run != NULL && next_look(p, MSP_MONO_NEVER).ms == INT64_MAX)
		msa_parent_hold(c, p, "out of memory"); /* nothing is under way, and nothing would ever come */
	next = next_look(p, next);
	if (next.ms <= c->now.ms)
		next = msp_mono_add_ms(c->now, 1);
	msa_timer_set(&c->heap, &p->timer, next);
}

void msa_parent_touch(struct msa_core *c, struct msa_zone *z)
{
	if (z->parent != NULL)
		msa_timer_soon(&c->heap, &z->parent->timer, c->now);
}

void msa_parent_sync(struct msa_core *c, struct msa_zone *z)
{
	struct msa_parent *p = z->parent;

	if (p == NULL)
		return;
	p->is_forced = true;
	p->is_stopped = false;
	p->sent_s = p->refused_s = p->uploaded_s = 0;
	p->sends = p->refused = 0;
	p->backoff_s = p->confirm_backoff_s = p->state_backoff_s = 0;
	p->uploaded_again = false;
	p->load_failed = false;
	p->combine_next = c->now;
	p->combine_backoff_s = 0;
	msa_store_parent(c, p);
	(void)msa_act(c, MSA_ACT_FLUSH); /* what was looked up before may be why a person is here */
	msa_parent_touch(c, z);
}
