/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmb_build.h"
#include "update_text.h"

#include <msproto/msg/msopt.h>

#define GROUP Z "300 HSYNC ON AGENT YES " US "\n" Z "300 HSYNC ON AGENT YES " THEM "\n"
#define CDS_1 "1 13 2 " DIGEST
#define CDS_2 "2 13 2 " DIGEST

static struct msp_rr_scratch scratch; /* 64 KiB: not on the stack */

struct fixture {
	struct cmb_rules rules;
	struct cmb_owner *owner;
	struct cmb_policy policy;
	struct cmb_contrib held;
	struct cmb_verdict v;
	struct msp_name originator; /* put into the Multi-Signer option when set */
	uint32_t scope;             /* of the key; 0 = everything */
	uint8_t mem[65535];
};

static struct fixture *begin(const char *owner_lines)
{
	struct fixture *f = msp_alloc(1, sizeof(*f));

	assert_non_null(f);
	f->rules = t_rules();
	if (owner_lines != NULL) {
		f->owner = t_owner(owner_lines);
		cmb_policy_derive(f->owner, &f->rules, false, &f->policy);
	}
	return f;
}

static void end(struct fixture *f)
{
	cmb_contrib_fini(&f->v.result);
	cmb_contrib_fini(&f->held);
	cmb_owner_free(&f->owner);
	msp_free(f);
}

static enum msp_err instruct(struct fixture *f, const char *lines)
{
	struct cmb_instruct in = {
		.rules = &f->rules, .owner = f->owner, .policy = &f->policy, .held = &f->held, .scratch = &scratch
	};
	struct msp_msgw w;
	struct msp_span raw;
	struct msp_msg m;

	in.scope = f->scope != 0 ? f->scope : CMB_SCOPE_ALL;
	cmb_contrib_fini(&f->v.result);
	msp_updw_init(&w, f->mem, sizeof(f->mem), 1, &f->rules.zone);
	while (*lines != '\0') {
		size_t len = strcspn(lines, "\n");

		t_update_line(&w, lines, len);
		lines += len + (lines[len] == '\n');
	}
	if (msp_name_is_set(&f->originator)) {
		struct msp_msopt ms = { .operation = 1,
					.has = { [MSP_TLV_IDENTITY] = true },
					.identity = f->originator };
		struct msp_optw o = msp_optw_open(&w, 1232, 0, false);

		msp_optw_msopt(&o, &msp_numbers_default, &ms);
		msp_optw_close(&o);
	}
	T_OK(msp_msgw_finish(&w, &raw));
	T_OK(msp_msg_parse(raw, &scratch, &m, NULL));
	in.msg = &m;
	return cmb_instruct(&in, &f->v);
}

/* Accepted: what is held from now on is the result. */
static void accept(struct fixture *f, const char *lines)
{
	T_OK(instruct(f, lines));
	if (f->v.rcode != MSP_RCODE_NOERROR)
		fail_msg("%s: %s (%s)", lines, f->v.rule, f->v.why.text);
	if (!f->v.changed)
		return;
	cmb_contrib_fini(&f->held);
	f->held = f->v.result;
	memset(&f->v.result, 0, sizeof(f->v.result));
}

#define NO_EDE 0
static void refuse(struct fixture *f, const char *lines, unsigned rcode, unsigned ede)
{
	T_OK(instruct(f, lines));
	if (f->v.rcode != rcode || (f->v.has_ede ? f->v.ede : NO_EDE) != ede)
		fail_msg("%s: got %s, EDE %u (%s), wanted %s, EDE %u", lines, msp_rcode_name(f->v.rcode),
			 f->v.has_ede ? f->v.ede : NO_EDE, f->v.why.text, msp_rcode_name(rcode), ede);
	assert_non_null(f->v.rule); /* every refusal names its rule */
	assert_false(f->v.changed);
	assert_int_equal(f->v.result.count, 0);
}

static const struct msp_rrset *held(const struct fixture *f, enum cmb_slot slot)
{
	struct msp_name local = cmb_originator_local();

	return cmb_contrib_get(&f->held, msp_name_is_set(&f->originator) ? &f->originator : &local, slot);
}

static void the_four_types_are_added_and_deleted(void **state)
{
	struct fixture *f = begin(GROUP);

	(void)state;
	accept(f, "add " Z "10 DNSKEY " KEY_A "\nadd " Z "10 CDS " CDS_1 "\nadd " Z "10 CSYNC 0 1 NS\nadd " Z
		  "10 NS ns.x.test.");
	assert_int_equal(f->held.count, 4);
	accept(f, "add " Z "20 DNSKEY " KEY_B); /* the latest TTL is the RRset's */
	t_assert_set(held(f, CMB_DNSKEY), Z "20 DNSKEY " KEY_A "\n" Z "20 DNSKEY " KEY_B);
	accept(f, "delrr " Z "0 DNSKEY " KEY_A);
	t_assert_set(held(f, CMB_DNSKEY), Z "20 DNSKEY " KEY_B);
	accept(f, "del " Z "CDS");
	assert_null(held(f, CMB_CDS));
	accept(f, "del " Z "ANY");
	assert_int_equal(f->held.count, 0);
	end(f);
}

static void replace_idiom_leaves_the_new_set_alone(void **state)
{
	struct fixture *f = begin(GROUP);

	(void)state;
	accept(f, "add " Z "10 CSYNC 0 1 NS");
	accept(f, "del " Z "CSYNC\nadd " Z "10 CSYNC 0 1 A"); /* never two at a time, in order of the records */
	t_assert_set(held(f, CMB_CSYNC), Z "10 CSYNC 0 1 A");
	accept(f, "del " Z "CSYNC\nadd " Z "10 CSYNC 0 1 A");
	assert_false(f->v.changed);
	end(f);
}

static void what_is_not_in_the_licence_is_refused_by_name(void **state)
{
	static const struct {
		const char *lines;
		unsigned rcode, ede;
	} rows[] = {
		{ "add " Z "10 TXT x", MSP_RCODE_REFUSED, 49171 },
		{ "add " Z "10 SOA a. b. 1 2 3 4 5", MSP_RCODE_REFUSED, 49171 },
		{ "add " Z "10 CDNSKEY " KEY_A, MSP_RCODE_REFUSED, 49171 },
		{ "add " Z "10 KEY 0 3 15 AQID", MSP_RCODE_REFUSED, 49171 },
		{ "add " Z "10 HSYNC ON AGENT YES x.", MSP_RCODE_REFUSED, 49171 },
		{ "add " Z "10 ZONEMD 1 1 1 00", MSP_RCODE_REFUSED, 49171 },
		{ "del " Z "TXT", MSP_RCODE_REFUSED, 49171 },
		{ "delrr " Z "0 TXT x", MSP_RCODE_REFUSED, 49171 },
		{ "add a." Z "10 NS x.", MSP_RCODE_REFUSED, 49172 },
		{ "del a." Z "ANY", MSP_RCODE_REFUSED, 49172 },
		{ "add evilzone.test. 10 NS x.", MSP_RCODE_NOTZONE, NO_EDE },
		{ "add test. 10 NS x.", MSP_RCODE_NOTZONE, NO_EDE },
		{ "yx " Z "TXT\nadd " Z "10 CDS " CDS_1, MSP_RCODE_REFUSED, 49171 },
		{ "yx a." Z "CDS\nadd " Z "10 CDS " CDS_1, MSP_RCODE_REFUSED, 49172 },
		{ "yx other. CDS\nadd " Z "10 CDS " CDS_1, MSP_RCODE_NOTZONE, NO_EDE },
		{ "add " Z "10 DNSKEY " KEY_A "\nadd " Z "10 TXT x", MSP_RCODE_REFUSED, 49171 }, /* all or nothing */
		{ "add " Z "2147483648 NS ns.x.test.", MSP_RCODE_FORMERR, NO_EDE },
	};
	struct fixture *f = begin(GROUP);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		refuse(f, rows[i].lines, rows[i].rcode, rows[i].ede);
	f->rules.extra_cdnskey = true;
	accept(f, "add " Z "10 CDNSKEY " KEY_A);
	end(f);
}

/* RFC 2136 2.4 and 3.2, against what this originator has set. */
static void prerequisites_hold_or_give_the_rcode_of_the_rfc(void **state)
{
	static const struct {
		const char *lines;
		unsigned rcode;
	} rows[] = {
		{ "yx " Z "ANY", MSP_RCODE_NOERROR },
		{ "nx " Z "ANY", MSP_RCODE_YXDOMAIN },
		{ "yx " Z "CDS", MSP_RCODE_NOERROR },
		{ "nx " Z "CDS", MSP_RCODE_YXRRSET },
		{ "yx " Z "CSYNC", MSP_RCODE_NXRRSET },
		{ "nx " Z "CSYNC", MSP_RCODE_NOERROR },
		{ "eq " Z "0 CDS " CDS_1, MSP_RCODE_NXRRSET }, /* a part is not the whole */
		{ "eq " Z "0 CDS " CDS_1 "\neq " Z "0 CDS " CDS_2, MSP_RCODE_NOERROR },
		{ "eq " Z "0 CDS " CDS_1 "\neq " Z "0 CDS " CDS_2 "\neq " Z "0 CDS 3 13 2 " DIGEST, MSP_RCODE_NXRRSET },
		{ "eq " Z "0 CSYNC 0 1 NS", MSP_RCODE_NXRRSET },
		{ "eq " Z "0 CDS " CDS_1 "\neq " Z "0 CDS " CDS_2 "\nyx " Z "CSYNC", MSP_RCODE_NXRRSET },
		{ "yx " Z "NS", MSP_RCODE_NXRRSET }, /* the owner's NS are not in the store */
	};
	struct fixture *f = begin(GROUP);

	(void)state;
	accept(f, "nx " Z "ANY\nadd " Z "10 CDS " CDS_1 "\nadd " Z "10 CDS " CDS_2);
	refuse(f, "nx " Z "ANY\nadd " Z "10 CDS " CDS_1, MSP_RCODE_YXDOMAIN, NO_EDE);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		T_OK(instruct(f, rows[i].lines));
		if (f->v.rcode != rows[i].rcode)
			fail_msg("%s: %s", rows[i].lines, msp_rcode_name(f->v.rcode));
	}
	accept(f, "del " Z "ANY");
	refuse(f, "yx " Z "ANY\nadd " Z "10 CDS " CDS_1, MSP_RCODE_NXDOMAIN, NO_EDE);
	end(f);
}

/* RFC 2136 3.2.5: one value-dependent prerequisite per RRset, however its records are strewn over the section. */
static void prerequisites_of_several_rrsets_hold_in_any_order(void **state)
{
	static const struct {
		const char *lines;
		unsigned rcode;
	} rows[] = {
		{ "eq " Z "0 CDS " CDS_1 "\neq " Z "0 NS ns.x.test.\neq " Z "0 CDS " CDS_2 "\neq " Z "0 NS ns.y.test.",
		  MSP_RCODE_NOERROR },
		{ "eq " Z "0 NS ns.y.test.\neq " Z "0 CDS " CDS_2 "\neq " Z "0 NS NS.X.test.\neq " Z "0 CDS " CDS_1,
		  MSP_RCODE_NOERROR },
		{ "eq " Z "0 CDS " CDS_1 "\neq " Z "0 CDS " CDS_2 "\neq " Z "0 CDS " CDS_1, MSP_RCODE_NOERROR },
		{ "eq " Z "0 CDS " CDS_1 "\neq " Z "0 CDS " CDS_2 "\neq " Z "0 NS ns.y.test.", MSP_RCODE_NXRRSET },
		{ "eq " Z "0 NS ns.x.test.\neq " Z "0 CDS " CDS_2 "\neq " Z "0 NS ns.y.test.", MSP_RCODE_NXRRSET },
		{ "eq " Z "0 CDS " CDS_1 "\nnx " Z "CDS\neq " Z "0 CDS " CDS_2, MSP_RCODE_YXRRSET },
		{ "yx " Z "NS\neq " Z "0 CDS " CDS_2 "\nnx " Z "CSYNC\neq " Z "0 CDS " CDS_1 "\nyx " Z "ANY",
		  MSP_RCODE_NOERROR },
		{ "eq " Z "0 DNSKEY " KEY_A "\neq " Z "0 CDS " CDS_2 "\neq " Z "0 CDS " CDS_1, MSP_RCODE_NXRRSET },
	};
	struct fixture *f = begin(GROUP);

	(void)state;
	accept(f, "add " Z "10 CDS " CDS_1 "\nadd " Z "10 CDS " CDS_2 "\nadd " Z "20 NS ns.x.test.\nadd " Z
		  "20 NS ns.y.test.");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		T_OK(instruct(f, rows[i].lines));
		if (f->v.rcode != rows[i].rcode)
			fail_msg("%s: %s", rows[i].lines, msp_rcode_name(f->v.rcode));
		assert_false(f->v.changed);
	}
	end(f);
}

static void a_key_changes_the_types_of_its_scope_and_no_others(void **state)
{
	static const char *const refused[] = {
		"add " Z "10 NS ns.x.test.",
		"del " Z "NS",
		"delrr " Z "0 NS ns.a.test.",
		"del " Z "ANY",                                         /* it would take the NS away */
		"add " Z "10 CDS " CDS_1 "\nadd " Z "10 NS ns.x.test.", /* all or nothing */
	};
	struct fixture *f = begin(GROUP);

	(void)state;
	accept(f, "add " Z "10 NS ns.a.test.");
	f->scope = 1u << CMB_CDS | 1u << CMB_DNSKEY;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		refuse(f, refused[i], MSP_RCODE_REFUSED, 49171);
		assert_non_null(strstr(f->v.why.text, "NS"));
	}
	accept(f, "yx " Z "NS\nadd " Z "10 CDS " CDS_1); /* it may look at others */
	accept(f, "add " Z "10 DNSKEY " KEY_A);
	t_assert_set(held(f, CMB_NS), Z "10 NS ns.a.test.");
	f->scope = 1u << CMB_NS | 1u << CMB_CDS | 1u << CMB_DNSKEY;
	accept(f, "del " Z "ANY");
	assert_int_equal(f->held.count, 0);
	end(f);
}

/* The line of the audit entry. */
static void what_changes_is_told_in_one_line(void **state)
{
	static const struct {
		const char *lines, *want;
	} rows[] = {
		{ "add " Z "10 DNSKEY " KEY_A, "DNSKEY set (1)" },
		{ "add " Z "10 DNSKEY " KEY_B "\nadd " Z "10 CDS " CDS_1 "\nadd " Z "10 CDS " CDS_2,
		  "DNSKEY +1, CDS set (2)" },
		{ "del " Z "CDS\nadd " Z "10 CDS " CDS_1, "CDS -1" },
		{ "del " Z "CDS\nadd " Z "10 CDS " CDS_2, "CDS set (1)" },
		{ "add " Z "99 CDS " CDS_2, "CDS TTL 99" },
		{ "delrr " Z "0 DNSKEY " KEY_A "\nadd " Z "10 DNSKEY 256 3 13 AQIE\nadd " Z "10 DNSKEY 256 3 13 AQIF",
		  "DNSKEY +2 -1" },
		{ "del " Z "ANY", "DNSKEY deleted, CDS deleted" },
	};
	struct fixture *f = begin(GROUP);
	char line[256];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		T_OK(instruct(f, rows[i].lines));
		assert_int_equal(f->v.rcode, MSP_RCODE_NOERROR);
		cmb_instruct_tell(&f->held, &f->v.result, &f->v.originator, line, sizeof(line));
		assert_string_equal(line, rows[i].want);
		cmb_instruct_tell(&f->held, &f->v.result, &f->v.originator, line, 6);
		assert_true(strlen(line) < 6);
		accept(f, rows[i].lines);
	}
	end(f);
}

static void compare_and_swap_loses_to_the_faster_writer(void **state)
{
	struct fixture *f = begin(GROUP);

	(void)state;
	accept(f, "add " Z "10 CDS " CDS_1);
	accept(f, "eq " Z "0 CDS " CDS_1 "\ndel " Z "CDS\nadd " Z "10 CDS " CDS_2);
	refuse(f, "eq " Z "0 CDS " CDS_1 "\ndel " Z "CDS\nadd " Z "10 CDS 3 13 2 " DIGEST, MSP_RCODE_NXRRSET, NO_EDE);
	t_assert_set(held(f, CMB_CDS), Z "10 CDS " CDS_2);
	end(f);
}

static void bad_contents_are_refused_as_invalid_data(void **state)
{
	static const char *const rows[] = {
		"add " Z "10 DNSKEY 1 3 13 AQID",                      /* no zone bit */
		"add " Z "10 DNSKEY 385 3 13 AQID",                    /* revoked */
		"add " Z "10 DNSKEY 257 2 13 AQID",                    /* protocol */
		"add " Z "10 DNSKEY 257 3 99 AQID",                    /* algorithm */
		"add " Z "10 CDS 1 13 2 0011",                         /* digest length */
		"add " Z "10 CDS 1 0 2 " DIGEST,                       /* algorithm 0, not the delete record */
		"add " Z "10 CDS " CDS_1 "\nadd " Z "10 CDS 0 0 0 00", /* delete beside another */
		"add " Z "10 CSYNC 0 4 NS",                            /* unknown flag */
		"add " Z "10 CSYNC 0 1 NS\nadd " Z "10 CSYNC 1 1 NS",
		"add " Z "10 NS .",
		"add " Z "10 NS a_b.test.",
		"add " Z "10 NS -a.test.",
		"add " Z "10 NS a\\.b.test.",
	};
	struct fixture *f = begin(GROUP);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		refuse(f, rows[i], MSP_RCODE_REFUSED, MSP_EDE_INVALID_DATA);
	accept(f, "add " Z "10 CDS 0 0 0 00");
	end(f);
}

static void counts_are_limited(void **state)
{
	struct fixture *f = begin(GROUP);
	char line[128];

	(void)state;
	for (int i = 0; i < CMB_NS_MAX; i++) {
		snprintf(line, sizeof(line), "add " Z "10 NS n%d.x.test.", i);
		accept(f, line);
	}
	refuse(f, "add " Z "10 NS more.x.test.", MSP_RCODE_REFUSED, MSP_EDE_INVALID_DATA);
	for (int i = 0; i < CMB_DNSKEY_MAX; i++) {
		snprintf(line, sizeof(line), "add " Z "10 DNSKEY 257 3 13 %02dAA", i);
		accept(f, line);
	}
	refuse(f, "add " Z "10 DNSKEY 257 3 13 AQID", MSP_RCODE_REFUSED, MSP_EDE_INVALID_DATA);
	end(f);
}

/* Each record of an UPDATE costs as much time as its set has records. */
static void sets_stay_small_while_they_are_made(void **state)
{
	static const struct {
		const char *verb, *end;
		unsigned rcode, ede;
	} cases[] = {
		{ "add " Z "10", "", MSP_RCODE_REFUSED, MSP_EDE_INVALID_DATA },
		{ "add " Z "10", "del " Z "NS", MSP_RCODE_REFUSED, MSP_EDE_INVALID_DATA },
		{ "eq " Z "0", "", MSP_RCODE_NXRRSET, NO_EDE },
	};
	struct fixture *f = begin(GROUP);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct msp_buf lines;

		msp_buf_init(&lines, 1 << 20);
		for (int n = 0; n < 257; n++)
			msp_buf_printf(&lines, "%s NS n%d.x.test.\n", cases[i].verb, n);
		msp_buf_add_str(&lines, cases[i].end);
		refuse(f, msp_buf_text(&lines), cases[i].rcode, cases[i].ede);
		msp_buf_fini(&lines);
	}
	end(f);
}

static void fences_refuse_adds_and_let_deletes_pass(void **state)
{
	static const struct {
		const char *owner, *add;
		unsigned ede;
	} rows[] = {
		{ Z "300 HSYNC ON OWNER YES " US "\n", "NS ns.y.test.", 49191 },
		{ "", "NS ns.y.test.", 49181 },
		{ "", "DNSKEY " KEY_B, 49181 },
		{ Z "300 HSYNC ON AGENT YES " THEM "\n", "DNSKEY " KEY_B, 49182 },
		{ Z "300 HSYNC ON AGENT NO " US "\n" Z "300 HSYNC ON AGENT YES " THEM "\n", "DNSKEY " KEY_B, 49182 },
		{ Z "300 HSYNC ON AGENT NO " US "\n" Z "300 HSYNC ON AGENT YES " THEM "\n", "CDS " CDS_2, 49182 },
		{ Z "300 HSYNC ON AGENT NO " US "\n" Z "300 HSYNC ON AGENT YES " THEM "\n", "NS ns.y.test.", 49191 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture *f = begin(rows[i].owner);
		char line[512];

		t_contribute(&f->held, NULL, Z "10 NS ns.x.test.");
		t_contribute(&f->held, NULL, Z "10 DNSKEY " KEY_A);
		snprintf(line, sizeof(line), "add " Z "10 %s", rows[i].add);
		refuse(f, line, MSP_RCODE_REFUSED, rows[i].ede);
		snprintf(line, sizeof(line), "del " Z "CDS\nadd " Z "10 %s", rows[i].add);
		refuse(f, line, MSP_RCODE_REFUSED, rows[i].ede);
		accept(f, "del " Z "ANY");
		assert_int_equal(f->held.count, 0);
		end(f);
	}
}

static void unsigned_group_manages_ns_together(void **state)
{
	struct fixture *f = begin(Z "300 HSYNC ON AGENT NO " US "\n" Z "300 HSYNC ON AGENT NO " THEM "\n");

	(void)state;
	accept(f, "add " Z "10 NS ns.y.test."); /* case D */
	end(f);
}

static void a_signed_zone_takes_no_instruction_at_all(void **state)
{
	struct fixture *f = begin(GROUP);

	(void)state;
	t_contribute(&f->held, NULL, Z "10 DNSKEY " KEY_A);
	f->owner->is_signed = true;
	cmb_policy_derive(f->owner, &f->rules, false, &f->policy);
	refuse(f, "add " Z "10 DNSKEY " KEY_B, MSP_RCODE_REFUSED, 49192);
	refuse(f, "del " Z "DNSKEY", MSP_RCODE_REFUSED, 49192);
	end(f);
}

static void before_the_first_transfer_adds_wait_and_deletes_pass(void **state)
{
	struct fixture *f = begin(NULL);

	(void)state;
	t_contribute(&f->held, NULL, Z "10 DNSKEY " KEY_A);
	refuse(f, "add " Z "10 DNSKEY " KEY_B, MSP_RCODE_SERVFAIL, MSP_EDE_NOT_READY);
	accept(f, "del " Z "DNSKEY");
	end(f);
}

static void originators_are_kept_apart_and_must_be_listed(void **state)
{
	struct fixture *f = begin(GROUP);

	(void)state;
	accept(f, "add " Z "10 DNSKEY " KEY_A);
	f->originator = t_name(THEM);
	accept(f, "add " Z "10 DNSKEY " KEY_B);
	accept(f, "nx " Z "CDS\nadd " Z "10 CDS " CDS_1);
	accept(f, "del " Z "ANY"); /* its own, nobody else's */
	memset(&f->originator, 0, sizeof(f->originator));
	t_assert_set(held(f, CMB_DNSKEY), Z "10 DNSKEY " KEY_A);
	f->originator = t_name("msa.stranger.test.");
	refuse(f, "add " Z "10 DNSKEY " KEY_B, MSP_RCODE_REFUSED, 49182);
	end(f);
}

static void limits_hold_over_all_originators_together(void **state)
{
	struct fixture *f = begin(GROUP);

	(void)state;
	accept(f, "add " Z "10 CSYNC 0 1 NS");
	f->originator = t_name(THEM);
	refuse(f, "add " Z "10 CSYNC 0 1 A", MSP_RCODE_REFUSED, MSP_EDE_INVALID_DATA);
	accept(f, "add " Z "10 CSYNC 0 1 NS"); /* the same record is one record */
	end(f);
}

static void held_state_is_never_touched_even_when_memory_runs_out(void **state)
{
	struct fixture *f = begin(GROUP);
	bool done = false;

	(void)state;
	accept(f, "add " Z "10 DNSKEY " KEY_A);
	for (size_t n = 1; !done && n < 1000; n++) {
		struct cmb_instruct in = { .rules = &f->rules,
					   .owner = f->owner,
					   .policy = &f->policy,
					   .held = &f->held,
					   .scope = CMB_SCOPE_ALL,
					   .scratch = &scratch };
		struct msp_msg m;
		struct msp_msgw w;
		struct msp_span raw;
		enum msp_err err;

		msp_updw_init(&w, f->mem, sizeof(f->mem), 1, &f->rules.zone);
		t_update_line(&w, "add " Z "10 DNSKEY " KEY_B, strlen("add " Z "10 DNSKEY " KEY_B));
		t_update_line(&w, "add " Z "10 NS ns.x.test.", strlen("add " Z "10 NS ns.x.test."));
		T_OK(msp_msgw_finish(&w, &raw));
		T_OK(msp_msg_parse(raw, &scratch, &m, NULL));
		in.msg = &m;
		msp_mem_fail_at(n);
		err = cmb_instruct(&in, &f->v);
		msp_mem_fail_at(0);
		done = err == MSP_OK;
		if (!done)
			assert_int_equal(err, MSP_ENOMEM);
		cmb_contrib_fini(&f->v.result);
		t_assert_set(held(f, CMB_DNSKEY), Z "10 DNSKEY " KEY_A);
		assert_int_equal(f->held.count, 1);
	}
	assert_true(done);
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_four_types_are_added_and_deleted),
		cmocka_unit_test(replace_idiom_leaves_the_new_set_alone),
		cmocka_unit_test(what_is_not_in_the_licence_is_refused_by_name),
		cmocka_unit_test(prerequisites_hold_or_give_the_rcode_of_the_rfc),
		cmocka_unit_test(prerequisites_of_several_rrsets_hold_in_any_order),
		cmocka_unit_test(a_key_changes_the_types_of_its_scope_and_no_others),
		cmocka_unit_test(what_changes_is_told_in_one_line),
		cmocka_unit_test(compare_and_swap_loses_to_the_faster_writer),
		cmocka_unit_test(bad_contents_are_refused_as_invalid_data),
		cmocka_unit_test(counts_are_limited),
		cmocka_unit_test(sets_stay_small_while_they_are_made),
		cmocka_unit_test(fences_refuse_adds_and_let_deletes_pass),
		cmocka_unit_test(unsigned_group_manages_ns_together),
		cmocka_unit_test(a_signed_zone_takes_no_instruction_at_all),
		cmocka_unit_test(before_the_first_transfer_adds_wait_and_deletes_pass),
		cmocka_unit_test(originators_are_kept_apart_and_must_be_listed),
		cmocka_unit_test(limits_hold_over_all_originators_together),
		cmocka_unit_test(held_state_is_never_touched_even_when_memory_runs_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
