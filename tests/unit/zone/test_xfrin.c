/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <stdlib.h>

#include <msproto/base/mem.h>
#include <msproto/wire/rdata.h>
#include <msproto/zone/xfrin.h>

/*
 * A transfer is written as words, one per record of zone example.:
 *   S9   SOA, serial 9         s9  the same in other case       D9  SOA with other data, serial 9
 *   B9   SOA below the apex    X   a record of another zone     XS  a SOA of another zone
 *   C    a record of class CH  M   a record of type ANY         a..z, each followed by a digit: an A record
 * What the machine calls is written as words too: [F9 begin full, [I9 begin with differences, -S4 +S5 SOAs of a
 * difference, a1 a record, -a1 +a1 changes; then what came out: DONE, UPTODATE, MORE, or an error's name.
 */
#define RECORDS_MAX 40
#define ID          0x1234

static struct msp_xfrin *x;
static char events[1000];
static unsigned calls, fail_at;
static unsigned rcode;
static struct msp_why why;

static uint8_t soa_octets[RECORDS_MAX][2 * MSP_NAME_MAX + 20];

static struct msp_rr word_rr(const char *word, unsigned slot)
{
	struct msp_rr rr = { .owner = t_name("example."), .type = MSP_TYPE_A, .cls = MSP_CLASS_IN, .ttl = 300 };
	struct msp_soa soa = { .refresh_s = 3600 };
	uint8_t *octets = soa_octets[slot];
	struct msp_wr wr;

	if (word[0] == 'C')
		rr.cls = MSP_CLASS_CH;
	if (word[0] == 'X')
		rr.owner = t_name("an.example.org.");
	if (word[0] == 'M')
		rr.type = MSP_TYPE_ANY;
	if (strchr("SsDB", word[0]) != NULL || strcmp(word, "XS") == 0) {
		rr.type = MSP_TYPE_SOA;
		if (word[0] == 'B')
			rr.owner = t_name("below.example.");
		if (word[0] == 's')
			rr.owner = t_name("EXAMPLE.");
		soa.serial = (uint32_t)strtoul(word + 1, NULL, 10);
		soa.mname = t_name(word[0] == 's' ? "NS.example." : "ns.example.");
		soa.rname = t_name(word[0] == 'D' ? "other.example." : "hostmaster.example.");
		msp_wr_init(&wr, octets, sizeof(soa_octets[slot]));
		msp_soa_write(&wr, &soa);
		assert_int_equal(wr.err, MSP_OK);
		rr.rdata = msp_wr_span(&wr);
		return rr;
	}
	if (word[0] >= 'a' && word[0] <= 'z') {
		char owner[] = { word[0], '.', 'e', 'x', 'a', 'm', 'p', 'l', 'e', '.', '\0' };

		rr.owner = t_name(owner);
	}
	octets[0] = 192;
	octets[1] = 0;
	octets[2] = 2;
	octets[3] = (uint8_t)(word[0] != '\0' && word[1] != '\0' ? word[1] - '0' : 0);
	rr.rdata = msp_span(octets, 4);
	return rr;
}

static unsigned parse_words(const char *words, struct msp_rr *out)
{
	unsigned count = 0;

	while (*words != '\0') {
		char word[16] = "";
		size_t len = strcspn(words, " ");

		assert_true(len < sizeof(word) && count < RECORDS_MAX);
		memcpy(word, words, len);
		out[count] = word_rr(word, count);
		count++;
		words += len + (words[len] == ' ');
	}
	return count;
}

static enum msp_err note(const char *head, const struct msp_rr *rr)
{
	size_t len = strlen(events);

	if (++calls == fail_at)
		return MSP_EBUSY;
	if (rr->type == MSP_TYPE_SOA)
		snprintf(events + len, sizeof(events) - len, "%s%u ", head, msp_soa_serial(rr->rdata));
	else
		snprintf(events + len, sizeof(events) - len, "%s%c%u ", head, rr->owner.oct[1], rr->rdata.ptr[3]);
	return MSP_OK;
}

static enum msp_err on_begin(void *arg, const struct msp_rr *soa, bool is_full)
{
	assert_ptr_equal(arg, events);
	return note(is_full ? "[F" : "[I", soa);
}

static enum msp_err on_record(void *arg, const struct msp_rr *rr)
{
	assert_ptr_equal(arg, events);
	return note("", rr);
}

static enum msp_err on_delta(void *arg, bool is_add, const struct msp_rr *soa)
{
	assert_ptr_equal(arg, events);
	return note(is_add ? "+S" : "-S", soa);
}

static enum msp_err on_change(void *arg, bool is_add, const struct msp_rr *rr)
{
	assert_ptr_equal(arg, events);
	return note(is_add ? "+" : "-", rr);
}

static const struct msp_xfrin_ops ops = {
	.begin = on_begin, .record = on_record, .delta = on_delta, .change = on_change
};

static void start(enum msp_xfr_kind kind, uint32_t have, const struct msp_xfrin_limits *limits)
{
	static const struct msp_xfrin_limits none = { 0, 0 };
	struct msp_name zone = t_name("Example.");

	events[0] = '\0';
	calls = 0;
	rcode = 0;
	msp_xfrin_init(x, kind, &zone, ID, have, limits != NULL ? limits : &none, &ops, events);
}

/** Lay out one message. */
static struct msp_span message(uint16_t qtype, bool has_question, const struct msp_rr *rr, unsigned count)
{
	static uint8_t mem[8192];
	struct msp_name zone = t_name("example.");
	struct msp_span raw;
	struct msp_msgw w;

	msp_msgw_init(&w, mem, sizeof(mem), ID, MSP_OPCODE_QUERY, MSP_FLAG_QR | MSP_FLAG_AA);
	if (has_question)
		msp_msgw_question(&w, &zone, qtype, MSP_CLASS_IN);
	for (unsigned i = 0; i < count; i++)
		msp_msgw_rr(&w, MSP_SEC_ANSWER, &rr[i]);
	T_OK(msp_msgw_finish(&w, &raw));
	return raw;
}

static enum msp_err feed(struct msp_span raw, enum msp_xfrin_state *state)
{
	uint8_t *exact = malloc(raw.len != 0 ? raw.len : 1);
	enum msp_err err;

	assert_non_null(exact);
	memcpy(exact, raw.ptr, raw.len);
	why.text[0] = '\0';
	err = msp_xfrin_feed(x, msp_span(exact, raw.len), state, &rcode, &why);
	memset(exact, 0x55, raw.len); /* what is kept between messages must have been copied */
	free(exact);
	if (err != MSP_OK && err != MSP_EBUSY)
		assert_string_not_equal(why.text, "");
	return err;
}

static const char *outcome(enum msp_err err, enum msp_xfrin_state state)
{
	static const char *const names[] = { "MORE", "DONE", "UPTODATE" };

	return err == MSP_OK ? names[state] : msp_err_name(err);
}

/** As feed, the parsing done before. */
static enum msp_err feed_framed(struct msp_span raw, enum msp_xfrin_state *state)
{
	static struct msp_rr_scratch scratch;
	struct msp_msg m;

	T_OK(msp_msg_frame(raw, &scratch, &m, NULL));
	return msp_xfrin_feed_msg(x, &m, state, &rcode, &why);
}

/** Run with message ends after the records whose bits are set in `ends`; append the outcome to the events. */
static void run_split(enum msp_xfr_kind kind, uint32_t have, const struct msp_rr *rr, unsigned count, uint32_t ends,
		      bool question_always, unsigned padding)
{
	uint16_t qtype = kind == MSP_XFR_AXFR ? MSP_TYPE_AXFR : MSP_TYPE_IXFR;
	enum msp_xfrin_state state = MSP_XFRIN_MORE;
	enum msp_err err = MSP_OK;
	unsigned from = 0;

	start(kind, have, NULL);
	for (unsigned i = 0; i < count && err == MSP_OK && state == MSP_XFRIN_MORE; i++) {
		if (i + 1 < count && (ends >> i & 1) == 0)
			continue;
		err = (padding != 0
			       ? feed_framed
			       : feed)(message(qtype, question_always || from == 0, rr + from, i + 1 - from), &state);
		from = i + 1;
		for (unsigned n = 0; n < padding && err == MSP_OK && state == MSP_XFRIN_MORE; n++)
			err = feed(message(qtype, question_always, NULL, 0), &state);
	}
	strncat(events, outcome(err, state), sizeof(events) - strlen(events) - 1);
}

/** The same events for every way to cut the records into messages (up to 2^11 ways), empty ones among them or not. */
static void check(enum msp_xfr_kind kind, uint32_t have, const char *words, const char *want)
{
	struct msp_rr rr[RECORDS_MAX];
	unsigned count = parse_words(words, rr);
	uint32_t ways = count < 12 ? UINT32_C(1) << (count - 1) : UINT32_C(1) << 11;

	for (uint32_t ends = 0; ends < ways; ends++) {
		run_split(kind, have, rr, count, ends, (ends & 1) != 0, (ends & 6) == 6 ? 3 : ends & 2);
		if (strcmp(events, want) != 0)
			fail_msg("%s, cut at %x: got \"%s\", wanted \"%s\"", words, ends, events, want);
	}
}

static void whole_zone_is_handed_out_in_order(void **state)
{
	(void)state;
	check(MSP_XFR_AXFR, 0, "S9 a1 b2 a3 c4 S9", "[F9 a1 b2 a3 c4 DONE");
	check(MSP_XFR_AXFR, 9, "S9 a1 S9", "[F9 a1 DONE"); /* who asks for it gets it, whatever the serial */
	check(MSP_XFR_AXFR, 0, "S9 a1 s9", "[F9 a1 DONE");
	check(MSP_XFR_AXFR, 0, "s9 a1 S9", "[F9 a1 DONE");
	check(MSP_XFR_AXFR, 0, "S9 S9", "[F9 DONE");
}

static void whole_zone_without_its_end_wants_more(void **state)
{
	(void)state;
	check(MSP_XFR_AXFR, 0, "S9", "[F9 MORE");
	check(MSP_XFR_AXFR, 0, "S9 a1 b2", "[F9 a1 b2 MORE");
}

static void records_of_other_zones_are_counted_and_left_out(void **state)
{
	(void)state;
	check(MSP_XFR_AXFR, 0, "S9 X a1 XS S9", "[F9 a1 DONE");
	assert_int_equal(x->out_of_zone, 2);
	assert_int_equal(x->records, 5);
	check(MSP_XFR_IXFR, 5, "S9 S5 X a1 S9 X b1 S9", "[I9 -S5 -a1 +S9 +b1 DONE");
	assert_int_equal(x->out_of_zone, 2);
	check(MSP_XFR_IXFR, 5, "S9 X a1 S9", "[F9 a1 DONE");
}

static void transfer_that_does_not_begin_with_the_soa_is_refused(void **state)
{
	(void)state;
	check(MSP_XFR_AXFR, 0, "a1 S9 S9", "EFORMAT");
	check(MSP_XFR_IXFR, 5, "a1 S9 S9", "EFORMAT");
	check(MSP_XFR_AXFR, 0, "X S9 S9", "EFORMAT");
	check(MSP_XFR_AXFR, 0, "XS S9 S9", "EFORMAT");
	check(MSP_XFR_AXFR, 0, "B9 S9 S9", "EFORMAT");
}

static void soa_that_differs_from_the_first_is_refused(void **state)
{
	(void)state;
	check(MSP_XFR_AXFR, 0, "S9 a1 S8 S9", "[F9 a1 EFORMAT");
	check(MSP_XFR_AXFR, 0, "S9 a1 D9", "[F9 a1 EFORMAT");
	check(MSP_XFR_AXFR, 0, "S9 a1 B9 S9", "[F9 a1 EFORMAT");
	check(MSP_XFR_IXFR, 5, "S9 a1 S8", "[F9 a1 EFORMAT");
}

static void other_classes_and_meta_types_are_refused(void **state)
{
	(void)state;
	check(MSP_XFR_AXFR, 0, "S9 a1 C S9", "[F9 a1 EFORMAT");
	check(MSP_XFR_AXFR, 0, "S9 a1 M S9", "[F9 a1 EFORMAT");
	check(MSP_XFR_IXFR, 5, "S9 S5 M S9 S9", "[I9 -S5 EFORMAT");
	check(MSP_XFR_IXFR, 5, "S9 C S9", "EFORMAT");
}

static void records_after_the_last_soa_are_refused(void **state)
{
	enum msp_xfrin_state st;
	struct msp_rr rr[RECORDS_MAX];
	unsigned count = parse_words("S9 a1 S9 b1", rr);

	(void)state;
	run_split(MSP_XFR_AXFR, 0, rr, count, 0, true, 0);
	assert_string_equal(events, "[F9 a1 EFORMAT");
	count = parse_words("S9 S5 S9 S9 S9", rr);
	run_split(MSP_XFR_IXFR, 5, rr, count, 0, true, 0);
	assert_string_equal(events, "[I9 -S5 +S9 EFORMAT");
	/* in a message of its own it is not the transfer's any more */
	count = parse_words("S9 a1 S9", rr);
	run_split(MSP_XFR_AXFR, 0, rr, count, 0, true, 0);
	assert_string_equal(events, "[F9 a1 DONE");
	T_ERR(feed(message(MSP_TYPE_AXFR, true, rr, 1), &st), MSP_ESTATE);
}

static void single_soa_not_ahead_means_up_to_date(void **state)
{
	(void)state;
	check(MSP_XFR_IXFR, 9, "S9", "UPTODATE");
	check(MSP_XFR_IXFR, 10, "S9", "UPTODATE");
	check(MSP_XFR_IXFR, 0, "S4294967295", "UPTODATE"); /* RFC 1982 */
	check(MSP_XFR_IXFR, 0, "S2147483648", "UPTODATE"); /* undefined distance: not ahead */
	check(MSP_XFR_IXFR, 9, "S9 a1 S9", "UPTODATE");    /* a server that sends the zone all the same */
	check(MSP_XFR_IXFR, 4294967295, "S0 S4294967295 S0 S0", "[I0 -S4294967295 +S0 DONE");
}

static void single_soa_ahead_wants_more(void **state)
{
	(void)state;
	check(MSP_XFR_IXFR, 5, "S9", "MORE");
}

static void whole_zone_may_answer_an_ixfr(void **state)
{
	(void)state;
	check(MSP_XFR_IXFR, 5, "S9 a1 b2 S9", "[F9 a1 b2 DONE");
	check(MSP_XFR_IXFR, 5, "S9 S9", "[F9 DONE");
	check(MSP_XFR_IXFR, 5, "S9 D9", "[F9 EFORMAT");
}

static void differences_of_one_version_are_handed_out(void **state)
{
	(void)state;
	check(MSP_XFR_IXFR, 5, "S9 S5 a1 b2 S9 c3 S9", "[I9 -S5 -a1 -b2 +S9 +c3 DONE");
	check(MSP_XFR_IXFR, 5, "S9 S5 S9 c3 s9", "[I9 -S5 +S9 +c3 DONE");
	check(MSP_XFR_IXFR, 5, "S9 S5 a1 S9 S9", "[I9 -S5 -a1 +S9 DONE");
	check(MSP_XFR_IXFR, 5, "S9 S5 S9 S9", "[I9 -S5 +S9 DONE");
}

static void differences_of_several_versions_are_handed_out(void **state)
{
	(void)state;
	check(MSP_XFR_IXFR, 5, "S9 S5 a1 S6 b1 S6 b1 S8 c1 S8 S9 d1 S9",
	      "[I9 -S5 -a1 +S6 +b1 -S6 -b1 +S8 +c1 -S8 +S9 +d1 DONE");
	check(MSP_XFR_IXFR, 5, "S7 S5 S6 S6 S7 S7", "[I7 -S5 +S6 -S6 +S7 DONE");
}

static void unfinished_differences_want_more(void **state)
{
	(void)state;
	check(MSP_XFR_IXFR, 5, "S9 S5", "[I9 -S5 MORE");
	check(MSP_XFR_IXFR, 5, "S9 S5 a1 S9", "[I9 -S5 -a1 +S9 MORE");
	check(MSP_XFR_IXFR, 5, "S9 S5 S6 S6", "[I9 -S5 +S6 -S6 MORE");
}

static void broken_chain_of_differences_is_refused(void **state)
{
	(void)state;
	check(MSP_XFR_IXFR, 5, "S9 S4 S9 S9", "EFORMAT");                   /* begins elsewhere */
	check(MSP_XFR_IXFR, 5, "S9 S5 S6 S7 S9 S9", "[I9 -S5 +S6 EFORMAT"); /* a gap */
	check(MSP_XFR_IXFR, 5, "S9 S5 S6 S9", "[I9 -S5 +S6 EFORMAT");       /* ends too soon */
	check(MSP_XFR_IXFR, 5, "S9 S5 S4 S4 S9 S9", "[I9 -S5 EFORMAT");     /* goes back */
	check(MSP_XFR_IXFR, 5, "S9 S5 S5 S5 S9 S9", "[I9 -S5 EFORMAT");     /* stays */
	check(MSP_XFR_IXFR, 5, "S9 S5 S9 S8 S9", "[I9 -S5 +S9 EFORMAT");    /* goes on past the new version */
	check(MSP_XFR_IXFR, 5, "S9 S5 D9 S9", "[I9 -S5 EFORMAT");           /* another SOA of the same serial */
	check(MSP_XFR_IXFR, 5, "S9 S5 S9 D9", "[I9 -S5 +S9 EFORMAT");
	check(MSP_XFR_IXFR, 5, "S9 S5 S12 S12 S9 S9", "[I9 -S5 EFORMAT"); /* past the new version */
}

/* Each a way to be wrong of which the caller tells a person; it asks for the whole zone then. */
static void what_is_wrong_with_differences_is_told(void **state)
{
	static const struct {
		const char *words, *events, *reason;
	} row[] = {
		{ "a1", "EFORMAT", "begins with a.example. A" },
		{ "X S9", "EFORMAT", "begins with an.example.org. A" },
		{ "XS S9", "EFORMAT", "begins with an.example.org. SOA" },
		{ "B9", "EFORMAT", "SOA below the apex, at below.example." },
		{ "C", "EFORMAT", "class 3" },
		{ "M", "EFORMAT", "example. class 1 ANY is not zone data" },
		{ "S9 S4", "EFORMAT", "begin at serial 4, we hold 5" },
		{ "S9 S10", "EFORMAT", "begin at serial 10, we hold 5" },
		{ "S9 D9", "[F9 EFORMAT", "first SOA (serial 9) and last SOA (serial 9) differ" },
		{ "S9 B5", "EFORMAT", "SOA below the apex" },
		{ "S9 S5 a1 B6", "[I9 -S5 -a1 EFORMAT", "SOA below the apex" },
		{ "S9 S5 C", "[I9 -S5 EFORMAT", "class 3" },
		{ "S9 S5 M", "[I9 -S5 EFORMAT", "ANY is not zone data" },
		{ "S9 S5 S5", "[I9 -S5 EFORMAT", "from serial 5 to 5 does not go forward" },
		{ "S9 S5 S4", "[I9 -S5 EFORMAT", "from serial 5 to 4 does not go forward" },
		{ "S9 S5 a1 S10", "[I9 -S5 -a1 EFORMAT", "to serial 10 goes past the new version, 9" },
		{ "S9 S5 S2147483660", "[I9 -S5 EFORMAT", "does not go forward" },
		{ "S9 S5 D9", "[I9 -S5 EFORMAT", "SOA 9 of the last difference is not the first SOA" },
		{ "S9 S5 S6 a1 S9", "[I9 -S5 +S6 +a1 EFORMAT", "from serial 9 follows one to 6" },
		{ "S9 S5 S6 S5", "[I9 -S5 +S6 EFORMAT", "from serial 5 follows one to 6" },
		{ "S9 S5 S6 S7", "[I9 -S5 +S6 EFORMAT", "from serial 7 follows one to 6" },
		{ "S9 S5 S6 S6 S6", "[I9 -S5 +S6 -S6 EFORMAT", "from serial 6 to 6" },
		{ "S9 S5 S9 S8", "[I9 -S5 +S9 EFORMAT", "first SOA (serial 9) and last SOA (serial 8) differ" },
		{ "S9 S5 S9 D9", "[I9 -S5 +S9 EFORMAT", "differ" },
		{ "S9 S5 S9 S10", "[I9 -S5 +S9 EFORMAT", "differ" },
		{ "S9 a1 S5", "[F9 a1 EFORMAT", "first SOA (serial 9) and last SOA (serial 5) differ" },
		{ "S9 a1 B9", "[F9 a1 EFORMAT", "SOA below the apex" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		check(MSP_XFR_IXFR, 5, row[i].words, row[i].events);
		if (strstr(why.text, row[i].reason) == NULL)
			fail_msg("%s: \"%s\", wanted \"%s\"", row[i].words, why.text, row[i].reason);
	}
}

static void what_stands_behind_the_end_is_told(void **state)
{
	struct msp_rr rr[RECORDS_MAX];
	unsigned count = parse_words("S9 S5 a1 S9 b1 S9 c1", rr);

	(void)state;
	run_split(MSP_XFR_IXFR, 5, rr, count, 0, true, 0);
	assert_string_equal(events, "[I9 -S5 -a1 +S9 +b1 EFORMAT");
	assert_non_null(strstr(why.text, "c.example. A after the last SOA"));
}

static void whether_it_is_a_whole_zone_is_known_from_the_beginning(void **state)
{
	(void)state;
	check(MSP_XFR_IXFR, 5, "S9 a1 S9", "[F9 a1 DONE");
	assert_true(x->is_full);
	check(MSP_XFR_IXFR, 5, "S9 S5 a1 S9 S9", "[I9 -S5 -a1 +S9 DONE");
	assert_false(x->is_full);
}

/* ---- messages ---- */

/** First message good, then one octet or the whole of the second changed. */
static enum msp_err feed_changed(unsigned at, uint8_t flip)
{
	struct msp_rr rr[RECORDS_MAX];
	enum msp_xfrin_state st;
	uint8_t copy[512];
	struct msp_span raw;

	(void)parse_words("S9 a1 S9", rr);
	start(MSP_XFR_AXFR, 0, NULL);
	T_OK(feed(message(MSP_TYPE_AXFR, true, rr, 1), &st));
	assert_int_equal(st, MSP_XFRIN_MORE);
	raw = message(MSP_TYPE_AXFR, true, rr + 1, 2);
	memcpy(copy, raw.ptr, raw.len);
	copy[at] ^= flip;
	return feed(msp_span(copy, raw.len), &st);
}

static void header_of_every_message_is_checked(void **state)
{
	enum msp_xfrin_state st;

	(void)state;
	T_OK(feed_changed(2, 0x04));                 /* AA does not matter */
	T_ERR(feed_changed(0, 1), MSP_EMISMATCH);    /* id */
	T_ERR(feed_changed(2, 0x80), MSP_EMISMATCH); /* QR */
	T_ERR(feed_changed(2, 0x20), MSP_EMISMATCH); /* opcode NOTIFY */
	T_ERR(feed_changed(2, 0x02), MSP_EFORMAT);   /* TC */
	T_ERR(feed_changed(3, 0x05), MSP_ERCODE);
	assert_int_equal(rcode, MSP_RCODE_REFUSED);
	T_ERR(feed_changed(13, 1), MSP_EMISMATCH);         /* question: name */
	T_ERR(feed_changed(12 + 9 + 1, 7), MSP_EMISMATCH); /* IXFR for AXFR */
	T_ERR(feed_changed(12 + 9 + 3, 2), MSP_EMISMATCH); /* class */
	T_ERR(feed_changed(7, 1), MSP_EFORMAT);            /* one record more than there is */
	T_ERR(feed(msp_span("", 0), &st), MSP_ESTATE);     /* over after the first error */
}

static void question_may_be_absent_but_from_the_first_message(void **state)
{
	struct msp_rr rr[RECORDS_MAX];
	enum msp_xfrin_state st;

	(void)state;
	(void)parse_words("S9 a1 S9", rr);
	start(MSP_XFR_AXFR, 0, NULL);
	T_ERR(feed(message(MSP_TYPE_AXFR, false, rr, 3), &st), MSP_EMISMATCH);
	start(MSP_XFR_IXFR, 5, NULL);
	T_ERR(feed(message(MSP_TYPE_AXFR, true, rr, 3), &st), MSP_EMISMATCH);
}

static void two_questions_are_refused(void **state)
{
	struct msp_name zone = t_name("example.");
	struct msp_rr rr[RECORDS_MAX];
	enum msp_xfrin_state st;
	struct msp_span raw;
	struct msp_msgw w;
	uint8_t mem[512];

	(void)state;
	(void)parse_words("S9", rr);
	msp_msgw_init(&w, mem, sizeof(mem), ID, MSP_OPCODE_QUERY, MSP_FLAG_QR);
	for (int i = 0; i < 2; i++)
		msp_msgw_question(&w, &zone, MSP_TYPE_AXFR, MSP_CLASS_IN);
	msp_msgw_rr(&w, MSP_SEC_ANSWER, rr);
	T_OK(msp_msgw_finish(&w, &raw));
	start(MSP_XFR_AXFR, 0, NULL);
	T_ERR(feed(raw, &st), MSP_EMISMATCH);
}

static void error_answer_needs_no_question(void **state)
{
	enum msp_xfrin_state st;

	(void)state;
	start(MSP_XFR_IXFR, 5, NULL);
	T_ERR(feed(msp_span("\x12\x34\x80\x04\0\0\0\0\0\0\0\0", 12), &st), MSP_ERCODE);
	assert_int_equal(rcode, MSP_RCODE_NOTIMP);
	/* extended RCODE */
	start(MSP_XFR_IXFR, 5, NULL);
	T_ERR(feed(msp_span("\x12\x34\x80\x00\0\0\0\0\0\0\0\1\0\0\x29\x04\xd0\1\0\0\0\0\0", 23), &st), MSP_ERCODE);
	assert_int_equal(rcode, MSP_RCODE_BADVERS);
}

static void message_without_records_or_cut_short_is_refused(void **state)
{
	enum msp_xfrin_state st;
	struct msp_span raw;
	struct msp_rr rr[1];

	(void)state;
	start(MSP_XFR_AXFR, 0, NULL);
	T_ERR(feed(message(MSP_TYPE_AXFR, true, NULL, 0), &st), MSP_EFORMAT);
	start(MSP_XFR_AXFR, 0, NULL);
	T_ERR(feed(msp_span("\x12\x34\x80", 3), &st), MSP_EFORMAT);
	(void)parse_words("S9", rr);
	start(MSP_XFR_AXFR, 0, NULL);
	T_OK(feed(message(MSP_TYPE_AXFR, true, rr, 1), &st));
	raw = message(MSP_TYPE_AXFR, true, rr, 1);
	T_ERR(feed(msp_span(raw.ptr, raw.len - 1), &st), MSP_EFORMAT);
}

/* PROTOCOL C.8: padding may come alone, but not before the beginning, and not for ever. */
static void messages_without_records_are_borne_for_a_while(void **state)
{
	enum msp_xfrin_state st = MSP_XFRIN_MORE;
	struct msp_rr rr[RECORDS_MAX];

	(void)state;
	(void)parse_words("S9 a1 S9", rr);
	start(MSP_XFR_AXFR, 0, NULL);
	for (unsigned i = 0; i < 3; i++) {
		T_OK(feed(message(MSP_TYPE_AXFR, true, rr + i, 1), &st));
		for (unsigned n = 0; n < MSP_XFRIN_EMPTY_MAX && i < 2; n++)
			T_OK(feed(message(MSP_TYPE_AXFR, n % 2 == 0, NULL, 0), &st));
	}
	assert_int_equal(st, MSP_XFRIN_DONE);
	start(MSP_XFR_AXFR, 0, NULL);
	T_OK(feed(message(MSP_TYPE_AXFR, true, rr, 1), &st));
	for (unsigned n = 0; n < MSP_XFRIN_EMPTY_MAX; n++)
		T_OK(feed(message(MSP_TYPE_AXFR, true, NULL, 0), &st));
	T_ERR(feed(message(MSP_TYPE_AXFR, true, NULL, 0), &st), MSP_EFORMAT);
	assert_non_null(strstr(why.text, "without records"));
}

/* msp_msg_frame does not look into records: the machine does, wherever they stand. */
static void malformed_records_of_a_framed_message_are_refused(void **state)
{
	static const struct {
		uint16_t type;
		const char *rdata;
		size_t len;
	} bad[] = {
		{ MSP_TYPE_A, "\300\0\2", 3 },
		{ MSP_TYPE_NS, "\3abc", 4 },
		{ MSP_TYPE_MX, "\0\1\377\377", 4 },
	};

	(void)state;
	for (unsigned section = MSP_SEC_ANSWER; section <= MSP_SEC_ADDITIONAL; section++)
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			struct msp_name zone = t_name("example.");
			struct msp_rr rr[2], broken = { zone, MSP_TYPE_NULL, MSP_CLASS_IN, 1, { NULL, 0 } };
			enum msp_xfrin_state st;
			uint8_t mem[512] = { 0 }, *type;
			struct msp_span raw;
			struct msp_msgw w;

			(void)parse_words("S9 a1", rr);
			broken.rdata = msp_span(bad[i].rdata, bad[i].len);
			msp_msgw_init(&w, mem, sizeof(mem), ID, MSP_OPCODE_QUERY, MSP_FLAG_QR);
			msp_msgw_question(&w, &zone, MSP_TYPE_AXFR, MSP_CLASS_IN);
			msp_msgw_rr(&w, MSP_SEC_ANSWER, &rr[0]);
			msp_msgw_rr(&w, MSP_SEC_ANSWER, &rr[1]);
			type = mem + w.wr.pos + 2; /* behind a pointer to the zone's name */
			msp_msgw_rr(&w, (enum msp_section)section, &broken);
			T_OK(msp_msgw_finish(&w, &raw));
			assert_int_equal(type[1], MSP_TYPE_NULL);
			start(MSP_XFR_AXFR, 0, NULL);
			T_OK(feed_framed(raw, &st));
			type[1] = (uint8_t)bad[i].type;
			start(MSP_XFR_AXFR, 0, NULL);
			T_ERR(feed_framed(raw, &st), MSP_EFORMAT);
			T_ERR(feed_framed(raw, &st), MSP_ESTATE);
			start(MSP_XFR_AXFR, 0, NULL);
			T_ERR(feed(raw, &st), MSP_EFORMAT);
		}
}

static void limits_end_the_transfer(void **state)
{
	struct msp_xfrin_limits limits = { .records = 4 };
	struct msp_rr rr[RECORDS_MAX];
	enum msp_xfrin_state st;
	struct msp_span raw;

	(void)state;
	(void)parse_words("S9 a1 b1 S9 c1", rr);
	start(MSP_XFR_AXFR, 0, &limits);
	T_OK(feed(message(MSP_TYPE_AXFR, true, rr, 4), &st));
	assert_int_equal(st, MSP_XFRIN_DONE);
	limits.records = 3;
	start(MSP_XFR_AXFR, 0, &limits);
	T_ERR(feed(message(MSP_TYPE_AXFR, true, rr, 4), &st), MSP_ELIMIT);

	raw = message(MSP_TYPE_AXFR, true, rr, 4);
	limits = (struct msp_xfrin_limits){ .octets = raw.len };
	start(MSP_XFR_AXFR, 0, &limits);
	T_OK(feed(raw, &st));
	assert_int_equal(x->octets, raw.len);
	raw = message(MSP_TYPE_AXFR, true, rr, 4);
	limits.octets--;
	start(MSP_XFR_AXFR, 0, &limits);
	T_ERR(feed(raw, &st), MSP_ELIMIT);
}

static void error_of_a_callee_ends_the_transfer_with_that_error(void **state)
{
	struct msp_rr rr[RECORDS_MAX];
	unsigned count = parse_words("S9 S5 a1 S9 b1 S9", rr);
	enum msp_xfrin_state st;

	(void)state;
	for (unsigned n = 1; n <= 6; n++) {
		fail_at = n;
		run_split(MSP_XFR_IXFR, 5, rr, count, 0, true, 0);
		assert_non_null(strstr(events, n <= 5 ? "EBUSY" : "DONE"));
		assert_int_equal(calls, n <= 5 ? n : 5);
		T_ERR(feed(message(MSP_TYPE_IXFR, true, rr, 1), &st), MSP_ESTATE);
	}
	fail_at = 0;
}

struct counted {
	unsigned begun, over, records, records_at_end;
};

static enum msp_err count_record(void *arg, const struct msp_rr *rr)
{
	struct counted *c = arg;

	(void)rr;
	assert_int_equal(c->begun, c->over + 1); /* inside a message */
	c->records++;
	return MSP_OK;
}

static enum msp_err count_message(void *arg, const struct msp_msg *m, bool is_over)
{
	struct counted *c = arg;

	assert_true(m->count[MSP_SEC_ANSWER] > 0);
	if (is_over) {
		c->over++;
		c->records_at_end = c->records;
		return MSP_OK;
	}
	assert_int_equal(c->records, c->records_at_end); /* none of its own yet */
	return c->begun++ < 3 ? MSP_OK : MSP_EIO;
}

static void messages_are_given_before_and_after_their_records(void **state)
{
	static const struct msp_xfrin_ops counting = { .record = count_record, .message = count_message };
	const struct msp_xfrin_limits limits = { 0, 0 };
	struct msp_name zone = t_name("example.");
	struct counted c = { 0 };
	struct msp_rr rr[RECORDS_MAX];
	enum msp_xfrin_state st;

	(void)state;
	msp_xfrin_init(x, MSP_XFR_AXFR, &zone, ID, 0, &limits, &counting, &c);
	T_OK(msp_xfrin_feed(x, message(MSP_TYPE_AXFR, true, rr, parse_words("S9 a1 b1", rr)), &st, NULL, NULL));
	assert_true(c.begun == 1 && c.over == 1 && c.records == 2);
	T_OK(msp_xfrin_feed(x, message(MSP_TYPE_AXFR, false, rr, parse_words("c1", rr)), &st, NULL, NULL));
	assert_true(c.begun == 2 && c.over == 2 && c.records == 3);
	T_ERR(msp_xfrin_feed(x, message(MSP_TYPE_AXFR, false, rr, parse_words("d1 S8", rr)), &st, NULL, NULL),
	      MSP_EFORMAT);
	assert_true(c.begun == 3 && c.over == 2 && c.records == 4); /* what fails has no end */
}

static void callees_may_be_absent(void **state)
{
	static const struct msp_xfrin_ops none = { .begin = NULL };
	const struct msp_xfrin_limits limits = { 0, 0 };
	struct msp_name zone = t_name("example.");
	struct msp_rr rr[RECORDS_MAX];
	unsigned count = parse_words("S9 S5 a1 S9 b1 S9", rr);
	enum msp_xfrin_state st;
	struct msp_span raw;

	(void)state;
	raw = message(MSP_TYPE_IXFR, true, rr, count);
	msp_xfrin_init(x, MSP_XFR_IXFR, &zone, ID, 5, &limits, &none, NULL);
	T_OK(msp_xfrin_feed(x, raw, &st, NULL, NULL));
	assert_int_equal(st, MSP_XFRIN_DONE);
	count = parse_words("S9 a1 S9", rr);
	raw = message(MSP_TYPE_AXFR, true, rr, count);
	msp_xfrin_init(x, MSP_XFR_AXFR, &zone, ID, 0, &limits, &none, NULL);
	T_OK(msp_xfrin_feed(x, raw, &st, NULL, NULL));
	assert_int_equal(st, MSP_XFRIN_DONE);
}

/* BIND's one-answer stream with TSIG on every message (the TSIG is checked elsewhere). */
static void vector_stream_is_received(void **state)
{
	const struct msp_xfrin_limits limits = { 0, 0 };
	struct msp_name zone = t_name("zone.example.");
	enum msp_xfrin_state st = MSP_XFRIN_MORE;
	struct msp_buf buf;
	struct msp_rd rd;

	(void)state;
	t_hex_file("vectors/t2-tsig-axfr-response-stream.hex", &buf);
	msp_rd_init(&rd, msp_buf_span(&buf));
	start(MSP_XFR_AXFR, 0, NULL);
	msp_xfrin_init(x, MSP_XFR_AXFR, &zone, 0xb600, 0, &limits, &ops, events);
	while (msp_rd_left(&rd) > 0) {
		assert_int_equal(st, MSP_XFRIN_MORE);
		T_OK(feed(msp_rd_take(&rd, msp_rd_u16(&rd)), &st));
	}
	assert_int_equal(st, MSP_XFRIN_DONE);
	assert_int_equal(x->messages, 6);
	assert_int_equal(x->records, 6);
	assert_int_equal(calls, 5);
	msp_buf_fini(&buf);
}

static int setup(void **state)
{
	(void)state;
	x = msp_alloc(1, sizeof(*x));
	return x == NULL;
}

static int teardown(void **state)
{
	(void)state;
	msp_free(x);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_zone_is_handed_out_in_order),
		cmocka_unit_test(whole_zone_without_its_end_wants_more),
		cmocka_unit_test(records_of_other_zones_are_counted_and_left_out),
		cmocka_unit_test(transfer_that_does_not_begin_with_the_soa_is_refused),
		cmocka_unit_test(soa_that_differs_from_the_first_is_refused),
		cmocka_unit_test(other_classes_and_meta_types_are_refused),
		cmocka_unit_test(records_after_the_last_soa_are_refused),
		cmocka_unit_test(single_soa_not_ahead_means_up_to_date),
		cmocka_unit_test(single_soa_ahead_wants_more),
		cmocka_unit_test(whole_zone_may_answer_an_ixfr),
		cmocka_unit_test(differences_of_one_version_are_handed_out),
		cmocka_unit_test(differences_of_several_versions_are_handed_out),
		cmocka_unit_test(unfinished_differences_want_more),
		cmocka_unit_test(broken_chain_of_differences_is_refused),
		cmocka_unit_test(what_is_wrong_with_differences_is_told),
		cmocka_unit_test(what_stands_behind_the_end_is_told),
		cmocka_unit_test(whether_it_is_a_whole_zone_is_known_from_the_beginning),
		cmocka_unit_test(header_of_every_message_is_checked),
		cmocka_unit_test(question_may_be_absent_but_from_the_first_message),
		cmocka_unit_test(two_questions_are_refused),
		cmocka_unit_test(error_answer_needs_no_question),
		cmocka_unit_test(message_without_records_or_cut_short_is_refused),
		cmocka_unit_test(messages_without_records_are_borne_for_a_while),
		cmocka_unit_test(malformed_records_of_a_framed_message_are_refused),
		cmocka_unit_test(limits_end_the_transfer),
		cmocka_unit_test(error_of_a_callee_ends_the_transfer_with_that_error),
		cmocka_unit_test(messages_are_given_before_and_after_their_records),
		cmocka_unit_test(callees_may_be_absent),
		cmocka_unit_test(vector_stream_is_received),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
