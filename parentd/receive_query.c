/* SPDX-License-Identifier: BSD-2-Clause */
/* QUERY: KeyState inquiries (PROTOCOL B.2); what is published here is publish.h's. */
#include "publish.h"
#include "receive_priv.h"

static void verified(struct prt_request *q)
{
	if (prt_verify_done(q)) {
		q->has_state = true;
		q->state = q->key_state;
		prt_request_answer(q, true);
		return;
	}
	if (q->found == MSP_ESIG) { /* spec: B.2: the tag of a known key, a bad signature: no state */
		prt_request_refuse(q, false);
		return;
	}
	q->has_state = true;
	q->state = prt_verify_state(q);
	if (q->found == MSP_ENOKEY) { /* that is the answer to the question, not a refusal of it */
		q->refusal = (struct prt_refusal){ .rcode = MSP_RCODE_NOERROR };
		prt_call_spend(&q->call);
		prt_request_answer(q, false);
		return;
	}
	prt_request_refuse(q, false);
}

/* False: *no says why. The name is set when it can be a child of *parent. */
static bool check(struct prt_call *c, const struct prt_conf_parent **parent, struct msp_sig0_claim *claim,
		  struct prt_refusal *no)
{
	struct prt_app *app = c->r->app;
	const struct msp_name *name = &c->m.question.name;

	*parent = prt_settings_parent_of(app->settings, name);
	if (*parent == NULL || c->m.question.cls != MSP_CLASS_IN)
		return prt_refuse_std(no, MSP_EDE_NOT_AUTHORITATIVE, "B.2: name of a child of ours",
				      "%s: not below a parent here", MSP_NAME(name));
	if (c->m.sig0_at == 0)
		return prt_refuse_own(no, MSP_EDE_SIG0_REQUIRED, "B.2: signed by the key that is asked about", "%s",
				      msp_ede_text(MSP_EDE_SIG0_REQUIRED));
	if (msp_sig0_claim(&c->m, claim) != MSP_OK)
		return prt_refuse(no, MSP_RCODE_FORMERR, "C.3 step 3: form of the SIG(0)", "malformed SIG(0)");
	if (!msp_name_equal(&claim->sig.signer, name))
		return prt_refuse_std(no, MSP_EDE_PROHIBITED, "B.2: keys of the name that is asked about",
				      "%s asks about %s", MSP_NAME(&claim->sig.signer), MSP_NAME(name));
	return true;
}

static void inquiry(struct prt_call *c)
{
	struct prt_app *app = c->r->app;
	const struct msp_name *name = &c->m.question.name;
	const struct prt_conf_parent *parent;
	struct msp_sig0_claim claim;
	struct prt_refusal no;

	c->child = name;
	if (!check(c, &parent, &claim, &no)) {
		c->inquiry = PRT_INQUIRY_NONE;
		prt_call_refuse(c, &no);
		return;
	}
	/* spec: B.2: draft 02 asked with ANY, and nobody else's codes 0 and 1 come with it. */
	c->inquiry = prt_inquiry_read(&c->m.edns, &app->conf->numbers,
				      c->m.question.type == MSP_TYPE_ANY ||
					      prt_settings_rules(app->settings, parent, name)->keystate_compat_02,
				      &c->key_id);
	if (c->inquiry == PRT_INQUIRY_KEY && c->key_id != claim.sig.tag)
		c->inquiry = PRT_INQUIRY_MALFORMED;
	if (c->inquiry == PRT_INQUIRY_MALFORMED) {
		(void)prt_refuse(&no, MSP_RCODE_FORMERR, "B.2: KeyState", "malformed KeyState inquiry");
		prt_call_refuse_state(c, &no, MSP_KEYSTATE_MALFORMED);
		return;
	}
	if (!prt_books_may_have(app->books, name)) {
		app->stats.unknown_keys++;
		prt_refuse_no_child(&no, name);
		prt_call_refuse_state(c, &no, MSP_KEYSTATE_UNKNOWN);
		return;
	}
	prt_verify(c, &claim, parent, name, verified);
}

void prt_receive_query(struct prt_call *c)
{
	struct prt_app *app = c->r->app;
	struct prt_refusal no;
	uint16_t type = c->m.question.type;

	if (c->m.count[MSP_SEC_QUESTION] != 1) {
		(void)prt_refuse(&no, MSP_RCODE_FORMERR, "one question", "%u questions", c->m.count[MSP_SEC_QUESTION]);
		prt_call_refuse(c, &no);
		return;
	}
	if ((type == MSP_TYPE_KEY || type == MSP_TYPE_ANY) &&
	    prt_inquiry_read(&c->m.edns, &app->conf->numbers, false, &c->key_id) != PRT_INQUIRY_NONE) {
		inquiry(c);
		return;
	}
	prt_call_spend(c);
	if (prt_publisher_serve(app, &c->req, &c->m)) {
		c->req = NULL;
		return;
	}
	(void)prt_refuse_std(&no, MSP_EDE_NOT_AUTHORITATIVE, "questions about what is published here",
			     "nothing is served here but what children need");
	prt_call_refuse(c, &no);
}
