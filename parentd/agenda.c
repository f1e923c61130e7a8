/* SPDX-License-Identifier: BSD-2-Clause */
/* What is due, round after round: those that stay due whatever is done for them hold up nobody behind them. */
#include "follow_priv.h"

#include <msproto/base/mem.h>

#define IDLE_MS 1000 /* between rounds: others change what is due, other processes and messages */
#define BUSY_MS 20   /* there is more */
#define DOWN_MS 5000

static enum msp_err take(void *arg, const struct msp_name *name)
{
	struct prt_agenda *a = arg;

	if (a->count < PRT_AGENDA_MAX)
		a->name[a->count++] = *name;
	return MSP_OK;
}

static void look(void *arg)
{
	struct prt_agenda *a = arg;

	a->count = 0;
	a->err = prt_books_due(a->f->app->books, a->now, PRT_AGENDA_MAX, take, a, &a->place);
}

/* One that is being seen to stays due until it has been: it comes again. So does one of a parent that is not configured
 * here (any more), and nothing is done for it. */
static bool is_ours(const struct prt_follow *f, const struct msp_name *child)
{
	return !prt_task_exists(f, child) && prt_settings_parent_of(f->app->settings, child) != NULL;
}

static void looked(void *arg)
{
	struct prt_agenda *a = arg;
	struct prt_follow *f = a->f;
	bool is_more = a->place.at.s != 0 && a->place.at.s <= a->now.s;
	enum msp_err err = a->err;

	for (size_t i = 0; err == MSP_OK && i < a->count; i++)
		if (is_ours(f, &a->name[i]))
			err = prt_task_want(f, &a->name[i], PRT_DO_TICK, 0, NULL);
	if (err != MSP_OK) /* no room, mostly: these once more */
		a->place = a->from;
	else if (!is_more)
		a->place.at.s = 0;
	if (a->err != MSP_OK)
		msp_log(f->app->log, MSP_LOG_WARNING, "agenda-failed", MSP_F_STR("error", msp_err_text(a->err)));
	msp_timer_start(a->timer, a->err != MSP_OK ? DOWN_MS : err == MSP_OK && is_more ? BUSY_MS : IDLE_MS);
	prt_follow_pump(f);
}

void prt_agenda_look(struct prt_follow *f)
{
	struct prt_agenda *a = &f->agenda;

	if (a->work != NULL)
		return;
	a->now = f->wall();
	a->from = a->place;
	if (prt_work_start(f->app->loop, look, looked, a, &a->work) != MSP_OK)
		msp_timer_start(a->timer, IDLE_MS);
}

static void on_timer(void *arg)
{
	struct prt_agenda *a = arg;

	prt_agenda_look(a->f);
}

enum msp_err prt_agenda_open(struct prt_follow *f)
{
	struct prt_agenda *a = &f->agenda;
	enum msp_err err;

	a->f = f;
	a->name = msp_alloc(PRT_AGENDA_MAX, sizeof(*a->name));
	if (a->name == NULL)
		return MSP_ENOMEM;
	err = msp_timer_new(f->app->loop, on_timer, a, &a->timer);
	if (err == MSP_OK)
		msp_timer_start(a->timer, 0);
	return err;
}

void prt_agenda_close(struct prt_follow *f)
{
	prt_work_leave(&f->agenda.work);
	msp_timer_close(&f->agenda.timer);
	msp_free(f->agenda.name);
	f->agenda.name = NULL;
}
