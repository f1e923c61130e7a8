/* SPDX-License-Identifier: BSD-2-Clause */
#include "work.h"

#include <msproto/base/mem.h>

#include <pthread.h>
#include <stdatomic.h>

struct prt_work {
	msp_void_fn *work, *done;
	void *arg;
	struct prt_work **handle; /* the owner's; not touched once left */
	pthread_mutex_t lock;
	pthread_cond_t idle;
	bool is_running; /* lock */
	atomic_bool is_left;
};

static void in_pool(void *arg)
{
	struct prt_work *w = arg;
	bool begin;

	pthread_mutex_lock(&w->lock);
	begin = w->is_running = !atomic_load(&w->is_left);
	pthread_mutex_unlock(&w->lock);
	if (!begin)
		return;
	w->work(w->arg);
	pthread_mutex_lock(&w->lock);
	w->is_running = false;
	pthread_cond_signal(&w->idle);
	pthread_mutex_unlock(&w->lock);
}

static void work_free(struct prt_work *w)
{
	pthread_cond_destroy(&w->idle);
	pthread_mutex_destroy(&w->lock);
	msp_free(w);
}

static void on_loop(void *arg)
{
	struct prt_work *w = arg;
	msp_void_fn *done = w->done;
	bool is_left = atomic_load(&w->is_left);

	arg = w->arg;
	if (!is_left)
		*w->handle = NULL;
	work_free(w);
	if (!is_left)
		done(arg);
}

enum msp_err prt_work_start(struct msp_loop *loop, msp_void_fn *work, msp_void_fn *done, void *arg,
			    struct prt_work **handle)
{
	struct prt_work *w = msp_alloc(1, sizeof(*w));
	enum msp_err err;

	if (w == NULL)
		return MSP_ENOMEM;
	w->work = work;
	w->done = done;
	w->arg = arg;
	w->handle = handle;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->idle, NULL);
	atomic_init(&w->is_left, false);
	*handle = w; /* the work may look at it as soon as it runs */
	err = msp_loop_work(loop, in_pool, on_loop, w);
	if (err != MSP_OK) {
		*handle = NULL;
		work_free(w);
	}
	return err;
}

bool prt_work_is_left(const struct prt_work *w)
{
	return atomic_load(&w->is_left);
}

void prt_work_leave(struct prt_work **handle)
{
	struct prt_work *w = *handle;

	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	atomic_store(&w->is_left, true);
	while (w->is_running)
		pthread_cond_wait(&w->idle, &w->lock);
	pthread_mutex_unlock(&w->lock);
	*handle = NULL; /* the loop frees it */
}
