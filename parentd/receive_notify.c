/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NOTIFY: of a child about its CDS or CSYNC (RFC 9859), and of a parent zone's primary about its SOA (RFC 1996). It
 * proves nothing and only advances a timer: so it is answered first, from what is in memory, and nothing is looked up.
 */
#include "backend.h"
#include "receive_priv.h"

#include <msproto/msg/notify.h>

/* --- the report channel ---------------------------------------------------------------------------------------------
 */

/* Option 18, RFC 9567: a name. False: there is none, or none that can be used. */
static bool read_agent(const struct prt_call *c, struct msp_name *agent)
{
	struct msp_option o;

	return c->m.edns.present && msp_edns_find(&c->m.edns, MSP_OPT_REPORT_CHANNEL, &o) &&
	       msp_name_from_wire(o.data, agent) == MSP_OK && !msp_name_is_root(agent);
}

/* In a worker. PROTOCOL B.4: reports go to the name servers of the present delegation and to nobody else. */
static void check_agent(struct prt_request *q)
{
	const struct msp_rrset *ns;
	struct prt_child child;
	struct msp_name agent, host;

	q->found = MSP_ENOTFOUND;
	if (!read_agent(&q->call, &agent) || prt_books_peek(q->call.r->app->books, &q->child, &child) != MSP_OK)
		return;
	ns = prt_delegation_ns(&child.registered);
	for (size_t i = 0; ns != NULL && i < ns->count && q->found != MSP_OK; i++)
		if (msp_name_from_wire(ns->rdata[i], &host) == MSP_OK && msp_name_is_under(&agent, &host))
			q->found = MSP_OK;
	prt_child_fini(&child);
}

static void take(struct prt_app *app, const struct msp_name *child, uint16_t type, const struct msp_name *agent)
{
	if (!prt_follow_notify(app, child, type, agent))
		app->stats.notifies_coalesced++;
}

static void agent_checked(struct prt_request *q)
{
	struct msp_name agent;
	bool is_good = q->found == MSP_OK && read_agent(&q->call, &agent);

	take(q->call.r->app, &q->child, q->call.m.question.type, is_good ? &agent : NULL);
	prt_request_end(q);
}

/* With a report channel the delegation has to be read: by a worker, behind the answer. */
static bool hand_on(struct prt_call *c, const struct msp_name *child, const struct prt_refusal *yes)
{
	struct msp_name agent;
	struct prt_request *q;

	if (!read_agent(c, &agent))
		return false;
	q = prt_request_new(c);
	if (q == NULL)
		return false;
	prt_call_answer(&q->call, yes, MSP_FLAG_AA);
	q->child = *child;
	q->work = check_agent;
	q->after = agent_checked;
	prt_crew_add(q->call.r, q);
	return true;
}

/* --- of a child -----------------------------------------------------------------------------------------------------
 */

/* RFC 9859 4.2: one child for each message. */
static bool is_about_one(struct prt_call *c)
{
	struct msp_msg_it it;
	struct msp_rr rr;

	for (int s = MSP_SEC_ANSWER; s <= MSP_SEC_AUTHORITY; s++) {
		msp_msg_it_init(&it, &c->m, (enum msp_section)s, &c->r->scratch);
		while (msp_msg_next(&it, &rr))
			if (!msp_name_equal(&rr.owner, &c->m.question.name))
				return false;
	}
	return true;
}

static bool check(struct prt_call *c, struct prt_refusal *no)
{
	static const char rule[] = "G.3: NOTIFY of a child";
	struct prt_app *app = c->r->app;
	const struct msp_name *child = &c->m.question.name;
	const struct prt_conf_parent *parent = prt_settings_parent_of(app->settings, child);
	uint16_t type = c->m.question.type;

	if (parent == NULL) {
		prt_refuse_no_child(no, child);
		return false;
	}
	if (!prt_settings_announces(app->settings, parent, child, type))
		return prt_refuse_own(no, MSP_EDE_SCHEME_NOT_ADVERTISED, rule, "%s: %s", MSP_TYPE(type),
				      msp_ede_text(MSP_EDE_SCHEME_NOT_ADVERTISED));
	if (!prt_books_may_have(app->books, child)) {
		prt_refuse_no_child(no, child);
		return false;
	}
	return true;
}

static void of_child(struct prt_call *c)
{
	struct prt_refusal no, yes = { .rcode = MSP_RCODE_NOERROR };
	struct msp_name child = c->m.question.name; /* the message ends with the answer */
	uint16_t type = c->m.question.type;

	c->child = &child;
	if (!check(c, &no)) {
		prt_call_refuse(c, &no);
		return;
	}
	prt_call_spend(c);
	c->r->app->stats.notifies++;
	if (!prt_name_take(c->r, c->r->notices, &child, c->now)) {
		(void)prt_refuse_std(&no, MSP_EDE_BLOCKED, "G.3: limit of NOTIFYs for a child", "limited");
		no.rcode = MSP_RCODE_NOERROR;
		prt_call_answer(c, &no, MSP_FLAG_AA);
		return;
	}
	if (hand_on(c, &child, &yes))
		return;
	prt_call_answer(c, &yes, MSP_FLAG_AA);
	take(c->r->app, &child, type, NULL);
}

/* --- of a primary ---------------------------------------------------------------------------------------------------
 */

static void of_primary(struct prt_call *c)
{
	struct prt_app *app = c->r->app;
	struct msp_name zone = c->m.question.name;
	struct prt_refusal no = { .rcode = MSP_RCODE_NOERROR };

	if (prt_settings_parent(app->settings, &zone) == NULL) {
		(void)prt_refuse_std(&no, MSP_EDE_NOT_AUTHORITATIVE, "RFC 1996: a zone of ours", "zone not known here");
		no.rcode = MSP_RCODE_NOTAUTH;
		prt_call_refuse(c, &no);
		return;
	}
	if (!prt_importer_notify(app, &zone, &c->peer)) {
		(void)prt_refuse_std(&no, MSP_EDE_PROHIBITED, "RFC 1996 3.10: NOTIFY only from a primary",
				     "not a primary of the zone");
		prt_call_refuse(c, &no);
		return;
	}
	prt_call_spend(c);
	prt_call_answer(c, &no, MSP_FLAG_AA);
}

void prt_receive_notify(struct prt_call *c)
{
	struct msp_why why = { "" };
	struct prt_refusal no;
	bool has_hint;
	uint32_t hint;

	if (c->m.count[MSP_SEC_QUESTION] != 1 || !is_about_one(c)) {
		prt_call_spend(c);
		return; /* PROTOCOL G.3: discarded */
	}
	if (msp_notify_check(&c->m, &c->r->scratch, &has_hint, &hint, &why) != MSP_OK) {
		(void)prt_refuse(&no, MSP_RCODE_FORMERR, "RFC 1996: form of a NOTIFY", "%s", why.text);
		prt_call_refuse(c, &no);
		return;
	}
	if (c->m.question.type == MSP_TYPE_SOA)
		of_primary(c);
	else
		of_child(c);
}
