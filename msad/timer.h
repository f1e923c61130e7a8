/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Deadlines of many objects as an intrusive pairing heap: arming never allocates, so it cannot fail. */
#ifndef MSAD_TIMER_H
#define MSAD_TIMER_H

#include <msproto/base/clock.h>

struct msa_timer {
	struct msp_mono at;
	struct msa_timer *child, *next, *prev; /* prev: left sibling, or the parent of a first child */
	bool is_armed;
	int kind;    /* the owner's */
	void *owner; /* borrowed: the object the timer sits in */
};

void msa_timer_init(struct msa_timer *t, int kind, void *owner);
/** Arm or re-arm; MSP_MONO_NEVER disarms. */
void msa_timer_set(struct msa_timer **heap, struct msa_timer *t, struct msp_mono at);
/** As msa_timer_set, but never later than it is armed for already. */
void msa_timer_soon(struct msa_timer **heap, struct msa_timer *t, struct msp_mono at);
void msa_timer_cancel(struct msa_timer **heap, struct msa_timer *t);
/** The earliest one, disarmed, if it is due; else NULL. */
struct msa_timer *msa_timer_take(struct msa_timer **heap, struct msp_mono now);

#endif
