/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * A piece of work in the pool whose owner can go away at any time: what the work reads (the books, a driver's
 * connection) may be closed as soon as prt_work_leave has returned.
 */
#ifndef PRT_WORK_H
#define PRT_WORK_H

#include <msproto/io/loop.h>

struct prt_work;
/**
 * `work` runs in the pool, `done` on the loop, exactly once unless left before. *handle is set now and cleared before
 * `done`: one piece of work at a time for each handle.
 */
MSP_CHECKED enum msp_err prt_work_start(struct msp_loop *loop, msp_void_fn *work, msp_void_fn *done, void *arg,
					struct prt_work **handle);
/** From inside `work`: the owner waits for the end. */
bool prt_work_is_left(const struct prt_work *w);
/** `work` is not begun any more; when it runs, this waits until it has returned. `done` does not come. NULL allowed. */
void prt_work_leave(struct prt_work **handle);

#endif
