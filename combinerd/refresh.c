/* SPDX-License-Identifier: BSD-2-Clause */
#include "refresh.h"

#include <string.h>

#define JITTER_PERCENT    5
#define FIRST_RETRY_S     1u /* nothing held yet: quickly at first, doubling */
#define EMPTY_RETRY_MAX_S 60u

enum action { NONE, BEGIN, BEGIN_FORCED, FETCH, SUCCEED, LOOK_ON, KEEP_BACK, FAIL_OVER, GIVE_UP, QUEUE, QUEUE_FORCE };

/* A cell with next state CMB_RF__NONE is unexpected: counted, nothing changes. Where an action starts something, it
 * also sets the state (ASKING or FETCHING); the state in the cell is where the machine is when it starts nothing. */
struct cell {
	enum cmb_refresh_state next;
	enum action action;
};
static const struct cell table[CMB_RF__N][CMB_REV__N] = {
	[CMB_RF_WAITING] = {
		[CMB_REV_TIMER] = { CMB_RF_WAITING, BEGIN },
		[CMB_REV_NOTIFY] = { CMB_RF_WAITING, BEGIN },
		[CMB_REV_FORCE] = { CMB_RF_WAITING, BEGIN_FORCED },
	},
	[CMB_RF_ASKING] = {
		[CMB_REV_NOTIFY] = { CMB_RF_ASKING, QUEUE },
		[CMB_REV_FORCE] = { CMB_RF_ASKING, QUEUE_FORCE },
		[CMB_REV_SAME] = { CMB_RF_WAITING, LOOK_ON },
		[CMB_REV_AHEAD] = { CMB_RF_FETCHING, FETCH },
		[CMB_REV_ASK_FAILED] = { CMB_RF_WAITING, FAIL_OVER },
		[CMB_REV_KEPT_BACK] = { CMB_RF_WAITING, KEEP_BACK },
	},
	[CMB_RF_FETCHING] = {
		[CMB_REV_NOTIFY] = { CMB_RF_FETCHING, QUEUE },
		[CMB_REV_FORCE] = { CMB_RF_FETCHING, QUEUE_FORCE },
		[CMB_REV_FETCHED] = { CMB_RF_WAITING, SUCCEED },
		[CMB_REV_FETCH_FAILED] = { CMB_RF_WAITING, FAIL_OVER },
		[CMB_REV_KEPT_BACK] = { CMB_RF_WAITING, KEEP_BACK },
		[CMB_REV_TAKE_FAILED] = { CMB_RF_WAITING, GIVE_UP },
	},
};

static uint32_t clamp(uint32_t v, uint32_t min, uint32_t max)
{
	if (v < min)
		return min;
	return v > max ? max : v;
}

void cmb_refresh_init(struct cmb_refresh *r, const struct cmb_refresh_limits *limits, size_t primaries,
		      struct msp_mono now)
{
	memset(r, 0, sizeof(*r));
	r->state = CMB_RF_WAITING;
	r->limits = limits;
	r->primaries = primaries;
	r->next = now;
	r->expires = MSP_MONO_NEVER;
	r->no_ixfr_until = now;
}

void cmb_refresh_prefer(struct cmb_refresh *r, size_t primary)
{
	r->has_preferred = true;
	r->preferred = primary;
}

void cmb_refresh_stop(struct cmb_refresh *r, struct msp_mono now)
{
	if (r->state == CMB_RF_WAITING)
		return;
	r->state = CMB_RF_WAITING;
	r->queued_force = r->queued_force || r->is_forced;
	r->is_forced = false;
	r->next = now;
}

void cmb_refresh_freeze(struct cmb_refresh *r)
{
	if (r->state == CMB_RF_WAITING)
		r->next = MSP_MONO_NEVER;
}

void cmb_refresh_hold(struct cmb_refresh *r, const struct msp_soa *soa, struct msp_mono now, uint64_t age_s)
{
	const struct cmb_refresh_limits *l = r->limits;

	r->is_held = true;
	r->refresh_s = clamp(soa->refresh_s, l->refresh_min, l->refresh_max);
	r->retry_s = clamp(soa->retry_s, l->retry_min, l->retry_max);
	r->expire_s = clamp(soa->expire_s, l->expire_min, l->expire_max);
	if (age_s > r->expire_s)
		age_s = r->expire_s;
	r->expires = msp_mono_add_ms(now, ((int64_t)r->expire_s - (int64_t)age_s) * 1000);
}

bool cmb_refresh_is_expired(const struct cmb_refresh *r, struct msp_mono now)
{
	return r->is_held && msp_mono_reached(now, r->expires);
}

static enum cmb_refresh_do start(struct cmb_refresh *r)
{
	bool fetch = r->is_forced || !r->is_held; /* nothing to compare a serial with */

	r->next = MSP_MONO_NEVER;
	r->state = fetch ? CMB_RF_FETCHING : CMB_RF_ASKING;
	return fetch ? CMB_DO_FETCH : CMB_DO_ASK;
}

static enum cmb_refresh_do begin(struct cmb_refresh *r, bool force, bool look_all)
{
	r->is_forced = force;
	r->look_all = look_all;
	r->tried = 1;
	if (r->has_preferred)
		r->primary = r->preferred;
	r->has_preferred = false;
	if (r->primary >= r->primaries) /* there may be less of them since a reload */
		r->primary = 0;
	return start(r);
}

/* The round is over: what came in meanwhile is next, else the timer. */
static enum cmb_refresh_do finish(struct cmb_refresh *r, int64_t wait_s, struct msp_mono now, struct msp_rand *rand)
{
	bool force = r->queued_force, queued = r->queued || force;

	r->is_forced = false;
	r->queued = r->queued_force = false;
	if (queued)
		return begin(r, force, true);
	r->next = msp_mono_add_ms(now, msp_rand_jitter(rand, wait_s * 1000, JITTER_PERCENT));
	return CMB_DO_NOTHING;
}

/* RFC 1035 3.3.13: what is held is the newest that the primary asked has. */
static void confirm(struct cmb_refresh *r, struct msp_mono now)
{
	if (r->is_held)
		r->expires = msp_mono_add_ms(now, (int64_t)r->expire_s * 1000);
}

static enum cmb_refresh_do succeed(struct cmb_refresh *r, struct msp_mono now, struct msp_rand *rand)
{
	r->failures = 0;
	confirm(r, now);
	return finish(r, r->refresh_s, now, rand);
}

static enum cmb_refresh_do next_primary(struct cmb_refresh *r)
{
	r->primary = (r->primary + 1) % r->primaries;
	r->tried++;
	return start(r);
}

/* RFC 1035 3.3.13: RETRY; while nothing is held, quickly at first. */
static uint32_t retry_after(const struct cmb_refresh *r)
{
	uint32_t wait_s = FIRST_RETRY_S << (r->failures < 6 ? r->failures : 6);

	if (r->is_held)
		return r->retry_s;
	return wait_s < EMPTY_RETRY_MAX_S ? wait_s : EMPTY_RETRY_MAX_S;
}

static enum cmb_refresh_do give_up(struct cmb_refresh *r, struct msp_mono now, struct msp_rand *rand)
{
	uint32_t wait_s = retry_after(r);

	r->failures++;
	r->primary = (r->primary + 1) % r->primaries;
	return finish(r, wait_s, now, rand);
}

static enum cmb_refresh_do fail_over(struct cmb_refresh *r, struct msp_mono now, struct msp_rand *rand)
{
	return r->tried < r->primaries ? next_primary(r) : give_up(r, now, rand);
}

/* Another primary may have something that can be taken. A forced fetch would only bring the same once more. */
static enum cmb_refresh_do keep_back(struct cmb_refresh *r, struct msp_mono now, struct msp_rand *rand)
{
	if (!r->is_held)
		return give_up(r, now, rand);
	if (!r->is_forced && r->tried < r->primaries)
		return next_primary(r);
	return finish(r, r->refresh_s, now, rand);
}

enum cmb_refresh_do cmb_refresh_step(struct cmb_refresh *r, enum cmb_refresh_event ev, struct msp_mono now,
				     struct msp_rand *rand)
{
	const struct cell *c = &table[r->state][ev];
	bool force;

	if (c->next == CMB_RF__NONE || r->primaries == 0) {
		r->unexpected++;
		return CMB_DO_NOTHING;
	}
	r->state = c->next;
	switch (c->action) {
	case BEGIN:
		/* a NOTIFY may come from any of the primaries: one that is behind must not hide it */
		force = r->queued_force;
		r->queued = r->queued_force = false;
		return begin(r, force, ev == CMB_REV_NOTIFY);
	case BEGIN_FORCED:
		r->queued = r->queued_force = false;
		return begin(r, true, false);
	case FETCH:
		return CMB_DO_FETCH;
	case SUCCEED:
		return succeed(r, now, rand);
	case LOOK_ON:
		confirm(r, now); /* whatever the others say, or do not */
		return r->look_all && r->tried < r->primaries ? next_primary(r) : succeed(r, now, rand);
	case KEEP_BACK:
		return keep_back(r, now, rand);
	case FAIL_OVER:
		return fail_over(r, now, rand);
	case GIVE_UP:
		return give_up(r, now, rand);
	case QUEUE:
		r->queued = true;
		break;
	case QUEUE_FORCE:
		r->queued_force = true;
		break;
	case NONE:
		break;
	}
	return CMB_DO_NOTHING;
}

const char *cmb_refresh_state_name(enum cmb_refresh_state s)
{
	static const char *const names[CMB_RF__N] = { "none", "waiting", "asking", "fetching" };

	return s < CMB_RF__N ? names[s] : "none";
}
