/* SPDX-License-Identifier: BSD-2-Clause */
/** @file What the files of the control commands share. */
#ifndef PRT_CTL_H
#define PRT_CTL_H

#include "shell.h"

#include <msproto/kit/answer.h>

#define PRT_ROWS_MAX 1000 /* of one answer: msctl asks for the rest when it gets so many */

/*
 * A command that needs the books has two parts: `work` in a worker, which may wait for the store and sees nothing of
 * the app but what is here; then `then` on the loop, unless `work` failed. ctl_line.c.
 */
struct prt_ctl_call;
typedef enum msp_err prt_ctl_work_fn(struct prt_ctl_call *c);
typedef enum msp_err prt_ctl_then_fn(struct prt_app *app, struct prt_ctl_call *c);
struct prt_ctl_call {
	struct prt_books *books;       /* borrowed */
	struct prt_settings *settings; /* held: those of when the command came */
	json_t *args;                  /* owned; NULL = none */
	json_t *data;                  /* the answer: control.h; goes out with MSP_OK only */
	struct msp_why why;
	/* from work to then */
	struct msp_name child;
	struct prt_outcome out;
	/* ctl_line.c's */
	struct prt_ctl_call *next;
	struct msp_control_call *call;
	prt_ctl_work_fn *work;
	prt_ctl_then_fn *then; /* NULL = none */
	enum msp_err err;
};
/** Inside a command, as the last thing that it does. MSP_EBUSY: too many wait already. */
MSP_CHECKED enum msp_err prt_ctl_start(struct prt_app *app, const json_t *args, prt_ctl_work_fn *work,
				       prt_ctl_then_fn *then, struct msp_why *why);

/* --- in a worker --- */

/** c->child is the child that an argument names; and its parent. MSP_ENOTFOUND: below no parent of ours. */
MSP_CHECKED enum msp_err prt_ctl_child(struct prt_ctl_call *c, const struct prt_conf_parent **parent);
/** As above, and what the books have of it: `out` is the caller's with MSP_OK. MSP_ENOTFOUND: there is none. */
MSP_CHECKED enum msp_err prt_ctl_peek(struct prt_ctl_call *c, struct prt_child *out,
				      const struct prt_conf_parent **parent);
/** What an operator names a waiting change by, so that nothing is approved that has not been looked at: the beginning
 * of the SHA-256 of the delegation, in hexadecimal. */
#define PRT_DIGEST_DIGITS 16
MSP_CHECKED enum msp_err prt_ctl_digest(const struct prt_child *c, char out[PRT_DIGEST_DIGITS + 1]);
/** Who gives the order: "operator NAME", as msctl says. */
void prt_ctl_asker(const json_t *args, struct prt_asker *out);
/** Records of c->child in presentation form, a line each, in `records`. MSP_EVALUE with the line. */
MSP_CHECKED enum msp_err prt_ctl_records(struct prt_ctl_call *c, const struct msp_name *parent,
					 struct prt_delegation *out);

/** The audit record with this number. MSP_ENOTFOUND. */
MSP_CHECKED enum msp_err prt_ctl_audit_get(struct prt_ctl_call *c, uint64_t seq, struct prt_audit *out);

/* --- the commands --- */

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

#endif
