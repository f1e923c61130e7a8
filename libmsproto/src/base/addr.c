/* SPDX-License-Identifier: BSD-2-Clause */
/* Parsed and printed by hand: the pure layers must not see socket headers, and inet_pton differs between systems. */
#include <msproto/base/addr.h>
#include <msproto/base/enc.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff }; /* RFC 4291 2.5.5.2 */

/* The IPv4 form of an IPv4-mapped address, anything else as it is. */
static struct msp_addr unmapped(const struct msp_addr *a)
{
	struct msp_addr v4 = { .family = MSP_FAMILY_V4, .port = a->port };

	if (a->family != MSP_FAMILY_V6 || memcmp(a->oct, mapped_prefix, sizeof(mapped_prefix)) != 0)
		return *a;
	memcpy(v4.oct, a->oct + sizeof(mapped_prefix), 4);
	return v4;
}

static size_t address_len(enum msp_family family)
{
	return family == MSP_FAMILY_V4 ? 4 : family == MSP_FAMILY_V6 ? 16 : 0;
}

/* Text being written into an msp_addr_text; 64 octets hold the longest address, so there is no error to report. */
struct writer {
	char *s;
	size_t len, size;
};

MSP_PRINTF(2, 3) static void write_text(struct writer *w, const char *fmt, ...);

static void write_text(struct writer *w, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(w->s + w->len, w->size - w->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		w->len = (size_t)n < w->size - w->len ? w->len + (size_t)n : w->size - 1;
}

/* RFC 5952 4: lower case, no leading zeros, the longest run of at least two zero groups (the first of equals) as "::".
 */
static void write_v6(struct writer *w, const uint8_t oct[16])
{
	unsigned group[8], groups = 8, run_at = 8, run_len = 1;

	for (unsigned i = 0; i < 8; i++)
		group[i] = (unsigned)oct[2 * i] << 8 | oct[2 * i + 1];
	for (unsigned i = 0; i < 8; i++) {
		unsigned n = 0;

		while (i + n < 8 && group[i + n] == 0)
			n++;
		if (n > run_len) {
			run_at = i;
			run_len = n;
		}
	}
	if (memcmp(oct, mapped_prefix, sizeof(mapped_prefix)) == 0)
		groups = 6; /* RFC 5952 5: the rest dotted */
	for (unsigned i = 0; i < groups;) {
		if (i == run_at) {
			write_text(w, "::");
			i += run_len;
			continue;
		}
		write_text(w, "%s%x", i > 0 && i != run_at + run_len ? ":" : "", group[i]);
		i++;
	}
	if (groups == 6)
		write_text(w, ":%u.%u.%u.%u", oct[12], oct[13], oct[14], oct[15]);
}

struct msp_addr_text msp_addr_text(const struct msp_addr *a)
{
	struct msp_addr_text out = { "" };
	struct writer w = { out.s, 0, sizeof(out.s) };

	switch (a->family) {
	case MSP_FAMILY_V4:
		write_text(&w, "%u.%u.%u.%u", a->oct[0], a->oct[1], a->oct[2], a->oct[3]);
		break;
	case MSP_FAMILY_V6:
		write_text(&w, "%s", a->port != 0 ? "[" : "");
		write_v6(&w, a->oct);
		write_text(&w, "%s", a->port != 0 ? "]" : "");
		break;
	case MSP_FAMILY_NONE:
		write_text(&w, "none");
		break;
	}
	if (a->port != 0)
		write_text(&w, ":%u", a->port);
	return out;
}

/* Four decimal numbers without leading zeros (some readers take those as octal). */
static bool parse_v4(struct msp_span text, uint8_t oct[4])
{
	size_t at = 0;

	for (unsigned i = 0; i < 4; i++) {
		size_t start = at;
		uint64_t v;

		while (at < text.len && text.ptr[at] != '.')
			at++;
		if (at - start > 3 || (at - start > 1 && text.ptr[start] == '0') ||
		    msp_u64_parse(msp_span(text.ptr + start, at - start), 255, &v) != MSP_OK)
			return false;
		oct[i] = (uint8_t)v;
		if (i < 3 && at++ == text.len)
			return false;
	}
	return at == text.len;
}

static int group_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 4291 2.2, without scope ids: those mean nothing outside one machine. */
static bool parse_v6(struct msp_span text, uint8_t oct[16])
{
	uint8_t got[16] = { 0 };
	size_t at = 0, len = 0, gap = SIZE_MAX; /* octets read; where "::" stands among them */

	if (text.len >= 2 && text.ptr[0] == ':' && text.ptr[1] == ':') {
		gap = 0;
		at = 2;
	}
	while (at < text.len) {
		size_t start = at;
		unsigned v = 0;

		if (len > 14)
			return false;
		while (at < text.len && at - start < 4 && group_digit(text.ptr[at]) >= 0)
			v = v << 4 | (unsigned)group_digit(text.ptr[at++]);
		if (at < text.len && text.ptr[at] == '.') {
			if (len > 12 || !parse_v4(msp_span(text.ptr + start, text.len - start), got + len))
				return false;
			len += 4;
			at = text.len;
			break;
		}
		if (at == start)
			return false;
		got[len++] = (uint8_t)(v >> 8);
		got[len++] = (uint8_t)v;
		if (at == text.len)
			break;
		if (text.ptr[at++] != ':' || at == text.len)
			return false; /* something else, or a single colon at the end */
		if (text.ptr[at] == ':') {
			if (gap != SIZE_MAX)
				return false;
			gap = len;
			at++;
		}
	}
	if (gap == SIZE_MAX ? len != 16 : len > 14)
		return false;
	memset(oct, 0, 16);
	if (gap == SIZE_MAX)
		gap = len;
	memcpy(oct, got, gap);
	memcpy(oct + 16 - (len - gap), got + gap, len - gap);
	return true;
}

static enum msp_err parse_address(struct msp_span text, uint16_t port, struct msp_addr *out)
{
	struct msp_addr a = { .family = MSP_FAMILY_V4, .port = port };

	if (!parse_v4(text, a.oct)) {
		a = (struct msp_addr){ .family = MSP_FAMILY_V6, .port = port };
		if (!parse_v6(text, a.oct))
			return MSP_EFORMAT;
	}
	*out = a;
	return MSP_OK;
}

enum msp_err msp_addr_parse(const char *text, uint16_t port, struct msp_addr *out)
{
	return parse_address(msp_span_str(text), port, out);
}

enum msp_err msp_addr_from_octets(struct msp_span oct, uint16_t port, struct msp_addr *out)
{
	struct msp_addr a = { .port = port };

	if (oct.len != 4 && oct.len != 16)
		return MSP_EFORMAT;
	a.family = oct.len == 4 ? MSP_FAMILY_V4 : MSP_FAMILY_V6;
	memcpy(a.oct, oct.ptr, oct.len);
	*out = a;
	return MSP_OK;
}

bool msp_addr_equal(const struct msp_addr *a, const struct msp_addr *b)
{
	return a->port == b->port && msp_addr_same_host(a, b);
}

bool msp_addr_same_host(const struct msp_addr *a, const struct msp_addr *b)
{
	struct msp_addr x = unmapped(a), y = unmapped(b);

	return x.family == y.family && memcmp(x.oct, y.oct, address_len(x.family)) == 0;
}

/* Clear what is behind the first `bits` bits; false when nothing was there. */
static bool clear_host_bits(uint8_t *oct, size_t len, unsigned bits)
{
	bool found = false;

	for (size_t i = 0; i < len; i++) {
		unsigned keep = bits >= 8 * (i + 1) ? 8 : bits <= 8 * i ? 0 : bits - 8 * (unsigned)i;
		uint8_t mask = (uint8_t)(0xff00u >> keep);

		found = found || (oct[i] & (uint8_t)~mask) != 0;
		oct[i] &= mask;
	}
	return found;
}

enum msp_err msp_prefix_parse(const char *text, struct msp_prefix *out)
{
	const char *slash = strchr(text, '/');
	size_t len = slash == NULL ? strlen(text) : (size_t)(slash - text);
	struct msp_prefix p;
	uint64_t bits, max;

	if (parse_address(msp_span(text, len), 0, &p.addr) != MSP_OK)
		return MSP_EFORMAT;
	bits = max = 8 * address_len(p.addr.family);
	if (slash != NULL &&
	    (msp_u64_parse(msp_span_str(slash + 1), max, &bits) != MSP_OK || (slash[1] == '0' && slash[2] != '\0')))
		return MSP_EFORMAT;
	if (clear_host_bits(p.addr.oct, (size_t)max / 8, (unsigned)bits))
		return MSP_EFORMAT;
	/* Sources are compared in their IPv4 form, so a prefix of mapped addresses must be one of IPv4. */
	if (p.addr.family == MSP_FAMILY_V6 && bits >= 96 && unmapped(&p.addr).family == MSP_FAMILY_V4) {
		p.addr = unmapped(&p.addr);
		bits -= 96;
	}
	p.bits = (uint8_t)bits;
	*out = p;
	return MSP_OK;
}

bool msp_prefix_has(const struct msp_prefix *p, const struct msp_addr *a)
{
	struct msp_addr x = unmapped(a);

	if (x.family == MSP_FAMILY_NONE || x.family != p->addr.family)
		return false;
	clear_host_bits(x.oct, address_len(x.family), p->bits);
	return memcmp(x.oct, p->addr.oct, address_len(x.family)) == 0;
}

struct msp_addr msp_addr_bucket(const struct msp_addr *a)
{
	struct msp_addr x = unmapped(a);

	clear_host_bits(x.oct, address_len(x.family), x.family == MSP_FAMILY_V4 ? 24 : 56);
	x.port = 0;
	return x;
}
