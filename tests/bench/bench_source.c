/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A primary with one delegation zone. A version differs from the one before in the serial and in the digest of one DS
 * record, another one each time, spread over the zone. The zone is kept as the messages of an AXFR, changed in place; a
 * transfer is sent by a child, which has the zone as it was when it began.
 */
#include "bench.h"

#include <msproto/base/mem.h>

#include <stdio.h>
#include <string.h>

#define WRITE_SIZE  (1u << 20)
#define PAGE_TARGET 16000
#define PAGE_ROOM   (PAGE_TARGET + 512)
#define HOSTS       5000
#define TTL         3600
#define DS_LEN      36u
#define HISTORY     128u  /* versions that IXFR reaches back: their differences fit one message */
#define STEP        7919u /* from one changed record to the next */
#define SERIAL      1000u

struct page {
	uint8_t *ptr; /* owned: a message */
	size_t len;
};
struct ds { /* where a DS record stands, and its owner's name */
	uint32_t page, at, number;
	uint16_t salt;
};
struct change {
	uint32_t ds;
	uint8_t old[DS_LEN], new[DS_LEN];
};
static struct {
	struct msp_name zone;
	const struct msp_tsig_key *key;
	struct page *page; /* owned */
	size_t pages, page_room;
	struct ds *ds; /* owned */
	uint32_t ds_count, ds_room, next;
	size_t first_soa, last_soa;     /* where the serial stands in the first and in the last message */
	uint32_t serial, floor;         /* IXFR is answered from floor on */
	struct change history[HISTORY]; /* by the serial before it */
	unsigned soas, axfrs, ixfrs;
} src;

/* --- the zone ---------------------------------------------------------------------------------------------------- */

struct building {
	struct msp_msgw w;
	uint8_t mem[PAGE_ROOM];
	bool is_open;
};

static void close_page(struct building *b)
{
	struct msp_span msg;

	if (!b->is_open)
		return;
	bench_must(msp_msgw_finish(&b->w, &msg), "page");
	if (src.pages == src.page_room) {
		src.page_room = src.page_room * 2 + 64;
		src.page = bench_grow(src.page, src.page_room, sizeof(*src.page));
	}
	src.page[src.pages].ptr = msp_memdup(msg.ptr, msg.len);
	if (src.page[src.pages].ptr == NULL)
		bench_die("memory");
	src.page[src.pages++].len = msg.len;
	b->is_open = false;
}

static void open_page(struct building *b)
{
	msp_msgw_init(&b->w, b->mem, sizeof(b->mem), 0, MSP_OPCODE_QUERY, MSP_FLAG_QR | MSP_FLAG_AA);
	if (src.pages == 0)
		msp_msgw_question(&b->w, &src.zone, MSP_TYPE_AXFR, MSP_CLASS_IN);
	b->is_open = true;
}

static void add(struct building *b, const struct msp_name *owner, unsigned type, struct msp_span rdata)
{
	struct msp_rr rr = { *owner, (uint16_t)type, MSP_CLASS_IN, TTL, rdata };

	if (b->is_open && b->w.wr.pos > PAGE_TARGET)
		close_page(b);
	if (!b->is_open)
		open_page(b);
	msp_msgw_rr(&b->w, MSP_SEC_ANSWER, &rr);
	bench_must(b->w.wr.err, "record");
}

static void add_ns(struct building *b, const struct msp_name *owner, const char *text)
{
	struct msp_name host = bench_name(text);

	add(b, owner, MSP_TYPE_NS, msp_name_span(&host));
}

static size_t soa_rdata(uint8_t *out, size_t cap, uint32_t serial)
{
	static const uint32_t rest[] = { 3600, 600, 1209600, 300 };
	static const char *const names[] = { "ns.owner.test.", "host.owner.test." };
	struct msp_wr w;

	msp_wr_init(&w, out, cap);
	for (size_t k = 0; k < 2; k++) {
		struct msp_name n = bench_name(names[k]);

		for (size_t i = 0; i < n.len; i++)
			msp_wr_u8(&w, n.oct[i]);
	}
	msp_wr_u32(&w, serial);
	for (size_t i = 0; i < 4; i++)
		msp_wr_u32(&w, rest[i]);
	return w.pos;
}

static size_t add_soa(struct building *b)
{
	uint8_t mem[600];

	add(b, &src.zone, MSP_TYPE_SOA, msp_span(mem, soa_rdata(mem, sizeof(mem), 0)));
	return b->w.wr.pos - 20;
}

/* PROTOCOL A.1: state ON, agent manages NS, sign. */
static void add_hsync(struct building *b, const char *identity)
{
	uint8_t mem[3 + MSP_NAME_MAX] = { 1, 2, 1 };
	struct msp_name n = bench_name(identity);

	memcpy(mem + 3, n.oct, n.len);
	add(b, &src.zone, MSP_TYPE_HSYNC_DEFAULT, msp_span(mem, 3u + n.len));
}

static struct msp_name owner_of(uint32_t number, uint16_t salt)
{
	struct msp_name owner;
	char text[80];

	snprintf(text, sizeof(text), "d%07u-%04x", (unsigned)number, (unsigned)salt);
	bench_must(msp_name_prepend(text, &src.zone, &owner), text);
	return owner;
}

static void fill_ds(uint8_t out[DS_LEN], uint32_t *x)
{
	for (size_t at = 0; at < DS_LEN; at++) {
		*x = *x * 1664525u + 1013904223u;
		out[at] = (uint8_t)(*x >> 24);
	}
	out[2] = 13;
	out[3] = 2;
}

static void add_ds(struct building *b, uint32_t number, uint16_t salt, uint32_t *x)
{
	struct msp_name owner = owner_of(number, salt);
	uint8_t ds[DS_LEN];

	fill_ds(ds, x);
	add(b, &owner, MSP_TYPE_DS, msp_span(ds, sizeof(ds)));
	if (src.ds_count == src.ds_room) {
		src.ds_room = src.ds_room * 2 + 64;
		src.ds = bench_grow(src.ds, src.ds_room, sizeof(*src.ds));
	}
	src.ds[src.ds_count++] = (struct ds){ (uint32_t)src.pages, (uint32_t)(b->w.wr.pos - DS_LEN), number, salt };
}

/* Delegations of two NS each, every second one with a DS: 2.5 records a name. */
static void generate(uint64_t records)
{
	static struct building b;
	uint64_t made = 5;
	uint32_t x = 12345;

	src.first_soa = add_soa(&b);
	add_ns(&b, &src.zone, "ns1.owner.test.");
	add_ns(&b, &src.zone, "ns2.owner.test.");
	add_hsync(&b, "msa.provider-a.test.");
	add_hsync(&b, "msa.provider-b.test.");
	for (uint32_t i = 0; made < records; i++) {
		struct msp_name owner;
		char text[80];
		uint16_t salt;

		x = x * 1664525u + 1013904223u;
		salt = (uint16_t)(x >> 16);
		owner = owner_of(i, salt);
		for (unsigned k = 1; k <= 2 && made < records; k++, made++) {
			snprintf(text, sizeof(text), "ns%u.host%u.example.net.", k, (unsigned)(x >> 8) % HOSTS);
			add_ns(&b, &owner, text);
		}
		if (i % 2 == 0 && made < records) {
			add_ds(&b, i, salt, &x);
			made++;
		}
	}
	close_page(&b);
	src.last_soa = add_soa(&b);
	close_page(&b);
}

static uint8_t *ds_at(const struct ds *d)
{
	return src.page[d->page].ptr + d->at;
}

static void change_one(void)
{
	struct change *c = &src.history[src.serial % HISTORY];
	uint32_t x = src.serial;

	if (src.ds_count == 0)
		bench_die("no record to change");
	c->ds = src.next = (src.next + STEP) % src.ds_count;
	memcpy(c->old, ds_at(&src.ds[c->ds]), DS_LEN);
	fill_ds(c->new, &x);
	memcpy(ds_at(&src.ds[c->ds]), c->new, DS_LEN);
	src.serial++;
	if (src.serial - src.floor > HISTORY)
		src.floor = src.serial - HISTORY;
}

/* --- answers ----------------------------------------------------------------------------------------------------- */

static void put_soa(struct msp_msgw *w, uint32_t serial)
{
	uint8_t mem[600];
	struct msp_rr rr = { src.zone, MSP_TYPE_SOA, MSP_CLASS_IN, TTL, { NULL, 0 } };

	rr.rdata = msp_span(mem, soa_rdata(mem, sizeof(mem), serial));
	msp_msgw_rr(w, MSP_SEC_ANSWER, &rr);
}

static void put_ds(struct msp_msgw *w, const struct change *c, const uint8_t *rdata)
{
	const struct ds *d = &src.ds[c->ds];
	struct msp_rr rr = { owner_of(d->number, d->salt), MSP_TYPE_DS, MSP_CLASS_IN, TTL, msp_span(rdata, DS_LEN) };

	msp_msgw_rr(w, MSP_SEC_ANSWER, &rr);
}

/* RFC 1995 4: the new SOA, then for each version the old SOA, what goes, the new SOA, what comes, and the new SOA. */
static void put_differences(struct msp_msgw *w, uint32_t from)
{
	put_soa(w, src.serial);
	if (from == src.serial)
		return;
	for (uint32_t s = from; s != src.serial; s++) {
		const struct change *c = &src.history[s % HISTORY];

		put_soa(w, s);
		put_ds(w, c, c->old);
		put_soa(w, s + 1);
		put_ds(w, c, c->new);
	}
	put_soa(w, src.serial);
}

/* The serial that an IXFR says the client has (RFC 1995 3). */
static bool client_serial(const struct msp_msg *m, uint32_t *out)
{
	static struct msp_rr_scratch scratch;
	struct msp_msg_it it;
	struct msp_rr rr;
	struct msp_rd rd;

	msp_msg_it_init(&it, m, MSP_SEC_AUTHORITY, &scratch);
	if (!msp_msg_next(&it, &rr) || rr.type != MSP_TYPE_SOA || rr.rdata.len < 20)
		return false;
	msp_rd_init(&rd, msp_span(rr.rdata.ptr + rr.rdata.len - 20, 4));
	*out = msp_rd_u32(&rd);
	return true;
}

static size_t answer(struct bench_request *r, uint8_t *out, size_t cap)
{
	const struct msp_msg *m = &r->m;
	struct msp_msgw w;
	struct msp_span msg;
	uint32_t have = 0;
	bool is_ixfr = m->question.type == MSP_TYPE_IXFR;

	if (m->opcode != MSP_OPCODE_QUERY || !msp_name_equal(&m->question.name, &src.zone))
		return 0;
	if (is_ixfr && !client_serial(m, &have))
		return 0;
	if (r->is_tcp &&
	    (m->question.type == MSP_TYPE_AXFR || (is_ixfr && (have - src.floor > src.serial - src.floor)))) {
		src.axfrs++;
		return BENCH_STREAM;
	}
	msp_msgw_respond(&w, out, cap, m, 0, MSP_FLAG_AA);
	if (r->is_tcp && is_ixfr) {
		put_differences(&w, have);
		src.ixfrs++;
	} else if (is_ixfr || m->question.type == MSP_TYPE_SOA) { /* by UDP, an IXFR may be answered so: ask by TCP */
		put_soa(&w, src.serial);
		src.soas++;
	}
	bench_must(msp_msgw_finish(&w, &msg), "answer");
	return msg.len;
}

static bool stream(int fd, struct bench_request *r)
{
	static uint8_t mem[WRITE_SIZE + 2 + PAGE_ROOM + MSP_TSIG_RR_MAX];
	size_t held = 0;

	for (size_t i = 0; i < src.pages; i++) {
		const struct page *p = &src.page[i];
		uint8_t *out = mem + held + 2;
		struct msp_wr w;
		size_t len;

		memcpy(out, p->ptr, p->len);
		bench_put_u16(out, r->m.id);
		if (i == 0 || i + 1 == src.pages) {
			msp_wr_init(&w, out + (i == 0 ? src.first_soa : src.last_soa), 4);
			msp_wr_u32(&w, src.serial);
		}
		if (i == 0) /* the type in the question is the request's */
			out[MSP_HEADER_LEN + src.zone.len + 1] = (uint8_t)r->m.question.type;
		len = bench_sign(r, out, p->len, PAGE_ROOM + MSP_TSIG_RR_MAX);
		bench_put_u16(out - 2, len);
		held += 2 + len;
		if ((held >= WRITE_SIZE || i + 1 == src.pages) && !bench_write_all(fd, mem, held))
			return false;
		held = held >= WRITE_SIZE ? 0 : held;
	}
	return true;
}

static void command(const char *word, const char *arg, int udp)
{
	int64_t at;

	if (strcmp(word, "stats") == 0) {
		printf("%u %u %u\n", src.soas, src.axfrs, src.ixfrs);
		return;
	}
	if (strcmp(word, "bump") == 0 || strcmp(word, "change") == 0)
		change_one();
	if (strcmp(word, "bump") == 0)
		src.floor = src.serial;
	at = bench_now_ns();
	bench_notify(udp, bench_number(arg, 65535), &src.zone, (uint16_t)src.serial, src.key);
	printf("%u %lld\n", (unsigned)src.serial, (long long)at);
}

int bench_source(uint64_t port, const struct msp_name *zone, uint64_t records, const struct msp_tsig_key *key)
{
	static const struct bench_service template = { NULL, answer, stream, command };
	struct bench_service service = template;

	src.zone = *zone;
	src.key = service.key = key;
	src.serial = src.floor = SERIAL;
	generate(records);
	return bench_serve(port, &service);
}
