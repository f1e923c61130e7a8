/* SPDX-License-Identifier: BSD-2-Clause */
/** @file What the files of the control commands share: reading arguments, and putting answers together. */
#ifndef CMB_CTL_H
#define CMB_CTL_H

#include "shell.h"

/** Arguments by name. MSP_EVALUE and MSP_ENAME with the reason; MSP_ENOTFOUND: no zone of ours. */
MSP_CHECKED enum msp_err cmb_ctl_name(const json_t *args, const char *key, struct msp_name *out, struct msp_why *why);
MSP_CHECKED enum msp_err cmb_ctl_zone(struct cmb_app *app, const json_t *args, struct cmb_hosted **out,
				      struct msp_why *why);
/** A number, or its digits as a string; `def` when it is not there. */
MSP_CHECKED enum msp_err cmb_ctl_number(const json_t *args, const char *key, uint64_t def, uint64_t max, uint64_t *out,
					struct msp_why *why);

/** An object, or array, under construction, and the first error, after which nothing is added any more. */
struct cmb_put {
	json_t *v; /* owned */
	enum msp_err err;
};
/** Takes v; NULL is MSP_ENOMEM. */
struct cmb_put cmb_put_new(json_t *v);
/** A NULL string is left out. */
void cmb_put_str(struct cmb_put *p, const char *key, const char *value);
void cmb_put_int(struct cmb_put *p, const char *key, int64_t value);
void cmb_put_bool(struct cmb_put *p, const char *key, bool value);
/** Left out when it is not set. */
void cmb_put_name(struct cmb_put *p, const char *key, const struct msp_name *name);
/** Seconds until then; left out when it never comes. */
void cmb_put_until(struct cmb_put *p, const char *key, struct msp_mono then);
/** A member, or an element when key is NULL. Takes what is in *part. */
void cmb_put_part(struct cmb_put *p, const char *key, struct cmb_put *part);
/** The end: *data is the answer, or nothing. */
MSP_CHECKED enum msp_err cmb_put_end(struct cmb_put *p, json_t **data);

/** What can be said of a zone without loading it. */
void cmb_ctl_summary(const struct cmb_hosted *h, struct cmb_put *o);
/** The loaded zone, or why it cannot be (MSP_ESTATE). */
MSP_CHECKED enum msp_err cmb_ctl_loaded(struct cmb_hosted *h, const struct cmb_zone **out, struct msp_why *why);
enum msp_err cmb_ctl_show(void *arg, const json_t *args, json_t **data, struct msp_why *why);
enum msp_err cmb_ctl_diff(void *arg, const json_t *args, json_t **data, struct msp_why *why);

#endif
