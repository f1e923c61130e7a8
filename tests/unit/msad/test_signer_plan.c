/* SPDX-License-Identifier: BSD-2-Clause */
/* What the signers' tools are called with: never run here. */
#include "support.h"

#include <msproto/base/mem.h>
#include <msproto/wire/rdata.h>

#include "signer.h"

#define KSK  "zone.example. 3600 DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4="
#define KSK2 "zone.example. 3600 DNSKEY 257 3 15 zPnZ/QwEe7S8C5SPz2OfS5RR40ATk2/rYnE9xHIEijs="

static char keymgr[] = "/usr/sbin/keymgr", knotc[] = "/usr/sbin/knotc", knot_conf[] = "/etc/knot/knot.conf",
	    pdnsutil[] = "/usr/bin/pdnsutil", pdns_control[] = "/usr/bin/pdns_control", pdns_dir[] = "/etc/powerdns";
static const struct msa_signer_tools tools = { .keymgr = keymgr,
					       .knotc = knotc,
					       .knot_conf = knot_conf,
					       .pdnsutil = pdnsutil,
					       .pdns_control = pdns_control,
					       .pdns_config_dir = pdns_dir };

/* The plan as lines of words, so that a whole plan is one comparison. */
static char *plan_text(enum msa_adapter adapter, const char *zone, enum msa_signer_verb verb,
		       const struct msp_rrset *keys, bool cdnskey)
{
	static char text[65536];
	struct msa_signer_plan *plan = msp_alloc(1, sizeof(*plan));
	struct msp_name name = t_name(zone);
	size_t at = 0;

	assert_non_null(plan);
	T_OK(msa_signer_plan_make(adapter, &tools, &name, verb, keys, cdnskey, plan));
	for (size_t i = 0; i < plan->count; i++)
		for (size_t a = 0; a < plan->step[i].count; a++)
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%c", plan->step[i].arg[a],
					       a + 1 == plan->step[i].count ? '\n' : ' ');
	msp_free(plan);
	return text;
}

static void knot_switches_each_key_by_its_tag_and_loads_them_once(void **state)
{
	struct msp_rrset *keys = t_rrset(KSK "\n" KSK2);
	unsigned tag[2] = { msp_key_tag(keys->rdata[0]), msp_key_tag(keys->rdata[1]) };
	char want[1000];

	(void)state;
	snprintf(want, sizeof(want),
		 "/usr/sbin/keymgr -c /etc/knot/knot.conf zone.example. set %u ready=+0 active=2100000000\n"
		 "/usr/sbin/keymgr -c /etc/knot/knot.conf zone.example. set %u ready=+0 active=2100000000\n"
		 "/usr/sbin/knotc -c /etc/knot/knot.conf zone-keys-load zone.example.\n",
		 tag[0], tag[1]);
	assert_string_equal(plan_text(MSA_ADAPTER_KNOT, "zone.example.", MSA_SIGNER_CDS_ON, keys, false), want);
	snprintf(want, sizeof(want),
		 "/usr/sbin/keymgr -c /etc/knot/knot.conf zone.example. set %u active=+0\n"
		 "/usr/sbin/keymgr -c /etc/knot/knot.conf zone.example. set %u active=+0\n"
		 "/usr/sbin/knotc -c /etc/knot/knot.conf zone-keys-load zone.example.\n",
		 tag[0], tag[1]);
	assert_string_equal(plan_text(MSA_ADAPTER_KNOT, "zone.example.", MSA_SIGNER_CDS_OFF, keys, true), want);
	msp_rrset_free(&keys);
}

static void pdns_switches_the_zone_purges_and_notifies(void **state)
{
	(void)state;
	assert_string_equal(plan_text(MSA_ADAPTER_PDNS, "zone.example.", MSA_SIGNER_CDS_ON, NULL, false),
			    "/usr/bin/pdnsutil --config-dir=/etc/powerdns set-publish-cds zone.example 2\n"
			    "/usr/bin/pdns_control --config-dir=/etc/powerdns purge zone.example$\n"
			    "/usr/bin/pdns_control --config-dir=/etc/powerdns notify zone.example\n");
	assert_string_equal(plan_text(MSA_ADAPTER_PDNS, "zone.example.", MSA_SIGNER_CDS_OFF, NULL, true),
			    "/usr/bin/pdnsutil --config-dir=/etc/powerdns unset-publish-cds zone.example\n"
			    "/usr/bin/pdnsutil --config-dir=/etc/powerdns unset-publish-cdnskey zone.example\n"
			    "/usr/bin/pdns_control --config-dir=/etc/powerdns purge zone.example$\n"
			    "/usr/bin/pdns_control --config-dir=/etc/powerdns notify zone.example\n");
}

/* Zone names are chosen by customers. What a name says must reach the tool as a name, and as the same name. */
static void no_zone_name_is_taken_for_an_option(void **state)
{
	static const char *const names[] = { "-c/tmp/evil.conf.", "--config-dir=/tmp.example.",
					     "-x.example.",       "-.",
					     "\\045x.example.",   "a\\032b.example.",
					     "$(id).example.",    "a\\010b.example.",
					     "\\000.example.",    "a\\.b.example.",
					     "'\\\"\\;.example." };
	struct msa_signer_plan *plan = msp_alloc(1, sizeof(*plan));
	struct msp_rrset *keys = t_rrset(KSK);

	(void)state;
	assert_non_null(plan);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct msp_name zone = t_name(names[i]), back;

		for (int adapter = MSA_ADAPTER_KNOT; adapter <= MSA_ADAPTER_PDNS; adapter++) {
			/* The name: after "-c" and a file, or after the directory and the verb. */
			const size_t at = 3;

			T_OK(msa_signer_plan_make((enum msa_adapter)adapter, &tools, &zone, MSA_SIGNER_CDS_ON, keys,
						  false, plan));
			for (size_t s = 0; s < plan->count; s++)
				for (size_t a = 1; a < plan->step[s].count; a++)
					for (const char *c = plan->step[s].arg[a]; *c != '\0'; c++)
						assert_true(*c > ' ' && *c < 0x7f);
			assert_int_not_equal(plan->step[0].arg[at][0], '-');
			T_OK(msp_name_from_text(plan->step[0].arg[at], &back));
			assert_true(msp_name_same(&zone, &back));
		}
	}
	msp_rrset_free(&keys);
	msp_free(plan);
}

static void the_longest_name_fits(void **state)
{
	struct msa_signer_plan *plan = msp_alloc(1, sizeof(*plan));
	struct msp_name zone = { .len = 255 };
	struct msp_name back;
	struct msp_rrset *keys = t_rrset(KSK);

	(void)state;
	assert_non_null(plan);
	memset(zone.oct, 0, sizeof(zone.oct));
	zone.oct[0] = zone.oct[64] = zone.oct[128] = 63;
	zone.oct[192] = 61;
	zone.oct[1] = '-';
	T_OK(msa_signer_plan_make(MSA_ADAPTER_KNOT, &tools, &zone, MSA_SIGNER_CDS_ON, keys, false, plan));
	T_OK(msp_name_from_text(plan->step[0].arg[3], &back));
	assert_true(msp_name_same(&zone, &back));
	T_OK(msa_signer_plan_make(MSA_ADAPTER_PDNS, &tools, &zone, MSA_SIGNER_CDS_ON, keys, false, plan));
	T_OK(msp_name_from_text(plan->step[0].arg[3], &back));
	assert_true(msp_name_same(&zone, &back));
	assert_int_equal(plan->step[1].arg[3][strlen(plan->step[1].arg[3]) - 1], '$');
	msp_rrset_free(&keys);
	msp_free(plan);
}

static void more_keys_than_a_plan_holds_are_refused(void **state)
{
	struct msa_signer_plan *plan = msp_alloc(1, sizeof(*plan));
	struct msp_name zone = t_name("zone.example.");
	struct msp_rrset *keys = NULL;

	(void)state;
	assert_non_null(plan);
	T_OK(msp_rrset_new(&zone, MSP_TYPE_DNSKEY, 60, &keys));
	for (unsigned i = 0; i < MSA_STEPS_MAX; i++) {
		uint8_t rdata[36] = { 1, 1, 3, 15, (uint8_t)i };

		T_OK(msp_rrset_add(keys, msp_span(rdata, sizeof(rdata))));
	}
	T_ERR(msa_signer_plan_make(MSA_ADAPTER_KNOT, &tools, &zone, MSA_SIGNER_CDS_ON, keys, false, plan), MSP_ELIMIT);
	msp_rrset_free(&keys);
	msp_free(plan);
}

static void a_path_that_does_not_fit_is_refused_not_cut(void **state)
{
	struct msa_signer_plan *plan = msp_alloc(1, sizeof(*plan));
	struct msp_name zone = t_name("zone.example.");
	struct msp_rrset *keys = t_rrset(KSK);
	struct msa_signer_tools t = tools;
	char path[MSA_STEP_TEXT + 10];

	(void)state;
	assert_non_null(plan);
	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	t.knot_conf = path;
	t.pdns_config_dir = path;
	T_ERR(msa_signer_plan_make(MSA_ADAPTER_KNOT, &t, &zone, MSA_SIGNER_CDS_ON, keys, false, plan), MSP_ELIMIT);
	T_ERR(msa_signer_plan_make(MSA_ADAPTER_PDNS, &t, &zone, MSA_SIGNER_CDS_ON, keys, false, plan), MSP_ELIMIT);
	t = tools;
	t.pdnsutil = path;
	T_ERR(msa_signer_plan_make(MSA_ADAPTER_PDNS, &t, &zone, MSA_SIGNER_CDS_OFF, keys, false, plan), MSP_ELIMIT);
	msp_rrset_free(&keys);
	msp_free(plan);
}

static void observe_has_no_plan_and_adapters_want_their_tools(void **state)
{
	struct msa_signer_plan *plan = msp_alloc(1, sizeof(*plan));
	struct msp_name zone = t_name("zone.example.");
	struct msa_signer_tools t = tools;
	struct msp_why why = { "" };

	(void)state;
	assert_non_null(plan);
	T_ERR(msa_signer_plan_make(MSA_ADAPTER_OBSERVE, &tools, &zone, MSA_SIGNER_CDS_ON, NULL, false, plan),
	      MSP_ENOTIMP);
	T_OK(msa_signer_check(MSA_ADAPTER_KNOT, &tools, &why));
	T_OK(msa_signer_check(MSA_ADAPTER_PDNS, &tools, &why));
	t.knotc = NULL;
	T_ERR(msa_signer_check(MSA_ADAPTER_KNOT, &t, &why), MSP_ECONF);
	t.pdns_control = NULL;
	T_ERR(msa_signer_check(MSA_ADAPTER_PDNS, &t, &why), MSP_ECONF);
	T_OK(msa_signer_check(MSA_ADAPTER_OBSERVE, &t, &why));
	msp_free(plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knot_switches_each_key_by_its_tag_and_loads_them_once),
		cmocka_unit_test(pdns_switches_the_zone_purges_and_notifies),
		cmocka_unit_test(no_zone_name_is_taken_for_an_option),
		cmocka_unit_test(the_longest_name_fits),
		cmocka_unit_test(more_keys_than_a_plan_holds_are_refused),
		cmocka_unit_test(a_path_that_does_not_fit_is_refused_not_cut),
		cmocka_unit_test(observe_has_no_plan_and_adapters_want_their_tools),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
