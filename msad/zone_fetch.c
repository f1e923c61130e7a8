/* SPDX-License-Identifier: BSD-2-Clause */
#include "zone_fetch.h"

#include <msproto/base/mem.h>
#include <msproto/io/xfr.h>
#include <msproto/wire/rdata.h>
#include <msproto/zone/serial.h>

#include <stdio.h>

#define RETRY_MIN_MS 1000
#define RETRY_MAX_MS 60000
#define REST_MIN_MS                                                                                                    \
	200 /* after a transfer, at least this long and as long as it took: NOTIFY over UDP can be forged              \
	     */
#define REST_MAX_MS      60000
#define TAGS_MAX         64
#define APEX_RECORDS_MAX 4096 /* of one type: a set is kept sorted, so a huge one costs the square of its size */

/* Apex sets kept, in the order of enum slot. */
enum slot {
	SLOT_SOA,
	SLOT_HSYNC,
	SLOT_DNSKEY,
	SLOT_CDS,
	SLOT_CDNSKEY,
	SLOT_CSYNC,
	SLOT_NS,
	SLOT_KEY,
	SLOT_DNSKEY_RRSIG,
	SLOT__N
};

/* What one transfer gathers. */
struct gather {
	struct msp_rrset *set[SLOT__N]; /* owned */
	uint16_t tag[TAGS_MAX];
	size_t tags;
	uint32_t max_ttl_s, earliest_expiration;
	uint64_t records;
	uint32_t serial;
};

struct msa_fetch {
	struct msp_loop *loop;
	struct msa_fetch_conf conf;
	struct msp_rand *rand;
	msa_fetch_view_fn *view;
	msa_fetch_failed_fn *failed;
	void *arg;
	struct msp_timer *timer;
	struct msp_xfr *xfr; /* in flight */
	bool again;          /* asked for while one was in flight */
	bool has_zone;
	uint32_t serial;
	uint64_t retry_ms;
	struct msp_mono started, rest_until;
	struct gather g;
};

static void gather_clear(struct gather *g)
{
	for (size_t i = 0; i < SLOT__N; i++)
		msp_rrset_free(&g->set[i]);
	*g = (struct gather){ 0 };
}

static bool slot_of(const struct msa_fetch *f, const struct msp_rr *rr, enum slot *out)
{
	static const struct {
		uint16_t type;
		enum slot slot;
	} table[] = { { MSP_TYPE_SOA, SLOT_SOA },         { MSP_TYPE_DNSKEY, SLOT_DNSKEY }, { MSP_TYPE_CDS, SLOT_CDS },
		      { MSP_TYPE_CDNSKEY, SLOT_CDNSKEY }, { MSP_TYPE_CSYNC, SLOT_CSYNC },   { MSP_TYPE_NS, SLOT_NS },
		      { MSP_TYPE_KEY, SLOT_KEY } };
	struct msp_rrsig sig;

	if (rr->type == f->conf.type_hsync) {
		*out = SLOT_HSYNC;
		return true;
	}
	if (rr->type == MSP_TYPE_RRSIG) {
		*out = SLOT_DNSKEY_RRSIG;
		return msp_rrsig_parse(rr->rdata, &sig) == MSP_OK && sig.covered == MSP_TYPE_DNSKEY;
	}
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i].type == rr->type) {
			*out = table[i].slot;
			return true;
		}
	}
	return false;
}

static enum msp_err keep(struct msa_fetch *f, const struct msp_rr *rr)
{
	enum msp_err err = MSP_OK;
	enum slot slot;

	if (!msp_name_equal(&rr->owner, &f->conf.zone) || !slot_of(f, rr, &slot))
		return MSP_OK;
	if (f->g.set[slot] == NULL)
		err = msp_rrset_new(&rr->owner, rr->type, rr->ttl, &f->g.set[slot]);
	if (err == MSP_OK && f->g.set[slot]->count >= APEX_RECORDS_MAX)
		err = MSP_ELIMIT;
	return err == MSP_OK ? msp_rrset_add(f->g.set[slot], rr->rdata) : err;
}

static void look_at_signature(struct gather *g, const struct msp_rr *rr)
{
	struct msp_rrsig sig;
	size_t i = 0;

	if (rr->type != MSP_TYPE_RRSIG || msp_rrsig_parse(rr->rdata, &sig) != MSP_OK)
		return;
	if (g->earliest_expiration == 0 || msp_serial_gt(g->earliest_expiration, sig.expiration))
		g->earliest_expiration = sig.expiration;
	if (sig.covered == MSP_TYPE_DNSKEY || sig.covered == MSP_TYPE_CDS || sig.covered == MSP_TYPE_CDNSKEY)
		return;
	while (i < g->tags && g->tag[i] != sig.tag)
		i++;
	if (i == g->tags && i < TAGS_MAX)
		g->tag[g->tags++] = sig.tag;
}

static enum msp_err on_record(void *arg, const struct msp_rr *rr)
{
	struct msa_fetch *f = arg;

	f->g.records++;
	if (rr->ttl > f->g.max_ttl_s)
		f->g.max_ttl_s = rr->ttl;
	look_at_signature(&f->g, rr);
	return keep(f, rr);
}

static enum msp_err on_begin(void *arg, const struct msp_rr *soa, bool is_full)
{
	struct msa_fetch *f = arg;

	(void)is_full;
	gather_clear(&f->g);
	f->g.serial = msp_soa_serial(soa->rdata);
	return on_record(arg, soa);
}

static const struct msp_xfrin_ops ops = { .begin = on_begin, .record = on_record };

static void start(struct msa_fetch *f);

static void report(struct msa_fetch *f)
{
	const struct gather *g = &f->g;
	struct msa_zone_view view = { .zone = f->conf.zone,
				      .serial = g->serial,
				      .soa = g->set[SLOT_SOA],
				      .hsync = g->set[SLOT_HSYNC],
				      .dnskey = g->set[SLOT_DNSKEY],
				      .cds = g->set[SLOT_CDS],
				      .cdnskey = g->set[SLOT_CDNSKEY],
				      .csync = g->set[SLOT_CSYNC],
				      .ns = g->set[SLOT_NS],
				      .key = g->set[SLOT_KEY],
				      .dnskey_rrsig = g->set[SLOT_DNSKEY_RRSIG],
				      .data_tags = g->tag,
				      .data_tag_count = g->tags,
				      .max_ttl_s = g->max_ttl_s,
				      .earliest_expiration = g->earliest_expiration,
				      .records = g->records };

	f->view(f->arg, &view);
}

/* Refresh as a secondary would: the SOA's refresh time, cut to what the operator allows. */
static uint64_t next_look_ms(const struct msa_fetch *f)
{
	struct msp_soa soa;
	uint64_t s = f->conf.poll_max_s;

	if (f->g.set[SLOT_SOA] != NULL && f->g.set[SLOT_SOA]->count > 0 &&
	    msp_soa_parse(f->g.set[SLOT_SOA]->rdata[0], &soa) == MSP_OK && soa.refresh_s < s)
		s = soa.refresh_s;
	return (s == 0 ? 1 : s) * 1000;
}

static void rest(struct msa_fetch *f)
{
	struct msp_mono now = msp_mono_now();
	int64_t took_ms = now.ms - f->started.ms;

	took_ms = took_ms < REST_MIN_MS ? REST_MIN_MS : took_ms > REST_MAX_MS ? REST_MAX_MS : took_ms;
	f->rest_until = msp_mono_add_ms(now, took_ms);
}

static void on_done(void *arg, const struct msp_xfr_result *r)
{
	struct msa_fetch *f = arg;
	char why[400];

	f->xfr = NULL;
	if (r->err == MSP_OK) {
		rest(f);
		f->has_zone = true;
		f->serial = f->g.serial;
		f->retry_ms = 0;
		msp_timer_start(f->timer, next_look_ms(f));
		report(f);
	} else {
		f->retry_ms = f->retry_ms == 0 ? RETRY_MIN_MS : f->retry_ms * 2;
		if (f->retry_ms > RETRY_MAX_MS)
			f->retry_ms = RETRY_MAX_MS;
		msp_timer_start(f->timer, (uint64_t)msp_rand_jitter(f->rand, (int64_t)f->retry_ms, 20));
		snprintf(why, sizeof(why), "AXFR from %s: %s%s%s %s", MSP_ADDR(&f->conf.signer), msp_err_text(r->err),
			 r->err == MSP_ERCODE ? " " : "", r->err == MSP_ERCODE ? msp_rcode_name(r->rcode) : "",
			 r->why.text);
		f->failed(f->arg, &f->conf.zone, why);
	}
	gather_clear(&f->g);
	if (f->again) {
		f->again = false;
		start(f);
	}
}

static void start(struct msa_fetch *f)
{
	struct msp_xfr_params p = {
		.server = f->conf.signer, .zone = f->conf.zone, .kind = MSP_XFR_AXFR, .tsig = f->conf.tsig
	};
	enum msp_err err;

	if (f->xfr != NULL) {
		f->again = true;
		return;
	}
	if (!msp_mono_reached(msp_mono_now(), f->rest_until)) {
		msp_timer_start(f->timer, (uint64_t)msp_mono_until_ms(msp_mono_now(), f->rest_until) + 1);
		return;
	}
	gather_clear(&f->g);
	msp_timer_stop(f->timer);
	f->started = msp_mono_now();
	err = msp_xfr_start(f->loop, &p, &ops, f, on_done, f, &f->xfr);
	if (err != MSP_OK)
		msp_timer_start(f->timer, RETRY_MIN_MS);
}

static void on_timer(void *arg)
{
	start(arg);
}

enum msp_err msa_fetch_new(struct msp_loop *loop, const struct msa_fetch_conf *conf, struct msp_rand *rand,
			   msa_fetch_view_fn *view, msa_fetch_failed_fn *failed, void *arg, struct msa_fetch **out)
{
	struct msa_fetch *f = msp_alloc(1, sizeof(*f));
	enum msp_err err;

	if (f == NULL)
		return MSP_ENOMEM;
	f->loop = loop;
	f->conf = *conf;
	f->rand = rand;
	f->view = view;
	f->failed = failed;
	f->arg = arg;
	err = msp_timer_new(loop, on_timer, f, &f->timer);
	if (err != MSP_OK) {
		msp_free(f);
		return err;
	}
	start(f);
	*out = f;
	return MSP_OK;
}

void msa_fetch_kick(struct msa_fetch *f, bool has_hint, uint32_t serial_hint)
{
	if (has_hint && f->has_zone && serial_hint == f->serial && f->xfr == NULL)
		return;
	start(f);
}

const struct msa_fetch_conf *msa_fetch_conf(const struct msa_fetch *f)
{
	return &f->conf;
}

void msa_fetch_free(struct msa_fetch **f)
{
	if (*f == NULL)
		return;
	msp_xfr_cancel(&(*f)->xfr);
	msp_timer_close(&(*f)->timer);
	gather_clear(&(*f)->g);
	msp_free(*f);
	*f = NULL;
}
