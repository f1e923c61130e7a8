/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Between version.c, which makes versions, and commits.c, which makes them visible. */
#ifndef CMB_COMMITS_H
#define CMB_COMMITS_H

#include "shell.h"

/** h->version may be served once it is on disk: in the next round of the loop, together with others. */
void cmb_commits_add(struct cmb_hosted *h);
/** The version did not come to be. What was under way for it is over; instructions are safe and are tried again. Not
 * from inside an offer. */
void cmb_commits_give_up(struct cmb_hosted *h, enum msp_err err, const struct msp_why *why);
/** The offer came to nothing; upstream hears of it when its call is over. */
void cmb_commits_refuse(struct cmb_hosted *h, enum msp_err err, const struct msp_why *why);
/** End the state's transaction that `err` says the outcome of so far. */
MSP_CHECKED enum msp_err cmb_commits_end_txn(struct cmb_app *app, enum msp_err err);

#endif
