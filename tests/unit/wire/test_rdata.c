/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/wire/rdata.h>
#include <msproto/wire/text.h>

static uint8_t mem[4096];

/* RDATA of one record in text form. Caller frees. */
static void rdata_of(uint16_t type, const char *text, struct msp_buf *out)
{
	struct msp_why why = { "" };

	msp_buf_init(out, MSP_RDATA_MAX);
	if (msp_rdata_scan(msp_span_str(text), NULL, type, NULL, out, &why) != MSP_OK)
		fail_msg("%s: %s", text, why.text);
}

/* What was written equals the octets parsed; and every shorter or longer piece is refused where the type has an end. */
#define ROUND_TRIP(kind, type, text, var, ends)                                                                        \
	do {                                                                                                           \
		struct msp_wr wr_;                                                                                     \
		rdata_of(type, text, &rdata);                                                                          \
		T_OK(msp_##kind##_parse(msp_buf_span(&rdata), &(var)));                                                \
		msp_wr_init(&wr_, mem, sizeof(mem));                                                                   \
		msp_##kind##_write(&wr_, &(var));                                                                      \
		assert_true(msp_span_equal(msp_wr_span(&wr_), msp_buf_span(&rdata)));                                  \
		for (size_t cut_ = 0; (ends) && cut_ < rdata.len; cut_++) {                                            \
			T_ERR(msp_##kind##_parse(msp_span(rdata.ptr, cut_), &(var)), MSP_ETRUNC);                      \
		}                                                                                                      \
		if (ends) {                                                                                            \
			msp_buf_add_u8(&rdata, 0);                                                                     \
			T_ERR(msp_##kind##_parse(msp_buf_span(&rdata), &(var)), MSP_ETRAIL);                           \
			rdata.len--;                                                                                   \
			T_OK(msp_##kind##_parse(msp_buf_span(&rdata), &(var)));                                        \
		}                                                                                                      \
	} while (0)

static void soa_makes_the_round_trip(void **state)
{
	struct msp_buf rdata;
	struct msp_soa soa;

	(void)state;
	ROUND_TRIP(soa, MSP_TYPE_SOA, "Ns.example. h.example. 4294967295 2 3 4 5", soa, true);
	assert_string_equal(MSP_NAME(&soa.mname), "Ns.example.");
	assert_true(soa.serial == 4294967295);
	assert_int_equal(soa.minimum_s, 5);
	assert_true(msp_soa_serial(msp_buf_span(&rdata)) == 4294967295);
	assert_int_equal(msp_soa_serial(msp_span(rdata.ptr, 21)), 0);
	msp_buf_fini(&rdata);
}

static void keys_and_digests_make_the_round_trip(void **state)
{
	struct msp_buf rdata;
	struct msp_dnskey k;
	struct msp_tlsa t;
	struct msp_ds ds;

	(void)state;
	ROUND_TRIP(dnskey, MSP_TYPE_DNSKEY, "257 3 13 AQID", k, false);
	assert_int_equal(k.flags, MSP_DNSKEY_ZONE | MSP_DNSKEY_SEP);
	assert_int_equal(k.algorithm, 13);
	assert_int_equal(k.key.len, 3);
	T_ERR(msp_dnskey_parse(msp_span(rdata.ptr, 3), &k), MSP_ETRUNC);
	msp_buf_fini(&rdata);
	ROUND_TRIP(ds, MSP_TYPE_DS, "12345 8 2 0102", ds, false);
	assert_int_equal(ds.tag, 12345);
	assert_int_equal(ds.digest_type, 2);
	T_ERR(msp_ds_parse(msp_span(rdata.ptr, 3), &ds), MSP_ETRUNC);
	msp_buf_fini(&rdata);
	ROUND_TRIP(tlsa, MSP_TYPE_TLSA, "3 1 2 0102", t, false);
	assert_int_equal(t.mtype, 2);
	T_ERR(msp_tlsa_parse(msp_span(rdata.ptr, 2), &t), MSP_ETRUNC);
	msp_buf_fini(&rdata);
}

/* The tag is in the name of each key file. */
static void key_tags_match_those_of_bind(void **state)
{
	static const struct {
		const char *file;
		unsigned tag;
	} rows[] = {
		{ "Kchild.parent.example.+008+57341", 57341 },       { "Kchild.parent.example.+013+06226", 6226 },
		{ "Kchild.parent.example.+014+14719", 14719 },       { "Kchild.parent.example.+015+22135", 22135 },
		{ "Kchild.parent.example.+016+08559", 8559 },        { "Kupdater.parent.example.+015+55629", 55629 },
		{ "Kdns.msa.provider-a.example.+015+31175", 31175 }, { "Kdns.msa.provider-b.example.+015+05833", 5833 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char path[512], line[4096] = "";
		struct msp_buf rdata;
		struct msp_rr rr;
		FILE *f;

		snprintf(path, sizeof(path), "%s/vectors/keys/%s.key", TEST_DATA, rows[i].file);
		f = fopen(path, "r");
		assert_non_null(f);
		do {
			assert_non_null(fgets(line, sizeof(line), f));
		} while (line[0] == ';');
		fclose(f);
		msp_buf_init(&rdata, MSP_RDATA_MAX);
		T_OK(msp_rr_scan(msp_span_str(line), NULL, NULL, 0, &rdata, &rr, NULL));
		assert_int_equal(rr.type, MSP_TYPE_KEY);
		assert_int_equal(msp_key_tag(rr.rdata), rows[i].tag);
		msp_buf_fini(&rdata);
	}
}

static void rsamd5_has_its_tag_from_the_modulus(void **state)
{
	static const uint8_t oct[] = { 1, 1, 3, 1, 9, 9, 0xAB, 0xCD, 0xEF };

	(void)state;
	assert_int_equal(msp_key_tag(msp_span(oct, sizeof(oct))), 0xABCD);
}

static void only_the_exact_octets_are_delete_sentinels(void **state)
{
	struct msp_buf rdata;

	(void)state;
	rdata_of(MSP_TYPE_CDS, "0 0 0 00", &rdata);
	assert_true(msp_cds_is_delete(msp_buf_span(&rdata)));
	assert_false(msp_cdnskey_is_delete(msp_buf_span(&rdata)));
	msp_buf_fini(&rdata);
	rdata_of(MSP_TYPE_CDNSKEY, "0 3 0 AA==", &rdata);
	assert_true(msp_cdnskey_is_delete(msp_buf_span(&rdata)));
	assert_false(msp_cds_is_delete(msp_buf_span(&rdata)));
	msp_buf_fini(&rdata);
	rdata_of(MSP_TYPE_CDS, "0 0 0", &rdata);
	assert_false(msp_cds_is_delete(msp_buf_span(&rdata)));
	msp_buf_fini(&rdata);
	rdata_of(MSP_TYPE_CDS, "0 0 0 0000", &rdata);
	assert_false(msp_cds_is_delete(msp_buf_span(&rdata)));
	msp_buf_fini(&rdata);
}

static void rrsig_tells_where_its_signature_begins(void **state)
{
	struct msp_rrsig sig;
	struct msp_buf rdata;

	(void)state;
	ROUND_TRIP(rrsig, MSP_TYPE_RRSIG, "DNSKEY 15 2 3600 20261201000000 20261124000000 4711 Ex.ample. AQID", sig,
		   false);
	assert_int_equal(sig.covered, MSP_TYPE_DNSKEY);
	assert_int_equal(sig.labels, 2);
	assert_int_equal(sig.tag, 4711);
	assert_int_equal(sig.signature_at, 18 + 10);
	assert_memory_equal(rdata.ptr + sig.signature_at, "\1\2\3", 3);
	assert_int_equal(sig.signature.len, 3);
	T_ERR(msp_rrsig_parse(msp_span(rdata.ptr, 27), &sig), MSP_ETRUNC);
	msp_buf_fini(&rdata);
}

static void bitmaps_are_written_read_and_checked(void **state)
{
	static const uint16_t types[] = { 65535, 1, 46, 1, 257, 65280, 2, 255, 256 };
	struct msp_span bitmap;
	struct msp_wr wr;
	size_t hits = 0;

	(void)state;
	msp_wr_init(&wr, mem, sizeof(mem));
	msp_bitmap_write(&wr, types, sizeof(types) / sizeof(types[0]));
	bitmap = msp_wr_span(&wr);
	T_OK(msp_bitmap_check(bitmap));
	assert_int_equal(bitmap.len, 34 + 3 + 34);
	for (unsigned t = 0; t <= UINT16_MAX; t++)
		hits += msp_bitmap_has(bitmap, (uint16_t)t);
	assert_int_equal(hits, 8);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		assert_true(msp_bitmap_has(bitmap, types[i]));
	msp_wr_init(&wr, mem, sizeof(mem));
	msp_bitmap_write(&wr, types, 0);
	assert_int_equal(wr.pos, 0);
	T_OK(msp_bitmap_check(msp_span(NULL, 0)));
	assert_false(msp_bitmap_has(msp_span(NULL, 0), 1));
}

static void bitmaps_out_of_shape_are_refused(void **state)
{
	static const struct {
		const char *hex;
		enum msp_err err;
	} rows[] = {
		{ "00", MSP_ETRUNC },          { "0002 40", MSP_ETRUNC },          { "0000", MSP_EFORMAT },
		{ "0001 00", MSP_EFORMAT },    { "0001 40 0001 40", MSP_EFORMAT }, { "0101 40 0001 40", MSP_EFORMAT },
		{ "0001 40 0101 01", MSP_OK }, { "0002 4000", MSP_EFORMAT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct msp_buf b;

		t_hex(rows[i].hex, &b);
		T_ERR(msp_bitmap_check(msp_buf_span(&b)), rows[i].err);
		msp_buf_fini(&b);
	}
}

static void csync_dsync_and_uri_make_the_round_trip(void **state)
{
	struct msp_csync c;
	struct msp_dsync d;
	struct msp_buf rdata;
	struct msp_uri u;

	(void)state;
	ROUND_TRIP(csync, MSP_TYPE_CSYNC, "66 3 A NS AAAA", c, false);
	assert_int_equal(c.flags, MSP_CSYNC_IMMEDIATE | MSP_CSYNC_SOAMINIMUM);
	assert_true(msp_bitmap_has(c.bitmap, MSP_TYPE_AAAA));
	T_ERR(msp_csync_parse(msp_span(rdata.ptr, rdata.len - 1), &c), MSP_ETRUNC);
	msp_buf_fini(&rdata);
	ROUND_TRIP(dsync, MSP_TYPE_DSYNC, "CDS NOTIFY 5300 cds-scanner.parent.example.", d, true);
	assert_int_equal(d.rrtype, MSP_TYPE_CDS);
	assert_int_equal(d.scheme, MSP_DSYNC_NOTIFY);
	assert_int_equal(d.port, 5300);
	msp_buf_fini(&rdata);
	ROUND_TRIP(uri, MSP_TYPE_URI, "10 20 \"dns://a:5399/\"", u, false);
	assert_int_equal(u.weight, 20);
	assert_memory_equal(u.target.ptr, "dns://a:5399/", u.target.len);
	T_ERR(msp_uri_parse(msp_span(rdata.ptr, 4), &u), MSP_ETRUNC); /* an empty target is none */
	msp_buf_fini(&rdata);
}

static void svcb_parameters_are_found_and_checked(void **state)
{
	struct msp_svcb s, again;
	struct msp_buf rdata;
	struct msp_span v;
	struct msp_wr wr;

	(void)state;
	ROUND_TRIP(svcb, MSP_TYPE_SVCB, "1 . alpn=h2 port=443 ipv4hint=192.0.2.10 key65282=\"at-apex\"", s, false);
	assert_true(msp_svcb_param(&s, MSP_SVCB_PORT, &v));
	assert_memory_equal(v.ptr, "\x01\xbb", 2);
	assert_true(msp_svcb_param(&s, 65282, &v));
	assert_true(msp_span_equal(v, msp_span_str("at-apex")));
	assert_false(msp_svcb_param(&s, MSP_SVCB_ECH, &v));
	assert_true(msp_svcb_usable(&s));
	msp_wr_init(&wr, mem + 1024, 1024); /* built by hand: the same */
	msp_svcb_param_write(&wr, MSP_SVCB_ALPN, msp_span("\2h2", 3));
	msp_svcb_param_write(&wr, MSP_SVCB_PORT, msp_span("\x01\xbb", 2));
	msp_svcb_param_write(&wr, MSP_SVCB_IPV4HINT, msp_span("\xc0\x00\x02\x0a", 4));
	msp_svcb_param_write(&wr, 65282, msp_span_str("at-apex"));
	again = (struct msp_svcb){ .priority = 1, .params = msp_wr_span(&wr) };
	msp_name_root(&again.target);
	assert_true(msp_span_equal(again.params, s.params));
	msp_buf_fini(&rdata);
}

static void svcb_values_out_of_shape_are_refused(void **state)
{
	static const struct {
		const char *params;
		bool good, usable;
	} rows[] = {
		{ "", true, true },
		{ "00000002 0001 00010003 026832", true, true },
		{ "00000002 0001", true, false },          /* mandatory and absent */
		{ "00000002 ff02 ff020000", true, false }, /* mandatory and not known to RFC 9460 */
		{ "00000000", false, false },
		{ "00000001 00", false, false },
		{ "00000002 0000", false, false }, /* lists itself */
		{ "00000004 00030001", false, false },
		{ "00000004 00030003", false, false },
		{ "00010000", false, false },
		{ "00010001 00", false, false },
		{ "00010003 036832", false, false },
		{ "00020001 00", false, false },
		{ "00020000", true, true },
		{ "00030001 00", false, false },
		{ "00030003 000000", false, false },
		{ "00040003 010203", false, false },
		{ "00040000", false, false },
		{ "00060008 0102030405060708", false, false },
		{ "00030002 0001 00030002 0001", false, false },
		{ "00030002 0001 00020000", false, false },
		{ "00030002 00", false, false },
		{ "000300", false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct msp_svcb s;
		struct msp_buf b;
		char hex[128];
		enum msp_err err;

		snprintf(hex, sizeof(hex), "0001 00 %s", rows[i].params);
		t_hex(hex, &b);
		err = msp_svcb_parse(msp_buf_span(&b), &s);
		if ((err == MSP_OK) != rows[i].good)
			fail_msg("%s: %s", rows[i].params, msp_err_name(err));
		if (err == MSP_OK)
			assert_int_equal(msp_svcb_usable(&s), rows[i].usable);
		msp_buf_fini(&b);
	}
}

static void a_single_name_is_the_whole_rdata(void **state)
{
	struct msp_name n;

	(void)state;
	T_OK(msp_rdata_name_parse(msp_span("\1a", 3), &n));
	assert_string_equal(MSP_NAME(&n), "a.");
	T_ERR(msp_rdata_name_parse(msp_span("\1a\0\0", 4), &n), MSP_ETRAIL);
	T_ERR(msp_rdata_name_parse(msp_span("\1a", 2), &n), MSP_ETRUNC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(soa_makes_the_round_trip),
		cmocka_unit_test(keys_and_digests_make_the_round_trip),
		cmocka_unit_test(key_tags_match_those_of_bind),
		cmocka_unit_test(rsamd5_has_its_tag_from_the_modulus),
		cmocka_unit_test(only_the_exact_octets_are_delete_sentinels),
		cmocka_unit_test(rrsig_tells_where_its_signature_begins),
		cmocka_unit_test(bitmaps_are_written_read_and_checked),
		cmocka_unit_test(bitmaps_out_of_shape_are_refused),
		cmocka_unit_test(csync_dsync_and_uri_make_the_round_trip),
		cmocka_unit_test(svcb_parameters_are_found_and_checked),
		cmocka_unit_test(svcb_values_out_of_shape_are_refused),
		cmocka_unit_test(a_single_name_is_the_whole_rdata),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
