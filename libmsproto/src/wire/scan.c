/* SPDX-License-Identifier: BSD-2-Clause */
/* RDATA from text, by layout. Any order and spelling that zone files use is taken; the wire form is checked at the end.
 */
#include <msproto/base/addr.h>
#include <msproto/base/enc.h>
#include <msproto/wire/rdata.h>

#include "wire/layout.h"
#include "wire/scan.h"

#include <string.h>

#define TEXT_CAP ((size_t)4 * MSP_RDATA_MAX + 64) /* the longest text of the longest field: every octet as \DDD */

enum msp_err msp_scan_fail(const struct scan *sc, enum msp_err err, const char *what, struct msp_span s)
{
	char shown[48];
	size_t n = s.len < sizeof(shown) - 1 ? s.len : sizeof(shown) - 1;

	for (size_t i = 0; i < n; i++)
		shown[i] = s.ptr[i] >= ' ' && s.ptr[i] < 0x7F ? (char)s.ptr[i] : '?';
	shown[n] = '\0';
	return msp_fail(sc->w->why, err, "%s: \"%s\"", what, shown);
}

static enum msp_err need(struct scan *sc, struct msp_word *word)
{
	bool got;
	enum msp_err err = msp_words_next(sc->w, word, &got);

	if (err == MSP_OK && !got)
		err = msp_fail(sc->w->why, MSP_EFORMAT, "a field is missing at the end");
	return err;
}

void msp_scan_put(struct scan *sc, uint64_t v, size_t octets)
{
	for (size_t i = octets; i-- > 0;)
		msp_buf_add_u8(sc->out, (uint8_t)(v >> 8 * i));
}

void msp_scan_patch(struct scan *sc, size_t at, size_t octets, size_t v)
{
	if (sc->out->err != MSP_OK)
		return;
	for (size_t i = octets; i-- > 0; v >>= 8)
		sc->out->ptr[at + i] = (uint8_t)v;
}

enum msp_err msp_scan_unescape(struct scan *sc, struct msp_span s, struct msp_buf *out)
{
	for (size_t pos = 0; pos < s.len && out->err == MSP_OK;) {
		uint8_t c;
		size_t used = msp_unescape(msp_span(s.ptr + pos, s.len - pos), &c);

		if (used == 0)
			return msp_scan_fail(sc, MSP_EFORMAT, "bad escape", s);
		msp_buf_add_u8(out, c);
		pos += used;
	}
	return out->err;
}

/* All words up to the end, joined. */
static enum msp_err join_rest(struct scan *sc)
{
	struct msp_word word;
	bool got = true;

	msp_buf_reset(&sc->tmp);
	while (got) {
		enum msp_err err = msp_words_next(sc->w, &word, &got);

		if (err != MSP_OK)
			return err;
		if (got)
			msp_buf_add_span(&sc->tmp, word.s);
	}
	return sc->tmp.err;
}

/* ---- single fields ---- */

enum msp_err msp_scan_number(struct scan *sc, struct msp_span s, size_t octets)
{
	uint64_t max = octets == 8 ? UINT64_MAX : ((uint64_t)1 << 8 * octets) - 1, v;
	uint32_t period;

	if (msp_u64_parse(s, max, &v) != MSP_OK) {
		if (octets != 4 || msp_period_scan(s, &period) != MSP_OK) /* SOA timers may be written as 1h30m */
			return msp_scan_fail(sc, MSP_EVALUE, "not a number that fits", s);
		v = period;
	}
	msp_scan_put(sc, v, octets);
	return MSP_OK;
}

static enum msp_err scan_code(struct scan *sc, struct msp_span s, char letter)
{
	static const struct msp_code algorithms[] = {
		{ "DELETE", 0 },           { "RSAMD5", 1 },           { "DH", 2 },           { "DSA", 3 },
		{ "RSASHA1", 5 },          { "NSEC3DSA", 6 },         { "DSANSEC3SHA1", 6 }, { "NSEC3RSASHA1", 7 },
		{ "RSASHA1NSEC3SHA1", 7 }, { "RSASHA256", 8 },        { "RSASHA512", 10 },   { "ECCGOST", 12 },
		{ "ECDSAP256SHA256", 13 }, { "ECDSAP384SHA384", 14 }, { "ED25519", 15 },     { "ED448", 16 },
		{ "INDIRECT", 252 },       { "PRIVATEDNS", 253 },     { "PRIVATEOID", 254 },
	};
	static const struct msp_code certs[] = {
		{ "PKIX", 1 }, { "SPKI", 2 },   { "PGP", 3 },     { "IPKIX", 4 }, { "ISPKI", 5 },
		{ "IPGP", 6 }, { "ACPKIX", 7 }, { "IACPKIX", 8 }, { "URI", 253 }, { "OID", 254 },
	};
	const struct msp_code schemes[] = {
		{ "NOTIFY", MSP_DSYNC_NOTIFY },
		{ "UPDATE", sc->numbers->dsync_update },
		{ "SCANNER", sc->numbers->dsync_scanner },
		{ "API", sc->numbers->dsync_api },
	};
	enum msp_err err;
	unsigned v = 0;

	if (letter == 'g')
		err = msp_code_scan(s, algorithms, sizeof(algorithms) / sizeof(algorithms[0]), UINT8_MAX, &v);
	else if (letter == 'c')
		err = msp_code_scan(s, certs, sizeof(certs) / sizeof(certs[0]), UINT16_MAX, &v);
	else
		err = msp_code_scan(s, schemes, sizeof(schemes) / sizeof(schemes[0]), UINT8_MAX, &v);
	if (err != MSP_OK)
		return msp_scan_fail(sc, err, "neither a known mnemonic nor a number", s);
	msp_scan_put(sc, v, letter == 'c' ? 2 : 1);
	return MSP_OK;
}

static enum msp_err scan_type(struct scan *sc, struct msp_span s)
{
	uint16_t type = 0; /* BIND writes the 0 of a SIG(0) as "0" */

	if (!msp_span_is(s, "0") && msp_type_from_text(s, sc->numbers, &type) != MSP_OK)
		return msp_scan_fail(sc, MSP_EVALUE, "not an RR type", s);
	msp_scan_put(sc, type, 2);
	return MSP_OK;
}

static enum msp_err scan_time(struct scan *sc, struct msp_span s)
{
	uint32_t t;

	if (msp_time_scan(s, &t) != MSP_OK)
		return msp_scan_fail(sc, MSP_EVALUE, "not a time", s);
	msp_scan_put(sc, t, 4);
	return MSP_OK;
}

/* @param size 4 or 16: the family wanted. Puts no more than `keep` octets. */
static enum msp_err address(struct scan *sc, struct msp_span s, size_t size, struct msp_addr *out)
{
	char text[48];

	if (s.len >= sizeof(text))
		return msp_scan_fail(sc, MSP_EVALUE, "not an address", s);
	memcpy(text, s.ptr, s.len);
	text[s.len] = '\0';
	if (strlen(text) != s.len || msp_addr_parse(text, 0, out) != MSP_OK ||
	    out->family != (size == 4 ? MSP_FAMILY_V4 : MSP_FAMILY_V6))
		return msp_scan_fail(sc, MSP_EVALUE, "not an address of the right family", s);
	return MSP_OK;
}

enum msp_err msp_scan_address(struct scan *sc, struct msp_span s, size_t size)
{
	struct msp_addr a;
	enum msp_err err = address(sc, s, size, &a);

	if (err == MSP_OK)
		msp_buf_add(sc->out, a.oct, size);
	return err;
}

static enum msp_err scan_name(struct scan *sc, struct msp_span s)
{
	struct msp_name n;

	if (msp_name_from_text_rel(s, sc->origin, &n) != MSP_OK)
		return msp_scan_fail(sc, MSP_ENAME, "not a domain name, or relative without an origin", s);
	msp_buf_add_span(sc->out, msp_name_span(&n));
	return MSP_OK;
}

static enum msp_err scan_string(struct scan *sc, struct msp_span s)
{
	size_t at = sc->out->len;
	enum msp_err err;

	msp_scan_put(sc, 0, 1);
	err = msp_scan_unescape(sc, s, sc->out);
	if (err != MSP_OK)
		return err;
	if (sc->out->len - at - 1 > UINT8_MAX)
		return msp_scan_fail(sc, MSP_EVALUE, "string over 255 octets", s);
	msp_scan_patch(sc, at, 1, sc->out->len - at - 1);
	return MSP_OK;
}

/* EUI-48 and EUI-64: aa-bb-cc-.. */
static enum msp_err scan_eui(struct scan *sc, struct msp_span s, size_t octets)
{
	if (s.len != 3 * octets - 1)
		return msp_scan_fail(sc, MSP_EFORMAT, "wrong length", s);
	for (size_t pos = 0; pos < s.len; pos += 3)
		if (msp_hex_parse(msp_span(s.ptr + pos, 2), sc->out) != MSP_OK ||
		    (pos + 2 < s.len && s.ptr[pos + 2] != '-'))
			return msp_scan_fail(sc, MSP_EFORMAT, "not pairs of base16 digits with dashes", s);
	return MSP_OK;
}

/* NID and L64 (RFC 6742 2.1): four groups of up to four digits; leading zeros are often left out. */
static enum msp_err scan_locator(struct scan *sc, struct msp_span s)
{
	size_t pos = 0;

	for (unsigned group = 0; group < 4; group++) {
		uint8_t digits[4] = "0000";
		size_t n = 0;

		while (pos + n < s.len && s.ptr[pos + n] != ':')
			n++;
		if (n == 0 || n > 4)
			return msp_scan_fail(sc, MSP_EFORMAT, "not four groups of base16 digits", s);
		memcpy(digits + 4 - n, s.ptr + pos, n);
		pos += n;
		if (msp_hex_parse(msp_span(digits, 4), sc->out) != MSP_OK || (group < 3) != (pos < s.len))
			return msp_scan_fail(sc, MSP_EFORMAT, "not four groups of base16 digits", s);
		pos++;
	}
	return MSP_OK;
}

enum msp_err msp_scan_encoded(struct scan *sc, struct msp_span s, msp_scan_decoder parse)
{
	enum msp_err err = parse(s, sc->out);

	if (err == MSP_EFORMAT || err == MSP_EVALUE)
		return msp_scan_fail(sc, MSP_EFORMAT, "not well encoded", s);
	return err;
}

/* Behind a length octet; "-" is empty. */
static enum msp_err scan_short(struct scan *sc, struct msp_span s, msp_scan_decoder parse)
{
	size_t at = sc->out->len;
	enum msp_err err = MSP_OK;

	msp_scan_put(sc, 0, 1);
	if (!msp_span_is(s, "-"))
		err = msp_scan_encoded(sc, s, parse);
	if (err != MSP_OK)
		return err;
	if (sc->out->len - at - 1 > UINT8_MAX)
		return msp_scan_fail(sc, MSP_EVALUE, "over 255 octets", s);
	msp_scan_patch(sc, at, 1, sc->out->len - at - 1);
	return MSP_OK;
}

/* TSIG and TKEY: length, then Base64 if that is not 0. */
static enum msp_err scan_counted(struct scan *sc, struct msp_span s)
{
	size_t at = sc->out->len;
	struct msp_word word;
	enum msp_err err;
	uint64_t n;

	if (msp_u64_parse(s, UINT16_MAX, &n) != MSP_OK)
		return msp_scan_fail(sc, MSP_EVALUE, "not a length", s);
	msp_scan_put(sc, n, 2);
	if (n == 0)
		return MSP_OK;
	err = need(sc, &word);
	if (err == MSP_OK)
		err = msp_scan_encoded(sc, word.s, msp_b64_parse);
	if (err == MSP_OK && sc->out->err == MSP_OK && sc->out->len - at - 2 != n)
		err = msp_scan_fail(sc, MSP_EFORMAT, "length and octets differ", s);
	return err;
}

static enum msp_err scan_gateway(struct scan *sc, struct msp_span s, unsigned kind)
{
	switch (kind) {
	case 0:
		return msp_span_is(s, ".") ? MSP_OK
					   : msp_scan_fail(sc, MSP_EVALUE, "gateway of type 0 must be \".\"", s);
	case 1:
		return msp_scan_address(sc, s, 4);
	case 2:
		return msp_scan_address(sc, s, 16);
	case 3:
		return scan_name(sc, s);
	default:
		return msp_scan_fail(sc, MSP_EVALUE, "gateway type without a text form", s);
	}
}

/* AMTRELAY: D bit and type are two words in text and one octet on the wire (RFC 8777 4.3.1). */
static enum msp_err scan_relay_type(struct scan *sc, struct msp_span s)
{
	struct msp_word word;
	enum msp_err err;
	uint64_t d, kind;

	if (msp_u64_parse(s, 1, &d) != MSP_OK)
		return msp_scan_fail(sc, MSP_EVALUE, "not 0 or 1", s);
	err = need(sc, &word);
	if (err != MSP_OK)
		return err;
	if (msp_u64_parse(word.s, 0x7F, &kind) != MSP_OK)
		return msp_scan_fail(sc, MSP_EVALUE, "not a relay type", word.s);
	msp_scan_put(sc, d << 7 | kind, 1);
	return MSP_OK;
}

static enum msp_err scan_hip(struct scan *sc, struct msp_span s)
{
	size_t at = sc->out->len, hit;
	struct msp_word word;
	enum msp_err err;
	uint64_t alg;

	if (msp_u64_parse(s, UINT8_MAX, &alg) != MSP_OK)
		return msp_scan_fail(sc, MSP_EVALUE, "not an algorithm number", s);
	msp_scan_put(sc, alg, 4); /* lengths of HIT and key are filled in: len(1) alg(1) len(2) */
	err = need(sc, &word);
	if (err == MSP_OK)
		err = msp_scan_encoded(sc, word.s, msp_hex_parse);
	if (err != MSP_OK)
		return err;
	hit = sc->out->len - at - 4;
	err = need(sc, &word);
	if (err == MSP_OK)
		err = msp_scan_encoded(sc, word.s, msp_b64_parse);
	if (err != MSP_OK)
		return err;
	if (hit > UINT8_MAX || sc->out->len - at - 4 - hit > UINT16_MAX)
		return msp_scan_fail(sc, MSP_EVALUE, "HIT or key too long", s);
	msp_scan_patch(sc, at, 1, hit);
	msp_scan_patch(sc, at + 1, 1, (size_t)alg);
	msp_scan_patch(sc, at + 2, 2, sc->out->len - at - 4 - hit);
	return MSP_OK;
}

/* ---- lists up to the end ---- */

static enum msp_err scan_types(struct scan *sc)
{
	uint8_t bits[8192] = { 0 };
	struct msp_word word;
	bool got = true;

	while (got) {
		enum msp_err err = msp_words_next(sc->w, &word, &got);
		uint16_t type;

		if (err != MSP_OK)
			return err;
		if (!got)
			break;
		if (msp_type_from_text(word.s, sc->numbers, &type) != MSP_OK)
			return msp_scan_fail(sc, MSP_EVALUE, "not an RR type", word.s);
		bits[type / 8] = (uint8_t)(bits[type / 8] | 0x80 >> type % 8);
	}
	for (size_t window = 0; window < 256; window++) {
		const uint8_t *b = bits + window * 32;
		size_t len = 32;

		while (len > 0 && b[len - 1] == 0)
			len--;
		if (len == 0)
			continue;
		msp_scan_put(sc, window, 1);
		msp_scan_put(sc, len, 1);
		msp_buf_add(sc->out, b, len);
	}
	return MSP_OK;
}

static enum msp_err scan_apl_item(struct scan *sc, struct msp_span s)
{
	struct msp_span item = s;
	const uint8_t *colon, *slash;
	struct msp_addr a = { 0 };
	uint64_t family, prefix;
	uint8_t negate = 0;
	enum msp_err err;
	size_t len;

	if (item.len > 0 && item.ptr[0] == '!') {
		negate = 0x80;
		item = msp_span(item.ptr + 1, item.len - 1);
	}
	colon = item.len != 0 ? memchr(item.ptr, ':', item.len) : NULL;
	slash = item.len != 0 ? memrchr(item.ptr, '/', item.len) : NULL;
	if (colon == NULL || slash == NULL || slash < colon ||
	    msp_u64_parse(msp_span(item.ptr, (size_t)(colon - item.ptr)), 2, &family) != MSP_OK || family == 0)
		return msp_scan_fail(sc, MSP_EFORMAT, "not [!]family:address/prefix", s);
	len = family == 1 ? 4 : 16;
	err = address(sc, msp_span(colon + 1, (size_t)(slash - colon - 1)), len, &a);
	if (err != MSP_OK)
		return err;
	if (msp_u64_parse(msp_span(slash + 1, (size_t)(item.ptr + item.len - slash - 1)), len * 8, &prefix) != MSP_OK)
		return msp_scan_fail(sc, MSP_EVALUE, "bad prefix length", s);
	while (len > 0 && a.oct[len - 1] == 0)
		len--;
	msp_scan_put(sc, family, 2);
	msp_scan_put(sc, prefix, 1);
	msp_scan_put(sc, negate | len, 1);
	msp_buf_add(sc->out, a.oct, len);
	return MSP_OK;
}

/* ---- layouts ---- */

static enum msp_err scan_joined(struct scan *sc, char letter)
{
	enum msp_err err = join_rest(sc);
	struct msp_span s = msp_buf_span(&sc->tmp);

	if (err != MSP_OK)
		return err;
	switch (letter) {
	case 'H':
		return msp_scan_encoded(sc, s, msp_hex_parse);
	case 'B':
		return msp_scan_encoded(sc, s, msp_b64_parse);
	case 'v':
		return s.len == 1 && s.ptr[0] == '-' ? MSP_OK : msp_scan_encoded(sc, s, msp_b64_parse);
	default: /* N: 0x, and dots anywhere (RFC 1706 7) */
		if (s.len < 2 || !msp_span_is(msp_span(s.ptr, 2), "0x"))
			return msp_scan_fail(sc, MSP_EFORMAT, "does not begin with 0x", s);
		s.len = 2;
		for (size_t i = 2; i < sc->tmp.len; i++)
			if (sc->tmp.ptr[i] != '.')
				sc->tmp.ptr[s.len++] = sc->tmp.ptr[i];
		return msp_scan_encoded(sc, msp_span(s.ptr + 2, s.len - 2), msp_hex_parse);
	}
}

/* Zero or more words of one kind, up to the end. @param least how many there must be. */
static enum msp_err scan_list(struct scan *sc, char letter, size_t least)
{
	struct msp_word word;
	bool got = true;

	for (size_t count = 0; got; count++) {
		enum msp_err err = msp_words_next(sc->w, &word, &got);

		if (err != MSP_OK)
			return err;
		if (!got)
			return count >= least ? MSP_OK
					      : msp_fail(sc->w->why, MSP_EFORMAT, "a field is missing at the end");
		if (letter == 'L')
			err = scan_apl_item(sc, word.s);
		else
			err = letter == 'm' ? scan_name(sc, word.s) : scan_string(sc, word.s);
		if (err != MSP_OK)
			return err;
	}
	return MSP_OK;
}

static enum msp_err scan_word(struct scan *sc, char letter, struct msp_span s)
{
	switch (letter) {
	case '1':
	case '2':
	case '4':
	case '8':
		return msp_scan_number(sc, s, (size_t)(letter - '0'));
	case 'U':
		return msp_scan_number(sc, s, 6);
	case 'g':
	case 'c':
	case 'q':
		return scan_code(sc, s, letter);
	case 'T':
		return scan_type(sc, s);
	case 't':
		return scan_time(sc, s);
	case 'a':
		return msp_scan_address(sc, s, 4);
	case 'A':
		return msp_scan_address(sc, s, 16);
	case 'e':
		return scan_eui(sc, s, 6);
	case 'E':
		return scan_eui(sc, s, 8);
	case 'l':
		return scan_locator(sc, s);
	case 'n':
		return scan_name(sc, s);
	case 's':
	case 'k':
		return scan_string(sc, s);
	case 'h':
		return scan_short(sc, s, msp_hex_parse);
	case 'b':
		return scan_short(sc, s, msp_b32hex_parse);
	case 'D':
		return scan_counted(sc, s);
	case 'Q':
		return msp_scan_unescape(sc, s, sc->out);
	case 'r':
		return scan_relay_type(sc, s);
	case 'I':
	case 'R': /* the type octet is the second of the RDATA in both */
		return scan_gateway(sc, s, letter == 'I' ? sc->out->ptr[1] : sc->out->ptr[1] & 0x7F);
	case 'p':
		return scan_hip(sc, s);
	default:
		return msp_fail(sc->w->why, MSP_EFORMAT, "this type is only read in generic form: \\# length base16");
	}
}

static enum msp_err scan_field(struct scan *sc, char letter)
{
	struct msp_word word;
	enum msp_err err;

	switch (letter) {
	case 'S':
		return scan_list(sc, letter, 1);
	case 'z':
	case 'm':
	case 'L':
		return scan_list(sc, letter, 0);
	case 'M':
		return scan_types(sc);
	case 'P':
		return msp_scan_svcb(sc);
	case 'H':
	case 'B':
	case 'v':
	case 'N':
		return scan_joined(sc, letter);
	default:
		err = need(sc, &word);
		return err == MSP_OK ? scan_word(sc, letter, word.s) : err;
	}
}

enum msp_err msp_layout_scan(struct msp_words *w, const struct msp_numbers *numbers, const struct msp_type_row *row,
			     const struct msp_name *origin, struct msp_buf *out)
{
	struct scan sc = { .w = w, .numbers = numbers, .origin = origin, .out = out };
	enum msp_err err = MSP_OK;
	struct msp_word word;
	bool got = false;

	msp_buf_init(&sc.tmp, TEXT_CAP);
	for (const char *f = row->layout; *f != '\0' && err == MSP_OK; f++) {
		err = scan_field(&sc, *f);
		if (err == MSP_OK)
			err = out->err;
	}
	if (err == MSP_OK)
		err = msp_words_next(w, &word, &got);
	if (err == MSP_OK && got)
		err = msp_scan_fail(&sc, MSP_EFORMAT, "one field too many", word.s);
	msp_buf_fini(&sc.tmp);
	return err;
}
