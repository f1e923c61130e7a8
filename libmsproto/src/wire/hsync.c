/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/wire/hsync.h>

#include "wire/layout.h"
#include "wire/token.h"

static const struct msp_code states[] = { { "ON", MSP_HSYNC_ON }, { "OFF", MSP_HSYNC_OFF } };
static const struct msp_code nsmgmts[] = { { "OWNER", MSP_HSYNC_OWNER }, { "AGENT", MSP_HSYNC_AGENT } };
static const struct msp_code signs[] = {
	{ "YES", MSP_HSYNC_YES }, { "NO", MSP_HSYNC_NO }, { "SIGN", MSP_HSYNC_YES }, { "NOSIGN", MSP_HSYNC_NO }
};

/* ---- HSYNC ---- */

enum msp_err msp_hsync_parse(struct msp_span rdata, bool compat_zero, struct msp_hsync *out)
{
	struct msp_hsync h = { 0 };
	enum msp_err err;
	struct msp_rd rd;

	msp_rd_init(&rd, rdata);
	h.state = msp_rd_u8(&rd);
	h.nsmgmt = msp_rd_u8(&rd);
	h.sign = msp_rd_u8(&rd);
	msp_name_read(&rd, MSP_NAME_PLAIN, &h.identity);
	h.has_upstream = msp_rd_left(&rd) > 0; /* one decoder for both forms */
	if (h.has_upstream)
		msp_name_read(&rd, MSP_NAME_PLAIN, &h.upstream);
	err = msp_rd_done(&rd);
	if (err != MSP_OK)
		return err == MSP_ENAME ? MSP_EFORMAT : err;
	if (compat_zero && h.state == 0)
		h.state = MSP_HSYNC_OFF;
	if (compat_zero && h.sign == 0)
		h.sign = MSP_HSYNC_NO;
	*out = h;
	return MSP_OK;
}

bool msp_hsync_valid(const struct msp_hsync *h)
{
	return (h->state == MSP_HSYNC_ON || h->state == MSP_HSYNC_OFF) &&
	       (h->nsmgmt == MSP_HSYNC_OWNER || h->nsmgmt == MSP_HSYNC_AGENT) &&
	       (h->sign == MSP_HSYNC_YES || h->sign == MSP_HSYNC_NO);
}

void msp_hsync_write(struct msp_wr *wr, const struct msp_hsync *h)
{
	if (h->state == 0 || h->nsmgmt == 0 || h->sign == 0) { /* PROTOCOL A.1: never emit zero */
		if (wr->err == MSP_OK)
			wr->err = MSP_EVALUE;
		return;
	}
	msp_wr_u8(wr, h->state);
	msp_wr_u8(wr, h->nsmgmt);
	msp_wr_u8(wr, h->sign);
	msp_wr_name(wr, &h->identity);
	if (h->has_upstream)
		msp_wr_name(wr, &h->upstream);
}

static void print_code(struct msp_buf *out, const struct msp_code *codes, size_t count, unsigned v)
{
	for (size_t i = 0; i < count; i++) {
		if (codes[i].value == v) {
			msp_buf_printf(out, "%s ", codes[i].name);
			return;
		}
	}
	msp_buf_printf(out, "%u ", v);
}

void msp_hsync_print(struct msp_buf *out, const struct msp_hsync *h)
{
	print_code(out, states, 2, h->state);
	print_code(out, nsmgmts, 2, h->nsmgmt);
	print_code(out, signs + (h->has_upstream ? 2 : 0), 2, h->sign);
	msp_buf_add_str(out, MSP_NAME(&h->identity));
	if (h->has_upstream)
		msp_buf_printf(out, " %s", MSP_NAME(&h->upstream));
}

enum msp_err msp_hsync_from_words(const struct msp_span *words, size_t count, const struct msp_name *origin,
				  struct msp_hsync *out, struct msp_why *why)
{
	struct msp_hsync h = { 0 };
	unsigned state, nsmgmt, sign;

	if (count < 4 || count > 5)
		return msp_fail(why, MSP_EFORMAT,
				"HSYNC has four or five fields: STATE NSMGMT SIGN identity [upstream]");
	if (msp_code_scan(words[0], states, 2, UINT8_MAX, &state) != MSP_OK)
		return msp_fail(why, MSP_EVALUE, "HSYNC STATE is neither ON, OFF nor a number");
	if (msp_code_scan(words[1], nsmgmts, 2, UINT8_MAX, &nsmgmt) != MSP_OK)
		return msp_fail(why, MSP_EVALUE, "HSYNC NSMGMT is neither OWNER, AGENT nor a number");
	if (msp_code_scan(words[2], signs, 4, UINT8_MAX, &sign) != MSP_OK)
		return msp_fail(why, MSP_EVALUE, "HSYNC SIGN is neither YES, NO, SIGN, NOSIGN nor a number");
	h.state = (uint8_t)state;
	h.nsmgmt = (uint8_t)nsmgmt;
	h.sign = (uint8_t)sign;
	h.has_upstream = count == 5;
	if (msp_name_from_text_rel(words[3], origin, &h.identity) != MSP_OK ||
	    (h.has_upstream && msp_name_from_text_rel(words[4], origin, &h.upstream) != MSP_OK))
		return msp_fail(why, MSP_ENAME, "not a domain name, or relative without an origin");
	*out = h;
	return MSP_OK;
}

enum msp_err msp_hsync_scan(struct msp_span text, const struct msp_name *origin, struct msp_hsync *out,
			    struct msp_why *why)
{
	struct msp_span words[6];
	struct msp_words w;
	size_t count = 0;
	bool got = true;

	msp_words_init(&w, text, why);
	while (got) {
		struct msp_word word;
		enum msp_err err = msp_words_next(&w, &word, &got);

		if (err != MSP_OK)
			return err;
		if (got && count < 6)
			words[count++] = word.s;
	}
	return msp_hsync_from_words(words, count, origin, out, why);
}

/* ---- HSYNC3, HSYNCPARAM (PROTOCOL A.2) ---- */

/* A character-string; the reference implementation stores labels with a final dot. */
static struct msp_span read_label(struct msp_rd *rd)
{
	struct msp_span s = msp_rd_take(rd, msp_rd_u8(rd));

	if (s.len > 0 && s.ptr[s.len - 1] == '.')
		s.len--;
	return s;
}

enum msp_err msp_hsync3_parse(struct msp_span rdata, struct msp_hsync3 *out)
{
	struct msp_hsync3 h;
	enum msp_err err;
	struct msp_rd rd;

	msp_rd_init(&rd, rdata);
	h.state = msp_rd_u8(&rd);
	h.label = read_label(&rd);
	msp_name_read(&rd, MSP_NAME_PLAIN, &h.identity);
	h.upstream = read_label(&rd);
	err = msp_rd_done(&rd);
	if (err != MSP_OK)
		return err == MSP_ENAME ? MSP_EFORMAT : err;
	*out = h;
	return MSP_OK;
}

/* Printable octets bare, everything else escaped; an empty label (no upstream) is a dot. */
static void print_label(struct msp_buf *out, struct msp_span s)
{
	if (s.len == 0)
		msp_buf_add_u8(out, '.');
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.ptr[i];

		if (c <= ' ' || c >= 0x7F || c == '"' || c == '\\' || c == ';' || c == '(' || c == ')')
			msp_buf_printf(out, "\\%03u", c);
		else
			msp_buf_add_u8(out, c);
	}
}

void msp_hsync3_print(struct msp_buf *out, const struct msp_hsync3 *h)
{
	static const struct msp_code reference_states[] = { { "OFF", 0 }, { "ON", 1 } };

	print_code(out, reference_states, 2, h->state);
	print_label(out, h->label);
	msp_buf_printf(out, " %s ", MSP_NAME(&h->identity));
	print_label(out, h->upstream);
}

enum msp_err msp_hsyncparam_check(struct msp_span rdata)
{
	return msp_svcb_params_check(rdata, false); /* the same shape: key, length, value; keys strictly increasing */
}

/* nsmgmt and parentsync are text in the drafts and one octet in the reference; either is understood under either. */
static void print_role(struct msp_buf *out, struct msp_span v)
{
	if (v.len == 1 && (v.ptr[0] == MSP_HSYNC_OWNER || v.ptr[0] == MSP_HSYNC_AGENT))
		msp_buf_add_str(out, v.ptr[0] == MSP_HSYNC_OWNER ? "\"owner\"" : "\"agent\"");
	else
		msp_quote(out, v);
}

enum msp_err msp_hsyncparam_print(struct msp_buf *out, struct msp_span rdata, bool reference_keys)
{
	static const char *const draft[] = { "servers",    "signers", "auditors", "nsmgmt",
					     "parentsync", "suffix",  "pubkey",   "pubcds" };
	static const char *const reference[] = { "nsmgmt", "parentsync", "servers", "signers",
						 "pubkey", "pubcds",     "suffix",  "auditors" };
	enum msp_err err = msp_hsyncparam_check(rdata);
	struct msp_rd rd;

	if (err != MSP_OK)
		return err;
	msp_rd_init(&rd, rdata);
	for (const char *gap = ""; msp_rd_left(&rd) > 0; gap = " ") {
		uint16_t key = msp_rd_u16(&rd);
		struct msp_span v = msp_rd_take(&rd, msp_rd_u16(&rd));
		bool is_role = reference_keys ? key == 0 || key == 1 : key == 3 || key == 4;

		msp_buf_add_str(out, gap);
		if (key < 8)
			msp_buf_add_str(out, reference_keys ? reference[key] : draft[key]);
		else
			msp_buf_printf(out, "key%u", key);
		if (v.len == 0)
			continue;
		msp_buf_add_u8(out, '=');
		if (is_role)
			print_role(out, v);
		else
			msp_quote(out, v);
	}
	return out->err;
}
