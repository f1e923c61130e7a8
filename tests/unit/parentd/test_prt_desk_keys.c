/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys at the desk: uploads, rollover, looks, KeyState, operators. PROTOCOL G.6, B.2. */
#include "prt_desk_build.h"

/* A signed child with one trusted key; or one without DS and without keys. */
static struct desk fresh(bool is_secure)
{
	struct desk d = desk_begin();

	d.c.keys.count = 0;
	if (!is_secure) {
		struct msp_name child = t_name(C);

		(void)prt_delegation_del_set(&d.c.registered, &child, MSP_TYPE_DS);
		(void)prt_delegation_del_set(&d.c.published, &child, MSP_TYPE_DS);
	}
	return d;
}

static void look(struct desk *d, const char *key, const struct prt_boot_seen *seen)
{
	desk_fresh(d);
	T_OK(prt_desk_looked(&d->r, &d->c, desk_key(key), seen, d->now, &d->o));
	desk_restart(d);
}

static struct msp_rrset *key_set(const char *key)
{
	char line[1024];

	snprintf(line, sizeof(line), C " 300 KEY %s", key);
	return t_rrset(line);
}

/* The apex shows this key, or nothing, with this verdict. */
static void look_apex(struct desk *d, const char *key, const char *shown, enum msp_lookup verdict)
{
	struct msp_rrset *set = shown != NULL ? key_set(shown) : NULL;
	struct prt_boot_seen seen = { .apex = { .verdict = verdict, .keys = set } };

	look(d, key, &seen);
	msp_rrset_free(&set);
}

/* --- uploads --------------------------------------------------------------------------------------------------------
 */

static void an_upload_to_a_secure_child_is_looked_for_at_the_apex(void **state)
{
	struct desk d = fresh(true);

	(void)state;
	assert_int_equal(desk_update(&d, DEL_KEYS ADD_KEY(KEY_B), KEY_B), MSP_RCODE_NOERROR);
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_KNOWN);
	assert_int_equal(d.o.keystate, MSP_KEYSTATE_BOOTSTRAP_AUTO);
	assert_int_equal(d.c.boot[0].method, PRT_METHOD_APEX);
	assert_true((d.o.need & PRT_NEED_LOOK) != 0);
	assert_int_equal(d.c.seen_count, 1);
	assert_non_null(desk_entry(&d, PRT_VERDICT_KEY));
	look_apex(&d, KEY_B, KEY_B, MSP_LOOKUP_SECURE);
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_TRUSTED);
	assert_int_equal(desk_entry(&d, PRT_VERDICT_KEY)->source, PRT_SRC_NONE);
	assert_non_null(strstr(desk_entry(&d, PRT_VERDICT_KEY)->why, "KNOWN -> TRUSTED; shown at-apex: "));
	assert_true(desk_entry(&d, PRT_VERDICT_KEY)->before.len > 0);
	desk_end(&d);
}

static void a_child_without_ds_is_vouched_for_by_its_name_servers(void **state)
{
	struct desk d = fresh(false);
	struct msp_rrset *set = key_set(KEY_B);
	struct prt_boot_secure signal = { .verdict = MSP_LOOKUP_SECURE, .keys = set };
	struct prt_boot_seen seen = { .apex = { .verdict = MSP_LOOKUP_INSECURE, .keys = set },
				      .signal = &signal,
				      .signals = 1 };

	(void)state;
	assert_int_equal(desk_update(&d, ADD_KEY(KEY_B), KEY_B), MSP_RCODE_NOERROR);
	assert_int_equal(d.c.boot[0].method, PRT_METHOD_NS);
	look(&d, KEY_B, &seen);
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_TRUSTED);
	assert_non_null(strstr(desk_entry(&d, PRT_VERDICT_KEY)->why, "shown at-ns: KEY at 1 signal names"));
	msp_rrset_free(&set);
	desk_end(&d);
}

static void no_key_becomes_trusted_while_the_child_is_locked(void **state)
{
	struct desk d = fresh(true);

	(void)state;
	desk_trust(&d, KEY_A);
	assert_int_equal(desk_update(&d, DEL_KEYS ADD_KEY(KEY_B), KEY_B), MSP_RCODE_NOERROR);
	d.c.flags |= PRT_CHILD_LOCKED;
	look_apex(&d, KEY_B, KEY_B, MSP_LOOKUP_SECURE);
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_KNOWN);
	assert_int_equal(desk_state(&d, KEY_A), PRT_KEY_TRUSTED);
	assert_int_equal(d.o.entries, 0);
	assert_true(d.c.boot[1].next.s > d.now.s);
	d.c.flags &= ~PRT_CHILD_LOCKED;
	look_apex(&d, KEY_B, KEY_B, MSP_LOOKUP_SECURE);
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_TRUSTED);
	assert_int_equal(desk_state(&d, KEY_A), PRT_KEY_ABSENT);
	desk_end(&d);
}

static void whoever_uploads_learns_nothing_by_prerequisites(void **state)
{
	struct desk d = fresh(true);

	(void)state;
	desk_trust(&d, KEY_A);
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR); /* waits: not public */
	assert_int_equal(desk_update(&d, "eq " C " 0 DS " DS_2 "\n" ADD_KEY(KEY_B), KEY_B), MSP_RCODE_REFUSED);
	assert_int_equal(desk_update(&d, "eq " C " 0 DS " DS_1 "\n" ADD_KEY(KEY_B), KEY_B), MSP_RCODE_REFUSED);
	assert_int_equal(desk_update(&d, "eq " C " 0 KEY " KEY_A "\n" ADD_KEY(KEY_B), KEY_B), MSP_RCODE_REFUSED);
	assert_true(desk_is_own(&d, MSP_EDE_KEY_NOT_TRUSTED));
	assert_int_equal(d.c.keys.count, 1);
	desk_end(&d);
}

static void without_an_automatic_method_an_operator_must_say_so(void **state)
{
	struct desk d = fresh(true);

	(void)state;
	d.r.policy.methods = 0; /* what policy would not take is not even tried */
	assert_int_equal(desk_update(&d, ADD_KEY(KEY_B), KEY_B), MSP_RCODE_NOERROR);
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_MANUAL);
	assert_int_equal(d.o.keystate, MSP_KEYSTATE_BOOTSTRAP_MANUAL);
	assert_int_equal(d.o.need & PRT_NEED_LOOK, 0);
	desk_end(&d);
}

static void where_a_human_is_wanted_a_validated_key_still_waits(void **state)
{
	struct desk d = fresh(true);

	(void)state;
	d.r.policy.keys_need_human = true;
	assert_int_equal(desk_update(&d, ADD_KEY(KEY_B), KEY_B), MSP_RCODE_NOERROR);
	look_apex(&d, KEY_B, KEY_B, MSP_LOOKUP_SECURE);
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_MANUAL);
	desk_end(&d);
}

static void an_upload_takes_nothing_away_until_it_is_trusted(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	assert_int_equal(desk_update(&d, DEL_KEYS ADD_KEY(KEY_B), KEY_B), MSP_RCODE_NOERROR);
	assert_int_equal(desk_state(&d, KEY_A), PRT_KEY_TRUSTED);
	for (unsigned i = 0; i < PRT_ATTEMPTS_MAX; i++) {
		assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_KNOWN);
		look_apex(&d, KEY_B, KEY_A, MSP_LOOKUP_SECURE); /* the apex shows the old one */
		assert_int_equal(d.c.boot[1].next.s, d.now.s + (int64_t)d.r.boot.retry_s);
		d.now.s += 3600;
	}
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_FAILED);
	assert_int_equal(desk_state(&d, KEY_A), PRT_KEY_TRUSTED);
	/* tried anew, it is looked for anew */
	assert_int_equal(desk_update(&d, DEL_KEYS ADD_KEY(KEY_B), KEY_B), MSP_RCODE_NOERROR);
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_KNOWN);
	assert_true((d.o.need & PRT_NEED_LOOK) != 0);
	look_apex(&d, KEY_B, KEY_B, MSP_LOOKUP_SECURE);
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_TRUSTED);
	assert_int_equal(desk_state(&d, KEY_A), PRT_KEY_ABSENT); /* it asked for that */
	desk_end(&d);
}

static void a_second_provider_adds_its_key_beside_the_first(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	assert_int_equal(desk_update(&d, ADD_KEY(KEY_B), KEY_B), MSP_RCODE_NOERROR);
	look_apex(&d, KEY_B, KEY_B, MSP_LOOKUP_SECURE);
	assert_int_equal(desk_state(&d, KEY_A), PRT_KEY_TRUSTED);
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_TRUSTED);
	desk_end(&d);
}

static void uploads_that_are_refused_or_repeat_themselves_are_not_stored(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	assert_int_equal(desk_update(&d, ADD_KEY(KEY_B), KEY_B), MSP_RCODE_NOERROR);
	for (unsigned i = 0; i < 2 * PRT_SEEN_MAX; i++) { /* anybody can do that: it must not fill the memory */
		assert_int_equal(desk_update(&d, ADD_KEY(KEY_B), KEY_B), MSP_RCODE_NOERROR);
		assert_false(d.o.is_changed);
		assert_int_equal(desk_update(&d, ADD_KEY(KEY_A), KEY_B), MSP_RCODE_REFUSED);
		assert_false(d.o.is_changed);
		assert_int_equal(d.o.entries, 0);
	}
	assert_int_equal(d.c.seen_count, 1);
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	desk_end(&d);
}

static void policy_may_close_keys_and_locks_hold_them(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	d.r.policy.touch &= ~PRT_TOUCH_KEY;
	assert_int_equal(desk_update(&d, ADD_KEY(KEY_B), KEY_B), MSP_RCODE_REFUSED);
	assert_true(desk_is_own(&d, MSP_EDE_UPDATE_TYPE));
	d.r.policy.touch |= PRT_TOUCH_KEY;
	d.c.flags |= PRT_CHILD_LOCKED;
	assert_int_equal(desk_update(&d, ADD_KEY(KEY_B), KEY_A), MSP_RCODE_REFUSED);
	assert_true(desk_is_own(&d, MSP_EDE_ZONE_LOCKED));
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_ABSENT);
	desk_end(&d);
}

/* --- rollover -------------------------------------------------------------------------------------------------------
 */

static void a_trusted_key_brings_in_the_next_and_takes_out_the_last(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	d.c.changes[d.c.change_count++] = d.now; /* the cool-down of the delegation is about other things */
	d.r.policy.propose = true;               /* and so is this */
	assert_int_equal(desk_update(&d, ADD_KEY(KEY_B), KEY_A), MSP_RCODE_NOERROR);
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_TRUSTED);
	assert_int_equal(desk_update(&d, DEL_KEY(KEY_A), KEY_B), MSP_RCODE_NOERROR);
	assert_int_equal(desk_state(&d, KEY_A), PRT_KEY_ABSENT);
	assert_int_equal(desk_update(&d, DEL_KEY(KEY_B), KEY_B), MSP_RCODE_REFUSED);
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_TRUSTED);
	assert_non_null(desk_entry(&d, PRT_VERDICT_REFUSED));
	desk_end(&d);
}

static void rollover_may_be_closed_but_an_upload_may_be_sent_again(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	d.r.keys.rollover_by_update = false;
	assert_int_equal(desk_update(&d, ADD_KEY(KEY_B), KEY_A), MSP_RCODE_REFUSED);
	assert_int_equal(desk_update(&d, DEL_KEYS ADD_KEY(KEY_A), KEY_A), MSP_RCODE_NOERROR);
	assert_int_equal(desk_update(&d, ADD_KEY(KEY_B), KEY_B), MSP_RCODE_NOERROR); /* this is the way */
	look_apex(&d, KEY_B, KEY_B, MSP_LOOKUP_SECURE);
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_TRUSTED);
	assert_int_equal(desk_update(&d, DEL_KEYS ADD_KEY(KEY_A), KEY_A), MSP_RCODE_REFUSED);
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_TRUSTED);
	desk_end(&d);
}

static void the_sender_of_its_own_replacement_is_told_that_it_is_gone(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	assert_int_equal(desk_update(&d, DEL_KEYS ADD_KEY(KEY_B), KEY_A), MSP_RCODE_NOERROR);
	assert_int_equal(d.o.keystate, MSP_KEYSTATE_UNKNOWN);
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_TRUSTED);
	desk_end(&d);
}

static void prerequisites_see_the_trusted_keys_alone(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	assert_int_equal(desk_update(&d, ADD_KEY(KEY_B), KEY_B), MSP_RCODE_NOERROR);
	assert_int_equal(desk_update(&d, "eq " C " 0 KEY " KEY_A "\n" ADD_KEY(KEY_C), KEY_A), MSP_RCODE_NOERROR);
	assert_int_equal(desk_update(&d, "eq " C " 0 KEY " KEY_A "\n" DEL_KEY(KEY_C), KEY_A), MSP_RCODE_NXRRSET);
	assert_int_equal(desk_state(&d, KEY_C), PRT_KEY_TRUSTED);
	desk_end(&d);
}

static void only_trusted_signatures_count_as_use(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	d.now.s += 50;
	assert_int_equal(desk_update(&d, SET_DS(DS_2), KEY_A), MSP_RCODE_NOERROR);
	assert_int_equal(d.c.keys.key[0].used.s, d.now.s);
	assert_int_equal(desk_update(&d, ADD_KEY(KEY_B), KEY_B), MSP_RCODE_NOERROR);
	assert_int_equal(d.c.keys.key[1].used.s, 0);
	desk_end(&d);
}

/* --- looks ----------------------------------------------------------------------------------------------------------
 */

static void a_child_that_became_secure_is_looked_at_in_the_strong_way(void **state)
{
	struct desk d = fresh(false);
	struct msp_rrset *set = key_set(KEY_B);
	struct prt_boot_plain plain = { .vantage = 0, .keys = set };
	struct prt_boot_seen seen = { .plain = &plain, .plains = 1 };

	(void)state;
	d.r.policy.methods = d.r.boot.methods = 1u << PRT_METHOD_UNSIGNED | 1u << PRT_METHOD_APEX;
	d.r.boot.vantages = d.r.boot.rounds = 1;
	d.r.boot.span_s = 0;
	assert_int_equal(desk_update(&d, ADD_KEY(KEY_B), KEY_B), MSP_RCODE_NOERROR);
	assert_int_equal(d.c.boot[0].method, PRT_METHOD_UNSIGNED);
	prt_delegation_clear(&d.c.registered);
	t_delegation(&d.c.registered, USUAL); /* DS came, while the round of looks was under way */
	look(&d, KEY_B, &seen);
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_KNOWN);
	assert_int_equal(d.c.boot[0].method, PRT_METHOD_APEX);
	assert_true((d.o.need & PRT_NEED_LOOK) != 0);
	msp_rrset_free(&set);
	desk_end(&d);
}

static void silence_is_no_attempt(void **state)
{
	struct desk d = fresh(true);

	(void)state;
	assert_int_equal(desk_update(&d, ADD_KEY(KEY_B), KEY_B), MSP_RCODE_NOERROR);
	for (unsigned i = 0; i < 10; i++)
		look_apex(&d, KEY_B, NULL, MSP_LOOKUP_TIMEOUT);
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_KNOWN);
	assert_int_equal(d.c.keys.key[0].attempts, 0);
	assert_true(d.o.is_changed); /* the next look is set */
	desk_end(&d);
}

static void a_look_for_a_key_that_is_decided_means_nothing(void **state)
{
	struct desk d = fresh(true);

	(void)state;
	look_apex(&d, KEY_B, KEY_B, MSP_LOOKUP_SECURE); /* never uploaded */
	assert_int_equal(d.c.keys.count, 0);
	assert_int_equal(desk_update(&d, ADD_KEY(KEY_B), KEY_B), MSP_RCODE_NOERROR);
	d.c.keys.key[0].state = PRT_KEY_DISTRUSTED;
	look_apex(&d, KEY_B, KEY_B, MSP_LOOKUP_SECURE);
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_DISTRUSTED);
	assert_false(d.o.is_changed);
	desk_end(&d);
}

static void two_keys_that_were_uploaded_at_once_are_judged_each_on_its_own(void **state)
{
	struct desk d = fresh(true);

	(void)state;
	assert_int_equal(desk_update(&d, DEL_KEYS ADD_KEY(KEY_A), KEY_A), MSP_RCODE_NOERROR);
	assert_int_equal(desk_update(&d, DEL_KEYS ADD_KEY(KEY_B), KEY_B), MSP_RCODE_NOERROR);
	look_apex(&d, KEY_A, KEY_B, MSP_LOOKUP_SECURE);
	look_apex(&d, KEY_B, KEY_B, MSP_LOOKUP_SECURE);
	assert_int_equal(desk_state(&d, KEY_A), PRT_KEY_KNOWN);
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_TRUSTED);
	desk_end(&d);
}

static void looks_that_are_due_are_asked_for_and_put_off(void **state)
{
	struct desk d = fresh(true);

	(void)state;
	assert_int_equal(desk_update(&d, ADD_KEY(KEY_B), KEY_B), MSP_RCODE_NOERROR);
	desk_tick(&d, 0);
	assert_true((d.o.need & PRT_NEED_LOOK) != 0);
	desk_tick(&d, 299);
	assert_int_equal(d.o.need & PRT_NEED_LOOK, 0);
	desk_tick(&d, 1);
	assert_true((d.o.need & PRT_NEED_LOOK) != 0); /* nothing was heard of it: lost */
	desk_end(&d);
}

static void keys_that_failed_are_swept_after_a_month(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	desk_trust(&d, KEY_B);
	d.c.keys.key[1].state = PRT_KEY_FAILED;
	desk_tick(&d, 30 * 86400 - 1);
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_FAILED);
	desk_tick(&d, 1);
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_ABSENT);
	assert_non_null(desk_entry(&d, PRT_VERDICT_KEY));
	desk_end(&d);
}

/* --- KeyState -------------------------------------------------------------------------------------------------------
 */

static void every_key_state_is_told(void **state)
{
	static const enum msp_keystate_state want[PRT_KEY__N] = {
		[PRT_KEY_ABSENT] = MSP_KEYSTATE_UNKNOWN,           [PRT_KEY_KNOWN] = MSP_KEYSTATE_BOOTSTRAP_AUTO,
		[PRT_KEY_MANUAL] = MSP_KEYSTATE_BOOTSTRAP_MANUAL,  [PRT_KEY_TRUSTED] = MSP_KEYSTATE_TRUSTED,
		[PRT_KEY_FAILED] = MSP_KEYSTATE_VALIDATION_FAILED, [PRT_KEY_DISTRUSTED] = MSP_KEYSTATE_REFUSED,
	};
	struct desk d = fresh(true);

	(void)state;
	assert_int_equal(prt_desk_keystate(&d.c.keys, desk_key(KEY_B)), want[PRT_KEY_ABSENT]);
	desk_trust(&d, KEY_B);
	for (unsigned s = PRT_KEY_KNOWN; s < PRT_KEY__N; s++) {
		d.c.keys.key[0].state = (enum prt_key_state)s;
		assert_int_equal(prt_desk_keystate(&d.c.keys, desk_key(KEY_B)), want[s]);
	}
	assert_int_equal(prt_desk_keystate(&d.c.keys, msp_span((const uint8_t *)"\1\2", 2)), MSP_KEYSTATE_INVALID);
	desk_end(&d);
}

/* --- operators ------------------------------------------------------------------------------------------------------
 */

static enum msp_err say(struct desk *d, enum prt_key_verb verb, const char *key)
{
	struct prt_asker by = desk_asker(d, PRT_SRC_OPERATOR, "operator anna");
	uint8_t print[PRT_HASH_LEN];
	enum msp_err err;

	T_OK(prt_key_print(desk_key(key), print));
	desk_fresh(d);
	err = prt_desk_key(&d->r, &d->c, verb, print, &by, d->now, &d->o);
	desk_restart(d);
	return err;
}

static void operators_decide_by_the_fingerprint(void **state)
{
	struct desk d = fresh(true);

	(void)state;
	assert_int_equal(desk_update(&d, ADD_KEY(KEY_B), KEY_B), MSP_RCODE_NOERROR);
	T_ERR(say(&d, PRT_KEY_APPROVE, KEY_A), MSP_ENOTFOUND);
	assert_true(d.o.refusal.why.text[0] != '\0');
	T_OK(say(&d, PRT_KEY_APPROVE, KEY_B));
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_TRUSTED);
	assert_string_equal(desk_entry(&d, PRT_VERDICT_KEY)->who, "operator anna");
	T_ERR(say(&d, PRT_KEY_APPROVE, KEY_B), MSP_ESTATE);
	T_OK(say(&d, PRT_KEY_REJECT, KEY_B));
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_DISTRUSTED);
	assert_int_equal(desk_update(&d, ADD_KEY(KEY_B), KEY_B), MSP_RCODE_REFUSED);
	T_OK(say(&d, PRT_KEY_FORGET, KEY_B));
	assert_int_equal(desk_state(&d, KEY_B), PRT_KEY_ABSENT);
	assert_int_equal(desk_update(&d, ADD_KEY(KEY_B), KEY_B), MSP_RCODE_NOERROR);
	desk_end(&d);
}

static void an_approved_key_replaces_what_its_upload_replaces(void **state)
{
	struct desk d = desk_begin();

	(void)state;
	assert_int_equal(desk_update(&d, DEL_KEYS ADD_KEY(KEY_B), KEY_B), MSP_RCODE_NOERROR);
	T_OK(say(&d, PRT_KEY_APPROVE, KEY_B));
	assert_int_equal(desk_state(&d, KEY_A), PRT_KEY_ABSENT);
	assert_non_null(strstr(desk_entry(&d, PRT_VERDICT_KEY)->why, "gone"));
	desk_end(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_upload_to_a_secure_child_is_looked_for_at_the_apex),
		cmocka_unit_test(a_child_without_ds_is_vouched_for_by_its_name_servers),
		cmocka_unit_test(without_an_automatic_method_an_operator_must_say_so),
		cmocka_unit_test(where_a_human_is_wanted_a_validated_key_still_waits),
		cmocka_unit_test(an_upload_takes_nothing_away_until_it_is_trusted),
		cmocka_unit_test(a_second_provider_adds_its_key_beside_the_first),
		cmocka_unit_test(uploads_that_are_refused_or_repeat_themselves_are_not_stored),
		cmocka_unit_test(policy_may_close_keys_and_locks_hold_them),
		cmocka_unit_test(a_trusted_key_brings_in_the_next_and_takes_out_the_last),
		cmocka_unit_test(rollover_may_be_closed_but_an_upload_may_be_sent_again),
		cmocka_unit_test(the_sender_of_its_own_replacement_is_told_that_it_is_gone),
		cmocka_unit_test(prerequisites_see_the_trusted_keys_alone),
		cmocka_unit_test(only_trusted_signatures_count_as_use),
		cmocka_unit_test(a_child_that_became_secure_is_looked_at_in_the_strong_way),
		cmocka_unit_test(silence_is_no_attempt),
		cmocka_unit_test(a_look_for_a_key_that_is_decided_means_nothing),
		cmocka_unit_test(two_keys_that_were_uploaded_at_once_are_judged_each_on_its_own),
		cmocka_unit_test(looks_that_are_due_are_asked_for_and_put_off),
		cmocka_unit_test(keys_that_failed_are_swept_after_a_month),
		cmocka_unit_test(every_key_state_is_told),
		cmocka_unit_test(operators_decide_by_the_fingerprint),
		cmocka_unit_test(an_approved_key_replaces_what_its_upload_replaces),
		cmocka_unit_test(no_key_becomes_trusted_while_the_child_is_locked),
		cmocka_unit_test(whoever_uploads_learns_nothing_by_prerequisites),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
