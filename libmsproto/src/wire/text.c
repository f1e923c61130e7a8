/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/base/enc.h>
#include <msproto/wire/hsync.h>
#include <msproto/wire/text.h>

#include "wire/layout.h"
#include "wire/token.h"

#include <stdio.h>
#include <string.h>

static const struct msp_code classes[] = {
	{ "IN", 1 }, { "CH", 3 }, { "HS", 4 }, { "NONE", 254 }, { "ANY", 255 },
};
#define CLASSES (sizeof(classes) / sizeof(classes[0]))

static const struct msp_numbers *or_default(const struct msp_numbers *numbers)
{
	return numbers != NULL ? numbers : &msp_numbers_default;
}

/* ---- printing ---- */

static bool print_hsync(struct msp_buf *out, const struct msp_numbers *numbers, uint16_t type, struct msp_span rdata)
{
	struct msp_hsync h;
	struct msp_hsync3 h3;

	if (rdata.len == 0) /* an HSYNCPARAM without parameters would print as nothing */
		return false;
	if (type == numbers->type_hsync) {
		if (msp_hsync_parse(rdata, numbers->hsync_compat_zero, &h) != MSP_OK)
			return false;
		msp_hsync_print(out, &h);
		return true;
	}
	if (type == numbers->type_hsync3) {
		if (msp_hsync3_parse(rdata, &h3) != MSP_OK)
			return false;
		msp_hsync3_print(out, &h3);
		return true;
	}
	return type == numbers->type_hsyncparam && msp_hsyncparam_print(out, rdata, false) == MSP_OK;
}

void msp_rdata_print(struct msp_buf *out, const struct msp_numbers *numbers, uint16_t type, struct msp_span rdata)
{
	const struct msp_type_row *row = msp_type_row(type);
	size_t start = out->len;

	if (row != NULL ? msp_layout_print(out, row, rdata) : print_hsync(out, or_default(numbers), type, rdata))
		return;
	if (out->err != MSP_OK)
		return;
	out->len = start; /* what the attempt has left */
	msp_buf_printf(out, "\\# %zu%s", rdata.len, rdata.len != 0 ? " " : "");
	msp_hex_write(out, rdata);
}

static void print_type(struct msp_buf *out, const struct msp_numbers *numbers, uint16_t type)
{
	if (msp_type_row(type) != NULL)
		msp_buf_add_str(out, MSP_TYPE(type));
	else if (type == numbers->type_hsync)
		msp_buf_add_str(out, "HSYNC");
	else if (type == numbers->type_hsync3)
		msp_buf_add_str(out, "HSYNC3");
	else if (type == numbers->type_hsyncparam)
		msp_buf_add_str(out, "HSYNCPARAM");
	else
		msp_buf_add_str(out, MSP_TYPE(type));
}

void msp_rr_print(struct msp_buf *out, const struct msp_numbers *numbers, const struct msp_rr *rr)
{
	size_t i = 0;

	msp_buf_printf(out, "%s %u ", MSP_NAME(&rr->owner), rr->ttl);
	while (i < CLASSES && classes[i].value != rr->cls)
		i++;
	if (i < CLASSES)
		msp_buf_printf(out, "%s ", classes[i].name);
	else
		msp_buf_printf(out, "CLASS%u ", rr->cls);
	print_type(out, or_default(numbers), rr->type);
	msp_buf_add_u8(out, ' ');
	if (rr->type == MSP_TYPE_A && rr->cls == MSP_CLASS_CH) /* not an address there (RFC 1035 3.4) */
		msp_rdata_print(out, numbers, 0, rr->rdata);
	else
		msp_rdata_print(out, numbers, rr->type, rr->rdata);
}

/* ---- scanning ---- */

/* RFC 3597 5: \# length, then the octets in base16, split anywhere. */
static enum msp_err scan_generic(struct msp_words *w, struct msp_buf *out)
{
	struct msp_word word;
	struct msp_buf digits;
	enum msp_err err;
	uint64_t len = 0;
	bool got;

	msp_buf_init(&digits, (size_t)2 * MSP_RDATA_MAX);
	err = msp_words_next(w, &word, &got);
	if (err != MSP_OK)
		goto out;
	if (!got || msp_u64_parse(word.s, MSP_RDATA_MAX, &len) != MSP_OK) {
		err = msp_fail(w->why, MSP_EFORMAT, "\\# without a length");
		goto out;
	}
	while (got) {
		err = msp_words_next(w, &word, &got);
		if (err != MSP_OK)
			goto out;
		if (got)
			msp_buf_add_span(&digits, word.s);
	}
	err = digits.err;
	if (err == MSP_OK)
		err = msp_hex_parse(msp_buf_span(&digits), out);
	if (err == MSP_EFORMAT || (err == MSP_OK && out->len != len))
		err = msp_fail(w->why, MSP_EFORMAT, "\\# %u is not followed by so many octets", (unsigned)len);
out:
	msp_buf_fini(&digits);
	return err;
}

static enum msp_err scan_hsync(struct msp_words *w, const struct msp_name *origin, struct msp_buf *out)
{
	uint8_t mem[3 + 2 * MSP_NAME_MAX];
	struct msp_span words[6];
	struct msp_hsync h;
	struct msp_wr wr;
	size_t count = 0;
	enum msp_err err;
	bool got = true;

	while (got) {
		struct msp_word word;

		err = msp_words_next(w, &word, &got);
		if (err != MSP_OK)
			return err;
		if (got && count < 6)
			words[count++] = word.s;
	}
	err = msp_hsync_from_words(words, count, origin, &h, w->why);
	if (err != MSP_OK)
		return err;
	msp_wr_init(&wr, mem, sizeof(mem));
	msp_hsync_write(&wr, &h);
	if (wr.err != MSP_OK)
		return msp_fail(w->why, wr.err, "0 is not a value of an HSYNC field");
	msp_buf_add_span(out, msp_wr_span(&wr));
	return MSP_OK;
}

/* The HSYNC family is not in the registry because its numbers are settings; read over the wire it is opaque. */
static enum msp_err check_scanned(const struct msp_numbers *numbers, uint16_t type, struct msp_span rdata)
{
	struct msp_hsync h;
	struct msp_hsync3 h3;

	if (msp_type_row(type) != NULL)
		return msp_rdata_check(type, rdata);
	if (type == numbers->type_hsync)
		return msp_hsync_parse(rdata, numbers->hsync_compat_zero, &h);
	if (type == numbers->type_hsync3)
		return msp_hsync3_parse(rdata, &h3);
	return type == numbers->type_hsyncparam ? msp_hsyncparam_check(rdata) : MSP_OK;
}

/* The words after the type. @param may_be_empty class ANY or NONE: RDATA may be missing (RFC 2136 2.4 and 2.5). */
static enum msp_err scan_rdata(struct msp_words *w, const struct msp_numbers *numbers, uint16_t type,
			       const struct msp_name *origin, bool may_be_empty, struct msp_buf *out)
{
	const struct msp_type_row *row = msp_type_row(type);
	struct msp_words start = *w;
	struct msp_word word;
	enum msp_err err;
	bool got;

	err = msp_words_next(w, &word, &got);
	if (err != MSP_OK)
		return err;
	if (!got && may_be_empty)
		return MSP_OK;
	if (got && !word.quoted && word.s.len == 2 && memcmp(word.s.ptr, "\\#", 2) == 0) {
		err = scan_generic(w, out);
	} else {
		*w = start;
		if (row != NULL)
			err = msp_layout_scan(w, numbers, row, origin, out);
		else if (type == numbers->type_hsync)
			err = scan_hsync(w, origin, out);
		else
			err = msp_fail(w->why, MSP_EFORMAT,
				       "this type is only read in generic form: \\# length base16");
	}
	if (err == MSP_OK)
		err = out->err;
	if (err != MSP_OK)
		return err;
	if (out->len > MSP_RDATA_MAX)
		return msp_fail(w->why, MSP_ELIMIT, "RDATA over 65535 octets");
	if (out->len == 0 && may_be_empty)
		return MSP_OK;
	if (check_scanned(numbers, type, msp_buf_span(out)) != MSP_OK)
		return msp_fail(w->why, MSP_EFORMAT, "these octets are not valid for type %s", MSP_TYPE(type));
	return MSP_OK;
}

enum msp_err msp_rdata_scan(struct msp_span text, const struct msp_numbers *numbers, uint16_t type,
			    const struct msp_name *origin, struct msp_buf *out, struct msp_why *why)
{
	struct msp_words w;

	msp_buf_reset(out);
	msp_words_init(&w, text, why);
	return scan_rdata(&w, or_default(numbers), type, origin, false, out);
}

static bool scan_class(struct msp_span s, uint16_t *out)
{
	uint64_t v;

	for (size_t i = 0; i < CLASSES; i++) {
		if (msp_span_is(s, classes[i].name)) {
			*out = (uint16_t)classes[i].value;
			return true;
		}
	}
	if (s.len <= 5 || !msp_span_is(msp_span(s.ptr, 5), "CLASS") ||
	    msp_u64_parse(msp_span(s.ptr + 5, s.len - 5), UINT16_MAX, &v) != MSP_OK)
		return false;
	*out = (uint16_t)v;
	return true;
}

/* [TTL] [CLASS] TYPE, the first two in either order. */
static enum msp_err scan_head(struct msp_words *w, const struct msp_numbers *numbers, struct msp_rr *rr)
{
	bool has_ttl = false, has_class = false, got;
	struct msp_word word;

	for (;;) {
		enum msp_err err = msp_words_next(w, &word, &got);

		if (err != MSP_OK)
			return err;
		if (!got)
			return msp_fail(w->why, MSP_EFORMAT, "no type");
		if (!has_class && scan_class(word.s, &rr->cls)) {
			has_class = true;
		} else if (!has_ttl && word.s.len != 0 && msp_is_digit(word.s.ptr[0])) {
			if (msp_period_scan(word.s, &rr->ttl) != MSP_OK)
				return msp_fail(w->why, MSP_EVALUE, "not a TTL");
			has_ttl = true;
		} else {
			break;
		}
	}
	if (msp_type_from_text(word.s, numbers, &rr->type) != MSP_OK)
		return msp_fail(w->why, MSP_EVALUE, "not an RR type");
	return MSP_OK;
}

enum msp_err msp_rr_scan(struct msp_span line, const struct msp_numbers *numbers, const struct msp_name *origin,
			 uint32_t default_ttl, struct msp_buf *rdata, struct msp_rr *out, struct msp_why *why)
{
	struct msp_rr rr = { .cls = MSP_CLASS_IN, .ttl = default_ttl };
	struct msp_words w;
	struct msp_word word;
	enum msp_err err;
	bool may_be_empty, got;
	uint16_t type;

	numbers = or_default(numbers);
	msp_buf_reset(rdata);
	msp_words_init(&w, line, why);
	err = msp_words_next(&w, &word, &got);
	if (err != MSP_OK)
		return err;
	if (!got)
		return msp_fail(why, MSP_EFORMAT, "empty line");
	if (msp_name_from_text_rel(word.s, origin, &rr.owner) != MSP_OK)
		return msp_fail(why, MSP_ENAME, "the owner is not a domain name, or relative without an origin");
	err = scan_head(&w, numbers, &rr);
	if (err != MSP_OK)
		return err;
	may_be_empty = rr.cls == MSP_CLASS_ANY || rr.cls == MSP_CLASS_NONE;
	type = rr.type == MSP_TYPE_A && rr.cls == MSP_CLASS_CH ? 0 : rr.type; /* as in msp_rr_print */
	err = scan_rdata(&w, numbers, type, origin, may_be_empty, rdata);
	if (err != MSP_OK)
		return err;
	rr.rdata = msp_buf_span(rdata);
	*out = rr;
	return MSP_OK;
}
