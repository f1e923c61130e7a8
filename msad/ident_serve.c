/* SPDX-License-Identifier: BSD-2-Clause */
#include "ident_serve.h"

#include <msproto/auth/digest.h>
#include <msproto/base/mem.h>
#include <msproto/io/xchg.h>
#include <msproto/io/xfr.h>
#include <msproto/msg/edns.h>
#include <msproto/msg/notify.h>
#include <msproto/wire/rdata.h>
#include <msproto/zone/serial.h>

#include <string.h>

#define NOTIFY_TRIES    5
#define NOTIFY_FIRST_MS 2000
#define BUCKET          "identity_zone"

/* NOTIFY to one signer: sent again, with a fresh signature, until it answers or the tries are used up. */
struct down {
	struct msa_ident *ident; /* borrowed */
	struct msa_conf_remote remote;
	const struct msp_tsig_key *tsig;
	struct msp_xchg *xchg;
	struct msp_timer *timer;
	unsigned tries;
	struct msp_tsig_ctx ctx;
};

struct msa_ident {
	struct msp_loop *loop;
	struct msp_rand *rand;
	struct msp_name apex;
	struct msa_ident_zone zone;
	uint32_t serial;
	struct down *down; /* owned */
	size_t down_count;
	struct msp_rr_scratch scratch;
};

/* ---- content and serial */

static enum msp_err digest_of(const struct msa_ident_zone *z, uint8_t out[32])
{
	struct msp_buf b;
	struct msp_span s;
	enum msp_err err;

	msp_buf_init(&b, 1 << 20);
	err = msp_rrset_write(z->soa, &b); /* with serial 0: its other fields are content too */
	for (size_t i = 0; err == MSP_OK && i < MSA_IDENT_SETS; i++)
		if (z->set[i] != NULL)
			err = msp_rrset_write(z->set[i], &b);
	s = msp_buf_span(&b);
	if (err == MSP_OK)
		err = msp_sha256(&s, 1, out);
	msp_buf_fini(&b);
	return err;
}

/* {serial (4), digest (32)} in the store; a new content gets the next serial before it is seen by anyone. */
static enum msp_err settle_serial(struct msa_ident *i, const struct msa_ident_conf *c, struct msp_store *store)
{
	struct msp_name_key key = msp_name_key(&i->apex);
	uint8_t digest[32], row[36];
	struct msp_buf old;
	struct msp_wr wr;
	enum msp_err err;

	msp_buf_init(&old, sizeof(row));
	err = digest_of(&i->zone, digest);
	if (err != MSP_OK)
		goto out;
	err = msp_store_get(store, BUCKET, msp_name_key_span(&key), &old);
	if (err == MSP_OK && old.len == sizeof(row)) {
		struct msp_rd rd;

		msp_rd_init(&rd, msp_buf_span(&old));
		i->serial = msp_rd_u32(&rd);
		if (!msp_span_equal(msp_rd_rest(&rd), msp_span(digest, sizeof(digest))))
			i->serial = msp_serial_next(i->serial);
	} else if (err == MSP_ENOTFOUND || err == MSP_OK) {
		i->serial = (uint32_t)msp_wall_now().s; /* state was lost or is new: ahead of what we ever gave out */
	} else {
		goto out;
	}
	msp_wr_init(&wr, row, sizeof(row));
	msp_wr_u32(&wr, i->serial);
	msp_wr_octets(&wr, msp_span(digest, sizeof(digest)));
	err = msp_store_put(store, BUCKET, msp_name_key_span(&key), msp_wr_span(&wr));
	if (err == MSP_OK) {
		msa_ident_fini(&i->zone);
		err = msa_ident_build(c, i->serial, &i->zone);
	}
out:
	msp_buf_fini(&old);
	return err;
}

static enum msp_err build(struct msa_ident *i, const struct msa_conf *conf, const struct msp_key *key,
			  struct msp_store *store)
{
	const struct msp_conf_listen *listen = conf->listen.item;
	struct msp_name ns[MSA_NS_MAX];
	struct msp_addr publish[MSA_LISTEN_MAX];
	struct msp_span rdata = msp_key_rdata(key);
	struct msa_ident_conf c = { .apex = i->apex,
				    .identity = conf->identity,
				    .host = conf->host,
				    .mname = conf->identity_zone.mname,
				    .rname = conf->identity_zone.rname,
				    .ns = ns,
				    .ns_count = conf->identity_zone.ns.count,
				    .publish = publish,
				    .publish_count = conf->publish.count,
				    .port = listen[0].addr.port,
				    .keys = &rdata,
				    .key_count = 1,
				    .ttl_s = conf->identity_zone.ttl_s };
	enum msp_err err = MSP_OK;

	for (size_t n = 0; err == MSP_OK && n < c.ns_count; n++)
		err = msp_name_from_text(conf->identity_zone.ns.item[n], &ns[n]);
	for (size_t n = 0; err == MSP_OK && n < c.publish_count; n++)
		err = msp_addr_parse(conf->publish.item[n], c.port, &publish[n]);
	if (err == MSP_OK && !msp_name_is_set(&c.mname))
		c.mname = ns[0];
	if (err == MSP_OK && !msp_name_is_set(&c.rname))
		err = msp_name_prepend("hostmaster", &i->apex, &c.rname);
	if (err == MSP_OK)
		err = msa_ident_build(&c, 0, &i->zone);
	return err == MSP_OK ? settle_serial(i, &c, store) : err;
}

/* ---- NOTIFY out */

static void notify(void *arg);

static void notified(void *arg, enum msp_err err, struct msp_span answer)
{
	struct down *d = arg;
	struct msp_why why = { "" };

	d->xchg = NULL;
	err = msp_tsig_conclude(&d->ctx, err, answer, &d->ident->scratch, msp_wall_now(), &why);
	if (err == MSP_OK)
		return;
	msp_log(msp_loop_log(d->ident->loop), MSP_LOG_INFO, "identity-notify-failed",
		MSP_F_STR("signer", MSP_ADDR(&d->remote.addr)), MSP_F_STR("error", msp_err_text(err)),
		MSP_F_STR("why", why.text));
	if (++d->tries < NOTIFY_TRIES)
		msp_timer_start(d->timer, (uint64_t)NOTIFY_FIRST_MS << d->tries);
}

static void notify(void *arg)
{
	struct down *d = arg;
	struct msa_ident *i = d->ident;
	struct msp_xchg_params p = { .server = d->remote.addr, .transport = MSP_UDP_THEN_TCP, .timeout_ms = { 5000 } };
	uint8_t mem[1500];
	struct msp_msgw w;
	struct msp_span s;
	enum msp_err err;
	size_t len;

	if (d->xchg != NULL)
		return;
	msp_notifyw_init(&w, mem, sizeof(mem), msp_rand_u16(i->rand), &i->apex, MSP_TYPE_SOA, NULL);
	err = msp_msgw_finish(&w, &s);
	len = s.len;
	if (err == MSP_OK)
		err = msp_tsig_sign_request(d->tsig, msp_wall_now(), mem, &len, sizeof(mem), &d->ctx);
	p.message = msp_span(mem, len);
	if (err == MSP_OK)
		err = msp_xchg_start(i->loop, &p, notified, d, &d->xchg);
	if (err != MSP_OK && ++d->tries < NOTIFY_TRIES)
		msp_timer_start(d->timer, NOTIFY_FIRST_MS);
}

/* ---- queries */

struct finder {
	const struct msa_ident *ident;
};

static const struct msp_tsig_key *find_key(void *arg, const struct msp_name *name, enum msp_tsig_alg alg)
{
	const struct msa_ident *i = ((const struct finder *)arg)->ident;

	(void)alg; /* the key has its own; verification compares */
	for (size_t n = 0; n < i->down_count; n++)
		if (msp_name_equal(msp_tsig_key_name(i->down[n].tsig), name))
			return i->down[n].tsig;
	return NULL;
}

/* ctx: the request was verified, so its refusal is signed (RFC 8945 5.3). */
static void refuse(struct msp_req *req, const struct msp_msg *m, struct msp_tsig_ctx *ctx,
		   const struct msp_tsig_key *key, unsigned rcode, enum msp_tsig_error tsig_error)
{
	uint8_t mem[2048];
	struct msp_msgw w;
	struct msp_span s;
	size_t len;

	msp_msgw_respond(&w, mem, sizeof(mem), m, rcode, 0);
	if (msp_msgw_finish(&w, &s) != MSP_OK) {
		msp_req_drop(&req);
		return;
	}
	len = s.len;
	if (tsig_error != MSP_TSIG_NOERROR &&
	    msp_tsig_sign_error(m, key, tsig_error, msp_wall_now(), mem, &len, sizeof(mem)) != MSP_OK)
		len = s.len;
	if (ctx != NULL && msp_tsig_sign_response(ctx, msp_wall_now(), mem, &len, sizeof(mem)) != MSP_OK)
		len = s.len;
	msp_req_reply(&req, msp_span(mem, len));
}

static void answer_soa(struct msa_ident *i, struct msp_req *req, const struct msp_msg *m, struct msp_tsig_ctx *ctx)
{
	struct msp_rr rr = { .owner = i->apex,
			     .type = MSP_TYPE_SOA,
			     .cls = MSP_CLASS_IN,
			     .ttl = i->zone.soa->ttl,
			     .rdata = i->zone.soa->rdata[0] };
	uint8_t mem[2048];
	struct msp_msgw w;
	struct msp_span s;
	size_t len;

	msp_msgw_respond(&w, mem, sizeof(mem), m, MSP_RCODE_NOERROR, MSP_FLAG_AA);
	msp_msgw_rr(&w, MSP_SEC_ANSWER, &rr);
	if (m->edns.present) {
		struct msp_optw opt = msp_optw_open(&w, MSP_EDNS_PAYLOAD, 0, false);

		msp_optw_close(&opt);
	}
	if (msp_msgw_finish(&w, &s) != MSP_OK) {
		msp_req_drop(&req);
		return;
	}
	len = s.len;
	if (msp_tsig_sign_response(ctx, msp_wall_now(), mem, &len, sizeof(mem)) != MSP_OK)
		msp_req_drop(&req);
	else
		msp_req_reply(&req, msp_span(mem, len));
}

static void answer_transfer(struct msa_ident *i, struct msp_req *req, struct msp_tsig_ctx *ctx)
{
	const struct msp_rrset *sets[MSA_IDENT_SETS];
	size_t count = 0;

	for (size_t n = 0; n < MSA_IDENT_SETS; n++)
		if (i->zone.set[n] != NULL)
			sets[count++] = i->zone.set[n];
	msp_xfr_send(&req, i->zone.soa, sets, count, ctx);
}

void msa_ident_answer(struct msa_ident *i, struct msp_req *req, const struct msp_msg *m)
{
	struct finder finder = { i };
	struct msp_tsig_ctx ctx = { 0 };
	enum msp_tsig_error error = MSP_TSIG_NOERROR;
	enum msp_err err = msp_tsig_verify_request(m, find_key, &finder, msp_wall_now(), &ctx, &error);
	bool is_transfer = m->question.type == MSP_TYPE_AXFR || m->question.type == MSP_TYPE_IXFR;

	if (err == MSP_EUNSIGNED) {
		refuse(req, m, NULL, NULL, MSP_RCODE_REFUSED, MSP_TSIG_NOERROR);
	} else if (err != MSP_OK) {
		refuse(req, m, NULL, ctx.key, msp_err_rcode(err), error);
	} else if (m->question.cls != MSP_CLASS_IN) {
		refuse(req, m, &ctx, NULL, MSP_RCODE_REFUSED, MSP_TSIG_NOERROR);
	} else if (m->question.type == MSP_TYPE_SOA || (m->question.type == MSP_TYPE_IXFR && !msp_req_is_tcp(req))) {
		answer_soa(i, req, m, &ctx); /* IXFR over UDP: a single SOA sends the client to TCP (RFC 1995 2) */
	} else if (is_transfer && msp_req_is_tcp(req)) {
		answer_transfer(i, req, &ctx);
	} else {
		refuse(req, m, &ctx, NULL, MSP_RCODE_REFUSED, MSP_TSIG_NOERROR);
	}
	msp_tsig_ctx_fini(&ctx);
}

/* ---- life */

enum msp_err msa_ident_new(struct msp_loop *loop, const struct msa_conf *conf, const struct msp_tsig_ring *ring,
			   const struct msp_key *key, struct msp_store *store, struct msp_rand *rand,
			   struct msa_ident **out, struct msp_why *why)
{
	const struct msa_conf_remote *remotes = conf->identity_zone.downstreams.item;
	struct msa_ident *i = msp_alloc(1, sizeof(*i));
	enum msp_err err = i != NULL ? MSP_OK : MSP_ENOMEM;

	if (err != MSP_OK)
		return err;
	i->loop = loop;
	i->rand = rand;
	i->apex = conf->identity_zone.name;
	err = build(i, conf, key, store);
	if (err != MSP_OK) {
		(void)msp_fail(why, err, "identity zone %s: %s", MSP_NAME(&i->apex), msp_err_text(err));
		goto fail;
	}
	i->down = msp_alloc(conf->identity_zone.downstreams.count + 1, sizeof(*i->down));
	if (i->down == NULL) {
		err = MSP_ENOMEM;
		goto fail;
	}
	for (size_t n = 0; n < conf->identity_zone.downstreams.count; n++) {
		struct down *d = &i->down[n];

		d->ident = i;
		d->remote = remotes[n];
		d->tsig = msp_tsig_ring_get(ring, &remotes[n].tsig_key);
		err = d->tsig != NULL ? msp_timer_new(loop, notify, d, &d->timer) : MSP_ECONF;
		if (err != MSP_OK)
			goto fail;
		i->down_count++;
		msp_timer_start(d->timer, 0);
	}
	*out = i;
	return MSP_OK;
fail:
	msa_ident_free(&i);
	return err;
}

const struct msp_name *msa_ident_apex(const struct msa_ident *i)
{
	return &i->apex;
}

uint32_t msa_ident_serial(const struct msa_ident *i)
{
	return i->serial;
}

void msa_ident_free(struct msa_ident **ident)
{
	struct msa_ident *i = *ident;

	if (i == NULL)
		return;
	for (size_t n = 0; n < i->down_count; n++) {
		msp_xchg_cancel(&i->down[n].xchg);
		msp_timer_close(&i->down[n].timer);
		msp_tsig_ctx_fini(&i->down[n].ctx);
	}
	msa_ident_fini(&i->zone);
	msp_free(i->down);
	msp_free(i);
	*ident = NULL;
}
