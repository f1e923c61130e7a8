/* SPDX-License-Identifier: BSD-2-Clause */
/* When each backend goes on, and what came of it. What the books say is read and written in the pool
 * (backend_walk.c); a driver is asked from the loop and never makes it wait. */
#include "backend_priv.h"
#include "work.h"

#include <msproto/base/mem.h>

#include <string.h>

#define READERS_MAX   4    /* pieces of work in the pool at one time */
#define FAILS_IN_ROW  8    /* children that fail one after the other: it is the backend */
#define HOLD_AGAIN_MS 5000 /* another process is at work: has it gone? */
#define LOOK_MS       1000 /* several processes: somebody else may have accepted something */
#define REST_MAX_MS   60000
#define JITTER        20
#define HOLD          "backend"

enum phase { IDLE, READING, APPLYING, MARKING, PAUSED };

struct walker {
	struct prt_backends *of;
	struct prt_settings *settings; /* owned reference; parent and conf are in there */
	const struct prt_conf_parent *parent;
	const struct prt_conf_backend *conf;
	char *name; /* owned */
	const struct prt_backend_driver *driver;
	struct prt_backend *instance;       /* owned; NULL: to be opened */
	struct prt_settings *instance_uses; /* owned reference */
	struct prt_walk walk;
	enum phase phase;
	struct prt_work *work;
	struct msp_timer *timer;
	enum msp_err work_err;
	bool is_poked;
	bool is_stale;    /* the settings are others now */
	bool is_left_due; /* children set aside are to be tried again */
	bool is_dirty;    /* is_whole: something was imported */
	bool is_new;      /* is_mirror: the journal does not say all that was */
	bool is_shared;   /* several processes: for the pool, which must not look at the settings */
	bool one_by_one;
	size_t at; /* one_by_one */
	unsigned fails;
	uint32_t pause_s;
	struct msp_mono began; /* the last attempt */
	struct msp_wall last_ok, next;
	struct msp_why last;
	uint64_t place; /* of the walk, which may be in the pool */
	size_t left;
};

struct prt_backends {
	struct prt_app *app;
	struct walker **walker; /* owned */
	size_t count, next;     /* next: whose turn it is */
	size_t reading;
	pthread_mutex_t marking;
	bool is_held, needs_set;
	bool is_to_renew;      /* other settings wait until nothing is in the pool */
	struct prt_work *hold; /* also: looks whether the sets of backends have changed */
	enum msp_err hold_err;
	struct msp_timer *timer, *kick;
};

/* Nobody is asked. What is said in the books of it is in no hurry: answers to children come first. */
#define NONE_BATCH   256
#define NONE_REST_MS 1000
static const struct prt_backend_driver prt_backend_none = { .name = "none", .batch = NONE_BATCH };
static const struct kind {
	const struct prt_backend_driver *driver;
	bool is_mirror; /* it is to have all children, whoever made them so */
} kinds[] = {
	[PRT_BACKEND_UPDATE] = { &prt_backend_update, false },
	[PRT_BACKEND_FILE] = { &prt_backend_file, false }, /* takes care of that itself */
	[PRT_BACKEND_HOOK] = { &prt_backend_hook, false },
	[PRT_BACKEND_SQL] = { &prt_backend_sql, true },
	[PRT_BACKEND_NONE] = { &prt_backend_none, false },
};
/* Of a parent without backends: all of them have at once what is accepted. */
static const struct prt_conf_backend conf_none = { .name = "none", .kind = PRT_BACKEND_NONE };

static void pump(struct prt_backends *b);

/* --- pauses ------------------------------------------------------------------------------------------------------- */

static void log_it(struct walker *w, enum msp_log_level level, const char *event, const struct msp_name *child,
		   const char *why)
{
	msp_log(w->of->app->log, level, event, MSP_F_STR("parent", MSP_NAME(&w->parent->zone)),
		MSP_F_STR("backend", w->name), MSP_F_STR("child", child != NULL ? MSP_NAME(child) : ""),
		MSP_F_STR("why", why));
}

/* Seconds until the next attempt; the one after that takes longer. */
static int64_t next_pause_ms(struct walker *w)
{
	uint32_t max = w->conf->retry_max_s > 0 ? w->conf->retry_max_s : 1;
	int64_t ms;

	if (w->pause_s == 0)
		w->pause_s = w->conf->retry_s > 0 ? w->conf->retry_s : 1;
	if (w->pause_s > max)
		w->pause_s = max;
	ms = msp_rand_jitter(&w->of->app->rand, (int64_t)w->pause_s * 1000, JITTER);
	w->pause_s = w->pause_s > max / 2 ? max : w->pause_s * 2;
	w->next = (struct msp_wall){ msp_wall_now().s + (ms + 999) / 1000 };
	return ms;
}

static void pause_for(struct walker *w, int64_t ms)
{
	w->phase = PAUSED;
	msp_timer_start(w->timer, (uint64_t)(ms > 0 ? ms : 0));
}

/* The whole backend waits. The batch is read anew then: what is wanted may be something else. */
static void is_down(struct walker *w, const struct msp_why *why)
{
	w->last = *why;
	w->fails += w->fails == 0;
	log_it(w, MSP_LOG_WARNING, "backend-down", NULL, why->text);
	w->is_dirty |= w->walk.is_dirty;
	prt_walk_done(&w->walk);
	w->is_poked = true;
	pause_for(w, next_pause_ms(w));
	pump(w->of);
}

static void on_timer(void *arg)
{
	struct walker *w = arg;

	if (w->phase == PAUSED)
		w->phase = IDLE;
	w->is_left_due = true;
	w->is_poked = true;
	w->next.s = 0;
	pump(w->of);
}

/* --- the books say what was done ---------------------------------------------------------------------------------- */

static bool is_shared(const struct prt_backends *b)
{
	return b->app->conf->store_kind == PRT_STORE_POSTGRESQL;
}

/* Whoever took so long that another process has taken over says nothing: it may have been at something old. */
static void mark_in_pool(void *arg)
{
	struct walker *w = arg;

	w->work_err = w->is_shared ? prt_books_hold(w->walk.books, HOLD) : MSP_OK;
	if (w->work_err == MSP_OK)
		w->work_err = prt_walk_mark(&w->walk);
}

static void say_refused(struct walker *w)
{
	for (size_t n = 0; n < w->walk.count; n++)
		if (w->walk.item[n].state == PRT_ITEM_REFUSED)
			log_it(w, MSP_LOG_ERROR, "backend-refused", &w->walk.item[n].child, w->walk.item[n].why.text);
		else if (w->walk.item[n].state == PRT_ITEM_FAILED)
			log_it(w, MSP_LOG_WARNING, "child-set-aside", &w->walk.item[n].child, w->walk.item[n].why.text);
}

/* Writing everything takes long for a large parent: half of the time at most goes into that. */
static int64_t rest_ms(const struct walker *w)
{
	int64_t took = msp_mono_now().ms - w->began.ms;

	if (w->driver == &prt_backend_none)
		return NONE_REST_MS;
	if (!w->driver->is_whole)
		return 0;
	return took < REST_MAX_MS ? took : REST_MAX_MS;
}

static void note_place(struct walker *w)
{
	w->place = w->walk.place;
	w->left = w->walk.left_count;
}

static void all_is_well(struct walker *w)
{
	w->fails = 0;
	w->last.text[0] = '\0';
	w->pause_s = 0;
}

static void poke_others(const struct walker *w)
{
	for (size_t n = 0; n < w->of->count; n++)
		w->of->walker[n]->is_poked |= msp_name_equal(&w->of->walker[n]->walk.parent, &w->walk.parent);
}

static void marked(void *arg)
{
	struct walker *w = arg;
	struct prt_app *app = w->of->app;
	struct msp_why why = w->walk.why;
	int64_t rest = rest_ms(w);

	w->of->reading--;
	if (w->work_err != MSP_OK) {
		if (why.text[0] == '\0')
			(void)msp_fail(&why, w->work_err, "the store: %s", msp_err_text(w->work_err));
		is_down(w, &why);
		return;
	}
	app->stats.published += w->walk.published;
	say_refused(w);
	if (w->walk.published + w->walk.refused > 0)
		poke_others(w); /* there is more in the journal; what was refused is taken back elsewhere */
	prt_walk_done(&w->walk);
	note_place(w);
	if (w->left == 0 && w->fails == 0)
		all_is_well(w);
	w->phase = IDLE;
	w->is_poked = true; /* until there is nothing more to read */
	if (w->fails > 0)
		w->walk.left_turn = 0; /* the others that are aside wait too */
	if (rest > 0)
		pause_for(w, rest);
	else if (w->left > 0 && w->walk.left_turn == 0 && w->next.s == 0)
		msp_timer_start(w->timer, (uint64_t)next_pause_ms(w));
	pump(w->of);
}

static void mark(struct walker *w)
{
	w->phase = MARKING;
	w->is_shared = is_shared(w->of);
	w->of->reading++;
	if (prt_work_start(w->of->app->loop, mark_in_pool, marked, w, &w->work) == MSP_OK)
		return;
	w->work_err = MSP_EBUSY;
	w->walk.why.text[0] = '\0';
	marked(w);
}

/* --- a driver is asked -------------------------------------------------------------------------------------------- */

static void apply(struct walker *w);

static enum msp_err open_driver(struct walker *w, struct msp_why *why)
{
	enum msp_err err;

	if (w->instance != NULL)
		return MSP_OK;
	err = w->driver->open(w->of->app, w->parent, w->conf, &w->instance, why);
	if (err == MSP_OK)
		w->instance_uses = prt_settings_ref(w->settings);
	else
		w->instance = NULL;
	return err;
}

static void close_driver(struct walker *w)
{
	if (w->instance != NULL)
		w->driver->close(&w->instance);
	prt_settings_unref(&w->instance_uses);
	w->is_stale = false;
}

static void went_well(struct walker *w)
{
	if (w->fails > 0)
		log_it(w, MSP_LOG_NOTICE, "backend-up", NULL, "");
	w->fails = 0;
	w->last_ok = msp_wall_now();
}

static void next_or_mark(struct walker *w)
{
	if (w->one_by_one && ++w->at < w->walk.count)
		apply(w);
	else
		mark(w);
}

static bool is_alone(const struct walker *w)
{
	return w->one_by_one || w->walk.count == 1;
}

static void failed(struct walker *w, enum msp_err err, const struct msp_why *why)
{
	struct prt_item *i = &w->walk.item[w->one_by_one ? w->at : 0];

	w->of->app->stats.backend_failures++;
	if (w->driver->is_whole || w->walk.count == 0 || err == MSP_ENET) {
		w->last = *why;
		is_down(w, why);
		return;
	}
	if (!is_alone(w)) { /* who is to blame? */
		w->one_by_one = true;
		w->at = 0;
		apply(w);
		return;
	}
	i->state = err == MSP_EREFUSED ? PRT_ITEM_REFUSED : PRT_ITEM_FAILED;
	(void)msp_fail(&i->why, err, "%.60s: %.180s", w->name, why->text);
	w->last = i->why;
	if (err == MSP_EREFUSED)
		went_well(w); /* it is there and answers */
	else
		w->fails++;
	if (w->fails >= FAILS_IN_ROW)
		is_down(w, &w->last);
	else
		next_or_mark(w);
}

static void applied(void *arg, enum msp_err err, const struct msp_why *why)
{
	struct walker *w = arg;
	struct msp_why own = { "" };

	if (err != MSP_OK) {
		if (why != NULL)
			own = *why;
		if (own.text[0] == '\0')
			(void)msp_fail(&own, err, "%s", msp_err_text(err));
		failed(w, err, &own);
		return;
	}
	went_well(w);
	for (size_t n = 0; n < w->walk.count; n++)
		if (!w->one_by_one || n == w->at)
			w->walk.item[n].state = PRT_ITEM_DONE;
	next_or_mark(w);
}

static struct prt_backend_job job_of(const struct prt_item *i)
{
	return (struct prt_backend_job){
		.have = &i->have, .want = &i->want, .maybe = i->maybe.count > 0 ? &i->maybe : NULL, .seq = i->seq
	};
}

static void apply(struct walker *w)
{
	size_t from = w->one_by_one ? w->at : 0, count = w->one_by_one ? 1 : w->walk.count;
	struct prt_backend_job *job;
	struct msp_why why = { "" };
	enum msp_err err;

	w->phase = APPLYING;
	if (w->driver->apply == NULL) {
		applied(w, MSP_OK, NULL);
		return;
	}
	job = msp_alloc(count > 0 ? count : 1, sizeof(*job));
	err = job != NULL ? open_driver(w, &why) : MSP_ENOMEM;
	if (!w->one_by_one || w->at == 0)
		w->began = msp_mono_now();
	if (err == MSP_OK) {
		for (size_t n = 0; n < count; n++)
			job[n] = job_of(&w->walk.item[from + n]);
		err = w->instance->driver->apply(w->instance, job, count, applied, w);
	} else {
		err = MSP_ENET; /* nobody can be asked */
	}
	msp_free(job);
	if (err == MSP_OK)
		return;
	if (why.text[0] == '\0')
		(void)msp_fail(&why, err, "%s", msp_err_text(err));
	is_down(w, &why);
}

/* --- the books are read ------------------------------------------------------------------------------------------- */

static void read_in_pool(void *arg)
{
	struct walker *w = arg;

	w->work_err = prt_walk_read(&w->walk);
}

static void have_read(void *arg)
{
	struct walker *w = arg;
	struct msp_why why = w->walk.why;

	w->of->reading--;
	w->phase = IDLE;
	if (w->work_err != MSP_OK) {
		if (why.text[0] == '\0')
			(void)msp_fail(&why, w->work_err, "the store: %s", msp_err_text(w->work_err));
		is_down(w, &why);
		return;
	}
	note_place(w);
	if (w->walk.count > 0 || w->walk.is_dirty) {
		w->one_by_one = false;
		w->at = 0;
		apply(w);
	} else if (!w->walk.is_end) {
		w->is_poked = true;
	} else if (w->left == 0) {
		all_is_well(w);
	}
	pump(w->of);
}

static void who_else(struct walker *w)
{
	w->walk.other_count = 0;
	for (size_t n = 0; n < w->of->count; n++) {
		struct walker *o = w->of->walker[n];

		if (o != w && msp_name_equal(&o->walk.parent, &w->walk.parent) &&
		    w->walk.other_count < PRT_BACKENDS_MAX)
			w->walk.other[w->walk.other_count++] = o->name;
	}
}

static void read_books(struct walker *w)
{
	w->is_poked = false;
	w->phase = READING;
	w->of->reading++;
	if (w->is_left_due)
		w->walk.left_turn = w->walk.left_count;
	w->is_left_due = false;
	w->walk.is_whole = w->driver->is_whole;
	w->walk.is_forced = w->is_dirty;
	w->is_dirty = false;
	w->walk.is_mirror = kinds[w->conf->kind].is_mirror;
	w->walk.is_new |= w->is_new;
	w->is_new = false;
	w->walk.batch = w->driver->batch < PRT_BATCH_MAX ? w->driver->batch : PRT_BATCH_MAX;
	who_else(w);
	if (prt_work_start(w->of->app->loop, read_in_pool, have_read, w, &w->work) == MSP_OK)
		return;
	w->of->reading--;
	w->is_poked = true;
	pause_for(w, LOOK_MS);
}

static void set_in_pool(void *arg)
{
	struct prt_backends *b = arg;

	b->hold_err = MSP_OK;
	for (size_t n = 0; b->hold_err == MSP_OK && n < b->count; n++) {
		const char *name[PRT_BACKENDS_MAX + 1];
		const struct walker *w = b->walker[n];
		size_t count = 0;

		name[count++] = w->name;
		for (size_t i = 0; i < w->walk.other_count; i++)
			name[count++] = w->walk.other[i];
		if (n == 0 ||
		    !msp_name_equal(&b->walker[n - 1]->walk.parent, &w->walk.parent)) /* they stand together */
			b->hold_err = prt_walk_set(b->app->books, &w->walk.parent, name, count);
	}
}

static void have_set(void *arg)
{
	struct prt_backends *b = arg;

	if (b->hold_err != MSP_OK) {
		msp_log(b->app->log, MSP_LOG_WARNING, "backends-wait", MSP_F_STR("why", msp_err_text(b->hold_err)));
		b->needs_set = true;
		msp_timer_start(b->timer, HOLD_AGAIN_MS);
		if (b->is_to_renew)
			pump(b);
		return;
	}
	for (size_t n = 0; n < b->count; n++) {
		b->walker[n]->walk.is_loaded = false;
		b->walker[n]->is_poked = true;
	}
	pump(b);
}

/* The set of backends may be another one than what the store knows: first that. */
static void look_at_sets(struct prt_backends *b)
{
	if (b->hold != NULL)
		return;
	for (size_t n = 0; n < b->count; n++)
		if (b->walker[n]->phase != IDLE && b->walker[n]->phase != PAUSED)
			return; /* comes back when it is through */
	for (size_t n = 0; n < b->count; n++)
		who_else(b->walker[n]);
	b->needs_set = false;
	if (prt_work_start(b->app->loop, set_in_pool, have_set, b, &b->hold) != MSP_OK) {
		b->needs_set = true;
		msp_timer_start(b->timer, HOLD_AGAIN_MS);
	}
}

static bool is_in_pool(const struct prt_backends *b)
{
	for (size_t n = 0; n < b->count; n++)
		if (b->walker[n]->work != NULL)
			return true;
	return b->hold != NULL;
}

static void pump(struct prt_backends *b)
{
	if (b->is_to_renew && !is_in_pool(b))
		msp_timer_start(b->kick, 0);
	if (!b->is_held || b->is_to_renew)
		return;
	if (b->needs_set || b->hold != NULL) {
		if (b->needs_set)
			look_at_sets(b);
		return;
	}
	for (size_t n = 0; n < b->count && b->reading < READERS_MAX; n++) {
		struct walker *w = b->walker[b->next++ % b->count];

		if (w->phase != IDLE || !w->is_poked)
			continue;
		if (w->is_stale)
			close_driver(w);
		read_books(w);
	}
}

/* --- one process alone -------------------------------------------------------------------------------------------- */

static void hold_in_pool(void *arg)
{
	struct prt_backends *b = arg;

	b->hold_err = prt_books_hold(b->app->books, HOLD);
}

static void poke_all(struct prt_backends *b)
{
	for (size_t n = 0; n < b->count; n++)
		b->walker[n]->is_poked = true;
	pump(b);
}

static void have_hold(void *arg)
{
	struct prt_backends *b = arg;
	bool was_held = b->is_held;

	b->is_held = b->hold_err == MSP_OK;
	if (!was_held && b->is_held)
		msp_log(b->app->log, MSP_LOG_NOTICE, "backends-ours", MSP_F_U64("backends", b->count));
	else if (was_held && !b->is_held)
		msp_log(b->app->log, MSP_LOG_NOTICE, "backends-elsewhere", MSP_F_STR("why", msp_err_text(b->hold_err)));
	if (!was_held)
		b->needs_set = true; /* others may have gone on meanwhile: read the places again */
	if (!b->is_held || is_shared(b))
		msp_timer_start(b->timer, b->is_held ? LOOK_MS : HOLD_AGAIN_MS);
	poke_all(b);
}

static void look(void *arg)
{
	struct prt_backends *b = arg;

	if (b->is_held && !is_shared(b)) {
		pump(b); /* the sets could not be looked at */
		return;
	}
	if (b->hold == NULL && !b->is_to_renew &&
	    prt_work_start(b->app->loop, hold_in_pool, have_hold, b, &b->hold) == MSP_OK)
		return;
	msp_timer_start(b->timer, LOOK_MS);
}

static void renew(struct prt_backends *b);

/* Several pokes at a time are one. */
static void kicked(void *arg)
{
	struct prt_backends *b = arg;

	if (b->is_to_renew && !is_in_pool(b))
		renew(b);
	else
		poke_all(b);
}

void prt_backends_poke(struct prt_app *app)
{
	if (app->backends != NULL)
		msp_timer_start(app->backends->kick, 0);
}

void prt_backends_imported(struct prt_app *app, const struct msp_name *parent, bool is_first)
{
	for (size_t n = 0; app->backends != NULL && n < app->backends->count; n++) {
		struct walker *w = app->backends->walker[n];

		if (!msp_name_equal(&w->walk.parent, parent))
			continue;
		w->is_dirty |= w->driver->is_whole;
		w->is_new |= is_first && kinds[w->conf->kind].is_mirror;
	}
	prt_backends_poke(app);
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static void walker_free(struct walker *w)
{
	prt_work_leave(&w->work);
	close_driver(w);
	if (w->timer != NULL)
		msp_timer_close(&w->timer);
	prt_walk_fini(&w->walk);
	prt_settings_unref(&w->settings);
	msp_free(w->name);
	msp_free(w);
}

static enum msp_err walker_new(struct prt_backends *b, const struct prt_conf_parent *parent,
			       const struct prt_conf_backend *conf, struct walker **out)
{
	struct walker *w = msp_alloc(1, sizeof(*w));
	enum msp_err err;

	if (w == NULL)
		return MSP_ENOMEM;
	w->of = b;
	w->settings = prt_settings_ref(b->app->settings);
	w->parent = parent;
	w->conf = conf;
	w->driver = kinds[conf->kind].driver;
	w->is_poked = true;
	w->name = msp_strdup(conf->name);
	err = w->name != NULL ? msp_timer_new(b->app->loop, on_timer, w, &w->timer) : MSP_ENOMEM;
	if (err == MSP_OK)
		err = prt_walk_init(&w->walk, b->app->books, &parent->zone, w->name, &b->marking);
	if (err != MSP_OK)
		walker_free(w);
	else
		*out = w;
	return err;
}

static struct walker *take_same(struct prt_backends *b, const struct prt_conf_parent *parent,
				const struct prt_conf_backend *conf)
{
	for (size_t n = 0; n < b->count; n++) {
		struct walker *w = b->walker[n];

		if (w == NULL || w->driver != kinds[conf->kind].driver || strcmp(w->name, conf->name) != 0 ||
		    !msp_name_equal(&w->walk.parent, &parent->zone))
			continue;
		b->walker[n] = NULL;
		return w;
	}
	return NULL;
}

/* Keys and programs may be others under the same name: the driver begins anew when it is free. Its place stays. */
static void keep(struct walker *w, const struct prt_conf_parent *parent, const struct prt_conf_backend *conf)
{
	prt_settings_unref(&w->settings);
	w->settings = prt_settings_ref(w->of->app->settings);
	w->parent = parent;
	w->conf = conf;
	w->is_stale = true;
	w->pause_s = 0;
	if (w->phase == PAUSED)
		msp_timer_start(w->timer, 0);
}

/* Where the parent zone is read, that shows what has been published, by whomever. */
static size_t backends_of(const struct prt_conf_parent *p, const struct prt_conf_backend **first)
{
	*first = p->backends.item;
	if (p->backends.count > 0 || p->primary.addr.family != MSP_FAMILY_NONE)
		return p->backends.count;
	*first = &conf_none;
	return 1;
}

static size_t count_conf(const struct prt_conf *c)
{
	size_t count = 0;

	for (size_t p = 0; p < c->parents.count; p++) {
		const struct prt_conf_backend *first;

		count += backends_of(prt_conf_parent_at(c, p), &first);
	}
	return count;
}

static enum msp_err fill(struct prt_backends *b, struct walker **now, size_t *count)
{
	const struct prt_conf *c = b->app->conf;
	enum msp_err err = MSP_OK;

	for (size_t p = 0; err == MSP_OK && p < c->parents.count; p++) {
		const struct prt_conf_parent *parent = prt_conf_parent_at(c, p);
		const struct prt_conf_backend *conf;
		size_t backends = backends_of(parent, &conf);

		for (size_t i = 0; err == MSP_OK && i < backends; i++) {
			struct walker *w = take_same(b, parent, &conf[i]);

			if (w != NULL)
				keep(w, parent, &conf[i]);
			else
				err = walker_new(b, parent, &conf[i], &w);
			if (err == MSP_OK)
				now[(*count)++] = w;
		}
	}
	return err;
}

static void drop(struct walker **walker, size_t count)
{
	for (size_t n = 0; n < count; n++)
		if (walker[n] != NULL)
			walker_free(walker[n]);
	msp_free(walker);
}

static void renew(struct prt_backends *b)
{
	size_t most = count_conf(b->app->conf), count = 0;
	struct walker **now = msp_alloc(most > 0 ? most : 1, sizeof(struct walker *));
	enum msp_err err;

	b->is_to_renew = false;
	err = now != NULL ? fill(b, now, &count) : MSP_ENOMEM;
	if (now != NULL) {
		drop(b->walker, b->count);
		b->walker = now;
		b->count = count;
	}
	if (err != MSP_OK)
		msp_log(b->app->log, MSP_LOG_ERROR, "backends-not-all", MSP_F_STR("why", msp_err_text(err)));
	b->next = 0;
	b->needs_set = true;
	for (size_t n = 0; n < b->count; n++)
		who_else(b->walker[n]);
	msp_timer_start(b->timer, 0);
	poke_all(b);
}

/* The pool works with the list of backends as it is, and the store may take its time: the loop does not wait for it. */
void prt_backends_renew(struct prt_backends *b)
{
	b->is_to_renew = true;
	if (!is_in_pool(b))
		renew(b);
}

enum msp_err prt_backends_open(struct prt_app *app, struct prt_backends **out, struct msp_why *why)
{
	struct prt_backends *b = msp_alloc(1, sizeof(*b));
	enum msp_err err;

	if (b == NULL)
		return msp_fail(why, MSP_ENOMEM, "backends: out of memory");
	b->app = app;
	pthread_mutex_init(&b->marking, NULL);
	err = msp_timer_new(app->loop, look, b, &b->timer);
	if (err == MSP_OK)
		err = msp_timer_new(app->loop, kicked, b, &b->kick);
	if (err != MSP_OK) {
		prt_backends_close(&b);
		return msp_fail(why, err, "backends: %s", msp_err_text(err));
	}
	prt_backends_renew(b);
	*out = b;
	return MSP_OK;
}

void prt_backends_close(struct prt_backends **out)
{
	struct prt_backends *b = *out;

	if (b == NULL)
		return;
	*out = NULL;
	prt_work_leave(&b->hold);
	drop(b->walker, b->count);
	if (b->timer != NULL)
		msp_timer_close(&b->timer);
	if (b->kick != NULL)
		msp_timer_close(&b->kick);
	pthread_mutex_destroy(&b->marking);
	msp_free(b);
}

size_t prt_backends_count(const struct prt_backends *b)
{
	return b != NULL ? b->count : 0;
}

void prt_backends_state(const struct prt_backends *b, size_t i, struct prt_backend_state *out)
{
	const struct walker *w = b->walker[i];

	*out = (struct prt_backend_state){ .parent = w->parent,
					   .conf = w->conf,
					   .is_busy = w->phase != IDLE && w->phase != PAUSED,
					   .is_down = w->fails > 0,
					   .is_standby = !b->is_held,
					   .last = w->last,
					   .last_ok = w->last_ok,
					   .next = w->next };
	/* What is accepted where nobody is to be told is mostly published with it: there is nothing to go through. */
	out->place = w->driver == &prt_backend_none ? prt_books_stats(b->app->books).last_seq : w->place;
	out->left = w->left;
}
