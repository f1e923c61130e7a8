/* SPDX-License-Identifier: BSD-2-Clause */
/** @file How the zones are: for msctl, metrics and health. */
#ifndef CMB_CENSUS_H
#define CMB_CENSUS_H

#include "shell.h"

/** Each zone is in one of these conditions. name, help */
#define CMB_CONDITION_MAP(X)                                                                                           \
	X(SERVING, "serving")                                                                                          \
	X(NEVER, "never")                                                                                              \
	X(EXPIRED, "expired")                                                                                          \
	X(DAMAGED, "damaged")                                                                                          \
	X(OTHER, "other")
enum cmb_condition {
#define CMB_CONDITION_ENUM(name, word) CMB_IS_##name,
	CMB_CONDITION_MAP(CMB_CONDITION_ENUM)
#undef CMB_CONDITION_ENUM
		CMB_CONDITION__N
};
/** And any of these may be true of it. name, word */
#define CMB_MARK_MAP(X)                                                                                                \
	X(FROZEN, "frozen")                                                                                            \
	X(HELD, "held")                                                                                                \
	X(FAILING, "failing")                                                                                          \
	X(BUSY, "busy")                                                                                                \
	X(UNTOLD, "untold")                                                                                            \
	X(LOADED, "loaded")
enum cmb_mark {
#define CMB_MARK_ENUM(name, word) CMB_HAS_##name,
	CMB_MARK_MAP(CMB_MARK_ENUM)
#undef CMB_MARK_ENUM
		CMB_MARK__N
};
const char *cmb_condition_word(enum cmb_condition c);
const char *cmb_mark_word(enum cmb_mark m);

enum cmb_condition cmb_census_condition(const struct cmb_hosted *h);
/** frozen, held: by an operator, for one; failing: refreshes fail; busy: something is under way; untold: a signer has
 * not answered; loaded: in memory. */
bool cmb_census_has(const struct cmb_hosted *h, enum cmb_mark m);

/** What the zone waits for, for people, and until when; false: for nothing but its next refresh. */
bool cmb_census_waits(const struct cmb_hosted *h, const char **what, struct msp_mono *until);

#define CMB_CENSUS_NAMES 20
struct cmb_census {
	uint64_t zones, condition[CMB_CONDITION__N], mark[CMB_MARK__N];
	uint64_t records;
	const struct cmb_hosted *sick[CMB_CENSUS_NAMES]; /* the first ones that are not served, or are frozen or held */
	size_t sick_count;
	uint64_t sick_all;
};
/** One walk over all zones, without loading any: some 10 ms for 100,000. */
void cmb_census_take(const struct cmb_app *app, struct cmb_census *out);

#endif
