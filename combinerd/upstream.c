/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Performs what the refresh machine asks for, each thing when it is its turn (turns.h); fetch.c speaks to the primary.
 */
#include "fetch.h"

#include <msproto/base/mem.h>

#include <stdio.h>
#include <string.h>

#define ASKS_MAX      256
#define ASKS_PER_PEER 64
#define OFFERED_MAX   512 /* transfers that are complete and wait for their commit */
#define POOL_MAX      64
#define POOL_IDLE_MS  10000

/* With this primary. What was found out about it in this round may be different in the next. */
static void is_over(struct cmb_hosted *h, enum cmb_refresh_event ev)
{
	if (h->fetch != NULL && ev != CMB_REV_AHEAD && ev != CMB_REV_TIMER && ev != CMB_REV_NOTIFY &&
	    ev != CMB_REV_FORCE)
		h->fetch->target = NULL;
}

void cmb_upstream_step(struct cmb_hosted *h, enum cmb_refresh_event ev)
{
	is_over(h, ev);
	cmb_upstream_go_on(h, cmb_refresh_step(&h->refresh, ev, msp_mono_now(), &h->app->rand));
}

/* --- what to do, and with whom ------------------------------------------------------------------------------------ */

static bool may_ixfr(const struct cmb_hosted *h, const struct cmb_fetch *f)
{
	const struct cmb_refresh *r = &h->refresh;
	bool knows_better =
		(r->no_ixfr & cmb_fetch_bit(f->primary)) != 0 && !msp_mono_reached(msp_mono_now(), r->no_ixfr_until);

	return f->profile->conf->ixfr && !f->profile->needs_inspection && h->has_head && r->is_held && !r->is_forced &&
	       !h->is_damaged && !f->is_whole && !knows_better;
}

/* Over TLS there is no cheap question: IXFR asks and fetches in one. */
static enum cmb_method choose_method(const struct cmb_hosted *h, const struct cmb_fetch *f, enum cmb_refresh_do todo)
{
	if (todo == CMB_DO_ASK)
		return f->target->tls != NULL && may_ixfr(h, f) ? CMB_BY_IXFR : CMB_BY_SOA;
	return may_ixfr(h, f) ? CMB_BY_IXFR : CMB_BY_AXFR;
}

static void aim(struct cmb_hosted *h, struct cmb_fetch *f)
{
	const struct cmb_profile *p = h->profile;
	size_t primary = h->refresh.primary % p->primary_count;

	if (f->profile == p && f->target == &p->primary[primary])
		return;
	if (f->settings != p->settings) {
		cmb_settings_unref(&f->settings);
		f->settings = cmb_settings_ref(p->settings);
	}
	f->profile = p;
	f->primary = primary;
	f->target = &p->primary[primary];
	f->use_next = (h->refresh.key_next & cmb_fetch_bit(primary)) != 0;
	f->tried_other = f->is_whole = f->by_tcp = false;
}

static enum msp_err line_up(struct cmb_hosted *h, enum cmb_refresh_do todo, struct msp_why *why)
{
	struct cmb_upstream *u = h->app->upstream;
	struct cmb_fetch *f = h->fetch;
	const struct msp_addr *addr;
	struct msp_mono now = msp_mono_now();
	bool is_again;

	aim(h, f);
	is_again = f->is_whole || f->tried_other || f->by_tcp;
	f->method = choose_method(h, f, todo);
	addr = &f->target->conf->addr;
	if (h->refresh.primaries > 1 && cmb_turns_is_silent(&u->turns, addr, now))
		return msp_fail(why, MSP_ETIMEOUT, "%s has not answered lately", MSP_ADDR(addr));
	return cmb_turns_join(&u->turns, &f->turn, addr, f->method == CMB_BY_SOA ? CMB_TURN_ASK : CMB_TURN_FETCH,
			      is_again, now);
}

/* --- the end of a round ------------------------------------------------------------------------------------------- */

static void drop_fetch(struct cmb_hosted *h)
{
	struct cmb_fetch *f = h->fetch;

	h->fetch = NULL;
	if (f == NULL)
		return;
	if (f->ask != NULL)
		msp_xchg_cancel(&f->ask);
	msp_tsig_ctx_fini(&f->tsig);
	if (f->xfr != NULL)
		msp_xfr_cancel(&f->xfr);
	cmb_intake_close(&f->intake);
	if (f->is_offered)
		h->app->upstream->offered--;
	cmb_fetch_end_turn(f, CMB_TURN_UNKNOWN);
	cmb_settings_unref(&f->settings);
	msp_free(f);
}

/* --- turns -------------------------------------------------------------------------------------------------------- */

static struct cmb_fetch *fetch_of(struct cmb_turn *turn)
{
	return (struct cmb_fetch *)((char *)turn - offsetof(struct cmb_fetch, turn));
}

static void limits_now(const struct cmb_upstream *u, struct cmb_turns_limits *l)
{
	const struct cmb_conf *c = u->app->conf;

	l->max[CMB_TURN_ASK] = ASKS_MAX;
	l->per_peer[CMB_TURN_ASK] = ASKS_PER_PEER;
	/* Versions that wait for their commit are in memory: no more of them than that. */
	l->max[CMB_TURN_FETCH] = u->offered < OFFERED_MAX ? (size_t)c->transfers_in_max : 0;
	l->per_peer[CMB_TURN_FETCH] = (size_t)c->transfers_in_per_primary_max;
}

static void arm(struct cmb_upstream *u)
{
	struct msp_mono due = cmb_turns_due(&u->turns);

	if (due.ms == u->armed.ms)
		return;
	u->armed = due;
	if (due.ms == INT64_MAX)
		msp_timer_stop(u->timer);
	else
		msp_timer_start(u->timer, (uint64_t)msp_mono_until_ms(msp_mono_now(), due));
}

/* Whoever may begin does. What cannot even be started has failed, which may bring zones into the lines again: the
 * outermost call sees to them. */
void cmb_upstream_pump(struct cmb_upstream *u)
{
	struct cmb_turns_limits limits;
	struct cmb_turn *turn;

	if (u == NULL || u->is_pumping)
		return;
	u->is_pumping = true;
	for (;;) {
		struct cmb_fetch *f;
		enum msp_err err;

		limits_now(u, &limits);
		turn = cmb_turns_next(&u->turns, &limits, msp_mono_now());
		if (turn == NULL)
			break;
		f = fetch_of(turn);
		err = f->method == CMB_BY_SOA ? cmb_fetch_ask(f) : cmb_fetch_transfer(f);
		if (err != MSP_OK) {
			cmb_fetch_end_turn(f, CMB_TURN_UNKNOWN);
			cmb_fetch_fail(f, err, NULL);
		}
	}
	u->is_pumping = false;
	arm(u);
}

static void backoff_over(void *arg)
{
	struct cmb_upstream *u = arg;

	u->armed = MSP_MONO_NEVER;
	cmb_upstream_pump(u);
}

static void avoid(struct cmb_upstream *u, const struct msp_addr *addr, enum cmb_turn_kind kind)
{
	struct cmb_turn *next;

	for (struct cmb_turn *turn = cmb_turns_waiting(&u->turns, addr, kind); turn != NULL; turn = next) {
		struct cmb_hosted *h = fetch_of(turn)->hosted;

		next = turn->next;
		if (h->refresh.primaries < 2)
			continue;
		cmb_turns_end(&u->turns, turn, CMB_TURN_UNKNOWN, msp_mono_now());
		cmb_upstream_step(h, h->refresh.state == CMB_RF_ASKING ? CMB_REV_ASK_FAILED : CMB_REV_FETCH_FAILED);
	}
}

/* Who has another primary never gets in line for a silent one: the line only gets shorter here. */
void cmb_upstream_avoid(struct cmb_upstream *u, const struct msp_addr *addr)
{
	if (!cmb_turns_is_silent(&u->turns, addr, msp_mono_now()))
		return;
	avoid(u, addr, CMB_TURN_ASK);
	avoid(u, addr, CMB_TURN_FETCH);
}

/* --- the machine -------------------------------------------------------------------------------------------------- */

static enum msp_err have_fetch(struct cmb_hosted *h)
{
	if (h->fetch == NULL) {
		h->fetch = msp_alloc(1, sizeof(*h->fetch));
		if (h->fetch == NULL)
			return MSP_ENOMEM;
		h->fetch->hosted = h;
	}
	return MSP_OK;
}

/* What cannot even get in line has failed; each time round uses up a primary. */
void cmb_upstream_go_on(struct cmb_hosted *h, enum cmb_refresh_do todo)
{
	struct cmb_refresh *r = &h->refresh;

	while (todo != CMB_DO_NOTHING) {
		struct msp_why why = { "" };
		enum msp_err err = have_fetch(h);

		if (err == MSP_OK)
			err = line_up(h, todo, &why);
		if (err == MSP_OK)
			break;
		if (err != MSP_ETIMEOUT && h->fetch != NULL)
			cmb_fetch_say_failed(h->fetch, err, &why);
		else if (r->tried >= r->primaries) /* in the log it is where it was found out */
			cmb_hosted_set_trouble(h, &why);
		is_over(h, CMB_REV_ASK_FAILED);
		todo = cmb_refresh_step(r, todo == CMB_DO_ASK ? CMB_REV_ASK_FAILED : CMB_REV_FETCH_FAILED,
					msp_mono_now(), &h->app->rand);
	}
	if (r->state == CMB_RF_WAITING)
		drop_fetch(h);
	cmb_hosted_arm(h);
}

void cmb_upstream_event(struct cmb_hosted *h, enum cmb_refresh_event ev)
{
	struct cmb_refresh *r = &h->refresh;

	if (h->app->upstream == NULL)
		return;
	r->primaries = h->profile->primary_count; /* a reload may have changed it */
	if (r->state == CMB_RF_WAITING && (h->is_frozen || r->primaries == 0)) {
		r->queued_force = r->queued_force || ev == CMB_REV_FORCE;
		cmb_refresh_freeze(r);
		cmb_hosted_arm(h);
		return;
	}
	cmb_upstream_step(h, ev);
	cmb_upstream_pump(h->app->upstream);
}

void cmb_upstream_notify(struct cmb_hosted *h, const struct msp_addr *from)
{
	const struct cmb_profile *p = h->profile;

	for (size_t i = 0; h->app->upstream != NULL && i < p->primary_count; i++) {
		const struct msp_addr *addr = &p->primary[i].conf->addr;

		if (!msp_addr_same_host(addr, from))
			continue;
		cmb_refresh_prefer(&h->refresh, i);
		cmb_turns_heard(&h->app->upstream->turns, addr, msp_mono_now());
		break;
	}
	cmb_upstream_event(h, CMB_REV_NOTIFY);
}

bool cmb_upstream_has_line(const struct cmb_app *app)
{
	return app->upstream != NULL && app->upstream->turns.waiting[CMB_TURN_FETCH] > 0;
}

static void say_taken(const struct cmb_fetch *f)
{
	struct cmb_hosted *h = f->hosted;

	h->transfers_in++;
	if (f->was_ixfr)
		h->app->stats.ixfr_in++;
	else
		h->app->stats.axfr_in++;
	msp_log(h->app->log, MSP_LOG_NOTICE, "transfer-in", MSP_F_STR("zone", MSP_NAME(&h->name)),
		MSP_F_STR("kind", f->was_ixfr ? "IXFR" : "AXFR"),
		MSP_F_STR("primary", MSP_ADDR(&f->target->conf->addr)), MSP_F_U64("owner-serial", f->serial),
		MSP_F_U64("records", f->records), MSP_F_U64("octets", f->octets));
}

void cmb_upstream_taken(struct cmb_hosted *h, enum msp_err err, const struct msp_why *why)
{
	struct cmb_fetch *f = h->fetch;
	struct cmb_upstream *u = h->app->upstream;

	if (f == NULL || !f->is_offered)
		return; /* a version of before: its round has been stopped */
	f->is_offered = false;
	u->offered--;
	if (err == MSP_OK) {
		say_taken(f);
		cmb_upstream_step(h, CMB_REV_FETCHED);
	} else {
		cmb_fetch_say_failed(f, err, why);
		if (err == MSP_EREFUSED)
			cmb_upstream_step(h, CMB_REV_KEPT_BACK);
		else
			cmb_upstream_step(h, err == MSP_ELIMIT ? CMB_REV_FETCH_FAILED : CMB_REV_TAKE_FAILED);
	}
	cmb_upstream_pump(u);
}

void cmb_upstream_cancel(struct cmb_hosted *h)
{
	drop_fetch(h);
	cmb_refresh_stop(&h->refresh, msp_mono_now());
	cmb_upstream_pump(h->app->upstream);
}

/* The line may be that of a primary which is gone for good. */
void cmb_upstream_renew(struct cmb_hosted *h)
{
	if (h->fetch == NULL || h->fetch->turn.state != CMB_TURN_WAITING)
		return;
	cmb_upstream_cancel(h);
	cmb_upstream_event(h, CMB_REV_NOTIFY);
}

const char *cmb_upstream_text(const struct cmb_hosted *h)
{
	struct cmb_fetch *f = h->fetch;
	const char *doing = "";

	if (h->is_frozen && f == NULL)
		return "frozen";
	if (f == NULL || f->target == NULL)
		return cmb_refresh_state_name(h->refresh.state);
	if (f->is_offered)
		doing = "storing what came by";
	else if (f->turn.state == CMB_TURN_RUNNING)
		doing = "under way:";
	else if (cmb_turns_is_silent(&h->app->upstream->turns, &f->target->conf->addr, msp_mono_now()))
		doing = "in line, the primary does not answer:";
	else
		doing = "in line:";
	(void)snprintf(f->text, sizeof(f->text), "%s %s %s", doing, cmb_method_name(f->method),
		       MSP_ADDR(&f->target->conf->addr));
	return f->text;
}

/* --- start and stop ----------------------------------------------------------------------------------------------- */

enum msp_err cmb_upstream_open(struct cmb_app *app)
{
	struct cmb_upstream *u = msp_alloc(1, sizeof(*u));
	enum msp_err err;

	if (u == NULL)
		return MSP_ENOMEM;
	u->app = app;
	u->armed = MSP_MONO_NEVER;
	cmb_turns_init(&u->turns);
	err = msp_xfr_pool_new(app->loop, POOL_MAX, POOL_IDLE_MS, &u->pool);
	if (err == MSP_OK)
		err = msp_timer_new(app->loop, backoff_over, u, &u->timer);
	if (err == MSP_OK) {
		app->upstream = u;
		return MSP_OK;
	}
	if (u->pool != NULL)
		msp_xfr_pool_close(&u->pool);
	cmb_turns_fini(&u->turns);
	msp_free(u);
	return err;
}

void cmb_upstream_close(struct cmb_app *app)
{
	struct cmb_upstream *u = app->upstream;
	struct msp_map_it it;

	if (u == NULL)
		return;
	u->is_pumping = true; /* nothing new is begun */
	for (bool more = msp_map_first(&app->by_name, msp_span(NULL, 0), &it); more;
	     more = msp_map_next(&app->by_name, &it))
		drop_fetch(it.value);
	app->upstream = NULL;
	msp_timer_close(&u->timer);
	msp_xfr_pool_close(&u->pool);
	cmb_turns_fini(&u->turns);
	msp_free(u);
}
