/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * A planned version is looked at before anybody is given it: its ZONEMD is recomputed (zonemd = recompute) and the
 * verifier, a program of the operator's, reads it. Both work on a snapshot, off the loop. @source RFC 8976, DESIGN 2
 */
#ifndef CMB_INSPECT_H
#define CMB_INSPECT_H

#include "hosted.h"

/**
 * err MSP_OK: `v` may be served (a ZONEMD was put into its apex when it was recomputed). MSP_EREFUSED: the verifier
 * said no, its last line is the reason. Others: it could not be inspected, which is no better.
 */
typedef void cmb_inspect_fn(void *arg, enum msp_err err, const struct msp_why *why);
#define CMB_INSPECT_MAX 2
/**
 * `v` is borrowed until done, and its pages are on disk. Done comes from the loop, once, unless cancelled; *out is gone
 * then. At most CMB_INSPECT_MAX at a time, the rest wait in line.
 */
MSP_CHECKED enum msp_err cmb_inspect_start(struct cmb_hosted *h, struct cmb_version *v, cmb_inspect_fn *done, void *arg,
					   struct cmb_inspect **out);
/**
 * The line is short enough for versions that can wait (of instructions, of changed settings): a version in line keeps
 * its zone in memory.
 */
#define CMB_INSPECT_LINE_MAX 64
bool cmb_inspect_has_room(const struct cmb_app *app);
/** When it returns nothing of the version and its pages is looked at any more. */
void cmb_inspect_cancel(struct cmb_inspect **i);
/** For people: what it is waiting for. */
const char *cmb_inspect_text(const struct cmb_inspect *i);

#endif
