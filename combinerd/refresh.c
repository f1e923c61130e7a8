/* SPDX-License-Identifier: BSD-2-Clause */
#include "refresh.h"

#include <string.h>

#define JITTER_PERCENT    5
#define FIRST_RETRY_S     1u /* nothing held yet: quickly at first, doubling */
#define EMPTY_RETRY_MAX_S 60u

enum action { NONE, BEGIN, FETCH, SUCCEED, LOOK_ON, FAIL_OVER, QUEUE, QUEUE_FORCE, BEGIN_FORCED };

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
	},
	[CMB_RF_FETCHING] = {
		[CMB_REV_NOTIFY] = { CMB_RF_FETCHING, QUEUE },
		[CMB_REV_FORCE] = { CMB_RF_FETCHING, QUEUE_FORCE },
		[CMB_REV_FETCHED] = { CMB_RF_WAITING, SUCCEED },
		[CMB_REV_FETCH_FAILED] = { CMB_RF_WAITING, FAIL_OVER },
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

static enum cmb_refresh_do succeed(struct cmb_refresh *r, struct msp_mono now, struct msp_rand *rand)
{
	r->failures = 0;
	if (r->is_held)
		r->expires = msp_mono_add_ms(now, (int64_t)r->expire_s * 1000);
	return finish(r, r->refresh_s, now, rand);
}

static enum cmb_refresh_do next_primary(struct cmb_refresh *r)
{
	r->primary = (r->primary + 1) % r->primaries;
	r->tried++;
	return start(r);
}

static enum cmb_refresh_do fail_over(struct cmb_refresh *r, struct msp_mono now, struct msp_rand *rand)
{
	uint32_t wait_s = FIRST_RETRY_S << (r->failures < 6 ? r->failures : 6);

	if (r->tried < r->primaries)
		return next_primary(r);
	r->failures++;
	if (r->is_held)
		wait_s = r->retry_s;
	else if (wait_s > EMPTY_RETRY_MAX_S)
		wait_s = EMPTY_RETRY_MAX_S;
	r->primary = (r->primary + 1) % r->primaries;
	return finish(r, wait_s, now, rand);
}

enum cmb_refresh_do cmb_refresh_step(struct cmb_refresh *r, enum cmb_refresh_event ev, struct msp_mono now,
				     struct msp_rand *rand)
{
	const struct cell *c = &table[r->state][ev];

	if (c->next == CMB_RF__NONE || r->primaries == 0) {
		r->unexpected++;
		return CMB_DO_NOTHING;
	}
	r->state = c->next;
	switch (c->action) {
	case BEGIN:
		/* a NOTIFY may come from any of the primaries: one that is behind must not hide it */
		return begin(r, false, ev == CMB_REV_NOTIFY);
	case BEGIN_FORCED:
		return begin(r, true, false);
	case FETCH:
		return CMB_DO_FETCH;
	case SUCCEED:
		return succeed(r, now, rand);
	case LOOK_ON:
		return r->look_all && r->tried < r->primaries ? next_primary(r) : succeed(r, now, rand);
	case FAIL_OVER:
		return fail_over(r, now, rand);
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
