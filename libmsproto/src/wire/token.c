/* SPDX-License-Identifier: BSD-2-Clause */
#include "wire/token.h"

#include <msproto/base/enc.h>

#include <string.h>
#include <strings.h>

#define DEPTH_MAX 16 /* nested parentheses; nobody writes two */

void msp_words_init(struct msp_words *w, struct msp_span text, struct msp_why *why)
{
	*w = (struct msp_words){ .text = text, .why = why };
}

static void skip_comment(struct msp_words *w)
{
	while (w->pos < w->text.len && w->text.ptr[w->pos] != '\n')
		w->pos++;
}

/* Blanks, comments, parentheses and line ends in front of a word. */
static enum msp_err skip_blank(struct msp_words *w)
{
	for (; w->pos < w->text.len; w->pos++) {
		switch (w->text.ptr[w->pos]) {
		case ' ':
		case '\t':
		case '\r':
			break;
		case '\n':
			w->ended = w->ended || w->depth == 0;
			break;
		case '(':
			if (++w->depth > DEPTH_MAX)
				return msp_fail(w->why, MSP_EFORMAT, "too many parentheses");
			break;
		case ')':
			if (w->depth-- == 0)
				return msp_fail(w->why, MSP_EFORMAT, "closing parenthesis without an opening one");
			break;
		case ';':
			skip_comment(w);
			w->pos--;
			break;
		default:
			return MSP_OK;
		}
	}
	return MSP_OK;
}

/* From behind the opening quote to the closing one; pos is left behind that. */
static enum msp_err skip_quoted(struct msp_words *w)
{
	for (; w->pos < w->text.len; w->pos++) {
		uint8_t c = w->text.ptr[w->pos];

		if (c == '\n')
			break;
		if (c == '\\' && w->pos + 1 < w->text.len)
			w->pos++;
		else if (c == '"') {
			w->pos++;
			return MSP_OK;
		}
	}
	return msp_fail(w->why, MSP_EFORMAT, "quotation mark not closed");
}

static enum msp_err skip_bare(struct msp_words *w)
{
	for (size_t start = w->pos; w->pos < w->text.len; w->pos++) {
		uint8_t c = w->text.ptr[w->pos];

		if (c == '\\' && w->pos + 1 < w->text.len) {
			w->pos++;
		} else if (w->params && c == '"' && w->pos > start && w->text.ptr[w->pos - 1] == '=') {
			w->pos++;
			return skip_quoted(w);
		} else if (c != '\0' && strchr(" \t\r\n();\"", c) != NULL) {
			break;
		}
	}
	return MSP_OK;
}

enum msp_err msp_words_next(struct msp_words *w, struct msp_word *out, bool *got)
{
	enum msp_err err = skip_blank(w);
	size_t start;

	*got = false;
	if (err != MSP_OK)
		return err;
	if (w->pos == w->text.len)
		return w->depth == 0 ? MSP_OK : msp_fail(w->why, MSP_EFORMAT, "parenthesis not closed");
	if (w->ended)
		return msp_fail(w->why, MSP_EFORMAT, "text after the end of the line");
	out->quoted = w->text.ptr[w->pos] == '"';
	w->pos += out->quoted;
	start = w->pos;
	err = out->quoted ? skip_quoted(w) : skip_bare(w);
	if (err != MSP_OK)
		return err;
	out->s = msp_span(w->text.ptr + start, w->pos - start - out->quoted);
	*got = true;
	return MSP_OK;
}

size_t msp_unescape(struct msp_span s, uint8_t *out)
{
	unsigned v;

	if (s.ptr[0] != '\\') {
		*out = s.ptr[0];
		return 1;
	}
	if (s.len < 2)
		return 0;
	if (!msp_is_digit(s.ptr[1])) {
		*out = s.ptr[1];
		return 2;
	}
	if (s.len < 4 || !msp_is_digit(s.ptr[2]) || !msp_is_digit(s.ptr[3]))
		return 0;
	v = (s.ptr[1] - '0') * 100u + (s.ptr[2] - '0') * 10u + (unsigned)(s.ptr[3] - '0');
	if (v > 255)
		return 0;
	*out = (uint8_t)v;
	return 4;
}

bool msp_span_is(struct msp_span s, const char *text)
{
	return strlen(text) == s.len && strncasecmp((const char *)s.ptr, text, s.len) == 0;
}

enum msp_err msp_code_scan(struct msp_span s, const struct msp_code *codes, size_t count, unsigned max, unsigned *out)
{
	uint64_t v;

	for (size_t i = 0; i < count; i++) {
		if (msp_span_is(s, codes[i].name)) {
			*out = codes[i].value;
			return MSP_OK;
		}
	}
	if (msp_u64_parse(s, max, &v) != MSP_OK)
		return MSP_EVALUE;
	*out = (unsigned)v;
	return MSP_OK;
}

void msp_quote(struct msp_buf *out, struct msp_span s)
{
	msp_buf_add_u8(out, '"');
	for (size_t i = 0; i < s.len && out->err == MSP_OK; i++) {
		uint8_t c = s.ptr[i];

		if (c < ' ' || c >= 0x7F) {
			uint8_t esc[4] = { '\\', (uint8_t)('0' + c / 100), (uint8_t)('0' + c / 10 % 10),
					   (uint8_t)('0' + c % 10) };

			msp_buf_add(out, esc, sizeof(esc));
			continue;
		}
		if (c == '"' || c == '\\')
			msp_buf_add_u8(out, '\\');
		msp_buf_add_u8(out, c);
	}
	msp_buf_add_u8(out, '"');
}

/* ---- times: the proleptic Gregorian calendar, by hand because timegm belongs to no standard ---- */

static bool is_leap(uint32_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static uint32_t days_in(uint32_t year, uint32_t month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

void msp_time_print(struct msp_buf *out, uint32_t t)
{
	uint32_t day = t / 86400, year = 1970, month = 1, second = t % 86400;

	while (day >= (is_leap(year) ? 366u : 365u))
		day -= is_leap(year++) ? 366 : 365;
	while (day >= days_in(year, month))
		day -= days_in(year, month++);
	msp_buf_printf(out, "%04u%02u%02u%02u%02u%02u", year, month, day + 1, second / 3600, second / 60 % 60,
		       second % 60);
}

static uint32_t two_digits(const uint8_t *s)
{
	return (s[0] - (uint32_t)'0') * 10 + (s[1] - (uint32_t)'0');
}

enum msp_err msp_time_scan(struct msp_span s, uint32_t *out)
{
	uint32_t year, month, day, hour, minute, second;
	uint64_t t = 0;

	for (size_t i = 0; i < s.len; i++)
		if (!msp_is_digit(s.ptr[i]))
			return MSP_EVALUE;
	if (s.len != 14) {
		if (msp_u64_parse(s, UINT32_MAX, &t) != MSP_OK)
			return MSP_EVALUE;
		*out = (uint32_t)t;
		return MSP_OK;
	}
	year = two_digits(s.ptr) * 100 + two_digits(s.ptr + 2);
	month = two_digits(s.ptr + 4);
	day = two_digits(s.ptr + 6);
	hour = two_digits(s.ptr + 8);
	minute = two_digits(s.ptr + 10);
	second = two_digits(s.ptr + 12);
	if (year < 1970 || year > 2106 || month < 1 || month > 12 || day < 1 || day > days_in(year, month) ||
	    hour > 23 || minute > 59 || second > 60)
		return MSP_EVALUE;
	for (uint32_t y = 1970; y < year; y++)
		t += is_leap(y) ? 366 : 365;
	for (uint32_t m = 1; m < month; m++)
		t += days_in(year, m);
	t = (t + day - 1) * 86400 + hour * 3600 + minute * 60 + second;
	if (t > UINT32_MAX)
		return MSP_EVALUE;
	*out = (uint32_t)t;
	return MSP_OK;
}

enum msp_err msp_period_scan(struct msp_span s, uint32_t *out)
{
	static const struct {
		char unit;
		uint32_t s;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 604800 } };
	uint64_t sum = 0;
	size_t pos = 0;

	if (s.len == 0 || s.len > 32)
		return MSP_EVALUE;
	while (pos < s.len) {
		size_t start = pos, unit = 0;
		uint64_t v;

		while (pos < s.len && msp_is_digit(s.ptr[pos]))
			pos++;
		if (msp_u64_parse(msp_span(s.ptr + start, pos - start), UINT32_MAX, &v) != MSP_OK)
			return MSP_EVALUE;
		if (pos < s.len) {
			while (unit < 5 && units[unit].unit != (s.ptr[pos] | 0x20))
				unit++;
			if (unit == 5)
				return MSP_EVALUE;
			v *= units[unit].s;
			pos++;
		}
		sum += v;
		if (sum > UINT32_MAX)
			return MSP_EVALUE;
	}
	*out = (uint32_t)sum;
	return MSP_OK;
}
