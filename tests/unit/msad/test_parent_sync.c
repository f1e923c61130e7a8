/* SPDX-License-Identifier: BSD-2-Clause */
/* The child's side of the parent, from CDS that agree to a delegation that all servers show. PROTOCOL F.3, G.2 .. G.7
 */
#include "parent_world.h"

#define MINUTE (60 * (int64_t)1000)
#define HOUR   (60 * MINUTE)

#define SCRIPT(w, ...)                                                                                                 \
	do {                                                                                                           \
		static const struct pw_reply script_[] = { __VA_ARGS__ };                                              \
		memcpy((w)->script, script_, sizeof(script_));                                                         \
		(w)->script_count = sizeof(script_) / sizeof(script_[0]);                                              \
	} while (0)

static void a_first_time_goes_from_cds_to_ds_by_itself(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	SCRIPT(w, { .state = MSP_KEYSTATE_UNKNOWN }, { .state = -1 }, { .state = MSP_KEYSTATE_BOOTSTRAP_AUTO },
	       { .state = MSP_KEYSTATE_TRUSTED }, { .state = -1 });
	pw_view(w);
	pw_until(w, MSA_PHASE_CONFIRM, HOUR);
	pw_until(w, MSA_PHASE_IDLE, HOUR);
	assert_true(pw_parent(w)->is_done);
	assert_int_equal(w->seen[PW_INQUIRY], 3);
	assert_int_equal(w->seen[PW_UPLOAD], 1);
	assert_int_equal(w->seen[PW_UPDATE], 1);
	assert_int_equal(w->order[0], PW_INQUIRY);
	assert_int_equal(w->order[1], PW_UPLOAD);
	assert_int_equal(w->order[4], PW_UPDATE);
	assert_false(w->saw_del_any_key); /* the other providers' keys stay */
	assert_int_equal(w->made_count, 1);
	/* And then nothing for a day; a look then finds nothing to do, and asks whether the key is still trusted. */
	pw_run(w, 23 * HOUR);
	assert_int_equal(w->order_count, 5);
	pw_run(w, 2 * HOUR);
	assert_int_equal(w->order_count, 6);
	assert_int_equal(w->order[5], PW_INQUIRY);
	pw_free(&w);
}

/** The key was handed in before, and is trusted: a run is one question and one UPDATE. */
static void trusted(struct pw *w)
{
	w->otherwise = (struct pw_reply){ .state = MSP_KEYSTATE_TRUSTED };
}

static size_t sent(const struct pw *w)
{
	return w->order_count;
}

static void off_means_nothing_at_all(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	msa_core_free(&w->core);
	w->zconf.parent_sync = MSA_PARENT_OFF;
	pw_start(w);
	pw_view(w);
	pw_run(w, HOUR);
	assert_null(msa_core_find_zone(w->core, &w->zone)->parent);
	assert_int_equal(sent(w), 0);
	pw_free(&w);
}

static void without_agreement_nothing_is_asked(void **state)
{
	struct pw *w = pw_new();
	struct msp_rrset *keep = w->cds;

	(void)state;
	w->cds = NULL; /* no CDS, and NS by the owner: nothing to say */
	msp_rrset_free(&w->hsync);
	w->hsync = t_rrset("child.example. 300 HSYNC ON OWNER YES msa.a.test.");
	pw_view(w);
	pw_run(w, HOUR);
	assert_int_equal(pw_parent(w)->phase, MSA_PHASE_IDLE);
	assert_null(pw_parent(w)->run);
	assert_int_equal(sent(w), 0);
	w->cds = keep;
	pw_free(&w);
}

static void a_delete_sentinel_is_never_acted_on(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	msp_rrset_free(&w->cds);
	w->cds = t_rrset("child.example. 60 CDS 0 0 0 00");
	pw_view(w);
	pw_run(w, HOUR);
	assert_int_equal(sent(w), 0);
	assert_non_null(strstr(pw_parent(w)->why, "removal of the DS"));
	pw_free(&w);
}

static void a_server_of_the_zone_that_lags_holds_everything(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	trusted(w);
	w->served_cds = "child.example. 60 CDS 1 13 2 0000000000000000000000000000000000000000000000000000000000000000";
	pw_view(w);
	pw_until(w, MSA_PHASE_HELD, HOUR);
	assert_non_null(strstr(pw_parent(w)->why, "does not serve the CDS yet"));
	pw_run(w, 5 * MINUTE);
	assert_int_equal(sent(w), 0);
	w->served_cds = NULL;
	pw_until(w, MSA_PHASE_CONFIRM, HOUR);
	assert_int_equal(w->seen[PW_UPDATE], 1);
	pw_free(&w);
}

static void the_zones_servers_are_looked_at_twice_half_a_minute_apart(void **state)
{
	struct pw *w = pw_new();
	int64_t first;

	(void)state;
	trusted(w);
	pw_view(w);
	pw_until(w, MSA_PHASE_PUBLISHED, MINUTE);
	first = w->now_ms;
	pw_until(w, MSA_PHASE_CONFIRM, MINUTE);
	assert_true(w->now_ms - first >= 30000);
	pw_free(&w);
}

static void the_zones_servers_must_answer(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	w->own_server_dead = true;
	pw_view(w);
	pw_until(w, MSA_PHASE_HELD, HOUR);
	assert_non_null(strstr(pw_parent(w)->why, "no address of it answers"));
	w->own_server_dead = false;
	w->own_server_rcode = MSP_RCODE_SERVFAIL;
	pw_run(w, HOUR);
	assert_int_equal(sent(w), 0);
	pw_free(&w);
}

static void a_failed_dsync_look_up_is_no_denial(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	trusted(w);
	w->lookups_failed_left = 2;
	pw_view(w);
	pw_until(w, MSA_PHASE_HELD, HOUR);
	assert_int_equal(sent(w), 0);
	pw_until(w, MSA_PHASE_CONFIRM, HOUR);
	assert_int_equal(w->seen[PW_UPDATE], 1);
	pw_free(&w);
}

static const struct pw_name nothing[] = { { NULL, 0, NULL, MSP_LOOKUP_SECURE, NULL } };
static const struct pw_name insecure[] = {
	{ "child._dsync.example.", MSP_TYPE_DSYNC, PW_DSYNC_BOTH, MSP_LOOKUP_INSECURE, NULL },
	{ NULL, 0, NULL, MSP_LOOKUP_SECURE, NULL },
};
static const struct pw_name bogus[] = {
	{ "child._dsync.example.", MSP_TYPE_DSYNC, NULL, MSP_LOOKUP_BOGUS, NULL },
	{ NULL, 0, NULL, MSP_LOOKUP_SECURE, NULL },
};
static const struct pw_name plain_name[] = {
	{ "_dsync.example.", MSP_TYPE_DSYNC, "_dsync.example. 60 DSYNC ANY 2 5353 recv.example.", MSP_LOOKUP_SECURE,
	  NULL },
	{ NULL, 0, NULL, MSP_LOOKUP_SECURE, NULL },
};
static const struct pw_name only_notify[] = {
	{ "child._dsync.example.", MSP_TYPE_DSYNC,
	  "child._dsync.example. 60 DSYNC CDS NOTIFY 5354 recv.example.\n"
	  "child._dsync.example. 60 DSYNC CSYNC NOTIFY 5355 recv.example.",
	  MSP_LOOKUP_INSECURE, NULL },
	{ NULL, 0, NULL, MSP_LOOKUP_SECURE, NULL },
};

static void a_parent_that_takes_nothing_is_told_by_a_person(void **state)
{
	struct pw *w = pw_new();
	json_t *v, *add;

	(void)state;
	w->names = nothing;
	pw_view(w);
	pw_until(w, MSA_PHASE_BY_HAND, HOUR);
	assert_int_equal(sent(w), 0);
	v = msa_core_parent(w->core, &w->zone, (struct msp_mono){ w->now_ms });
	add = json_object_get(v, "to_add");
	assert_int_equal(json_array_size(add), 1); /* exactly what to hand in */
	assert_non_null(strstr(json_string_value(json_array_get(add, 0)), "child.example. 300 IN DS "));
	json_decref(v);
	pw_free(&w);
}

static void the_third_form_of_the_name_is_found(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	trusted(w);
	w->names = plain_name;
	pw_view(w);
	pw_until(w, MSA_PHASE_CONFIRM, HOUR);
	assert_int_equal(w->seen[PW_UPDATE], 1);
	pw_free(&w);
}

static void an_unsigned_dsync_serves_for_notify_and_not_for_update(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	w->names = insecure;
	pw_view(w);
	pw_until(w, MSA_PHASE_CONFIRM, HOUR);
	assert_int_equal(w->seen[PW_NOTIFY_CDS], 1);
	assert_int_equal(w->seen[PW_UPDATE], 0);
	assert_int_equal(w->made_count, 0);
	pw_free(&w);
	w = pw_new();
	msa_core_free(&w->core);
	w->conf.parent.notify_secure = true;
	pw_start(w);
	w->names = insecure;
	pw_view(w);
	pw_until(w, MSA_PHASE_BY_HAND, HOUR);
	assert_int_equal(sent(w), 0);
	assert_non_null(strstr(pw_parent(w)->why, "dsync-require-secure"));
	pw_free(&w);
}

static void a_bogus_dsync_is_used_for_nothing(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	w->names = bogus;
	pw_view(w);
	pw_until(w, MSA_PHASE_HELD, HOUR);
	pw_run(w, 2 * HOUR);
	assert_int_equal(sent(w), 0);
	pw_free(&w);
}

static void notify_where_only_that_is_offered(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	w->names = only_notify;
	pw_view(w);
	pw_until(w, MSA_PHASE_CONFIRM, HOUR);
	assert_int_equal(w->seen[PW_NOTIFY_CDS], 1);
	assert_int_equal(w->seen[PW_NOTIFY_CSYNC], 0); /* no CSYNC in the zone */
	assert_int_equal(w->order_to[0].port, 5354);
	assert_false(w->order_tcp[0]);
	pw_free(&w);
	w = pw_new();
	w->names = only_notify;
	w->csync = t_rrset("child.example. 60 CSYNC 0 1 NS A AAAA");
	pw_view(w);
	pw_until(w, MSA_PHASE_CONFIRM, HOUR);
	assert_int_equal(w->seen[PW_NOTIFY_CDS], 1);
	assert_int_equal(w->seen[PW_NOTIFY_CSYNC], 1);
	assert_int_equal(w->order_to[1].port, 5355);
	pw_free(&w);
}

static void a_lost_notify_is_sent_five_times_more(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	w->names = only_notify;
	w->otherwise.lost = true;
	pw_view(w);
	pw_until(w, MSA_PHASE_CONFIRM, HOUR);
	assert_int_equal(w->seen[PW_NOTIFY_CDS], 6);
	assert_int_equal(w->order_ms[2] - w->order_ms[1], 60000);
	pw_free(&w);
}

static void a_mode_narrows_the_choice(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	msa_core_free(&w->core);
	w->zconf.parent_sync = MSA_PARENT_NOTIFY;
	pw_start(w);
	w->names = pw_offers_both;
	pw_view(w);
	pw_until(w, MSA_PHASE_CONFIRM, HOUR);
	assert_int_equal(w->seen[PW_NOTIFY_CDS], 1);
	assert_int_equal(w->seen[PW_UPDATE] + w->seen[PW_INQUIRY], 0);
	pw_free(&w);
	w = pw_new();
	msa_core_free(&w->core);
	w->zconf.parent_sync = MSA_PARENT_UPDATE;
	pw_start(w);
	w->names = only_notify;
	pw_view(w);
	pw_until(w, MSA_PHASE_BY_HAND, HOUR);
	assert_int_equal(sent(w), 0);
	pw_free(&w);
}

/** One more KSK, and its CDS. */
static void add_ksk(struct pw *w)
{
	struct msp_key *k = NULL;
	uint8_t ds[MSP_DS_MAX];
	size_t len = sizeof(ds);

	T_OK(msp_key_generate(&w->zone, MSP_ALG_ED25519, 257, &k));
	T_OK(msp_rrset_add(w->own, msp_key_rdata(k)));
	T_OK(msp_ds_from_dnskey(&w->zone, msp_key_rdata(k), MSP_DIGEST_SHA256, ds, &len));
	T_OK(msp_rrset_add(w->cds, msp_span(ds, len)));
	msp_key_free(&k);
}

/** What the parent's servers show when another provider's sender has brought it about. */
static void show_wanted(struct pw *w)
{
	struct msp_buf text;

	msp_buf_init(&text, 4096);
	msp_buf_printf(&text, "child.example. 60 NS ns.provider.test.");
	for (size_t i = 0; i < w->cds->count; i++) {
		struct msp_rr rr = {
			.owner = w->zone, .type = MSP_TYPE_DS, .cls = MSP_CLASS_IN, .ttl = 60, .rdata = w->cds->rdata[i]
		};

		msp_buf_printf(&text, "\n");
		msp_rr_print(&text, NULL, &rr);
	}
	for (size_t i = 0; i < PW_SERVERS; i++) {
		snprintf(w->shown_mem[i], sizeof(w->shown_mem[i]), "%s", msp_buf_text(&text));
		w->shown[i] = w->shown_mem[i];
	}
	msp_buf_fini(&text);
}

/* ---- nothing to tell, but a key to be ready with */

/** Another provider's sender was first: the delegation is as wanted from the start. */
static struct pw *second_provider(void)
{
	struct pw *w = pw_new();

	show_wanted(w);
	return w;
}

static void who_finds_it_done_sends_no_update_but_has_its_key_trusted(void **state)
{
	struct pw *w = second_provider();

	(void)state;
	SCRIPT(w, { .state = MSP_KEYSTATE_UNKNOWN }, { .state = -1 }, { .state = MSP_KEYSTATE_BOOTSTRAP_AUTO },
	       { .state = MSP_KEYSTATE_TRUSTED });
	pw_view(w);
	pw_until(w, MSA_PHASE_TRUST, HOUR);
	assert_true(pw_parent(w)->is_done); /* whatever becomes of the key */
	pw_until(w, MSA_PHASE_IDLE, HOUR);
	assert_int_equal(w->seen[PW_UPDATE], 0);
	assert_int_equal(sent(w), 4);
	assert_int_equal(w->order[1], PW_UPLOAD);
	assert_false(w->saw_del_any_key); /* the first provider's key stays */
	assert_int_equal(pw_parent(w)->key_state, MSP_KEYSTATE_TRUSTED);
	assert_string_equal(pw_parent(w)->key_why, "");
	/* Once a day it asks whether that is still so. */
	pw_run(w, 10 * 24 * HOUR);
	assert_int_equal(w->seen[PW_INQUIRY], 3 + 10);
	assert_int_equal(w->seen[PW_UPLOAD], 1);
	assert_int_equal(w->made_count, 1);
	pw_free(&w);
}

static void the_second_provider_acts_with_its_own_key_when_the_first_is_gone(void **state)
{
	struct pw *w = second_provider();

	(void)state;
	trusted(w);
	pw_view(w);
	pw_run(w, HOUR);
	assert_int_equal(sent(w), 1);
	for (size_t i = 0; i < PW_SERVERS; i++)
		w->shown[i] = "child.example. 60 NS ns.provider.test.";
	pw_command(w, MSA_EV_PARENT_SYNC);
	pw_until(w, MSA_PHASE_CONFIRM, HOUR);
	pw_until(w, MSA_PHASE_IDLE, HOUR);
	assert_int_equal(w->seen[PW_UPDATE], 1);
	assert_int_equal(w->seen[PW_UPLOAD], 0);
	assert_int_equal(w->made_count, 1);
	pw_free(&w);
}

static void a_parent_that_forgot_the_key_gets_it_again_within_a_day(void **state)
{
	struct pw *w = second_provider();

	(void)state;
	trusted(w);
	pw_view(w);
	pw_run(w, HOUR);
	assert_int_equal(sent(w), 1);
	SCRIPT(w, { .state = MSP_KEYSTATE_UNKNOWN }, { .state = -1 });
	pw_run(w, 26 * HOUR);
	assert_int_equal(w->order[1], PW_INQUIRY);
	assert_int_equal(w->order[2], PW_UPLOAD);
	assert_int_equal(pw_parent(w)->phase, MSA_PHASE_IDLE);
	assert_int_equal(w->seen[PW_UPDATE], 0);
	pw_free(&w);
}

static void a_restart_asks_once_and_hands_nothing_in_again(void **state)
{
	struct pw *w = second_provider();

	(void)state;
	SCRIPT(w, { .state = MSP_KEYSTATE_UNKNOWN }, { .state = -1 });
	pw_view(w);
	pw_until(w, MSA_PHASE_TRUST, HOUR);
	pw_restart(w);
	pw_run(w, 12 * HOUR);
	assert_int_equal(w->seen[PW_UPLOAD], 1);
	assert_int_equal(w->seen[PW_INQUIRY], 2);
	assert_int_equal(w->made_count, 1);
	assert_int_equal(w->loads, 1);
	pw_free(&w);
}

/** Where no key is of use none is made, nothing is sent, and nothing waits for a person. */
static void a_key_is_made_only_where_it_is_of_use(void **state)
{
	static const struct pw_name at_ns[] = {
		{ "child._dsync.example.", MSP_TYPE_DSYNC, "child._dsync.example. 60 DSYNC ANY 2 5353 recv.example.",
		  MSP_LOOKUP_SECURE, NULL },
		{ "recv.example.", MSP_TYPE_SVCB, "recv.example. 60 SVCB 1 . key65282=\"at-ns\"", MSP_LOOKUP_SECURE,
		  NULL },
		{ NULL, 0, NULL, MSP_LOOKUP_SECURE, NULL },
	};
	static const struct {
		const struct pw_name *names;
		enum msa_parent_mode mode;
		const char *why;
	} row[] = {
		{ nothing, MSA_PARENT_AUTO, "" },
		{ only_notify, MSA_PARENT_AUTO, "" },
		{ insecure, MSA_PARENT_AUTO, "" },
		{ pw_offers_both, MSA_PARENT_NOTIFY, "" },
		{ at_ns, MSA_PARENT_AUTO, "none of the parent's ways" }, /* which is for insecure children */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct pw *w = pw_new();

		msa_core_free(&w->core);
		w->zconf.parent_sync = row[i].mode;
		pw_start(w);
		show_wanted(w);
		w->names = row[i].names;
		pw_view(w);
		pw_run(w, 3 * 24 * HOUR);
		assert_int_equal(pw_parent(w)->phase, MSA_PHASE_IDLE);
		assert_true(pw_parent(w)->is_done);
		assert_non_null(strstr(pw_parent(w)->key_why, row[i].why));
		assert_int_equal(sent(w), 0);
		assert_int_equal(w->made_count, 0);
		pw_free(&w);
	}
}

/** Who does not sign has no say in DS, and cannot tell that there are none: a signed zone may be secure. */
static void who_does_not_sign_a_signed_zone_has_its_key_trusted_too(void **state)
{
	static const struct pw_name at_apex[] = {
		{ "child._dsync.example.", MSP_TYPE_DSYNC, "child._dsync.example. 60 DSYNC ANY 2 5353 recv.example.",
		  MSP_LOOKUP_SECURE, NULL },
		{ "recv.example.", MSP_TYPE_SVCB, "recv.example. 60 SVCB 1 . key65282=\"at-apex\"", MSP_LOOKUP_SECURE,
		  NULL },
		{ NULL, 0, NULL, MSP_LOOKUP_SECURE, NULL },
	};
	struct msp_hsync h;
	uint8_t mem[600];
	struct msp_wr wr;
	struct pw *w = pw_new();

	(void)state;
	msp_rrset_free(&w->hsync);
	T_OK(msp_rrset_new(&w->zone, MSP_TYPE_HSYNC_DEFAULT, 300, &w->hsync));
	T_OK(msp_hsync_scan(msp_span_str("ON AGENT NO msa.a.test."), NULL, &h, NULL));
	msp_wr_init(&wr, mem, sizeof(mem));
	msp_hsync_write(&wr, &h);
	T_OK(msp_rrset_add(w->hsync, msp_wr_span(&wr)));
	trusted(w);
	w->names = at_apex;
	pw_view(w);
	pw_run(w, HOUR);
	assert_true(pw_parent(w)->is_done);
	assert_string_equal(pw_parent(w)->key_why, "");
	assert_int_equal(w->seen[PW_INQUIRY], 1);
	assert_int_equal(pw_parent(w)->key_state, MSP_KEYSTATE_TRUSTED);
	pw_free(&w);
}

/** A parent that does not want the key: said once, asked once a day; and what must be told is told all the same. */
static void a_key_that_is_not_wanted_stops_nothing(void **state)
{
	static const struct pw_reply row[] = {
		{ .state = MSP_KEYSTATE_INVALID },
		{ .state = MSP_KEYSTATE_REFUSED },
		{ .state = MSP_KEYSTATE_VALIDATION_FAILED },
		{ .rcode = MSP_RCODE_FORMERR, .state = -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct pw *w = second_provider();
		json_t *v;

		w->otherwise = row[i];
		pw_view(w);
		pw_run(w, 10 * 24 * HOUR);
		assert_true(w->seen[PW_INQUIRY] >= 10 && w->seen[PW_INQUIRY] <= 11);
		assert_true(w->seen[PW_UPLOAD] <= 1);
		assert_int_equal(w->seen[PW_UPDATE], 0);
		assert_int_equal(pw_parent(w)->phase, MSA_PHASE_IDLE);
		assert_true(pw_parent(w)->is_done && !pw_parent(w)->is_stopped);
		v = msa_core_parent(w->core, &w->zone, (struct msp_mono){ w->now_ms });
		assert_string_not_equal(json_string_value(json_object_get(v, "key_trouble")), "");
		json_decref(v);
		/* A person at the parent thinks again. */
		trusted(w);
		pw_run(w, 25 * HOUR);
		assert_string_equal(pw_parent(w)->key_why, "");
		pw_free(&w);
		/* Or the parent takes no UPDATE any more: there is no trouble with a key that is of no use. */
		w = second_provider();
		w->otherwise = row[i];
		pw_view(w);
		pw_run(w, HOUR);
		assert_string_not_equal(pw_parent(w)->key_why, "");
		w->names = nothing;
		pw_run(w, 26 * HOUR);
		assert_string_equal(pw_parent(w)->key_why, "");
		pw_free(&w);
	}
}

/** Whatever does not come about is tried less and less: a dozen times in the first day, then once in a day. */
static void what_keeps_the_key_from_being_trusted_is_asked_about_ever_more_rarely(void **state)
{
	static const struct {
		struct pw_reply otherwise;
		bool combiner_refuses;
		size_t each; /* messages for one try */
	} row[] = {
		{ { .lost = true }, false, 6 },
		{ { .rcode = MSP_RCODE_SERVFAIL, .state = -1 }, false, 1 },
		{ { .rcode = MSP_RCODE_REFUSED, .ede = MSP_EDE_DELEGATION_CHECK, .state = -1 }, false, 1 },
		{ { .state = MSP_KEYSTATE_BOOTSTRAP_AUTO }, false, 1 },
		{ { .state = MSP_KEYSTATE_BOOTSTRAP_MANUAL }, false, 1 },
		{ { .state = MSP_KEYSTATE_UNKNOWN }, false, 2 }, /* takes it, and forgets it */
		{ { .state = MSP_KEYSTATE_UNKNOWN }, true, 1 },  /* never published */
		/* what it says to the upload, and knows nothing of it afterwards */
		{ { .rcode = MSP_RCODE_REFUSED, .ede = MSP_EDE_KEY_NOT_TRUSTED, .state = MSP_KEYSTATE_UNKNOWN },
		  false,
		  2 },
		{ { .rcode = MSP_RCODE_REFUSED, .ede = MSP_EDE_MANUAL_BOOTSTRAP, .state = MSP_KEYSTATE_UNKNOWN },
		  false,
		  2 },
		{ { .rcode = MSP_RCODE_REFUSED, .ede = MSP_EDE_DELEGATION_CHECK, .state = MSP_KEYSTATE_UNKNOWN },
		  false,
		  2 },
		{ { .rcode = MSP_RCODE_SERVFAIL, .state = MSP_KEYSTATE_UNKNOWN }, false, 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct pw *w = second_provider();
		size_t first;

		w->otherwise = row[i].otherwise;
		w->combiner_refuses = row[i].combiner_refuses;
		pw_view(w);
		pw_run(w, 2 * 24 * HOUR);
		first = sent(w);
		assert_true(first >= 2 * row[i].each && first <= 15 * row[i].each);
		w->order_count = 0;
		pw_run(w, 10 * 24 * HOUR);
		assert_true(sent(w) <= 13 * row[i].each);
		assert_int_equal(w->seen[PW_UPDATE], 0);
		assert_true(pw_parent(w)->is_done && !pw_parent(w)->is_stopped);
		/* What has become urgent does not wait for that. */
		trusted(w);
		w->combiner_refuses = false;
		add_ksk(w);
		pw_view(w);
		pw_until(w, MSA_PHASE_CONFIRM, HOUR);
		assert_int_equal(w->seen[PW_UPDATE], 1);
		pw_free(&w);
	}
}

/* ---- answers */

static void lost_messages_are_sent_again_with_doubled_patience_and_fresh_signatures(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	trusted(w);
	SCRIPT(w, { .lost = true }, { .lost = true }, { .lost = true });
	pw_view(w);
	pw_until(w, MSA_PHASE_CONFIRM, HOUR);
	assert_int_equal(w->seen[PW_INQUIRY], 4);
	assert_int_equal(w->order_ms[1] - w->order_ms[0], 5000);
	assert_int_equal(w->order_ms[2] - w->order_ms[1], 10000);
	assert_int_equal(w->order_ms[3] - w->order_ms[2], 20000);
	assert_true(w->order_tcp[0]);
	assert_int_equal(w->order_to[0].port, 5353);
	pw_free(&w);
}

static void after_six_tries_it_begins_again_later(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	w->otherwise.lost = true;
	pw_view(w);
	pw_until(w, MSA_PHASE_HELD, HOUR);
	assert_int_equal(w->seen[PW_INQUIRY], 6);
	pw_free(&w);
}

/** An attacker answers first: whatever it says, in whatever way, it counts as no answer. */
static void forged_replayed_and_unsigned_answers_change_nothing(void **state)
{
	static const enum pw_sign how[] = { PW_NONE, PW_STRANGER, PW_OTHER_REQUEST, PW_DAMAGED };
	static const struct {
		unsigned rcode, ede;
		int state;
	} lie[] = { { MSP_RCODE_BADKEY, 0, -1 },
		    { MSP_RCODE_REFUSED, MSP_EDE_KEY_VALIDATION_FAILED, -1 },
		    { MSP_RCODE_NOERROR, 0, MSP_KEYSTATE_UNKNOWN },
		    { MSP_RCODE_NOERROR, 0, MSP_KEYSTATE_REFUSED },
		    { MSP_RCODE_FORMERR, 0, -1 } };

	(void)state;
	for (size_t h = 0; h < sizeof(how) / sizeof(how[0]); h++) {
		for (size_t l = 0; l < sizeof(lie) / sizeof(lie[0]); l++) {
			struct pw *w = pw_new();

			trusted(w);
			/* Said to the question, and to the UPDATE. */
			w->script[0] = (struct pw_reply){ .rcode = lie[l].rcode,
							  .ede = lie[l].ede,
							  .state = lie[l].state,
							  .sign = how[h],
							  .ignores = true };
			w->script[1] = (struct pw_reply){ .state = MSP_KEYSTATE_TRUSTED };
			w->script[2] = w->script[0];
			w->script_count = 3;
			pw_view(w);
			pw_until(w, MSA_PHASE_CONFIRM, HOUR);
			assert_int_equal(w->seen[PW_INQUIRY], 2);
			assert_int_equal(w->seen[PW_UPDATE], 2);
			assert_int_equal(w->seen[PW_UPLOAD], 0);
			assert_false(pw_parent(w)->is_stopped);
			pw_free(&w);
		}
	}
}

static void a_keystate_about_another_key_is_not_ours(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	SCRIPT(w, { .state = MSP_KEYSTATE_TRUSTED, .other_tag = true });
	pw_view(w);
	pw_run(w, 5 * MINUTE);
	assert_int_equal(w->order[1], PW_UPLOAD); /* no KeyState for us, never handed in */
	pw_free(&w);
}

static void badkey_leads_to_exactly_one_new_upload_then_keystate_decides(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	SCRIPT(w, { .state = MSP_KEYSTATE_TRUSTED }, { .rcode = MSP_RCODE_BADKEY, .state = -1 }, { .state = -1 },
	       { .state = MSP_KEYSTATE_TRUSTED }, { .rcode = MSP_RCODE_BADKEY, .state = -1 },
	       { .state = MSP_KEYSTATE_UNKNOWN }, { .state = MSP_KEYSTATE_UNKNOWN });
	pw_view(w);
	pw_run(w, 10 * MINUTE);
	assert_int_equal(w->order[0], PW_INQUIRY);
	assert_int_equal(w->order[1], PW_UPDATE);
	assert_int_equal(w->order[2], PW_UPLOAD);
	assert_int_equal(w->order[3], PW_INQUIRY);
	assert_int_equal(w->order[4], PW_UPDATE);
	assert_int_equal(w->order[5], PW_INQUIRY);
	assert_int_equal(w->seen[PW_UPLOAD], 1);
	pw_free(&w);
}

static void not_trusted_yet_means_waiting_with_growing_pauses(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	w->otherwise = (struct pw_reply){ .state = MSP_KEYSTATE_BOOTSTRAP_AUTO };
	SCRIPT(w, { .state = MSP_KEYSTATE_TRUSTED },
	       { .rcode = MSP_RCODE_REFUSED, .ede = MSP_EDE_KEY_NOT_TRUSTED, .state = -1 });
	pw_view(w);
	pw_until(w, MSA_PHASE_TRUST, HOUR);
	pw_run(w, 24 * HOUR);
	assert_int_equal(w->seen[PW_UPDATE], 1);
	assert_int_equal(w->seen[PW_UPLOAD], 0);
	assert_true(w->seen[PW_INQUIRY] >= 24 && w->seen[PW_INQUIRY] < 45); /* once an hour in the end */
	assert_true(w->order_ms[2] - w->order_ms[1] >= 48000);
	pw_free(&w);
}

static void refused_is_tried_five_times_in_a_day_and_no_more(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	msa_core_free(&w->core);
	w->zconf.parent_sync = MSA_PARENT_UPDATE;
	pw_start(w);
	w->otherwise = (struct pw_reply){ .rcode = MSP_RCODE_REFUSED, .ede = MSP_EDE_DELEGATION_CHECK, .state = -1 };
	for (size_t i = 0; i < 12; i++)
		w->script[w->script_count++] =
			i % 2 == 0 ? (struct pw_reply){ .state = MSP_KEYSTATE_TRUSTED } : w->otherwise;
	pw_view(w);
	pw_until(w, MSA_PHASE_STOPPED, 24 * HOUR);
	assert_int_equal(w->seen[PW_UPDATE], 5);
	assert_non_null(strstr(pw_parent(w)->answer, "DELEGATION_CHECK: words of the parent"));
	pw_run(w, 48 * HOUR);
	assert_int_equal(w->seen[PW_UPDATE], 5);
	/* Not after a restart either. */
	pw_restart(w);
	pw_run(w, 5 * HOUR);
	assert_int_equal(w->seen[PW_UPDATE], 5);
	assert_int_equal(pw_parent(w)->phase, MSA_PHASE_STOPPED);
	/* A person says so. */
	trusted(w);
	w->script_count = w->script_at = 0;
	pw_command(w, MSA_EV_PARENT_SYNC);
	pw_until(w, MSA_PHASE_CONFIRM, HOUR);
	assert_int_equal(w->seen[PW_UPDATE], 6);
	pw_free(&w);
}

/** Answers after which a person must act: nothing more is sent. */
static void alarms_stop_the_sender(void **state)
{
	static const struct pw_reply row[] = {
		{ .state = MSP_KEYSTATE_INVALID },
		{ .state = MSP_KEYSTATE_REFUSED },
		{ .rcode = MSP_RCODE_NOTAUTH, .ede = MSP_EDE_SIG0_BAD_SIGNATURE, .state = -1 },
		{ .rcode = MSP_RCODE_REFUSED, .ede = MSP_EDE_KEY_VALIDATION_FAILED, .state = -1 },
		{ .rcode = MSP_RCODE_FORMERR, .state = -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct pw *w = pw_new();

		w->script[0] = row[i];
		w->script_count = 1;
		pw_view(w);
		pw_until(w, MSA_PHASE_STOPPED, HOUR);
		pw_run(w, 24 * HOUR);
		assert_int_equal(sent(w), 1);
		assert_true(pw_parent(w)->is_stopped);
		pw_free(&w);
	}
}

static void failed_validation_is_tried_again_when_a_person_asks(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	SCRIPT(w, { .state = MSP_KEYSTATE_UNKNOWN }, { .state = -1 }, { .state = MSP_KEYSTATE_VALIDATION_FAILED },
	       { .state = MSP_KEYSTATE_VALIDATION_FAILED }, { .state = -1 }, { .state = MSP_KEYSTATE_TRUSTED });
	pw_view(w);
	pw_until(w, MSA_PHASE_STOPPED, HOUR);
	pw_run(w, HOUR);
	assert_int_equal(w->seen[PW_UPLOAD], 1);
	pw_command(w, MSA_EV_PARENT_SYNC);
	pw_until(w, MSA_PHASE_CONFIRM, HOUR);
	assert_int_equal(w->seen[PW_UPLOAD], 2);
	pw_free(&w);
}

static void a_person_at_the_parent_is_waited_for_an_hour_at_a_time(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	SCRIPT(w, { .state = MSP_KEYSTATE_UNKNOWN }, { .state = -1 }, { .state = MSP_KEYSTATE_BOOTSTRAP_MANUAL },
	       { .state = MSP_KEYSTATE_BOOTSTRAP_MANUAL }, { .state = MSP_KEYSTATE_TRUSTED });
	pw_view(w);
	pw_until(w, MSA_PHASE_CONFIRM, 5 * HOUR);
	assert_int_equal(w->seen[PW_INQUIRY], 4);
	assert_true(w->order_ms[4] - w->order_ms[3] > 40 * MINUTE);
	pw_free(&w);
}

static void wrong_time_and_temporary_failures_are_tried_again(void **state)
{
	static const struct pw_reply row[] = {
		{ .rcode = MSP_RCODE_NOTAUTH, .ede = MSP_EDE_SIG0_BAD_TIME, .state = -1 },
		{ .rcode = MSP_RCODE_BADTIME, .state = -1 },
		{ .rcode = MSP_RCODE_SERVFAIL, .state = -1 },
		{ .state = MSP_KEYSTATE_TEMPORARY_FAILURE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct pw *w = pw_new();

		trusted(w);
		w->script[0] = row[i];
		w->script_count = 1;
		pw_view(w);
		pw_until(w, MSA_PHASE_HELD, HOUR);
		assert_true(i > 1 || strstr(pw_parent(w)->why, "clock") != NULL);
		pw_until(w, MSA_PHASE_CONFIRM, HOUR);
		assert_int_equal(w->seen[PW_UPLOAD], 0);
		pw_free(&w);
	}
}

static void a_replay_complaint_is_answered_with_a_fresh_signature_at_once(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	trusted(w);
	SCRIPT(w, { .state = MSP_KEYSTATE_TRUSTED },
	       { .rcode = MSP_RCODE_NOTAUTH, .ede = MSP_EDE_SIG0_REPLAY, .state = -1 });
	pw_view(w);
	pw_until(w, MSA_PHASE_CONFIRM, HOUR);
	assert_int_equal(w->seen[PW_UPDATE], 2);
	assert_int_equal(w->order_ms[2], w->order_ms[1]);
	pw_free(&w);
}

static void a_receiver_that_takes_only_one_key_is_reported_and_nobody_evicted(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	SCRIPT(w, { .state = MSP_KEYSTATE_UNKNOWN }, { .rcode = MSP_RCODE_FORMERR, .state = -1 });
	pw_view(w);
	pw_until(w, MSA_PHASE_STOPPED, HOUR);
	pw_run(w, 24 * HOUR);
	assert_false(w->saw_del_any_key);
	assert_non_null(strstr(pw_parent(w)->why, "does not take one more key"));
	pw_free(&w);
}

static void while_the_key_is_not_trusted_a_notify_goes_out_where_that_is_offered(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	w->names = pw_offers_both;
	SCRIPT(w, { .state = MSP_KEYSTATE_UNKNOWN }, { .state = -1 }, { .state = -1 },
	       { .state = MSP_KEYSTATE_TRUSTED });
	pw_view(w);
	pw_until(w, MSA_PHASE_CONFIRM, HOUR);
	assert_int_equal(w->order[1], PW_UPLOAD);
	assert_int_equal(w->order[2], PW_NOTIFY_CDS);
	assert_int_equal(w->seen[PW_NOTIFY_CDS], 1);
	assert_int_equal(w->order[3], PW_INQUIRY);
	assert_int_equal(w->order[4], PW_UPDATE);
	pw_free(&w);
}

/* ---- the receiver's key */

static const struct pw_name key_insecure[] = {
	{ "child._dsync.example.", MSP_TYPE_DSYNC, "child._dsync.example. 60 DSYNC ANY 2 5353 recv.example.",
	  MSP_LOOKUP_SECURE, NULL },
	{ "recv.example.", MSP_TYPE_KEY,
	  "recv.example. 60 KEY 0 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=", MSP_LOOKUP_INSECURE, NULL },
	{ NULL, 0, NULL, MSP_LOOKUP_SECURE, NULL },
};
static const struct pw_name key_bogus[] = {
	{ "child._dsync.example.", MSP_TYPE_DSYNC, "child._dsync.example. 60 DSYNC ANY 2 5353 recv.example.",
	  MSP_LOOKUP_SECURE, NULL },
	{ "recv.example.", MSP_TYPE_KEY, NULL, MSP_LOOKUP_BOGUS, NULL },
	{ NULL, 0, NULL, MSP_LOOKUP_SECURE, NULL },
};

static void a_bogus_key_of_the_receiver_is_not_the_same_as_none(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	w->names = key_bogus;
	pw_view(w);
	pw_until(w, MSA_PHASE_HELD, HOUR);
	pw_run(w, 2 * HOUR);
	assert_int_equal(sent(w), 0);
	pw_free(&w);
}

static void without_the_receivers_key_updates_go_out_and_negative_answers_are_only_advice(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	w->names = key_insecure;
	SCRIPT(w, { .state = -1, .sign = PW_NONE }, { .rcode = MSP_RCODE_BADKEY, .state = -1, .sign = PW_NONE },
	       { .rcode = MSP_RCODE_REFUSED, .ede = MSP_EDE_KEY_VALIDATION_FAILED, .state = -1, .sign = PW_NONE },
	       { .state = -1, .sign = PW_NONE });
	pw_view(w);
	pw_until(w, MSA_PHASE_CONFIRM, HOUR);
	assert_int_equal(w->seen[PW_INQUIRY], 0); /* no answer to it could be believed */
	assert_int_equal(w->seen[PW_UPLOAD], 1);  /* BADKEY was not acted on */
	assert_int_equal(w->seen[PW_UPDATE], 3);
	assert_false(pw_parent(w)->is_stopped);
	pw_free(&w);
}

static void a_fingerprint_makes_an_unsigned_key_the_receivers(void **state)
{
	struct pw *w = pw_new();
	struct msp_rrset *set = t_rrset(key_insecure[1].records);
	uint8_t print[1][32];

	(void)state;
	T_OK(msp_sha256(&set->rdata[0], 1, print[0]));
	msa_core_free(&w->core);
	w->conf.parent.fingerprint = print;
	w->conf.parent.fingerprint_count = 1;
	pw_start(w);
	w->names = key_insecure;
	pw_view(w);
	pw_until(w, MSA_PHASE_HELD, HOUR);    /* the answers of this test are signed with another key */
	assert_true(w->seen[PW_INQUIRY] > 0); /* which is sent only where the answer can be believed */
	assert_int_equal(w->seen[PW_UPLOAD], 0);
	assert_int_equal(w->seen[PW_UPDATE], 0);
	msp_rrset_free(&set);
	pw_free(&w);
}

/* ---- our key */

static void the_key_is_published_before_it_is_handed_in(void **state)
{
	struct pw *w = pw_new();
	json_t *v;

	(void)state;
	w->combiner_refuses = true;
	w->otherwise = (struct pw_reply){ .state = MSP_KEYSTATE_UNKNOWN };
	pw_view(w);
	pw_until(w, MSA_PHASE_KEY_PUBLISHED, HOUR);
	pw_run(w, 10 * MINUTE);
	assert_int_equal(w->seen[PW_UPLOAD], 0);
	assert_non_null(strstr(pw_parent(w)->why, "extra-types"));
	v = msa_core_parent(w->core, &w->zone, (struct msp_mono){ w->now_ms });
	assert_non_null(strstr(json_string_value(json_object_get(v, "key_missing")), "extra-types"));
	assert_non_null(
		strstr(json_string_value(json_object_get(json_array_get(json_object_get(v, "keys"), 0), "record")),
		       "child.example. 300 IN KEY 0 3 15 "));
	json_decref(v);
	w->combiner_refuses = false;
	pw_until(w, MSA_PHASE_TRUST, HOUR);
	assert_int_equal(w->seen[PW_UPLOAD], 1);
	pw_free(&w);
}

static void where_only_a_person_decides_publication_is_not_waited_for(void **state)
{
	static const struct pw_name manual[] = {
		{ "child._dsync.example.", MSP_TYPE_DSYNC, "child._dsync.example. 60 DSYNC ANY 2 5353 recv.example.",
		  MSP_LOOKUP_SECURE, NULL },
		{ "recv.example.", MSP_TYPE_SVCB, "recv.example. 60 SVCB 1 . key65282=\"manual\"", MSP_LOOKUP_SECURE,
		  NULL },
		{ NULL, 0, NULL, MSP_LOOKUP_SECURE, NULL },
	};
	struct pw *w = pw_new();

	(void)state;
	w->names = manual;
	w->key_served = false;
	w->combiner_refuses = true;
	SCRIPT(w, { .state = MSP_KEYSTATE_UNKNOWN }, { .state = -1 });
	pw_view(w);
	pw_until(w, MSA_PHASE_TRUST, HOUR);
	assert_int_equal(w->seen[PW_UPLOAD], 1);
	pw_free(&w);
}

static void a_restart_goes_on_with_the_same_key_and_does_not_send_again(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	SCRIPT(w, { .state = MSP_KEYSTATE_TRUSTED }, { .state = -1, .ignores = true });
	pw_view(w);
	pw_until(w, MSA_PHASE_CONFIRM, HOUR);
	pw_run(w, 10 * MINUTE);
	assert_int_equal(w->seen[PW_UPDATE], 1);
	pw_restart(w);
	pw_run(w, 20 * MINUTE);
	assert_int_equal(pw_parent(w)->phase, MSA_PHASE_CONFIRM); /* accepted, not shown yet: it waits */
	assert_int_equal(w->seen[PW_UPDATE], 1);
	pw_run(w, 40 * MINUTE); /* after an hour it is told again */
	assert_int_equal(w->seen[PW_UPDATE], 2);
	assert_int_equal(w->made_count, 1);
	assert_int_equal(w->loads, 1);
	pw_until(w, MSA_PHASE_IDLE, HOUR);
	assert_true(pw_parent(w)->is_done);
	pw_free(&w);
}

static void it_is_told_again_after_an_hour_four_hours_and_a_day(void **state)
{
	struct pw *w = pw_new();
	size_t n = 0;
	int64_t at[8];

	(void)state;
	w->otherwise = (struct pw_reply){ .state = MSP_KEYSTATE_TRUSTED, .ignores = true };
	pw_view(w);
	pw_run(w, 60 * HOUR);
	for (size_t i = 0; i < w->order_count && n < 8; i++)
		if (w->order[i] == PW_UPDATE)
			at[n++] = w->order_ms[i];
	assert_int_equal(n, 5); /* now, +1 h, +4 h, +24 h, +24 h */
	assert_true(at[1] - at[0] >= HOUR && at[1] - at[0] < HOUR + 25 * MINUTE);
	assert_true(at[2] - at[1] >= 4 * HOUR && at[2] - at[1] < 4 * HOUR + 25 * MINUTE);
	assert_true(at[3] - at[2] >= 24 * HOUR && at[3] - at[2] < 24 * HOUR + 25 * MINUTE);
	pw_free(&w);
}

static void a_lost_key_file_leads_to_a_new_key_that_is_bootstrapped(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	SCRIPT(w, { .state = MSP_KEYSTATE_TRUSTED }, { .state = -1, .ignores = true },
	       { .state = MSP_KEYSTATE_UNKNOWN }, { .state = -1 }, { .state = MSP_KEYSTATE_TRUSTED });
	pw_view(w);
	pw_until(w, MSA_PHASE_CONFIRM, HOUR);
	pw_restart(w);
	msp_key_free(&w->made[0]); /* the file is gone */
	pw_run(w, 3 * HOUR);
	assert_int_equal(w->made_count, 2);
	assert_true(pw_parent(w)->is_done);
	pw_free(&w);
}

static void a_rollover_goes_add_prove_delete_and_never_without_a_trusted_key(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	SCRIPT(w, { .state = MSP_KEYSTATE_TRUSTED }, { .state = -1 });
	pw_view(w);
	pw_until(w, MSA_PHASE_CONFIRM, HOUR);
	pw_until(w, MSA_PHASE_IDLE, HOUR);
	w->order_count = w->script_at = w->script_count = 0;
	w->seen[PW_INQUIRY] = 0;
	SCRIPT(w, { .state = MSP_KEYSTATE_TRUSTED }, { .state = -1 }, { .state = MSP_KEYSTATE_BOOTSTRAP_AUTO },
	       { .state = MSP_KEYSTATE_TRUSTED }, { .state = MSP_KEYSTATE_TRUSTED }, { .state = -1 });
	pw_command(w, MSA_EV_PARENT_ROLL);
	pw_run(w, 2 * HOUR);
	assert_int_equal(w->made_count, 2);
	assert_int_equal(w->seen[PW_ROLL], 2);
	assert_int_equal(w->order[0], PW_INQUIRY);               /* by the old key: trusted */
	assert_int_equal(w->order[1], PW_ROLL);                  /* + new, by the old */
	assert_int_equal(w->order[2], PW_INQUIRY);               /* by the new: not yet */
	assert_int_equal(w->order[w->order_count - 1], PW_ROLL); /* - old, by the new */
	assert_int_equal(pw_parent(w)->roll, MSA_ROLL_NONE);
	assert_int_equal(w->removes, 1);
	assert_int_equal(pw_parent(w)->pub->count, 1);
	assert_int_equal(w->combined_key->count, 1);
	assert_string_equal(pw_parent(w)->key_file, "K1.private");
	assert_int_equal(pw_parent(w)->phase, MSA_PHASE_IDLE);
	pw_free(&w);
}

static void a_rollover_survives_a_restart_at_every_message(void **state)
{
	(void)state;
	for (size_t kill = 1; kill <= 6; kill++) {
		struct pw *w = pw_new();

		pw_view(w);
		pw_until(w, MSA_PHASE_CONFIRM, HOUR);
		pw_until(w, MSA_PHASE_IDLE, HOUR);
		w->order_count = 0;
		pw_command(w, MSA_EV_PARENT_ROLL);
		for (size_t i = 0; i < 100000 && w->order_count < kill && pw_parent(w)->roll != MSA_ROLL_NONE; i++)
			pw_run(w, 1000);
		pw_restart(w);
		pw_run(w, 5 * HOUR);
		assert_int_equal(pw_parent(w)->roll, MSA_ROLL_NONE);
		assert_int_equal(w->made_count, 2);
		assert_int_equal(pw_parent(w)->pub->count, 1);
		assert_int_equal(pw_parent(w)->phase, MSA_PHASE_IDLE);
		pw_free(&w);
	}
}

/* ---- NS */

static void ns_and_glue_go_along_where_agents_manage_them(void **state)
{
	struct pw *w = pw_new();
	size_t adds = 0, dels = 0, glue = 0;
	struct msp_msg_it it;
	struct msp_msg m;
	struct msp_rr rr;

	(void)state;
	msa_core_free(&w->core);
	w->zconf.ns[0] = t_name("ns.child.example.");
	pw_start(w);
	msp_rrset_free(&w->ns);
	w->ns = t_rrset("child.example. 60 NS ns.child.example.");
	w->shown[0] = w->shown[1] = "child.example. 60 NS ns.old.example.\nchild.example. 60 NS ns9.child.example.\n"
				    "ns9.child.example. 60 A 198.51.100.9";
	pw_view(w);
	pw_until(w, MSA_PHASE_CONFIRM, HOUR);
	T_OK(msp_msg_parse(msp_buf_span(&w->last[PW_UPDATE]), &w->scratch, &m, NULL));
	msp_msg_it_init(&it, &m, MSP_SEC_UPDATE, &w->scratch);
	while (msp_msg_next(&it, &rr)) {
		adds += rr.cls == MSP_CLASS_IN && rr.type == MSP_TYPE_NS;
		dels += rr.cls == MSP_CLASS_NONE && rr.type == MSP_TYPE_NS;
		glue += rr.type == MSP_TYPE_A;
	}
	assert_int_equal(adds, 1);
	assert_int_equal(dels, 2);
	assert_int_equal(glue, 2); /* the new one's in, the old one's out */
	pw_until(w, MSA_PHASE_IDLE, HOUR);
	assert_true(pw_parent(w)->is_done);
	pw_free(&w);
}

static void ns_stays_untouched_where_the_owner_manages_it(void **state)
{
	struct pw *w = pw_new();
	struct msp_msg_it it;
	struct msp_msg m;
	struct msp_rr rr;

	(void)state;
	msp_rrset_free(&w->hsync);
	w->hsync = t_rrset("child.example. 300 HSYNC ON OWNER YES msa.a.test.");
	w->shown[0] = w->shown[1] = "child.example. 60 NS ns.old.example.";
	pw_view(w);
	pw_until(w, MSA_PHASE_CONFIRM, HOUR);
	T_OK(msp_msg_parse(msp_buf_span(&w->last[PW_UPDATE]), &w->scratch, &m, NULL));
	msp_msg_it_init(&it, &m, MSP_SEC_UPDATE, &w->scratch);
	while (msp_msg_next(&it, &rr))
		assert_int_equal(rr.type, MSP_TYPE_DS);
	pw_until(w, MSA_PHASE_IDLE, HOUR);
	assert_true(pw_parent(w)->is_done); /* whatever NS the parent shows */
	pw_free(&w);
}

/* ---- afterwards */

static void every_server_of_the_parent_must_show_it(void **state)
{
	struct pw *w = pw_new();
	const char *old = w->shown[0], *new;

	(void)state;
	pw_view(w);
	pw_until(w, MSA_PHASE_CONFIRM, HOUR);
	new = w->shown[1];
	w->shown[1] = old; /* the second server lags */
	pw_run(w, 10 * MINUTE);
	assert_int_equal(pw_parent(w)->phase, MSA_PHASE_CONFIRM);
	assert_non_null(strstr(pw_parent(w)->why, "ns2.example."));
	w->shown[1] = NULL; /* now it is silent */
	pw_run(w, 10 * MINUTE);
	assert_int_equal(pw_parent(w)->phase, MSA_PHASE_CONFIRM);
	w->shown[1] = new;
	pw_until(w, MSA_PHASE_IDLE, HOUR);
	assert_int_equal(w->seen[PW_UPDATE], 1);
	pw_free(&w);
}

static void new_cds_lead_to_a_new_ds_by_themselves(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	pw_view(w);
	pw_until(w, MSA_PHASE_CONFIRM, HOUR);
	pw_until(w, MSA_PHASE_IDLE, HOUR);
	add_ksk(w);
	pw_view(w);
	pw_until(w, MSA_PHASE_CONFIRM, HOUR);
	pw_until(w, MSA_PHASE_IDLE, HOUR);
	assert_int_equal(w->seen[PW_UPDATE], 2);
	assert_int_equal(w->seen[PW_INQUIRY], 2);
	assert_int_equal(w->made_count, 1);
	pw_free(&w);
}

static void a_wish_that_changes_under_an_update_waits_for_its_end(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	SCRIPT(w, { .state = MSP_KEYSTATE_TRUSTED }, { .stalls = true });
	pw_view(w);
	pw_until(w, MSA_PHASE_UPDATE, HOUR);
	add_ksk(w);
	pw_view(w);
	pw_run(w, 4 * MINUTE);
	assert_int_equal(w->seen[PW_UPDATE], 1); /* never two at one time */
	pw_answer(w, w->stalled_id, MSP_ETIMEOUT, msp_span(NULL, 0));
	pw_until(w, MSA_PHASE_CONFIRM, HOUR);
	pw_until(w, MSA_PHASE_IDLE, HOUR);
	assert_int_equal(w->seen[PW_UPDATE], 2); /* not the old one again */
	assert_true(pw_parent(w)->is_done);
	assert_int_equal(msa_core_find_zone(w->core, &w->zone)->cds->count, 2);
	pw_free(&w);
}

static void an_answer_that_the_shell_forgets_is_not_waited_for_for_ever(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	SCRIPT(w, { .state = MSP_KEYSTATE_TRUSTED }, { .stalls = true });
	pw_view(w);
	pw_until(w, MSA_PHASE_CONFIRM, HOUR);
	assert_int_equal(w->seen[PW_UPDATE], 2);
	pw_free(&w);
}

static void whoever_is_second_sends_nothing(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	pw_view(w);
	pw_until(w, MSA_PHASE_PUBLISHED, HOUR); /* it was not there when the look began */
	show_wanted(w);
	pw_until(w, MSA_PHASE_IDLE, HOUR);
	assert_true(pw_parent(w)->is_done);
	assert_int_equal(w->seen[PW_UPDATE], 0);
	pw_free(&w);
}

static void what_others_undo_at_the_parent_is_done_again_within_a_day(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	pw_view(w);
	pw_until(w, MSA_PHASE_CONFIRM, HOUR);
	pw_until(w, MSA_PHASE_IDLE, HOUR);
	for (size_t i = 0; i < PW_SERVERS; i++)
		w->shown[i] = "child.example. 60 NS ns.provider.test.";
	pw_run(w, 25 * HOUR);
	assert_int_equal(w->seen[PW_UPDATE], 2);
	assert_true(pw_parent(w)->is_done);
	pw_free(&w);
}

static void a_delegation_that_comes_right_by_itself_ends_the_alarm(void **state)
{
	struct pw *w = pw_new();

	(void)state;
	w->script[0] = (struct pw_reply){ .state = MSP_KEYSTATE_REFUSED };
	w->script_count = 1;
	pw_view(w);
	pw_until(w, MSA_PHASE_STOPPED, HOUR);
	show_wanted(w);
	pw_run(w, 2 * HOUR);
	assert_int_equal(pw_parent(w)->phase, MSA_PHASE_IDLE);
	assert_true(pw_parent(w)->is_done && !pw_parent(w)->is_stopped);
	assert_int_equal(sent(w), 1);
	pw_free(&w);
}

/** In every step of the story: every allocation fails once. In the end it is done all the same. */
static void with_failing_memory(bool is_second)
{
	bool is_over = false;

	for (size_t step = 1; !is_over; step++) {
		for (size_t nth = 1; nth < 60; nth++) {
			struct pw *w = is_second ? second_provider() : pw_new();
			bool has_failed, is_done = false;

			SCRIPT(w, { .state = MSP_KEYSTATE_UNKNOWN }, { .state = -1 },
			       { .state = MSP_KEYSTATE_TRUSTED });
			w->fail_step = step;
			w->fail_nth = nth;
			pw_view(w);
			for (int h = 0; h < 100 && !is_done; h++) {
				pw_run(w, HOUR / 2);
				is_done = pw_parent(w)->is_done && pw_parent(w)->key_state == MSP_KEYSTATE_TRUSTED;
			}
			if (!is_done)
				fail_msg("step %zu, allocation %zu: %s, %s", step, nth,
					 msa_phase_name(pw_parent(w)->phase), pw_parent(w)->why);
			assert_true(w->seen[PW_UPDATE] == (is_second ? 0 : 1) || w->has_failed);
			has_failed = w->has_failed;
			is_over = w->steps < step;
			pw_free(&w);
			if (!has_failed || is_over)
				break;
		}
	}
}

static void memory_that_fails_anywhere_costs_time_only(void **state)
{
	(void)state;
	with_failing_memory(false);
}

static void nor_does_it_cost_the_second_provider_its_key(void **state)
{
	(void)state;
	with_failing_memory(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_first_time_goes_from_cds_to_ds_by_itself),
		cmocka_unit_test(off_means_nothing_at_all),
		cmocka_unit_test(without_agreement_nothing_is_asked),
		cmocka_unit_test(a_delete_sentinel_is_never_acted_on),
		cmocka_unit_test(a_server_of_the_zone_that_lags_holds_everything),
		cmocka_unit_test(the_zones_servers_are_looked_at_twice_half_a_minute_apart),
		cmocka_unit_test(the_zones_servers_must_answer),
		cmocka_unit_test(a_failed_dsync_look_up_is_no_denial),
		cmocka_unit_test(a_parent_that_takes_nothing_is_told_by_a_person),
		cmocka_unit_test(the_third_form_of_the_name_is_found),
		cmocka_unit_test(an_unsigned_dsync_serves_for_notify_and_not_for_update),
		cmocka_unit_test(a_bogus_dsync_is_used_for_nothing),
		cmocka_unit_test(notify_where_only_that_is_offered),
		cmocka_unit_test(a_lost_notify_is_sent_five_times_more),
		cmocka_unit_test(a_mode_narrows_the_choice),
		cmocka_unit_test(who_finds_it_done_sends_no_update_but_has_its_key_trusted),
		cmocka_unit_test(the_second_provider_acts_with_its_own_key_when_the_first_is_gone),
		cmocka_unit_test(a_parent_that_forgot_the_key_gets_it_again_within_a_day),
		cmocka_unit_test(a_restart_asks_once_and_hands_nothing_in_again),
		cmocka_unit_test(a_key_is_made_only_where_it_is_of_use),
		cmocka_unit_test(who_does_not_sign_a_signed_zone_has_its_key_trusted_too),
		cmocka_unit_test(a_key_that_is_not_wanted_stops_nothing),
		cmocka_unit_test(what_keeps_the_key_from_being_trusted_is_asked_about_ever_more_rarely),
		cmocka_unit_test(lost_messages_are_sent_again_with_doubled_patience_and_fresh_signatures),
		cmocka_unit_test(after_six_tries_it_begins_again_later),
		cmocka_unit_test(forged_replayed_and_unsigned_answers_change_nothing),
		cmocka_unit_test(a_keystate_about_another_key_is_not_ours),
		cmocka_unit_test(badkey_leads_to_exactly_one_new_upload_then_keystate_decides),
		cmocka_unit_test(not_trusted_yet_means_waiting_with_growing_pauses),
		cmocka_unit_test(refused_is_tried_five_times_in_a_day_and_no_more),
		cmocka_unit_test(alarms_stop_the_sender),
		cmocka_unit_test(failed_validation_is_tried_again_when_a_person_asks),
		cmocka_unit_test(a_person_at_the_parent_is_waited_for_an_hour_at_a_time),
		cmocka_unit_test(wrong_time_and_temporary_failures_are_tried_again),
		cmocka_unit_test(a_replay_complaint_is_answered_with_a_fresh_signature_at_once),
		cmocka_unit_test(a_receiver_that_takes_only_one_key_is_reported_and_nobody_evicted),
		cmocka_unit_test(while_the_key_is_not_trusted_a_notify_goes_out_where_that_is_offered),
		cmocka_unit_test(a_bogus_key_of_the_receiver_is_not_the_same_as_none),
		cmocka_unit_test(without_the_receivers_key_updates_go_out_and_negative_answers_are_only_advice),
		cmocka_unit_test(a_fingerprint_makes_an_unsigned_key_the_receivers),
		cmocka_unit_test(the_key_is_published_before_it_is_handed_in),
		cmocka_unit_test(where_only_a_person_decides_publication_is_not_waited_for),
		cmocka_unit_test(a_restart_goes_on_with_the_same_key_and_does_not_send_again),
		cmocka_unit_test(it_is_told_again_after_an_hour_four_hours_and_a_day),
		cmocka_unit_test(a_lost_key_file_leads_to_a_new_key_that_is_bootstrapped),
		cmocka_unit_test(a_rollover_goes_add_prove_delete_and_never_without_a_trusted_key),
		cmocka_unit_test(a_rollover_survives_a_restart_at_every_message),
		cmocka_unit_test(ns_and_glue_go_along_where_agents_manage_them),
		cmocka_unit_test(ns_stays_untouched_where_the_owner_manages_it),
		cmocka_unit_test(every_server_of_the_parent_must_show_it),
		cmocka_unit_test(new_cds_lead_to_a_new_ds_by_themselves),
		cmocka_unit_test(a_wish_that_changes_under_an_update_waits_for_its_end),
		cmocka_unit_test(an_answer_that_the_shell_forgets_is_not_waited_for_for_ever),
		cmocka_unit_test(whoever_is_second_sends_nothing),
		cmocka_unit_test(what_others_undo_at_the_parent_is_done_again_within_a_day),
		cmocka_unit_test(a_delegation_that_comes_right_by_itself_ends_the_alarm),
		cmocka_unit_test(memory_that_fails_anywhere_costs_time_only),
		cmocka_unit_test(nor_does_it_cost_the_second_provider_its_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
