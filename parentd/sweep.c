/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All children in the order of their names, for those that never send a NOTIFY. One process on a store does it. Names
 * come in batches from a worker; the place that is kept is the beginning of the oldest batch that is not through, so
 * that a restart looks again at a few children, and leaves none out.
 */
#include "follow_priv.h"

#include <msproto/base/mem.h>
#include <msproto/wire/rd.h>

#include <string.h>

#define BATCH     1000
#define BATCHES   16 /* begun and not through */
#define STEP_MS   50
#define PAUSE_MS  10000 /* between attempts to be the one that sweeps, and when the store is down */
#define PLACE_KEY "sweep"
#define PLACE_MAX (8 + MSP_NAME_MAX)
#define MILLI     1000
#define CHILD     (MILLI * UINT64_C(1000))

struct batch {
	struct msp_name from; /* its first child */
	size_t left;          /* children handed out and not through */
	bool is_handed_out;   /* all of it */
};

struct prt_sweep {
	struct prt_follow *f;
	struct msp_timer *timer;
	uint64_t pause_ms;
	bool is_ours;                /* this process sweeps, and knows the place */
	bool is_over;                /* everything has been handed out: the next one begins at its time */
	struct msp_wall begun, end;  /* of this sweep; of the last complete one */
	uint64_t swept, earned;      /* children; millionths of a child that may be handed out now */
	struct batch batch[BATCHES]; /* serial n at n % BATCHES */
	uint32_t first, count;       /* serial of the oldest; how many */
	struct msp_name name[BATCH]; /* of the newest one */
	size_t names, at;
	struct msp_name from; /* of the one behind it; unset: the first child of all */
	bool is_dirty;        /* the place is to be written */
	/* the worker's while there is work */
	struct prt_work *work;
	struct msp_name found[BATCH + 1]; /* the last one is where to go on */
	size_t founds;
	bool writes, reads; /* the place; names */
	struct msp_buf place;
	enum msp_err err;
};

/* --- in a worker: the store --------------------------------------------------------------------------------------- */

static enum msp_err take(void *arg, const struct msp_name *name)
{
	struct prt_sweep *s = arg;

	if (s->founds <= BATCH)
		s->found[s->founds++] = *name;
	return MSP_OK;
}

static void claim(void *arg)
{
	struct prt_sweep *s = arg;
	struct prt_books *books = s->f->app->books;

	s->err = prt_books_hold(books, "sweep");
	msp_buf_reset(&s->place);
	if (s->err == MSP_OK)
		s->err = prt_books_meta_get(books, PLACE_KEY, &s->place);
	if (s->err == MSP_ENOTFOUND)
		s->err = MSP_OK;
}

static void fetch(void *arg)
{
	struct prt_sweep *s = arg;
	struct prt_books *books = s->f->app->books;
	const struct msp_name *from = msp_name_is_set(&s->from) ? &s->from : NULL;

	s->founds = 0;
	s->err = s->writes ? prt_books_meta_put(books, PLACE_KEY, msp_buf_span(&s->place)) : MSP_OK;
	if (s->err == MSP_OK && s->reads)
		s->err = prt_books_names(books, from, BATCH + 1, take, s);
}

/* --- the place ---------------------------------------------------------------------------------------------------- */

/* When it began, and the first child that may not have been looked at; no name: it is complete. */
static void write_place(struct prt_sweep *s)
{
	const struct msp_name *place = s->count > 0 ? &s->batch[s->first % BATCHES].from : s->is_over ? NULL : &s->from;

	msp_buf_reset(&s->place);
	for (unsigned i = 8; i-- > 0;)
		msp_buf_add_u8(&s->place, (uint8_t)((uint64_t)s->begun.s >> 8 * i));
	if (place != NULL && msp_name_is_set(place))
		msp_buf_add_span(&s->place, msp_name_span(place));
	else if (place != NULL)
		msp_buf_add_u8(&s->place, 0); /* the root: in front of every child */
}

static void read_place(struct prt_sweep *s)
{
	struct msp_rd rd;
	struct msp_name name;

	msp_rd_init(&rd, msp_buf_span(&s->place));
	s->begun.s = (int64_t)msp_rd_u64(&rd);
	s->is_over = false;
	s->from.len = 0;
	if (rd.err != MSP_OK) { /* the first sweep of all */
		s->begun = s->f->wall();
		return;
	}
	s->is_over = s->place.len == 8;
	if (!s->is_over && msp_name_from_wire(msp_rd_rest(&rd), &name) == MSP_OK)
		s->from = name;
	if (s->is_over)
		s->end = s->begun;
}

/* --- from the worker ---------------------------------------------------------------------------------------------- */

static void pause(struct prt_sweep *s)
{
	s->pause_ms = PAUSE_MS;
	s->is_ours = false;      /* with the connection what is held may be gone: it is asked for again */
	if (s->err != MSP_EBUSY) /* another process does it */
		msp_log(s->f->app->log, MSP_LOG_WARNING, "sweep-failed", MSP_F_STR("error", msp_err_text(s->err)));
}

static void claimed(void *arg)
{
	struct prt_sweep *s = arg;

	if (s->err != MSP_OK) {
		pause(s);
		return;
	}
	s->is_ours = true;
	read_place(s);
	prt_sweep_step(s, 0);
}

static void fetched(void *arg)
{
	struct prt_sweep *s = arg;
	struct batch *b = &s->batch[(s->first + s->count) % BATCHES];

	if (s->err != MSP_OK) {
		s->is_dirty |= s->writes;
		pause(s);
		return;
	}
	if (!s->reads)
		return;
	s->names = s->founds < BATCH ? s->founds : BATCH;
	s->at = 0;
	memcpy(s->name, s->found, s->names * sizeof(s->name[0]));
	if (s->names > 0) {
		*b = (struct batch){ .from = s->name[0] };
		s->count++;
	}
	s->is_over = s->founds <= BATCH;
	if (s->is_over && s->count == 0) { /* there is nobody */
		s->end = s->f->wall();
		s->is_dirty = true;
	}
	if (!s->is_over)
		s->from = s->found[BATCH];
	prt_sweep_step(s, 0);
}

/* --- on the loop -------------------------------------------------------------------------------------------------- */

static void settle(struct prt_sweep *s)
{
	bool was_under_way = s->count > 0;

	while (s->count > 0 && s->batch[s->first % BATCHES].is_handed_out && s->batch[s->first % BATCHES].left == 0) {
		s->first++;
		s->count--;
		s->is_dirty = true;
	}
	if (was_under_way && s->count == 0 && s->is_over) {
		s->end = s->f->wall();
		msp_log(s->f->app->log, MSP_LOG_INFO, "sweep-complete", MSP_F_U64("children", s->swept));
	}
}

void prt_sweep_done(struct prt_sweep *s, uint32_t batch)
{
	if (s == NULL)
		return;
	s->swept++;
	s->batch[batch % BATCHES].left--;
	settle(s);
}

/* So fast that all are through in nine tenths of the time, and no faster: there is no hurry. Thousandths of a child in
 * a second. */
static uint64_t rate(const struct prt_sweep *s)
{
	const struct prt_conf_limits *l = &s->f->app->conf->limits;
	uint64_t children = prt_books_stats(s->f->app->books).children;
	uint64_t max = l->scan_rate > 0 ? (uint64_t)l->scan_rate * MILLI : MILLI;
	uint64_t wanted = children * MILLI * 10 / ((uint64_t)l->sweep_s * 9) + 1;

	return children > 0 && wanted < max ? wanted : max;
}

/* What could not be handed out is made up for, up to a second: nothing piles up between two sweeps. */
static void earn(struct prt_sweep *s, uint32_t ms)
{
	uint64_t in_a_second = rate(s) * MILLI, most = in_a_second > CHILD ? in_a_second : CHILD;

	s->earned += rate(s) * ms; /* a few children in a day: much less than a thousandth in each step */
	if (s->earned > most)
		s->earned = most;
}

static void hand_out(struct prt_sweep *s)
{
	uint32_t serial = s->first + s->count - 1;
	struct batch *b = &s->batch[serial % BATCHES];
	struct prt_follow *f = s->f;

	while (s->at < s->names && s->earned >= CHILD &&
	       f->lane[PRT_LANE_SCAN].running + f->waiting < prt_follow_limit(f)) {
		const struct msp_name *name = &s->name[s->at];
		struct prt_task *t;

		if (prt_task_exists(f, name)) {
			s->swept++; /* it is being seen to */
		} else {
			if (prt_task_want(f, name, PRT_NEED_SCAN, PRT_BY_SWEEP, &t) != MSP_OK)
				break;
			t->batch = serial;
			b->left++;
			prt_follow_pump(f);
		}
		s->earned -= CHILD;
		s->at++;
	}
	if (s->names > 0 && s->at == s->names) {
		b->is_handed_out = true;
		s->names = s->at = 0;
		settle(s);
	}
}

static void begin_next(struct prt_sweep *s)
{
	struct msp_wall now = s->f->wall();

	if (!s->is_ours || !s->is_over || s->count > 0 || s->work != NULL)
		return;
	if (s->begun.s > now.s)
		s->begun = now; /* the clock was put back */
	if (now.s - s->begun.s < (int64_t)s->f->app->conf->limits.sweep_s)
		return;
	s->begun = now;
	s->is_over = false;
	s->from.len = 0;
	s->is_dirty = true;
}

static void work(struct prt_sweep *s, msp_void_fn *fn, msp_void_fn *done)
{
	if (prt_work_start(s->f->app->loop, fn, done, s, &s->work) == MSP_OK)
		return;
	s->is_dirty |= s->writes;
	s->pause_ms = STEP_MS;
}

void prt_sweep_step(struct prt_sweep *s, uint32_t ms)
{
	if (s->f->app->conf->limits.sweep_s == 0)
		return;
	s->pause_ms -= s->pause_ms > ms ? ms : s->pause_ms;
	if (s->is_ours && (!s->is_over || s->names > 0))
		earn(s, ms);
	hand_out(s);
	begin_next(s);
	if (s->work != NULL || s->pause_ms > 0)
		return;
	if (!s->is_ours) {
		work(s, claim, claimed);
		return;
	}
	s->reads = !s->is_over && s->names == 0 && s->count < BATCHES;
	if (s->is_dirty || s->reads) {
		write_place(s);
		s->writes = s->is_dirty;
		s->is_dirty = false;
		work(s, fetch, fetched);
	}
}

static void on_timer(void *arg)
{
	struct prt_sweep *s = arg;

	msp_timer_start(s->timer, STEP_MS);
	prt_sweep_step(s, STEP_MS);
}

enum msp_err prt_sweep_open(struct prt_follow *f)
{
	struct prt_sweep *s = msp_alloc(1, sizeof(*s));
	enum msp_err err;

	if (s == NULL)
		return MSP_ENOMEM;
	s->f = f;
	s->earned = CHILD;
	msp_buf_init(&s->place, PLACE_MAX);
	f->sweep = s;
	err = msp_timer_new(f->app->loop, on_timer, s, &s->timer);
	if (err == MSP_OK)
		msp_timer_start(s->timer, STEP_MS);
	return err;
}

void prt_sweep_close(struct prt_sweep **sweep)
{
	struct prt_sweep *s = *sweep;

	if (s == NULL)
		return;
	prt_work_leave(&s->work);
	msp_timer_close(&s->timer);
	msp_buf_fini(&s->place);
	msp_free(s);
	*sweep = NULL;
}

void prt_sweep_stats(const struct prt_sweep *s, struct prt_follow_stats *out)
{
	out->swept = s->swept;
	out->sweep_end = s->end;
}
