/* SPDX-License-Identifier: BSD-2-Clause */
/** @file What the files of the control commands share: reading arguments, and putting answers together. */
#ifndef CMB_CTL_H
#define CMB_CTL_H

#include "shell.h"

#include <msproto/kit/answer.h>

/** The zone that an argument names. MSP_ENOTFOUND: none of ours. */
MSP_CHECKED enum msp_err cmb_ctl_zone(struct cmb_app *app, const json_t *args, struct cmb_hosted **out,
				      struct msp_why *why);
/** What can be said of a zone without loading it. */
void cmb_ctl_summary(const struct cmb_hosted *h, struct msp_put *o);
/** The loaded zone, or why it cannot be (MSP_ESTATE). */
MSP_CHECKED enum msp_err cmb_ctl_loaded(struct cmb_hosted *h, const struct cmb_zone **out, struct msp_why *why);
enum msp_err cmb_ctl_show(void *arg, const json_t *args, json_t **data, struct msp_why *why);
enum msp_err cmb_ctl_diff(void *arg, const json_t *args, json_t **data, struct msp_why *why);

#endif
