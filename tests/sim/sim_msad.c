/* SPDX-License-Identifier: BSD-2-Clause */
#include "world.h"

#define MINUTE_MS (60 * 1000)
#define HOUR_MS   (60 * MINUTE_MS)

static void must(struct sim *s, bool (*pred)(struct sim *s), int64_t ms)
{
	if (sim_until(s, pred, ms))
		return;
	sim_explain(s);
	fail_msg("not reached within %lld s", (long long)ms / 1000);
}

static struct sim *small(size_t nodes, uint64_t seed)
{
	struct sim *s = sim_new(nodes, 1, seed);

	sim_all_on(s);
	sim_start_all(s);
	return s;
}

static struct sim *settled(size_t nodes, uint64_t seed)
{
	struct sim *s = small(nodes, seed);

	sim_deliver_all(s);
	must(s, sim_all_done, 10 * MINUTE_MS);
	return s;
}

static bool all_green(struct sim *s)
{
	for (size_t i = 0; i < s->nodes; i++)
		for (size_t k = 0; k < s->nodes; k++)
			if (i != k && s->node[i].is_up && s->node[k].is_up &&
			    sim_peer_of(s, i, k)->health != MSA_HEALTH_GREEN)
				return false;
	return true;
}

static void two_agents_meet_and_share_keys_and_cds(void **state)
{
	struct sim *s = settled(2, 1);

	(void)state;
	assert_int_equal(sim_peer_of(s, 0, 1)->link, MSA_LINK_OPERATIONAL);
	assert_int_equal(sim_peer_of(s, 1, 0)->link, MSA_LINK_OPERATIONAL);
	must(s, all_green, 3 * MINUTE_MS);
	assert_int_equal(sim_count(s->node[0].zone[0].put_dnskey), 2);
	assert_int_equal(sim_count(s->node[0].zone[0].put_cds), 1);
	assert_int_equal(sim_zone_of(s, 0, 0)->own.version, 1);
	sim_free(&s);
}

static void a_settled_pair_is_quiet(void **state)
{
	struct sim *s = settled(2, 2);
	uint64_t combines, pulls;

	(void)state;
	sim_run(s, 5 * MINUTE_MS);
	combines = s->node[0].zone[0].combines;
	pulls = s->node[0].sent[0];
	s->node[0].sent[MSP_OP_HELLO] = s->node[0].sent[MSP_OP_HEARTBEAT] = 0;
	sim_run(s, HOUR_MS);
	assert_int_equal(s->node[0].zone[0].combines, combines);
	assert_int_equal(s->node[0].sent[0], pulls);
	assert_int_equal(s->node[0].sent[MSP_OP_HELLO], 0);
	assert_in_range(s->node[0].sent[MSP_OP_HEARTBEAT], 54, 67); /* 60 s, +-10 % */
	sim_free(&s);
}

static void a_lone_signer_does_nothing(void **state)
{
	struct sim *s = small(1, 3);

	(void)state;
	sim_deliver_all(s);
	sim_run(s, HOUR_MS);
	assert_int_equal(s->node[0].zone[0].combines, 0);
	assert_int_equal(s->node[0].zone[0].signer_commands, 0);
	assert_false(sim_zone_of(s, 0, 0)->gate_open);
	assert_string_equal(sim_zone_of(s, 0, 0)->waiting, "");
	sim_free(&s);
}

/* PROTOCOL D.5, "XFR delay". */
static void an_agent_without_the_zone_refuses_and_greets_when_it_has_it(void **state)
{
	struct sim *s = small(2, 4);

	(void)state;
	sim_deliver_zone(s, 0, 0, 100);
	sim_run(s, 10 * MINUTE_MS);
	assert_int_equal(sim_peer_of(s, 0, 1)->link, MSA_LINK_KNOWN);
	assert_int_equal(sim_member_of(s, 0, 1, 0)->state, MSA_MEMBER_UNSEEN);
	assert_string_equal(sim_member_of(s, 0, 1, 0)->hello_why, "REFUSED MSA_ZONE_UNKNOWN");
	assert_in_range(s->node[0].sent[MSP_OP_HELLO], 2, 6); /* 0, 60, 180, 420 s: no hammering */
	sim_deliver_zone(s, 1, 0, 100);
	must(s, sim_all_done, 2 * MINUTE_MS);
	assert_int_equal(sim_peer_of(s, 0, 1)->link, MSA_LINK_OPERATIONAL);
	sim_free(&s);
}

/* PROTOCOL D.5, "Race": many seeds, both zones arrive within the time a HELLO takes. */
static void simultaneous_hellos_both_succeed(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct sim *s = small(2, 100 + seed);

		sim_deliver_zone(s, 0, 0, 100);
		sim_deliver_zone(s, 1, 0, 100 + (int64_t)seed * 10);
		must(s, sim_all_done, 3 * MINUTE_MS);
		sim_free(&s);
	}
}

static void three_agents_meet(void **state)
{
	struct sim *s = settled(3, 5);

	(void)state;
	must(s, all_green, 3 * MINUTE_MS);
	sim_free(&s);
}

static void a_new_and_a_removed_key_reach_everybody(void **state)
{
	struct sim *s = settled(3, 6);
	struct msp_rrset *served;

	(void)state;
	sim_add_key(s, 1, 0, 256);
	sim_run(s, 2 * MINUTE_MS);
	for (size_t i = 0; i < 3; i++) {
		served = sim_served(s, i, 0);
		assert_int_equal(served->count, 7);
		assert_true(sim_zone_of(s, i, 0)->gate_open);
		msp_rrset_free(&served);
	}
	assert_int_equal(sim_zone_of(s, 1, 0)->own.version, 2);
	sim_drop_key(s, 1, 0, 0);
	sim_run(s, 3 * MINUTE_MS);
	for (size_t i = 0; i < 3; i++) {
		served = sim_served(s, i, 0);
		assert_int_equal(served->count, 6);
		msp_rrset_free(&served);
		/* The withdrawn key is never mistaken for an own one. */
		assert_int_equal(sim_zone_of(s, i, 0)->own.version, i == 1 ? 3 : 1);
	}
	sim_free(&s);
}

static void a_withdrawn_key_that_is_still_served_is_not_our_own(void **state)
{
	struct sim *s = settled(2, 20);
	struct msp_rrset *served;

	(void)state;
	s->node[0].zone[0].keeps_withdrawn = true;
	sim_add_key(s, 1, 0, 256);
	sim_run(s, 2 * MINUTE_MS);
	sim_drop_key(s, 1, 0, 0);
	sim_run(s, 3 * MINUTE_MS);
	served = sim_served(s, 0, 0);
	assert_int_equal(served->count, 5); /* 2 own, 2 of the other, 1 that it no longer has */
	msp_rrset_free(&served);
	sim_restart(s, 0, 1000);
	sim_run(s, 30 * HOUR_MS);
	assert_int_equal(sim_zone_of(s, 0, 0)->own.version, 1);
	assert_int_equal(sim_count(sim_zone_of(s, 0, 0)->own.dnskey), 2);
	assert_int_equal(sim_count(sim_zone_of(s, 0, 0)->withdrawn), 1);
	sim_free(&s);
}

/* I10. */
static void an_unreachable_peer_is_interrupted_and_loses_nothing(void **state)
{
	struct sim *s = settled(3, 7);
	uint64_t combines;

	(void)state;
	must(s, all_green, 3 * MINUTE_MS);
	combines = s->node[0].zone[0].combines;
	s->node[2].is_cut = true;
	sim_run(s, 3 * MINUTE_MS + 30 * 1000);
	assert_int_equal(sim_peer_of(s, 0, 2)->health, MSA_HEALTH_DEGRADED);
	sim_run(s, 9 * MINUTE_MS);
	assert_int_equal(sim_peer_of(s, 0, 2)->health, MSA_HEALTH_INTERRUPTED);
	assert_int_equal(sim_peer_of(s, 0, 2)->link, MSA_LINK_OPERATIONAL);
	assert_int_equal(sim_peer_of(s, 0, 1)->health, MSA_HEALTH_GREEN);
	sim_run(s, 26 * HOUR_MS);
	assert_int_equal(s->node[0].zone[0].combines, combines);
	assert_int_equal(sim_count(s->node[0].zone[0].put_dnskey), 4);
	assert_int_equal(sim_count(s->node[0].zone[0].put_cds), 2);
	assert_true(sim_zone_of(s, 0, 0)->gate_open);
	s->node[2].is_cut = false;
	must(s, all_green, 40 * MINUTE_MS);
	must(s, sim_all_done, 5 * MINUTE_MS);
	assert_int_equal(s->node[0].zone[0].combines, combines);
	sim_free(&s);
}

/* I10: restart while a peer is dead. */
static void a_restart_beside_a_dead_peer_changes_nothing(void **state)
{
	struct sim *s = settled(3, 8);

	(void)state;
	s->node[2].is_cut = true;
	sim_run(s, HOUR_MS);
	sim_restart(s, 0, 5000);
	sim_run(s, HOUR_MS);
	assert_int_equal(sim_count(s->node[0].zone[0].put_dnskey), 4);
	assert_int_equal(sim_count(s->node[0].zone[0].put_cds), 2);
	assert_true(sim_zone_of(s, 0, 0)->gate_open);
	assert_true(sim_zone_of(s, 0, 0)->put_acked); /* asserted once again */
	assert_int_equal(sim_zone_of(s, 0, 0)->own.version, 1);
	assert_int_equal(sim_member_of(s, 0, 1, 0)->state, MSA_MEMBER_MEMBER);
	sim_free(&s);
}

/* A.1 rule 1. */
static void a_vanished_hsync_freezes_the_zone(void **state)
{
	struct sim *s = settled(2, 9);
	struct msp_rrset *kept = s->hsync[0];
	uint64_t combines = s->node[0].zone[0].combines, beats;

	(void)state;
	s->hsync[0] = NULL;
	sim_deliver_all(s);
	sim_run(s, MINUTE_MS);
	assert_true(sim_zone_of(s, 0, 0)->is_frozen);
	beats = s->node[0].sent[MSP_OP_HEARTBEAT];
	sim_run(s, 12 * HOUR_MS);
	assert_int_equal(s->node[0].zone[0].combines, combines);
	assert_int_equal(s->node[0].sent[MSP_OP_HEARTBEAT], beats);
	sim_restart(s, 0, 1000);
	sim_run(s, HOUR_MS);
	assert_true(sim_zone_of(s, 0, 0)->is_frozen);
	assert_int_equal(s->node[0].zone[0].combines, combines);
	assert_int_equal(sim_count(s->node[0].zone[0].put_dnskey), 2);
	s->hsync[0] = kept;
	sim_deliver_all(s);
	must(s, sim_all_done, HOUR_MS);
	sim_free(&s);
}

/* A.1 rules 6 and 7; leaving is a process of its own. */
static void keys_of_who_is_off_or_removed_stay(void **state)
{
	(void)state;
	for (int removed = 0; removed < 2; removed++) {
		struct sim *s = settled(3, 10);

		sim_hsync(s, 0, 2, removed ? NULL : "OFF AGENT YES");
		sim_deliver_all(s);
		sim_run(s, 12 * HOUR_MS);
		assert_int_equal(sim_count(s->node[0].zone[0].put_dnskey), 4);
		assert_int_equal(sim_count(s->node[0].zone[0].put_cds), 2);
		assert_int_equal(sim_count(s->node[2].zone[0].put_dnskey), 4);
		assert_int_equal(sim_member_of(s, 0, 2, 0)->role, MSA_ROLE_LEAVER);
		assert_int_equal(sim_member_of(s, 0, 1, 0)->state, MSA_MEMBER_MEMBER);
		sim_free(&s);
	}
}

/* A.1 rule 6. */
static void a_stager_is_greeted_and_not_used(void **state)
{
	struct sim *s = small(3, 11);

	(void)state;
	sim_hsync(s, 0, 2, "OFF AGENT YES");
	sim_deliver_all(s);
	sim_run(s, 10 * MINUTE_MS);
	assert_int_equal(sim_member_of(s, 0, 2, 0)->role, MSA_ROLE_STAGER);
	assert_int_equal(sim_member_of(s, 0, 2, 0)->state, MSA_MEMBER_MEMBER);
	assert_int_equal(sim_member_of(s, 0, 2, 0)->held.version, 1); /* stored */
	assert_int_equal(sim_count(s->node[0].zone[0].put_dnskey), 2);
	assert_int_equal(sim_count(s->node[2].zone[0].put_dnskey), 0);
	assert_true(sim_zone_of(s, 0, 0)->gate_open); /* for the two */
	sim_hsync(s, 0, 2, "ON AGENT YES");
	sim_deliver_all(s);
	must(s, sim_all_done, 10 * MINUTE_MS);
	sim_free(&s);
}

static void a_late_joiner_closes_the_gate_until_its_keys_are_served(void **state)
{
	struct sim *s = sim_new(3, 1, 12);

	(void)state;
	sim_hsync(s, 0, 0, "ON AGENT YES");
	sim_hsync(s, 0, 1, "ON AGENT YES");
	sim_start(s, 0);
	sim_start(s, 1);
	sim_deliver_zone(s, 0, 0, 10);
	sim_deliver_zone(s, 1, 0, 10);
	sim_run(s, 10 * MINUTE_MS);
	assert_true(sim_zone_of(s, 0, 0)->gate_open);
	sim_hsync(s, 0, 2, "ON AGENT YES");
	sim_deliver_zone(s, 0, 0, 10);
	sim_deliver_zone(s, 1, 0, 10);
	sim_run(s, 5 * MINUTE_MS);
	assert_false(sim_zone_of(s, 0, 0)->gate_open);
	assert_int_equal(sim_count(s->node[0].zone[0].put_cds), 1); /* what is there stays */
	sim_start(s, 2);
	sim_deliver_zone(s, 2, 0, 10);
	must(s, sim_all_done, 40 * MINUTE_MS);
	sim_free(&s);
}

static void a_combiner_that_fails_is_retried(void **state)
{
	struct sim *s = small(2, 13);

	(void)state;
	s->node[0].combiner_fails_until_ms = 30 * MINUTE_MS;
	sim_deliver_all(s);
	sim_run(s, 29 * MINUTE_MS);
	assert_string_equal(sim_zone_of(s, 0, 0)->combine_why, "no answer in time: sim");
	assert_in_range(s->node[0].zone[0].combines, 8, 20);
	assert_false(sim_zone_of(s, 0, 0)->gate_open);
	must(s, sim_all_done, 10 * MINUTE_MS);
	sim_free(&s);
}

static void a_signer_that_drops_foreign_keys_is_found_out(void **state)
{
	struct sim *s = small(2, 14);

	(void)state;
	s->node[0].zone[0].drops_foreign = true;
	sim_deliver_all(s);
	sim_run(s, 5 * MINUTE_MS);
	assert_true(sim_zone_of(s, 0, 0)->is_disobeyed);
	assert_false(sim_zone_of(s, 0, 0)->gate_open);
	assert_int_equal(s->node[0].zone[0].signer_commands, 0);
	s->node[0].zone[0].drops_foreign = false; /* and nobody tells */
	must(s, sim_all_done, 30 * MINUTE_MS);
	assert_false(sim_zone_of(s, 0, 0)->is_disobeyed);
	sim_free(&s);
}

/* SIGNERS 4.2: keys change without NOTIFY. */
static void a_signer_without_notify_is_polled(void **state)
{
	struct sim *s = small(2, 15);

	(void)state;
	s->node[0].zone[0].view_lost = s->node[1].zone[0].view_lost = true;
	sim_deliver_all(s);
	must(s, sim_all_done, 10 * MINUTE_MS);
	sim_free(&s);
}

static void a_peer_with_a_new_sig0_key_is_looked_up_again(void **state)
{
	struct sim *s = settled(2, 16);

	(void)state;
	sim_run(s, 5 * MINUTE_MS);
	sim_rekey(s, 1);
	sim_run(s, 2000);
	must(s, sim_all_done, 5 * MINUTE_MS);
	must(s, all_green, 5 * MINUTE_MS);
	sim_free(&s);
}

static void an_agent_that_does_not_resolve_is_waited_for(void **state)
{
	struct sim *s = small(2, 17);

	(void)state;
	s->node[1].is_hidden = true;
	sim_deliver_all(s);
	sim_run(s, 2 * HOUR_MS);
	assert_int_equal(sim_peer_of(s, 0, 1)->link, MSA_LINK_NEEDED);
	assert_string_equal(sim_peer_of(s, 0, 1)->search_why, "_dns._tcp.msa.p1.test. URI: nodata (sim)");
	assert_string_equal(sim_zone_of(s, 0, 0)->waiting,
			    "discovery of msa.p1.test.: _dns._tcp.msa.p1.test. URI: nodata (sim)");
	assert_int_equal(s->node[0].sent[MSP_OP_HELLO], 0);
	s->node[1].is_hidden = false;
	must(s, sim_all_done, 80 * MINUTE_MS);
	sim_free(&s);
}

/** Loss, doubles, damage, and restarts at random; then calm, and everything must come to its end. */
static void storm(size_t nodes, size_t zones, uint64_t seed, unsigned restarts, uint32_t heartbeat_s)
{
	struct sim *s = sim_new(nodes, zones, seed);

	s->heartbeat_s = heartbeat_s;
	s->loss = 20;
	s->dup = 5;
	s->damage = 5;
	s->crash = nodes > 20 ? 3 : 20;
	sim_all_on(s);
	sim_start_all(s);
	sim_deliver_all(s);
	for (unsigned i = 0; i < restarts; i++) {
		sim_run(s, (int64_t)msp_rand_below(&s->rand, 40) * 1000);
		sim_restart(s, msp_rand_below(&s->rand, nodes), (int64_t)msp_rand_below(&s->rand, 60) * 1000);
	}
	s->crash = 0;
	sim_run(s, 61 * 1000);
	must(s, sim_all_done, 6 * HOUR_MS);
	print_message("%zu cores, %zu zones, seed %llu: done after %lld s, %llu steps, %llu messages, %llu crashes\n",
		      nodes, zones, (unsigned long long)seed, (long long)s->now_ms / 1000, (unsigned long long)s->steps,
		      (unsigned long long)s->messages, (unsigned long long)s->crashes);
	sim_free(&s);
}

static void ten_agents_in_three_zones_weather_a_storm(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++)
		storm(10, 3, seed, 15, 60);
}

static void fifty_agents_in_one_zone_weather_a_storm(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++)
		storm(50, 1, seed, 10, 300);
}

/* Memory runs out in every third step, at a random allocation, and stays out until the step ends. */
static void agents_without_memory_lose_time_and_nothing_else(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct sim *s = small(4, 500 + seed);

		s->oom = 330;
		sim_deliver_all(s);
		sim_run(s, 10 * MINUTE_MS);
		sim_add_key(s, 0, 0, 256);
		sim_drop_key(s, 0, 0, 0);
		sim_run(s, 10 * MINUTE_MS);
		assert_true(s->ooms > 20);
		s->oom = 0;
		must(s, sim_all_done, 2 * HOUR_MS);
		sim_free(&s);
	}
}

static void a_partition_heals(void **state)
{
	struct sim *s = settled(6, 18);

	(void)state;
	for (size_t i = 0; i < 3; i++)
		s->node[i].group = 1;
	sim_run(s, 2 * HOUR_MS);
	sim_add_key(s, 0, 0, 256);
	sim_drop_key(s, 0, 0, 0);
	sim_restart(s, 4, 1000);
	sim_run(s, 2 * HOUR_MS);
	for (size_t i = 0; i < 6; i++)
		s->node[i].group = 0;
	must(s, sim_all_done, 40 * MINUTE_MS);
	must(s, all_green, 40 * MINUTE_MS);
	sim_free(&s);
}

/** H.3: one KEY RRset at every provider, with the key of each. */
static bool all_keys_everywhere(struct sim *s)
{
	for (size_t i = 0; i < s->nodes; i++) {
		const struct msp_rrset *put = s->node[i].zone[0].put_key;

		if (put == NULL || put->count != s->nodes)
			return false;
		for (size_t k = 0; k < s->nodes; k++)
			if (!msp_rrset_contains(put, s->node[k].zone[0].parent_key))
				return false;
	}
	return sim_all_done(s);
}

static void keys_towards_the_parent_reach_every_provider(void **state)
{
	struct sim *s = sim_new(4, 1, 71);

	(void)state;
	s->has_parents = true;
	s->loss = 20;
	s->dup = 5;
	for (size_t i = 0; i < s->nodes; i++) {
		struct msp_key *key = NULL;

		T_OK(msp_key_generate(&s->zone_name[0], MSP_ALG_ED25519, 0, &key));
		T_OK(msp_rrset_new(&s->zone_name[0], MSP_TYPE_KEY, 300, &s->node[i].zone[0].parent_key));
		T_OK(msp_rrset_add(s->node[i].zone[0].parent_key, msp_key_rdata(key)));
		msp_key_free(&key);
	}
	sim_all_on(s);
	sim_start_all(s);
	sim_deliver_all(s);
	for (size_t i = 0; i < s->nodes; i++) {
		sim_run(s, 20 * 1000);
		sim_restart(s, i, 5000);
	}
	must(s, all_keys_everywhere, 2 * HOUR_MS);
	sim_free(&s);
}

/** Argument: a pattern of test names, as in `sim_msad 'fifty*'`. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_agents_meet_and_share_keys_and_cds),
		cmocka_unit_test(a_settled_pair_is_quiet),
		cmocka_unit_test(a_lone_signer_does_nothing),
		cmocka_unit_test(an_agent_without_the_zone_refuses_and_greets_when_it_has_it),
		cmocka_unit_test(simultaneous_hellos_both_succeed),
		cmocka_unit_test(three_agents_meet),
		cmocka_unit_test(a_new_and_a_removed_key_reach_everybody),
		cmocka_unit_test(a_withdrawn_key_that_is_still_served_is_not_our_own),
		cmocka_unit_test(an_unreachable_peer_is_interrupted_and_loses_nothing),
		cmocka_unit_test(a_restart_beside_a_dead_peer_changes_nothing),
		cmocka_unit_test(a_vanished_hsync_freezes_the_zone),
		cmocka_unit_test(keys_of_who_is_off_or_removed_stay),
		cmocka_unit_test(a_stager_is_greeted_and_not_used),
		cmocka_unit_test(a_late_joiner_closes_the_gate_until_its_keys_are_served),
		cmocka_unit_test(a_combiner_that_fails_is_retried),
		cmocka_unit_test(a_signer_that_drops_foreign_keys_is_found_out),
		cmocka_unit_test(a_signer_without_notify_is_polled),
		cmocka_unit_test(a_peer_with_a_new_sig0_key_is_looked_up_again),
		cmocka_unit_test(an_agent_that_does_not_resolve_is_waited_for),
		cmocka_unit_test(agents_without_memory_lose_time_and_nothing_else),
		cmocka_unit_test(a_partition_heals),
		cmocka_unit_test(keys_towards_the_parent_reach_every_provider),
		cmocka_unit_test(ten_agents_in_three_zones_weather_a_storm),
		cmocka_unit_test(fifty_agents_in_one_zone_weather_a_storm),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
