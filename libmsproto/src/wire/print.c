/* SPDX-License-Identifier: BSD-2-Clause */
/* RDATA to text, by layout. What the scanner would not read back as the same octets is refused: generic form then. */
#include <msproto/base/addr.h>
#include <msproto/base/enc.h>
#include <msproto/wire/rdata.h>

#include "wire/layout.h"
#include "wire/token.h"

#include <inttypes.h>

static uint64_t number(struct msp_span f)
{
	uint64_t v = 0;

	for (size_t i = 0; i < f.len; i++)
		v = v << 8 | f.ptr[i];
	return v;
}

static bool print_name(struct msp_buf *out, struct msp_span f)
{
	struct msp_name n;

	if (msp_name_from_wire(f, &n) != MSP_OK)
		return false;
	msp_buf_add_str(out, MSP_NAME(&n));
	return true;
}

static bool print_address(struct msp_buf *out, struct msp_span f)
{
	struct msp_addr a;

	if (msp_addr_from_octets(f, 0, &a) != MSP_OK)
		return false;
	msp_buf_add_str(out, MSP_ADDR(&a));
	return true;
}

static void print_strings(struct msp_buf *out, struct msp_span f)
{
	for (size_t pos = 0; pos < f.len; pos += f.ptr[pos] + 1u) {
		if (pos != 0)
			msp_buf_add_u8(out, ' ');
		msp_quote(out, msp_span(f.ptr + pos + 1, f.ptr[pos]));
	}
}

static bool print_names(struct msp_buf *out, struct msp_span f)
{
	size_t len = 0;

	for (size_t pos = 0; pos < f.len; pos += len) {
		if (pos != 0)
			msp_buf_add_u8(out, ' ');
		if (msp_name_octets_len(msp_span(f.ptr + pos, f.len - pos), &len) != MSP_OK ||
		    !print_name(out, msp_span(f.ptr + pos, len)))
			return false;
	}
	return true;
}

/* A tag is written bare, so that it must be made of letters and digits (RFC 8659 4.1). */
static bool print_tag(struct msp_buf *out, struct msp_span f)
{
	for (size_t i = 1; i < f.len; i++)
		if (!msp_is_digit(f.ptr[i]) && !(msp_lower(f.ptr[i]) >= 'a' && msp_lower(f.ptr[i]) <= 'z'))
			return false;
	msp_buf_add(out, f.ptr + 1, f.len - 1);
	return f.len > 1;
}

static void print_groups(struct msp_buf *out, struct msp_span f, size_t group, char between)
{
	for (size_t i = 0; i < f.len; i++) {
		if (i != 0 && i % group == 0)
			msp_buf_add_u8(out, (uint8_t)between);
		msp_buf_printf(out, "%02x", f.ptr[i]);
	}
}

static void print_or_dash(struct msp_buf *out, struct msp_span f, void (*write)(struct msp_buf *, struct msp_span))
{
	if (f.len == 0)
		msp_buf_add_u8(out, '-');
	else
		write(out, f);
}

static void print_bitmap(struct msp_buf *out, struct msp_span f)
{
	const char *gap = "";

	for (size_t pos = 0; pos + 2 <= f.len; pos += 2u + f.ptr[pos + 1]) {
		for (unsigned i = 0; i < f.ptr[pos + 1] * 8u; i++) {
			if ((f.ptr[pos + 2 + i / 8] & 0x80 >> i % 8) == 0)
				continue;
			msp_buf_printf(out, "%s%s", gap, MSP_TYPE((uint16_t)((unsigned)f.ptr[pos] << 8 | i)));
			gap = " ";
		}
	}
}

/* RFC 3123 5: [!]afi:address/prefix. Only the shape that the scanner makes: no trailing zero octets. */
static bool print_apl(struct msp_buf *out, struct msp_span f)
{
	size_t len = 0;

	for (size_t pos = 0; pos < f.len; pos += 4 + len) {
		const uint8_t *item = f.ptr + pos;
		uint16_t family = msp_get_u16(item);
		size_t size = family == 1 ? 4 : 16;
		uint8_t oct[16] = { 0 };

		len = item[3] & 0x7F;
		if ((family != 1 && family != 2) || len > size || item[2] > size * 8 || (len > 0 && item[3 + len] == 0))
			return false;
		for (size_t i = 0; i < len; i++)
			oct[i] = item[4 + i];
		msp_buf_printf(out, "%s%s%u:", pos != 0 ? " " : "", (item[3] & 0x80) != 0 ? "!" : "", family);
		if (!print_address(out, msp_span(oct, size)))
			return false;
		msp_buf_printf(out, "/%u", item[2]);
	}
	return true;
}

/* ---- SVCB (RFC 9460 2.1) ---- */

/* A comma or a backslash inside an identifier is escaped once for the list and once more for the string (App. A.1). */
static void print_alpn(struct msp_buf *out, struct msp_span v)
{
	struct msp_buf list;

	msp_buf_init(&list, 2 * MSP_RDATA_MAX);
	for (size_t pos = 0; pos < v.len; pos += v.ptr[pos] + 1u) {
		if (pos != 0)
			msp_buf_add_u8(&list, ',');
		for (size_t i = 1; i <= v.ptr[pos]; i++) {
			uint8_t c = v.ptr[pos + i];

			if (c == ',' || c == '\\')
				msp_buf_add_u8(&list, '\\');
			msp_buf_add_u8(&list, c);
		}
	}
	if (list.err != MSP_OK && out->err == MSP_OK)
		out->err = list.err;
	msp_quote(out, msp_buf_span(&list));
	msp_buf_fini(&list);
}

static void print_svcb_key(struct msp_buf *out, uint16_t key)
{
	static const char *const names[] = { "mandatory", "alpn", "no-default-alpn", "port",
					     "ipv4hint",  "ech",  "ipv6hint" };

	if (key < sizeof(names) / sizeof(names[0]))
		msp_buf_add_str(out, names[key]);
	else
		msp_buf_printf(out, "key%u", key);
}

static bool print_svcb_value(struct msp_buf *out, uint16_t key, struct msp_span v)
{
	size_t step = key == MSP_SVCB_IPV4HINT ? 4 : 16;

	if (v.len == 0) /* "ech=" without a value would not be read back */
		return key != MSP_SVCB_ECH;
	msp_buf_add_u8(out, '=');
	switch (key) {
	case MSP_SVCB_MANDATORY:
		for (size_t i = 0; i < v.len; i += 2) {
			if (i != 0)
				msp_buf_add_u8(out, ',');
			print_svcb_key(out, msp_get_u16(v.ptr + i));
		}
		break;
	case MSP_SVCB_ALPN:
		print_alpn(out, v);
		break;
	case MSP_SVCB_PORT:
		msp_buf_printf(out, "%u", msp_get_u16(v.ptr));
		break;
	case MSP_SVCB_IPV4HINT:
	case MSP_SVCB_IPV6HINT:
		for (size_t i = 0; i < v.len; i += step) {
			if (i != 0)
				msp_buf_add_u8(out, ',');
			if (!print_address(out, msp_span(v.ptr + i, step)))
				return false;
		}
		break;
	case MSP_SVCB_ECH:
		msp_b64_write(out, v);
		break;
	default:
		msp_quote(out, v);
		break;
	}
	return true;
}

static bool print_params(struct msp_buf *out, struct msp_span f)
{
	struct msp_rd rd;

	if (msp_svcb_params_check(f, true) != MSP_OK)
		return false;
	msp_rd_init(&rd, f);
	for (const char *gap = ""; msp_rd_left(&rd) > 0; gap = " ") {
		uint16_t key = msp_rd_u16(&rd);
		struct msp_span v = msp_rd_take(&rd, msp_rd_u16(&rd));

		msp_buf_add_str(out, gap);
		print_svcb_key(out, key);
		if (!print_svcb_value(out, key, v))
			return false;
	}
	return true;
}

/* ---- layouts ---- */

static bool print_gateway(struct msp_buf *out, unsigned kind, struct msp_span f)
{
	if (kind == 0)
		msp_buf_add_u8(out, '.');
	else if (kind == 3)
		return print_name(out, f);
	else if (kind < 3)
		return print_address(out, f);
	return kind == 0;
}

/* RFC 8005 5: lengths stand first on the wire and nowhere in the text. */
static bool print_hip(struct msp_buf *out, struct msp_span f)
{
	size_t hit = f.ptr[0];

	msp_buf_printf(out, "%u ", f.ptr[1]);
	msp_hex_write(out, msp_span(f.ptr + 4, hit));
	msp_buf_add_u8(out, ' ');
	msp_b64_write(out, msp_span(f.ptr + 4 + hit, f.len - 4 - hit));
	return hit != 0 && f.len > 4 + hit;
}

static bool print_field(struct msp_buf *out, char letter, struct msp_span f, struct msp_span rdata)
{
	struct msp_span body = f.len > 0 ? msp_span(f.ptr + 1, f.len - 1) : f; /* behind a length octet, if any */

	switch (letter) {
	case '1':
	case '2':
	case '4':
	case '8':
	case 'U':
	case 'c':
	case 'g':
		msp_buf_printf(out, "%" PRIu64, number(f));
		return true;
	case 'q': /* only the assigned mnemonic, because nobody else reads ours (PROTOCOL A.3) */
		if (f.ptr[0] == MSP_DSYNC_NOTIFY)
			msp_buf_add_str(out, "NOTIFY");
		else
			msp_buf_printf(out, "%u", f.ptr[0]);
		return true;
	case 'T':
		msp_buf_add_str(out, MSP_TYPE(msp_get_u16(f.ptr)));
		return true;
	case 't':
		msp_time_print(out, msp_get_u32(f.ptr));
		return true;
	case 'a':
	case 'A':
		return print_address(out, f);
	case 'e':
	case 'E':
		print_groups(out, f, 1, '-');
		return true;
	case 'l':
		print_groups(out, f, 2, ':');
		return true;
	case 'n':
		return print_name(out, f);
	case 's':
		msp_quote(out, body);
		return true;
	case 'k':
		return print_tag(out, f);
	case 'S':
	case 'z':
		print_strings(out, f);
		return true;
	case 'h':
		print_or_dash(out, body, msp_hex_write);
		return true;
	case 'b':
		print_or_dash(out, body, msp_b32hex_write);
		return true;
	case 'v':
		print_or_dash(out, f, msp_b64_write);
		return true;
	case 'D':
		msp_buf_printf(out, "%u%s", msp_get_u16(f.ptr), f.len > 2 ? " " : "");
		msp_b64_write(out, msp_span(f.ptr + 2, f.len - 2));
		return true;
	case 'H':
		msp_hex_write(out, f);
		return true;
	case 'B':
		msp_b64_write(out, f);
		return true;
	case 'N':
		msp_buf_add_str(out, "0x");
		msp_hex_write(out, f);
		return true;
	case 'Q':
		msp_quote(out, f);
		return true;
	case 'M':
		print_bitmap(out, f);
		return true;
	case 'P':
		return print_params(out, f);
	case 'L':
		return print_apl(out, f);
	case 'r':
		msp_buf_printf(out, "%u %u", f.ptr[0] >> 7, f.ptr[0] & 0x7F);
		return true;
	case 'I':
		return print_gateway(out, rdata.ptr[1], f);
	case 'R':
		return print_gateway(out, rdata.ptr[1] & 0x7F, f);
	case 'p':
		return print_hip(out, f);
	case 'm':
		return print_names(out, f);
	default:
		return false;
	}
}

bool msp_layout_print(struct msp_buf *out, const struct msp_type_row *row, struct msp_span rdata)
{
	size_t pos = 0, len = 0;

	if (rdata.len == 0)
		return false;
	for (const char *f = row->layout; *f != '\0'; f++) {
		size_t before = out->len;

		if (*f == 'G' || msp_field_len(*f, rdata, pos, &len) != MSP_OK)
			return false;
		if (pos != 0)
			msp_buf_add_u8(out, ' ');
		if (!print_field(out, *f, msp_span(rdata.ptr + pos, len), rdata))
			return false;
		if (pos != 0 && out->err == MSP_OK && out->len == before + 1)
			out->len = before; /* an empty field at the end */
		pos += len;
	}
	return pos == rdata.len;
}
