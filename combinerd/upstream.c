/* SPDX-License-Identifier: BSD-2-Clause */
/* Performs what the refresh machine asks for: SOA queries and transfers from the primaries. */
#include "shell.h"

#include <string.h>

#define ASK_MS_1 2000
#define ASK_MS_2 4000

static const struct cmb_conf_remote *primary(const struct cmb_hosted *h)
{
	return cmb_conf_remote_at(&h->conf->primaries, h->refresh.primary);
}

static void failed(struct cmb_hosted *h, const char *what, enum msp_err err, const struct msp_why *why)
{
	const char *detail = why != NULL && why->text[0] != '\0' ? why->text : msp_err_text(err);

	(void)msp_fail(&h->last_error, err, "%s from %s: %.160s", what, MSP_ADDR(&primary(h)->addr), detail);
	h->last_error_at = msp_wall_now();
	msp_log(h->app->log, MSP_LOG_WARNING, "refresh-failed", MSP_F_STR("zone", MSP_NAME(&h->conf->name)),
		MSP_F_STR("what", what), MSP_F_STR("primary", MSP_ADDR(&primary(h)->addr)),
		MSP_F_STR("error", msp_err_name(err)), MSP_F_STR("why", detail));
}

/* --- SOA query
 * --------------------------------------------------------------------------------------------------------- */

static enum msp_err find_soa(struct cmb_hosted *h, const struct msp_msg *m, uint32_t *serial, struct msp_why *why)
{
	struct msp_msg_it it;
	struct msp_rr rr;

	if (m->rcode != MSP_RCODE_NOERROR)
		return msp_fail(why, MSP_ERCODE, "answered %s", msp_rcode_name(m->rcode));
	msp_msg_it_init(&it, m, MSP_SEC_ANSWER, &h->app->scratch);
	while (msp_msg_next(&it, &rr)) {
		if (rr.type != MSP_TYPE_SOA || rr.cls != MSP_CLASS_IN || !msp_name_equal(&rr.owner, &h->conf->name))
			continue;
		*serial = msp_soa_serial(rr.rdata);
		return MSP_OK;
	}
	return msp_fail(why, MSP_EFORMAT, "no SOA in the answer");
}

static enum msp_err read_answer(struct cmb_hosted *h, struct msp_span answer, uint32_t *serial, struct msp_why *why)
{
	struct msp_msg m;
	enum msp_err err = msp_msg_parse(answer, &h->app->scratch, &m, why);

	if (err == MSP_OK)
		err = msp_tsig_verify_response(&h->ask_tsig, &m, true, msp_wall_now(), why);
	return err == MSP_OK ? find_soa(h, &m, serial, why) : err;
}

static void asked(void *arg, enum msp_err err, struct msp_span answer)
{
	struct cmb_hosted *h = arg;
	struct msp_why why = { "" };
	uint32_t serial = 0;

	h->ask = NULL;
	if (err == MSP_OK)
		err = read_answer(h, answer, &serial, &why);
	msp_tsig_ctx_fini(&h->ask_tsig);
	memset(&h->ask_tsig, 0, sizeof(h->ask_tsig));
	if (err != MSP_OK) {
		failed(h, "SOA", err, &why);
		cmb_upstream_event(h, CMB_REV_ASK_FAILED);
	} else if (cmb_serials_is_news(&h->zone.serials, serial)) {
		cmb_upstream_event(h, CMB_REV_AHEAD);
	} else {
		cmb_hosted_refreshed(h);
		cmb_upstream_event(h, CMB_REV_SAME);
	}
}

static enum msp_err start_ask(struct cmb_hosted *h)
{
	const struct cmb_conf_remote *to = primary(h);
	struct msp_xchg_params p = { .server = to->addr, .source = to->source, .timeout_ms = { ASK_MS_1, ASK_MS_2 } };
	uint8_t mem[MSP_NAME_MAX + MSP_HEADER_LEN + 4 + MSP_TSIG_RR_MAX];
	struct msp_msgw w;
	struct msp_span query;
	enum msp_err err;
	size_t len;

	msp_msgw_init(&w, mem, sizeof(mem), msp_rand_u16(&h->app->rand), MSP_OPCODE_QUERY, 0);
	msp_msgw_question(&w, &h->conf->name, MSP_TYPE_SOA, MSP_CLASS_IN);
	err = msp_msgw_finish(&w, &query);
	if (err != MSP_OK)
		return err;
	len = query.len;
	err = msp_tsig_sign_request(cmb_app_key(h->app, &to->tsig_key), msp_wall_now(), mem, &len, sizeof(mem),
				    &h->ask_tsig);
	if (err != MSP_OK)
		return err;
	p.message = msp_span(mem, len);
	return msp_xchg_start(h->app->loop, &p, asked, h, &h->ask);
}

/* --- transfer
 * ----------------------------------------------------------------------------------------------------------- */

static enum msp_err take(struct cmb_hosted *h, const struct msp_xfr_result *r, bool *is_new, struct msp_why *why)
{
	enum msp_err err = r->err;
	uint32_t serial;

	*is_new = false;
	*why = r->why;
	if (err != MSP_OK) {
		if (h->intake.why.text[0] != '\0')
			*why = h->intake.why; /* our reason to stop it */
		return err;
	}
	if (r->state != MSP_XFRIN_DONE)
		return msp_fail(why, MSP_EFORMAT, "the answer to AXFR was no zone");
	serial = cmb_apex_serial(&h->intake.owner->apex);
	if (h->refresh.is_held && !h->refresh.is_forced && !cmb_serials_is_news(&h->zone.serials, serial))
		return MSP_OK; /* as any secondary would: nothing new */
	err = cmb_intake_finish(&h->intake);
	if (err != MSP_OK) {
		*why = h->intake.why;
		return err;
	}
	if (r->out_of_zone > 0)
		msp_log(h->app->log, MSP_LOG_WARNING, "out-of-zone-dropped",
			MSP_F_STR("zone", MSP_NAME(&h->conf->name)), MSP_F_U64("records", r->out_of_zone));
	*is_new = true;
	return cmb_hosted_take_owner(h, why);
}

static void fetched(void *arg, const struct msp_xfr_result *r)
{
	struct cmb_hosted *h = arg;
	struct msp_why why = { "" };
	bool is_new;
	enum msp_err err;

	h->fetch = NULL;
	err = take(h, r, &is_new, &why);
	if (err == MSP_OK && is_new) {
		h->transfers_in++;
		msp_log(h->app->log, MSP_LOG_NOTICE, "transfer-in", MSP_F_STR("zone", MSP_NAME(&h->conf->name)),
			MSP_F_STR("primary", MSP_ADDR(&primary(h)->addr)),
			MSP_F_U64("owner-serial", cmb_apex_serial(&h->zone.owner->apex)),
			MSP_F_U64("records", r->records), MSP_F_U64("octets", r->octets));
	}
	cmb_intake_close(&h->intake);
	if (err != MSP_OK) {
		failed(h, "AXFR", err, &why);
		cmb_upstream_event(h, CMB_REV_FETCH_FAILED);
		return;
	}
	if (!is_new)
		cmb_hosted_refreshed(h);
	h->last_error.text[0] = '\0';
	cmb_upstream_event(h, CMB_REV_FETCHED);
}

static enum msp_err start_fetch(struct cmb_hosted *h)
{
	const struct cmb_conf_remote *to = primary(h);
	struct msp_xfr_params p = {
		.server = to->addr, .source = to->source, .zone = h->conf->name, .kind = MSP_XFR_AXFR
	};
	enum msp_err err = cmb_intake_open(&h->intake, h->app->pages, &h->conf->name, &h->app->conf.numbers);

	if (err != MSP_OK)
		return err;
	p.tsig = cmb_app_key(h->app, &to->tsig_key);
	p.limits.records = (uint64_t)h->conf->max_records;
	p.limits.octets = h->conf->max_octets;
	p.idle_timeout_ms = h->conf->transfer_idle_s * 1000;
	p.total_timeout_ms = h->conf->transfer_max_s * 1000;
	err = msp_xfr_start(h->app->loop, &p, &cmb_intake_ops, &h->intake, fetched, h, &h->fetch);
	if (err != MSP_OK)
		cmb_intake_close(&h->intake);
	return err;
}

/* --- the machine
 * --------------------------------------------------------------------------------------------------------- */

static void timer_due(void *arg)
{
	cmb_upstream_event(arg, CMB_REV_TIMER);
}

void cmb_upstream_arm(struct cmb_hosted *h)
{
	struct cmb_refresh *r = &h->refresh;

	if (h->refresh_timer == NULL && msp_timer_new(h->app->loop, timer_due, h, &h->refresh_timer) != MSP_OK) {
		msp_log(h->app->log, MSP_LOG_ERROR, "no-timer", MSP_F_STR("zone", MSP_NAME(&h->conf->name)));
		return;
	}
	if (r->next.ms == INT64_MAX)
		msp_timer_stop(h->refresh_timer);
	else
		msp_timer_start(h->refresh_timer, (uint64_t)msp_mono_until_ms(msp_mono_now(), r->next));
}

void cmb_upstream_event(struct cmb_hosted *h, enum cmb_refresh_event ev)
{
	struct cmb_refresh *r = &h->refresh;
	enum cmb_refresh_do todo = cmb_refresh_step(r, ev, msp_mono_now(), &h->app->rand);

	/* What cannot even be started has failed; each round of the loop uses up a primary. */
	while (todo != CMB_DO_NOTHING) {
		bool is_ask = todo == CMB_DO_ASK;
		enum msp_err err = is_ask ? start_ask(h) : start_fetch(h);

		if (err == MSP_OK)
			break;
		failed(h, is_ask ? "SOA" : "AXFR", err, NULL);
		todo = cmb_refresh_step(r, is_ask ? CMB_REV_ASK_FAILED : CMB_REV_FETCH_FAILED, msp_mono_now(),
					&h->app->rand);
	}
	cmb_upstream_arm(h);
}

void cmb_upstream_close(struct cmb_hosted *h)
{
	if (h->ask != NULL)
		msp_xchg_cancel(&h->ask);
	msp_tsig_ctx_fini(&h->ask_tsig);
	if (h->fetch != NULL)
		msp_xfr_cancel(&h->fetch);
	cmb_intake_close(&h->intake);
	if (h->refresh_timer != NULL)
		msp_timer_close(&h->refresh_timer);
}
