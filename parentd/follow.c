/* SPDX-License-Identifier: BSD-2-Clause */
/* The line of children for which something is to be done. */
#include "follow_priv.h"

#include "backend.h"

#include <msproto/base/mem.h>

#include <string.h>

#define NEEDS (PRT_NEED_CHECK | PRT_NEED_LOOK | PRT_NEED_SCAN)

static void resume_stalled(void *arg)
{
	struct prt_follow *f = arg;
	struct prt_errand *r = f->stalled;

	f->stalled = NULL;
	while (r != NULL) {
		struct prt_errand *next = r->stall_next;

		r->stall_next = NULL;
		r->resume(r);
		r = next;
	}
	prt_follow_pump(f);
}

enum msp_err prt_follow_open(struct prt_app *app, struct prt_follow **out)
{
	struct prt_follow *f = msp_alloc(1, sizeof(*f));
	enum msp_err err;

	if (f == NULL)
		return MSP_ENOMEM;
	f->app = app;
	f->wall = msp_wall_now;
	msp_map_init(&f->tasks, PRT_TASKS_MAX + PRT_RUNS_MAX);
	f->scratch = msp_alloc(1, sizeof(*f->scratch));
	err = f->scratch != NULL ? msp_timer_new(app->loop, resume_stalled, f, &f->stall) : MSP_ENOMEM;
	if (err == MSP_OK)
		err = prt_reporter_open(f);
	if (err == MSP_OK)
		err = prt_agenda_open(f);
	if (err == MSP_OK)
		err = prt_sweep_open(f);
	if (err != MSP_OK)
		prt_follow_close(&f);
	*out = f;
	return err;
}

void prt_follow_renew(struct prt_follow *f)
{
	if (f == NULL)
		return;
	prt_follow_pump(f); /* the limits may be others now; all else is read where it is used */
}

/* --- close -------------------------------------------------------------------------------------------------------- */

static enum msp_err nothing(void *arg, struct prt_child *c, bool exists, struct msp_wall now, struct prt_outcome *out)
{
	(void)arg;
	(void)c;
	(void)exists;
	(void)now;
	(void)out;
	return MSP_ENOTFOUND;
}

/* The books' thread has some in its line: when a job behind them is through, so are they. Their `done` do not come, see
 * follow.h. */
static void leave_books(struct prt_follow *f)
{
	struct prt_errand *r = f->runs;
	struct prt_outcome out;

	while (r != NULL && !r->is_in_books)
		r = r->next;
	if (r == NULL)
		return;
	prt_outcome_init(&out);
	if (prt_books_do_now(f->app->books, &r->task->child, &r->task->child, nothing, NULL, &out) == MSP_OK) {
		/* whatever it says: it is through */
	}
	prt_outcome_fini(&out);
}

static void drop_watches(struct prt_watch **head)
{
	while (*head != NULL) {
		struct prt_watch *w = *head;

		prt_follow_forget(&w);
	}
}

static void drop_task(void *arg)
{
	struct prt_task *t = arg;

	drop_watches(&t->watch);
	msp_free(t);
}

void prt_follow_close(struct prt_follow **out)
{
	struct prt_follow *f = *out;

	if (f == NULL)
		return;
	prt_sweep_close(&f->sweep);
	prt_agenda_close(f);
	prt_work_stop(f);
	leave_books(f);
	for (struct prt_errand *r = f->runs, *next; r != NULL; r = next) {
		next = r->next;
		drop_watches(&r->watch);
		prt_errand_free(&r);
	}
	msp_map_fini(&f->tasks, drop_task);
	prt_reporter_close(f);
	msp_timer_close(&f->stall);
	msp_free(f->scratch);
	msp_free(f);
	*out = NULL;
}

/* --- the line ----------------------------------------------------------------------------------------------------- */

static enum prt_lane lane_of(const struct prt_task *t)
{
	return (t->want & ~PRT_NEED_SCAN) != 0 ? PRT_LANE_URGENT : PRT_LANE_SCAN;
}

static void line_put(struct prt_follow *f, struct prt_task *t)
{
	enum prt_lane k = t->lane = lane_of(t);

	t->is_in_line = true;
	t->prev = f->lane[k].last;
	t->next = NULL;
	*(t->prev != NULL ? &t->prev->next : &f->lane[k].first) = t;
	f->lane[k].last = t;
	f->waiting++;
}

static void line_take(struct prt_follow *f, struct prt_task *t)
{
	if (!t->is_in_line)
		return;
	*(t->prev != NULL ? &t->prev->next : &f->lane[t->lane].first) = t->next;
	*(t->next != NULL ? &t->next->prev : &f->lane[t->lane].last) = t->prev;
	t->prev = t->next = NULL;
	t->is_in_line = false;
	f->waiting--;
}

static enum msp_err task_new(struct prt_follow *f, const struct msp_name *child, struct prt_task **out)
{
	struct msp_name_key key = msp_name_key(child);
	struct prt_task *t;
	enum msp_err err;

	if (f->waiting >= PRT_TASKS_MAX)
		return MSP_EBUSY;
	t = msp_alloc(1, sizeof(*t));
	if (t == NULL)
		return MSP_ENOMEM;
	t->f = f;
	t->child = *child;
	err = msp_map_put(&f->tasks, msp_name_key_span(&key), t, NULL);
	if (err != MSP_OK) {
		msp_free(t);
		return err == MSP_ELIMIT ? MSP_EBUSY : err;
	}
	*out = t;
	return MSP_OK;
}

static void task_end(struct prt_follow *f, struct prt_task *t)
{
	struct msp_name_key key = msp_name_key(&t->child);

	msp_map_del(&f->tasks, msp_name_key_span(&key));
	drop_task(t);
}

static struct prt_task *task_find(const struct prt_follow *f, const struct msp_name *child)
{
	struct msp_name_key key = msp_name_key(child);

	return msp_map_get(&f->tasks, msp_name_key_span(&key));
}

enum msp_err prt_task_want(struct prt_follow *f, const struct msp_name *child, unsigned want, unsigned by,
			   struct prt_task **out)
{
	struct prt_task *t = task_find(f, child);
	enum msp_err err = MSP_OK;

	if (t == NULL)
		err = task_new(f, child, &t);
	if (err != MSP_OK)
		return err;
	t->want |= want;
	t->by |= by;
	if (t->run == NULL && (!t->is_in_line || t->lane != lane_of(t))) {
		line_take(f, t);
		line_put(f, t);
	}
	if (out != NULL)
		*out = t;
	return MSP_OK;
}

bool prt_task_exists(const struct prt_follow *f, const struct msp_name *child)
{
	return task_find(f, child) != NULL;
}

size_t prt_follow_limit(const struct prt_follow *f)
{
	int64_t max = f->app->conf->limits.scans_in_flight;

	return max <= 0 ? 1 : max > PRT_RUNS_MAX / 2 ? PRT_RUNS_MAX / 2 : (size_t)max;
}

/* One kind of thing after the other: what another process may have done meanwhile is asked first, the change that
 * somebody waits for next. */
static void begin(struct prt_errand *r)
{
	static const struct {
		unsigned what;
		prt_step_fn *begin;
	} kinds[] = {
		{ PRT_DO_TICK, prt_tick_begin },
		{ PRT_NEED_CHECK, prt_check_begin },
		{ PRT_NEED_LOOK, prt_look_begin },
		{ PRT_NEED_SCAN, prt_scan_begin },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (r->doing == kinds[i].what)
			kinds[i].begin(r);
}

static unsigned first_of(unsigned want)
{
	static const unsigned order[] = { PRT_DO_TICK, PRT_NEED_CHECK, PRT_NEED_LOOK };

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if ((want & order[i]) != 0)
			return order[i];
	return PRT_NEED_SCAN;
}

static void watches_move(struct prt_watch **from, struct prt_watch **to)
{
	while (*from != NULL) {
		struct prt_watch *w = *from;

		*from = w->next;
		w->head = to;
		w->prev = NULL;
		w->next = *to;
		if (*to != NULL)
			(*to)->prev = w;
		*to = w;
	}
	if (*to != NULL)
		(*to)->prev = NULL;
}

static bool task_start(struct prt_follow *f, struct prt_task *t)
{
	unsigned what = first_of(t->want);
	struct prt_errand *r;

	if (prt_errand_open(t, what, &r) != MSP_OK) {
		msp_timer_start(f->stall, PRT_STALL_MS); /* again when there is memory */
		return false;
	}
	line_take(f, t);
	t->run = r;
	t->want &= ~what;
	f->lane[t->lane].running++;
	if (what == PRT_NEED_CHECK)
		watches_move(&t->watch, &r->watch);
	if (what == PRT_NEED_SCAN) {
		r->by = t->by;
		r->batch = t->batch;
		t->by = 0;
	}
	begin(r);
	return true;
}

void prt_follow_pump(struct prt_follow *f)
{
	size_t max = prt_follow_limit(f);

	if (f->is_pumping)
		return;
	f->is_pumping = true; /* a run may be over as soon as it begins */
	for (unsigned k = 0; k < PRT_LANE__N; k++)
		while (f->lane[k].first != NULL && f->lane[k].running < max)
			if (!task_start(f, f->lane[k].first))
				break;
	f->is_pumping = false;
}

static void tell(struct prt_watch **head, enum msp_err err, const struct prt_outcome *out)
{
	while (*head != NULL) {
		struct prt_watch *w = *head;
		prt_follow_fn *fn = w->fn;
		void *arg = w->arg;

		prt_follow_forget(&w);
		fn(arg, err, out);
	}
}

void prt_errand_end(struct prt_errand *r, enum msp_err err)
{
	struct prt_task *t = r->task;
	struct prt_follow *f = r->f;

	if (err != MSP_OK && err != MSP_ENOTFOUND) /* the store, memory: the child is due again by itself */
		msp_log(f->app->log, MSP_LOG_INFO, "follow-failed", MSP_F_STR("child", MSP_NAME(&t->child)),
			MSP_F_U64("doing", r->doing), MSP_F_STR("error", msp_err_text(err)));
	if (r->is_obsolete && r->doing == PRT_NEED_CHECK) { /* another change waits: those who watch hear of that one */
		watches_move(&r->watch, &t->watch);
		t->want |= PRT_NEED_CHECK;
	}
	if ((r->by & PRT_BY_SWEEP) != 0)
		prt_sweep_done(f->sweep, r->batch);
	tell(&r->watch, err, &r->out); /* they may want something again */
	f->lane[t->lane].running--;
	t->run = NULL;
	prt_errand_free(&r);
	if (t->want != 0)
		line_put(f, t);
	else
		task_end(f, t);
	prt_follow_pump(f);
}

/* --- what was decided --------------------------------------------------------------------------------------------- */

static void say(struct prt_follow *f, const struct prt_audit *a)
{
	msp_log(f->app->log, MSP_LOG_NOTICE, "decision", MSP_F_STR("child", MSP_NAME(&a->child)),
		MSP_F_STR("verdict", prt_verdict_name(a->verdict)), MSP_F_STR("who", a->who),
		MSP_F_STR("rule", a->rule), MSP_F_STR("why", a->why));
}

/* What has to be reported a look at CDS and CSYNC has come to. */
static uint16_t type_of_failure(const struct prt_outcome *out)
{
	for (size_t i = 0; i < out->entries; i++)
		if (out->entry[i].verdict == PRT_VERDICT_REFUSED && out->entry[i].source == PRT_SRC_CSYNC)
			return MSP_TYPE_CSYNC;
	return MSP_TYPE_CDS;
}

void prt_errand_report(struct prt_errand *r, uint16_t type, enum msp_ede_own ede)
{
	const struct prt_delegation *d = &r->child.registered;
	const struct msp_name *offer = r->has_evidence ? prt_report_offer(&r->evidence, d) : NULL;
	struct prt_follow *f = r->f;

	f->app->stats.reports += prt_report(f->reporter, d, offer, type, ede, f->wall());
}

void prt_errand_outcome(struct prt_errand *r)
{
	struct prt_follow *f = r->f;
	const struct prt_outcome *out = &r->out;

	prt_app_count(f->app, out);
	for (size_t i = 0; i < out->entries; i++)
		say(f, &out->entry[i]);
	r->task->want |= out->need & NEEDS;
	if ((out->need & PRT_NEED_SCAN) != 0)
		r->task->by |= PRT_BY_DUE;
	if ((out->need & PRT_NEED_PUBLISH) != 0)
		prt_backends_poke(f->app);
	if ((out->need & PRT_NEED_REPORT) != 0 && r->has_child)
		prt_errand_report(r, type_of_failure(out), (enum msp_ede_own)out->report_ede);
}

/* --- what others ask for ------------------------------------------------------------------------------------------ */

void prt_follow_needs(struct prt_app *app, const struct msp_name *child, unsigned need)
{
	struct prt_follow *f = app->follow;

	if ((need & PRT_NEED_PUBLISH) != 0)
		prt_backends_poke(app);
	/* What finds no room is in the child's record, and comes again when it is due. */
	if (f == NULL || (need & NEEDS) == 0 || prt_task_want(f, child, need & NEEDS, PRT_BY_DUE, NULL) != MSP_OK)
		return;
	prt_follow_pump(f);
}

enum msp_err prt_follow_check(struct prt_app *app, const struct msp_name *child, prt_follow_fn *fn, void *arg,
			      struct prt_watch **out)
{
	struct prt_follow *f = app->follow;
	struct prt_watch *w;
	struct prt_task *t;
	enum msp_err err;

	if (f == NULL)
		return MSP_ESTATE;
	w = msp_alloc(1, sizeof(*w));
	if (w == NULL)
		return MSP_ENOMEM;
	err = prt_task_want(f, child, PRT_NEED_CHECK, 0, &t);
	if (err != MSP_OK) {
		msp_free(w);
		return err;
	}
	w->fn = fn;
	w->arg = arg;
	w->head = &t->watch;
	w->next = t->watch;
	if (t->watch != NULL)
		t->watch->prev = w;
	t->watch = w;
	*out = w;
	prt_follow_pump(f);
	return MSP_OK;
}

void prt_follow_forget(struct prt_watch **out)
{
	struct prt_watch *w = *out;

	if (w == NULL)
		return;
	*(w->prev != NULL ? &w->prev->next : w->head) = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	msp_free(w);
	*out = NULL;
}

bool prt_follow_notify(struct prt_app *app, const struct msp_name *child, uint16_t type,
		       const struct msp_name *report_to)
{
	struct prt_follow *f = app->follow;
	struct prt_task *t = f != NULL ? task_find(f, child) : NULL;

	if (f == NULL)
		return false;
	if (report_to != NULL && msp_name_is_set(report_to))
		prt_report_channel(f->reporter, child, type, report_to, f->wall());
	if (t != NULL && (t->want & PRT_NEED_SCAN) != 0 && (t->by & ~PRT_BY_SWEEP) != 0)
		return false;
	if (prt_task_want(f, child, PRT_NEED_SCAN, PRT_BY_NOTIFY, NULL) != MSP_OK)
		return true; /* the sweep comes by */
	prt_follow_pump(f);
	return true;
}

enum msp_err prt_follow_scan(struct prt_app *app, const struct msp_name *child)
{
	struct prt_follow *f = app->follow;
	enum msp_err err = f != NULL ? prt_task_want(f, child, PRT_NEED_SCAN, PRT_BY_OPERATOR, NULL) : MSP_ESTATE;

	if (err == MSP_OK)
		prt_follow_pump(f);
	return err;
}

struct prt_follow_stats prt_follow_stats(const struct prt_follow *f)
{
	struct prt_follow_stats s = { 0 };

	if (f == NULL)
		return s;
	s.waiting = f->waiting;
	for (unsigned k = 0; k < PRT_LANE__N; k++)
		s.running += f->lane[k].running;
	prt_sweep_stats(f->sweep, &s);
	return s;
}
