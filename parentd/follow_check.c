/* SPDX-License-Identifier: BSD-2-Clause */
/* What is due, and the look at the servers of a change that waits for it. */
#include "follow_priv.h"

/* --- tick --------------------------------------------------------------------------------------------------------- */

/* Of several processes that have seen it due one is first; the tick puts off what it asks for, the others find nothing.
 */
static enum msp_err tick(struct prt_errand *r, struct prt_child *c, struct msp_wall now, struct prt_outcome *out)
{
	const struct prt_conf_parent *parent = prt_settings_parent(r->settings, &c->parent);
	struct msp_wall due = prt_child_due(c);

	if (parent == NULL || due.s == 0 || due.s > now.s) /* no parent: as in follow_work.c */
		return MSP_OK;
	return prt_desk_tick(prt_settings_rules(r->settings, parent, &c->name), c, now, out);
}

static void ticked(struct prt_errand *r, enum msp_err err)
{
	if (err == MSP_OK)
		prt_errand_outcome(r);
	prt_errand_end(r, err);
}

void prt_tick_begin(struct prt_errand *r)
{
	prt_errand_note(r, tick, ticked);
}

/* --- check -------------------------------------------------------------------------------------------------------- */

static bool waits(const struct prt_child *c)
{
	return c->pending.wait == PRT_WAIT_CHECKS;
}

static enum msp_err check(struct prt_errand *r, struct prt_child *c, struct msp_wall now, struct prt_outcome *out)
{
	if (!waits(c))
		return MSP_OK;
	r->is_obsolete = !prt_delegation_equal(&c->pending.wanted, &r->probed);
	return r->is_obsolete ? MSP_OK : prt_desk_checked(r->rules, c, &r->evidence, now, out);
}

static void checked(struct prt_errand *r, enum msp_err err)
{
	if (err == MSP_OK)
		prt_errand_outcome(r);
	prt_errand_end(r, err);
}

static void check_seen(struct prt_errand *r, enum msp_err err)
{
	/* No name server at all: nothing is seen, and that is judged too. */
	if (err == MSP_EVALUE) {
		err = prt_evidence_new(&r->task->child, 0, &r->evidence);
		r->has_evidence = err == MSP_OK;
	}
	if (err == MSP_OK)
		prt_errand_decide(r, check, checked);
	else
		prt_errand_end(r, err); /* it is due again by itself */
}

static void check_loaded(struct prt_errand *r, enum msp_err err)
{
	if (err != MSP_OK || !waits(&r->child)) {
		prt_errand_end(r, err);
		return;
	}
	r->f->app->stats.checks++;
	prt_errand_probe(r, &r->child.pending.wanted, &r->child.registered, PRT_PROBE_CHECK, check_seen);
}

void prt_check_begin(struct prt_errand *r)
{
	prt_errand_load(r, check_loaded);
}
