/* SPDX-License-Identifier: BSD-2-Clause */
/* The backend of kind sql: hands jobs to a thread of its own, so that neither the loop nor the pool, where signatures
 * are verified, ever waits for a database. SQL is PostgreSQL here; an SQLite file of parentd's holds only the books. */
#include "backend.h"
#include "backend_pg.h"

#include <msproto/base/mem.h>

#include <assert.h>
#include <pthread.h>
#include <string.h>

#define BATCH 64

struct sql {
	struct prt_backend base;
	struct prt_tables *tables; /* owned; the thread's */
	struct msp_wake *wake;
	pthread_t thread;
	atomic_bool stop; /* ends the thread, and waits for the database soon */
	pthread_mutex_t lock;
	pthread_cond_t given;
	/* under lock */
	enum { SQL_IDLE, SQL_GIVEN, SQL_DONE } state;
	/* the thread's while GIVEN, else the loop's */
	struct prt_backend_job job[BATCH]; /* their delegations are borrowed until done or closed */
	size_t count;
	enum msp_err err;
	struct msp_why why;
	prt_backend_done_fn *done;
	void *arg;
};

/* --- the thread --- */

static void carry_out(struct sql *s)
{
	s->err = MSP_OK;
	s->why.text[0] = '\0';
	for (size_t i = 0; i < s->count && s->err == MSP_OK; i++)
		s->err = prt_tables_apply(s->tables, s->job[i].want, s->job[i].seq, &s->why);
}

static void *work(void *arg)
{
	struct sql *s = arg;

	pthread_mutex_lock(&s->lock);
	while (!atomic_load(&s->stop)) {
		if (s->state != SQL_GIVEN) {
			pthread_cond_wait(&s->given, &s->lock);
			continue;
		}
		pthread_mutex_unlock(&s->lock);
		carry_out(s);
		pthread_mutex_lock(&s->lock);
		s->state = SQL_DONE;
		msp_wake_fire(s->wake);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* --- the loop --- */

static void on_wake(void *arg)
{
	struct sql *s = arg;
	struct msp_why why;
	bool is_done;

	pthread_mutex_lock(&s->lock);
	is_done = s->state == SQL_DONE;
	if (is_done)
		s->state = SQL_IDLE;
	pthread_mutex_unlock(&s->lock);
	if (!is_done)
		return;
	why = s->why; /* done may hand over the next one, or close us */
	s->done(s->arg, s->err, &why);
}

static void sql_free(struct sql *s)
{
	pthread_cond_destroy(&s->given);
	pthread_mutex_destroy(&s->lock);
	msp_wake_close(&s->wake);
	prt_tables_free(&s->tables);
	msp_free(s);
}

static enum msp_err sql_open(struct prt_app *app, const struct prt_conf_parent *parent,
			     const struct prt_conf_backend *conf, struct prt_backend **out, struct msp_why *why)
{
	struct sql *s = msp_alloc(1, sizeof(*s));
	enum msp_err err = MSP_ENOMEM;

	(void)parent;
	if (!s)
		return msp_fail(why, err, "out of memory");
	s->base.driver = &prt_backend_sql;
	atomic_init(&s->stop, false);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->given, NULL);
	err = prt_tables_new(conf->path, conf->timeout_s * 1000, &s->stop, &s->tables);
	if (err == MSP_OK)
		err = msp_wake_new(app->loop, on_wake, s, &s->wake);
	if (err == MSP_OK && pthread_create(&s->thread, NULL, work, s) != 0)
		err = MSP_ENOMEM;
	if (err == MSP_OK) {
		*out = &s->base;
		return MSP_OK;
	}
	sql_free(s);
	return msp_fail(why, err, "backend %s: %s", conf->name, msp_err_text(err));
}

static enum msp_err sql_apply(struct prt_backend *b, const struct prt_backend_job *jobs, size_t count,
			      prt_backend_done_fn *done, void *arg)
{
	struct sql *s = (struct sql *)b;
	enum msp_err err = MSP_EBUSY;

	assert(count <= BATCH);
	pthread_mutex_lock(&s->lock);
	if (s->state == SQL_IDLE) {
		memcpy(s->job, jobs, count * sizeof(*jobs));
		s->count = count;
		s->done = done;
		s->arg = arg;
		s->state = SQL_GIVEN;
		pthread_cond_signal(&s->given);
		err = MSP_OK;
	}
	pthread_mutex_unlock(&s->lock);
	return err;
}

/* Waits for the thread: a moment, or as long as one attempt to connect where a server does not answer at all. */
static void sql_close(struct prt_backend **b)
{
	struct sql *s = (struct sql *)*b;

	if (!s)
		return;
	*b = NULL;
	pthread_mutex_lock(&s->lock);
	atomic_store(&s->stop, true);
	pthread_cond_signal(&s->given);
	pthread_mutex_unlock(&s->lock);
	(void)pthread_join(s->thread, NULL);
	sql_free(s);
}

/* When one child of several fails, those before it are done: they are found done when each is tried by itself. */
const struct prt_backend_driver prt_backend_sql = {
	.name = "sql",
	.batch = BATCH,
	.open = sql_open,
	.apply = sql_apply,
	.close = sql_close,
};
