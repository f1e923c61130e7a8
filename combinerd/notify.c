/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NOTIFY to the signers: TSIG-signed, without EDNS (the form that every signer takes, SIGNERS 4.5), repeated with
 * doubling waits until it is answered under the key. @source RFC 1996 3.6, PROTOCOL E.6
 */
#include "shell.h"

#include <msproto/base/mem.h>
#include <msproto/msg/notify.h>

#include <string.h>

#define DOUBLINGS_MAX 10

static uint64_t wait_ms(const struct cmb_notify *n)
{
	unsigned doublings = n->tries > DOUBLINGS_MAX ? DOUBLINGS_MAX : n->tries - 1;

	return (uint64_t)n->hosted->app->conf.notify_timeout_s * 1000u << doublings;
}

static enum msp_err read_answer(struct cmb_notify *n, struct msp_span answer)
{
	struct msp_why why = { "" };
	struct msp_msg m;
	enum msp_err err = msp_msg_parse(answer, &n->hosted->app->scratch, &m, &why);

	if (err == MSP_OK)
		err = msp_tsig_verify_response(&n->tsig, &m, true, msp_wall_now(), &why);
	if (err == MSP_OK && m.rcode != MSP_RCODE_NOERROR)
		err = msp_fail(&why, MSP_ERCODE, "answered %s", msp_rcode_name(m.rcode));
	if (err != MSP_OK)
		n->last = why;
	return err;
}

static void answered(void *arg, enum msp_err err, struct msp_span answer)
{
	struct cmb_notify *n = arg;
	struct cmb_app *app = n->hosted->app;

	n->xchg = NULL;
	if (err == MSP_OK)
		err = read_answer(n, answer);
	else
		(void)msp_fail(&n->last, err, "%s", msp_err_text(err));
	if (err == MSP_OK) {
		n->acked = true;
		n->last.text[0] = '\0';
		msp_log(app->log, MSP_LOG_INFO, "notify-acked", MSP_F_STR("zone", MSP_NAME(&n->hosted->conf->name)),
			MSP_F_STR("signer", MSP_ADDR(&n->to->addr)), MSP_F_U64("serial", n->serial));
		return;
	}
	if (n->tries >= (unsigned)app->conf.notify_tries) {
		msp_log(app->log, MSP_LOG_WARNING, "notify-given-up",
			MSP_F_STR("zone", MSP_NAME(&n->hosted->conf->name)),
			MSP_F_STR("signer", MSP_ADDR(&n->to->addr)), MSP_F_U64("serial", n->serial),
			MSP_F_STR("why", n->last.text));
		return;
	}
	/* A time-out has waited already; anything else came at once. */
	msp_timer_start(n->timer, err == MSP_ETIMEOUT ? 0 : wait_ms(n));
}

static enum msp_err start(struct cmb_notify *n)
{
	struct cmb_app *app = n->hosted->app;
	const struct msp_rrset *soa = n->hosted->zone.served.soa;
	struct msp_rr rr = {
		.owner = soa->owner, .type = MSP_TYPE_SOA, .cls = MSP_CLASS_IN, .ttl = soa->ttl, .rdata = soa->rdata[0]
	};
	struct msp_xchg_params p = { .server = n->to->addr, .source = n->to->source, .transport = MSP_UDP_THEN_TCP };
	uint8_t mem[2048];
	struct msp_msgw w;
	struct msp_span msg;
	enum msp_err err;
	size_t len;

	msp_notifyw_init(&w, mem, sizeof(mem), msp_rand_u16(&app->rand), &n->hosted->conf->name, MSP_TYPE_SOA, &rr);
	err = msp_msgw_finish(&w, &msg);
	if (err != MSP_OK)
		return err;
	len = msg.len;
	msp_tsig_ctx_fini(&n->tsig);
	memset(&n->tsig, 0, sizeof(n->tsig));
	err = msp_tsig_sign_request(cmb_app_key(app, &n->to->tsig_key), msp_wall_now(), mem, &len, sizeof(mem),
				    &n->tsig);
	if (err != MSP_OK)
		return err;
	p.message = msp_span(mem, len);
	p.timeout_ms[0] = (uint32_t)wait_ms(n);
	return msp_xchg_start(app->loop, &p, answered, n, &n->xchg);
}

static void send_one(void *arg)
{
	struct cmb_notify *n = arg;
	enum msp_err err;

	n->tries++;
	err = start(n);
	if (err == MSP_OK)
		return;
	(void)msp_fail(&n->last, err, "could not be sent: %s", msp_err_text(err));
	if (n->tries < (unsigned)n->hosted->app->conf.notify_tries)
		msp_timer_start(n->timer, wait_ms(n));
}

enum msp_err cmb_notify_open(struct cmb_hosted *h)
{
	size_t count = h->conf->signers.count;

	if (count == 0)
		return MSP_OK;
	h->notify = msp_alloc(count, sizeof(*h->notify));
	if (h->notify == NULL)
		return MSP_ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct cmb_notify *n = &h->notify[i];
		enum msp_err err;

		n->hosted = h;
		n->to = cmb_conf_remote_at(&h->conf->signers, i);
		err = msp_timer_new(h->app->loop, send_one, n, &n->timer);
		if (err != MSP_OK)
			return err;
		h->notify_count = i + 1;
	}
	return MSP_OK;
}

void cmb_notify_all(struct cmb_hosted *h)
{
	for (size_t i = 0; i < h->notify_count; i++) {
		struct cmb_notify *n = &h->notify[i];

		if (n->xchg != NULL)
			msp_xchg_cancel(&n->xchg); /* about an older serial */
		n->tries = 0;
		n->acked = false;
		n->serial = h->zone.serials.last_out;
		msp_timer_start(n->timer, 0);
	}
}

void cmb_notify_close(struct cmb_hosted *h)
{
	for (size_t i = 0; i < h->notify_count; i++) {
		struct cmb_notify *n = &h->notify[i];

		if (n->xchg != NULL)
			msp_xchg_cancel(&n->xchg);
		msp_tsig_ctx_fini(&n->tsig);
		msp_timer_close(&n->timer);
	}
	msp_free(h->notify);
	h->notify = NULL;
	h->notify_count = 0;
}
