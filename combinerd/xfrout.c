/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transfers out. A stream is: head (records built for this transfer: SOA and apex, or a whole incremental answer),
 * pages (as they lie in the map), tail (SOA). Each message gets the request's ID and a TSIG. The snapshot is held until
 * the stream ends or has lasted too long. @source RFC 5936 2.2, RFC 1995 4, RFC 8945 5.3.1, PROTOCOL E.6
 */
#include "shell.h"

#include <msproto/base/mem.h>
#include <msproto/msg/edns.h>

#include <string.h>

#define HEAD_MAX       (64u << 20)
#define MESSAGE_TARGET 16384
#define TSIG_ROOM      300 /* for the messages built here */

enum part { HEAD, PAGES, TAIL, END };

struct cmb_stream {
	struct cmb_stream *next, **link;
	struct cmb_hosted *hosted; /* borrowed */
	struct cmb_xfr_request q;
	struct msp_tsig_ctx tsig;  /* owned */
	struct cmb_snap *snap;     /* owned; NULL without pages */
	struct msp_buf head, tail; /* owned: uncompressed records */
	size_t pos;                /* in head or tail */
	enum part part;
	uint32_t page, pages, serial;
	bool is_first;
	uint64_t messages;
	struct msp_mono deadline;
	enum msp_err failed;
	struct msp_rr_scratch scratch;
};

static void stream_free(struct cmb_stream *s)
{
	if (s == NULL)
		return;
	if (s->link != NULL) {
		*s->link = s->next;
		if (s->next != NULL)
			s->next->link = s->link;
		s->hosted->app->stream_count--;
	}
	cmb_snap_close(&s->snap);
	msp_buf_fini(&s->head);
	msp_buf_fini(&s->tail);
	msp_tsig_ctx_fini(&s->tsig);
	msp_free(s);
}

static enum msp_err stream_new(struct cmb_hosted *h, const struct cmb_xfr_request *q, struct cmb_stream **out)
{
	struct cmb_app *app = h->app;
	struct cmb_stream *s;

	*out = NULL;
	if (app->stream_count >= (size_t)app->conf.transfers_out_max)
		return MSP_EBUSY;
	s = msp_alloc(1, sizeof(*s));
	if (s == NULL)
		return MSP_ENOMEM;
	s->hosted = h;
	s->q = *q;
	s->is_first = true;
	s->serial = h->zone.serials.last_out;
	s->deadline = msp_mono_add_ms(msp_mono_now(), (int64_t)app->conf.transfer_out_max_s * 1000);
	msp_buf_init(&s->head, HEAD_MAX);
	msp_buf_init(&s->tail, HEAD_MAX);
	s->link = &app->streams;
	s->next = app->streams;
	if (s->next != NULL)
		s->next->link = &s->next;
	app->streams = s;
	app->stream_count++;
	*out = s;
	return MSP_OK;
}

/* --- messages
 * ------------------------------------------------------------------------------------------------------------ */

/* As many records as fit, at least one. */
static enum msp_err pack(struct cmb_stream *s, const struct msp_buf *from, struct msp_msgw *w)
{
	size_t packed = 0;
	struct msp_rd rd;
	struct msp_rr rr;

	msp_rd_init(&rd, msp_buf_span(from));
	rd.pos = s->pos;
	while (msp_rd_left(&rd) > 0) {
		size_t before = w->wr.pos;

		msp_rr_read(&rd, &s->scratch, &rr);
		if (rd.err != MSP_OK)
			return rd.err;
		msp_msgw_rr(w, MSP_SEC_ANSWER, &rr);
		if (packed > 0 && (w->wr.err == MSP_ENOSPACE || w->wr.pos > MESSAGE_TARGET)) {
			if (w->wr.err == MSP_OK)
				w->count[MSP_SEC_ANSWER]--; /* it was counted, but goes into the next message */
			msp_wr_rewind(&w->wr, before);
			break;
		}
		if (w->wr.err != MSP_OK)
			return w->wr.err;
		packed++;
		s->pos = rd.pos;
	}
	return MSP_OK;
}

static enum msp_err build(struct cmb_stream *s, const struct msp_buf *from, uint8_t *out, size_t cap, size_t *len)
{
	struct msp_msgw w;
	struct msp_span msg;
	enum msp_err err;

	msp_msgw_init(&w, out, cap - TSIG_ROOM, s->q.id, MSP_OPCODE_QUERY,
		      (uint16_t)(MSP_FLAG_QR | MSP_FLAG_AA | s->q.flags));
	if (s->is_first) /* RFC 5936 2.2.1: later ones may leave it out */
		msp_msgw_question(&w, &s->q.qname, s->q.qtype, MSP_CLASS_IN);
	err = pack(s, from, &w);
	if (err == MSP_OK && s->is_first && s->q.has_edns) {
		struct msp_optw o = msp_optw_open(&w, MSP_EDNS_PAYLOAD, 0, false);

		msp_optw_close(&o);
	}
	s->is_first = false;
	if (err == MSP_OK)
		err = msp_msgw_finish(&w, &msg);
	if (err == MSP_OK)
		*len = msg.len;
	return err;
}

static enum msp_err copy_page(struct cmb_stream *s, uint8_t *out, size_t cap, size_t *len)
{
	struct msp_span page;
	struct msp_wr wr;
	enum msp_err err = cmb_snap_page(s->snap, s->page, &page);

	if (err == MSP_ECORRUPT)
		cmb_hosted_damaged(s->hosted);
	if (err != MSP_OK)
		return err;
	if (page.len > cap)
		return MSP_ENOSPACE;
	memcpy(out, page.ptr, page.len);
	msp_wr_init(&wr, out, cap);
	msp_wr_u16(&wr, s->q.id);
	*len = page.len;
	s->page++;
	return MSP_OK;
}

static void next_part(struct cmb_stream *s)
{
	if (s->part == HEAD && s->pos >= s->head.len) {
		s->part = PAGES;
		s->pos = 0;
	}
	if (s->part == PAGES && s->page >= s->pages)
		s->part = TAIL;
	if (s->part == TAIL && s->pos >= s->tail.len)
		s->part = END;
}

static enum msp_err pull(void *arg, uint8_t *out, size_t cap, size_t *len, bool *end)
{
	struct cmb_stream *s = arg;
	enum msp_err err = s->failed;

	*len = 0;
	if (err == MSP_OK && msp_mono_reached(msp_mono_now(), s->deadline))
		err = MSP_ETIMEOUT;
	if (err == MSP_OK && s->part == PAGES)
		err = copy_page(s, out, cap, len);
	else if (err == MSP_OK)
		err = build(s, s->part == HEAD ? &s->head : &s->tail, out, cap, len);
	if (err == MSP_OK)
		err = msp_tsig_sign_response(&s->tsig, msp_wall_now(), out, len, cap);
	if (err != MSP_OK) {
		s->failed = err;
		return err;
	}
	s->messages++;
	next_part(s);
	*end = s->part == END;
	return MSP_OK;
}

static void done(void *arg, enum msp_err err)
{
	struct cmb_stream *s = arg;
	struct cmb_hosted *h = s->hosted;

	if (s->failed != MSP_OK)
		err = s->failed;
	h->transfers_out += err == MSP_OK;
	msp_log(h->app->log, err == MSP_OK ? MSP_LOG_INFO : MSP_LOG_WARNING, "transfer-out",
		MSP_F_STR("zone", MSP_NAME(&h->conf->name)), MSP_F_STR("type", MSP_TYPE(s->q.qtype)),
		MSP_F_U64("serial", s->serial), MSP_F_U64("messages", s->messages),
		MSP_F_STR("result", msp_err_text(err)));
	stream_free(s);
}

static void go(struct cmb_stream *s, struct msp_req **req, struct msp_tsig_ctx *tsig)
{
	s->tsig = *tsig;
	memset(tsig, 0, sizeof(*tsig));
	next_part(s);
	msp_req_stream(req, pull, done, s);
}

void cmb_xfrout_expire(struct cmb_app *app)
{
	struct msp_mono now = msp_mono_now();

	for (struct cmb_stream *s = app->streams; s != NULL; s = s->next) {
		if (s->failed != MSP_OK || !msp_mono_reached(now, s->deadline))
			continue;
		/* A client that no longer reads must not keep old pages from being reused. */
		s->failed = MSP_ETIMEOUT;
		cmb_snap_close(&s->snap);
	}
}

/* --- what goes into them
 * --------------------------------------------------------------------------------------------------- */

enum msp_err cmb_xfrout_axfr(struct cmb_hosted *h, struct msp_req **req, const struct cmb_xfr_request *q,
			     struct msp_tsig_ctx *tsig)
{
	struct cmb_zone *z = &h->zone;
	struct cmb_stream *s = NULL;
	enum msp_err err = stream_new(h, q, &s);

	if (err != MSP_OK)
		return err;
	s->pages = z->owner->pages;
	err = cmb_snap_open(h->app->pages, z->served_gen, &s->snap);
	if (err == MSP_OK)
		err = cmb_apex_write(&z->served, &s->head); /* the SOA comes first */
	if (err == MSP_OK)
		err = msp_rrset_write(z->served.soa, &s->tail);
	if (err == MSP_OK && (s->head.err != MSP_OK || s->tail.err != MSP_OK))
		err = MSP_ENOMEM;
	if (err != MSP_OK) {
		stream_free(s);
		return err;
	}
	go(s, req, tsig);
	return MSP_OK;
}

static enum msp_err write_soa(const struct cmb_zone *z, uint32_t serial, struct msp_buf *out)
{
	struct msp_rrset *soa = NULL;
	enum msp_err err = cmb_soa_with_serial(z->served.soa, serial, &soa);

	if (err == MSP_OK)
		err = msp_rrset_write(soa, out);
	msp_rrset_free(&soa);
	return err;
}

enum msp_err cmb_xfrout_history(const struct cmb_zone *z, size_t from, struct msp_buf *out)
{
	enum msp_err err = msp_rrset_write(z->served.soa, out);

	/* Within one history only the serial of the SOA changes: new owner data begins a new one. */
	for (size_t i = from; err == MSP_OK && i < z->journal_count; i++) {
		const struct cmb_delta *d = z->journal[i];

		err = write_soa(z, d->from, out);
		msp_buf_add_span(out, msp_buf_span(&d->del));
		if (err == MSP_OK)
			err = write_soa(z, d->to, out);
		msp_buf_add_span(out, msp_buf_span(&d->add));
	}
	if (err == MSP_OK)
		err = msp_rrset_write(z->served.soa, out);
	return err == MSP_OK ? out->err : err;
}

enum msp_err cmb_xfrout_ixfr(struct cmb_hosted *h, struct msp_req **req, const struct cmb_xfr_request *q, size_t from,
			     struct msp_tsig_ctx *tsig)
{
	struct cmb_stream *s = NULL;
	enum msp_err err = stream_new(h, q, &s);

	if (err != MSP_OK)
		return err;
	err = cmb_xfrout_history(&h->zone, from, &s->head);
	if (err != MSP_OK) {
		stream_free(s);
		return err;
	}
	go(s, req, tsig);
	return MSP_OK;
}
