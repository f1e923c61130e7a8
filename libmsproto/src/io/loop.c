/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/loop_priv.h"

#include <assert.h>
#include <signal.h>
#include <string.h>

#include <msproto/base/mem.h>

#include "io/sockaddr.h"

#define FREE_DEADLINE_MS 10000 /* for close callbacks, killed children and replies still being written */
/* A timer may fire before libuv waits for events in the same round: again, so that the wait ends, too. */
#define AGAIN_MS 1

static void on_keep(uv_async_t *h)
{
	(void)h;
}

/* About to wait for events: who reads the log should not wait. */
static void on_rest(uv_prepare_t *h)
{
	struct msp_loop *loop = h->data;

	msp_log_flush(loop->log);
}

static void run_tasks(uv_idle_t *h)
{
	struct msp_loop *loop = h->data;
	struct msp_task *t = loop->task_first, *next;

	/* Only those queued by now: a task that posts itself again must not starve the sockets. */
	loop->task_first = loop->task_last = NULL;
	for (; t != NULL; t = next) {
		next = t->next;
		t->queued = false;
		t->fn(t->arg);
	}
	if (loop->task_first == NULL)
		uv_idle_stop(h);
}

void msp_loop_post(struct msp_loop *loop, struct msp_task *task, msp_void_fn *fn, void *arg)
{
	if (task->queued)
		return;
	*task = (struct msp_task){ .fn = fn, .arg = arg, .queued = true };
	if (loop->task_last != NULL)
		loop->task_last->next = task;
	else
		loop->task_first = task;
	loop->task_last = task;
	uv_idle_start(&loop->idle, run_tasks);
}

enum msp_err msp_loop_new(const struct msp_log *log, struct msp_loop **out)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct msp_loop *loop = msp_alloc(1, sizeof(*loop));
	int rc;

	if (loop == NULL)
		return MSP_ENOMEM;
	/* libuv leaves SIGPIPE alone: one peer that goes away would end the process. */
	sigaction(SIGPIPE, &ignore, NULL);
	loop->log = log;
	rc = uv_loop_init(&loop->uv);
	if (rc != 0) {
		msp_free(loop);
		return msp_err_from_uv(rc);
	}
	rc = uv_async_init(&loop->uv, &loop->keep, on_keep);
	if (rc != 0) {
		uv_loop_close(&loop->uv);
		msp_free(loop);
		return msp_err_from_uv(rc);
	}
	uv_idle_init(&loop->uv, &loop->idle);
	loop->idle.data = loop;
	uv_prepare_init(&loop->uv, &loop->rest);
	loop->rest.data = loop;
	uv_prepare_start(&loop->rest, on_rest);
	uv_unref((uv_handle_t *)&loop->rest);
	msp_rand_init_system(&loop->rand);
	uv_timer_init(&loop->uv, &loop->deadline);
	loop->deadline.data = loop;
	*out = loop;
	return MSP_OK;
}

void msp_loop_run(struct msp_loop *loop)
{
	uv_run(&loop->uv, UV_RUN_DEFAULT);
}

static void on_deadline(uv_timer_t *h)
{
	struct msp_loop *loop = h->data;

	loop->deadline_passed = true;
}

bool msp_loop_run_until(struct msp_loop *loop, bool (*done)(void *arg), void *arg, uint64_t timeout_ms)
{
	bool is_done;

	loop->deadline_passed = false;
	uv_update_time(&loop->uv);
	uv_timer_start(&loop->deadline, on_deadline, timeout_ms, AGAIN_MS);
	while (!(is_done = done(arg)) && !loop->deadline_passed)
		uv_run(&loop->uv, UV_RUN_ONCE);
	uv_timer_stop(&loop->deadline);
	return is_done;
}

void msp_loop_stop(struct msp_loop *loop)
{
	uv_stop(&loop->uv);
}

static void report_leak(uv_handle_t *h, void *arg)
{
	struct msp_loop *loop = arg;

	if (!uv_is_closing(h))
		msp_log(loop->log, MSP_LOG_ERROR, "loop-handle-left", MSP_F_STR("kind", uv_handle_type_name(h->type)));
}

void msp_loop_free(struct msp_loop **loop)
{
	struct msp_loop *l = *loop;
	int rc;

	if (l == NULL)
		return;
	*loop = NULL;
	uv_close((uv_handle_t *)&l->keep, NULL);
	/* Not counted as alive, but it wakes the loop: a handle that somebody forgot must not hang the process. */
	l->deadline_passed = false;
	uv_update_time(&l->uv);
	uv_timer_start(&l->deadline, on_deadline, FREE_DEADLINE_MS, AGAIN_MS);
	uv_unref((uv_handle_t *)&l->deadline);
	while (uv_loop_alive(&l->uv) && !l->deadline_passed)
		uv_run(&l->uv, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&l->deadline, NULL);
	uv_close((uv_handle_t *)&l->idle, NULL);
	uv_close((uv_handle_t *)&l->rest, NULL);
	uv_run(&l->uv, UV_RUN_NOWAIT);
	rc = uv_loop_close(&l->uv);
	if (rc == 0) {
		msp_free(l);
		return;
	}
	/* Freeing now would let the kernel's next event run into freed memory: leak it, loudly. */
	uv_walk(&l->uv, report_leak, l);
	assert(rc == 0);
}

void *msp_loop_uv(struct msp_loop *loop)
{
	return &loop->uv;
}

const struct msp_log *msp_loop_log(const struct msp_loop *loop)
{
	return loop->log;
}

struct msp_timer {
	uv_timer_t uv;
	msp_void_fn *cb;
	void *arg; /* borrowed until close */
};

enum msp_err msp_timer_new(struct msp_loop *loop, msp_void_fn *cb, void *arg, struct msp_timer **out)
{
	struct msp_timer *t = msp_alloc(1, sizeof(*t));

	if (t == NULL)
		return MSP_ENOMEM;
	uv_timer_init(&loop->uv, &t->uv);
	t->uv.data = t;
	t->cb = cb;
	t->arg = arg;
	*out = t;
	return MSP_OK;
}

static void on_timer(uv_timer_t *h)
{
	struct msp_timer *t = h->data;

	t->cb(t->arg);
}

void msp_timer_start(struct msp_timer *t, uint64_t after_ms)
{
	/* libuv counts from the start of the current round, which may be a while ago: never fire early. */
	uv_update_time(t->uv.loop);
	uv_timer_start(&t->uv, on_timer, after_ms, 0);
}

void msp_timer_stop(struct msp_timer *t)
{
	uv_timer_stop(&t->uv);
}

static void free_handle(uv_handle_t *h)
{
	msp_free(h->data);
}

void msp_timer_close(struct msp_timer **t)
{
	if (*t == NULL)
		return;
	uv_close((uv_handle_t *)&(*t)->uv, free_handle);
	*t = NULL;
}

struct msp_wake {
	uv_async_t uv;
	msp_void_fn *cb;
	void *arg; /* borrowed until close */
};

static void on_wake(uv_async_t *h)
{
	struct msp_wake *w = h->data;

	w->cb(w->arg);
}

enum msp_err msp_wake_new(struct msp_loop *loop, msp_void_fn *cb, void *arg, struct msp_wake **out)
{
	struct msp_wake *w = msp_alloc(1, sizeof(*w));
	int rc;

	if (w == NULL)
		return MSP_ENOMEM;
	rc = uv_async_init(&loop->uv, &w->uv, on_wake);
	if (rc != 0) {
		msp_free(w);
		return msp_err_from_uv(rc);
	}
	w->uv.data = w;
	w->cb = cb;
	w->arg = arg;
	*out = w;
	return MSP_OK;
}

void msp_wake_fire(struct msp_wake *w)
{
	uv_async_send(&w->uv);
}

void msp_wake_close(struct msp_wake **w)
{
	if (*w == NULL)
		return;
	uv_close((uv_handle_t *)&(*w)->uv, free_handle);
	*w = NULL;
}

struct msp_signal {
	uv_signal_t uv;
	msp_void_fn *cb;
	void *arg; /* borrowed until close */
};

static void on_signal(uv_signal_t *h, int signum)
{
	struct msp_signal *s = h->data;

	(void)signum;
	s->cb(s->arg);
}

enum msp_err msp_signal_new(struct msp_loop *loop, int signum, msp_void_fn *cb, void *arg, struct msp_signal **out)
{
	struct msp_signal *s = msp_alloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return MSP_ENOMEM;
	rc = uv_signal_init(&loop->uv, &s->uv);
	if (rc != 0) {
		msp_free(s);
		return MSP_EIO;
	}
	s->uv.data = s;
	s->cb = cb;
	s->arg = arg;
	rc = uv_signal_start(&s->uv, on_signal, signum);
	if (rc != 0) {
		msp_signal_close(&s);
		return MSP_EVALUE;
	}
	*out = s;
	return MSP_OK;
}

void msp_signal_close(struct msp_signal **s)
{
	if (*s == NULL)
		return;
	uv_close((uv_handle_t *)&(*s)->uv, free_handle);
	*s = NULL;
}

struct work {
	uv_work_t uv;
	struct msp_loop *loop;
	msp_void_fn *work, *done;
	void *arg;
};

static void on_work(uv_work_t *req)
{
	struct work *w = req->data;

	w->work(w->arg);
}

static void on_work_done(uv_work_t *req, int status)
{
	struct work *w = req->data;

	(void)status; /* nobody cancels */
	w->loop->work_count--;
	w->done(w->arg);
	msp_free(w);
}

enum msp_err msp_loop_work(struct msp_loop *loop, msp_void_fn *work, msp_void_fn *done, void *arg)
{
	struct work *w;

	if (loop->work_count >= MSP_WORK_MAX)
		return MSP_EBUSY;
	w = msp_alloc(1, sizeof(*w));
	if (w == NULL)
		return MSP_ENOMEM;
	*w = (struct work){ .loop = loop, .work = work, .done = done, .arg = arg };
	w->uv.data = w;
	if (uv_queue_work(&loop->uv, &w->uv, on_work, on_work_done) != 0) {
		msp_free(w);
		return MSP_EBUSY;
	}
	loop->work_count++;
	return MSP_OK;
}
