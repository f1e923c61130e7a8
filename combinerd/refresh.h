/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * When to ask the owner's primaries, and what next: SOA timers, retries, failover, one refresh in flight and one
 * queued. A table; time is an argument. @source RFC 1035 3.3.13, RFC 1996 4.3, RFC 5936, PROTOCOL E.6
 */
#ifndef CMB_REFRESH_H
#define CMB_REFRESH_H

#include <msproto/base/clock.h>
#include <msproto/base/rand.h>
#include <msproto/wire/rdata.h>

enum cmb_refresh_state { CMB_RF__NONE, CMB_RF_WAITING, CMB_RF_ASKING, CMB_RF_FETCHING, CMB_RF__N };
enum cmb_refresh_event {
	CMB_REV_TIMER,        /* `next` has come */
	CMB_REV_NOTIFY,       /* a primary says that there is something new */
	CMB_REV_FORCE,        /* fetch whatever the serial (operator, damaged pages) */
	CMB_REV_SAME,         /* the primary's serial is not ahead */
	CMB_REV_AHEAD,        /* it is ahead */
	CMB_REV_ASK_FAILED,   /* no usable answer to the SOA query */
	CMB_REV_FETCHED,      /* transfer complete, stored and visible */
	CMB_REV_FETCH_FAILED, /* it was not */
	CMB_REV_KEPT_BACK,   /* what the primary has is kept back (guard, verifier): nothing to fetch, nothing confirmed
			      */
	CMB_REV_TAKE_FAILED, /* the transfer was good, but we could not store it: no other primary helps */
	CMB_REV__N
};
/** What the caller must start now, with primary number `primary`; or nothing but wait for `next`. */
enum cmb_refresh_do { CMB_DO_NOTHING, CMB_DO_ASK, CMB_DO_FETCH };

/** Clamps for the SOA's values, in seconds (PROTOCOL E.6; settings). */
struct cmb_refresh_limits {
	uint32_t refresh_min, refresh_max, retry_min, retry_max, expire_min, expire_max;
};

struct cmb_refresh {
	enum cmb_refresh_state state;
	const struct cmb_refresh_limits *limits; /* borrowed */
	size_t primary, primaries, tried; /* which one is asked; how many there are; how many were tried this time */
	bool is_held;                     /* a version is held */
	bool is_forced, look_all;
	bool queued, queued_force;
	bool has_preferred; /* a NOTIFY's source is asked first */
	size_t preferred;
	unsigned failures;                     /* in a row */
	uint32_t refresh_s, retry_s, expire_s; /* clamped */
	struct msp_mono next;                  /* NEVER while a refresh is in flight */
	struct msp_mono expires;               /* NEVER until something is held */
	uint64_t unexpected;                   /* events that made no sense in the state they came in */
	/* what the caller remembers of the first 16 primaries, a bit each */
	uint16_t no_ixfr, key_next; /* no differences to be had, until the time below; the next TSIG key is in use */
	struct msp_mono no_ixfr_until;
};

/** Starts in WAITING, due at once. */
void cmb_refresh_init(struct cmb_refresh *r, const struct cmb_refresh_limits *limits, size_t primaries,
		      struct msp_mono now);
/** A version is held: its timers. `age_s`: how long ago it was last confirmed (after a restart). */
void cmb_refresh_hold(struct cmb_refresh *r, const struct msp_soa *soa, struct msp_mono now, uint64_t age_s);
enum cmb_refresh_do cmb_refresh_step(struct cmb_refresh *r, enum cmb_refresh_event ev, struct msp_mono now,
				     struct msp_rand *rand);
/** Ask this primary first in the round that begins with the next event, or in the one that is queued. */
void cmb_refresh_prefer(struct cmb_refresh *r, size_t primary);
/** What was under way has been stopped without an outcome: begin again, now. */
void cmb_refresh_stop(struct cmb_refresh *r, struct msp_mono now);
/** The zone is frozen: nothing is due until an event comes. */
void cmb_refresh_freeze(struct cmb_refresh *r);
/** The version held is too old to be served. */
bool cmb_refresh_is_expired(const struct cmb_refresh *r, struct msp_mono now);
const char *cmb_refresh_state_name(enum cmb_refresh_state s);

#endif
