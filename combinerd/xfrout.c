/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transfers out. A stream is a row of records (SOA, apex, tail; or a whole incremental answer), packed into messages
 * here, and at one place between them the pages, which are sent from where they lie in the map: only a header before
 * and a TSIG behind each is ours. It goes out in chunks of some messages; the server has at most a few of them.
 * The snapshot is held until the stream ends. @source RFC 5936 2.2, RFC 1995 4, RFC 8945 5.3.1, PROTOCOL E.6
 */
#include "shell.h"

#include <msproto/base/mem.h>
#include <msproto/msg/edns.h>

#include <string.h>

#define PREFIX_LEN     (2 + MSP_HEADER_LEN) /* length and header, of a page's message */
#define MESSAGE_TARGET 16384                /* octets of the messages packed here */
#define MESSAGE_ROOM   (2 + MSP_MSG_MAX + MSP_TSIG_RR_MAX)
#define BUILT_MAX      (192u << 10) /* octets of packed messages in one chunk */
#define CHUNK_MAX      (384u << 10) /* octets from which on a chunk is full, when there are few transfers */
#define CHUNK_MIN      (64u << 10)  /* ... and when there are many: each has its turn sooner */
#define CHUNKS_OCTETS  (2u << 20)   /* octets of a chunk of each together */
#define CHUNK_PAGES    32           /* most pages in one chunk */
#define PAGE_PARTS     3
#define CONDENSE_MAX   (1u << 20)
#define HISTORY_MAX    (1u << 30)

/** A row of records, uncompressed, in pieces; no record lies in two. */
struct row {
	struct msp_span *piece; /* owned array, borrowed octets */
	size_t count, at, pos;  /* where it is read next */
	size_t left;            /* octets */
};

struct cmb_stream {
	struct cmb_stream *next, **link;
	struct cmb_app *app;           /* borrowed */
	struct msp_name zone;          /* the zone may be taken away while this goes on */
	struct cmb_settings *settings; /* shared: the key is theirs */
	struct msp_req *req;           /* borrowed, legal until done() */
	struct cmb_xfr_request q;
	struct msp_tsig_ctx tsig; /* owned */
	size_t tsig_room;
	struct cmb_snap *snap;       /* owned; NULL: no pages, and no history of its own */
	struct cmb_delta *condensed; /* owned */
	struct msp_buf own;          /* owned: records that pieces of the row point into */
	struct row row;
	size_t pages_before; /* pages come before this piece of the row; more than there are: there are none */
	uint32_t page, pages;
	uint64_t gen;
	uint32_t serial;
	bool is_first; /* no message has been made yet */
	uint64_t messages, octets;
	struct msp_mono deadline;
	enum msp_err failed;
	struct msp_rr_scratch scratch;
};

/** What one pull hands out: messages made here lie in `mem`, and are sent from there. */
struct chunk {
	struct msp_span last_page; /* empty: none */
	size_t octets, pages, used, size;
	uint8_t mem[];
};

static void stream_free(struct cmb_stream *s)
{
	if (s == NULL)
		return;
	*s->link = s->next;
	if (s->next != NULL)
		s->next->link = s->link;
	s->app->stream_count--;
	cmb_snap_close(&s->snap);
	cmb_delta_free(&s->condensed);
	msp_buf_fini(&s->own);
	msp_free(s->row.piece);
	msp_tsig_ctx_fini(&s->tsig);
	cmb_settings_unref(&s->settings);
	msp_free(s);
}

static enum msp_err stream_new(struct cmb_hosted *h, const struct cmb_xfr_request *q, struct cmb_stream **out)
{
	struct cmb_app *app = h->app;
	struct cmb_stream *s;

	*out = NULL;
	if (app->stream_count >= (size_t)app->conf->transfers_out_max)
		return MSP_EBUSY;
	s = msp_alloc(1, sizeof(*s));
	if (s == NULL)
		return MSP_ENOMEM;
	s->app = app;
	s->zone = h->name;
	s->settings = cmb_settings_ref(app->settings);
	s->q = *q;
	s->is_first = true;
	s->serial = h->head.out_serial;
	s->deadline = msp_mono_add_ms(msp_mono_now(), (int64_t)app->conf->transfer_out_max_s * 1000);
	msp_buf_init(&s->own, HISTORY_MAX);
	s->pages_before = SIZE_MAX;
	s->link = &app->streams;
	s->next = app->streams;
	if (s->next != NULL)
		s->next->link = &s->next;
	app->streams = s;
	app->stream_count++;
	*out = s;
	return MSP_OK;
}

/* --- the row ------------------------------------------------------------------------------------------------------ */

static enum msp_err row_init(struct row *r, size_t max)
{
	r->piece = msp_alloc(max, sizeof(*r->piece));
	return r->piece != NULL ? MSP_OK : MSP_ENOMEM;
}

static void row_add(struct row *r, struct msp_span piece)
{
	r->piece[r->count++] = piece;
	r->left += piece.len;
}

/* Step over pieces that are used up, but not over the place of the pages. */
static void row_settle(struct row *r, size_t stop)
{
	while (r->at < r->count && r->at < stop && r->pos >= r->piece[r->at].len) {
		r->at++;
		r->pos = 0;
	}
}

/* As many records as fit, at least one. */
static enum msp_err pack(struct cmb_stream *s, struct msp_msgw *w, size_t stop)
{
	struct row *r = &s->row;
	size_t packed = 0;

	for (row_settle(r, stop); r->at < r->count && r->at < stop; row_settle(r, stop)) {
		size_t before = w->wr.pos;
		struct msp_rd rd;
		struct msp_rr rr;

		msp_rd_init(&rd, r->piece[r->at]);
		rd.pos = r->pos;
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
		r->left -= rd.pos - r->pos;
		r->pos = rd.pos;
	}
	return MSP_OK;
}

/* --- chunks ------------------------------------------------------------------------------------------------------- */

/* What a message has beside records: length, header, question, OPT, TSIG. */
static size_t overhead(const struct cmb_stream *s)
{
	return 2 + MSP_HEADER_LEN + MSP_NAME_MAX + 4 + 11 + s->tsig_room;
}

/* Octets that all messages of what is left of the row need at most, up to what a chunk holds of them. */
static size_t row_room(const struct cmb_stream *s)
{
	size_t left = s->row.left;

	if (left > BUILT_MAX)
		return BUILT_MAX;
	left += (left / MESSAGE_TARGET * 2 + 3) * overhead(s);
	return left < BUILT_MAX ? left : BUILT_MAX;
}

static struct chunk *chunk_new(const struct cmb_stream *s)
{
	size_t size = row_room(s);
	struct chunk *c;

	if (s->pages_before != SIZE_MAX && s->page < s->pages)
		size += CHUNK_PAGES * (PREFIX_LEN + s->tsig_room);
	c = msp_alloc(1, sizeof(*c) + size);
	if (c != NULL)
		c->size = size;
	return c;
}

/* Octets that follow each other in memory are one part. */
static void add_part(struct msp_stream_chunk *out, struct chunk *c, struct msp_span part)
{
	struct msp_span *last = out->count > 0 ? &out->part[out->count - 1] : NULL;

	c->octets += part.len;
	if (last != NULL && last->ptr + last->len == part.ptr)
		last->len += part.len;
	else
		out->part[out->count++] = part;
}

static void put_u16(uint8_t *at, size_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)(v & 0xff);
}

/* What is left of the row may need less than the largest message: a small answer has a small chunk. */
static bool has_room_to_build(const struct cmb_stream *s, const struct chunk *c)
{
	size_t need = s->row.left + overhead(s);

	return c->size - c->used >= (need < MESSAGE_ROOM ? need : MESSAGE_ROOM);
}

static enum msp_err add_built(struct cmb_stream *s, struct chunk *c, struct msp_stream_chunk *out, struct msp_wall now)
{
	uint8_t *mem = c->mem + c->used;
	size_t cap = c->size - c->used - 2, len;
	struct msp_msgw w;
	struct msp_span msg;
	enum msp_err err;

	if (cap > MSP_MSG_MAX)
		cap = MSP_MSG_MAX;
	msp_msgw_init(&w, mem + 2, cap - s->tsig_room, s->q.id, MSP_OPCODE_QUERY,
		      (uint16_t)(MSP_FLAG_QR | MSP_FLAG_AA | s->q.flags));
	if (s->is_first) /* RFC 5936 2.2.1: later ones may leave it out */
		msp_msgw_question(&w, &s->q.qname, s->q.qtype, MSP_CLASS_IN);
	err = pack(s, &w, s->page < s->pages ? s->pages_before : SIZE_MAX);
	if (err == MSP_OK && s->is_first && s->q.has_edns) {
		struct msp_optw o = msp_optw_open(&w, MSP_EDNS_PAYLOAD, 0, false);

		msp_optw_close(&o);
	}
	s->is_first = false;
	if (err == MSP_OK)
		err = msp_msgw_finish(&w, &msg);
	if (err != MSP_OK)
		return err;
	len = msg.len;
	if (s->tsig.key != NULL)
		err = msp_tsig_sign_response(&s->tsig, now, mem + 2, &len, cap);
	if (err != MSP_OK)
		return err;
	put_u16(mem, len);
	c->used += 2 + len;
	s->messages++;
	add_part(out, c, msp_span(mem, 2 + len));
	return MSP_OK;
}

/* A page does not match its checksum, or is not there. */
static enum msp_err damaged(struct cmb_stream *s)
{
	struct cmb_hosted *h = cmb_shell_find(s->app, &s->zone);

	if (h != NULL && h->head.gen == s->gen) /* else it is an old version, that nobody asks for any more */
		cmb_hosted_damaged(h);
	return MSP_ECORRUPT;
}

static enum msp_err next_page(struct cmb_stream *s, struct msp_span *page)
{
	enum msp_err err = cmb_snap_next(s->snap, page);

	if (err == MSP_OK && page->len >= MSP_HEADER_LEN && page->len <= MSP_MSG_MAX - s->tsig_room)
		return MSP_OK;
	return err == MSP_OK || err == MSP_ENOTFOUND || err == MSP_ECORRUPT ? damaged(s) : err;
}

static enum msp_err add_page(struct cmb_stream *s, struct chunk *c, struct msp_stream_chunk *out, struct msp_wall now)
{
	uint8_t *prefix = c->mem + c->used, *rr = prefix + PREFIX_LEN;
	struct msp_span page, part[2];
	size_t rr_len = 0;
	enum msp_err err = next_page(s, &page);

	if (err != MSP_OK)
		return err;
	memcpy(prefix + 2, page.ptr, MSP_HEADER_LEN);
	put_u16(prefix + 2, s->q.id);
	prefix[4] = (uint8_t)(prefix[4] | s->q.flags >> 8);
	part[0] = msp_span(prefix + 2, MSP_HEADER_LEN);
	part[1] = msp_span(page.ptr + MSP_HEADER_LEN, page.len - MSP_HEADER_LEN);
	if (s->tsig.key != NULL) {
		err = msp_tsig_sign_parts(&s->tsig, now, part, 2, s->q.id, rr, &rr_len, s->tsig_room);
		if (err != MSP_OK)
			return err;
		put_u16(prefix + PREFIX_LEN - 2, 1); /* ARCOUNT */
	}
	put_u16(prefix, page.len + rr_len);
	c->used += PREFIX_LEN + rr_len;
	c->pages++;
	c->last_page = page;
	s->page++;
	s->messages++;
	add_part(out, c, msp_span(prefix, PREFIX_LEN));
	add_part(out, c, part[1]);
	if (rr_len > 0)
		add_part(out, c, msp_span(rr, rr_len));
	return MSP_OK;
}

static size_t chunk_octets(const struct cmb_app *app)
{
	size_t share = CHUNKS_OCTETS / app->stream_count;

	if (share > CHUNK_MAX)
		return CHUNK_MAX;
	return share < CHUNK_MIN ? CHUNK_MIN : share;
}

static enum msp_err fill(struct cmb_stream *s, struct chunk *c, struct msp_stream_chunk *out)
{
	size_t full = chunk_octets(s->app);
	struct msp_wall now = msp_wall_now();
	enum msp_err err = MSP_OK;

	while (err == MSP_OK && c->octets < full && out->count + PAGE_PARTS <= MSP_STREAM_PARTS) {
		bool has_pages = s->page < s->pages;

		row_settle(&s->row, has_pages ? s->pages_before : SIZE_MAX);
		if (has_pages && s->row.at >= s->pages_before) {
			/* a large apex may have taken of the room that was meant for pages */
			if (c->pages == CHUNK_PAGES || c->size - c->used < PREFIX_LEN + s->tsig_room)
				break;
			err = add_page(s, c, out, now);
		} else if (s->row.at < s->row.count) {
			if (!has_room_to_build(s, c))
				break;
			err = add_built(s, c, out, now);
		} else {
			break;
		}
	}
	row_settle(&s->row, s->page < s->pages ? s->pages_before : SIZE_MAX);
	out->end = s->page >= s->pages && s->row.at >= s->row.count;
	return err;
}

static enum msp_err pull(void *arg, struct msp_stream_chunk *out)
{
	struct cmb_stream *s = arg;
	struct chunk *c = NULL;
	enum msp_err err = s->failed;

	if (err == MSP_OK && msp_mono_reached(msp_mono_now(), s->deadline))
		err = MSP_ETIMEOUT;
	if (err == MSP_OK) {
		c = chunk_new(s);
		err = c != NULL ? fill(s, c, out) : MSP_ENOMEM;
	}
	if (err != MSP_OK) {
		s->failed = err;
		msp_free(c);
		return err;
	}
	s->octets += c->octets;
	out->token = c;
	return MSP_OK;
}

static void sent(void *arg, void *token)
{
	struct cmb_stream *s = arg;
	struct chunk *c = token;

	if (c->last_page.len > 0 && s->snap != NULL)
		cmb_snap_used(s->snap, c->last_page);
	msp_free(c);
}

static void done(void *arg, enum msp_err err)
{
	struct cmb_stream *s = arg;
	struct cmb_app *app = s->app;
	struct cmb_hosted *h = cmb_shell_find(app, &s->zone);

	if (s->failed != MSP_OK)
		err = s->failed;
	app->stats.octets_out += s->octets;
	if (err != MSP_OK)
		app->stats.transfers_out_failed++;
	else if (s->pages_before != SIZE_MAX)
		app->stats.axfr_out++;
	else
		app->stats.ixfr_out++;
	if (h != NULL)
		h->transfers_out += err == MSP_OK;
	msp_log(app->log, err == MSP_OK ? MSP_LOG_INFO : MSP_LOG_WARNING, "transfer-out",
		MSP_F_STR("zone", MSP_NAME(&s->zone)), MSP_F_STR("type", MSP_TYPE(s->q.qtype)),
		MSP_F_STR("form", s->pages_before != SIZE_MAX ? "whole" : "differences"),
		MSP_F_U64("serial", s->serial), MSP_F_U64("messages", s->messages), MSP_F_U64("octets", s->octets),
		MSP_F_STR("result", msp_err_text(err)));
	stream_free(s);
}

static void go(struct cmb_stream *s, struct msp_req **req, struct msp_tsig_ctx *tsig)
{
	s->tsig = *tsig;
	memset(tsig, 0, sizeof(*tsig));
	if (s->tsig.key != NULL) /* owner, fixed part, algorithm name, time .. other length, MAC */
		s->tsig_room = (size_t)msp_tsig_key_name(s->tsig.key)->len + 10 + 13 + 16 + MSP_TSIG_MAC_MAX;
	s->req = *req;
	msp_req_stream_chunks(req, pull, sent, done, s);
}

void cmb_xfrout_expire(struct cmb_app *app)
{
	struct msp_mono now = msp_mono_now();

	for (struct cmb_stream *s = app->streams; s != NULL; s = s->next) {
		if (s->failed != MSP_OK || !msp_mono_reached(now, s->deadline))
			continue;
		/* A client that reads too slowly must not keep old pages from being used again. They are borrowed by
		 * what is being written: the connection goes first, the snapshot when that is over. */
		s->failed = MSP_ETIMEOUT;
		msp_req_stream_abort(s->req, MSP_ETIMEOUT);
	}
}

/* --- what goes into them ------------------------------------------------------------------------------------------ */

enum msp_err cmb_xfrout_axfr(struct cmb_hosted *h, struct msp_req **req, const struct cmb_xfr_request *q,
			     struct msp_tsig_ctx *tsig)
{
	const struct cmb_zone *z = h->zone;
	struct cmb_stream *s = NULL;
	size_t head = 0;
	enum msp_err err = stream_new(h, q, &s);

	if (err != MSP_OK)
		return err;
	s->gen = z->served_gen;
	s->pages = z->owner->pages;
	err = row_init(&s->row, 2);
	if (err == MSP_OK)
		err = cmb_snap_open(h->app->pages, z->served_gen, &s->snap);
	if (err == MSP_OK)
		err = cmb_apex_write(&z->served, &s->own); /* the SOA comes first */
	head = s->own.len;
	if (err == MSP_OK)
		err = msp_rrset_write(z->served.soa, &s->own);
	if (err == MSP_OK)
		err = s->own.err;
	if (err != MSP_OK) {
		stream_free(s);
		return err;
	}
	row_add(&s->row, msp_span(s->own.ptr, head));
	row_add(&s->row, msp_span(s->own.ptr + head, s->own.len - head));
	s->pages_before = 1;
	go(s, req, tsig);
	return MSP_OK;
}

/** What leads from a client's serial to the version served. */
struct history {
	struct cmb_snap *snap;       /* owned */
	struct cmb_delta_view *view; /* owned array, borrowed octets */
	struct cmb_delta *condensed; /* owned; then the only view shows it */
	size_t count, octets;
};

static void history_fini(struct history *y)
{
	cmb_snap_close(&y->snap);
	cmb_delta_free(&y->condensed);
	msp_free(y->view);
	memset(y, 0, sizeof(*y));
}

static size_t view_octets(const struct cmb_delta_view *v, size_t count)
{
	size_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += v[i].del.len + v[i].add.len;
	return sum;
}

/* Several versions as one step, where that is shorter. */
static enum msp_err condense(struct history *y, size_t max)
{
	struct cmb_delta_view one;
	enum msp_err err;

	if (y->count < 2 || y->octets > max)
		return MSP_OK;
	err = cmb_history_condense(y->view, y->count, max, &y->condensed);
	if (err != MSP_OK)
		return err == MSP_ELIMIT ? MSP_OK : err;
	one = (struct cmb_delta_view){ .from = y->condensed->from,
				       .to = y->condensed->to,
				       .del = msp_buf_span(&y->condensed->del),
				       .add = msp_buf_span(&y->condensed->add) };
	if (view_octets(&one, 1) >= y->octets) {
		cmb_delta_free(&y->condensed);
		return MSP_OK;
	}
	y->view[0] = one;
	y->count = 1;
	y->octets = view_octets(&one, 1);
	return MSP_OK;
}

/* What is shorter than a message costs nothing, however small the zone. */
static bool is_longer_than_zone(const struct history *y, const struct cmb_hosted *h)
{
	return y->octets > MESSAGE_TARGET && y->octets > h->head.octets;
}

static enum msp_err history_open(struct cmb_hosted *h, uint32_t serial, size_t condense_max, struct history *y)
{
	enum msp_err err = cmb_snap_open(h->app->pages, h->zone->served_gen, &y->snap);

	if (err == MSP_OK) {
		y->view = msp_alloc(CMB_HISTORY_MAX, sizeof(*y->view));
		err = y->view != NULL ? MSP_OK : MSP_ENOMEM;
	}
	if (err == MSP_OK)
		err = cmb_snap_history(y->snap, &h->name, serial, h->head.out_serial, y->view, &y->count);
	if (err == MSP_ECORRUPT) {
		h->app->stats.pages_damaged++;
		msp_log(h->app->log, MSP_LOG_ERROR, "pages-damaged", MSP_F_STR("zone", MSP_NAME(&h->name)),
			MSP_F_STR("what", "its history: sending the whole zone"));
		err = MSP_ENOTFOUND;
	}
	y->octets = err == MSP_OK ? view_octets(y->view, y->count) : 0;
	if (err == MSP_OK)
		err = condense(y, condense_max);
	if (err == MSP_OK && is_longer_than_zone(y, h))
		err = MSP_ENOTFOUND;
	if (err != MSP_OK)
		history_fini(y);
	return err;
}

enum msp_err cmb_xfrout_history(struct cmb_hosted *h, uint32_t serial, size_t max, struct msp_buf *out)
{
	struct history y = { .snap = NULL };
	enum msp_err err = history_open(h, serial, max, &y); /* a datagram must not cause much work */

	if (err == MSP_OK && y.octets > max)
		err = MSP_ELIMIT;
	if (err == MSP_OK)
		err = msp_rrset_write(h->zone->served.soa, out);
	for (size_t i = 0; err == MSP_OK && i < y.count; i++) {
		msp_buf_add_span(out, y.view[i].del);
		msp_buf_add_span(out, y.view[i].add);
	}
	if (err == MSP_OK)
		err = msp_rrset_write(h->zone->served.soa, out);
	if (err == MSP_OK)
		err = out->err;
	if (err == MSP_OK && out->len > max)
		err = MSP_ELIMIT;
	history_fini(&y);
	return err;
}

/* SOA, then each step, then the SOA again (RFC 1995 4). */
static enum msp_err fill_row(struct cmb_stream *s, const struct cmb_hosted *h, const struct history *y)
{
	enum msp_err err = row_init(&s->row, 2 + 2 * y->count);

	if (err == MSP_OK)
		err = msp_rrset_write(h->zone->served.soa, &s->own);
	if (err == MSP_OK)
		err = s->own.err;
	if (err != MSP_OK)
		return err;
	row_add(&s->row, msp_buf_span(&s->own));
	for (size_t i = 0; i < y->count; i++) {
		row_add(&s->row, y->view[i].del);
		row_add(&s->row, y->view[i].add);
	}
	row_add(&s->row, msp_buf_span(&s->own));
	return MSP_OK;
}

enum msp_err cmb_xfrout_ixfr(struct cmb_hosted *h, struct msp_req **req, const struct cmb_xfr_request *q,
			     uint32_t serial, struct msp_tsig_ctx *tsig)
{
	struct history y = { .snap = NULL };
	struct cmb_stream *s = NULL;
	enum msp_err err = history_open(h, serial, CONDENSE_MAX, &y);

	if (err != MSP_OK)
		return err;
	err = stream_new(h, q, &s);
	if (err == MSP_OK)
		err = fill_row(s, h, &y);
	if (err == MSP_OK) {
		s->gen = h->zone->served_gen;
		s->snap = y.snap;
		s->condensed = y.condensed;
		y.snap = NULL;
		y.condensed = NULL;
		go(s, req, tsig);
	} else {
		stream_free(s);
	}
	history_fini(&y);
	return err;
}
