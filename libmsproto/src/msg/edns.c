/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/msg/edns.h>

bool msp_edns_next(const struct msp_edns *e, size_t *pos, struct msp_option *out)
{
	struct msp_rd rd;

	if (*pos >= e->options.len)
		return false;
	msp_rd_init(&rd, e->options);
	rd.pos = *pos;
	out->code = msp_rd_u16(&rd);
	out->data = msp_rd_take(&rd, msp_rd_u16(&rd));
	*pos = rd.pos;
	return rd.err == MSP_OK; /* always, for options that msp_msg_parse passed */
}

bool msp_edns_find(const struct msp_edns *e, uint16_t code, struct msp_option *out)
{
	size_t pos = 0;

	while (msp_edns_next(e, &pos, out))
		if (out->code == code)
			return true;
	return false;
}

size_t msp_edns_count(const struct msp_edns *e, uint16_t code)
{
	struct msp_option o;
	size_t pos = 0, count = 0;

	while (msp_edns_next(e, &pos, &o))
		count += o.code == code;
	return count;
}

struct msp_optw msp_optw_open(struct msp_msgw *w, uint16_t payload, unsigned rcode, bool dnssec_ok)
{
	struct msp_optw o = { .w = w };

	msp_wr_u8(&w->wr, 0); /* owner: the root */
	msp_wr_u16(&w->wr, MSP_TYPE_OPT);
	msp_wr_u16(&w->wr, payload);
	msp_wr_u8(&w->wr, (uint8_t)(rcode >> 4));
	msp_wr_u8(&w->wr, 0); /* version */
	msp_wr_u16(&w->wr, dnssec_ok ? 0x8000 : 0);
	o.rdlen_at = w->wr.pos;
	msp_wr_u16(&w->wr, 0);
	return o;
}

void msp_optw_add(struct msp_optw *o, uint16_t code, struct msp_span data)
{
	struct msp_wr *wr = &o->w->wr;

	msp_wr_u16(wr, code);
	msp_wr_u16(wr, (uint16_t)data.len);
	msp_wr_octets(wr, data); /* a message holds at most 65535 octets: longer data does not fit */
}

void msp_optw_close(struct msp_optw *o)
{
	struct msp_msgw *w = o->w;

	if (w->wr.err != MSP_OK)
		return;
	msp_wr_patch_u16(&w->wr, o->rdlen_at, (uint16_t)(w->wr.pos - o->rdlen_at - 2));
	w->section = MSP_SEC_ADDITIONAL;
	w->count[MSP_SEC_ADDITIONAL]++;
}

enum msp_err msp_ede_parse(struct msp_span data, struct msp_ede *out)
{
	struct msp_rd rd;

	msp_rd_init(&rd, data);
	out->code = msp_rd_u16(&rd);
	out->text = msp_rd_rest(&rd);
	/* RFC 8914 2: the text may carry a final zero, which is not part of it */
	if (out->text.len > 0 && out->text.ptr[out->text.len - 1] == 0)
		out->text.len--;
	return rd.err;
}

void msp_optw_ede(struct msp_optw *o, uint16_t code, const char *text)
{
	struct msp_wr *wr = &o->w->wr;
	struct msp_span t = text != NULL ? msp_span_str(text) : msp_span(NULL, 0);

	msp_wr_u16(wr, MSP_OPT_EDE);
	msp_wr_u16(wr, (uint16_t)(2 + t.len));
	msp_wr_u16(wr, code);
	msp_wr_octets(wr, t);
}

uint16_t msp_ede_code(const struct msp_numbers *n, enum msp_ede_own e)
{
	return (uint16_t)(n->ede_base + (unsigned)e);
}

/* RFC 8914 4 and the registry it opened; an entry's place is its INFO-CODE. */
static const char *const std_names[] = {
	"OTHER",
	"UNSUPPORTED_DNSKEY_ALGORITHM",
	"UNSUPPORTED_DS_DIGEST_TYPE",
	"STALE_ANSWER",
	"FORGED_ANSWER",
	"DNSSEC_INDETERMINATE",
	"DNSSEC_BOGUS",
	"SIGNATURE_EXPIRED",
	"SIGNATURE_NOT_YET_VALID",
	"DNSKEY_MISSING",
	"RRSIGS_MISSING",
	"NO_ZONE_KEY_BIT_SET",
	"NSEC_MISSING",
	"CACHED_ERROR",
	"NOT_READY",
	"BLOCKED",
	"CENSORED",
	"FILTERED",
	"PROHIBITED",
	"STALE_NXDOMAIN_ANSWER",
	"NOT_AUTHORITATIVE",
	"NOT_SUPPORTED",
	"NO_REACHABLE_AUTHORITY",
	"NETWORK_ERROR",
	"INVALID_DATA",
};

const char *msp_ede_name(const struct msp_numbers *n, uint16_t code)
{
	switch ((unsigned)code - n->ede_base) { /* below the base it wraps to a value that is no offset */
#define EDE_CASE(name, off, text)                                                                                      \
	case (off):                                                                                                    \
		return #name;
		MSP_EDE_MAP(EDE_CASE)
#undef EDE_CASE
	default:
		break;
	}
	return code < sizeof(std_names) / sizeof(std_names[0]) ? std_names[code] : NULL;
}

const char *msp_ede_text(enum msp_ede_own e)
{
	switch (e) {
#define EDE_CASE(name, off, text)                                                                                      \
	case MSP_EDE_##name:                                                                                           \
		return text;
		MSP_EDE_MAP(EDE_CASE)
#undef EDE_CASE
	case MSP_EDE_OWN__END:
		break;
	}
	return "";
}
