/* SPDX-License-Identifier: BSD-2-Clause */
/* SVCB and HTTPS parameters from text (RFC 9460 2.1 and App. A): any order in, ascending keys out. */
#include <msproto/base/enc.h>
#include <msproto/wire/rdata.h>

#include "wire/layout.h"
#include "wire/scan.h"

#include <string.h>

static enum msp_err scan_key(struct scan *sc, struct msp_span s, uint16_t *out)
{
	const struct msp_code keys[] = {
		{ "mandatory", MSP_SVCB_MANDATORY },
		{ "alpn", MSP_SVCB_ALPN },
		{ "no-default-alpn", MSP_SVCB_NO_DEFAULT_ALPN },
		{ "port", MSP_SVCB_PORT },
		{ "ipv4hint", MSP_SVCB_IPV4HINT },
		{ "ech", MSP_SVCB_ECH },
		{ "ipv6hint", MSP_SVCB_IPV6HINT },
		{ "dohpath", 7 },
		{ "ohttp", 8 },
		{ "bootstrap", sc->numbers->svcb_bootstrap },
		{ "interval", sc->numbers->svcb_interval },
	};
	unsigned v;

	if (s.len > 3 && s.len <= 8 && msp_span_is(msp_span(s.ptr, 3), "key") && msp_is_digit(s.ptr[3])) {
		if (msp_code_scan(msp_span(s.ptr + 3, s.len - 3), NULL, 0, UINT16_MAX, &v) != MSP_OK)
			return msp_scan_fail(sc, MSP_EVALUE, "not a parameter key", s);
	} else if (s.len == 0 || msp_is_digit(s.ptr[0]) ||
		   msp_code_scan(s, keys, sizeof(keys) / sizeof(keys[0]), 0, &v) != MSP_OK) {
		return msp_scan_fail(sc, MSP_EVALUE, "not a parameter key", s);
	}
	*out = (uint16_t)v;
	return MSP_OK;
}

/* The next element of a comma list; *rest moves behind it. Escapes stay in. */
static struct msp_span element(struct msp_span *rest, bool escapes)
{
	size_t n = 0;
	struct msp_span e;

	while (n < rest->len && rest->ptr[n] != ',')
		n += escapes && rest->ptr[n] == '\\' && n + 1 < rest->len ? 2 : 1;
	e = msp_span(rest->ptr, n);
	*rest = n < rest->len ? msp_span(rest->ptr + n + 1, rest->len - n - 1) : msp_span(NULL, 0);
	return e;
}

static int u16_order(const uint8_t *a, const uint8_t *b)
{
	return msp_get_u16(a) - msp_get_u16(b);
}

/* Keys in any order in text, ascending on the wire. */
static enum msp_err scan_mandatory(struct scan *sc, struct msp_span v)
{
	size_t at = sc->out->len;

	do {
		struct msp_span e = element(&v, false);
		enum msp_err err;
		uint16_t key;

		err = scan_key(sc, e, &key);
		if (err != MSP_OK)
			return err;
		msp_scan_put(sc, key, 2);
		if (sc->out->err != MSP_OK)
			return sc->out->err;
		for (size_t i = sc->out->len - 2; i > at; i -= 2) {
			uint8_t *b = sc->out->ptr + i, swap[2];

			if (u16_order(b - 2, b) <= 0)
				break;
			memcpy(swap, b, 2);
			memcpy(b, b - 2, 2);
			memcpy(b - 2, swap, 2);
		}
	} while (v.ptr != NULL);
	return MSP_OK;
}

static enum msp_err scan_alpn(struct scan *sc, struct msp_span v)
{
	do {
		struct msp_span e = element(&v, true);
		size_t at = sc->out->len;

		msp_scan_put(sc, 0, 1);
		for (size_t i = 0; i < e.len; i++) {
			if (e.ptr[i] == '\\' && i + 1 < e.len)
				i++;
			msp_buf_add_u8(sc->out, e.ptr[i]);
		}
		if (sc->out->err == MSP_OK && sc->out->len - at - 1 > UINT8_MAX)
			return msp_scan_fail(sc, MSP_EVALUE, "protocol identifier over 255 octets", e);
		msp_scan_patch(sc, at, 1, sc->out->len - at - 1);
	} while (v.ptr != NULL);
	return sc->out->err;
}

static enum msp_err scan_hints(struct scan *sc, struct msp_span v, size_t size)
{
	do {
		enum msp_err err = msp_scan_address(sc, element(&v, false), size);

		if (err != MSP_OK)
			return err;
	} while (v.ptr != NULL);
	return MSP_OK;
}

/* `v` is the value with the escapes of the character-string resolved. `generic`: written as keyN, octets as they are.
 */
static enum msp_err scan_value(struct scan *sc, uint16_t key, bool generic, struct msp_span v)
{
	if (v.len == 0 || generic) {
		msp_buf_add_span(sc->out, v);
		return MSP_OK;
	}
	switch (key) {
	case MSP_SVCB_MANDATORY:
		return scan_mandatory(sc, v);
	case MSP_SVCB_ALPN:
		return scan_alpn(sc, v);
	case MSP_SVCB_PORT:
		return msp_scan_number(sc, v, 2);
	case MSP_SVCB_IPV4HINT:
		return scan_hints(sc, v, 4);
	case MSP_SVCB_IPV6HINT:
		return scan_hints(sc, v, 16);
	case MSP_SVCB_ECH:
		return msp_scan_encoded(sc, v, msp_b64_parse);
	default:
		msp_buf_add_span(sc->out, v);
		return MSP_OK;
	}
}

/* The parameter just appended at `last` moves to its place among those from `first` on. */
static enum msp_err sort_in(struct scan *sc, size_t first, size_t last)
{
	uint8_t *p = sc->out->ptr;
	uint16_t key = msp_get_u16(p + last);
	size_t len = sc->out->len - last, at = first;

	while (at < last && msp_get_u16(p + at) < key)
		at += 4u + msp_get_u16(p + at + 2);
	if (at == last)
		return MSP_OK;
	if (msp_get_u16(p + at) == key)
		return msp_fail(sc->w->why, MSP_EFORMAT, "parameter key %u given twice", key);
	msp_buf_reset(&sc->tmp);
	msp_buf_add(&sc->tmp, p + last, len);
	if (sc->tmp.err != MSP_OK)
		return sc->tmp.err;
	memmove(p + at + len, p + at, last - at);
	memcpy(p + at, sc->tmp.ptr, len);
	return MSP_OK;
}

static enum msp_err scan_param(struct scan *sc, struct msp_word word, size_t first, size_t *largest)
{
	const uint8_t *eq = word.s.len != 0 ? memchr(word.s.ptr, '=', word.s.len) : NULL;
	struct msp_span name = word.s, v = msp_span(NULL, 0);
	size_t at = sc->out->len;
	enum msp_err err;
	uint16_t key;

	if (eq != NULL) {
		name.len = (size_t)(eq - word.s.ptr);
		v = msp_span(eq + 1, word.s.len - name.len - 1);
		if (v.len >= 2 && v.ptr[0] == '"')
			v = msp_span(v.ptr + 1, v.len - 2);
	}
	err = scan_key(sc, name, &key);
	if (err != MSP_OK)
		return err;
	msp_buf_reset(&sc->tmp);
	err = msp_scan_unescape(sc, v, &sc->tmp);
	if (err != MSP_OK)
		return err;
	msp_scan_put(sc, key, 2);
	msp_scan_put(sc, 0, 2);
	/* Only the keyN form ends in a digit. */
	err = scan_value(sc, key, msp_is_digit(name.ptr[name.len - 1]), msp_buf_span(&sc->tmp));
	if (err != MSP_OK || sc->out->err != MSP_OK)
		return err;
	if (sc->out->len - at > MSP_RDATA_MAX)
		return msp_scan_fail(sc, MSP_ELIMIT, "value too long", name);
	msp_scan_patch(sc, at + 2, 2, sc->out->len - at - 4);
	if (key > *largest || at == first) { /* in order already */
		*largest = key;
		return MSP_OK;
	}
	return sort_in(sc, first, at);
}

enum msp_err msp_scan_svcb(struct scan *sc)
{
	size_t first = sc->out->len, largest = 0;
	struct msp_word word;
	enum msp_err err;
	bool got = true;

	sc->w->params = true;
	while (got) {
		err = msp_words_next(sc->w, &word, &got);
		if (err == MSP_OK && got)
			err = scan_param(sc, word, first, &largest);
		if (err != MSP_OK)
			return err;
		if (sc->out->err != MSP_OK)
			return sc->out->err;
	}
	if (msp_svcb_params_check(msp_span(sc->out->ptr + first, sc->out->len - first), true) != MSP_OK)
		return msp_fail(sc->w->why, MSP_EVALUE, "a parameter has a value that it cannot have");
	return MSP_OK;
}
