/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * What upstream.c (whose turn it is) and fetch.c (what is said to a primary) share. For the two of them only.
 */
#ifndef CMB_FETCH_H
#define CMB_FETCH_H

#include "intake.h"
#include "shell.h"
#include "turns.h"

#define CMB_REMEMBERED 16 /* primaries of a zone: bits of the refresh machine */

struct cmb_upstream {
	struct cmb_app *app; /* borrowed */
	struct msp_xfr_pool *pool;
	struct cmb_turns turns;
	struct msp_timer *timer; /* a back-off ends */
	struct msp_mono armed;
	size_t offered; /* transfers that are complete and wait for their commit */
	bool is_pumping;
};

enum cmb_method { CMB_BY_SOA, CMB_BY_IXFR, CMB_BY_AXFR };
const char *cmb_method_name(enum cmb_method m);

/** A zone's round: in line for its turn, speaking to a primary, or with its version being stored. */
struct cmb_fetch {
	struct cmb_turn turn;              /* first: found from it */
	struct cmb_hosted *hosted;         /* borrowed: it owns us */
	struct cmb_settings *settings;     /* shared: what is under way goes on with it */
	const struct cmb_profile *profile; /* borrowed from settings, as is target */
	const struct cmb_target *target;   /* NULL between two primaries */
	size_t primary;                    /* which one target is */
	enum cmb_method method;
	bool use_next, tried_other; /* TSIG keys */
	bool by_tcp;                /* the SOA query: it was refused over UDP */
	bool is_whole;              /* differences did not fit */
	bool is_offered;
	struct msp_xchg *ask;
	struct msp_tsig_ctx tsig; /* of the SOA query */
	struct msp_xfr *xfr;
	struct cmb_intake *intake;
	uint64_t records, octets; /* of the transfer, for the log */
	uint32_t serial;
	bool was_ixfr;
	char text[160]; /* cmb_upstream_text */
};

static inline uint16_t cmb_fetch_bit(size_t primary)
{
	unsigned bit = primary < CMB_REMEMBERED ? 1u << primary : 0u;

	return (uint16_t)bit;
}

/* --- upstream.c --- */
/** An outcome, to the refresh machine; the round may be over, and the fetch gone, when it returns. */
void cmb_upstream_step(struct cmb_hosted *h, enum cmb_refresh_event ev);
/** In line for what the refresh machine wants; likewise. */
void cmb_upstream_go_on(struct cmb_hosted *h, enum cmb_refresh_do todo);
/** The address has turned out not to answer: zones in line for it that have other primaries go there. */
void cmb_upstream_avoid(struct cmb_upstream *u, const struct msp_addr *addr);
/** Whoever may begin does. */
void cmb_upstream_pump(struct cmb_upstream *u);

/* --- fetch.c: f's turn has begun --- */
MSP_CHECKED enum msp_err cmb_fetch_ask(struct cmb_fetch *f);
MSP_CHECKED enum msp_err cmb_fetch_transfer(struct cmb_fetch *f);
void cmb_fetch_end_turn(struct cmb_fetch *f, enum cmb_turn_outcome outcome);
/** For the operator: trouble, log, statistics. */
void cmb_fetch_say_failed(struct cmb_fetch *f, enum msp_err err, const struct msp_why *why);
/** The same, and to the refresh machine. */
void cmb_fetch_fail(struct cmb_fetch *f, enum msp_err err, const struct msp_why *why);

#endif
