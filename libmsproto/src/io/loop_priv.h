/* SPDX-License-Identifier: BSD-2-Clause */
/** @file The inside of struct msp_loop, for the files of this directory only. */
#ifndef MSPROTO_SRC_IO_LOOP_PRIV_H
#define MSPROTO_SRC_IO_LOOP_PRIV_H

#include <uv.h>

#include <msproto/base/rand.h>
#include <msproto/io/loop.h>
#include <msproto/wire/rr.h>

/**
 * A call to be made from the loop's next round: how functions that may not call back from the inside keep that promise.
 * Embedded in its owner, who stays allocated while `queued`.
 */
struct msp_task {
	struct msp_task *next;
	msp_void_fn *fn;
	void *arg;
	bool queued;
};

#define MSP_LOOP_OCTETS 65536

struct msp_loop {
	uv_loop_t uv;
	const struct msp_log *log; /* borrowed until the loop is freed */
	uv_async_t keep;           /* always active: run() ends by stop() only */
	uv_idle_t idle;            /* active while tasks wait */
	uv_prepare_t rest;         /* nothing to do for now */
	uv_timer_t deadline;       /* of run_until and free */
	bool deadline_passed;
	struct msp_task *task_first, *task_last;
	size_t work_count;                   /* of MSP_WORK_MAX */
	size_t xchg_count;                   /* of MSP_XCHG_MAX */
	size_t batch_count;                  /* of MSP_BATCHES_MAX */
	struct msp_xchg_shared *xchg_shared; /* xchg.c: sockets in use by several exchanges */
	struct msp_rand rand;
	/* Reads of every socket land here; used up before the read's callback returns. */
	uint8_t octets[MSP_LOOP_OCTETS];
	struct msp_rr_scratch scratch; /* for parsing a message that is looked at in one go */
};

/** Run fn(arg) from the loop, once; a task already queued stays where it is. */
void msp_loop_post(struct msp_loop *loop, struct msp_task *task, msp_void_fn *fn, void *arg);

#endif
