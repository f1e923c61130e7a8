/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy.h"

#include <string.h>

#define DAY_S 86400

const struct prt_policy prt_policy_closed = { .cooldown_s = 300, .changes_per_day = 10 };

const char *prt_source_name(enum prt_source s)
{
	static const char *const names[PRT_SRC__N] = { "update", "tsig", "cds", "dsboot", "csync", "operator" };

	return s < PRT_SRC__N ? names[s] : s == PRT_SRC_NONE ? "none" : "?";
}

unsigned prt_source_may_touch(enum prt_source s)
{
	static const unsigned may[PRT_SRC__N] = {
		[PRT_SRC_UPDATE] = PRT_TOUCH_ALL,
		[PRT_SRC_TSIG] = PRT_TOUCH_NS | PRT_TOUCH_DS | PRT_TOUCH_GLUE, /* G.6: a key speaks for itself */
		[PRT_SRC_CDS] = PRT_TOUCH_DS,
		[PRT_SRC_DSBOOT] = PRT_TOUCH_DS,
		[PRT_SRC_CSYNC] = PRT_TOUCH_NS | PRT_TOUCH_GLUE,
		[PRT_SRC_OPERATOR] = PRT_TOUCH_NS | PRT_TOUCH_DS | PRT_TOUCH_GLUE,
	};

	return s < PRT_SRC__N ? may[s] : 0;
}

unsigned prt_touches(const struct prt_delegation *before, const struct prt_delegation *after)
{
	const struct prt_delegation *side[] = { before, after };
	unsigned touch = 0;

	for (size_t k = 0; k < 2; k++) {
		for (size_t i = 0; i < side[k]->count; i++) {
			const struct msp_rrset *s = side[k]->set[i];
			const struct msp_rrset *o = prt_delegation_get(side[1 - k], &s->owner, s->type);

			if (o != NULL && o->ttl == s->ttl && msp_rrset_equal(o, s))
				continue;
			touch |= s->type == MSP_TYPE_NS   ? PRT_TOUCH_NS
				 : s->type == MSP_TYPE_DS ? PRT_TOUCH_DS
							  : PRT_TOUCH_GLUE;
		}
	}
	return touch;
}

/* --- the table ------------------------------------------------------------------------------------------------------
 */

struct question {
	const struct prt_policy *p;
	const struct prt_case *c;
	struct msp_wall now;
};

static bool always(const struct question *q)
{
	return q->c != NULL;
}

static bool is_locked(const struct question *q)
{
	return q->c->is_locked;
}

static bool is_operator(const struct question *q)
{
	return q->c->source == PRT_SRC_OPERATOR;
}

static bool is_closed(const struct question *q)
{
	return q->c->source >= PRT_SRC__N || (q->p->sources & 1u << q->c->source) == 0;
}

static bool touches_nothing(const struct question *q)
{
	return q->c->touch == 0;
}

static bool touches_too_much(const struct question *q)
{
	return (q->c->touch & ~q->p->touch) != 0;
}

static bool goes_insecure(const struct question *q)
{
	return (q->c->losses & PRT_LOSS_LAST_DS) != 0;
}

static bool may_not_go_insecure(const struct question *q)
{
	return goes_insecure(q) && !q->p->allow_delete;
}

/* A key may be stolen, a server lied to: what cannot be undone for a DS TTL is asked for twice. */
static bool is_unconfirmed(const struct question *q)
{
	return goes_insecure(q) && !q->c->is_confirmed;
}

static bool changed_just_now(const struct question *q)
{
	int64_t age = q->now.s - q->c->last.s;

	/* a clock that was set back: as if the change had been made now */
	return q->c->last.s != 0 && age < (int64_t)q->p->cooldown_s;
}

static bool changed_too_often(const struct question *q)
{
	return q->p->changes_per_day != 0 && q->c->today >= q->p->changes_per_day;
}

static bool wants_operator(const struct question *q)
{
	return q->p->propose;
}

static const struct row {
	const char *name;
	bool (*matches)(const struct question *q);
	enum prt_decision decision;
	enum msp_ede_own ede; /* with REFUSE; 0: the standard one */
	enum msp_ede_std std;
	const char *text;
} table[] = {
	{ "operator", is_operator, PRT_ALLOW, 0, 0, "" },
	{ "locked", is_locked, PRT_REFUSE, MSP_EDE_ZONE_LOCKED, 0, "the delegation is locked" },
	{ "source-closed", is_closed, PRT_REFUSE, MSP_EDE_SCHEME_NOT_ADVERTISED, 0,
	  "not open to this kind of request" },
	{ "no-change", touches_nothing, PRT_ALLOW, 0, 0, "" },
	{ "type-closed", touches_too_much, PRT_REFUSE, MSP_EDE_UPDATE_TYPE, 0,
	  "not all of these types may be changed here" },
	{ "no-delete", may_not_go_insecure, PRT_REFUSE, MSP_EDE_CHAIN_WOULD_BREAK, 0, "the last DS stays" },
	{ "per-day", changed_too_often, PRT_LATER, 0, MSP_EDE_BLOCKED, "too many changes of this delegation in a day" },
	{ "cool-down", changed_just_now, PRT_LATER, 0, MSP_EDE_BLOCKED, "the last change is too recent" },
	{ "confirm-delete", is_unconfirmed, PRT_CONFIRM, 0, 0, "" },
	{ "propose", wants_operator, PRT_PROPOSE, 0, 0, "" },
	{ "apply", always, PRT_ALLOW, 0, 0, "" },
};

static void refuse(const struct row *row, struct prt_ruling *out)
{
	if (row->ede != 0)
		(void)prt_refuse_own(&out->refusal, row->ede, row->name, "%s", row->text);
	else
		(void)prt_refuse_std(&out->refusal, row->std, row->name, "%s", row->text);
}

void prt_policy_change(const struct prt_policy *p, const struct prt_case *c, struct msp_wall now,
		       struct prt_ruling *out)
{
	const struct question q = { p, c, now };

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct row *row = &table[i];

		if (!row->matches(&q))
			continue;
		out->decision = row->decision;
		out->rule = row->name;
		if (row->decision == PRT_REFUSE || row->decision == PRT_LATER)
			refuse(row, out);
		if (row->decision == PRT_LATER)
			out->not_before.s = row->matches == changed_just_now ? c->last.s + (int64_t)p->cooldown_s
									     : now.s + DAY_S / 24;
		return;
	}
	out->decision = PRT_REFUSE; /* the last row matches everything; without it: no */
	out->rule = "none";
	(void)prt_refuse_std(&out->refusal, MSP_EDE_PROHIBITED, out->rule, "no rule allows it");
}

void prt_policy_key(const struct prt_policy *p, enum prt_method method, struct prt_ruling *out)
{
	memset(out, 0, sizeof(*out));
	if (method == PRT_METHOD_MANUAL || method == PRT_METHOD_ROLLOVER) {
		out->decision = PRT_ALLOW; /* an operator, or a key that is trusted, has spoken */
		out->rule = prt_method_name(method);
	} else if (method >= PRT_METHOD__N || (p->methods & 1u << method) == 0) {
		out->decision = PRT_REFUSE;
		out->rule = "method-closed";
		(void)prt_refuse_own(&out->refusal, MSP_EDE_KEY_NOT_TRUSTED, out->rule, "%s is not a way to trust here",
				     prt_method_name(method));
	} else {
		out->decision = p->keys_need_human ? PRT_PROPOSE : PRT_ALLOW;
		out->rule = p->keys_need_human ? "keys-need-human" : prt_method_name(method);
	}
}
