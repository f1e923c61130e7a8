/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/base/enc.h>

static const char hex_digits[] = "0123456789abcdef";
static const char b64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char b32hex_digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUV";

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static int b64_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Either case: an NSEC3 owner is a DNS label (RFC 5155 3.3). */
static int b32hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'v')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'V')
		return c - 'A' + 10;
	return -1;
}

void msp_hex_write(struct msp_buf *out, struct msp_span in)
{
	uint8_t *to;

	if (in.len > out->cap / 2) { /* also keeps the product below from wrapping */
		out->err = out->err == MSP_OK ? MSP_ELIMIT : out->err;
		return;
	}
	to = msp_buf_reserve(out, 2 * in.len);
	if (to == NULL)
		return;
	for (size_t i = 0; i < in.len; i++) {
		*to++ = (uint8_t)hex_digits[in.ptr[i] >> 4];
		*to++ = (uint8_t)hex_digits[in.ptr[i] & 15];
	}
	msp_buf_claim(out, 2 * in.len);
}

/* Base64 and Base32hex are the same thing with 6 and 5 bits a digit. Returns the digits written. */
static size_t digits_write(struct msp_buf *out, struct msp_span in, const char *digits, unsigned bits)
{
	const uint32_t mask = (1u << bits) - 1;
	uint32_t acc = 0; /* the bits not yet written, at most bits + 7 of them matter */
	unsigned held = 0;
	size_t count = 0;

	for (size_t i = 0; i < in.len && out->err == MSP_OK; i++) {
		acc = acc << 8 | in.ptr[i];
		for (held += 8; held >= bits; count++) {
			held -= bits;
			msp_buf_add_u8(out, (uint8_t)digits[acc >> held & mask]);
		}
	}
	if (held > 0) {
		msp_buf_add_u8(out, (uint8_t)digits[acc << (bits - held) & mask]);
		count++;
	}
	return count;
}

void msp_b64_write(struct msp_buf *out, struct msp_span in)
{
	for (size_t count = digits_write(out, in, b64_digits, 6); count % 4 != 0; count++)
		msp_buf_add_u8(out, '=');
}

void msp_b32hex_write(struct msp_buf *out, struct msp_span in)
{
	digits_write(out, in, b32hex_digits, 5);
}

/* The bits left over after the last octet must be zero (RFC 4648 3.5) and fewer than a digit, so each text has one
 * value. */
static enum msp_err digits_parse(struct msp_span text, int (*value)(uint8_t), unsigned bits, struct msp_buf *out)
{
	uint32_t acc = 0;
	unsigned held = 0;

	if (out->err != MSP_OK)
		return out->err;
	for (size_t i = 0; i < text.len; i++) {
		int digit = value(text.ptr[i]);

		if (digit < 0)
			return MSP_EFORMAT;
		acc = acc << bits | (uint32_t)digit;
		held += bits;
		if (held >= 8) {
			held -= 8;
			msp_buf_add_u8(out, (uint8_t)(acc >> held));
			acc &= (1u << held) - 1;
		}
	}
	if (acc != 0 || held >= bits)
		return MSP_EFORMAT;
	return out->err;
}

enum msp_err msp_hex_parse(struct msp_span text, struct msp_buf *out)
{
	return digits_parse(text, hex_value, 4, out);
}

enum msp_err msp_b64_parse(struct msp_span text, struct msp_buf *out)
{
	if (text.len % 4 != 0)
		return MSP_EFORMAT;
	for (int pad = 0; pad < 2 && text.len > 0 && text.ptr[text.len - 1] == '='; pad++)
		text.len--;
	return digits_parse(text, b64_value, 6, out);
}

enum msp_err msp_b32hex_parse(struct msp_span text, struct msp_buf *out)
{
	return digits_parse(text, b32hex_value, 5, out);
}

enum msp_err msp_u64_parse(struct msp_span text, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	bool over = false;

	if (text.len == 0)
		return MSP_EFORMAT;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];

		if (c < '0' || c > '9')
			return MSP_EFORMAT;
		if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(c - '0'), &v))
			over = true;
	}
	if (over || v > max)
		return MSP_EVALUE;
	*out = v;
	return MSP_OK;
}
