/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Words of one logical line of a zone file, and small codes that have names; shared by text, scan, print and
 * hsync. */
#ifndef WIRE_TOKEN_H
#define WIRE_TOKEN_H

#include <msproto/wire/rr.h>

/** One word as it stands in the text, escapes and (in the middle) quotes still there; a quoted word without its quotes.
 */
struct msp_word {
	struct msp_span s;
	bool quoted;
};

struct msp_words {
	struct msp_span text; /* borrowed */
	size_t pos;
	unsigned depth;      /* of parentheses */
	bool ended;          /* a line end was met outside of parentheses */
	bool params;         /* key="value" is one word (RFC 9460 2.1) */
	struct msp_why *why; /* may be NULL */
};

void msp_words_init(struct msp_words *w, struct msp_span text, struct msp_why *why);
/** The next word; *got is false at the end. @return MSP_OK or MSP_EFORMAT */
MSP_CHECKED enum msp_err msp_words_next(struct msp_words *w, struct msp_word *out, bool *got);

/** One character of presentation form. @return characters used, 0 when the escape is malformed. s is not empty. */
size_t msp_unescape(struct msp_span s, uint8_t *out);

static inline bool msp_is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/** A word of plain characters equals `text`, in any case. */
bool msp_span_is(struct msp_span s, const char *text);

/** A number that has mnemonics. */
struct msp_code {
	const char *name;
	unsigned value;
};
/** Decimal up to max, or one of the `count` names in any case. @return MSP_OK, MSP_EVALUE */
MSP_CHECKED enum msp_err msp_code_scan(struct msp_span s, const struct msp_code *codes, size_t count, unsigned max,
				       unsigned *out);

/** RDATA in presentation form by layout. False: it has none, or not one that would read back as the same octets. */
bool msp_layout_print(struct msp_buf *out, const struct msp_type_row *row, struct msp_span rdata);

/** Words up to the end to RDATA by layout, appended to out. */
MSP_CHECKED enum msp_err msp_layout_scan(struct msp_words *w, const struct msp_numbers *numbers,
					 const struct msp_type_row *row, const struct msp_name *origin,
					 struct msp_buf *out);

/** HSYNC from words already split. */
struct msp_hsync;
MSP_CHECKED enum msp_err msp_hsync_from_words(const struct msp_span *words, size_t count, const struct msp_name *origin,
					      struct msp_hsync *out, struct msp_why *why);

/** Octets between quotes, `"` and `\` and what is not printable escaped. */
void msp_quote(struct msp_buf *out, struct msp_span s);

/** Seconds since 1970 to YYYYMMDDHHMMSS and back (RFC 4034 3.2). */
void msp_time_print(struct msp_buf *out, uint32_t t);
MSP_CHECKED enum msp_err msp_time_scan(struct msp_span s, uint32_t *out);
/** "3600" or "1h30m". @return MSP_OK, MSP_EVALUE */
MSP_CHECKED enum msp_err msp_period_scan(struct msp_span s, uint32_t *out);

#endif
