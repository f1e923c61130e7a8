/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/base/enc.h>
#include <msproto/base/mem.h>
#include <msproto/wire/hsync.h>
#include <msproto/wire/text.h>

static const struct msp_name root = { .len = 1 };

static const char *hex_of(struct msp_span s, struct msp_buf *b)
{
	msp_buf_init(b, 1 << 20);
	msp_hex_write(b, s);
	return msp_buf_text(b);
}

/* Text to RDATA; the hexadecimal form of it must be `want`. Then back to text, and again to the same RDATA. */
static void check_line(uint16_t type, const char *text, const char *want, const struct msp_numbers *numbers)
{
	struct msp_buf rdata, again, printed, hex;
	struct msp_why why = { "" };
	enum msp_err err;

	msp_buf_init(&rdata, MSP_RDATA_MAX);
	msp_buf_init(&again, MSP_RDATA_MAX);
	msp_buf_init(&printed, 1 << 20);
	err = msp_rdata_scan(msp_span_str(text), numbers, type, &root, &rdata, &why);
	if (err != MSP_OK)
		fail_msg("%s %s: %s (%s)", MSP_TYPE(type), text, msp_err_name(err), why.text);
	if (want != NULL && strcmp(hex_of(msp_buf_span(&rdata), &hex), want) != 0)
		fail_msg("%s %s:\n got %s\nwant %s", MSP_TYPE(type), text, msp_buf_text(&hex), want);
	if (want != NULL)
		msp_buf_fini(&hex);
	T_OK(msp_rdata_check(type, msp_buf_span(&rdata)));
	msp_rdata_print(&printed, numbers, type, msp_buf_span(&rdata));
	T_OK(printed.err);
	err = msp_rdata_scan(msp_buf_span(&printed), numbers, type, NULL, &again, &why);
	if (err != MSP_OK)
		fail_msg("%s %s printed as %s: %s (%s)", MSP_TYPE(type), text, msp_buf_text(&printed),
			 msp_err_name(err), why.text);
	if (!msp_span_equal(msp_buf_span(&rdata), msp_buf_span(&again)))
		fail_msg("%s %s printed as %s: other octets", MSP_TYPE(type), text, msp_buf_text(&printed));
	msp_buf_fini(&rdata);
	msp_buf_fini(&again);
	msp_buf_fini(&printed);
}

static uint16_t type_of(const char *mnemonic)
{
	uint16_t type = 0;

	T_OK(msp_type_from_text(msp_span_str(mnemonic), NULL, &type));
	return type;
}

/* Lines of TYPE, text and octets as another implementation has them. */
static size_t check_file(const char *path)
{
	static char line[300000];
	FILE *f = fopen(path, "r");
	size_t count = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		char *text = strchr(line, '\t'), *hex;

		if (line[0] == '#')
			continue;
		assert_non_null(text);
		*text++ = '\0';
		hex = strrchr(text, '\t');
		assert_non_null(hex);
		*hex++ = '\0';
		hex[strcspn(hex, "\n")] = '\0';
		check_line(type_of(line), text, hex, NULL);
		count++;
	}
	fclose(f);
	return count;
}

static void text_of_dnspython_gives_the_same_octets(void **state)
{
	(void)state;
	assert_true(check_file(TEST_DATA "/rr-dnspython.txt") > 150);
}

static void text_of_bind_gives_the_same_octets(void **state)
{
	(void)state;
	assert_true(check_file(TEST_DATA "/rr-bind.txt") > 130);
}

/* "[B] TYPE text => TYPEn \# len hex", some with remarks behind the type that are not presentation. */
static void vectors_of_the_protocol_notes_hold(void **state)
{
	char line[2048];
	FILE *f = fopen(TEST_DATA "/vectors/rr.txt", "r");
	size_t count = 0;

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		struct msp_numbers numbers = msp_numbers_default;
		char *arrow = strstr(line, "=>"), *text = line + 4, *generic, *hex;
		struct msp_buf want, printed, digits;
		uint16_t type;

		if (line[0] == '#')
			continue;
		count++;
		assert_non_null(arrow);
		*arrow = '\0';
		generic = strstr(arrow + 1, "\\#");
		hex = strrchr(generic, ' ') + 1;
		hex[strcspn(hex, "\n")] = '\0';
		msp_buf_init(&want, MSP_RDATA_MAX);
		msp_buf_init(&printed, 4096);
		T_OK(msp_type_from_text(msp_span(arrow + 3, strcspn(arrow + 3, " ")), NULL, &type));
		T_OK(msp_rdata_scan(msp_span_str(generic), NULL, type, NULL, &want, NULL));
		if (strncmp(text, "HSYNC (compat", 13) == 0) {
			struct msp_hsync h;

			text = strchr(text, ')') + 2;
			T_OK(msp_hsync_parse(msp_buf_span(&want), false, &h));
			assert_false(msp_hsync_valid(&h));
			numbers.hsync_compat_zero = true;
			msp_rdata_print(&printed, &numbers, type, msp_buf_span(&want));
			assert_true(strncmp(text, msp_buf_text(&printed), printed.len) == 0);
			T_OK(msp_hsync_parse(msp_buf_span(&want), true, &h));
			assert_true(msp_hsync_valid(&h));
			assert_int_equal(h.sign, MSP_HSYNC_NO);
		} else if (strncmp(text, "HSYNC3", 6) == 0) {
			msp_rdata_print(&printed, &numbers, type, msp_buf_span(&want));
			assert_string_equal(msp_buf_text(&printed), "ON netnod agent.netnod.se. .");
		} else if (strncmp(text, "HSYNCPARAM", 10) == 0) {
			bool reference = strstr(text, "reference") != NULL;

			T_OK(msp_hsyncparam_print(&printed, msp_buf_span(&want), reference));
			assert_string_equal(msp_buf_text(&printed),
					    reference ? "nsmgmt=\"agent\" servers=\"fox,hare\" signers=\"fox\" pubkey"
						      : "servers=\"fox,hare\" signers=\"fox\" nsmgmt=\"agent\" pubkey");
		} else if (strstr(text, "000102..1f") != NULL) {
			check_line(type, "3 1 1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
				   hex_of(msp_buf_span(&want), &digits), NULL);
			msp_buf_fini(&digits);
		} else {
			assert_int_equal(strncmp(text, "HSYNC ", 6) == 0 ? MSP_TYPE_HSYNC_DEFAULT : type, type);
			check_line(type, strchr(text, ' '), hex, NULL);
		}
		msp_buf_fini(&want);
		msp_buf_fini(&printed);
	}
	fclose(f);
	assert_int_equal(count, 19);
}

/* One text for every row of the registry; want NULL: only that it comes back. */
static const struct {
	const char *type, *text, *hex;
} samples[] = {
	{ "A", "192.0.2.1", "c0000201" },
	{ "NS", "ns.example.", NULL },
	{ "MD", "m.example.", NULL },
	{ "MF", "m.example.", NULL },
	{ "CNAME", "c.example.", NULL },
	{ "SOA", "a. b. 1 2 3 4 5",
	  "016100016200"
	  "0000000100000002000000030000000400000005" },
	{ "MB", "m.example.", NULL },
	{ "MG", "m.example.", NULL },
	{ "MR", "m.example.", NULL },
	{ "NULL", "\\# 3 abcdef", "abcdef" },
	{ "WKS", "\\# 7 c0000201060102", NULL },
	{ "PTR", "p.example.", NULL },
	{ "HINFO", "a b", "01610162" },
	{ "MINFO", "a. b.", "016100016200" },
	{ "MX", "10 a.", "000a016100" },
	{ "TXT", "\"a b\"\"c\" d",
	  "036120620163"
	  "0164" },
	{ "RP", "a. b.", NULL },
	{ "AFSDB", "1 a.", NULL },
	{ "X25", "311061700956", NULL },
	{ "ISDN", "\"150862028003217\" \"004\"", NULL },
	{ "RT", "1 a.", NULL },
	{ "NSAP", "0x47.0005", "470005" },
	{ "NSAP-PTR", "a.", NULL },
	{ "SIG", "TYPE0 15 0 0 20261124041015 20261124040301 22135 child.parent.example. AQID", NULL },
	{ "KEY", "512 3 15 AQID", "0200030f010203" },
	{ "PX", "1 a. b.", NULL },
	{ "GPOS", "1 2 3", NULL },
	{ "AAAA", "2001:db8::1", NULL },
	{ "LOC", "\\# 16 00121613917feb8a80000000009895d0", NULL },
	{ "NXT", "\\# 4 01610040", NULL },
	{ "EID", "\\# 2 0102", NULL },
	{ "NIMLOC", "\\# 2 0102", NULL },
	{ "SRV", "1 2 3 a.", NULL },
	{ "ATMA", "\\# 3 013132", NULL },
	{ "NAPTR", "1 2 a b c .", NULL },
	{ "KX", "1 a.", NULL },
	{ "CERT", "PGP 1 ED25519 AQID", "000300010f010203" },
	{ "A6", "\\# 12 400000000000000000016100", NULL },
	{ "DNAME", "a.", NULL },
	{ "SINK", "\\# 3 010203", NULL },
	{ "OPT", "\\# 8 fdea000401020304", NULL },
	{ "APL", "1:192.168.32.0/21 !2:2001:db8::/32",
	  "00011503c0a82000022084"
	  "20010db8" },
	{ "DS", "1 RSASHA256 2 00", "0001080200" },
	{ "SSHFP", "1 2 00", NULL },
	{ "IPSECKEY", "10 3 2 gw.example. AQID", NULL },
	{ "RRSIG", "DNSKEY 13 2 3600 20261201000000 20261124000000 1 example. AQID", NULL },
	{ "NSEC", "b.example. A TYPE65282 URI", NULL },
	{ "DNSKEY", "257 3 ( 13 ; comment )\n AQ ID )", "0101030d010203" },
	{ "DHCID", "AQID", NULL },
	{ "NSEC3", "1 0 0 - 00 A", NULL },
	{ "NSEC3PARAM", "1 0 5 ab", "0100000501ab" },
	{ "TLSA", "3 1 1 00", NULL },
	{ "SMIMEA", "3 1 1 00", NULL },
	{ "HIP", "2 2001 AQID a. b.",
	  "02020003200101020301610001"
	  "6200" },
	{ "NINFO", "a", NULL },
	{ "RKEY", "0 3 8 AQID", NULL },
	{ "TALINK", "a. b.", NULL },
	{ "CDS", "0 0 0 00", "0000000000" },
	{ "CDNSKEY", "0 3 0 AA==", "0000030000" },
	{ "OPENPGPKEY", "AQID", NULL },
	{ "CSYNC", "66 3 A NS AAAA", "000000420003000460000008" },
	{ "ZONEMD", "1 1 1 00", NULL },
	{ "SVCB", "1 . port=1", NULL },
	{ "HTTPS", "1 . alpn=h2", NULL },
	{ "DSYNC", "ANY UPDATE 5302 a.", "00ff0214b6016100" },
	{ "SPF", "a", NULL },
	{ "UINFO", "\\# 1 01", NULL },
	{ "UID", "\\# 1 01", NULL },
	{ "GID", "\\# 1 01", NULL },
	{ "UNSPEC", "\\# 1 01", NULL },
	{ "NID", "1 0014:4fff:ff20:ee64", NULL },
	{ "L32", "1 10.0.0.1", NULL },
	{ "L64", "1 2001:0db8:1140:1000", NULL },
	{ "LP", "1 a.", NULL },
	{ "EUI48", "00-00-5e-00-53-2a", NULL },
	{ "EUI64", "00-00-5e-ef-10-00-00-2a", NULL },
	{ "TKEY", "gss. 20260101000000 20260102000000 3 0 3 AQID 0", NULL },
	{ "TSIG", "hmac-sha256. 1795493971 300 3 AQID 4711 0 0", NULL },
	{ "IXFR", "\\# 1 01", NULL },
	{ "AXFR", "\\# 1 01", NULL },
	{ "MAILB", "\\# 1 01", NULL },
	{ "MAILA", "\\# 1 01", NULL },
	{ "ANY", "\\# 1 01", NULL },
	{ "URI", "10 1 \"https://a.example/\"", NULL },
	{ "CAA", "0 issue \"ca.example\"", NULL },
	{ "AVC", "a", NULL },
	{ "DOA", "0 1 2 \"text/plain\" AQID", NULL },
	{ "AMTRELAY", "10 1 2 2001:db8::15", NULL },
	{ "RESINFO", "qnamemin", NULL },
	{ "WALLET", "a b", NULL },
	{ "TA", "1 8 2 00", NULL },
	{ "DLV", "1 8 2 00", NULL },
};

static void every_row_of_the_registry_makes_the_round_trip(void **state)
{
	const struct msp_type_row *rows;
	size_t count = msp_type_rows(&rows);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		size_t hits = 0;

		for (size_t k = 0; k < sizeof(samples) / sizeof(samples[0]); k++) {
			if (strcmp(samples[k].type, rows[i].name) != 0)
				continue;
			hits++;
			assert_int_equal(type_of(samples[k].type), rows[i].type);
			check_line(rows[i].type, samples[k].text, samples[k].hex, NULL);
		}
		if (hits == 0)
			fail_msg("no sample for %s", rows[i].name);
	}
}

static void equivalent_texts_give_one_value(void **state)
{
	static const struct {
		const char *type, *text, *hex;
	} rows[] = {
		{ "TXT", "a\\ b", "03612062" },
		{ "TXT", "\"a\\\"b\"", "03612262" },
		{ "TXT", "\\097\\\\", "02615c" },
		{ "TXT", "\"\"", "00" },
		{ "TXT", "a ; not this", "0161" },
		{ "TXT", "\"a;b\"", "03613b62" },
		{ "TXT", "( a\n b\n ) c", "016101620163" },
		{ "TXT", "a\n\n  ; end", "0161" },
		{ "TXT", "\"\\#\" 1", "01230131" },
		{ "A", "\\# 4 c0 00 ( 02\n01 )", "c0000201" },
		{ "A", "\\# 4 C0000201", "c0000201" },
		{ "SVCB", "1 . port=\"53\"",
		  "0001000003"
		  "00020035" },
		{ "SVCB", "1 . key3=\\000\\053",
		  "0001000003"
		  "00020035" },
		{ "SVCB", "1 . ipv4hint=1.2.3.4 alpn=\"a\" mandatory=ipv4hint,alpn",
		  "000100"
		  "0000000400010004"
		  "000100020161"
		  "0004000401020304" },
		{ "SVCB", "1 . BOOTSTRAP=x", "000100ff02000178" },
		{ "SVCB", "1 . alpn=\"a\\\\,b\"",
		  "000100"
		  "0001000403612c62" },
		{ "RRSIG", "A 5 1 1h 19700101000001 2 3 . AQID",
		  "00010501"
		  "00000e10"
		  "00000001"
		  "00000002"
		  "0003"
		  "00"
		  "010203" },
		{ "NSEC3PARAM", "1 0 0 -", "0100000000" },
		{ "CAA", "0 issue \"\"", "00056973737565" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_line(type_of(rows[i].type), rows[i].text, rows[i].hex, NULL);
}

static void wrong_text_is_refused_with_a_reason(void **state)
{
	static const struct {
		const char *type, *text;
		enum msp_err err;
	} rows[] = {
		{ "A", "", MSP_EFORMAT },
		{ "A", "1.2.3", MSP_EVALUE },
		{ "A", "1.2.3.4 5", MSP_EFORMAT },
		{ "A", "::1", MSP_EVALUE },
		{ "A", "\\# 3 010203", MSP_EFORMAT },
		{ "A", "\\# 4 010203", MSP_EFORMAT },
		{ "A", "\\# 4 0102030", MSP_EFORMAT },
		{ "A", "\\# 4 0102030g", MSP_EFORMAT },
		{ "A", "\\# x 01", MSP_EFORMAT },
		{ "A", "\\# 65536 00", MSP_EFORMAT },
		{ "A", "\\#", MSP_EFORMAT },
		{ "MX", "65536 a.", MSP_EVALUE },
		{ "MX", "-1 a.", MSP_EVALUE },
		{ "MX", "1 a..b", MSP_ENAME },
		{ "TXT", "", MSP_EFORMAT },
		{ "TXT", "\"a", MSP_EFORMAT },
		{ "TXT", "a\\", MSP_EFORMAT },
		{ "TXT", "\\300", MSP_EFORMAT },
		{ "TXT", "( a", MSP_EFORMAT },
		{ "TXT", "a )", MSP_EFORMAT },
		{ "TXT", "a\nb", MSP_EFORMAT },
		{ "DS", "1 NOSUCH 2 00", MSP_EVALUE },
		{ "DS", "1 8 2 0", MSP_EFORMAT },
		{ "DNSKEY", "257 3 8 A", MSP_EFORMAT },
		{ "CSYNC", "1 3 A NOSUCH", MSP_EVALUE },
		{ "RRSIG", "A 5 1 1 20261301000000 0 3 . AQID", MSP_EVALUE },
		{ "RRSIG", "A 5 1 1 20270229000000 0 3 . AQID", MSP_EVALUE },
		{ "SVCB", "1 . port=1 port=2", MSP_EFORMAT },
		{ "SVCB", "1 . port=65536", MSP_EVALUE },
		{ "SVCB", "1 . port", MSP_EVALUE },
		{ "SVCB", "1 . alpn=\"h2,\"", MSP_EVALUE },
		{ "SVCB", "1 . no-default-alpn=x", MSP_EVALUE },
		{ "SVCB", "1 . nosuch=1", MSP_EVALUE },
		{ "SVCB", "1 . key65536=1", MSP_EVALUE },
		{ "SVCB", "1 . ipv4hint=::1", MSP_EVALUE },
		{ "SVCB", "1 . mandatory=mandatory", MSP_EVALUE },
		{ "EUI48", "00-00-5e-00-53", MSP_EFORMAT },
		{ "EUI48", "00:00:5e:00:53:2a", MSP_EFORMAT },
		{ "APL", "3:1.2.3.4/8", MSP_EFORMAT },
		{ "APL", "1:1.2.3.4/33", MSP_EVALUE },
		{ "NULL", "abc", MSP_EFORMAT },
		{ "HSYNC", "ON AGENT YES", MSP_EFORMAT },
		{ "HSYNC", "ON AGENT MAYBE a.", MSP_EVALUE },
		{ "HSYNC", "0 AGENT YES a.", MSP_EVALUE },
		{ "HSYNC", "ON AGENT YES a. b. c.", MSP_EFORMAT },
		{ "HSYNC", "\\# 2 0101", MSP_EFORMAT },
		{ "HSYNC3", "ON a b. .", MSP_EFORMAT },
		{ "TYPE4711", "abc", MSP_EFORMAT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct msp_why why = { "" };
		struct msp_buf out;
		enum msp_err err;

		msp_buf_init(&out, MSP_RDATA_MAX);
		err = msp_rdata_scan(msp_span_str(rows[i].text), NULL, type_of(rows[i].type), &root, &out, &why);
		if (err != rows[i].err || why.text[0] == '\0')
			fail_msg("%s %s: got %s (%s), wanted %s", rows[i].type, rows[i].text, msp_err_name(err),
				 why.text, msp_err_name(rows[i].err));
		msp_buf_fini(&out);
	}
}

static void octets_without_a_faithful_text_come_out_in_generic_form(void **state)
{
	static const struct {
		uint16_t type;
		const char *hex;
	} rows[] = {
		{ 1, "010203" },
		{ 16, "" },
		{ 47, "00000101"
		      "00" }, /* bitmap with a zero at its end */
		{ 64, "00010000030001aa" },
		/* port of one octet */
		{ 64, "0001000005"
		      "0000" },
		{ 257, "00026120"
		       "78" },
		/* tag with a space */
		{ 42, "000108010000"
		      "0000" },
		{ 42, "00010802"
		      "0a00" },
		{ 45, "0a0402"
		      "aabb" },
		{ 65282, "0101" },
		{ 65286, "000200000001" },
		{ 65286, "" },
		{ 4711, "00" },
		{ 55, "00010000" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct msp_buf rdata, out;

		t_hex(rows[i].hex, &rdata);
		msp_buf_init(&out, 4096);
		msp_buf_add_str(&out, "> ");
		msp_rdata_print(&out, NULL, rows[i].type, msp_buf_span(&rdata));
		if (strncmp(msp_buf_text(&out), "> \\# ", 5) != 0)
			fail_msg("%s %s printed as %s", MSP_TYPE(rows[i].type), rows[i].hex, msp_buf_text(&out));
		msp_buf_fini(&rdata);
		msp_buf_fini(&out);
	}
}

static void records_are_read_and_printed(void **state)
{
	static const struct {
		const char *line, *want;
	} rows[] = {
		{ "example. 3600 IN A 192.0.2.1", "example. 3600 IN A 192.0.2.1" },
		{ "www A 192.0.2.1", "www.origin. 300 IN A 192.0.2.1" },
		{ "@ IN 60 MX 10 mail", "@ 60 IN MX 10 mail.origin." },
		{ "a. 1h CH TXT \"x\"", "a. 3600 CH TXT \"x\"" },
		{ "a. CLASS1 TYPE1 \\# 4 01020304", "a. 300 IN A 1.2.3.4" },
		{ "a. 0 NONE A 1.2.3.4", "a. 0 NONE A 1.2.3.4" },
		{ "a. 0 ANY NS", "a. 0 ANY NS \\# 0" },
		{ "a. 0 ANY NS \\# 0", "a. 0 ANY NS \\# 0" },
		{ "a. hsync on agent yes msa", "a. 300 IN HSYNC ON AGENT YES msa.origin." },
		{ "a. TYPE65282 \\# 6 010101016100", "a. 300 IN HSYNC ON OWNER YES a." },
		{ "a. TYPE4711 \\# 0", "a. 300 IN TYPE4711 \\# 0" },
		{ "a. IN ( SOA ns hm\n 1 ; serial\n 2 3\n 4 5 )", "a. 300 IN SOA ns.origin. hm.origin. 1 2 3 4 5" },
		{ "a. CH A \\# 4 00000001", "a. 300 CH A \\# 4 00000001" },
		{ "\"a b\". A 1.2.3.4", NULL },
		{ "", NULL },
		{ "a.", NULL },
		{ "a. 300", NULL },
		{ "a. 300 IN", NULL },
		{ "a. 4294967296 A 1.2.3.4", NULL },
		{ "a. IN IN A 1.2.3.4", NULL },
		{ "a. A", NULL },
		{ "a..b. A 1.2.3.4", NULL },
	};
	struct msp_name origin = t_name("origin.");

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct msp_why why = { "" };
		struct msp_buf rdata, out;
		struct msp_rr rr;
		enum msp_err err;

		msp_buf_init(&rdata, MSP_RDATA_MAX);
		msp_buf_init(&out, 4096);
		err = msp_rr_scan(msp_span_str(rows[i].line), NULL, &origin, 300, &rdata, &rr, &why);
		if ((err == MSP_OK) != (rows[i].want != NULL))
			fail_msg("%s: %s %s", rows[i].line, msp_err_name(err), why.text);
		if (err == MSP_OK) {
			msp_rr_print(&out, NULL, &rr);
			if (rows[i].want[0] == '@')
				assert_string_equal(msp_buf_text(&out) + 7, rows[i].want + 1);
			else
				assert_string_equal(msp_buf_text(&out), rows[i].want);
		} else {
			assert_true(why.text[0] != '\0');
		}
		msp_buf_fini(&rdata);
		msp_buf_fini(&out);
	}
}

static void hsync_number_comes_from_the_settings(void **state)
{
	struct msp_numbers numbers = msp_numbers_default;
	struct msp_buf out, rdata;
	struct msp_rr rr;

	(void)state;
	numbers.type_hsync = 3997;
	msp_buf_init(&rdata, MSP_RDATA_MAX);
	msp_buf_init(&out, 4096);
	T_OK(msp_rr_scan(msp_span_str("a. HSYNC ON AGENT NO b."), &numbers, NULL, 1, &rdata, &rr, NULL));
	assert_int_equal(rr.type, 3997);
	msp_rr_print(&out, &numbers, &rr);
	assert_string_equal(msp_buf_text(&out), "a. 1 IN HSYNC ON AGENT NO b.");
	msp_buf_reset(&out);
	msp_rr_print(&out, NULL, &rr);
	assert_string_equal(msp_buf_text(&out), "a. 1 IN TYPE3997 \\# 6 010202016200");
	msp_buf_fini(&rdata);
	msp_buf_fini(&out);
}

static void a_txt_of_64_kib_makes_the_round_trip(void **state)
{
	static uint8_t oct[65535];
	struct msp_buf text, back;

	(void)state;
	for (size_t i = 0; i < sizeof(oct); i++)
		oct[i] = i % 256 == 0 ? 255 : (uint8_t)(0x80 | i);
	oct[65280] = 254;
	T_OK(msp_rdata_check(MSP_TYPE_TXT, msp_span(oct, sizeof(oct))));
	msp_buf_init(&text, 1 << 20);
	msp_buf_init(&back, MSP_RDATA_MAX);
	msp_rdata_print(&text, NULL, MSP_TYPE_TXT, msp_span(oct, sizeof(oct)));
	T_OK(msp_rdata_scan(msp_buf_span(&text), NULL, MSP_TYPE_TXT, NULL, &back, NULL));
	assert_int_equal(back.len, sizeof(oct));
	assert_memory_equal(back.ptr, oct, sizeof(oct));
	msp_buf_add_str(&text, " x");
	T_ERR(msp_rdata_scan(msp_buf_span(&text), NULL, MSP_TYPE_TXT, NULL, &back, NULL), MSP_ELIMIT);
	msp_buf_fini(&text);
	msp_buf_fini(&back);
}

static void scanning_survives_every_allocation_failure(void **state)
{
	static const char text[] =
		"1 . alpn=\"a,b\" key700=abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefgh "
		"mandatory=alpn port=1";
	(void)state;
	for (size_t n = 1;; n++) {
		struct msp_buf out;
		enum msp_err err;
		bool failed;

		msp_buf_init(&out, MSP_RDATA_MAX);
		msp_mem_fail_at(n);
		err = msp_rdata_scan(msp_span_str(text), NULL, MSP_TYPE_SVCB, NULL, &out, NULL);
		failed = msp_mem_failed();
		msp_mem_fail_at(0);
		msp_buf_fini(&out);
		assert_int_equal(err, failed ? MSP_ENOMEM : MSP_OK);
		if (!failed) {
			assert_true(n > 2);
			break;
		}
	}
}

static void times_follow_the_calendar(void **state)
{
	static const struct {
		const char *text;
		uint32_t t;
	} rows[] = {
		{ "19700101000000", 0 },          { "19991231235959", 946684799 },  { "20000229000000", 951782400 },
		{ "20240229120000", 1709208000 }, { "20261124040301", 1795492981 }, { "21000301000000", 4107542400 },
		{ "21060207062815", 4294967295 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[128], want[128];

		snprintf(text, sizeof(text), "A 5 1 0 %s 0 0 . AQID", rows[i].text);
		snprintf(want, sizeof(want), "0001050100000000%08x00000000000000010203", rows[i].t);
		check_line(MSP_TYPE_RRSIG, text, want, NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_of_dnspython_gives_the_same_octets),
		cmocka_unit_test(text_of_bind_gives_the_same_octets),
		cmocka_unit_test(vectors_of_the_protocol_notes_hold),
		cmocka_unit_test(every_row_of_the_registry_makes_the_round_trip),
		cmocka_unit_test(equivalent_texts_give_one_value),
		cmocka_unit_test(wrong_text_is_refused_with_a_reason),
		cmocka_unit_test(octets_without_a_faithful_text_come_out_in_generic_form),
		cmocka_unit_test(records_are_read_and_printed),
		cmocka_unit_test(hsync_number_comes_from_the_settings),
		cmocka_unit_test(a_txt_of_64_kib_makes_the_round_trip),
		cmocka_unit_test(scanning_survives_every_allocation_failure),
		cmocka_unit_test(times_follow_the_calendar),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
