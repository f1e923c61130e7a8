/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands that need the books: one at a time in the pool, the others in line. The loop serves requests meanwhile,
 * however long the store takes.
 */
#include "ctl.h"

#include "work.h"

#include <msproto/base/mem.h>

#define CALLS_MAX 8 /* fewer than there are control connections: `status` is answered whatever else waits */

struct prt_ctl_line {
	struct prt_app *app;         /* borrowed */
	struct prt_ctl_call *first;  /* owned; the one that is at work while `work` is set */
	struct prt_ctl_call **where; /* the next one goes there */
	size_t count;
	struct prt_work *work;
};

static void take_out(struct prt_ctl_line *l)
{
	struct prt_ctl_call *c = l->first;

	l->first = c->next;
	if (l->first == NULL)
		l->where = &l->first;
	l->count--;
}

/* Its answer goes out; NULL data: it has none. */
static void finish(struct prt_ctl_call *c, enum msp_err err)
{
	struct prt_settings *settings = c->settings;

	msp_control_answer(&c->call, err, c->data, &c->why);
	prt_outcome_fini(&c->out);
	prt_settings_unref(&settings);
	json_decref(c->args);
	msp_free(c);
}

static void in_pool(void *arg)
{
	struct prt_ctl_line *l = arg;

	l->first->err = l->first->work(l->first);
}

static void begin(struct prt_ctl_line *l);

static void worked(void *arg)
{
	struct prt_ctl_line *l = arg;
	struct prt_ctl_call *c = l->first;

	take_out(l);
	if (c->err == MSP_OK && c->then != NULL)
		c->err = c->then(l->app, c);
	finish(c, c->err);
	begin(l);
}

static void begin(struct prt_ctl_line *l)
{
	while (l->first != NULL && l->work == NULL) {
		struct prt_ctl_call *c = l->first;
		enum msp_err err = prt_work_start(l->app->loop, in_pool, worked, l, &l->work);

		if (err == MSP_OK)
			return;
		take_out(l);
		finish(c, err);
	}
}

enum msp_err prt_ctl_start(struct prt_app *app, const json_t *args, prt_ctl_work_fn *work, prt_ctl_then_fn *then,
			   struct msp_why *why)
{
	struct prt_ctl_line *l = app->ctl_line;
	struct prt_ctl_call *c;
	enum msp_err err;

	if (l->count >= CALLS_MAX)
		return msp_fail(why, MSP_EBUSY, "%u commands wait for the store already", CALLS_MAX);
	c = msp_alloc(1, sizeof(*c));
	if (c == NULL)
		return MSP_ENOMEM;
	c->args = args != NULL ? json_deep_copy(args) : NULL; /* the worker's alone */
	if (args != NULL && c->args == NULL)
		err = MSP_ENOMEM;
	else
		err = msp_control_defer(app->control, &c->call);
	if (err != MSP_OK) {
		json_decref(c->args);
		msp_free(c);
		return err;
	}
	c->books = app->books;
	c->settings = prt_settings_ref(app->settings);
	c->work = work;
	c->then = then;
	prt_outcome_init(&c->out);
	*l->where = c;
	l->where = &c->next;
	l->count++;
	begin(l);
	return MSP_OK;
}

enum msp_err prt_ctl_open(struct prt_app *app)
{
	app->ctl_line = msp_alloc(1, sizeof(*app->ctl_line));
	if (app->ctl_line == NULL)
		return MSP_ENOMEM;
	app->ctl_line->app = app;
	app->ctl_line->where = &app->ctl_line->first;
	return MSP_OK;
}

void prt_ctl_close(struct prt_app *app)
{
	struct prt_ctl_line *l = app->ctl_line;

	if (l == NULL)
		return;
	prt_work_leave(&l->work);
	while (l->first != NULL) {
		struct prt_ctl_call *c = l->first;

		take_out(l);
		finish(c, MSP_ECANCEL);
	}
	msp_free(l);
	app->ctl_line = NULL;
}
