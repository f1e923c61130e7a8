/* SPDX-License-Identifier: BSD-2-Clause */
#include "prt_child_build.h"

#include <msproto/base/mem.h>

static struct prt_child a, b; /* 14 KiB each */
static struct msp_buf octets;
static const struct msp_wall noon = { T_NOON };

static int setup(void **state)
{
	(void)state;
	msp_buf_init(&octets, 256u << 10);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	msp_buf_fini(&octets);
	prt_child_fini(&a);
	prt_child_fini(&b);
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	return 0;
}

static void a_child_comes_back_as_it_was(void **state)
{
	(void)state;
	t_full_child(&a);
	T_OK(prt_child_write(&a, noon, &octets));
	T_OK(prt_child_read(msp_buf_span(&octets), &b));
	assert_true(msp_name_same(&b.name, &a.name));
	assert_true(msp_name_same(&b.parent, &a.parent));
	assert_int_equal(b.flags, a.flags);
	assert_string_equal(b.lock_why, "court order");
	assert_true(t_is(&b.registered, USUAL));
	assert_true(prt_delegation_equal(&b.published, &a.published));
	assert_true(prt_child_is_unpublished(&b));
	assert_memory_equal(&b.keys, &a.keys, sizeof(a.keys));
	for (size_t i = 0; i < PRT_KEYS_MAX; i++) {
		assert_int_equal(b.boot[i].method, a.boot[i].method);
		assert_int_equal(b.boot[i].rounds, a.boot[i].rounds);
		assert_int_equal(b.boot[i].first.s, a.boot[i].first.s);
		assert_int_equal(b.boot[i].next.s, a.boot[i].next.s);
	}
	assert_int_equal(b.pending.wait, PRT_WAIT_CONFIRM);
	assert_int_equal(b.pending.source, PRT_SRC_CDS);
	assert_int_equal(b.pending.since.s, a.pending.since.s);
	assert_int_equal(b.pending.next.s, a.pending.next.s);
	assert_int_equal(b.pending.tries, 2);
	assert_int_equal(b.pending.key_tag, 12345);
	assert_string_equal(b.pending.who, "cds");
	assert_string_equal(b.pending.why, "all DS would go");
	assert_true(t_is(&b.pending.wanted, C " 300 NS ns.other.test.\n"));
	assert_int_equal(b.scan.last.s, a.scan.last.s);
	assert_int_equal(b.scan.next.s, a.scan.next.s);
	assert_int_equal(b.scan.failures, 2);
	assert_int_equal(b.scan.inception, 77);
	assert_true(b.scan.has_csync);
	assert_int_equal(b.scan.csync_serial, 2026112401);
	assert_string_equal(b.scan.result, "differs at ns1");
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(b.scan.started[i].s, a.scan.started[i].s);
	assert_int_equal(b.ttl_back.s, a.ttl_back.s);
	assert_true(b.last_seq == 12345678901);
	assert_string_equal(b.note, "the primary said REFUSED");
}

static void ask_by_message(struct prt_child *c)
{
	T_OK(msp_addr_parse("2001:db8::7", 4711, &c->pending.peer));
	c->pending.is_tcp = true;
	memset(c->pending.message, 0xab, sizeof(c->pending.message));
}

static void who_asked_for_what_waits_is_kept(void **state)
{
	(void)state;
	t_full_child(&a);
	ask_by_message(&a);
	T_OK(prt_child_write(&a, noon, &octets));
	T_OK(prt_child_read(msp_buf_span(&octets), &b));
	assert_int_equal(b.pending.peer.family, MSP_FAMILY_V6);
	assert_memory_equal(b.pending.peer.oct, a.pending.peer.oct, 16);
	assert_int_equal(b.pending.peer.port, 4711);
	assert_true(b.pending.is_tcp);
	assert_memory_equal(b.pending.message, a.pending.message, PRT_HASH_LEN);
	prt_child_fini(&b);
	/* without a message, as when an operator has approved it */
	memset(a.pending.message, 0, sizeof(a.pending.message));
	msp_buf_reset(&octets);
	T_OK(prt_child_write(&a, noon, &octets));
	T_OK(prt_child_read(msp_buf_span(&octets), &b));
	assert_int_equal(b.pending.peer.port, 4711);
	assert_memory_equal(b.pending.message, a.pending.message, PRT_HASH_LEN);
}

/* A store from before that was kept: the part is the last one, and is not there. */
static void records_from_before_who_asked_was_kept_are_read(void **state)
{
	size_t before;

	(void)state;
	t_full_child(&a);
	T_OK(prt_child_write(&a, noon, &octets));
	before = octets.len;
	msp_buf_reset(&octets);
	ask_by_message(&a);
	T_OK(prt_child_write(&a, noon, &octets));
	assert_true(octets.len > before);
	T_OK(prt_child_read(msp_span(octets.ptr, before), &b));
	assert_int_equal(b.pending.wait, PRT_WAIT_CONFIRM);
	assert_int_equal(b.pending.key_tag, 12345);
	assert_int_equal(b.pending.peer.family, MSP_FAMILY_NONE);
	assert_false(b.pending.is_tcp);
	assert_string_equal(b.note, "the primary said REFUSED");
	assert_true(b.last_seq == 12345678901);
}

static void nobody_asks_for_what_does_not_wait(void **state)
{
	static const uint8_t part[] = { 12, 0, 8, 1, 1, 192, 0, 2, 1, 0xe7, 0x24 };

	(void)state;
	t_usual_child(&a);
	ask_by_message(&a);
	T_OK(prt_child_write(&a, noon, &octets));
	T_OK(prt_child_read(msp_buf_span(&octets), &b));
	assert_int_equal(b.pending.peer.family, MSP_FAMILY_NONE);
	prt_child_fini(&b);
	msp_buf_add(&octets, part, sizeof(part)); /* well-formed */
	T_ERR(prt_child_read(msp_buf_span(&octets), &b), MSP_ECORRUPT);
	a.pending.wait = PRT_WAIT_TURN;
	prt_delegation_init(&a.pending.wanted, &a.parent, &a.name);
	memset(&a.pending.peer, 0, sizeof(a.pending.peer));
	memset(a.pending.message, 0, sizeof(a.pending.message));
	msp_buf_reset(&octets);
	T_OK(prt_child_write(&a, noon, &octets));
	msp_buf_add(&octets, part, sizeof(part));
	T_OK(prt_child_read(msp_buf_span(&octets), &b));
	assert_int_equal(b.pending.peer.port, 4711);
	prt_child_fini(&b);
	octets.ptr[octets.len - 8] = 4; /* a flag that there is not */
	T_ERR(prt_child_read(msp_buf_span(&octets), &b), MSP_ECORRUPT);
}

static void what_has_run_out_is_left_out(void **state)
{
	(void)state;
	t_full_child(&a);
	T_OK(prt_child_write(&a, noon, &octets));
	T_OK(prt_child_read(msp_buf_span(&octets), &b));
	assert_int_equal(b.seen_count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_memory_equal(b.seen[i].digest, a.seen[i].digest, PRT_SEEN_DIGEST);
		assert_memory_equal(b.seen[i].source, a.seen[i].source, 8);
		assert_int_equal(b.seen[i].at.s, a.seen[i].at.s);
		assert_int_equal(b.seen[i].until.s, a.seen[i].until.s);
		assert_int_equal(b.seen[i].rcode, a.seen[i].rcode);
		assert_int_equal(b.seen[i].ede, a.seen[i].ede);
		assert_int_equal(b.seen[i].is_standard_ede, i == 1);
	}
	assert_int_equal(b.change_count, 2);
	assert_int_equal(b.changes[0].s, a.changes[1].s);
	assert_int_equal(b.changes[1].s, a.changes[2].s);
}

static void a_usual_child_is_small(void **state)
{
	size_t usual;

	(void)state;
	t_usual_child(&a);
	T_OK(prt_child_write(&a, noon, &octets));
	usual = octets.len;
	assert_true(usual <= 250); /* 1.5 million of them, and the trees around, below 1 GiB */
	T_OK(prt_child_read(msp_buf_span(&octets), &b));
	assert_false(prt_child_is_unpublished(&b));
	assert_true(t_is(&b.published, USUAL));
	/* What is published costs nothing but the bit that says so. */
	prt_delegation_clear(&a.published);
	a.published.count = 0;
	prt_delegation_clear(&a.registered);
	msp_buf_reset(&octets);
	T_OK(prt_child_write(&a, noon, &octets));
	assert_true(octets.len < 110);
}

static void an_empty_child_costs_its_name(void **state)
{
	struct msp_name parent = t_name(P), name = t_name(C);

	(void)state;
	prt_child_init(&a, &parent, &name);
	T_OK(prt_child_write(&a, noon, &octets));
	assert_int_equal(octets.len, 1 + name.len + 1 + 1 + 2);
	T_OK(prt_child_read(msp_buf_span(&octets), &b));
	assert_int_equal(b.keys.count, 0);
	assert_int_equal(b.registered.count, 0);
	assert_int_equal(prt_child_due(&b).s, 0);
}

static void case_is_kept(void **state)
{
	static const char lines[] = "Child.EXAMPLE. 300 NS Ns1.cHild.example.\nChild.EXAMPLE. 300 NS NS.Other.Test.\n"
				    "nS1.CHILD.example. 60 A 198.41.0.4\n";

	(void)state;
	t_usual_child(&a);
	prt_delegation_clear(&a.registered);
	t_delegation(&a.registered, lines);
	T_OK(prt_child_write(&a, noon, &octets));
	T_OK(prt_child_read(msp_buf_span(&octets), &b));
	assert_int_equal(b.registered.count, a.registered.count);
	for (size_t i = 0; i < a.registered.count; i++) {
		const struct msp_rrset *x = a.registered.set[i], *y = b.registered.set[i];

		assert_true(msp_name_same(&x->owner, &y->owner));
		assert_int_equal(x->ttl, y->ttl);
		assert_int_equal(x->count, y->count);
		for (size_t k = 0; k < x->count; k++)
			assert_true(msp_span_equal(x->rdata[k], y->rdata[k]));
	}
}

static void keys_are_read_alone_and_without_memory(void **state)
{
	struct prt_keyset keys;
	unsigned flags;

	(void)state;
	t_full_child(&a);
	T_OK(prt_child_write(&a, noon, &octets));
	msp_mem_fail_at(1);
	T_OK(prt_child_read_keys(msp_buf_span(&octets), &keys, &flags));
	msp_mem_fail_at(0);
	assert_memory_equal(&keys, &a.keys, sizeof(keys));
	assert_int_equal(flags, PRT_CHILD_LOCKED | PRT_CHILD_NOTICED);
}

static void cut_and_lengthened_octets_are_corrupt(void **state)
{
	(void)state;
	t_full_child(&a);
	ask_by_message(&a);
	T_OK(prt_child_write(&a, noon, &octets));
	for (size_t len = 0; len < octets.len; len++) {
		enum msp_err err = prt_child_read(msp_span(octets.ptr, len), &b);

		/* A cut between two parts is a record with fewer parts; within one it is seen. */
		if (err == MSP_OK)
			prt_child_fini(&b);
		else
			assert_int_equal(err, MSP_ECORRUPT);
	}
	msp_buf_add_u8(&octets, 0);
	T_ERR(prt_child_read(msp_buf_span(&octets), &b), MSP_ECORRUPT);
	octets.ptr[0] = 2;
	T_ERR(prt_child_read(msp_buf_span(&octets), &b), MSP_ECORRUPT);
}

static void an_octet_changed_anywhere_is_read_or_refused(void **state)
{
	(void)state;
	t_full_child(&a);
	ask_by_message(&a);
	T_OK(prt_child_write(&a, noon, &octets));
	for (size_t i = 0; i < octets.len; i++)
		for (unsigned x = 1; x < 256; x = x * 2 + 1) {
			octets.ptr[i] ^= (uint8_t)x;
			if (prt_child_read(msp_buf_span(&octets), &b) == MSP_OK)
				prt_child_fini(&b);
			octets.ptr[i] ^= (uint8_t)x;
		}
}

static void a_failing_allocation_anywhere_is_reported(void **state)
{
	size_t n;

	(void)state;
	t_full_child(&a);
	T_OK(prt_child_write(&a, noon, &octets));
	for (n = 1; n < 1000; n++) {
		enum msp_err err;

		msp_mem_fail_at(n);
		err = prt_child_read(msp_buf_span(&octets), &b);
		if (err == MSP_OK)
			break;
		assert_int_equal(err, MSP_ENOMEM);
	}
	msp_mem_fail_at(0);
	assert_true(n > 10 && n < 1000);
}

static void a_child_not_below_its_parent_is_not_written(void **state)
{
	struct msp_name parent = t_name("ample."), name = t_name(C);

	(void)state;
	prt_child_init(&a, &parent, &name);
	T_ERR(prt_child_write(&a, noon, &octets), MSP_EVALUE);
}

static void the_earliest_thing_is_due(void **state)
{
	(void)state;
	t_usual_child(&a);
	assert_int_equal(prt_child_due(&a).s, 0);
	a.ttl_back.s = T_NOON + 100;
	assert_int_equal(prt_child_due(&a).s, T_NOON + 100);
	a.scan.next.s = T_NOON + 90;
	assert_int_equal(prt_child_due(&a).s, T_NOON + 90);
	t_key(&a.keys, 2, PRT_KEY_KNOWN);
	a.boot[1].next.s = T_NOON + 80;
	assert_int_equal(prt_child_due(&a).s, T_NOON + 80);
	a.boot[0].next.s = T_NOON + 10; /* of a trusted key: nothing is looked for */
	assert_int_equal(prt_child_due(&a).s, T_NOON + 80);
	t_key(&a.keys, 3, PRT_KEY_FAILED);
	a.keys.key[2].since.s = T_NOON + 70 - PRT_FAILED_KEEP_S;
	assert_int_equal(prt_child_due(&a).s, T_NOON + 70);
	a.pending.next.s = T_NOON + 5; /* nothing waits: not meant */
	assert_int_equal(prt_child_due(&a).s, T_NOON + 70);
	a.pending.wait = PRT_WAIT_TURN;
	prt_delegation_init(&a.pending.wanted, &a.parent, &a.name);
	assert_int_equal(prt_child_due(&a).s, T_NOON + 5);
	a.pending.next.s = 0; /* waits for a person */
	assert_int_equal(prt_child_due(&a).s, T_NOON + 70);
}

static void what_is_due_does_not_change_by_being_stored(void **state)
{
	(void)state;
	t_full_child(&a);
	T_OK(prt_child_write(&a, noon, &octets));
	T_OK(prt_child_read(msp_buf_span(&octets), &b));
	assert_int_equal(prt_child_due(&a).s, T_NOON + 300);
	assert_int_equal(prt_child_due(&b).s, prt_child_due(&a).s);
}

static void progress_follows_its_key(void **state)
{
	struct prt_keyset before;

	(void)state;
	t_usual_child(&a);
	t_key(&a.keys, 2, PRT_KEY_KNOWN);
	t_key(&a.keys, 3, PRT_KEY_KNOWN);
	for (unsigned i = 0; i < 3; i++)
		a.boot[i].rounds = i + 1;
	before = a.keys;
	a.keys.key[0] = a.keys.key[2]; /* the first one has gone, the last one has taken its place */
	a.keys.count = 2;
	t_key(&a.keys, 9, PRT_KEY_KNOWN);
	prt_child_realign(&a, &before);
	assert_int_equal(a.boot[0].rounds, 3);
	assert_int_equal(a.boot[1].rounds, 2);
	assert_int_equal(a.boot[2].rounds, 0); /* a new one */
}

static void of_an_ecdsa_signature_only_r_counts(void **state)
{
	uint8_t sig[64], x[PRT_SEEN_DIGEST], y[PRT_SEEN_DIGEST];

	(void)state;
	memset(sig, 7, sizeof(sig));
	T_OK(prt_seen_digest(13, msp_span(sig, 64), x));
	sig[63] ^= 1;
	T_OK(prt_seen_digest(13, msp_span(sig, 64), y));
	assert_memory_equal(x, y, sizeof(x));
	T_OK(prt_seen_digest(15, msp_span(sig, 64), x));
	sig[63] ^= 1;
	T_OK(prt_seen_digest(15, msp_span(sig, 64), y));
	assert_memory_not_equal(x, y, sizeof(x));
	sig[0] ^= 1;
	T_OK(prt_seen_digest(13, msp_span(sig, 64), x));
	sig[0] ^= 1;
	T_OK(prt_seen_digest(13, msp_span(sig, 64), y));
	assert_memory_not_equal(x, y, sizeof(x));
	/* A MAC that was truncated on its way is the same message's. */
	T_OK(prt_seen_digest(PRT_SEEN_TSIG, msp_span(sig, 32), x));
	T_OK(prt_seen_digest(PRT_SEEN_TSIG, msp_span(sig, 16), y));
	assert_memory_equal(x, y, sizeof(x));
}

static void a_source_is_an_address_without_a_port(void **state)
{
	struct msp_addr v4, mapped, other;
	uint8_t x[8], y[8];

	(void)state;
	T_OK(msp_addr_parse("192.0.2.1", 53, &v4));
	T_OK(msp_addr_parse("::ffff:192.0.2.1", 4711, &mapped));
	T_OK(msp_addr_parse("192.0.2.2", 53, &other));
	prt_seen_source(&v4, x);
	prt_seen_source(&mapped, y);
	assert_memory_equal(x, y, 8);
	prt_seen_source(&other, y);
	assert_memory_not_equal(x, y, 8);
}

static void a_message_is_recognised(void **state)
{
	uint8_t digest[PRT_SEEN_DIGEST];

	(void)state;
	t_full_child(&a);
	memset(digest, 2, sizeof(digest));
	assert_ptr_equal(prt_child_seen(&a, digest), &a.seen[1]);
	memset(digest, 9, sizeof(digest));
	assert_null(prt_child_seen(&a, digest));
	assert_string_equal(prt_wait_name(PRT_WAIT_OPERATOR), "operator");
	assert_string_equal(prt_wait_name(PRT_WAIT__N), "?");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_child_comes_back_as_it_was),
		TEST(who_asked_for_what_waits_is_kept),
		TEST(records_from_before_who_asked_was_kept_are_read),
		TEST(nobody_asks_for_what_does_not_wait),
		TEST(what_has_run_out_is_left_out),
		TEST(a_usual_child_is_small),
		TEST(an_empty_child_costs_its_name),
		TEST(case_is_kept),
		TEST(keys_are_read_alone_and_without_memory),
		TEST(cut_and_lengthened_octets_are_corrupt),
		TEST(an_octet_changed_anywhere_is_read_or_refused),
		TEST(a_failing_allocation_anywhere_is_reported),
		TEST(a_child_not_below_its_parent_is_not_written),
		TEST(the_earliest_thing_is_due),
		TEST(what_is_due_does_not_change_by_being_stored),
		TEST(progress_follows_its_key),
		TEST(of_an_ecdsa_signature_only_r_counts),
		TEST(a_source_is_an_address_without_a_port),
		TEST(a_message_is_recognised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
