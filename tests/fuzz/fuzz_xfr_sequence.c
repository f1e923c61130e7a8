/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transfers one after the other, on one machine and on one copy of the zone, as a secondary lives through them: answers
 * cut into messages anywhere, with and without TSIG, damaged, empty, out of place; IXFR, and AXFR after it. What the
 * machine hands out is applied to one representation of the zone (bits); what a naive reading of RFC 5936 and RFC 1995
 * says, over the list of all records, is applied to another (a list). Both must agree in every step and on every end.
 *
 * Input, an octet a step:
 *   00-7f  a record: type (bit 6), one of four names (bits 4, 5), one of sixteen values
 *   80-bf  the SOA: serial (bits 0-4), other data (bit 5)
 *   c0-c7  SOA below the apex; a record, a SOA of another zone; class CH; type ANY; the SOA in other case (serial 1)
 *   d0-d5  end of the message: signed when the transfer is; unsigned; damaged (next octet: where); with another id;
 *          with RCODE REFUSED; followed by an empty one
 *   e0     end of the transfer; next octet: IXFR (bit 0), TSIG (bit 1), no question in later messages (bit 2)
 *   other  nothing
 */
#undef NDEBUG /* the property is checked in every build */
#include <assert.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include <msproto/auth/tsig.h>
#include <msproto/wire/rdata.h>
#include <msproto/zone/serial.h>
#include <msproto/zone/xfrin.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define RECORDS_MAX  200 /* in a transfer */
#define MESSAGES_MAX 300
#define CODES        128
#define EMPTY_MAX    64 /* in a row; MSP_XFRIN_EMPTY_MAX, told again */
#define UNSIGNED_MAX 99 /* RFC 8945 5.3.1 */
#define SECRET       "a secret that nobody guesses 0123"

enum {
	SOA = 0x80,
	SOA_OTHER = 0xa0,
	BELOW = 0xc0,
	OUTSIDE,
	OUTSIDE_SOA,
	CLASS_CH,
	TYPE_ANY,
	SOA_CASE,
	END = 0xd0,
	END_UNSIGNED,
	END_DAMAGED,
	END_OTHER_ID,
	END_REFUSED,
	END_AND_EMPTY,
	TRANSFER = 0xe0
};

/* --- the answer, as it is to be sent ------------------------------------------------------------------------------ */

struct message {
	size_t from, to; /* of the records */
	uint8_t end;     /* END ... */
	uint8_t damage;  /* where */
};

struct transfer {
	bool is_ixfr, is_signed, no_question;
	uint8_t code[RECORDS_MAX];
	size_t count;
	struct message message[MESSAGES_MAX];
	size_t messages;
};

static void end_message(struct transfer *t, uint8_t end, uint8_t damage)
{
	size_t from = t->messages > 0 ? t->message[t->messages - 1].to : 0;

	if (t->messages < MESSAGES_MAX)
		t->message[t->messages++] = (struct message){ from, t->count, end, damage };
}

/* Steps up to the next transfer. */
static void read_steps(struct msp_rd *rd, struct transfer *t)
{
	bool is_open = false;

	while (msp_rd_left(rd) > 0) {
		uint8_t c = msp_rd_u8(rd);

		if (c == TRANSFER)
			break;
		if (c <= SOA_CASE && t->count < RECORDS_MAX) {
			t->code[t->count++] = c;
			is_open = true;
		}
		if (c < END || c > END_AND_EMPTY)
			continue;
		end_message(t, c == END_AND_EMPTY ? END : c, c == END_DAMAGED ? msp_rd_u8(rd) : 0);
		if (c == END_AND_EMPTY)
			end_message(t, END, 0);
		is_open = false;
	}
	if (is_open)
		end_message(t, END, 0);
}

static struct msp_name name_of(const char *text)
{
	struct msp_name n;

	if (msp_name_from_text(text, &n) != MSP_OK)
		abort();
	return n;
}

static struct msp_rr soa_rr(uint32_t serial, bool is_other, bool is_upper, uint8_t *mem, size_t cap)
{
	struct msp_rr rr = {
		name_of(is_upper ? "EXAMPLE." : "example."), MSP_TYPE_SOA, MSP_CLASS_IN, 300, { NULL, 0 }
	};
	struct msp_soa soa = { .serial = serial, .refresh_s = 3600 };
	struct msp_wr wr;

	soa.mname = name_of(is_upper ? "Ns.Example." : "ns.example.");
	soa.rname = name_of(is_other ? "other.example." : "host.example.");
	msp_wr_init(&wr, mem, cap);
	msp_soa_write(&wr, &soa);
	rr.rdata = msp_wr_span(&wr);
	return rr;
}

static struct msp_rr rr_of(uint8_t code, uint8_t *mem, size_t cap)
{
	static const char *const owners[] = { "a.example.", "b.example.", "x.b.example.", "example." };
	struct msp_rr rr = { .type = MSP_TYPE_A, .cls = MSP_CLASS_IN, .ttl = 60 };
	struct msp_name host = name_of("h0.b.example.");

	if (code >= SOA && code < BELOW)
		return soa_rr(code & 0x1f, code >= SOA_OTHER, false, mem, cap);
	if (code == SOA_CASE)
		return soa_rr(1, false, true, mem, cap);
	if (code == BELOW || code == OUTSIDE_SOA) {
		rr = soa_rr(1, false, false, mem, cap);
		rr.owner = name_of(code == BELOW ? "b.example." : "example.org.");
		return rr;
	}
	rr.owner = name_of(owners[code >> 4 & 3]);
	if (code == OUTSIDE)
		rr.owner = name_of("an.example.org.");
	if (code == CLASS_CH)
		rr.cls = MSP_CLASS_CH;
	if (code == TYPE_ANY)
		rr.type = MSP_TYPE_ANY;
	memcpy(mem, "\xc0\x00\x02", 3);
	mem[3] = code & 15;
	rr.rdata = msp_span(mem, 4);
	if (code < CODES && (code & 0x40) != 0) { /* with names in it, so that there is something to unpack */
		rr.type = MSP_TYPE_NS;
		host.oct[2] = (uint8_t)('a' + (code & 15));
		memcpy(mem, host.oct, host.len);
		rr.rdata = msp_span(mem, host.len);
	}
	return rr;
}

static uint8_t code_of(const struct msp_rr *rr)
{
	uint8_t mem[64];

	for (unsigned code = 0; code < CODES; code++) {
		struct msp_rr known = rr_of((uint8_t)code, mem, sizeof(mem));

		if (known.type == rr->type && msp_name_same(&known.owner, &rr->owner) &&
		    msp_span_equal(known.rdata, rr->rdata))
			return (uint8_t)code;
	}
	return CODES; /* damaged on the way */
}

/* --- the naive reading -------------------------------------------------------------------------------------------- */

enum outcome { MORE, DONE, UP_TO_DATE, FAILED };

/* What is handed out, in order. */
struct event {
	enum { EV_FULL, EV_DIFF, EV_RECORD, EV_FROM, EV_TO, EV_DEL, EV_ADD } what;
	uint32_t value; /* serial, or code */
};

struct events {
	struct event item[2 * RECORDS_MAX + 4];
	size_t count;
};

static void say(struct events *e, int what, uint32_t value)
{
	struct event *item = &e->item[e->count++];

	item->what = (uint8_t)what;
	item->value = value;
}

static bool is_soa(uint8_t code)
{
	return (code >= SOA && code < BELOW) || code == SOA_CASE;
}

static uint32_t serial_of(uint8_t code)
{
	return code == SOA_CASE ? 1 : code & 0x1fu;
}

static bool is_same_soa(uint8_t a, uint8_t b)
{
	bool other_a = a >= SOA_OTHER && a < BELOW, other_b = b >= SOA_OTHER && b < BELOW;

	return serial_of(a) == serial_of(b) && other_a == other_b;
}

/* The records of one part, up to the next SOA or the end. */
static size_t read_data(const uint8_t *code, size_t count, size_t at, int what, struct events *e, bool *ok)
{
	for (*ok = true; at < count && !is_soa(code[at]); at++) {
		if (code[at] == BELOW || code[at] == CLASS_CH || code[at] == TYPE_ANY) {
			*ok = false;
			break;
		}
		if (code[at] < CODES)
			say(e, what, code[at]);
	}
	return at;
}

static enum outcome last_soa(const uint8_t *code, size_t at, size_t *used)
{
	*used = at + 1;
	return is_same_soa(code[at], code[0]) ? DONE : FAILED;
}

static enum outcome read_full(const uint8_t *code, size_t count, struct events *e, size_t *used)
{
	bool ok;
	size_t at = read_data(code, count, 1, EV_RECORD, e, &ok);

	if (!ok)
		return FAILED;
	return at == count ? MORE : last_soa(code, at, used);
}

static enum outcome read_differences(const uint8_t *code, size_t count, struct events *e, size_t *used)
{
	uint32_t newest = serial_of(code[0]), from, to;
	size_t at = 1;
	bool ok;

	do {
		from = serial_of(code[at]);
		say(e, EV_FROM, from);
		at = read_data(code, count, at + 1, EV_DEL, e, &ok);
		if (!ok || at == count)
			return ok ? MORE : FAILED;
		to = serial_of(code[at]);
		if (to <= from || to > newest || (to == newest && !is_same_soa(code[at], code[0])))
			return FAILED;
		say(e, EV_TO, to);
		at = read_data(code, count, at + 1, EV_ADD, e, &ok);
		if (!ok || at == count)
			return ok ? MORE : FAILED;
		if (to == newest)
			return last_soa(code, at, used);
	} while (serial_of(code[at]) == to);
	return FAILED;
}

/* The answer as far as it has come. *used: the records that belong to it when it is complete. */
static enum outcome read_answer(const struct transfer *t, uint32_t have, size_t count, struct events *e, size_t *used)
{
	const uint8_t *code = t->code;

	e->count = 0;
	if (count == 0)
		return MORE;
	if (!is_soa(code[0]))
		return FAILED;
	if (!t->is_ixfr) {
		say(e, EV_FULL, serial_of(code[0]));
		return read_full(code, count, e, used);
	}
	if (serial_of(code[0]) <= have)
		return UP_TO_DATE;
	if (count == 1)
		return MORE;
	if (is_soa(code[1]) && serial_of(code[1]) == have) {
		say(e, EV_DIFF, serial_of(code[0]));
		return read_differences(code, count, e, used);
	}
	if (code[1] == BELOW || code[1] == CLASS_CH || code[1] == TYPE_ANY ||
	    (is_soa(code[1]) && serial_of(code[1]) != serial_of(code[0])))
		return FAILED;
	say(e, EV_FULL, serial_of(code[0]));
	return read_full(code, count, e, used);
}

/* The zone of the naive reading. */
struct list {
	uint8_t code[CODES];
	size_t count;
	uint32_t serial;
};

static size_t find(const struct list *l, uint32_t code)
{
	size_t at = 0;

	while (at < l->count && l->code[at] != code)
		at++;
	return at;
}

/* @return how many events could be done: all, or up to the one that does not fit the zone, that one included */
static size_t apply(struct list *l, const struct events *e, bool *ok)
{
	*ok = true;
	for (size_t i = 0; i < e->count; i++) {
		uint32_t value = e->item[i].value;
		size_t at = find(l, value);

		switch (e->item[i].what) {
		case EV_FULL:
			l->count = 0;
			l->serial = value;
			break;
		case EV_DIFF:
			l->serial = value;
			break;
		case EV_RECORD: /* what comes twice is there once (PROTOCOL E.6) */
			if (at == l->count)
				l->code[l->count++] = (uint8_t)value;
			break;
		case EV_DEL:
			*ok = at < l->count;
			if (*ok)
				l->code[at] = l->code[--l->count];
			break;
		case EV_ADD:
			*ok = at == l->count;
			if (*ok)
				l->code[l->count++] = (uint8_t)value;
			break;
		default:
			break;
		}
		if (!*ok)
			return i + 1;
	}
	return e->count;
}

/* --- the machine's side ------------------------------------------------------------------------------------------- */

struct zone_bits {
	bool has[CODES + 1];
	uint32_t serial;
};

struct secondary {
	struct msp_xfrin x;
	struct zone_bits kept, next;
	struct events seen;
};

static enum msp_err on_begin(void *arg, const struct msp_rr *soa, bool is_full)
{
	struct secondary *s = arg;

	s->next = s->kept;
	if (is_full)
		memset(s->next.has, 0, sizeof(s->next.has));
	s->next.serial = msp_soa_serial(soa->rdata);
	say(&s->seen, is_full ? EV_FULL : EV_DIFF, s->next.serial);
	return MSP_OK;
}

static enum msp_err on_record(void *arg, const struct msp_rr *rr)
{
	struct secondary *s = arg;
	uint8_t code = code_of(rr);

	s->next.has[code] = true;
	say(&s->seen, EV_RECORD, code);
	return MSP_OK;
}

static enum msp_err on_delta(void *arg, bool is_add, const struct msp_rr *soa)
{
	struct secondary *s = arg;

	say(&s->seen, is_add ? EV_TO : EV_FROM, msp_soa_serial(soa->rdata));
	return MSP_OK;
}

static enum msp_err on_change(void *arg, bool is_add, const struct msp_rr *rr)
{
	struct secondary *s = arg;
	uint8_t code = code_of(rr);

	say(&s->seen, is_add ? EV_ADD : EV_DEL, code);
	if (s->next.has[code] == is_add)
		return is_add ? MSP_EEXIST : MSP_ENOTFOUND;
	s->next.has[code] = is_add;
	return MSP_OK;
}

static const struct msp_xfrin_ops ops = {
	.begin = on_begin, .record = on_record, .delta = on_delta, .change = on_change
};

/* --- the wire between them ---------------------------------------------------------------------------------------- */

static const struct msp_wall now = { 1795493971 };
static struct msp_rr_scratch scratch;

static const struct msp_tsig_key *fixed_key(void)
{
	static struct msp_tsig_key *key; /* lives as long as the process */
	struct msp_name name = name_of("transfer.key.");

	if (key == NULL && msp_tsig_key_new(&name, MSP_TSIG_SHA256, msp_span_str(SECRET), &key) != MSP_OK)
		abort();
	return key;
}

struct wire {
	uint16_t id;
	struct msp_tsig_ctx client, server;
	struct msp_buf since; /* unsigned messages since the last signed one */
	uint8_t mem[MSP_MSG_MAX];
};

static void connect(struct wire *w, const struct transfer *t, uint16_t id)
{
	uint8_t request[512] = { (uint8_t)(id >> 8), (uint8_t)id };
	size_t len = MSP_HEADER_LEN;

	w->id = id;
	msp_buf_init(&w->since, 1 << 22);
	memset(&w->client, 0, sizeof(w->client));
	if (!t->is_signed)
		return;
	if (msp_tsig_sign_request(fixed_key(), now, request, &len, sizeof(request), &w->client) != MSP_OK)
		abort();
	w->server = w->client; /* what verifying the request would have made of it */
}

static void disconnect(struct wire *w)
{
	msp_tsig_ctx_fini(&w->client);
	msp_buf_fini(&w->since);
}

/* The MAC over what went unsigned and this message, which our own signer never has to make (RFC 8945 5.3.1). */
static void cover_unsigned(struct wire *w, const struct msp_tsig_ctx *before, const uint8_t *bare, size_t bare_len,
			   size_t len)
{
	static const uint8_t timers[8] = { 0, 0, 0x6b, 0x05, 0x10, 0x53, 0x01, 0x2c }; /* now, 300 s */
	struct msp_buf all;

	if (w->since.len == 0)
		return;
	msp_buf_init(&all, 1 << 23);
	msp_buf_add_u8(&all, 0);
	msp_buf_add_u8(&all, (uint8_t)before->mac_len);
	msp_buf_add(&all, before->mac, before->mac_len);
	msp_buf_add_span(&all, msp_buf_span(&w->since));
	msp_buf_add(&all, bare, bare_len);
	msp_buf_add(&all, timers, sizeof(timers));
	if (HMAC(EVP_sha256(), SECRET, sizeof(SECRET) - 1, all.ptr, all.len, w->server.mac, NULL) == NULL)
		abort();
	memcpy(w->mem + len - 6 - 32, w->server.mac, 32); /* before original ID, error and length of nothing */
	msp_buf_fini(&all);
	msp_buf_reset(&w->since);
}

static struct msp_span send_message(struct wire *w, const struct transfer *t, const struct message *m, bool is_first)
{
	static uint8_t bare[MSP_MSG_MAX];
	struct msp_tsig_ctx before = w->server;
	struct msp_name zone = name_of("example.");
	struct msp_span raw;
	struct msp_msgw b;
	size_t len;

	msp_msgw_init(&b, w->mem, sizeof(w->mem), w->id, MSP_OPCODE_QUERY, MSP_FLAG_QR | MSP_FLAG_AA);
	if (is_first || !t->no_question)
		msp_msgw_question(&b, &zone, t->is_ixfr ? MSP_TYPE_IXFR : MSP_TYPE_AXFR, MSP_CLASS_IN);
	msp_msgw_rcode(&b, m->end == END_REFUSED ? MSP_RCODE_REFUSED : MSP_RCODE_NOERROR);
	for (size_t i = m->from; i < m->to; i++) {
		uint8_t mem[64];
		struct msp_rr rr = rr_of(t->code[i], mem, sizeof(mem));

		msp_msgw_rr(&b, MSP_SEC_ANSWER, &rr);
	}
	if (msp_msgw_finish(&b, &raw) != MSP_OK)
		abort();
	len = raw.len;
	memcpy(bare, raw.ptr, len);
	if (t->is_signed && m->end != END_UNSIGNED) {
		if (msp_tsig_sign_response(&w->server, now, w->mem, &len, sizeof(w->mem)) != MSP_OK)
			abort();
		cover_unsigned(w, &before, bare, raw.len, len);
	} else if (t->is_signed) {
		msp_buf_add(&w->since, bare, len);
	}
	if (m->end == END_DAMAGED) /* anywhere before the TSIG, which does not cover the case of its own names */
		w->mem[2 + m->damage % (raw.len - 2)] ^= (uint8_t)(1u << (m->damage & 7));
	if (m->end == END_OTHER_ID)
		w->mem[0] ^= 0x80;
	return msp_span(w->mem, len);
}

/* What io/xfr.c does with a message. */
static enum outcome receive(struct secondary *s, struct wire *w, const struct transfer *t, struct msp_span octets)
{
	enum msp_xfrin_state state;
	struct msp_why why = { "" };
	unsigned rcode;
	struct msp_msg m;

	if (msp_msg_frame(octets, &scratch, &m, &why) != MSP_OK || m.id != w->id)
		return FAILED;
	if (t->is_signed && msp_tsig_verify_response(&w->client, &m, false, now, &why) != MSP_OK)
		return FAILED;
	if (msp_xfrin_feed_msg(&s->x, &m, &state, &rcode, &why) != MSP_OK) {
		assert(state == MSP_XFRIN_MORE);
		assert(msp_xfrin_feed_msg(&s->x, &m, &state, &rcode, &why) == MSP_ESTATE); /* and stays so */
		return FAILED;
	}
	if (state == MSP_XFRIN_MORE)
		return MORE;
	if (t->is_signed && !msp_tsig_complete(&w->client))
		return FAILED;
	return state == MSP_XFRIN_DONE ? DONE : UP_TO_DATE;
}

/* --- one transfer, seen by both ----------------------------------------------------------------------------------- */

/* What the naive reading says of the messages one by one. */
struct judge {
	unsigned unsigned_run, empty_run;
	size_t used; /* records of a complete answer */
	bool is_damaged;
	struct events events;
};

static enum outcome judge_message(struct judge *j, const struct transfer *t, const struct message *m, uint32_t have,
				  struct list *zone)
{
	bool is_first = m == t->message, ok;
	enum outcome o;

	j->is_damaged = j->is_damaged || m->end == END_DAMAGED;
	if (m->end == END_OTHER_ID)
		return FAILED;
	if (t->is_signed && m->end == END_UNSIGNED && (is_first || j->unsigned_run++ >= UNSIGNED_MAX))
		return FAILED;
	if (m->end != END_UNSIGNED)
		j->unsigned_run = 0;
	if (m->end == END_REFUSED)
		return FAILED;
	j->empty_run = m->from == m->to ? j->empty_run + 1 : 0;
	if (m->to == 0 || j->empty_run > EMPTY_MAX)
		return FAILED;
	o = read_answer(t, have, m->to, &j->events, &j->used);
	j->events.count = apply(zone, &j->events, &ok);
	if (!ok)
		return FAILED;
	if (o == DONE && j->used < m->to) /* something behind the end */
		return FAILED;
	if ((o == DONE || o == UP_TO_DATE) && t->is_signed && j->unsigned_run > 0)
		return FAILED;
	return o;
}

static void check_events(const struct events *want, const struct events *seen)
{
	assert(want->count == seen->count);
	for (size_t i = 0; i < want->count; i++)
		assert(want->item[i].what == seen->item[i].what && want->item[i].value == seen->item[i].value);
}

static void check_zones(const struct list *list, const struct zone_bits *bits)
{
	size_t count = 0;

	for (size_t i = 0; i < CODES; i++)
		count += bits->has[i];
	assert(list->serial == bits->serial && list->count == count);
	for (size_t i = 0; i < list->count; i++)
		assert(bits->has[list->code[i]]);
}

static void run(struct secondary *s, struct list *zone, const struct transfer *t, uint16_t id)
{
	static struct wire w;
	static const struct msp_xfrin_limits none;
	struct msp_name name = name_of("Example.");
	struct judge judge = { .used = 0 };
	struct list next = *zone;
	enum outcome want = MORE, got = MORE;

	msp_xfrin_init(&s->x, t->is_ixfr ? MSP_XFR_IXFR : MSP_XFR_AXFR, &name, id, s->kept.serial, &none, &ops, s);
	s->seen.count = 0;
	connect(&w, t, id);
	for (size_t i = 0; i < t->messages && want == MORE && got == MORE && !judge.is_damaged; i++) {
		next = *zone;
		want = judge_message(&judge, t, &t->message[i], zone->serial, &next);
		got = receive(s, &w, t, send_message(&w, t, &t->message[i], i == 0));
		if (judge.is_damaged) /* nobody can say what it says now */
			break;
		assert(got == want);
		check_events(&judge.events, &s->seen);
	}
	/* Damage shows at once, or in the MAC of the next signed message: without one nothing is complete. */
	if (judge.is_damaged && t->is_signed)
		assert(got == FAILED || got == MORE);
	if (want == DONE && !judge.is_damaged) {
		assert(s->x.is_full == (s->seen.item[0].what == EV_FULL));
		s->kept = s->next;
		*zone = next;
	}
	check_zones(zone, &s->kept);
	disconnect(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct secondary s;
	static struct transfer t;
	struct list zone = { .count = 0 };
	struct msp_rd rd;
	uint16_t id = 0x4711;

	if (len > 4096)
		return 0;
	memset(&s.kept, 0, sizeof(s.kept));
	msp_rd_init(&rd, msp_span(data, len));
	while (msp_rd_left(&rd) > 0) {
		uint8_t how = msp_rd_u8(&rd);

		t = (struct transfer){ .is_ixfr = (how & 1) != 0,
				       .is_signed = (how & 2) != 0,
				       .no_question = (how & 4) != 0 };
		read_steps(&rd, &t);
		run(&s, &zone, &t, id++);
	}
	return 0;
}
