/* SPDX-License-Identifier: BSD-2-Clause */
#include "follow_priv.h"

#include <msproto/base/mem.h>

#include <stdio.h>
#include <string.h>

/* --- a run -------------------------------------------------------------------------------------------------------- */

enum msp_err prt_errand_open(struct prt_task *t, unsigned doing, struct prt_errand **out)
{
	struct prt_follow *f = t->f;
	struct prt_errand *r = msp_alloc(1, sizeof(*r));

	if (r == NULL)
		return MSP_ENOMEM;
	r->task = t;
	r->f = f;
	r->doing = doing;
	r->settings = prt_settings_ref(f->app->settings);
	msp_buf_init(&r->before, PRT_CHILD_MAX);
	prt_outcome_init(&r->judged);
	prt_outcome_init(&r->out);
	r->next = f->runs;
	if (f->runs != NULL)
		f->runs->prev = r;
	f->runs = r;
	*out = r;
	return MSP_OK;
}

static void drop_evidence(struct prt_errand *r)
{
	if (r->has_evidence)
		prt_evidence_fini(&r->evidence);
	r->has_evidence = false;
}

static void drop_kept(struct prt_errand *r)
{
	if (r->has_former)
		prt_evidence_fini(&r->former);
	if (r->has_base)
		prt_delegation_clear(&r->base);
	r->has_former = r->has_base = false;
}

static void drop_probed(struct prt_errand *r)
{
	if (r->has_probed)
		prt_delegation_clear(&r->probed);
	r->has_probed = false;
}

static void drop_child(struct prt_errand *r)
{
	if (r->has_child)
		prt_child_fini(&r->child);
	r->has_child = false;
}

static void drop_after(struct prt_errand *r)
{
	if (r->has_after)
		prt_child_fini(&r->after);
	r->has_after = false;
}

static void drop_asks(struct prt_errand *r)
{
	for (size_t i = 0; i < r->asks; i++) {
		msp_secure_free(&r->ask[i].secure);
		msp_rrset_free(&r->ask[i].set);
	}
	msp_free(r->ask);
	r->ask = NULL;
	r->asks = r->asks_left = 0;
}

static void drop_looking(struct prt_errand *r)
{
	struct prt_looking *l = r->looking;

	for (size_t i = 0; l != NULL && i < l->plains; i++) {
		if (l->plain[i].batch != NULL)
			msp_batch_cancel(&l->plain[i].batch);
		if (l->plain[i].xchg != NULL)
			msp_xchg_cancel(&l->plain[i].xchg);
		msp_rrset_free(&l->plain[i].keys);
	}
	if (l != NULL)
		msp_free(l->plain);
	msp_free(l);
	r->looking = NULL;
}

void prt_errand_free(struct prt_errand **run)
{
	struct prt_errand *r = *run;

	if (r == NULL)
		return;
	*(r->prev != NULL ? &r->prev->next : &r->f->runs) = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
	if (r->probe != NULL)
		prt_probe_cancel(&r->probe);
	drop_looking(r);
	drop_asks(r);
	drop_evidence(r);
	drop_kept(r);
	drop_probed(r);
	drop_child(r);
	drop_after(r);
	msp_buf_fini(&r->before);
	prt_outcome_fini(&r->judged);
	prt_outcome_fini(&r->out);
	prt_settings_unref(&r->settings);
	msp_free(r);
	*run = NULL;
}

/* --- no room ------------------------------------------------------------------------------------------------------ */

bool prt_errand_stall(struct prt_errand *r, prt_step_fn *resume)
{
	if (++r->stalls > PRT_STALLS_MAX)
		return false;
	r->resume = resume;
	if (r->f->stalled == NULL)
		msp_timer_start(r->f->stall, PRT_STALL_MS);
	r->stall_next = r->f->stalled;
	r->f->stalled = r;
	return true;
}

/* --- the pool: several runs are one piece of work when there are many ----------------------------------------------
 */

static void in_pool(void *arg)
{
	struct prt_pool_item *item = arg;

	for (size_t i = 0; i < item->count && !prt_work_is_left(item->work); i++)
		item->run[i]->work(item->run[i]);
}

static void serve_pool(struct prt_follow *f);

static void from_pool(void *arg)
{
	struct prt_pool_item *item = arg;
	struct prt_follow *f = item->f;
	struct prt_errand *run[PRT_POOL_BATCH];
	size_t count = item->count;

	memcpy(run, item->run, sizeof(run));
	item->count = 0; /* may be used again from here on */
	serve_pool(f);
	for (size_t i = 0; i < count; i++)
		run[i]->then(run[i], run[i]->err);
}

static void pool_stalled(struct prt_errand *r);

static void fill(struct prt_follow *f, struct prt_pool_item *item)
{
	while (item->count < PRT_POOL_BATCH && f->pool.first != NULL) {
		struct prt_errand *r = f->pool.first;

		f->pool.first = r->pool_next;
		if (f->pool.first == NULL)
			f->pool.last = NULL;
		r->pool_next = NULL;
		item->run[item->count++] = r;
	}
}

static void serve_pool(struct prt_follow *f)
{
	for (size_t i = 0; i < PRT_POOL_MAX && f->pool.first != NULL; i++) {
		struct prt_pool_item *item = &f->pool.item[i];

		if (item->work != NULL || item->count > 0)
			continue;
		item->f = f;
		fill(f, item);
		if (prt_work_start(f->app->loop, in_pool, from_pool, item, &item->work) == MSP_OK)
			continue;
		for (size_t k = 0; k < item->count; k++)
			pool_stalled(item->run[k]);
		item->count = 0;
		return;
	}
}

static void join_pool(struct prt_errand *r)
{
	r->pool_next = NULL;
	*(r->f->pool.last != NULL ? &r->f->pool.last->pool_next : &r->f->pool.first) = r;
	r->f->pool.last = r;
	serve_pool(r->f);
}

static void pool_stalled(struct prt_errand *r)
{
	if (!prt_errand_stall(r, join_pool))
		r->then(r, MSP_EBUSY);
}

void prt_errand_work(struct prt_errand *r, prt_step_fn *work, prt_then_fn *then)
{
	r->work = work;
	r->then = then;
	r->err = MSP_OK;
	join_pool(r);
}

void prt_work_stop(struct prt_follow *f)
{
	for (size_t i = 0; i < PRT_POOL_MAX; i++)
		prt_work_leave(&f->pool.item[i].work);
}

/* --- the child ---------------------------------------------------------------------------------------------------- */

static enum msp_err peek(struct prt_errand *r)
{
	enum msp_err err;

	drop_child(r);
	err = prt_books_peek(r->f->app->books, &r->task->child, &r->child);
	r->has_child = err == MSP_OK;
	return err;
}

/* A parent that is not configured here (any more) leaves its children in the books: nothing is done for them. */
static enum msp_err find_rules(struct prt_errand *r)
{
	const struct prt_conf_parent *parent = prt_settings_parent(r->settings, &r->child.parent);

	if (parent == NULL)
		return MSP_ENOTFOUND;
	r->rules = prt_settings_rules(r->settings, parent, &r->child.name);
	return MSP_OK;
}

static void load(struct prt_errand *r)
{
	r->err = peek(r);
	if (r->err == MSP_OK)
		r->err = find_rules(r);
}

void prt_errand_load(struct prt_errand *r, prt_then_fn *then)
{
	prt_errand_work(r, load, then);
}

/* --- deciding ----------------------------------------------------------------------------------------------------- */

static enum msp_err as_stored(const struct prt_child *c, struct msp_wall now, struct msp_buf *out)
{
	msp_buf_reset(out);
	return prt_child_write(c, now, out);
}

/* Nothing has come of it but that it was looked at: that alone is not worth a write. */
static bool is_idle(struct prt_errand *r)
{
	struct msp_wall last = r->after.scan.last;
	struct msp_buf octets;
	bool same;

	if (r->judged.entries > 0 || r->judged.need != 0 || (r->child.flags & PRT_CHILD_NOTICED) != 0)
		return false;
	msp_buf_init(&octets, PRT_CHILD_MAX);
	r->after.scan.last = r->child.scan.last;
	same = prt_child_write(&r->after, r->now, &octets) == MSP_OK &&
	       msp_span_equal(msp_buf_span(&octets), msp_buf_span(&r->before));
	r->after.scan.last = last;
	msp_buf_fini(&octets);
	return same;
}

/* In a worker: the child as it is now, and what would become of it. */
static void judge(struct prt_errand *r)
{
	drop_after(r);
	prt_outcome_fini(&r->judged);
	prt_outcome_init(&r->judged);
	r->is_obsolete = r->is_given = false;
	r->err = peek(r);
	if (r->err == MSP_OK)
		r->err = as_stored(&r->child, r->now, &r->before);
	if (r->err == MSP_OK)
		r->err = prt_child_read(msp_buf_span(&r->before), &r->after);
	r->has_after = r->err == MSP_OK;
	if (r->err == MSP_OK)
		r->err = r->decide(r, &r->after, r->now, &r->judged);
	if (r->err == MSP_OK && (!r->judged.is_changed || is_idle(r)))
		drop_after(r); /* nothing to store */
}

/*
 * The judgement holds for the child that it was made of. It is handed over once: a transaction that is run again finds
 * nothing, and all is judged anew.
 */
static enum msp_err hand_over(void *arg, struct prt_child *c, bool exists, struct msp_wall now, struct prt_outcome *out)
{
	struct prt_errand *r = arg;
	struct msp_buf octets;
	enum msp_err err;

	(void)now;
	if (!exists)
		return MSP_ENOTFOUND;
	if (r->is_given)
		return MSP_ESTATE;
	msp_buf_init(&octets, PRT_CHILD_MAX);
	err = prt_child_write(c, r->now, &octets);
	if (err == MSP_OK && !msp_span_equal(msp_buf_span(&octets), msp_buf_span(&r->before)))
		err = MSP_ESTATE;
	msp_buf_fini(&octets);
	if (err != MSP_OK)
		return err;
	prt_child_fini(c);
	*c = r->after;
	r->has_after = false;
	prt_outcome_fini(out);
	*out = r->judged;
	prt_outcome_init(&r->judged);
	r->is_given = true;
	return MSP_OK;
}

static enum msp_err decide_there(void *arg, struct prt_child *c, bool exists, struct msp_wall now,
				 struct prt_outcome *out)
{
	struct prt_errand *r = arg;

	r->is_obsolete = false;
	return exists ? r->decide(r, c, now, out) : MSP_ENOTFOUND;
}

static void judge_again(struct prt_errand *r);

static void from_books(void *arg, enum msp_err err)
{
	struct prt_errand *r = arg;

	r->is_in_books = false;
	if (err == MSP_ESTATE && r->is_judged)
		judge_again(r);
	else
		r->decided(r, err);
}

static void to_books(struct prt_errand *r)
{
	enum msp_err err;

	prt_outcome_fini(&r->out);
	prt_outcome_init(&r->out);
	r->is_in_books = true;
	err = prt_books_do(r->f->app->books, &r->task->child, &r->task->child, r->is_judged ? hand_over : decide_there,
			   from_books, r, &r->out);
	if (err == MSP_OK)
		return;
	r->is_in_books = false;
	if (err != MSP_EBUSY || !prt_errand_stall(r, to_books))
		r->decided(r, err);
}

static void judged(struct prt_errand *r, enum msp_err err)
{
	if (err == MSP_OK && r->has_after) {
		to_books(r);
		return;
	}
	prt_outcome_fini(&r->out);
	r->out = r->judged;
	prt_outcome_init(&r->judged);
	r->decided(r, err);
}

static void judge_again(struct prt_errand *r)
{
	if (r->races++ < PRT_RACES_MAX) {
		r->now = r->f->wall();
		prt_errand_work(r, judge, judged);
		return;
	}
	r->is_judged = false;
	to_books(r);
}

void prt_errand_decide(struct prt_errand *r, prt_decide_fn *fn, prt_then_fn *then)
{
	r->decide = fn;
	r->decided = then;
	r->is_judged = true;
	r->races = 0;
	judge_again(r);
}

void prt_errand_note(struct prt_errand *r, prt_decide_fn *fn, prt_then_fn *then)
{
	r->decide = fn;
	r->decided = then;
	r->is_judged = false;
	to_books(r);
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

static void seen(void *arg, struct prt_evidence *evidence)
{
	struct prt_errand *r = arg;

	r->probe = NULL;
	drop_evidence(r);
	r->evidence = *evidence;
	r->has_evidence = true;
	r->then(r, MSP_OK);
}

static void probe(struct prt_errand *r)
{
	unsigned how =
		(r->rules->check.shape.private_addresses ? PRT_PROBE_PRIVATE : 0u) | (r->is_idle ? PRT_PROBE_IDLE : 0u);
	enum msp_err err =
		prt_probe_start(r->f->app->prober, &r->probed, r->known, r->questions | how, seen, r, &r->probe);

	if (err != MSP_OK && (err != MSP_EBUSY || !prt_errand_stall(r, probe)))
		r->then(r, err);
}

void prt_errand_probe(struct prt_errand *r, const struct prt_delegation *d, const struct prt_delegation *known,
		      unsigned questions, prt_then_fn *then)
{
	r->known = known;
	r->then = then;
	r->questions = questions;
	if (d != &r->probed) {
		drop_probed(r);
		r->has_probed = prt_delegation_dup(d, &r->probed) == MSP_OK;
	}
	if (r->has_probed)
		probe(r);
	else
		then(r, MSP_ENOMEM);
}

enum msp_err prt_errand_asks(struct prt_errand *r, size_t count)
{
	drop_asks(r);
	r->ask = msp_alloc(count ? count : 1, sizeof(*r->ask));
	if (r->ask == NULL)
		return MSP_ENOMEM;
	r->asks = count;
	return MSP_OK;
}

static void answered(struct prt_lookup *a, enum msp_lookup verdict)
{
	struct prt_errand *r = a->run;

	a->verdict = verdict;
	if (--r->asks_left == 0)
		r->asked(r);
}

static void on_secure(void *arg, enum msp_lookup verdict, struct msp_secure_rrset *secure, const char *why)
{
	struct prt_lookup *a = arg;

	(void)why;
	a->secure = secure;
	answered(a, verdict);
}

static void on_open(void *arg, const struct msp_open_answer *answer)
{
	struct prt_lookup *a = arg;
	enum msp_lookup verdict = answer->verdict;

	if (answer->set != NULL && msp_rrset_dup(answer->set, &a->set) != MSP_OK)
		verdict = MSP_LOOKUP_FAILED;
	answered(a, verdict);
}

static enum msp_err ask(struct msp_resolver *resolver, struct prt_lookup *a)
{
	if (resolver == NULL || a->name.len == 0)
		return MSP_ENET;
	if (a->is_open)
		return msp_resolver_ask_open(resolver, &a->name, a->type, on_open, a);
	return msp_resolver_ask(resolver, &a->name, a->type, on_secure, a);
}

void prt_errand_ask(struct prt_errand *r, prt_step_fn *asked)
{
	r->asked = asked;
	r->asks_left = r->asks + 1; /* not before all have been asked */
	for (size_t i = 0; i < r->asks; i++) {
		r->ask[i].run = r;
		if (!r->ask[i].is_known && ask(r->f->app->resolver, &r->ask[i]) == MSP_OK)
			continue;
		if (!r->ask[i].is_known)
			r->ask[i].verdict = MSP_LOOKUP_FAILED;
		r->asks_left--;
	}
	if (--r->asks_left == 0)
		asked(r);
}

enum msp_err prt_signal_name(const char *labels, const struct msp_name *child, const struct msp_name *ns,
			     struct msp_name *out)
{
	struct msp_name suffix;
	enum msp_err err = msp_name_prepend("_signal", ns, &suffix);

	if (err == MSP_OK)
		err = msp_name_concat(child, &suffix, out);
	return err == MSP_OK ? msp_name_prepend(labels, out, out) : err;
}

size_t prt_outside_ns(const struct prt_delegation *d, struct msp_name out[PRT_NS_MAX])
{
	const struct msp_rrset *ns = prt_delegation_ns(d);
	size_t count = 0;

	for (size_t i = 0; ns != NULL && i < ns->count && count < PRT_NS_MAX; i++)
		if (msp_rdata_name_parse(ns->rdata[i], &out[count]) == MSP_OK &&
		    !msp_name_is_under(&out[count], &d->child))
			count++;
	return count;
}
