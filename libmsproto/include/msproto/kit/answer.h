/* SPDX-License-Identifier: BSD-2-Clause */
/** @file For commands of a control socket: reading their arguments, and putting answers together. */
#ifndef MSPROTO_KIT_ANSWER_H
#define MSPROTO_KIT_ANSWER_H

#include <msproto/base/clock.h>
#include <msproto/base/json.h>
#include <msproto/wire/name.h>

/** Arguments by name. MSP_EVALUE (absent) and MSP_ENAME with the reason. */
MSP_CHECKED enum msp_err msp_arg_name(const json_t *args, const char *key, struct msp_name *out, struct msp_why *why);
/** A number, or its digits as a string; `def` when it is not there. */
MSP_CHECKED enum msp_err msp_arg_number(const json_t *args, const char *key, uint64_t def, uint64_t max, uint64_t *out,
					struct msp_why *why);

/** An object, or array, under construction, and the first error, after which nothing is added any more. */
struct msp_put {
	json_t *v; /* owned */
	enum msp_err err;
};
/** Takes v; NULL is MSP_ENOMEM. */
struct msp_put msp_put_new(json_t *v);
/** A NULL string is left out. */
void msp_put_str(struct msp_put *p, const char *key, const char *value);
void msp_put_int(struct msp_put *p, const char *key, int64_t value);
void msp_put_bool(struct msp_put *p, const char *key, bool value);
/** Left out when it is not set. */
void msp_put_name(struct msp_put *p, const char *key, const struct msp_name *name);
/** Seconds until then; left out when it never comes. */
void msp_put_until(struct msp_put *p, const char *key, struct msp_mono then);
/** A member, or an element when key is NULL. Takes what is in *part. */
void msp_put_part(struct msp_put *p, const char *key, struct msp_put *part);
/** The end: *data is the answer, or nothing. */
MSP_CHECKED enum msp_err msp_put_end(struct msp_put *p, json_t **data);

#endif
