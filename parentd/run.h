/* SPDX-License-Identifier: BSD-2-Clause */
/** @file An operator's program, run without a shell; its owner can go away at any time. */
#ifndef PRT_RUN_H
#define PRT_RUN_H

#include <msproto/io/loop.h>
#include <msproto/kit/conf.h>

struct prt_run;
/**
 * @param err MSP_OK: it ended by itself with exit_status 0; else `why` says what happened, with the last line that it
 * wrote to its standard error. exit_status -1: it did not end by itself
 */
typedef void prt_run_fn(void *arg, enum msp_err err, int exit_status, const struct msp_why *why);
/** @param command program (absolute path) and arguments; `input` (copied) goes to its standard input. done fires
 * exactly once unless left; *handle is cleared before. */
MSP_CHECKED enum msp_err prt_run_start(struct msp_loop *loop, const struct msp_conf_strs *command,
				       struct msp_span input, uint32_t timeout_s, prt_run_fn *done, void *arg,
				       struct prt_run **handle);
/** Kills it; done does not come. NULL allowed. */
void prt_run_leave(struct prt_run **handle);

#endif
