/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/wire/rdata.h>
#include <msproto/wire/rr.h>

#include "wire/layout.h"
#include "wire/token.h"

#include <stdio.h>
#include <string.h>

/*
 * The registry. A layout is a row of letters, one per field in wire order; it drives checking, decompression, canonical
 * form, printing and scanning. Where a letter's inside is uncertain it is lax: being too strict loses zones.
 *
 *   1 2 4 8   unsigned decimal of so many octets             U   48-bit unsigned decimal
 *   T c g q   type mnemonic (2), CERT type (2), DNSSEC algorithm (1), DSYNC scheme (1)
 *   t         time, YYYYMMDDHHMMSS (4)
 *   a A       IPv4, IPv6 address                             e E  EUI-48, EUI-64         l  64-bit locator
 * xxxx:xxxx:xxxx:xxxx n         name, uncompressed once it is here s k       character-string; k is a tag, printed bare
 * S z  one or more, none or more character-strings to the end h b       octets behind a length octet, as base16 ("-"
 * when empty), as Base32hex D         octets behind a length of two octets; text is the length and, when not 0, Base64
 *   H B v X   the rest as base16, as Base64, as Base64 with "-" for empty, opaque
 *   N         the rest as base16 after "0x"                  Q   the rest as one quoted string
 *   M P L O   the rest as type bitmap, as SVCB parameters, as APL items, as EDNS options
 *   r I R     AMTRELAY D bit and type; gateway by the type octet of IPSECKEY, of AMTRELAY
 *   p m       HIP lengths, HIT and key; names to the end
 *   f F       A6 suffix and prefix name, by the prefix length in octet 0
 *   o         LOC after its version octet
 *   G         (first) the text form is generic, whatever follows
 *
 * Flags: R pointers accepted in received RDATA, W names compressed when written (RFC 3597 4, PROTOCOL A.0),
 * L lower-cased in canonical form: RFC 4034 6.2 without NSEC and with RRSIG's signer (RFC 6840 5.1); HINFO holds no
 * name.
 */
#define R 1u
#define W 2u
#define L 4u
#define ROWS(X)                                                                                                        \
	X(A, "A", 1, "a", 0)                                                                                           \
	X(NS, "NS", 2, "n", R | W | L)                                                                                 \
	X(MD, "MD", 3, "n", R | L)                                                                                     \
	X(MF, "MF", 4, "n", R | L)                                                                                     \
	X(CNAME, "CNAME", 5, "n", R | W | L)                                                                           \
	X(SOA, "SOA", 6, "nn44444", R | W | L)                                                                         \
	X(MB, "MB", 7, "n", R | L)                                                                                     \
	X(MG, "MG", 8, "n", R | L)                                                                                     \
	X(MR, "MR", 9, "n", R | L)                                                                                     \
	X(NULL, "NULL", 10, "GX", 0)                                                                                   \
	X(WKS, "WKS", 11, "Ga1X", 0)                                                                                   \
	X(PTR, "PTR", 12, "n", R | W | L)                                                                              \
	X(HINFO, "HINFO", 13, "ss", 0)                                                                                 \
	X(MINFO, "MINFO", 14, "nn", R | L)                                                                             \
	X(MX, "MX", 15, "2n", R | W | L)                                                                               \
	X(TXT, "TXT", 16, "S", 0)                                                                                      \
	X(RP, "RP", 17, "nn", L)                                                                                       \
	X(AFSDB, "AFSDB", 18, "2n", L)                                                                                 \
	X(X25, "X25", 19, "s", 0)                                                                                      \
	X(ISDN, "ISDN", 20, "sz", 0)                                                                                   \
	X(RT, "RT", 21, "2n", L)                                                                                       \
	X(NSAP, "NSAP", 22, "N", 0)                                                                                    \
	X(NSAP_PTR, "NSAP-PTR", 23, "n", 0)                                                                            \
	X(SIG, "SIG", 24, "Tg14tt2nB", L)                                                                              \
	X(KEY, "KEY", 25, "21gB", 0)                                                                                   \
	X(PX, "PX", 26, "2nn", L)                                                                                      \
	X(GPOS, "GPOS", 27, "sss", 0)                                                                                  \
	X(AAAA, "AAAA", 28, "A", 0)                                                                                    \
	X(LOC, "LOC", 29, "G1o", 0)                                                                                    \
	X(NXT, "NXT", 30, "GnX", L)                                                                                    \
	X(EID, "EID", 31, "H", 0)                                                                                      \
	X(NIMLOC, "NIMLOC", 32, "H", 0)                                                                                \
	X(SRV, "SRV", 33, "222n", L)                                                                                   \
	X(ATMA, "ATMA", 34, "GX", 0)                                                                                   \
	X(NAPTR, "NAPTR", 35, "22sssn", L)                                                                             \
	X(KX, "KX", 36, "2n", L)                                                                                       \
	X(CERT, "CERT", 37, "c2gB", 0)                                                                                 \
	X(A6, "A6", 38, "G1fF", L)                                                                                     \
	X(DNAME, "DNAME", 39, "n", L)                                                                                  \
	X(SINK, "SINK", 40, "GX", 0)                                                                                   \
	X(OPT, "OPT", 41, "GO", 0)                                                                                     \
	X(APL, "APL", 42, "L", 0)                                                                                      \
	X(DS, "DS", 43, "2g1H", 0)                                                                                     \
	X(SSHFP, "SSHFP", 44, "11H", 0)                                                                                \
	X(IPSECKEY, "IPSECKEY", 45, "111IB", 0)                                                                        \
	X(RRSIG, "RRSIG", 46, "Tg14tt2nB", L)                                                                          \
	X(NSEC, "NSEC", 47, "nM", 0)                                                                                   \
	X(DNSKEY, "DNSKEY", 48, "21gB", 0)                                                                             \
	X(DHCID, "DHCID", 49, "B", 0)                                                                                  \
	X(NSEC3, "NSEC3", 50, "112hbM", 0)                                                                             \
	X(NSEC3PARAM, "NSEC3PARAM", 51, "112h", 0)                                                                     \
	X(TLSA, "TLSA", 52, "111H", 0)                                                                                 \
	X(SMIMEA, "SMIMEA", 53, "111H", 0)                                                                             \
	X(HIP, "HIP", 55, "pm", 0)                                                                                     \
	X(NINFO, "NINFO", 56, "S", 0)                                                                                  \
	X(RKEY, "RKEY", 57, "21gB", 0)                                                                                 \
	X(TALINK, "TALINK", 58, "nn", 0)                                                                               \
	X(CDS, "CDS", 59, "2g1H", 0)                                                                                   \
	X(CDNSKEY, "CDNSKEY", 60, "21gB", 0)                                                                           \
	X(OPENPGPKEY, "OPENPGPKEY", 61, "B", 0)                                                                        \
	X(CSYNC, "CSYNC", 62, "42M", 0)                                                                                \
	X(ZONEMD, "ZONEMD", 63, "411H", 0)                                                                             \
	X(SVCB, "SVCB", 64, "2nP", 0)                                                                                  \
	X(HTTPS, "HTTPS", 65, "2nP", 0)                                                                                \
	X(DSYNC, "DSYNC", 66, "Tq2n", 0)                                                                               \
	X(SPF, "SPF", 99, "S", 0)                                                                                      \
	X(UINFO, "UINFO", 100, "GX", 0)                                                                                \
	X(UID, "UID", 101, "GX", 0)                                                                                    \
	X(GID, "GID", 102, "GX", 0)                                                                                    \
	X(UNSPEC, "UNSPEC", 103, "GX", 0)                                                                              \
	X(NID, "NID", 104, "2l", 0)                                                                                    \
	X(L32, "L32", 105, "2a", 0)                                                                                    \
	X(L64, "L64", 106, "2l", 0)                                                                                    \
	X(LP, "LP", 107, "2n", 0)                                                                                      \
	X(EUI48, "EUI48", 108, "e", 0)                                                                                 \
	X(EUI64, "EUI64", 109, "E", 0)                                                                                 \
	X(TKEY, "TKEY", 249, "ntt22DD", 0)                                                                             \
	X(TSIG, "TSIG", 250, "nU2D22D", 0)                                                                             \
	X(IXFR, "IXFR", 251, "GX", 0)                                                                                  \
	X(AXFR, "AXFR", 252, "GX", 0)                                                                                  \
	X(MAILB, "MAILB", 253, "GX", 0)                                                                                \
	X(MAILA, "MAILA", 254, "GX", 0)                                                                                \
	X(ANY, "ANY", 255, "GX", 0)                                                                                    \
	X(URI, "URI", 256, "22Q", 0)                                                                                   \
	X(CAA, "CAA", 257, "1kQ", 0)                                                                                   \
	X(AVC, "AVC", 258, "S", 0)                                                                                     \
	X(DOA, "DOA", 259, "441sv", 0)                                                                                 \
	X(AMTRELAY, "AMTRELAY", 260, "1rR", 0)                                                                         \
	X(RESINFO, "RESINFO", 261, "S", 0)                                                                             \
	X(WALLET, "WALLET", 262, "S", 0)                                                                               \
	X(TA, "TA", 32768, "2g1H", 0)                                                                                  \
	X(DLV, "DLV", 32769, "2g1H", 0)

enum {
#define ROW_INDEX(id, name, number, layout, flags) ROW_##id,
	ROWS(ROW_INDEX)
#undef ROW_INDEX
};

static const struct msp_type_row rows[] = {
#define ROW(id, name, number, layout, flags)                                                                           \
	{ number, name, layout, ((flags)&R) != 0, ((flags)&W) != 0, ((flags)&L) != 0 },
	ROWS(ROW)
#undef ROW
};
#undef R
#undef W
#undef L

/* Number to row + 1, for the dense part of the number space. */
#define DENSE              263
#define DENSE_SLOT(number) ((number) < DENSE ? (number) : DENSE + ((number)&1))
static const uint8_t dense[DENSE + 2] = {
#define SLOT(id, name, number, layout, flags) [DENSE_SLOT(number)] = ROW_##id + 1,
	ROWS(SLOT)
#undef SLOT
};

const struct msp_numbers msp_numbers_default = {
	.type_hsync = MSP_TYPE_HSYNC_DEFAULT,
	.type_hsync3 = MSP_TYPE_HSYNC3_DEFAULT,
	.type_hsyncparam = MSP_TYPE_HSYNCPARAM_DEFAULT,
	.opt_keystate = 65002,
	.opt_multisigner = 65006,
	.dsync_update = 2,
	.dsync_scanner = 3,
	.dsync_api = 4,
	.svcb_bootstrap = 65282,
	.svcb_interval = 65283,
	.ede_base = 49152,
	.op_data = 128,
	.op_state = 129,
	.op_proc = 130,
	.op_elect = 131,
	.op_ping = 132,
	.op_bye = 133,
	.op_keyreq = 134,
	.hsync_compat_zero = false,
};

const struct msp_type_row *msp_type_row(uint16_t type)
{
	uint8_t at = 0;

	if (type < DENSE)
		at = dense[type];
	else if (type == 32768 || type == 32769)
		at = dense[DENSE_SLOT(type)];
	return at != 0 ? &rows[at - 1] : NULL;
}

size_t msp_type_rows(const struct msp_type_row **out)
{
	*out = rows;
	return sizeof(rows) / sizeof(rows[0]);
}

/* ---- type names ---- */

struct msp_type_text msp_type_text(uint16_t type)
{
	const struct msp_type_row *row = msp_type_row(type);
	struct msp_type_text t;

	if (row != NULL)
		snprintf(t.s, sizeof(t.s), "%s", row->name);
	else
		snprintf(t.s, sizeof(t.s), "TYPE%u", type);
	return t;
}

enum msp_err msp_type_from_text(struct msp_span text, const struct msp_numbers *numbers, uint16_t *out)
{
	static const char prefix[] = "TYPE";
	const size_t skip = sizeof(prefix) - 1;
	uint32_t v = 0;

	if (numbers == NULL)
		numbers = &msp_numbers_default;
	if (text.len == 0 || text.len > 15)
		return MSP_EVALUE;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (msp_span_is(text, rows[i].name)) {
			*out = rows[i].type;
			return MSP_OK;
		}
	}
	if (msp_span_is(text, "HSYNC"))
		*out = numbers->type_hsync;
	else if (msp_span_is(text, "HSYNC3"))
		*out = numbers->type_hsync3;
	else if (msp_span_is(text, "HSYNCPARAM"))
		*out = numbers->type_hsyncparam;
	else if (text.len <= skip || text.len > skip + 5 || !msp_span_is(msp_span(text.ptr, skip), prefix))
		return MSP_EVALUE;
	else {
		for (size_t i = skip; i < text.len; i++) {
			if (text.ptr[i] < '0' || text.ptr[i] > '9')
				return MSP_EVALUE;
			v = v * 10 + (text.ptr[i] - (uint32_t)'0');
		}
		if (v > UINT16_MAX)
			return MSP_EVALUE;
		*out = (uint16_t)v;
	}
	return MSP_OK;
}

bool msp_type_is_meta(uint16_t type)
{
	return type == MSP_TYPE_OPT || (type >= 128 && type <= 255); /* RFC 6895 3.1: Q and meta types */
}

/* ---- fields ---- */

/* Octets of the fields that always have the same number, for layouts made of them, which most are; 0 = look closer. */
static const uint8_t fixed_len[128] = {
	['1'] = 1, ['g'] = 1, ['q'] = 1, ['r'] = 1, ['2'] = 2, ['T'] = 2, ['c'] = 2, ['4'] = 4,
	['t'] = 4, ['a'] = 4, ['U'] = 6, ['e'] = 6, ['8'] = 8, ['E'] = 8, ['l'] = 8, ['A'] = 16,
};

static enum msp_err prefixed(struct msp_span rdata, size_t pos, size_t head, size_t *len)
{
	size_t left = rdata.len - pos, n;

	if (left < head)
		return MSP_ETRUNC;
	n = head == 1 ? rdata.ptr[pos] : msp_get_u16(rdata.ptr + pos);
	if (n > left - head)
		return MSP_ETRUNC;
	*len = head + n;
	return MSP_OK;
}

/* Items that fill the octets exactly: strings, names, options. */
static enum msp_err items(char letter, struct msp_span rdata, size_t pos)
{
	while (pos < rdata.len) {
		struct msp_span rest = msp_span(rdata.ptr + pos, rdata.len - pos);
		enum msp_err err = MSP_OK;
		size_t len = 0;

		switch (letter) {
		case 'z':
			err = prefixed(rdata, pos, 1, &len);
			break;
		case 'm':
			err = msp_name_octets_len(rest, &len);
			break;
		case 'O': /* RFC 6891 6.1.2: code, length, data */
			if (rest.len < 2)
				return MSP_ETRUNC;
			err = prefixed(rdata, pos + 2, 2, &len);
			len += 2;
			break;
		default: /* L: RFC 3123 4: family, prefix, N bit and length, address */
			if (rest.len < 4)
				return MSP_ETRUNC;
			len = 4 + (rest.ptr[3] & 0x7Fu);
			if (len > rest.len)
				err = MSP_ETRUNC;
			break;
		}
		if (err != MSP_OK)
			return err;
		pos += len;
	}
	return MSP_OK;
}

/* RFC 4025 2.5, RFC 8777 4.2.4: what the relay or gateway field holds. Types beyond 3: the rest is theirs. */
static enum msp_err gateway(unsigned kind, struct msp_span rest, size_t *len)
{
	static const uint8_t octets[] = { 0, 4, 16 };

	if (kind == 3)
		return msp_name_octets_len(rest, len);
	*len = kind < 3 ? octets[kind] : rest.len;
	return MSP_OK;
}

static enum msp_err hip(struct msp_span rest, size_t *len) /* RFC 8005 5 */
{
	if (rest.len < 4)
		return MSP_ETRUNC;
	*len = 4u + rest.ptr[0] + msp_get_u16(rest.ptr + 2);
	return MSP_OK;
}

enum msp_err msp_field_len(char letter, struct msp_span rdata, size_t pos, size_t *len)
{
	struct msp_span rest = msp_span(rdata.ptr + pos, rdata.len - pos);
	enum msp_err err = MSP_OK;

	*len = fixed_len[(unsigned char)letter];
	if (*len != 0)
		return *len <= rest.len ? MSP_OK : MSP_ETRUNC;
	*len = rest.len;
	switch (letter) {
	case 'n':
		err = msp_name_octets_len(rest, len);
		break;
	case 's':
	case 'k':
	case 'h':
	case 'b':
		err = prefixed(rdata, pos, 1, len);
		break;
	case 'D':
		err = prefixed(rdata, pos, 2, len);
		break;
	case 'S':
		err = rest.len == 0 ? MSP_ETRUNC : items('z', rdata, pos);
		break;
	case 'z':
	case 'L':
	case 'O':
	case 'm':
		err = items(letter, rdata, pos);
		break;
	case 'M':
		err = msp_bitmap_check(rest);
		break;
	case 'P':
		err = msp_svcb_params_check(rest, false);
		break;
	case 'I':
		err = gateway(rdata.ptr[1], rest, len);
		break;
	case 'R':
		err = gateway(rdata.ptr[1] & 0x7F, rest, len);
		break;
	case 'p':
		err = hip(rest, len);
		break;
	case 'f': /* RFC 2874 3.1.1 */
		if (rdata.ptr[0] > 128)
			return MSP_EFORMAT;
		*len = (128u - rdata.ptr[0] + 7) / 8;
		break;
	case 'F':
		if (rdata.ptr[0] != 0)
			err = msp_name_octets_len(rest, len);
		else
			*len = 0;
		break;
	case 'o': /* RFC 1876 2: only version 0 has a known shape */
		*len = rdata.ptr[0] == 0 ? 15 : rest.len;
		break;
	default: /* H B v X N Q: the rest, whatever it is */
		break;
	}
	if (err == MSP_OK && *len > rest.len)
		err = MSP_ETRUNC;
	return err;
}

static const char *fields(const struct msp_type_row *row)
{
	return row->layout[0] == 'G' ? row->layout + 1 : row->layout;
}

static enum msp_err check(const struct msp_type_row *row, struct msp_span rdata)
{
	size_t pos = 0, len = 0;

	if (rdata.ptr == NULL)
		rdata = msp_span("", 0);
	for (const char *f = fields(row); *f != '\0'; f++) {
		enum msp_err err = MSP_OK;

		len = fixed_len[(unsigned char)*f];
		if (len == 0)
			err = msp_field_len(*f, rdata, pos, &len);
		else if (len > rdata.len - pos)
			err = MSP_ETRUNC;
		if (err != MSP_OK)
			return err;
		pos += len;
	}
	return pos == rdata.len ? MSP_OK : MSP_ETRAIL;
}

enum msp_err msp_rdata_check(uint16_t type, struct msp_span rdata)
{
	const struct msp_type_row *row = msp_type_row(type);

	if (rdata.len > MSP_RDATA_MAX)
		return MSP_EFORMAT;
	return row != NULL ? check(row, rdata) : MSP_OK;
}

/* ---- canonical form ---- */

/* Where names to be lower-cased lie: no listed type has more than two. */
struct lowered {
	unsigned count;
	struct {
		size_t from, to;
	} at[2];
};

static void lowered_of(uint16_t type, struct msp_span rdata, struct lowered *l)
{
	const struct msp_type_row *row = msp_type_row(type);
	size_t pos = 0, len = 0;

	l->count = 0;
	if (row == NULL || !row->canon_lower || rdata.len == 0)
		return;
	for (const char *f = fields(row); *f != '\0' && l->count < 2; f++) {
		if (msp_field_len(*f, rdata, pos, &len) != MSP_OK)
			return; /* never checked: its octets count as they are */
		if (*f == 'n' || *f == 'F') {
			l->at[l->count].from = pos;
			l->at[l->count++].to = pos + len;
		}
		pos += len;
	}
}

void msp_rdata_canon(uint16_t type, struct msp_span rdata, uint8_t *out)
{
	struct lowered l;

	lowered_of(type, rdata, &l);
	if (rdata.len != 0)
		memcpy(out, rdata.ptr, rdata.len);
	for (unsigned i = 0; i < l.count; i++)
		for (size_t k = l.at[i].from; k < l.at[i].to; k++)
			out[k] = msp_lower(out[k]);
}

static uint8_t canon_octet(struct msp_span rdata, const struct lowered *l, size_t at)
{
	for (unsigned i = 0; i < l->count; i++)
		if (at >= l->at[i].from && at < l->at[i].to)
			return msp_lower(rdata.ptr[at]);
	return rdata.ptr[at];
}

int msp_rdata_cmp(uint16_t type, struct msp_span a, struct msp_span b)
{
	size_t min = a.len < b.len ? a.len : b.len;
	struct lowered la, lb;
	size_t i = 0;

	while (i < min && a.ptr[i] == b.ptr[i])
		i++;
	if (i == min) /* equal octets mean equal fields up to here, so that the rest decides by length alone */
		return (a.len > b.len) - (a.len < b.len);
	lowered_of(type, a, &la);
	lowered_of(type, b, &lb);
	for (; i < min; i++) {
		int d = canon_octet(a, &la, i) - canon_octet(b, &lb, i);

		if (d != 0)
			return d;
	}
	return (a.len > b.len) - (a.len < b.len);
}

bool msp_rdata_equal(uint16_t type, struct msp_span a, struct msp_span b)
{
	size_t i = 0;

	if (a.len != b.len)
		return false;
	while (i < a.len && a.ptr[i] == b.ptr[i])
		i++;
	if (i == a.len)
		return true;
	/* Only case can differ and not matter, and only in names. */
	return msp_lower(a.ptr[i]) == msp_lower(b.ptr[i]) && msp_rdata_cmp(type, a, b) == 0;
}

/* ---- reading ---- */

/* Whether the name just read, of len octets and begun at `from`, was written with a pointer. */
static bool has_pointer(const struct msp_rd *rd, size_t from, size_t len)
{
	/* A pointer takes two octets, and no name has two. */
	return rd->pos - from != len;
}

/*
 * RFC 1035 types: names, and numbers of two or four octets, nothing else. Consumes rd. *rdata stays as it is where no
 * name has a pointer: what is in the message then is the uncompressed form.
 */
static enum msp_err decompress(struct msp_rd *rd, const struct msp_type_row *row, struct msp_rr_scratch *scratch,
			       struct msp_span *rdata)
{
	bool is_compressed = false;
	size_t pos = 0, len;

	for (const char *f = row->layout; *f != '\0'; f++) {
		size_t from = rd->pos;

		if (*f == 'n') {
			enum msp_err err = msp_name_unpack(rd, MSP_NAME_COMP, scratch->oct + pos, &len);

			if (err != MSP_OK)
				return err;
			is_compressed = is_compressed || has_pointer(rd, from, len);
		} else {
			len = (size_t)(*f - '0');
			if (len > rd->end - rd->pos)
				return MSP_ETRUNC;
			memcpy(scratch->oct + pos, rd->base + from, len);
			rd->pos += len;
		}
		pos += len;
	}
	if (rd->pos != rd->end)
		return MSP_ETRAIL;
	if (is_compressed)
		*rdata = msp_span(scratch->oct, pos);
	return MSP_OK;
}

/* CLASS decides what an A record holds (RFC 1035 3.4: a name and a number in CH); other classes than IN are left alone.
 */
static bool layout_applies(uint16_t type, uint16_t cls)
{
	return type != MSP_TYPE_A || cls == MSP_CLASS_IN || cls == MSP_CLASS_NONE || cls == MSP_CLASS_ANY;
}

/* RDATA as received: checked, and uncompressed where the type allows pointers. Consumes rd, which is only the RDATA. */
static enum msp_err read_rdata(struct msp_rd *rd, struct msp_rr_scratch *scratch, struct msp_rr *rr)
{
	const struct msp_type_row *row = msp_type_row(rr->type);

	if (row == NULL || !layout_applies(rr->type, rr->cls))
		return MSP_OK;
	if (rr->rdata.len == 0 && (rr->cls == MSP_CLASS_ANY || rr->cls == MSP_CLASS_NONE))
		return MSP_OK;
	return row->comp_read ? decompress(rd, row, scratch, &rr->rdata) : check(row, rr->rdata);
}

#define HEAD 10 /* octets: type, class, TTL, length of RDATA */

/* What follows the owner. */
static void read_body(struct msp_rd *rd, struct msp_rr_scratch *scratch, struct msp_rr *out)
{
	const uint8_t *head;
	struct msp_rd sub;
	uint16_t len;
	enum msp_err err;

	out->type = out->cls = 0;
	out->ttl = 0;
	out->rdata = msp_span(NULL, 0);
	if (rd->err == MSP_OK && HEAD > rd->end - rd->pos)
		rd->err = MSP_ETRUNC;
	if (rd->err != MSP_OK)
		return;
	head = rd->base + rd->pos;
	rd->pos += HEAD;
	out->type = msp_get_u16(head);
	out->cls = msp_get_u16(head + 2);
	out->ttl = msp_get_u32(head + 4);
	len = msp_get_u16(head + 8);
	if (len > rd->end - rd->pos) {
		rd->err = MSP_ETRUNC;
		return;
	}
	sub = *rd;
	rd->pos += len;
	sub.end = rd->pos;
	out->rdata = msp_span(head + HEAD, len);
	err = read_rdata(&sub, scratch, out);
	if (err != MSP_OK)
		msp_rd_fail(rd, err);
}

void msp_rr_read(struct msp_rd *rd, struct msp_rr_scratch *scratch, struct msp_rr *out)
{
	msp_name_read(rd, MSP_NAME_COMP, &out->owner);
	read_body(rd, scratch, out);
}

static void copy_name(struct msp_name *to, const struct msp_name *from)
{
	to->len = from->len;
	if (from->len <= 32) /* a move of fixed size, of which the first octets count */
		memcpy(to->oct, from->oct, 32);
	else
		memcpy(to->oct, from->oct, from->len);
}

/* Where the labels of the name at rd->pos begin; 0 when it is not worth knowing. */
static size_t labels_at(const struct msp_rd *rd)
{
	const uint8_t *p = rd->base + rd->pos;

	if (rd->err != MSP_OK || rd->end - rd->pos < 2)
		return 0;
	return p[0] < 0xC0 ? rd->pos : msp_get_u16(p) & 0x3FFFu;
}

void msp_rr_read_next(struct msp_rd *rd, struct msp_rr_scratch *scratch, struct msp_rr_last *last, struct msp_rr *out)
{
	size_t at = labels_at(rd);

	if (at != 0 && at == last->at) { /* labels are read but once: this is a pointer, and it goes backwards */
		copy_name(&out->owner, &last->owner);
		rd->pos += 2;
	} else {
		msp_name_read(rd, MSP_NAME_COMP, &out->owner);
		last->at = rd->err == MSP_OK ? at : 0;
		copy_name(&last->owner, &out->owner);
	}
	read_body(rd, scratch, out);
}

uint16_t msp_rr_skip(struct msp_rd *rd)
{
	const uint8_t *base = rd->base;
	size_t pos = rd->pos, end = rd->end;
	uint8_t c = 0;

	if (rd->err != MSP_OK)
		return 0;
	/* The owner: its labels, ended by the root or by a pointer, which need not be followed. */
	while (pos < end && (c = base[pos]) != 0 && c <= MSP_LABEL_MAX)
		pos += c + 1u;
	if (pos < end && c > MSP_LABEL_MAX && c < 0xC0) {
		rd->err = MSP_EFORMAT;
		return 0;
	}
	pos += c >= 0xC0 ? 2 : 1;
	if (pos > end || end - pos < HEAD || msp_get_u16(base + pos + 8) > end - pos - HEAD) {
		rd->err = MSP_ETRUNC;
		return 0;
	}
	rd->pos = pos + HEAD + msp_get_u16(base + pos + 8);
	return msp_get_u16(base + pos);
}

/* ---- writing ---- */

static void write_compressed(struct msp_wr *wr, const struct msp_type_row *row, struct msp_span rdata)
{
	size_t pos = 0, len;

	for (const char *f = row->layout; *f != '\0'; f++) { /* names and numbers, nothing else */
		struct msp_span rest = msp_span(rdata.ptr + pos, rdata.len - pos);

		len = *f == 'n' ? msp_wr_name_prefix(wr, rest) : (size_t)(*f - '0');
		if (len == 0 || len > rest.len)
			break; /* never checked by a read: goes out as it is */
		if (*f != 'n')
			msp_wr_octets(wr, msp_span(rest.ptr, len));
		pos += len;
	}
	msp_wr_octets(wr, msp_span(rdata.ptr + pos, rdata.len - pos));
}

static void put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put_head(uint8_t *head, const struct msp_rr *rr)
{
	put_u16(head, rr->type);
	put_u16(head + 2, rr->cls);
	put_u16(head + 4, (uint16_t)(rr->ttl >> 16));
	put_u16(head + 6, (uint16_t)rr->ttl);
	put_u16(head + 8, (uint16_t)rr->rdata.len);
}

void msp_rr_write(struct msp_wr *wr, const struct msp_rr *rr, bool comp)
{
	const struct msp_type_row *row = msp_type_row(rr->type);
	uint8_t *head;

	if (comp)
		msp_wr_owner(wr, &rr->owner);
	else
		msp_wr_octets(wr, msp_name_span(&rr->owner)); /* not worth remembering */
	if (rr->rdata.len > MSP_RDATA_MAX && wr->err == MSP_OK)
		wr->err = MSP_ENOSPACE;
	head = msp_wr_claim(wr, HEAD);
	if (head == NULL)
		return;
	put_head(head, rr);
	if (comp && row != NULL && row->comp_write && rr->rdata.len != 0) {
		write_compressed(wr, row, rr->rdata);
		if (wr->err == MSP_OK)
			put_u16(head + HEAD - 2, (uint16_t)(wr->base + wr->pos - head - HEAD));
	} else {
		msp_wr_octets(wr, rr->rdata);
	}
}
