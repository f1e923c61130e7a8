/* SPDX-License-Identifier: BSD-2-Clause */
/** @file What the files of the control commands share. */
#ifndef PRT_CTL_H
#define PRT_CTL_H

#include "shell.h"

#include <msproto/kit/answer.h>

#define PRT_ROWS_MAX 1000 /* of one answer: msctl asks for the rest when it gets so many */

/** The child that an argument names, and its parent. MSP_ENOTFOUND: below no parent of ours. */
MSP_CHECKED enum msp_err prt_ctl_child(const struct prt_app *app, const json_t *args, struct msp_name *child,
				       const struct prt_conf_parent **parent, struct msp_why *why);
/** As above, and what the books have of it: `out` is the caller's with MSP_OK. MSP_ENOTFOUND: there is none. */
MSP_CHECKED enum msp_err prt_ctl_peek(const struct prt_app *app, const json_t *args, struct prt_child *out,
				      const struct prt_conf_parent **parent, struct msp_why *why);
/** What an operator names a waiting change by, so that nothing is approved that has not been looked at: the beginning
 * of the SHA-256 of the delegation, in hexadecimal. */
#define PRT_DIGEST_DIGITS 16
MSP_CHECKED enum msp_err prt_ctl_digest(const struct prt_child *c, char out[PRT_DIGEST_DIGITS + 1]);
/** Who gives the order: "operator NAME", as msctl says. */
void prt_ctl_asker(const json_t *args, struct prt_asker *out);
/** Records in presentation form, a line each, in `records`. MSP_EVALUE with the line. */
MSP_CHECKED enum msp_err prt_ctl_records(const struct prt_app *app, const json_t *args, const struct msp_name *parent,
					 const struct msp_name *child, struct prt_delegation *out, struct msp_why *why);

/* ctl_show.c: looking */
enum msp_err prt_ctl_children(void *arg, const json_t *args, json_t **data, struct msp_why *why);
enum msp_err prt_ctl_keys(void *arg, const json_t *args, json_t **data, struct msp_why *why);
enum msp_err prt_ctl_show(void *arg, const json_t *args, json_t **data, struct msp_why *why);
enum msp_err prt_ctl_parents(void *arg, const json_t *args, json_t **data, struct msp_why *why);
enum msp_err prt_ctl_backends(void *arg, const json_t *args, json_t **data, struct msp_why *why);
enum msp_err prt_ctl_published(void *arg, const json_t *args, json_t **data, struct msp_why *why);
/* ctl_child.c: orders */
enum msp_err prt_ctl_approve(void *arg, const json_t *args, json_t **data, struct msp_why *why);
enum msp_err prt_ctl_reject(void *arg, const json_t *args, json_t **data, struct msp_why *why);
enum msp_err prt_ctl_forget(void *arg, const json_t *args, json_t **data, struct msp_why *why);
enum msp_err prt_ctl_lock(void *arg, const json_t *args, json_t **data, struct msp_why *why);
enum msp_err prt_ctl_unlock(void *arg, const json_t *args, json_t **data, struct msp_why *why);
enum msp_err prt_ctl_scan(void *arg, const json_t *args, json_t **data, struct msp_why *why);
enum msp_err prt_ctl_add(void *arg, const json_t *args, json_t **data, struct msp_why *why);
enum msp_err prt_ctl_set(void *arg, const json_t *args, json_t **data, struct msp_why *why);
enum msp_err prt_ctl_rollback(void *arg, const json_t *args, json_t **data, struct msp_why *why);
enum msp_err prt_ctl_policy(void *arg, const json_t *args, json_t **data, struct msp_why *why);
enum msp_err prt_ctl_import(void *arg, const json_t *args, json_t **data, struct msp_why *why);
/* ctl_audit.c */
enum msp_err prt_ctl_audit(void *arg, const json_t *args, json_t **data, struct msp_why *why);
enum msp_err prt_ctl_verify(void *arg, const json_t *args, json_t **data, struct msp_why *why);
/** The audit record with this number. MSP_ENOTFOUND. */
MSP_CHECKED enum msp_err prt_ctl_audit_get(const struct prt_app *app, uint64_t seq, struct prt_audit *out,
					   struct msp_why *why);

#endif
