/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * The loop: one thread owns it and all state. Timers, signals, a bounded worker pool, child processes.
 * Callbacks come from the loop, never from inside the call that registered them. `close` is legal in any state, once.
 */
#ifndef MSPROTO_IO_LOOP_H
#define MSPROTO_IO_LOOP_H

#include <msproto/base/buf.h>
#include <msproto/base/clock.h>
#include <msproto/base/log.h>

struct msp_loop;
/** One per process (tests may have several). SIGPIPE is ignored from here on. `log` borrowed. */
MSP_CHECKED enum msp_err msp_loop_new(const struct msp_log *log, struct msp_loop **out);
/** Runs until msp_loop_stop. */
void msp_loop_run(struct msp_loop *loop);
/** Run until `done` (called after each round) is true or timeout_ms have passed; for tests. @return whether done. */
bool msp_loop_run_until(struct msp_loop *loop, bool (*done)(void *arg), void *arg, uint64_t timeout_ms);
void msp_loop_stop(struct msp_loop *loop);
/** Every handle must have been closed by its owner; runs the loop until close callbacks are through. */
void msp_loop_free(struct msp_loop **loop);
/** The uv_loop_t behind, for files inside io and the shells that need a handle kind which is not wrapped. */
void *msp_loop_uv(struct msp_loop *loop);
const struct msp_log *msp_loop_log(const struct msp_loop *loop);

typedef void msp_void_fn(void *arg);

/** Timers: one-shot, re-armed by start. */
struct msp_timer;
MSP_CHECKED enum msp_err msp_timer_new(struct msp_loop *loop, msp_void_fn *cb, void *arg, struct msp_timer **out);
void msp_timer_start(struct msp_timer *t, uint64_t after_ms);
void msp_timer_stop(struct msp_timer *t);
void msp_timer_close(struct msp_timer **t);

/** From another thread: `cb` runs on the loop soon after, once for any number of fires before it runs. */
struct msp_wake;
MSP_CHECKED enum msp_err msp_wake_new(struct msp_loop *loop, msp_void_fn *cb, void *arg, struct msp_wake **out);
/** From any thread, until msp_wake_close. */
void msp_wake_fire(struct msp_wake *w);
/** On the loop; `cb` does not run any more. */
void msp_wake_close(struct msp_wake **w);

/** Signals. */
struct msp_signal;
MSP_CHECKED enum msp_err msp_signal_new(struct msp_loop *loop, int signum, msp_void_fn *cb, void *arg,
					struct msp_signal **out);
void msp_signal_close(struct msp_signal **s);

/**
 * Work off the loop: `work` runs in the pool with data it owns, `done` on the loop, exactly once. At most MSP_WORK_MAX
 * outstanding (MSP_EBUSY).
 */
#define MSP_WORK_MAX 1024
MSP_CHECKED enum msp_err msp_loop_work(struct msp_loop *loop, msp_void_fn *work, msp_void_fn *done, void *arg);

/**
 * Run a program (absolute path, no shell, environment PATH and LANG=C only), collect its output, kill it after
 * timeout_ms. The callback fires exactly once. Output is cut at output_max octets (then MSP_ELIMIT).
 */
struct msp_child_result {
	enum msp_err err; /* MSP_OK: it ran and exited; MSP_ETIMEOUT, MSP_EIO (could not start), MSP_ELIMIT */
	int exit_status;  /* -1 when killed by a signal */
	struct msp_span out, errout; /* borrowed during the callback */
};
typedef void msp_child_fn(void *arg, const struct msp_child_result *result);
struct msp_child;
/** argv is NULL-terminated and copied. `input` (may be empty) is written to its standard input. handle may be NULL. */
MSP_CHECKED enum msp_err msp_child_run(struct msp_loop *loop, const char *const *argv, struct msp_span input,
				       size_t output_max, uint64_t timeout_ms, msp_child_fn *cb, void *arg,
				       struct msp_child **handle);
/**
 * The same with more to say. Input of any length is handed over piece by piece: `want` is called from the loop, with
 * the callback's arg, whenever the program has taken the last piece (the first time soon after the start), and is
 * answered by one msp_child_feed, now or later. It is not called any more once the program has ended or stopped
 * reading.
 */
typedef void msp_child_want_fn(void *arg, struct msp_child *child);
struct msp_child_params {
	const char *const *argv; /* NULL-terminated, copied */
	struct msp_span input;   /* copied; ignored with `want` */
	msp_child_want_fn *want; /* NULL = none */
	size_t output_max;
	bool keeps_tail; /* of too much output the last octets are kept (output_max at most), and it is no error */
	uint64_t timeout_ms;
};
MSP_CHECKED enum msp_err msp_child_start(struct msp_loop *loop, const struct msp_child_params *p, msp_child_fn *cb,
					 void *arg, struct msp_child **handle);
/** `octets` are borrowed until the next `want` or the callback. Empty: end of input. */
void msp_child_feed(struct msp_child *child, struct msp_span octets);
/** Kill it; the callback fires with MSP_ECANCEL. */
void msp_child_cancel(struct msp_child *child);

#endif
