/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two steps, each left out when it is not configured: the ZONEMD digest in the worker pool, then the verifier, whose
 * input is printed piece by piece in the pool. Both read one snapshot, one at a time.
 */
#include "inspect.h"

#include "shell.h"
#include "zonemd.h"

#include <msproto/base/enc.h>
#include <msproto/base/mem.h>
#include <msproto/wire/text.h>

#include <pthread.h>
#include <string.h>

#define CHUNK      (256u << 10) /* octets of text printed at a time */
#define CHUNK_MAX  (CHUNK + 5u * MSP_RDATA_MAX + 4096)
#define OUTPUT_MAX 4096 /* last octets of what the verifier says */
#define APEX_MAX   (8u << 20)
#define ARGS_MAX   256
#define WORD_MAX   (4096 + MSP_NAME_MAX * 4)
#define LAST_TYPE  65 /* HTTPS */

struct cmb_inspector {
	struct cmb_app *app;
	struct cmb_inspect *first; /* all that are not done: those running come first */
	size_t count, running;
	struct msp_timer *kick;
};

struct cmb_inspect {
	struct cmb_inspector *line; /* NULL: done or cancelled; lives on until nothing points at it any more */
	struct cmb_inspect *next;
	struct cmb_settings *settings; /* a reference: the verifier's words are in it */
	const struct cmb_profile *profile;
	struct cmb_hosted *h;
	struct cmb_version *v; /* borrowed until done or cancelled */
	const struct cmb_owner *owner;
	cmb_inspect_fn *done;
	void *arg;
	bool is_running;
	unsigned callbacks; /* of pool and child that will still come */
	struct msp_child *child;
	unsigned hashes;
	/* The pool's while is_busy, else the loop's. */
	pthread_mutex_t lock;
	pthread_cond_t idle;
	bool is_busy, is_stopped;
	enum msp_err err;
	struct msp_why why;
	struct cmb_snap *snap;
	uint32_t pages; /* seen */
	struct msp_buf apex;
	struct cmb_zonemd_result digest;
	struct msp_rd rd; /* what is being printed: the apex first, then page after page */
	struct msp_span page;
	bool has_all;
	struct msp_buf text;
	struct msp_rr_scratch scratch;
};

/* --- the pool's side ---------------------------------------------------------------------------------------------- */

static bool enter(struct cmb_inspect *i)
{
	bool may;

	pthread_mutex_lock(&i->lock);
	may = i->is_busy = !i->is_stopped;
	pthread_mutex_unlock(&i->lock);
	return may;
}

static void leave(struct cmb_inspect *i)
{
	pthread_mutex_lock(&i->lock);
	i->is_busy = false;
	pthread_cond_signal(&i->idle);
	pthread_mutex_unlock(&i->lock);
}

static bool is_stopped(void *arg)
{
	struct cmb_inspect *i = arg;
	bool is;

	pthread_mutex_lock(&i->lock);
	is = i->is_stopped;
	pthread_mutex_unlock(&i->lock);
	return is;
}

/* From the loop. Afterwards the pool touches nothing of it but the lock. */
static void stop_pool(struct cmb_inspect *i)
{
	pthread_mutex_lock(&i->lock);
	i->is_stopped = true;
	while (i->is_busy)
		pthread_cond_wait(&i->idle, &i->lock);
	pthread_mutex_unlock(&i->lock);
}

static enum msp_err next_page(void *arg, struct msp_span *msg)
{
	struct cmb_inspect *i = arg;
	enum msp_err err = cmb_snap_next(i->snap, msg);

	if (err == MSP_OK)
		i->pages++;
	if (err == MSP_ENOTFOUND && i->pages != i->owner->pages)
		return msp_fail(&i->why, MSP_ECORRUPT, "%u of %u stored pages are there", (unsigned)i->pages,
				(unsigned)i->owner->pages);
	return err;
}

static void digest_zone(void *arg)
{
	struct cmb_inspect *i = arg;
	struct cmb_zonemd_params p = { .zone = i->h->name,
				       .apex = msp_buf_span(&i->apex),
				       .page = next_page,
				       .stop = is_stopped,
				       .arg = i,
				       .hashes = i->hashes };

	if (!enter(i))
		return;
	i->err = cmb_zonemd_digest(&p, &i->digest, &i->why);
	leave(i);
}

/*
 * Types that are younger than most programs, and those without a number of their own, are printed in the form that any
 * program reads (RFC 3597 5).
 */
static void print_record(struct msp_buf *out, const struct msp_rr *rr)
{
	if (rr->type <= LAST_TYPE || (rr->type >= 99 && rr->type <= 261)) {
		msp_rr_print(out, NULL, rr);
	} else {
		msp_buf_printf(out, "%s %lu IN TYPE%u \\# %zu ", MSP_NAME(&rr->owner), (unsigned long)rr->ttl, rr->type,
			       rr->rdata.len);
		msp_hex_write(out, rr->rdata);
	}
	msp_buf_add_u8(out, '\n');
}

static enum msp_err open_next_page(struct cmb_inspect *i)
{
	struct msp_span msg;
	enum msp_err err;

	if (i->page.len != 0)
		cmb_snap_used(i->snap, i->page);
	err = next_page(i, &msg);
	if (err != MSP_OK)
		return err;
	i->page = msg;
	msp_rd_init(&i->rd, msg);
	(void)msp_rd_take(&i->rd, MSP_HEADER_LEN);
	return i->rd.err;
}

static enum msp_err print_some(struct cmb_inspect *i)
{
	enum msp_err err = MSP_OK;
	struct msp_rr rr;

	msp_buf_reset(&i->text);
	while (err == MSP_OK && i->text.len < CHUNK) {
		if (msp_rd_left(&i->rd) == 0) {
			err = open_next_page(i);
			continue;
		}
		msp_rr_read(&i->rd, &i->scratch, &rr);
		if (i->rd.err != MSP_OK)
			return msp_fail(&i->why, MSP_ECORRUPT, "a stored page cannot be read");
		print_record(&i->text, &rr);
		err = i->text.err;
	}
	i->has_all = err == MSP_ENOTFOUND;
	return i->has_all ? MSP_OK : err;
}

static void print_chunk(void *arg)
{
	struct cmb_inspect *i = arg;

	if (!enter(i))
		return;
	i->err = print_some(i);
	leave(i);
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static void inspect_free(struct cmb_inspect *i)
{
	msp_buf_fini(&i->apex);
	msp_buf_fini(&i->text);
	pthread_cond_destroy(&i->idle);
	pthread_mutex_destroy(&i->lock);
	msp_free(i);
}

static void run_line(void *arg);

static void take_out(struct cmb_inspect *i)
{
	struct cmb_inspector *line = i->line;
	struct cmb_inspect **at = &line->first;

	while (*at != i)
		at = &(*at)->next;
	*at = i->next;
	i->line = NULL;
	line->running -= i->is_running;
	line->count--;
	if (line->first != NULL) {
		msp_timer_start(line->kick, 0);
		return;
	}
	line->app->inspector = NULL;
	msp_timer_close(&line->kick);
	msp_free(line);
}

/* Nothing that belongs to others is touched after this. */
static void detach(struct cmb_inspect *i)
{
	take_out(i);
	stop_pool(i);
	cmb_snap_close(&i->snap);
	cmb_settings_unref(&i->settings);
	i->v = NULL;
	if (i->child != NULL)
		msp_child_cancel(i->child);
	if (i->callbacks == 0)
		inspect_free(i);
}

static void finish(struct cmb_inspect *i, enum msp_err err, const struct msp_why *why)
{
	cmb_inspect_fn *done = i->done;
	void *arg = i->arg;
	struct msp_why copy = { "" };

	if (why != NULL)
		copy = *why;
	if (err != MSP_OK && copy.text[0] == '\0')
		(void)msp_fail(&copy, err, "inspection: %s", msp_err_text(err));
	detach(i);
	done(arg, err, &copy);
}

/* A callback has come. False: it was the last thing that was waited for, or nobody wants to know. */
static bool came_back(struct cmb_inspect *i)
{
	i->callbacks--;
	if (i->line != NULL)
		return true;
	if (i->callbacks == 0)
		inspect_free(i);
	return false;
}

static enum msp_err to_pool(struct cmb_inspect *i, msp_void_fn *work, msp_void_fn *done)
{
	enum msp_err err = msp_loop_work(i->h->app->loop, work, done, i);

	i->callbacks += err == MSP_OK;
	return err;
}

/* --- verifier ----------------------------------------------------------------------------------------------------- */

/* Its last line that is not empty, as printable ASCII. False: there is none. */
static bool last_line(struct msp_span text, struct msp_buf *out)
{
	size_t end = text.len, begin;

	while (end > 0 && text.ptr[end - 1] <= ' ')
		end--;
	for (begin = end; begin > 0 && text.ptr[begin - 1] != '\n';)
		begin--;
	for (size_t at = begin; at < end; at++)
		if (text.ptr[at] >= ' ' && text.ptr[at] < 0x7f)
			msp_buf_add_u8(out, text.ptr[at]);
		else
			msp_buf_printf(out, "\\%03u", text.ptr[at]);
	return end > begin;
}

static enum msp_err judge(const struct msp_child_result *r, const char *program, uint32_t timeout_s,
			  struct msp_why *why)
{
	struct msp_buf line;
	enum msp_err err;

	if (r->err == MSP_ETIMEOUT)
		return msp_fail(why, MSP_ETIMEOUT, "verifier %.100s: not through in %lu s", program,
				(unsigned long)timeout_s);
	if (r->err != MSP_OK)
		return msp_fail(why, r->err, "verifier %.100s: %s", program,
				r->err == MSP_EIO ? "cannot be run" : msp_err_text(r->err));
	if (r->exit_status == 0)
		return MSP_OK;
	if (r->exit_status < 0)
		return msp_fail(why, MSP_EIO, "verifier %.100s: killed by a signal", program);
	msp_buf_init(&line, 4 * OUTPUT_MAX);
	if (last_line(r->errout, &line) || last_line(r->out, &line))
		err = msp_fail(why, MSP_EREFUSED, "verifier: %.200s", msp_buf_text(&line));
	else
		err = msp_fail(why, MSP_EREFUSED, "verifier %.100s: exit status %d", program, r->exit_status);
	msp_buf_fini(&line);
	return err;
}

static void on_verified(void *arg, const struct msp_child_result *r)
{
	struct cmb_inspect *i = arg;
	const struct cmb_conf_settings *set = i->profile->conf;
	struct msp_why why = { "" };
	enum msp_err err;

	i->child = NULL;
	if (!came_back(i))
		return;
	stop_pool(i);           /* it may be printing what nobody will read */
	if (i->err != MSP_OK) { /* the zone could not be read, and so the program was stopped */
		finish(i, i->err, &i->why);
		return;
	}
	err = judge(r, set->verifier.item[0], set->verifier_timeout_s, &why);
	finish(i, err, &why);
}

static void on_printed(void *arg)
{
	struct cmb_inspect *i = arg;

	if (!came_back(i))
		return;
	if (i->err != MSP_OK)
		msp_child_cancel(i->child);
	else if (i->text.len > 0)
		msp_child_feed(i->child, msp_buf_span(&i->text));
	else
		msp_child_feed(i->child, msp_span(NULL, 0));
}

static void on_want(void *arg, struct msp_child *child)
{
	struct cmb_inspect *i = arg;
	enum msp_err err;

	if (i->line == NULL)
		return;
	if (i->has_all) {
		msp_child_feed(child, msp_span(NULL, 0));
		return;
	}
	err = to_pool(i, print_chunk, on_printed);
	if (err == MSP_OK)
		return; /* from here on *i is the pool's */
	i->err = err;
	msp_child_cancel(child);
}

/* %z: the zone; %s: the serial; %%: a per cent sign. */
static void add_argument(struct msp_buf *out, const char *word, const struct cmb_inspect *i)
{
	for (; *word != '\0'; word++) {
		if (word[0] != '%' || word[1] == '\0' || strchr("zs%", word[1]) == NULL) {
			msp_buf_add_u8(out, (uint8_t)word[0]);
			continue;
		}
		word++;
		if (*word == 'z')
			msp_buf_add_str(out, MSP_NAME(&i->h->name));
		else if (*word == 's')
			msp_buf_printf(out, "%lu", (unsigned long)i->v->serial);
		else
			msp_buf_add_u8(out, '%');
	}
	msp_buf_add_u8(out, '\0');
}

static enum msp_err start_verifier(struct cmb_inspect *i)
{
	const struct cmb_conf_settings *set = i->profile->conf;
	const char *argv[ARGS_MAX + 1] = { NULL };
	struct msp_child_params p = { .argv = argv,
				      .want = on_want,
				      .output_max = OUTPUT_MAX,
				      .keeps_tail = true,
				      .timeout_ms = (uint64_t)set->verifier_timeout_s * 1000 };
	size_t at[ARGS_MAX] = { 0 };
	struct msp_buf words;
	enum msp_err err;

	if (set->verifier.count > ARGS_MAX)
		return msp_fail(&i->why, MSP_ECONF, "verifier: more than %d arguments", ARGS_MAX);
	msp_buf_init(&words, ARGS_MAX * WORD_MAX);
	for (size_t n = 0; n < set->verifier.count; n++) {
		at[n] = words.len;
		add_argument(&words, set->verifier.item[n], i);
	}
	err = words.err;
	for (size_t n = 0; err == MSP_OK && n < set->verifier.count; n++)
		argv[n] = (const char *)words.ptr + at[n];
	if (err == MSP_OK)
		err = msp_child_start(i->h->app->loop, &p, on_verified, i, &i->child);
	i->callbacks += err == MSP_OK;
	msp_buf_fini(&words);
	return err;
}

/* --- steps -------------------------------------------------------------------------------------------------------- */

static void verify(struct cmb_inspect *i)
{
	enum msp_err err;

	if (i->profile->conf->verifier.count == 0) {
		finish(i, MSP_OK, NULL);
		return;
	}
	cmb_snap_rewind(i->snap);
	i->pages = 0;
	msp_buf_reset(&i->apex);
	err = cmb_apex_write(&i->v->apex, &i->apex);
	msp_rd_init(&i->rd, msp_buf_span(&i->apex));
	if (err == MSP_OK)
		err = start_verifier(i);
	if (err != MSP_OK)
		finish(i, err, &i->why);
}

/* Copy the records of one side of a difference but for the apex ZONEMD. */
static enum msp_err without_zonemd(struct msp_buf *side, const struct msp_name *zone, struct msp_rr_scratch *scratch)
{
	struct msp_buf kept;
	struct msp_rd rd;
	struct msp_rr rr;

	msp_buf_init(&kept, side->cap);
	msp_rd_init(&rd, msp_buf_span(side));
	while (msp_rd_left(&rd) > 0) {
		size_t from = rd.pos;

		msp_rr_read(&rd, scratch, &rr);
		if (rd.err == MSP_OK && (rr.type != MSP_TYPE_ZONEMD || !msp_name_equal(&rr.owner, zone)))
			msp_buf_add(&kept, side->ptr + from, rd.pos - from);
	}
	if (rd.err != MSP_OK || kept.err != MSP_OK) {
		msp_buf_fini(&kept);
		return rd.err != MSP_OK ? rd.err : kept.err;
	}
	msp_buf_fini(side);
	*side = kept;
	return MSP_OK;
}

/* The digest was not known when the difference was made. One that cannot be mended is left out: the history begins
 * anew. */
static void mend_delta(struct cmb_inspect *i, const struct msp_rrset *zonemd)
{
	struct cmb_delta *d = i->v->delta;
	struct cmb_zone *z;
	enum msp_err err = MSP_OK;

	if (d == NULL)
		return;
	z = cmb_hosted_zone(i->h);
	if (z == NULL || !z->has_served)
		err = MSP_ESTATE;
	if (err == MSP_OK)
		err = without_zonemd(&d->del, &i->h->name, &i->scratch);
	if (err == MSP_OK)
		err = without_zonemd(&d->add, &i->h->name, &i->scratch);
	if (err == MSP_OK && !cmb_rrset_empty(z->served.set[CMB_ZONEMD]))
		err = msp_rrset_write(z->served.set[CMB_ZONEMD], &d->del);
	if (err == MSP_OK)
		err = msp_rrset_write(zonemd, &d->add);
	if (err != MSP_OK)
		cmb_delta_free(&i->v->delta);
}

static void on_digested(void *arg)
{
	struct cmb_inspect *i = arg;
	struct msp_rrset *zonemd = NULL;
	enum msp_err err;

	if (!came_back(i))
		return;
	err = i->err;
	if (err == MSP_OK)
		err = cmb_zonemd_make(i->owner->apex.set[CMB_ZONEMD], i->v->serial, i->hashes, &i->digest, &zonemd);
	if (err != MSP_OK) {
		finish(i, err, &i->why);
		return;
	}
	mend_delta(i, zonemd);
	msp_rrset_free(&i->v->apex.set[CMB_ZONEMD]);
	i->v->apex.set[CMB_ZONEMD] = zonemd;
	i->v->notes &= ~CMB_NOTE_BIT(CMB_NOTE_ZONEMD_STRIPPED);
	verify(i);
}

/* A signed zone is passed on as it is, its ZONEMD too (PROTOCOL E.4 fence 1). */
static unsigned hashes_wanted(const struct cmb_inspect *i)
{
	if (i->profile->rules.zonemd != CMB_ZONEMD_RECOMPUTE || i->owner->is_signed)
		return 0;
	return cmb_zonemd_hashes(i->owner->apex.set[CMB_ZONEMD]);
}

static enum msp_err begin(struct cmb_inspect *i)
{
	struct cmb_apex apex = i->v->apex; /* borrowed, all of it */
	enum msp_err err = cmb_snap_open(i->h->app->pages, i->v->gen, &i->snap);

	if (err != MSP_OK)
		return err;
	i->hashes = hashes_wanted(i);
	if (i->hashes == 0)
		return MSP_OK;
	apex.set[CMB_ZONEMD] = NULL;
	err = cmb_apex_write(&apex, &i->apex);
	return err == MSP_OK ? to_pool(i, digest_zone, on_digested) : err;
}

static void run_line(void *arg)
{
	struct cmb_inspector *line = arg;
	struct cmb_inspect *i = line->first;
	enum msp_err err;

	while (i != NULL && i->is_running)
		i = i->next;
	if (i == NULL || line->running >= CMB_INSPECT_MAX)
		return;
	i->is_running = true;
	line->running++;
	msp_timer_start(line->kick, 0); /* there may be another one; finish() may end the line */
	err = begin(i);
	if (err != MSP_OK)
		finish(i, err, &i->why);
	else if (i->callbacks == 0)
		verify(i);
}

static enum msp_err open_line(struct cmb_app *app)
{
	struct cmb_inspector *line;
	enum msp_err err;

	if (app->inspector != NULL)
		return MSP_OK;
	line = msp_alloc(1, sizeof(*line));
	if (line == NULL)
		return MSP_ENOMEM;
	line->app = app;
	err = msp_timer_new(app->loop, run_line, line, &line->kick);
	if (err != MSP_OK) {
		msp_free(line);
		return err;
	}
	app->inspector = line;
	return MSP_OK;
}

/* What the version was planned from. */
static const struct cmb_owner *owner_of(struct cmb_hosted *h, const struct cmb_version *v)
{
	const struct cmb_zone *z;

	if (h->candidate != NULL && h->candidate->owner->gen == v->gen)
		return h->candidate->owner;
	z = cmb_hosted_zone(h);
	return z != NULL ? z->owner : NULL;
}

enum msp_err cmb_inspect_start(struct cmb_hosted *h, struct cmb_version *v, cmb_inspect_fn *done, void *arg,
			       struct cmb_inspect **out)
{
	const struct cmb_owner *owner = owner_of(h, v);
	struct cmb_inspect *i, **at;
	enum msp_err err;

	*out = NULL;
	if (owner == NULL)
		return MSP_ESTATE;
	i = msp_alloc(1, sizeof(*i));
	if (i == NULL)
		return MSP_ENOMEM;
	err = open_line(h->app);
	if (err != MSP_OK) {
		msp_free(i);
		return err;
	}
	i->line = h->app->inspector;
	i->h = h;
	i->v = v;
	i->owner = owner;
	i->settings = cmb_settings_ref(h->profile->settings);
	i->profile = h->profile;
	i->done = done;
	i->arg = arg;
	msp_buf_init(&i->apex, APEX_MAX);
	msp_buf_init(&i->text, CHUNK_MAX);
	pthread_mutex_init(&i->lock, NULL);
	pthread_cond_init(&i->idle, NULL);
	for (at = &i->line->first; *at != NULL;)
		at = &(*at)->next;
	*at = i;
	i->line->count++;
	msp_timer_start(i->line->kick, 0);
	*out = i;
	return MSP_OK;
}

bool cmb_inspect_has_room(const struct cmb_app *app)
{
	return app->inspector == NULL || app->inspector->count < CMB_INSPECT_LINE_MAX;
}

void cmb_inspect_cancel(struct cmb_inspect **i)
{
	struct cmb_inspect *old = *i;

	*i = NULL;
	if (old != NULL)
		detach(old);
}

const char *cmb_inspect_text(const struct cmb_inspect *i)
{
	if (!i->is_running)
		return "its turn to be inspected";
	return i->child != NULL ? "the verifier" : "the ZONEMD digest";
}
